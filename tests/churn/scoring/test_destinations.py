"""Where scores go: CSV that no spreadsheet computes, Parquet, and tables of real databases."""

from __future__ import annotations

import csv
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from churn import pandas_semantics  # noqa: F401  (sets pandas' semantics of texts)
from churn.scoring.destinations import OutputError, write_file, write_table
from helpers.servers import POSTGRES_PASSWORD, find_postgres, serving_postgres


def make_scores(ids: list[str], run_id: str = "one") -> pd.DataFrame:
    """Return scores of these customers."""
    frame = pd.DataFrame({"id": pd.Series(ids, dtype="str"), "probability": [0.5] * len(ids)})
    return frame.assign(contact=True, run_id=run_id)


def broken() -> Iterator[pd.DataFrame]:
    """Yield a chunk, then fail."""
    yield make_scores(["7"])
    raise OSError("the disk is full")


def read_csv(file: Path) -> list[list[str]]:
    """Read a CSV file as a spreadsheet would."""
    with file.open(newline="", encoding="utf-8") as lines:
        return list(csv.reader(lines))


@pytest.mark.parametrize("sign", ["=", "+", "-", "@", "\t", "\r"])
def test_a_text_that_a_spreadsheet_would_compute_is_disarmed(tmp_path: Path, sign: str) -> None:
    """A text that begins with one of the signs gets a quote before it; others and numbers stay."""
    scores = pd.DataFrame(
        {"=id": [f"{sign}cmd|' /C calc'!A0", 'a=b, "c"\nd'], "number": [-1.5, 2.0]}
    )
    assert write_file([scores], tmp_path / "scores.csv") == 2
    header, first, second = read_csv(tmp_path / "scores.csv")
    assert header == ["'=id", "number"]
    assert first == [f"'{sign}cmd|' /C calc'!A0", "-1.5"]
    assert second == ['a=b, "c"\nd', "2"]


@given(
    st.lists(
        st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1),
        max_size=5,
    )
)
def test_whatever_the_texts_are_they_come_back_and_none_is_a_formula(texts: list[str]) -> None:
    """Without the quotes that were put before them, the texts read back are those that
    were written.
    """
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        write_file(
            [pd.DataFrame({"text": pd.Series(texts, dtype="str"), "n": 1})],
            Path(folder, "scores.csv"),
        )
        read = [row[0] for row in read_csv(Path(folder, "scores.csv"))[1:]]
    assert not [text for text in read if text.startswith(("=", "+", "-", "@", "\t", "\r"))]
    assert [
        one.removeprefix("'") if one != other else one
        for one, other in zip(read, texts, strict=True)
    ] == texts


def test_parquet_keeps_types_and_texts(tmp_path: Path) -> None:
    """Chunks become one Parquet file, with texts as they are."""
    assert write_file([make_scores(["=1"]), make_scores(["2"])], tmp_path / "scores.parquet") == 2
    read = pd.read_parquet(tmp_path / "scores.parquet")
    assert read["id"].tolist() == ["=1", "2"]
    assert read["contact"].dtype == bool


@pytest.mark.parametrize("name", ["scores.csv", "scores.parquet"])
def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path, name: str) -> None:
    """When writing fails half-way, the file of before is untouched, and nothing lies beside it."""
    write_file([make_scores(["1"])], tmp_path / name)
    before = (tmp_path / name).read_bytes()
    with pytest.raises(OutputError, match="the disk is full"):
        write_file(broken(), tmp_path / name)
    assert (tmp_path / name).read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == [name]


def test_another_ending_is_refused(tmp_path: Path) -> None:
    """Only the formats that are written are taken."""
    with pytest.raises(OutputError, match=r"ends in \.csv or \.parquet"):
        write_file([make_scores(["1"])], tmp_path / "scores.xlsx")


def test_runs_are_added_to_a_table_once_each(tmp_path: Path) -> None:
    """A second run adds its rows, a second try replaces them; `replace` leaves its own alone."""
    address = f"sqlite:///{tmp_path / 'crm.sqlite'}"
    for run_id, ids in (("one", ["1", "2"]), ("two", ["3"]), ("two", ["4"])):
        assert write_table(
            [make_scores(ids, run_id)], address, "scores", tmp_path, run_id=run_id
        ) == len(ids)
    with sqlite3.connect(tmp_path / "crm.sqlite") as connection:
        rows = connection.execute("SELECT id, run_id FROM scores ORDER BY id").fetchall()
    assert rows == [("1", "one"), ("2", "one"), ("4", "two")]
    write_table(
        [make_scores(["5"], "three")], address, "scores", tmp_path, run_id="three", replace=True
    )
    with sqlite3.connect(tmp_path / "crm.sqlite") as connection:
        assert connection.execute("SELECT id FROM scores").fetchall() == [("5",)]
    connection.close()


def test_a_table_with_other_columns_is_left_as_it_is(tmp_path: Path) -> None:
    """A failure half-way takes back what was removed before, and says where it was."""
    address = f"sqlite:///{tmp_path / 'crm.sqlite'}"
    write_table([make_scores(["1"])], address, "scores", tmp_path, run_id="one")
    with pytest.raises(OutputError, match=r"crm\.sqlite: .*cannot be written: .*reasons"):
        write_table(
            [make_scores(["2"]).assign(reasons="none")],
            address,
            "scores",
            tmp_path,
            run_id="one",
            replace=True,
        )
    with sqlite3.connect(tmp_path / "crm.sqlite") as connection:
        assert connection.execute("SELECT id FROM scores").fetchall() == [("1",)]
    connection.close()


def test_a_wrong_address_is_told_without_its_password(tmp_path: Path) -> None:
    """The message names the address, and not the password in it."""
    with pytest.raises(OutputError) as caught:
        write_table([], "nosuch://me:s3cret@host/db", "scores", tmp_path, run_id="")
    assert "s3cret" not in str(caught.value)
    assert "nosuch://me:***@host/db" in str(caught.value)


def test_postgres(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A table in a schema of a real PostgreSQL server is made and added to; the
    password comes from a variable.
    """
    if find_postgres() is None:
        pytest.skip("PostgreSQL is not installed")
    with serving_postgres() as address:
        monkeypatch.setenv("SCORES_PASSWORD", POSTGRES_PASSWORD)
        hidden = address.replace(POSTGRES_PASSWORD, "${SCORES_PASSWORD}")
        engine = sa.create_engine(address.replace("postgresql://", "postgresql+psycopg://"))
        with engine.begin() as connection:
            connection.execute(sa.text("CREATE SCHEMA crm"))
        for run_id in ("one", "two", "two"):
            write_table(
                [make_scores(["1", "2"], run_id)], hidden, "crm.scores", tmp_path, run_id=run_id
            )
        with engine.connect() as connection:
            rows = connection.execute(
                sa.text("SELECT run_id, count(*) FROM crm.scores GROUP BY 1 ORDER BY 1")
            ).all()
        engine.dispose()
        assert [tuple(row) for row in rows] == [("one", 2), ("two", 2)]
        with pytest.raises(OutputError) as caught:
            write_table([], hidden.replace("crm:", "nobody:"), "scores", tmp_path, run_id="")
        assert POSTGRES_PASSWORD not in str(caught.value)
