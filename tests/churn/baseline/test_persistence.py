"""The files of the accepted state: read, written, renewed, and what is said when they are wrong."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from churn.baseline import (
    Baseline,
    BaselineColumn,
    BaselineError,
    BaselineSchema,
    BaselineTable,
    describe_changes,
    read_importance,
    read_profile,
    read_schema,
    render_profile,
    render_schema,
    slug,
    write_new,
)

PRICE = BaselineColumn(type="number", min=18.0, max=118.75)
STATE = BaselineSchema(
    name="Tiny: company",
    tables={
        "contract": BaselineTable(
            rows=200,
            key=["id"],
            repeated=0.01,
            columns={
                "id": BaselineColumn(type="id"),
                "Type": BaselineColumn(type="category", missing=0.02, values=["Monthly", "Yearly"]),
                "Price": PRICE,
            },
        ),
        "calls": BaselineTable(
            rows=900,
            known_customers=1.0,
            customers_with_rows=0.5,
            columns={"id": BaselineColumn(type="id")},
        ),
    },
)


def change(state: BaselineSchema, table: str, **columns: BaselineColumn | None) -> BaselineSchema:
    """Return a state with other columns in one table; None takes a column away."""
    kept = {**state.tables[table].columns, **columns}
    renewed = {name: column for name, column in kept.items() if column}
    tables = {**state.tables, table: state.tables[table].model_copy(update={"columns": renewed})}
    return state.model_copy(update={"tables": tables})


def write(folder: Path, text: str) -> Path:
    """Write a schema file."""
    (folder / "schema.yaml").write_text(text, encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Sample telecom company (synthetic)", "sample-telecom-company-synthetic"),
        ("Société Générale / Kunden", "societe-generale-kunden"),
        ("../../etc/passwd", "etc-passwd"),
        ("客户", "data-ad4af312"),
    ],
)
def test_the_folder_of_a_data_set(name: str, expected: str) -> None:
    """Its name in plain letters; a hash where nothing is left of it."""
    assert slug(name) == expected


def test_the_file_is_one_line_a_column(tmp_path: Path) -> None:
    """Numbers are without a needless fraction, codes such as Yes and 0 stay texts, and
    it reads back as it was.
    """
    state = change(
        STATE,
        "contract",
        Senior=BaselineColumn(type="category", values=["0", "1", "Yes", "null", ""]),
    )
    text = render_schema(state)
    columns = dict(re.findall(r"^ +(\w+): ({.*})$", text, re.MULTILINE))
    assert columns["Price"].endswith("min: 18, max: 118.75}")
    assert columns["Senior"].endswith("values: ['0', '1', Yes, 'null', '']}")
    assert read_schema(write(tmp_path, text), "Tiny: company") == state.model_copy(
        update={"tolerance": read_schema(tmp_path, "Tiny: company").tolerance}  # type: ignore[union-attr]
    )
    assert render_schema(state, text) == text


NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)


@settings(max_examples=50)
@given(NAMES, st.dictionaries(NAMES, st.lists(NAMES, max_size=4) | NUMBERS, max_size=4), NAMES)
def test_any_name_and_value_reads_back(
    name: str, columns: dict[str, list[str] | float], table: str
) -> None:
    """Whatever a company calls its columns and codes, the file says the same, also
    after it was renewed.
    """
    described = {
        column: BaselineColumn(type="category", values=of)
        if isinstance(of, list)
        else BaselineColumn(type="number", min=of, max=of)
        for column, of in columns.items()
    }
    state = BaselineSchema(name=name, tables={table: BaselineTable(rows=1, columns=described)})
    text = render_schema(state)
    for one in (text, render_schema(state, text)):
        read = BaselineSchema.model_validate(YAML(typ="safe", pure=True).load(one))
        assert (read.name, read.tables) == (state.name, state.tables)


def test_renewing_keeps_what_the_analyst_wrote() -> None:
    """Tolerances, comments and the order stay; facts become the new ones; what is gone goes."""
    mine = render_schema(STATE).replace("missing: 0.05  ", "missing: 0.2   ")
    mine = mine.replace(
        "min: 18, max: 118.75}", "min: 18, max: 500, tolerance: {out_of_range: 0.3}}  # mine"
    )
    mine = mine.replace("    rows: 200\n", "    rows: 200\n    tolerance: {fewer_rows: 0.9}\n")
    now = change(
        STATE,
        "contract",
        Price=BaselineColumn(type="number", min=1, max=120),
        Type=None,
        Note=PRICE,
    )
    text = render_schema(now, mine)
    assert "missing: 0.2   " in text
    assert "tolerance: {fewer_rows: 0.9}" in text
    assert re.search(r" Price: {.*min: 1, max: 120, tolerance: {out_of_range: 0\.3}}", text)
    assert "# mine" in text
    assert re.search(r" Note: {.*min: 18, max: 118\.75}", text)
    assert "Monthly" not in text


def test_a_tolerance_is_the_columns_own_the_tables_or_the_files(tmp_path: Path) -> None:
    """Each overrides those above it; a line that was deleted from the top is the default again."""
    text = render_schema(STATE).replace("  fewer_rows: 0.5", "  #")
    text = text.replace("max: 118.75}", "max: 118.75, tolerance: {missing: 0.3}}")
    text = text.replace("    rows: 200\n", "    rows: 200\n    tolerance: {missing: 0.1}\n")
    state = read_schema(write(tmp_path, text), STATE.name)
    assert state
    table = state.tables["contract"]
    assert [
        state.tolerance_of("missing", table, table.columns[name]) for name in ("Price", "Type")
    ] == [0.3, 0.1]
    assert state.tolerance_of("missing", state.tables["calls"]) == 0.05
    assert state.tolerance_of("fewer_rows", table) == 0.5


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("tables:", "tables: [", "is not YAML"),
        (
            "  missing: 0.05",
            "  mising: 0.05",
            r"tolerance\.mising: .*'missing'",
        ),
        (
            "max: 118.75",
            "maxi: 118.75",
            r"tables\.contract\.columns\.Price\.maxi: .*'max'",
        ),
        ("    rows: 200", "    row: 200", r"tables\.contract\.row: .*'rows'"),
        (
            "missing: 0.02",
            "missing: 2",
            r"tables\.contract\.columns\.Type\.missing: .*\b1\b",
        ),
        (
            "type: number",
            "type: text",
            r"tables\.contract\.columns\.Price\.type: .*'id', 'category'",
        ),
        (
            "name: 'Tiny: company'",
            "name: Other",
            r"'Other'.*'Tiny: company'",
        ),
    ],
)
def test_a_schema_that_is_wrong_is_told_with_its_place(
    tmp_path: Path, old: str, new: str, told: str
) -> None:
    """The message names the file, the key and the nearest one that there is."""
    text = render_schema(STATE)
    assert old in text
    with pytest.raises(BaselineError) as caught:
        read_schema(write(tmp_path, text.replace(old, new)), STATE.name)
    assert re.search(told, str(caught.value))
    assert str(tmp_path / "schema.yaml") in str(caught.value)


def test_what_is_not_there_is_empty(tmp_path: Path) -> None:
    """A data set without a state has none; files that are no JSON are told."""
    folder = tmp_path / "none"
    assert (read_schema(folder, "a"), read_profile(folder), read_importance(folder)) == (
        None,
        {},
        {},
    )
    (tmp_path / "profile.json").write_text("{")
    with pytest.raises(BaselineError, match="is not JSON"):
        read_profile(tmp_path)
    (tmp_path / "importance.json").write_text('{"Price": "much"}')
    with pytest.raises(BaselineError, match="expected a number"):
        read_importance(tmp_path)


def test_a_profile_is_a_line_a_column(tmp_path: Path) -> None:
    """So that a difference in git is one of columns; it reads back as it was."""
    profile = {"name": "Tiny", "label": {"2024-01-01": {"churned": 1, "stayed": 2}}}
    profile |= {
        "tables": {"t": {"a": {"rows": 3, "shares": [0.5, 0.5]}, "b": {"rows": 3}}, "empty": {}}
    }
    text = render_profile(profile)
    lines = [line.strip() for line in text.splitlines()]
    first = lines.index('"a": {"rows": 3, "shares": [0.5, 0.5]},')
    assert lines[first + 1] == '"b": {"rows": 3}'
    write_new(tmp_path / "new", "profile.json", text)
    assert read_profile(tmp_path / "new") == json.loads(text) == profile


def test_a_file_that_appeared_meanwhile_is_not_overwritten(tmp_path: Path) -> None:
    """Somebody else's state stays, and nothing is left beside it."""
    write_new(tmp_path, "schema.yaml", "theirs")
    with pytest.raises(BaselineError, match=r"schema\.yaml was written while"):
        write_new(tmp_path, "schema.yaml", "mine")
    assert [file.read_text() for file in tmp_path.iterdir()] == ["theirs"]


def test_changes_are_told_old_and_new() -> None:
    """A line for each table and column of which something else is normal; nothing where
    nothing changed.
    """
    now = change(
        STATE,
        "contract",
        Price=BaselineColumn(type="number", missing=0.1, min=18, max=131.2),
        Type=BaselineColumn(type="category", missing=0.02, values=["Monthly", "Weekly"]),
        id=None,
        Note=BaselineColumn(type="category"),
    )
    now.tables["calls"] = STATE.tables["calls"].model_copy(
        update={"rows": 800, "customers_with_rows": 0.4}
    )
    gone, kind, price, note, calls = describe_changes(STATE, now)
    assert gone == "contract.id is gone"
    assert re.fullmatch(r"contract\.Type: new .*Weekly; gone .*Yearly", kind)
    assert re.fullmatch(r"contract\.Price: missing 0\.00% -> 10\.00%; max 118\.75 -> 131\.2", price)
    assert note == "contract.Note is new: category"
    assert re.fullmatch(r"calls: rows 900 -> 800; customers .*50\.00% -> 40\.00%", calls)
    assert list(describe_changes(STATE, STATE)) == []
    first = next(describe_changes(None, STATE))
    assert re.fullmatch(r"contract .*new.*\b200 rows\b.*\b3 columns", first)


def test_a_baseline_without_columns_that_nobody_asks_for(tmp_path: Path) -> None:
    """They are in neither file that it was read from; all else stays."""
    folder = tmp_path / slug(STATE.name)
    write_new(folder, "schema.yaml", render_schema(STATE))
    profile = {"name": STATE.name, "label": {}, "tables": {"contract": {"Type": {}, "Price": {}}}}
    write_new(folder, "profile.json", render_profile(profile))
    baseline = Baseline.read(tmp_path, STATE.name)
    less = baseline.without({"contract": {"Type"}})
    assert less.schema
    assert list(less.schema.tables["contract"].columns) == ["id", "Price"]
    assert less.profile["tables"] == {"contract": {"Price": {}}}
    assert baseline.without({}) == baseline
    empty = Baseline.read(tmp_path, "Other").without({"contract": {"Type"}})
    assert (empty.schema, empty.profile) == (None, {})
