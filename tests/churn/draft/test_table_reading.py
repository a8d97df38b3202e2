"""Tables of files of any size, and files that are parts of one table."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from churn.draft import table_reading
from churn.draft.named_inputs import find_inputs
from churn.draft.table_reading import name_source, read_tables
from helpers import one_table
from helpers.drafts import Drafting, refuse
from helpers.people import people, write_csv


def test_a_table_without_any_answer_in_parts(
    draft: Drafting, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A copy of a file, and one in another form, are left out with the reason."""
    (path,) = one_table.bank(tmp_path, 700)
    copy = tmp_path / "copy of it.csv"
    copy.write_bytes(path.read_bytes())
    pd.read_csv(path).to_csv(tmp_path / "other.csv", sep=";", index=False)
    drafted = draft(path, copy, tmp_path / "other.csv")
    assert len(drafted.params.sources) == 1
    assert path.name in drafted.said("copy of it.csv:")
    assert path.name in drafted.said("other.csv:")


def test_a_part_whose_answers_are_blank(draft: Drafting, tmp_path: Path) -> None:
    """It is left out, though another column (`DroppedCalls`) has a word of leaving in its name."""
    made = people(1500)
    frame = pd.DataFrame(
        {
            "CustomerID": range(3_000_000, 3_001_500),
            "Churn": np.where(made.churned, "Yes", "No"),
            "months": made.months,
            "DroppedCalls": made.calls,
            "price": made.price,
        }
    )
    parts = [frame[:1000], frame[1000:].assign(Churn=None)]
    paths = [
        write_csv(part, tmp_path / f"{name}.csv")
        for part, name in zip(parts, ("train", "holdout"), strict=True)
    ]
    drafted = draft(*paths)
    assert "Churn" in drafted.said("holdout.csv: its 500 rows")
    assert "max_quarantined_share" not in drafted.text


def test_answers_of_parts_in_other_forms(draft: Drafting, tmp_path: Path) -> None:
    """1 and 1.0 are the same answer, where one part was saved with decimals."""
    made = people(1500)
    frame = pd.DataFrame(
        {"id": range(1500), "price": made.price, "Churn": made.churned.astype(int)}
    )
    parts = [write_csv(frame[:500], tmp_path / "part-a.csv")]
    parts.append(write_csv(frame[500:].astype({"Churn": float}), tmp_path / "part-b.csv"))
    drafted = draft(*parts)
    assert drafted.column_label.positive == "1.0"
    assert drafted.columns()["Churn"].codes == {"0": "0.0", "1": "1.0"}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_a_large_file_is_read_in_part(
    draft: Drafting, tmp_path: Path, encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a file beyond the limit, lines from all over it are read, and the draft says
    so; `é` stays what it is.
    """
    monkeypatch.setattr(table_reading, "MOST_BYTES", 100_000)
    (bank,) = one_table.bank(tmp_path, 6000)
    large = tmp_path / "large.csv"
    large.write_text(bank.read_text().replace("France", "Féroé"), encoding=encoding)
    drafted = draft(large)
    told = drafted.said("Looked at large.csv: about ")
    assert re.search("about (?:6,0|5,9)", told)
    assert "from all over it" in told
    assert drafted.columns()["Geography"].values == ["Féroé", "Germany", "Spain"]
    assert drafted.params.customer_id == "CustomerId"
    assert "in the" in drafted.told.partition("unique ")[2][:10]


def test_a_large_parquet_file_is_read_in_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Row groups from all over it are read."""
    monkeypatch.setattr(table_reading, "MOST_CELLS", 20_000)
    (bank,) = one_table.bank(tmp_path, 6000)
    pd.read_csv(bank).to_parquet(tmp_path / "large.parquet", row_group_size=500)
    assert pq.ParquetFile(tmp_path / "large.parquet").num_row_groups == 12
    (table,), _ = read_tables(find_inputs([str(tmp_path / "large.parquet")], tmp_path)[0], tmp_path)
    assert table.rows == 6000
    assert table.is_part
    assert len(table.frame) < 1200
    assert table.frame["RowNumber"].astype(int).max() > 5000


def test_a_packed_file_is_read_from_its_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is packed cannot be read from the middle, so its start has to do."""
    monkeypatch.setattr(table_reading, "MOST_BYTES", 100_000)
    (bank,) = one_table.bank(tmp_path, 6000)
    packed = tmp_path / "large.csv.gz"
    packed.write_bytes(gzip.compress(bank.read_bytes()))
    (table,), _ = read_tables(find_inputs([str(packed)], tmp_path)[0], tmp_path)
    assert table.is_part
    assert 4_000 < table.rows < 9_000
    assert table.frame["RowNumber"].tolist() == [str(n) for n in range(1, len(table.frame) + 1)]


@pytest.mark.parametrize(
    ("start", "told"),
    [
        (b"<stata_dta><header>", "one of Stata; save it as CSV or Parquet"),
        (b"r\x02\x01\0" + bytes(600), "one of Stata"),
        (b"$FL2@(#) SPSS DATA FILE", "one of SPSS"),
        (
            b"% from Weka\n@RELATION churn\n@attribute fee numeric\n@data\n1\n2\n",
            "one of Weka (ARFF)",
        ),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "not a whole workbook"),
    ],
)
def test_files_of_other_programs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], start: bytes, told: str
) -> None:
    """What another program wrote is not taken for text of an odd encoding, or for a
    table without a header.
    """
    path = tmp_path / "churn.dat"
    path.write_bytes(start)
    assert told in refuse(tmp_path, capsys, path)


def test_names_of_sources() -> None:
    """A source is named in small letters, digits and underscores, whatever the file is called."""
    assert [
        name_source(text) for text in ("Clients Résiliés", "2024-01", "crm.Orders", "Straße")
    ] == [
        "clients_resilies",
        "table_2024_01",
        "crm_orders",
        "strasse",
    ]
