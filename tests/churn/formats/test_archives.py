"""Archives that were made to do harm: they write nothing anywhere, and fill no memory."""

from __future__ import annotations

import gzip
import io
import zipfile
from pathlib import Path

import openpyxl
import pytest

from churn.sources import SourceRefused
from helpers.reading import columns, read_file, refuse_file

PLAIN = b"id,plan\n007,basic\n"
OUTSIDE = ["../outside.csv", "/tmp/outside-of-the-archive.csv", "..\\outside.csv", "a/../../o.csv"]
LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10 if n else "ha"}">' for n in range(9))


def packed(*members: tuple[str, bytes]) -> bytes:
    """Return a zip archive of these files."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return data.getvalue()


def workbook(*, replace: dict[str, bytes] | None = None, **more: bytes) -> bytes:
    """Return an Excel file of two rows, with members replaced and added."""
    data, book = io.BytesIO(), openpyxl.Workbook()
    for row in (("id", "plan"), ("007", "basic")):
        book.active.append(row)
    book.save(data)
    with zipfile.ZipFile(data) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    return packed(*(members | (replace or {}) | more).items())


def read_or_refuse(root: Path, file: str) -> str:
    """Return the columns of a file as a text, or that it was refused."""
    try:
        return str(columns(read_file(root, file)))
    except SourceRefused:
        return "refused"


@pytest.mark.parametrize("name", OUTSIDE)
def test_a_member_with_a_path_that_leads_out_is_written_nowhere(tmp_path: Path, name: str) -> None:
    """In a zip archive and in an Excel file: it is read as any other or refused."""
    root = tmp_path / "a" / "b"
    root.mkdir(parents=True)
    (root / "in.zip").write_bytes(packed((name, PLAIN)))
    (root / "in.xlsx").write_bytes(workbook(**{name: PLAIN}))
    assert read_or_refuse(root, "in.zip") in ("{'id': ['007'], 'plan': ['basic']}", "refused")
    assert columns(read_file(root, "in.xlsx"))["id"] == ["007"]
    found = {path.name for path in tmp_path.rglob("*") if path.is_file()}
    assert found == {"in.zip", "in.xlsx"}
    assert not Path("/tmp/outside-of-the-archive.csv").exists()


def test_a_bomb_is_refused_before_it_fills_the_memory(tmp_path: Path) -> None:
    """As gzip, zip, zip in zip and Excel: the limit is named."""
    bomb = b"0" * (70 << 20)
    within = packed(("a.csv", bomb))
    sheet = {"xl/worksheets/sheet1.xml": bomb}
    for name, data in {
        "a.csv.gz": gzip.compress(bomb),
        "a.zip": within,
        "b.zip": packed(("a.zip", within)),
        "a.xlsx": workbook(replace=sheet),
    }.items():
        assert "times its size" in refuse_file(tmp_path, name, data), name


def test_data_that_shrinks_well_is_read(tmp_path: Path) -> None:
    """A column of equal values shrinks to a two-hundredth, and is data."""
    data = b"id,plan\n" + b"7,basic\n" * 200_000
    assert read_file(tmp_path, "a.csv.gz", gzip.compress(data)).rows == 200_000


def test_entities_of_a_workbook_are_not_expanded(tmp_path: Path) -> None:
    """Nor is a file of this machine read by one."""
    (tmp_path / "key").write_text("s3cr3t")
    for entities, text in (
        (LAUGHS, "&l8;"),
        (f'<!ENTITY key SYSTEM "{(tmp_path / "key").as_uri()}">', "&key;"),
    ):
        strings = (
            f'<?xml version="1.0"?><!DOCTYPE sst [{entities}]><sst xmlns="http://schemas.'
            f'openxmlformats.org/spreadsheetml/2006/main"><si><t>{text}</t></si></sst>'
        ).encode()
        (tmp_path / "a.xlsx").write_bytes(workbook(replace={"xl/sharedStrings.xml": strings}))
        received = read_or_refuse(tmp_path, "a.xlsx")
        assert "s3cr3t" not in received
        assert len(received) < 1000
