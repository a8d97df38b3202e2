"""Bad values, as the flow meets them: counted, set aside with a reason, and too many of
them stop validation.
"""

from __future__ import annotations

import contextlib
import re
import sqlite3
from pathlib import Path

import pandas as pd
import pytest

from helpers.bad_inputs import CUSTOMERS, FACTS, PARAMS, Runs, as_csv, customers, make_project

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("bad values")]

DESCRIBED = (
    "  crm:\n    file: customers.csv\n    columns:\n      fee: {type: number}\n      begun: "
    "{type: date}\n"
    '      plan: {values: [basic, plus]}\n      churned: {values: ["0", "1"]}\n'
)
COUNT = 300


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose data was ingested once."""
    return make_project(tmp_path_factory.mktemp("made") / "project")


@pytest.fixture
def runs(made: Path, tmp_path: Path, prefect_api: dict[str, str]) -> Runs:
    """A copy of it of one's own."""
    return Runs(made, tmp_path / "project", prefect_api)


def put(column: str, *values: str, start: int = 0) -> str:
    """Return the customers as CSV, with these values in a column from some row on."""
    rows = customers(COUNT)
    place = rows[0].index(column)
    for row, value in zip(rows[1 + start :], values, strict=False):
        row[place] = value
    return as_csv(rows)


def validate(runs: Runs, data: str, facts: str = DESCRIBED) -> None:
    """Ingest and validate; both complete."""
    runs.write(data, facts)
    outcome = runs.execute("validation")
    assert outcome.code == 0, outcome.said[-3000:]


MANY = {
    "a renamed column": (
        put("id").replace("plan", "tarif", 1),
        DESCRIBED,
        r"crm: no column 'plan'",
    ),
    "a misspelt description": (
        put("id"),
        DESCRIBED.replace("plan:", "plann:"),
        r"no column 'plann'; did you mean 'plan'\?",
    ),
    "no customer id": (put("id").replace("id,", "customer,", 1), CUSTOMERS, r"crm: no column 'id'"),
    "no label": (
        put("id").replace("churned", "churn", 1),
        "  crm: {file: customers.csv}\n",
        r"no table has the column 'churned'; did you mean 'churn'\?",
    ),
    "infinite numbers and words": (
        put("fee", *["inf", "-inf", "a lot", "NaN"] * 10),
        DESCRIBED,
        r"fee.*is a number.*40 of 300",
    ),
    "blanks": (put("fee", *[" "] * 40), DESCRIBED, r"fee.*is present.*40 of 300"),
    "a number with a decimal comma": (
        put("fee", *['"12,5"'] * 40),
        DESCRIBED,
        r"fee.*is a number.*40 of 300",
    ),
    "mixed, far and impossible dates": (
        put("begun", *["9999-12-31", "31/12/2020", "2020-02-30", "2150-01-01"] * 10),
        DESCRIBED,
        r"begun.*is a date.*1900-01-01 to 2100-01-01.*40 of 300",
    ),
    "unknown codes": (
        put("plan", *["gold"] * 40),
        DESCRIBED,
        r"plan.*is one of: basic, plus.*40 of 300",
    ),
    "no answer at all": (put("churned", *[""] * COUNT), CUSTOMERS, r"churned.*300 of 300.*found 0"),
    "one class": (
        put("churned", *["0"] * COUNT),
        CUSTOMERS,
        r"churned.*at least 10 customers who churn.*found 0.*0 300",
    ),
    "one row": (as_csv(customers(1)), CUSTOMERS, r"at least 100 rows.*found 1"),
    "duplicate rows": (
        put("id") + as_csv(customers(COUNT)[1:41]),
        CUSTOMERS,
        r"crm\.id.*40 of 340",
    ),
    "conflicting rows": (
        put("id") + as_csv([[*row[:2], "1.23", *row[3:]] for row in customers(COUNT)[1:41]]),
        CUSTOMERS,
        r"crm\.id.*40 of 340",
    ),
}


@pytest.mark.parametrize("case", MANY)
def test_many_bad_values_stop_validation(runs: Runs, case: str) -> None:
    """The rule, the column and the counts; nothing is written."""
    data, facts, message = MANY[case]
    runs.write(data, facts)
    assert re.search(message, runs.execute("validation").stopped_in("validation"))
    assert not (runs.root / "data/validated").exists()


def test_many_bad_values_stop_the_flow(runs: Runs) -> None:
    """The output says the same, and nothing is trained."""
    data, facts, message = MANY["unknown codes"]
    runs.write(data, facts)
    outcome = runs.run()
    assert re.search(message, outcome.stopped_in("validation"))
    assert outcome.record
    assert {entry.status for entry in outcome.record.stages[2:]} == {"not_run"}


def test_few_bad_values_are_set_aside_with_their_reason(runs: Runs) -> None:
    """Grouped numbers are read, infinite ones and far dates set aside; blanks are left
    to the model's imputation.
    """
    rows = customers(COUNT)
    for row, (column, value) in zip(
        rows[1:], [(2, "inf"), (2, "1,234"), (2, " "), (3, "9999-12-31")], strict=False
    ):
        row[column] = f'"{value}"'
    validate(runs, as_csv(rows))
    aside = pd.read_parquet(runs.root / "data/validated/quarantine/crm.parquet")
    assert aside["id"].tolist() == ["C0000", "C0003"]
    assert re.search(r"fee = 'inf' .*\bnumber\b", aside["reason"].iloc[0])
    assert re.search(r"begun = '9999-12-31' .*\bdate\b", aside["reason"].iloc[1])
    assert len(pd.read_parquet(runs.root / "data/validated/crm.parquet")) == COUNT - 2


def test_an_extra_column_and_odd_ids_go_through(runs: Runs) -> None:
    """A column that nobody described is taken; ids such as `NA` and `007` are whole
    texts behind validation.
    """
    rows = customers(COUNT)
    odd = ["NA", "null", "007", "12345678901234567890", "12345678901234567891", "7"]
    for row, name in zip(rows[1:], odd, strict=False):
        row[0] = name
    validate(runs, as_csv([[*row, "x" if place else "extra"] for place, row in enumerate(rows)]))
    valid = pd.read_parquet(runs.root / "data/validated/crm.parquet")
    assert valid["id"].tolist()[:6] == odd
    assert (valid["extra"] == "x").all()


def test_few_duplicates_are_resolved_by_rule(runs: Runs) -> None:
    """Behind preparation each customer has one row, of contradicting ones the last
    received; the report names them.
    """
    later = [[*row[:2], "1.25", *row[3:]] for row in customers(COUNT)[1:4]]
    validate(runs, put("id") + as_csv(later) + as_csv(customers(COUNT)[9:12]))
    outcome = runs.execute("preparation")
    assert outcome.code == 0, outcome.said[-3000:]
    (table,) = (path for path in (runs.root / "data/prepared").glob("*.parquet"))
    prepared = pd.read_parquet(table).set_index("id")
    assert len(prepared) == COUNT
    assert prepared.loc[["C0000", "C0001", "C0002"], "fee"].tolist() == [1.25] * 3
    assert outcome.record
    folder = runs.root / "outputs/runs" / outcome.record.run_id
    assert "C0001" in (folder / "03_preparation.html").read_text(encoding="utf-8")


def test_ids_that_are_written_otherwise_are_orphans(runs: Runs) -> None:
    """`C7` is not `C0007`: the share of rows that find their customer stops the run,
    with the counts.
    """
    rows = [["id", "calls"], *([f"C{number}", "3"] for number in range(COUNT))]
    (runs.root / "usage.csv").write_text(as_csv(rows))
    runs.write(put("id"), f"{CUSTOMERS}  usage: {{file: usage.csv}}\n")
    error = runs.execute("validation").stopped_in("validation")
    assert re.search(r"usage\.id: .*customer of crm.*\b300 of 300\b", error)


def test_numbers_of_a_database_meet_texts_of_a_file(runs: Runs) -> None:
    """A whole number in one table and a text in the other are the same customer: keys
    are texts before they meet.
    """
    rows = customers(COUNT)
    for number, row in enumerate(rows[1:]):
        row[0] = str(number)
    with contextlib.closing(sqlite3.connect(runs.root / "usage.sqlite")) as database:
        database.execute("create table usage (id integer, calls real)")
        database.executemany(
            "insert into usage values (?, ?)", [(number, 3.0) for number in range(COUNT)]
        )
        database.commit()
    facts = f"{CUSTOMERS}  usage: {{database: 'sqlite:///usage.sqlite', table: usage}}\n"
    validate(runs, as_csv(rows), facts=facts)
    valid = pd.read_parquet(runs.root / "data/validated/usage.parquet")
    assert valid["id"].tolist() == [str(number) for number in range(COUNT)]
    assert set(valid["calls"]) == {"3"}
    assert (runs.root / PARAMS).read_text() == FACTS + facts
