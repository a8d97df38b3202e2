"""What a label may say: an empty one, one from inactivity, and what they need."""

from __future__ import annotations

import datetime
from pathlib import Path

import pytest

from churn.params import InactivityLabel, ParameterError, Params, load_params

FILE = """\
name: Company
customer_id: id
as_of: 2024-03-01
label: LABEL
sources:
  crm: {file: a.csv, columns: {gone: {values: ['0', '1']}, end: {type: date, none: ['No']}}}
  orders: {file: b.csv, many: true, time: day}
  notes: {file: c.csv, many: true}
"""


def load(folder: Path, label: str, text: str = FILE) -> Params:
    """Load a params file with a label."""
    (folder / "params.yaml").write_text(text.replace("LABEL", label))
    return load_params(folder / "params.yaml")


def refuse(folder: Path, label: str, text: str = FILE) -> str:
    """Return the message with which a params file is refused."""
    with pytest.raises(ParameterError) as caught:
        load(folder, label, text)
    return str(caught.value)


def test_inactivity_looks_back_as_far_as_ahead(tmp_path: Path) -> None:
    """Unless the label says otherwise; no column of a customer holds the answer."""
    label = load(tmp_path, "{table: orders, inactive_days: 90}").label
    assert isinstance(label, InactivityLabel)
    assert (label.days_before, label.horizon_days, label.columns) == (90, 90, [])
    assert label.last_day(datetime.date(2024, 3, 1)) == datetime.date(2024, 5, 29)
    label = load(tmp_path, "{table: orders, inactive_days: 90, active_days: 365}").label
    assert isinstance(label, InactivityLabel)
    assert label.days_before == 365


@pytest.mark.parametrize("label", ["", "{}", "null"])
def test_an_empty_label_names_its_candidates(tmp_path: Path, label: str) -> None:
    """Columns of two values, dates that some lack, and tables with many rows and a time."""
    told = refuse(tmp_path, label)
    assert "label: it is empty: name the answer" in told
    for candidate in (
        "{column: gone, positive: 1}",
        "{end_date: end, horizon_days: 90}",
        "{table: orders, inactive_days: 90}",
    ):
        assert candidate in told
    assert "notes" not in told


def test_a_missing_label_is_an_empty_one(tmp_path: Path) -> None:
    """Both are told with all other problems."""
    told = refuse(tmp_path, "", FILE.replace("label: LABEL\n", "").replace("as_of", "asof"))
    assert "name the answer" in told
    assert "asof: unknown key" in told


@pytest.mark.parametrize(
    ("label", "told"),
    [
        ("{table: ordrs, inactive_days: 9}", "did you mean 'orders'"),
        ("{table: notes, inactive_days: 9}", "sources.notes needs `many: true` and `time`"),
        ("{table: orders, inactive_days: 0}", "label.table.inactive_days"),
        ("{table: orders, inactive_days: 9999999999999}", "label.table.inactive_days"),
        ("{table: orders, inactive_days: 9, active_days: 99999}", "label.table.active_days"),
        ("{table: orders, inactiv_days: 9}", "did you mean 'inactive_days'"),
        ("{end_dte: end, horizon_days: 9}", "did you mean 'end_date'"),
        ("{yes: no}", "needs `column`, `end_date` or `table`"),
    ],
)
def test_what_a_label_needs(tmp_path: Path, label: str, told: str) -> None:
    """Only the kind that is meant is told of."""
    message = refuse(tmp_path, label)
    assert told in message
    assert "positive" not in message


def test_a_computed_label_needs_a_day(tmp_path: Path) -> None:
    """And inactivity a customer id: numbers of rows are no customers."""
    label = "{table: orders, inactive_days: 9}"
    without = FILE.replace("as_of: 2024-03-01\n", "")
    assert "inactivity needs `as_of`" in refuse(tmp_path, label, without)
    source = "sources: {orders: {file: b.csv, many: true, time: day}}\n"
    lone = f"name: x\nas_of: 2024-03-01\nlabel: LABEL\n{source}"
    assert "needs `customer_id`" in refuse(tmp_path, label, lone)
    assert load(tmp_path, label, f"customer_id: id\n{lone}").sources["orders"].many


def test_only_inactivity_begins_with_many_rows(tmp_path: Path) -> None:
    """With another answer the first table has a row for each customer."""
    swapped = FILE.replace("  crm:", "  first: {file: d.csv, many: true, time: day}\n  crm:")
    assert "sources.first" in refuse(tmp_path, "{column: gone, positive: '1'}", swapped)
    assert load(tmp_path, "{table: orders, inactive_days: 9}", swapped)
