"""What is wrong with a params file is told at once, with the nearest name for a typo."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from churn.params import ParameterError, load_params

FILE = """\
name: Company
customer_id: id
label: {LABEL}
sources:
  SOURCE
"""
LABEL = "{column: churned, positive: '1'}"


def refuse(folder: Path, source: str = "crm: {file: a.csv}", label: str = LABEL) -> str:
    """Return the message with which a params file is refused."""
    text = FILE.replace("{LABEL}", label).replace("SOURCE", source)
    (folder / "params.yaml").write_text(text)
    with pytest.raises(ParameterError) as caught:
        load_params(folder / "params.yaml")
    return str(caught.value)


@pytest.mark.parametrize(
    ("source", "place", "known"),
    [
        ("crm: {file: a.csv, delimter: ';'}", "sources.crm.file.delimter", "delimiter"),
        ("crm: {api: 'http://x', timout_seconds: 3}", "timout_seconds", "timeout_seconds"),
        ("columns: {file: a.csv, sheeet: 1}", "sources.columns.file.sheeet", "sheet"),
        ("crm: {file: a.csv, columns: {id: {tipe: id}}}", "columns.id.tipe", "type"),
        (
            "crm: {api: 'http://x', paging: {kind: cursor, cursr: next}}",
            "sources.crm.api.paging.cursor.cursr",
            "cursor",
        ),
    ],
)
def test_a_misspelt_key_is_told_with_the_nearest_one(
    tmp_path: Path, source: str, place: str, known: str
) -> None:
    """Of the part of the file where it stands, whatever a source or a column is called."""
    assert f"{place}: unknown key; did you mean {known!r}?" in refuse(tmp_path, source)


def test_suggestions_do_not_mix_kinds(tmp_path: Path) -> None:
    """A database has no delimiter, and an offset no cursor."""
    message = refuse(tmp_path, "crm: {database: 'sqlite://', table: t, delimter: ';'}")
    assert "delimiter" not in message
    assert "refresh" in message
    paging = "{kind: offset, cursor: next, size_parm: n}"
    message = refuse(tmp_path, f"crm: {{api: 'http://x', paging: {paging}}}")
    assert "did you mean 'size_param'" in message
    assert "next_cursor" not in message


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    """Each in a line of its own, behind their number."""
    message = refuse(tmp_path, "crm: {fil: a.csv}\n  b: {file: []}", "{end_date: x}")
    assert re.search(r"sources\.crm: .*`file`, `database` and `api`", message)
    assert re.search(r"sources\.b\.file\.file: expected .*\bpath\b", message)
    assert len(message.splitlines()) == int(message.split(" has ")[1].split()[0]) + 1


def test_variables_are_looked_for_where_they_are_expanded(tmp_path: Path) -> None:
    """In addresses, paths and options; not in descriptions, nor in a query."""
    (tmp_path / "params.yaml").write_text(
        FILE.replace("{LABEL}", LABEL).replace(
            "SOURCE",
            "crm: {file: '${FOLDER}/a.csv', columns: {id: {description: 'as ${NOTHING}'}}}\n"
            "  usage: {database: '${DATABASE}', query: 'select ''${NEITHER}'''}\n"
            "  bills: {file: 's3://x/b.csv', storage_options: {client: {key: '${KEY}'}}}",
        )
        + "stages: {scoring: {database: '${OUT}'}, validation: {run_id: '${NOT}'}}\n"
    )
    params = load_params(tmp_path / "params.yaml")
    assert params.find_variables() == {
        "FOLDER": False,
        "DATABASE": True,
        "KEY": True,
        "OUT": True,
    }
