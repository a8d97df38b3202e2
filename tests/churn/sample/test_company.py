"""The sample company's files: the same bytes again, made once, whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from churn.sample import company
from churn.sample.customers import (
    BLOCK,
)
from helpers.sample_tables import contents, make_clean, read_tables


def test_same_seed_gives_identical_bytes(made_small: Path, tmp_path: Path) -> None:
    """The same customers and seed give the same bytes in another folder; another seed gives
    others.
    """
    again = company.make(tmp_path / "again", 1_000, 7)
    other = company.make(tmp_path / "other", 1_000, 8)
    assert contents(again) == contents(made_small)
    assert all(contents(other)[name] != data for name, data in contents(made_small).items())


def test_first_block_does_not_depend_on_customers(made_small: Path, tmp_path: Path) -> None:
    """A full first block is the same rows however many follow, and fewer customers are
    the first of the many.
    """
    small, large = (company.make(tmp_path / str(size), size, 7) for size in (BLOCK, BLOCK + 3_000))
    for few, many in zip(read_tables(small).values(), read_tables(large).values(), strict=True):
        assert len(few) < len(many)
        pd.testing.assert_frame_equal(few, many.head(len(few)))
    few_customers, many_customers = (
        make_clean(1_000, 7)["contract"],
        make_clean(7_000, 7)["contract"],
    )
    pd.testing.assert_frame_equal(few_customers, many_customers.head(1_000))


def test_order_of_rows_says_nothing_of_churn(made: Path) -> None:
    """The place of a row in its file does not tell whether its contract has ended."""
    contract = read_tables(made)["contract"]
    ended = (contract["EndDate"] != "No").astype(float)
    assert abs(np.corrcoef(np.arange(len(ended)), ended)[0, 1]) < 4 / np.sqrt(len(ended))


def test_columns_are_those_of_the_real_tables(made: Path, shared_data: Path) -> None:
    """The four tables have the columns of the real ones, in the same order."""
    for name, table in read_tables(made).items():
        real = pd.read_csv(shared_data / "interconnect" / f"{name}.csv", nrows=0)
        assert list(table.columns) == list(real.columns)


def stamps(folder: Path) -> dict[str, int]:
    """Return when each file of a folder was written."""
    return {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}


def test_made_company_is_not_made_again(tmp_path: Path) -> None:
    """The same request writes nothing; another seed replaces the folder and leaves
    nothing beside it.
    """
    folder = company.make(tmp_path / "made", 1_000, 7)
    before = stamps(folder)
    assert company.make(tmp_path / "made", 1_000, 7) == folder
    assert stamps(folder) == before
    company.make(tmp_path / "made", 1_000, 8)
    assert json.loads((folder / "made.json").read_text())["seed"] == 8
    assert [path.name for path in tmp_path.iterdir()] == ["made"]


def test_cut_file_is_made_again(tmp_path: Path) -> None:
    """A company whose file was cut short is made anew."""
    folder = company.make(tmp_path / "made", 1_000, 7)
    whole = contents(folder)
    (folder / "contract.csv").write_bytes(whole["contract.csv"][:-1])
    company.make(folder, 1_000, 7)
    assert contents(folder) == whole


@pytest.mark.parametrize(
    "record", ["", "[]", '{"customers": 1000}', '{"customers": 1000, "seed": 7, "version": "0"}']
)
def test_record_of_another_kind_is_made_again(
    record: str, made_small: Path, tmp_path: Path
) -> None:
    """A made.json that is broken or of another version of the generator does not count as made."""
    folder = Path(shutil.copytree(made_small, tmp_path / "made"))
    (folder / "made.json").write_text(record)
    company.make(folder, 1_000, 7)
    assert contents(folder) == contents(made_small)


def test_folder_with_other_files_is_refused(tmp_path: Path) -> None:
    """A folder that holds anything else is left as it is, and the message names what it holds."""
    (tmp_path / "thesis.docx").write_text("dear to someone")
    with pytest.raises(company.CompanyError, match=r"thesis\.docx"):
        company.make(tmp_path, 1_000, 7)
    assert contents(tmp_path) == {"thesis.docx": b"dear to someone"}


def test_leftovers_of_a_killed_run_are_removed(tmp_path: Path) -> None:
    """What a killed run left beside the folder hours ago is removed; what a run may
    still write stays.
    """
    old, young = (tmp_path / f"made.part-{name}" for name in ("old", "young"))
    for part in (old, young):
        (part / "new").mkdir(parents=True)
    for path in (old / "new", old):
        os.utime(path, (time.time() - 7_200,) * 2)
    company.make(tmp_path / "made", 1_000, 7)
    assert not old.exists()
    assert young.exists()


def test_two_at_once_leave_one_company(made_small: Path, tmp_path: Path) -> None:
    """Two processes that make the same company in the same folder both succeed, and the
    folder is whole.
    """
    command = [
        sys.executable,
        "-m",
        "churn.sample.company",
        "--customers",
        "1000",
        "--out",
        str(tmp_path / "made"),
    ]
    processes = [subprocess.Popen(command, stdout=subprocess.DEVNULL) for _ in range(2)]
    assert [process.wait(120) for process in processes] == [0, 0]
    assert contents(tmp_path / "made") == contents(made_small)
    assert [path.name for path in tmp_path.iterdir()] == ["made"]


@pytest.mark.parametrize(
    ("option", "value"), [("--customers", "999"), ("--customers", "10000001"), ("--seed", "-1")]
)
def test_numbers_out_of_range_are_refused(
    option: str, value: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Too few or too many customers and a negative seed end with exit code 2 and name the
    option.
    """
    assert company.main([option, value, "--out", str(tmp_path / "made")]) == 2
    assert option in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


MEASURE = """
import resource, subprocess, sys
subprocess.run([sys.executable, *sys.argv[1:]], check=True, stdout=subprocess.DEVNULL)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def test_memory_is_bounded(tmp_path: Path) -> None:
    """300,000 customers, twelve blocks, are made in less than 600 MB."""
    pytest.importorskip("resource", reason="Windows tells no peak memory of a child process")
    options = ["--customers", "300000", "--out", str(tmp_path / "made")]
    # A small process in between: the peak of all children of this one would include
    # what other tests started.
    command = [sys.executable, "-c", MEASURE, "-m", "churn.sample.company", *options]
    measured = int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    megabytes = measured / 1e6 if sys.platform == "darwin" else measured / 1e3
    assert 10 < megabytes < 600
    assert json.loads((tmp_path / "made" / "made.json").read_text())["rows"]["contract"] > 300_000
