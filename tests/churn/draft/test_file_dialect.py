"""How a file has to be read: encoding, delimiter, header, titles, sheets."""

from __future__ import annotations

import codecs
import csv
import io
from pathlib import Path

import openpyxl
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from churn.draft.file_dialect import find_layout
from churn.formats.dialects import has_header
from churn.formats.text_files import Text
from churn.params import FileSource
from helpers import one_table
from helpers.drafts import Drafting

CELLS = st.text(st.characters(codec="utf-8", exclude_categories=("C", "Z")), min_size=1, max_size=8)


@given(
    st.lists(st.lists(CELLS, min_size=4, max_size=4), min_size=6, max_size=20),
    st.sampled_from(",;\t|"),
)
def test_the_delimiter_is_found(rows: list[list[str]], delimiter: str) -> None:
    """Quoted as `csv` quotes them, any four columns come apart at the delimiter that
    they were joined with.
    """
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, lineterminator="\n", quoting=csv.QUOTE_ALL)
    writer.writerows([["one", "two", "three", "four"], *rows])
    assert find_layout(Text(text.getvalue().encode())).get("delimiter", ",") == delimiter


@pytest.mark.parametrize("delimiter", [";", "\t", "|"])
def test_decimal_commas_are_no_delimiters(delimiter: str) -> None:
    """Rows whose every number has a comma are not split at it."""
    rows = [["id", "price", "sum"], *([str(n), f"{n},5", f"{n * 3},25"] for n in range(20))]
    text = "\n".join(delimiter.join(row) for row in rows) + "\n"
    assert find_layout(Text(text.encode()))["delimiter"] == delimiter


def test_a_missing_header_is_noticed() -> None:
    """Numbers over numbers, or a text that comes again below, are data; a text over
    numbers names them.
    """
    rows = [["k1", "34", "yes"], ["k2", "35", "no"], ["k3", "31", "yes"], ["k4", "30", "no"]]
    assert not has_header(rows)
    assert has_header([["key", "age", "left"], *rows])
    assert (
        has_header(
            [
                ["2019", "2020", "name"],
                ["1", "2", "a"],
                ["3", "4", "a"],
                ["5", "6", "b"],
                ["5", "6", "b"],
            ]
        )
        is False
    )
    assert not has_header([["-1"], ["1"], ["-1"]])
    assert has_header([["only"], ["texts"], ["here"]])


def test_a_file_without_a_header_is_drafted(draft: Drafting, tmp_path: Path) -> None:
    """Its columns are numbered, and the label has to be named."""
    (bank,) = one_table.bank(tmp_path, 400)
    headless = tmp_path / "headless.csv"
    headless.write_text("".join(bank.read_text().splitlines(keepends=True)[1:]))
    drafted = draft(headless, label="column_14=1")
    (source,) = drafted.params.sources.values()
    assert isinstance(source, FileSource)
    assert not source.header
    assert drafted.params.customer_id == "column_2"
    assert "no header" in drafted.said("headless.csv:")


def test_titles_above_the_table_are_skipped(draft: Drafting, tmp_path: Path) -> None:
    """Lines above the names of the columns are counted, in text and in Excel."""
    (bank,) = one_table.bank(tmp_path, 300)
    titled = tmp_path / "titled.csv"
    titled.write_text(f"Bank of Nowhere\nas of 2024-01-01\n\n{bank.read_text()}")
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(["Bank of Nowhere"])
    for row in csv.reader(bank.open()):
        sheet.append(row)
    book.save(tmp_path / "titled.xlsx")
    for path, lines in ((titled, 3), (tmp_path / "titled.xlsx", 1)):
        drafted = draft(path)
        (source,) = drafted.params.sources.values()
        assert isinstance(source, FileSource)
        assert source.skip_rows == lines
        assert drafted.column_label.column == "Exited"


def test_two_sheets_are_two_tables(draft: Drafting, tmp_path: Path) -> None:
    """Sheets that share customers are joined like files."""
    (bank,) = one_table.bank(tmp_path, 300)
    frame = pd.read_csv(bank)
    with pd.ExcelWriter(tmp_path / "two.xlsx") as book:
        frame[["CustomerId", "Surname", "Age"]].to_excel(
            book, sheet_name="Customer Info", index=False
        )
        frame[["CustomerId", "Balance", "Exited"]].to_excel(
            book, sheet_name="Account Info", index=False
        )
    drafted = draft(tmp_path / "two.xlsx")
    assert list(drafted.params.sources) == ["account_info", "customer_info"]
    assert [
        source.sheet for source in drafted.params.sources.values() if isinstance(source, FileSource)
    ] == [
        "Account Info",
        "Customer Info",
    ]


def test_a_byte_order_mark_is_no_letter(draft: Drafting, tmp_path: Path) -> None:
    """A mark in front of the first name does not become part of it, and nothing has to
    be told of it.
    """
    (bank,) = one_table.bank(tmp_path, 300)
    bank.write_bytes(codecs.BOM_UTF8 + bank.read_bytes())
    drafted = draft(bank)
    (source,) = drafted.params.sources.values()
    assert isinstance(source, FileSource)
    assert source.encoding is None
    assert next(iter(drafted.columns())) == "RowNumber"
