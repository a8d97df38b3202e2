"""What differs from the baseline stops the run or is told."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from churn.baseline import BaselineSchema, Tolerance, learning
from churn.params import Column
from churn.tables.encoded import Table
from churn.tables.relations import Relation, Relations
from churn.validation import baseline_rules
from churn.validation.rules import Rule
from helpers.baselines import FACTS, RELATION, encode, learn, make_frame

LIMITS = baseline_rules.Limits(standard_errors=4, far=0.5)


def compare(schema: BaselineSchema, tables: Mapping[str, Table], links: Relations) -> list[Rule]:
    """Return the rules of columns and of sizes."""
    return [
        *baseline_rules.check_columns(schema, tables, links, LIMITS),
        *baseline_rules.check_sizes(schema, tables, links, LIMITS),
    ]


def check(schema: BaselineSchema, table: Table, relation: Relation = RELATION) -> list[Rule]:
    """Return the rules that do not simply hold."""
    return [
        rule for rule in compare(schema, {"t": table}, {"t": relation}) if rule.verdict != "holds"
    ]


def test_the_same_data_breaks_no_rule() -> None:
    """Neither the very rows nor others of the same kind differ from what was learned."""
    schema = learn(make_frame())
    assert check(schema, encode(make_frame())) == []
    rng = np.random.default_rng(7)
    drawn = make_frame().sample(1000, random_state=7).reset_index(drop=True)
    drawn["price"] = rng.choice(np.append(drawn["price"], ["19.5", "38.5"]), 1000)
    assert check(schema, encode(drawn)) == []


def spoil(frame: pd.DataFrame, column: str, value: str, rows: int) -> pd.DataFrame:
    """Write a value into the first rows of a column."""
    spoilt = frame.copy()
    spoilt.loc[: rows - 1, column] = value
    return spoilt


@pytest.mark.parametrize(
    ("column", "value", "rows", "verdict", "told"),
    [
        (
            "plan",
            "weekly",
            1,
            "told",
            r"values.* 1 of 1,000 \(0\.10%\).*'weekly' \(1\)",
        ),
        ("plan", "weekly", 100, "FAILED", r"'weekly' \(100\)"),
        (
            "price",
            "999",
            1,
            "told",
            r"\b20 to 38\b.* 1 of 1,000 ",
        ),
        ("price", "-1", 100, "FAILED", r" -1 \(100\)"),
        (
            "price",
            "",
            100,
            "FAILED",
            r"missing.*\(0\.00%\).* 100 of 1,000 ",
        ),
        (
            "number",
            "70999",
            100,
            "FAILED",
            r"unique.* 100 of 1,000 ",
        ),
    ],
)
def test_a_changed_column_is_told_or_stops_the_run(
    column: str, value: str, rows: int, verdict: str, told: str
) -> None:
    """Single new values are told with an example, many stop the run; each with its numbers."""
    (rule,) = check(learn(make_frame()), encode(spoil(make_frame(), column, value, rows)))
    assert (rule.verdict, rule.baseline) == (verdict, True)
    assert rule.place == f"t.{column}"
    assert re.search(told, str(rule))


def test_a_few_missing_values_are_no_news() -> None:
    """Within the tolerance a share of missing values is not told of; drift says how it moved."""
    assert check(learn(make_frame()), encode(spoil(make_frame(), "price", "", 20))) == []


def test_a_new_largest_number_is_no_news() -> None:
    """A few numbers just outside of the range are not told of; one far away is, and many are."""
    schema = learn(make_frame())
    assert check(schema, encode(spoil(make_frame(), "price", "40", 3))) == []
    assert [
        rule.verdict for rule in check(schema, encode(spoil(make_frame(), "price", "48", 1)))
    ] == ["told"]
    assert [
        rule.verdict for rule in check(schema, encode(spoil(make_frame(), "price", "40", 15)))
    ] == ["told"]


def test_a_column_that_is_mostly_missing_has_seen_few_values() -> None:
    """What chance explains depends on the values that were there, not on the rows."""
    sparse = make_frame()
    sparse.loc[50:, "price"] = ""
    assert check(learn(sparse), encode(spoil(sparse, "price", "40", 5))) == []
    assert not check(learn(make_frame()), encode(spoil(make_frame(), "price", "40", 100)))[0].passed


def test_a_tolerance_decides() -> None:
    """The same table holds with a larger tolerance of the column, and fails with a
    smaller one of the file.
    """
    schema, table = learn(make_frame()), encode(spoil(make_frame(), "price", "999", 60))
    assert [rule.verdict for rule in check(schema, table)] == ["FAILED"]
    columns = dict(schema.tables["t"].columns)
    columns["price"] = columns["price"].model_copy(
        update={"tolerance": Tolerance(out_of_range=0.5)}
    )
    lenient = schema.model_copy(
        update={"tables": {"t": schema.tables["t"].model_copy(update={"columns": columns})}}
    )
    assert [rule.verdict for rule in check(lenient, table)] == ["told"]
    strict = lenient.model_copy(update={"tolerance": Tolerance(missing=0.0)})
    assert "FAILED" in [
        rule.verdict for rule in check(strict, encode(spoil(make_frame(), "price", "", 60)))
    ]


def test_who_widens_the_codes_in_params_knows_it() -> None:
    """A code that params.yaml names is no new value."""
    table = encode(
        spoil(make_frame(), "plan", "weekly", 500),
        FACTS | {"plan": Column(values=["basic", "plus", "weekly"])},
    )
    assert check(learn(make_frame()), table) == []


def test_another_type_stops_the_run_with_the_texts_at_fault() -> None:
    """A number that was taken for a category names what is no number; nothing else is
    said of the column.
    """
    frame = spoil(make_frame(), "price", "unknown", 3)
    (rule,) = check(learn(make_frame()), encode(frame, FACTS | {"price": Column()}))
    assert (rule.place, rule.checked, rule.failed, rule.threshold) == ("t.price", 1000, 3, 0.0)
    assert re.search(r"number.*\b3 of 1,000\b.*category.*'unknown' \(3\)", str(rule))
    (rule,) = check(
        learn(make_frame()),
        encode(make_frame().assign(plan="1"), FACTS | {"plan": Column(type="number")}),
    )
    assert (rule.place, rule.checked, rule.failed) == ("t.plan", 1000, 1000)
    assert "category" in rule.rule


def test_columns_and_tables_that_came_or_went() -> None:
    """What is gone of a table stops the run; what came, and a table that params.yaml no
    longer names, is told.
    """
    frame = make_frame().drop(columns="price").assign(note="x")
    found = {(rule.place, rule.verdict) for rule in check(learn(make_frame()), encode(frame))}
    assert found == {("t.price", "FAILED"), ("t.note", "told")}
    rules = compare(learn(make_frame()), {"u": encode(make_frame())}, {"u": RELATION})
    assert {(rule.place, rule.rule, rule.verdict) for rule in rules} == {
        ("t", "is still a source", "told"),
        ("u", "is in the baseline", "told"),
    }


def test_fewer_rows_than_half_stop_the_run() -> None:
    """As an export that broke off has; more rows are no fault."""
    (rule,) = check(learn(make_frame()), encode(make_frame(499)))
    assert not rule.passed
    assert re.search(r"^t: .*\b500 rows\b.*\b1,000\b.*\b499\b", str(rule))
    assert (
        check(learn(make_frame()), encode(make_frame(5000)), Relation(5000, ("id",), repeated=25))
        == []
    )


def test_keys_and_relations_are_compared() -> None:
    """A key that repeats, rows of unknown customers, customers without a row, and another key."""
    normally = Relation(1000, ("id",), 5, owned=1000, orphans=10, customers=2000, lacking=1000)
    schema = learning.learn_schema(
        "Tiny",
        {"first": encode(make_frame()), "t": encode(make_frame())},
        {"first": RELATION, "t": normally},
    )
    tables = {"first": encode(make_frame()), "t": encode(make_frame())}

    def broken(**now: object) -> str:
        relations = {"first": RELATION, "t": replace(normally, **now)}  # type: ignore[arg-type]
        rules = compare(schema, tables, relations)
        return ", ".join(f"{rule.place}: {rule.rule}" for rule in rules if not rule.passed)

    assert broken() == ""
    assert re.fullmatch(r"t\.id: repeats[^,]*\(0\.50%\)", broken(repeated=200))
    assert re.fullmatch(r"t: rows .*\(99\.00%\)", broken(orphans=200))
    assert re.fullmatch(r"t: customers .*\(50\.00%\)", broken(lacking=1400))
    assert broken(lacking=100, orphans=0, repeated=0) == ""
    assert broken(key=("id", "day")) == "t.id: is still the key"


def test_what_chance_explains_is_allowed() -> None:
    """The fewer rows there are, the more may differ; four standard errors of the difference."""
    assert (
        baseline_rules._allow(0.3, 0.05, (200, 200), LIMITS)
        > 0.5
        > baseline_rules._allow(0.3, 0.05, (20_000, 20_000), LIMITS)
        > 0.35
    )
    assert baseline_rules._allow(0.3, 0.05, (10_000_000, 10_000_000), LIMITS) == pytest.approx(
        0.3508, abs=1e-4
    )
    assert baseline_rules._allow(0.9, 0.5, (10, 10), LIMITS) == 1.0


def test_without_a_baseline_there_is_no_rule() -> None:
    """The first data of its kind is compared with nothing."""
    tables, links = {"t": encode(make_frame())}, {"t": RELATION}
    assert baseline_rules.check_columns(None, tables, links, LIMITS) == []
    assert baseline_rules.check_sizes(None, tables, links, LIMITS) == []


def test_a_column_that_nobody_asks_for_is_no_news() -> None:
    """Neither where it is gone nor where it is there, once the baseline is taken without it."""
    schema = learn(make_frame()).model_copy()
    columns = {name: of for name, of in schema.tables["t"].columns.items() if name != "price"}
    less = schema.model_copy(
        update={"tables": {"t": schema.tables["t"].model_copy(update={"columns": columns})}}
    )
    for frame in (make_frame(), make_frame().drop(columns="price")):
        tables = {"t": encode(frame)}
        found = baseline_rules.check_columns(
            less, tables, {"t": RELATION}, LIMITS, {"t": {"price"}}
        )
        assert {rule.verdict for rule in found} == {"holds"}
