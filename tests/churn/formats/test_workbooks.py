"""Workbooks of other programs than Excel of today, and cells that a reader may round."""

from __future__ import annotations

import base64
import contextlib
import io
import zipfile
import zlib
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from churn.sources import SourceRefused
from helpers.drafts import Drafting
from helpers.reading import columns, read_file, refuse_file

# Two customers, written by xlwt 1.3 as Excel 97 does, and a hidden sheet.
OLD = (
    "c-"
    "rk)O=uHA6#i!OAKLuXRA_|~3RbNxR6N*Ao2qC%Xs90i2W_(}hMGi@7OV%Y)*J=Flj5aN4<4+F;14S3&4W<UgCGcr"
    "9z6*P9@?yL-tN}4Mrfc0BKs}#=FOXVZzl8Jyq)aZxo~0nL2D7q&<_Vnx)1I$nV{mc8X-`>u1nUcy;O7?bp@Z79O-"
    "u9S>qdz^r7^35en`*Ul9d9Q#p>ah-cDTw1(KhYZw-C4Sm8%v8Uh`l>l0JT}@0AOxG~I$77!}9bm~-"
    "rhPQFAdX@#7Vqpe<M^=B&V2!*0*_heBTKfR8Lwp=U%V!au`X=SCWp_|Sx1|*0W%<%4r*yFE89Wbh98(9bf;3?s#-"
    "vV+&zOIdKCC>o$HrTTV7ka0LgzYm3#go_mUHr%daa=U=sRCA%i)OFb169RK0UNH<n3h*<79?eXm=FhZ}p6s;Z^u>"
    "5TZyd`@wnR2{%6O>+UcWICZy;3Q6uXVaRL_w;NddPK`H-%G>e8H%=ZeyPv-BeW!cH1erxAgUtBe3;Kxh?YNp=i9q"
    "|BSWzhEScnYhVf=uFMkGfT#_239N-=YQ`ytW8k?D3W~=L%Z)F;xz^A%nsM%z8Pw|*5+}lC(Y-"
    "PNUZ7Ab65}*IN|4Cc^OKcPIvxCL+k=YNiX|&VMsH88SDRhZ0ar1`6)0kBYGY5TQ+VV#}@+u*7?YjB;3}Qi^Kth<Q"
    "(UQ9(7F&wBS4PW0Er)4KRInx3mfW2ev>L&-"
    "jwv!b9=xlN9b=5N;xer$6|5+1#cf(K{N?8yd*PvFMPVz_#r;YX9!V97px>xPEQm!~udyI1#)8+{RaDwl8#Zj%uwl"
    "c7jn#!P?*Dwtly@$dd2jQW-"
    "*pzKl<dzW|1Az6L(drfrQC%y)mcnb6+dg?5|%BoLLKXSp~NAYJ&RF{@H$4Tj$gWWi}K&IV#Uzv9ieLHFIBV7e?0#"
    "$edG=$"
)
CONTENT = """<?xml version="1.0" encoding="UTF-8"?><office:document-content
 xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0"
 xmlns:table="urn:oasis:names:tc:opendocument:xmlns:table:1.0"
 xmlns:text="urn:oasis:names:tc:opendocument:xmlns:text:1.0"><office:body>
<office:spreadsheet><table:table table:name="Customers">{rows}</table:table>
</office:spreadsheet></office:body></office:document-content>"""
MANIFEST = """<?xml version="1.0"?><manifest:manifest
 xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"/>"""


def ods_cell(value: str | float | date) -> str:
    """Return a cell as OpenDocument has it."""
    shown = f"<text:p>{value}</text:p></table:table-cell>"
    if isinstance(value, str):
        return f'<table:table-cell office:value-type="string">{shown}'
    if isinstance(value, date):
        return f'<table:table-cell office:value-type="date" office:date-value="{value}">{shown}'
    return f'<table:table-cell office:value-type="float" office:value="{value}">{shown}'


def write_ods(path: Path, table: list[list[Any]]) -> None:
    """Write a workbook of OpenDocument with one sheet."""
    rows = "".join(
        f"<table:table-row>{''.join(map(ods_cell, row))}</table:table-row>" for row in table
    )
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        archive.writestr("content.xml", CONTENT.format(rows=rows))
        archive.writestr("META-INF/manifest.xml", MANIFEST)


def write_xlsx(path: Path, table: list[list[Any]], *, name: str = "Customers") -> None:
    """Write a workbook of Excel with one sheet."""
    book = openpyxl.Workbook()
    assert book.active is not None
    book.active.title = name
    for row in table:
        book.active.append(row)
    book.save(path)


@pytest.mark.parametrize("name", ["a.xls", "named as text.csv"])
def test_an_old_workbook(tmp_path: Path, name: str) -> None:
    """Ids, numbers and days of Excel 97 are read as those of today, whatever the name."""
    received = read_file(tmp_path, name, zlib.decompress(base64.b85decode(OLD)))
    assert columns(received) == {
        "id": ["007", "008"],
        "fee": ["1.5", "2"],
        "since": ["2020-01-31", "2021-02-28"],
        "churned": ["Yes", "No"],
    }
    assert received.notes == []


def test_open_document(draft: Drafting, tmp_path: Path) -> None:
    """A sheet of LibreOffice is read, and drafted without a word of its format."""
    table = [["id", "fee", "since", "churned"]]
    table += [[f"{n:03}", n / 2, date(2020, 1, 1 + n % 28), "YN"[n % 2]] for n in range(60)]
    write_ods(tmp_path / "a.ods", table)
    received = read_file(tmp_path, "a.ods")
    assert columns(received)["id"][:3] == ["000", "001", "002"]
    assert columns(received)["fee"][:3] == ["0", "0.5", "1"]
    assert columns(received)["since"][:2] == ["2020-01-01", "2020-01-02"]
    source = draft(tmp_path / "a.ods").params.sources["a"].model_dump(exclude_defaults=True)
    assert set(source) == {"file", "columns"}


def test_an_archive_of_an_open_document_is_unpacked(tmp_path: Path) -> None:
    """A workbook is an archive itself, but one within an archive is what is meant."""
    write_ods(tmp_path / "a.ods", [["id", "fee"], ["007", 1.5], ["008", 2.5]])
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.write(tmp_path / "a.ods", "in/a.ods")
    received = read_file(tmp_path, "b.zip", packed.getvalue(), format="excel")
    assert columns(received)["id"] == ["007", "008"]


def test_what_a_cell_may_hold(tmp_path: Path) -> None:
    """Ids with zeros in front, numbers of 15 digits, times, spans and blanks of any kind."""
    table: list[list[Any]] = [
        ["id", "number", "moment", "time", "span", "text"],
        ["007", 123456789012345, datetime(2020, 1, 1, 10, 30), time(10, 30), None, " x "],
        ["12345678901234567890", 0.1 + 0.2, date(2020, 2, 29), None, timedelta(hours=30), ""],
        ["1e5", 1e-7, datetime(2020, 1, 1), time(0, 5, 1), timedelta(minutes=1), "NA"],
    ]
    write_xlsx(tmp_path / "a.xlsx", table)
    assert columns(read_file(tmp_path, "a.xlsx")) == {
        "id": ["007", "12345678901234567890", "1e5"],
        "number": ["123456789012345", "0.3", "1e-07"],
        "moment": ["2020-01-01 10:30:00", "2020-02-29", "2020-01-01"],
        "time": ["10:30:00", None, "00:05:01"],
        "span": [None, "1 day, 6:00:00", "0:01:00"],
        "text": [" x ", None, "NA"],
    }


def test_errors_of_formulas_are_told(tmp_path: Path) -> None:
    """A cell that says `#DIV/0!` has no value, and the note counts them."""
    table = [["id", "fee"], ["1", "#DIV/0!"], ["2", "#N/A"], ["3", 2]]
    write_xlsx(tmp_path / "a.xlsx", table)
    received = read_file(tmp_path, "a.xlsx")
    assert columns(received)["fee"] == [None, None, "2"]
    assert received.notes[0].startswith("2 cell(s)")


def test_a_header_that_stands_again_in_a_sheet(tmp_path: Path) -> None:
    """Sheets pasted below each other: the second header is dropped and told."""
    table = [["id", "fee"], ["1", 2], ["ID", "Fee "], ["2", 3]]
    write_xlsx(tmp_path / "a.xlsx", table)
    received = read_file(tmp_path, "a.xlsx")
    assert columns(received) == {"id": ["1", "2"], "fee": ["2", "3"]}
    assert received.notes[0].startswith("1 row(s) repeat the header")


def test_titles_of_several_rows_in_a_sheet(draft: Drafting, tmp_path: Path) -> None:
    """Rows of few cells above the names are told by both, with the same number."""
    table = [["Export"], ["region", "North", None, None], [], ["id", "plan", "fee", "churned"]]
    table += [[f"{n:03}", "ab"[n % 2], n / 2, "YN"[n % 2]] for n in range(60)]
    write_xlsx(tmp_path / "a.xlsx", table)
    assert "`skip_rows: 3`" in refuse_file(tmp_path, "a.xlsx")
    assert draft(tmp_path / "a.xlsx").params.sources["a"].model_dump()["skip_rows"] == 3


def test_what_is_no_whole_workbook(tmp_path: Path) -> None:
    """A document of Word, and a workbook that was cut."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr("word/document.xml", "<w/>")
    assert "not a whole workbook" in refuse_file(tmp_path, "a.xlsx", packed.getvalue())
    old = zlib.decompress(base64.b85decode(OLD))
    assert "not a whole workbook" in refuse_file(tmp_path, "a.xls", old[:600])


@pytest.mark.parametrize("place", range(24, 1400, 97))
def test_a_damaged_old_workbook(tmp_path: Path, place: int) -> None:
    """Whatever byte is wrong, the file is read or refused; the process goes on."""
    data = bytearray(zlib.decompress(base64.b85decode(OLD)))
    data[place : place + 4] = b"\xff\xff\xff\x7f"
    (tmp_path / "a.xls").write_bytes(data)
    with contextlib.suppress(SourceRefused):
        assert read_file(tmp_path, "a.xls").rows >= 0


def test_a_stray_cell_far_out(tmp_path: Path) -> None:
    """A sheet of 17 thousand million cells is refused with the one to clear."""
    book = openpyxl.Workbook()
    assert book.active is not None
    book.active.append(["id", "fee"])
    book.active["XFD1048576"] = "x"
    book.save(tmp_path / "a.xlsx")
    assert "cell XFD1048576" in refuse_file(tmp_path, "a.xlsx")
