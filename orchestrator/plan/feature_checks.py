"""Whether the features of one's own can be computed, as far as the columns are known
before anything is read.

A table's columns are those that the params file describes, and those of the header of
its local CSV file; of another kind of source those that came with the last run.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from churn.formats import FileFormat
from churn.formats.dialects import peek_names
from churn.params import Column, Params, Source
from churn.params.formula_checks import Columns, Kind
from churn.params.merged_columns import describe_columns, find_barred, list_history_names, name_age
from orchestrator.errors import UsageError
from orchestrator.notebook.cells import read_notebook
from orchestrator.notebook.parameters import declared_parameters
from orchestrator.notebook.stage_graph import find_notebook
from orchestrator.plan.source_reach import local_files
from orchestrator.project import Project
from orchestrator.stages import TRANSFORMATION

# A feature that a cell of transformation adds, where it finds what it needs.
_ADDED = re.compile(r"""\bfeatures\.add\(\s*["']([^"']+)["']""")
_KINDS: dict[str, Kind] = {"number": "number", "category": "text"}


def find_columns(project: Project, params: Params, given: Mapping[str, Any]) -> Columns:
    """Return what expressions may use, and which tables nobody has looked at yet; `given`
    are the parameters that transformation is given.
    """
    recent_days = _find_recent_days(project, given)
    known = {table: _known_columns(project, params, table) for table in params.sources}
    facts: dict[str, Mapping[str, Column]] = {}
    for table, names in known.items():
        described = {
            name: column if column.is_typed else _unknown(column)
            for name, column in params.sources[table].columns_by_name(params.customer_id).items()
        }
        facts[table] = {
            **described,
            **{name: described.get(name, _unknown()) for name in names or ()},
        }
    merged = describe_columns(facts, params)
    barred = find_barred(merged, params)
    kinds = {
        name: _KINDS.get(fact["type"], "unknown")
        for name, fact in merged.items()
        if name not in barred
    }
    dates = [
        name for name, fact in merged.items() if fact["feature"] and fact["type"] not in _KINDS
    ]
    computed = {*_find_added(project), *map(name_age, dates)}
    for table, columns in facts.items():
        if params.sources[table].many:
            computed |= {*list_history_names(table, columns, recent_days)}
    unread = tuple(table for table, names in known.items() if names is None)
    return Columns(kinds, barred, unread, computed)


def _find_added(project: Project) -> set[str]:
    """Return the features that cells of transformation add by name; none where it is no
    notebook: another check tells that.
    """
    with contextlib.suppress(UsageError):
        notebook = read_notebook(find_notebook(project, TRANSFORMATION))
        return {name for cell in notebook.cells for name in _ADDED.findall(cell.source)}
    return set()


def _find_recent_days(project: Project, given: Mapping[str, Any]) -> list[int]:
    """Return in how many days rows of a history will be counted; none where the notebook
    does not say so: another check tells what is wrong with it.
    """
    days: Any = given.get("recent_days")
    with contextlib.suppress(UsageError):
        declared = declared_parameters(find_notebook(project, TRANSFORMATION))
        if days is None and "recent_days" in declared:
            days = declared["recent_days"].default
    return days if isinstance(days, list) else []


def _unknown(said: Column | None = None) -> Column:
    """Return the facts of a column whose type is not known before it is read."""
    kept = {name: getattr(said, name) for name in ("feature", "description")} if said else {}
    return Column.model_construct(type="unknown", **kept)  # type: ignore[arg-type]


def _known_columns(project: Project, params: Params, table: str) -> list[str] | None:
    """Return the names of a table's columns, None where they cannot be known before it is read."""
    source = params.sources[table]
    paths = local_files(project, params).get(table, [])
    names = _read_header(paths[0], source) if paths else None
    names = names or _read_last(project, params, table)
    return source.names_after(names, params.customer_id) if names else None


def _read_header(path: Path, source: Source) -> list[str] | None:
    """Return the names of the columns of a local CSV file, as ingestion will find them."""
    if isinstance(source, FileFormat) and source.format_of(path.name) == "csv":
        return peek_names(path, source)
    return None


def _read_last(project: Project, params: Params, table: str) -> list[str] | None:
    """Return the columns that came with the last run, where it read the same tables."""
    try:
        last = json.loads((project.data / "raw" / "provenance.json").read_text(encoding="utf-8"))
        names = last[table]["columns"] if set(last) == set(params.sources) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
    described = set(params.sources[table].columns)
    return list(names) if names and described <= set(names) else None
