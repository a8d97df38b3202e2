"""What is normal is learned from tables, and what differs from it stops the run or is told."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import deviations
import normal
import stagekit
from accepted import Accepted, Tolerance, render_schema
from encoded import Table, encode_table
from params import Column
from quality import Rule
from relations import Relation

FACTS = {
    "id": Column(type="id"),
    "plan": Column(),
    "price": Column(type="number"),
    "day": Column(type="date"),
    "number": Column(type="number"),
    "mail": Column(),
}
RELATION = Relation(1000, ("id",), repeated=5)


def make_frame(rows: int = 1000) -> pd.DataFrame:
    """Return a raw table with codes, prices, days, an account number and an address that all rows differ in."""
    place = np.arange(rows)
    return pd.DataFrame(
        {
            "id": [f"c{number}" for number in place],
            "plan": np.where(place % 4 == 0, "plus", "basic"),
            "price": (20 + place % 37 / 2).astype(str),
            "day": "2024-01-01",
            "number": (70_000 + place).astype(str),
            "mail": [f"{number}@example.org" for number in place],
        }
    ).astype("str")


def encode(frame: pd.DataFrame, facts: dict[str, Column] = FACTS) -> Table:
    """Encode a table by its own columns."""
    return encode_table(frame, {name: facts.get(str(name), Column()) for name in frame})


def learn(frame: pd.DataFrame, relation: Relation = RELATION) -> Accepted:
    """Learn what is normal from one table."""
    return normal.learn_schema("Tiny", {"t": encode(frame)}, {"t": relation})


def check(schema: Accepted, table: Table, relation: Relation = RELATION) -> list[Rule]:
    """Return the rules that do not simply hold."""
    return [rule for rule in normal.check_schema(schema, {"t": table}, {"t": relation}) if rule.verdict != "holds"]


def test_what_is_learned_of_each_type() -> None:
    """Codes, ranges, shares of missing values and keys; of dates only that they are dates, of ids nothing."""
    frame = make_frame()
    frame.loc[:99, "plan"] = ""
    learned = learn(frame).tables["t"]
    assert (learned.rows, learned.key, learned.repeated, learned.known_customers) == (1000, ["id"], 0.005, None)
    told = {name: column.model_dump(exclude_defaults=True) for name, column in learned.columns.items()}
    assert told == {
        "id": {"type": "id"},
        "plan": {"type": "category", "missing": 0.1, "values": ["basic", "plus"]},
        "price": {"type": "number", "min": 20.0, "max": 38.0},
        "day": {"type": "date"},
        "number": {"type": "number", "unique": True},
        "mail": {"type": "category", "unique": True},
    }


def test_names_are_not_listed() -> None:
    """Of a column with few rows a value, or with many values, no value gets into the file."""
    names = [f"name {number % 60}" for number in range(1000)]
    few = make_frame(100).assign(plan=[f"name {number % 20}" for number in range(100)])
    assert learn(make_frame().assign(plan=names)).tables["t"].columns["plan"].values is None
    assert learn(few).tables["t"].columns["plan"].values is None


def test_measured_numbers_are_no_key() -> None:
    """Whole numbers of a wide range differ by chance, and fractions name nobody."""
    spread = (np.arange(1000) * 7919 % 10_000_019).astype(str)
    assert not learn(make_frame().assign(number=spread)).tables["t"].columns["number"].unique
    assert not learn(make_frame().assign(number=(np.arange(1000) / 8).astype(str))).tables["t"].columns["number"].unique
    assert not learn(make_frame(50)).tables["t"].columns["mail"].unique


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
        ("plan", "weekly", 1, "told", "'has accepted values only' is broken by 1 of 1,000 (0.10%)"),
        ("plan", "weekly", 100, "FAILED", ": 'weekly' (100)"),
        ("price", "999", 1, "told", "'is in the accepted range, 20 to 38' is broken by 1 of 1,000"),
        ("price", "-1", 100, "FAILED", ": -1 (100)"),
        ("price", "", 100, "FAILED", "'is missing no more often than accepted (0.00%)' is broken by 100 of 1,000"),
        ("number", "70999", 100, "FAILED", "'is unique, as accepted' is broken by 100 of 1,000"),
    ],
)
def test_a_changed_column_is_told_or_stops_the_run(column: str, value: str, rows: int, verdict: str, told: str) -> None:
    """Single new values are told with an example, many stop the run; each with its numbers."""
    (rule,) = check(learn(make_frame()), encode(spoil(make_frame(), column, value, rows)))
    assert (rule.verdict, rule.accepted) == (verdict, True)
    assert told in str(rule)


def test_a_few_missing_values_are_no_news() -> None:
    """Within the tolerance a share of missing values is not told of; drift says how it moved."""
    assert check(learn(make_frame()), encode(spoil(make_frame(), "price", "", 20))) == []


def test_a_new_largest_number_is_no_news() -> None:
    """A few numbers just outside of the range are not told of; one far away is, and many are."""
    schema = learn(make_frame())
    assert check(schema, encode(spoil(make_frame(), "price", "40", 3))) == []
    assert [rule.verdict for rule in check(schema, encode(spoil(make_frame(), "price", "48", 1)))] == ["told"]
    assert [rule.verdict for rule in check(schema, encode(spoil(make_frame(), "price", "40", 15)))] == ["told"]


def test_a_column_that_is_mostly_missing_has_seen_few_values() -> None:
    """What chance explains depends on the values that were there, not on the rows."""
    sparse = make_frame()
    sparse.loc[50:, "price"] = ""
    assert check(learn(sparse), encode(spoil(sparse, "price", "40", 5))) == []
    assert not check(learn(make_frame()), encode(spoil(make_frame(), "price", "40", 100)))[0].passed


def test_a_tolerance_decides() -> None:
    """The same table holds with a larger tolerance of the column, and fails with a smaller one of the file."""
    schema, table = learn(make_frame()), encode(spoil(make_frame(), "price", "999", 60))
    assert [rule.verdict for rule in check(schema, table)] == ["FAILED"]
    columns = dict(schema.tables["t"].columns)
    columns["price"] = columns["price"].model_copy(update={"tolerance": Tolerance(out_of_range=0.5)})
    lenient = schema.model_copy(update={"tables": {"t": schema.tables["t"].model_copy(update={"columns": columns})}})
    assert [rule.verdict for rule in check(lenient, table)] == ["told"]
    strict = lenient.model_copy(update={"tolerance": Tolerance(missing=0.0)})
    assert "FAILED" in [rule.verdict for rule in check(strict, encode(spoil(make_frame(), "price", "", 60)))]


def test_who_widens_the_codes_in_params_knows_it() -> None:
    """A code that params.yaml names is no new value."""
    table = encode(
        spoil(make_frame(), "plan", "weekly", 500), FACTS | {"plan": Column(values=["basic", "plus", "weekly"])}
    )
    assert check(learn(make_frame()), table) == []


def test_another_type_stops_the_run_with_the_texts_at_fault() -> None:
    """A number that was taken for a category names what is no number; nothing else is said of the column."""
    frame = spoil(make_frame(), "price", "unknown", 3)
    (rule,) = check(learn(make_frame()), encode(frame, FACTS | {"price": Column()}))
    broken = "t.price: 'is still a number' is broken by 3 of 1,000 (0.30%), allowed 0.00%"
    assert str(rule) == f"{broken}; it is a category now: 'unknown' (3)"
    (rule,) = check(learn(make_frame()), encode(make_frame().assign(plan="1"), FACTS | {"plan": Column(type="number")}))
    assert str(rule).startswith("t.plan: 'is still a category' is broken by 1,000 of 1,000")


def test_columns_and_tables_that_came_or_went() -> None:
    """What is gone of a table stops the run; what came, and a table that params.yaml no longer names, is told."""
    frame = make_frame().drop(columns="price").assign(note="x")
    found = {(rule.place, rule.verdict) for rule in check(learn(make_frame()), encode(frame))}
    assert found == {("t.price", "FAILED"), ("t.note", "told")}
    rules = normal.check_schema(learn(make_frame()), {"u": encode(make_frame())}, {"u": RELATION})
    assert {(rule.place, rule.rule, rule.verdict) for rule in rules} == {
        ("t", "is still a source", "told"),
        ("u", "was there when this was accepted", "told"),
    }


def test_fewer_rows_than_half_stop_the_run() -> None:
    """As an export that broke off has; more rows are no fault."""
    (rule,) = check(learn(make_frame()), encode(make_frame(499)))
    assert str(rule) == "t: at least 500 rows, of 1,000 accepted: found 499"
    assert check(learn(make_frame()), encode(make_frame(5000)), Relation(5000, ("id",), repeated=25)) == []


def test_keys_and_relations_are_compared() -> None:
    """A key that repeats, rows of unknown customers, customers without a row, and another key."""
    normally = Relation(1000, ("id",), 5, owned=1000, orphans=10, customers=2000, lacking=1000)
    schema = normal.learn_schema(
        "Tiny", {"first": encode(make_frame()), "t": encode(make_frame())}, {"first": RELATION, "t": normally}
    )
    tables = {"first": encode(make_frame()), "t": encode(make_frame())}

    def broken(**now: object) -> list[str]:
        relations = {"first": RELATION, "t": replace(normally, **now)}  # type: ignore[arg-type]
        rules = normal.check_schema(schema, tables, relations)
        return [f"{rule.place}: {rule.rule}" for rule in rules if not rule.passed]

    assert broken() == []
    assert broken(repeated=200) == ["t.id: repeats no more often than accepted (0.50%)"]
    assert broken(orphans=200) == ["t: rows have a customer in the first table, as accepted (99.00%)"]
    assert broken(lacking=1400) == ["t: customers of the first table have a row, as accepted (50.00%)"]
    assert broken(lacking=100, orphans=0, repeated=0) == []
    assert broken(key=("id", "day")) == ["t.id: is still the key"]


def test_what_chance_explains_is_allowed() -> None:
    """The fewer rows there are, the more may differ; four standard errors of the difference."""
    assert deviations._allow(0.3, 0.05, 200, 200) > 0.5 > deviations._allow(0.3, 0.05, 20_000, 20_000) > 0.35
    assert deviations._allow(0.3, 0.05, 10_000_000, 10_000_000) == pytest.approx(0.3508, abs=1e-4)
    assert deviations._allow(0.9, 0.5, 10, 10) == 1.0


def test_a_state_is_learned_once(tmp_path) -> None:  # type: ignore[no-untyped-def]
    """Only what is not there is written; a schema that is wrong ends the stage with its message."""
    profile = {"name": "Tiny", "label": {}, "tables": {"t": {}}}
    schema = learn(make_frame())
    assert normal.State.read(tmp_path, "Tiny").learn(schema, profile) == ["schema.yaml", "profile.json"]
    state = normal.State.read(tmp_path, "Tiny")
    assert (state.schema.tables if state.schema else None, state.profile) == (schema.tables, profile)
    assert state.learn(schema, profile) == []
    (tmp_path / "tiny/profile.json").unlink()
    assert normal.State.read(tmp_path, "Tiny").learn(learn(make_frame(500)), profile) == ["profile.json"]
    assert (tmp_path / "tiny/schema.yaml").read_text(encoding="utf-8") == render_schema(schema)
    (tmp_path / "tiny/schema.yaml").write_text("name: Tiny\ntable: {}\n")
    with pytest.raises(stagekit.ParameterError, match=r"table: unknown key; did you mean 'tables'\?"):
        normal.State.read(tmp_path, "Tiny")
