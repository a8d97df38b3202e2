"""Bad files, as the flow meets them: told before the run or in ingestion, with the last
dataset untouched.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from helpers.bad_inputs import FACTS, PARAMS, Runs, as_csv, customers, make_project

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("bad files")]

GOOD = as_csv(customers())


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose data was ingested once."""
    return make_project(tmp_path_factory.mktemp("made") / "project")


@pytest.fixture
def runs(made: Path, tmp_path: Path, prefect_api: dict[str, str]) -> Runs:
    """A copy of it of one's own."""
    return Runs(made, tmp_path / "project", prefect_api)


def test_a_missing_file(runs: Runs) -> None:
    """The absolute path and what was expected there, before anything runs."""
    (runs.root / "customers.csv").rename(runs.root / "customers_old.csv")
    said = runs.run().never_started()
    assert "source 'crm'" in said
    assert f"no file at {runs.root / 'customers.csv'}." in said
    assert "a file of format csv" in said
    assert "Did you mean 'customers_old.csv'?" in said


def test_an_empty_file(runs: Runs) -> None:
    """0 bytes are told before anything runs."""
    runs.write(b"")
    assert f"{runs.root / 'customers.csv'} is empty, 0 bytes" in runs.run().never_started()


def test_a_pattern_without_a_match(runs: Runs) -> None:
    """The pattern and its folder, before anything runs."""
    runs.write(GOOD, "  crm: {file: 'drops/*.csv'}\n")
    said = runs.run().never_started()
    assert "source 'crm'" in said
    assert f"'drops/*.csv' in {runs.root / 'drops'}" in said
    assert "no such folder" in said


@pytest.mark.skipif(sys.platform == "win32", reason="symbolic links need a privilege on Windows")
def test_a_link_out_of_the_project(runs: Runs, tmp_path: Path) -> None:
    """Where it leads, before anything runs."""
    (tmp_path / "outside.csv").write_text(GOOD)
    (runs.root / "customers.csv").unlink()
    (runs.root / "customers.csv").symlink_to(tmp_path / "outside.csv")
    said = runs.run().never_started()
    assert f"out of the project, to {tmp_path / 'outside.csv'}" in said


REFUSED = {
    "header only": (
        b"id,plan,fee,begun,churned\n",
        "fewer than 1 rows (`min_rows`): - crm: 0 rows from customers.csv",
    ),
    "Latin-1": (
        GOOD.replace("C0001,basic", "C0001,préféré")
        .replace("C0001,plus", "C0001,préféré")
        .encode("latin-1"),
        "byte 0xE9 at position 64 (line 3) is not utf-8. If the file is in another encoding, "
        "name it:"
        " `encoding: cp1252` (with that the line reads 'C0001,préféré,",
    ),
    "UTF-16 without a mark": (
        GOOD.encode("utf-16-le"),
        "has zero bytes, so it is not utf-8 text. Set `encoding: utf-16-le`",
    ),
    "an extra field on every row": (
        GOOD.replace("\n", ",x\n").replace("churned,x", "churned", 1),
        "300 row(s) do not have as many fields as the header (first 3): line 2 has 6 fields, "
        "expected 5",
    ),
    "an extra field on one row": (
        GOOD.replace("C0007,", "C0007,x,"),
        "1 row(s) do not have as many fields as the header: line 9 has 6 fields, expected 5",
    ),
    "a cut last row": (GOOD[:-20], "line 301 has 2 fields, expected 5. The last row is cut"),
    "duplicate column names": (
        GOOD.replace("begun", "fee", 1),
        "these column names stand more than once: 'fee'",
    ),
    "a quote that stays open": (
        GOOD.replace("C0009,", 'C0009,"'),
        "line 11: a quote is opened and never closed",
    ),
    "a cut gz": (
        gzip.compress(GOOD.encode())[:-40],
        "the gzip file is cut: it ends within its data",
    ),
    "a damaged gz": (gzip.compress(GOOD.encode())[:-8] + bytes(8), "the gzip file is damaged"),
    "an HTML page": (
        b"<!DOCTYPE html><html><title>Log in</title></html>",
        "expected csv, but it is a page of HTML or XML",
    ),
    "a title above the header": (
        f"Customers of March\n\n{GOOD}",
        "If that is a title and the header is line 3",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_bad_file_stops_ingestion(runs: Runs, case: str) -> None:
    """One message that says what is wrong and where; it is not tried again, and the
    last dataset stays.
    """
    data, message = REFUSED[case]
    runs.write(data)
    assert message in runs.execute("ingestion").stopped_in("ingestion")


def test_a_bad_file_stops_the_flow(runs: Runs) -> None:
    """The output says the same, and what follows does not run."""
    data, message = REFUSED["a cut last row"]
    runs.write(data)
    outcome = runs.run()
    assert message in outcome.stopped_in("ingestion")
    assert outcome.record
    assert {entry.status for entry in outcome.record.stages[1:]} == {"not_run"}


def test_a_bad_file_among_several(runs: Runs) -> None:
    """Which of them, and the last dataset stays."""
    (runs.root / "more.csv").write_text(GOOD.replace("C0007,", "C0007,x,"))
    runs.write(GOOD, "  crm: {file: [customers.csv, more.csv]}\n")
    error = runs.execute("ingestion").stopped_in("ingestion")
    assert re.search(r"more\.csv: 1 row\(s\) .*: line 9\b", error)


# Root may read everything, unless it gives up these rights.
LIKE_ANYBODY = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]


def can_be_refused() -> bool:
    """Whether permissions hold for this user, or for root without its rights."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return hasattr(os, "geteuid")
    return (
        bool(shutil.which("setpriv"))
        and subprocess.run([*LIKE_ANYBODY, "true"], check=False).returncode == 0
    )


@pytest.mark.skipif(not can_be_refused(), reason="no permission is refused to this user")
def test_no_permission(runs: Runs, prefect_api: dict[str, str]) -> None:
    """A file that may not be read, before anything runs."""
    (runs.root / "customers.csv").chmod(0)
    as_anybody = LIKE_ANYBODY if os.geteuid() == 0 else []
    ended = subprocess.run(
        [*as_anybody, sys.executable, "orchestrator/flow.py", "--params", PARAMS],
        cwd=runs.root,
        env=os.environ | prefect_api | {"PYTHONPATH": str(runs.root)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 2, ended.stderr
    assert f"source 'crm': no permission to read {runs.root / 'customers.csv'}" in ended.stderr


ACCEPTED = {
    "bom": b"\xef\xbb\xbf" + GOOD.encode(),
    "utf16": GOOD.encode("utf-16"),
    "semicolons": as_csv(customers(), ";").encode(),
    "packed": gzip.compress(GOOD.encode()),
    "excel_export": b"sep=;\r\n" + as_csv(customers(), ";", "\r\n").encode() + b"\r\n\r\n",
    "open_end": GOOD.rstrip("\n").encode(),
}
ODD_IDS = ["NA", "null", "007", "12345678901234567890", "12345678901234567891", "1e5", "TRUE", "-"]


@pytest.fixture(scope="module")
def accepted(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The dataset that one ingestion makes of files that only look bad, each a source
    of its own.
    """
    runs = Runs(made, tmp_path_factory.mktemp("accepted") / "project")
    for name, data in ACCEPTED.items():
        (runs.root / f"{name}.csv").write_bytes(data)
    (runs.root / "odd.csv").write_text("id,plan\n" + "".join(f"{text},x\n" for text in ODD_IDS))
    (runs.root / "malformed.csv").write_text(f"{GOOD}C9999,basic\n")
    names = [*ACCEPTED, "odd", "malformed"]
    (runs.root / PARAMS).write_text(
        FACTS + "".join(f"  {name}: {{file: {name}.csv}}\n" for name in names)
    )
    outcome = runs.execute("ingestion", malformed_rows_allowed=1)
    assert outcome.code == 0, outcome.said
    return runs.root / "data/raw"


@pytest.mark.parametrize("case", ACCEPTED)
def test_a_file_that_only_looks_bad_is_read(accepted: Path, case: str) -> None:
    """Marks, delimiters and packing make no difference to the table."""
    header, *rows = customers()
    found = pd.read_parquet(accepted / f"{case}.parquet")
    assert list(found.columns) == header
    assert found.to_numpy().tolist() == rows


def test_what_was_read_otherwise_than_usual_is_noted(accepted: Path) -> None:
    """The provenance says how the file was read, and that it may be cut."""
    facts = json.loads((accepted / "provenance.json").read_text())
    notes = {name: " ".join(facts[name]["notes"]) for name in ACCEPTED}
    assert {name for name, note in notes.items() if not note} == {"bom", "semicolons"}
    assert "utf-16" in notes["utf16"]
    assert "byte order mark" in notes["utf16"]
    assert "gzip" in notes["packed"]
    assert "delimiter ';'" in notes["excel_export"]
    assert "line break" in notes["open_end"]
    assert "may be cut" in notes["open_end"]


def test_odd_ids_are_kept_as_they_are(accepted: Path) -> None:
    """`NA`, `null`, leading zeros and 20 digits are texts."""
    assert pd.read_parquet(accepted / "odd.parquet")["id"].tolist() == ODD_IDS


def test_malformed_rows_are_set_aside_if_the_parameter_allows(accepted: Path) -> None:
    """With its line and text; the other rows are the table."""
    aside = pd.read_parquet(accepted / "malformed/malformed.parquet")
    assert aside.to_dict("records") == [
        {"line": 302, "expected": 5, "fields": 2, "text": "C9999,basic"}
    ]
    assert len(pd.read_parquet(accepted / "malformed.parquet")) == 300
