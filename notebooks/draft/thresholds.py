"""Stage parameters that the data needs to be other than the notebooks have them."""

from __future__ import annotations

import ast
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from draft.keys import Keys
from draft.labels import Answer
from draft.reading import Table

_FOLDER = Path(__file__).resolve().parent.parent
_QUICKER = 0.02  # AUC that the pipeline's own models may gain on a quick one
_FEWEST_OF_A_KIND = 20  # customers; with fewer no threshold makes sense of a model


@dataclass(frozen=True)
class Setting:
    """A stage's parameter with another value than its notebook gives it, and the reason."""

    stage: str
    name: str
    value: float
    why: str
    to_look_at: bool = False


@cache
def read_defaults(stage: str) -> dict[str, Any]:
    """Return the parameters that a stage's notebook declares, with their values."""
    path = next(_FOLDER.glob(f"[0-9][0-9]_{stage}.ipynb"))
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    source = next("".join(cell["source"]) for cell in cells if "parameters" in cell["metadata"].get("tags", []))
    found: dict[str, Any] = {}
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            found[node.targets[0].id] = ast.literal_eval(node.value)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value:
            found[node.target.id] = ast.literal_eval(node.value)
    return found


def default(stage: str, name: str, otherwise: float) -> float:
    """Return the value that a notebook gives to a parameter, or another one where it gives none."""
    value = read_defaults(stage).get(name)
    return otherwise if value is None else float(value)


def find_settings(
    tables: Sequence[Table], keys: Keys, answer: Answer | None, customers: int, churned: int
) -> list[Setting]:
    """Return the settings without which the data would stop a run though nothing is wrong with it."""
    found = [*_for_rows(tables, keys, answer), *_for_size(tables[0], customers, churned)]
    return [one for one in found if one.name in read_defaults(one.stage)]


def _for_rows(tables: Sequence[Table], keys: Keys, answer: Answer | None) -> Iterator[Setting]:
    malformed = max(table.malformed for table in tables)
    if malformed > default("ingestion", "malformed_rows_allowed", 0):
        why = "rows with too many or too few fields, which are set aside"
        yield Setting("ingestion", "malformed_rows_allowed", malformed, why, to_look_at=True)
    unusable = {f"{table.name}: {why}": share for table in tables for why, share in _unusable(table, keys, answer)}
    worst = max(unusable, key=lambda why: unusable[why], default="")
    if worst and unusable[worst] > 0.8 * default("validation", "max_quarantined_share", 0.05):
        yield Setting(
            "validation", "max_quarantined_share", _above(unusable[worst]), f"{worst} ({unusable[worst]:.1%})"
        )
    strangers = max((key.unknown for key in keys.others), default=0.0)
    if strangers > 0.8 * (1 - default("validation", "min_key_match", 0.95)):
        name = max(keys.others, key=lambda key: key.unknown).table
        why = f"{strangers:.1%} of the customers in {name} are not in {tables[0].name}"
        yield Setting("validation", "min_key_match", round(max(1 - _above(strangers), 0), 2), why, to_look_at=True)
    copies = {table.name: float(table.frame.duplicated().mean()) for table in tables}
    many = {key.table for key in keys.others if not key.is_unique}
    unique = [key for key in [keys.first, *keys.others] if key and key.is_unique]
    repeated = {key.table: 1 - key.share for key in unique} | {name: copies[name] for name in many}
    name = max(repeated, key=lambda table: repeated[table], default="")
    if name and repeated[name] > 0.8 * default("validation", "max_conflicting_duplicates_share", 0.02):
        what = "another row" if name in many else "a customer; the last one stays"
        why = f"{repeated[name]:.1%} of the rows in {name} repeat {what}"
        for limit in ("max_duplicates_share", "max_conflicting_duplicates_share"):
            if repeated[name] > 0.8 * default("validation", limit, 1):
                yield Setting("validation", limit, _above(repeated[name]), why, to_look_at=True)


def _unusable(table: Table, keys: Keys, answer: Answer | None) -> Iterator[tuple[str, float]]:
    """Yield why rows of a table will be set aside, and which share of them."""
    if answer and answer.table == table.name:
        yield f"rows without a value of {answer.column}", table.columns[answer.column].missing_share
    for seen in table.columns.values():
        if seen.unreadable:
            yield f"values of {seen.name} that cannot be read", seen.unreadable_rows / max(seen.rows, 1)
    key = next((key for key in keys.others if key.table == table.name), None)
    if key:
        yield "rows of customers that the first table does not have", key.unknown


def _for_size(first: Table, customers: int, churned: int) -> Iterator[Setting]:
    fewer = min(churned, customers - churned)
    if fewer < _FEWEST_OF_A_KIND:
        return
    if first.rows < default("validation", "min_rows", 100):
        yield Setting("validation", "min_rows", first.rows // 2, f"{first.rows:,} rows")
    for stage in ("transformation", "model_building"):
        if customers < 1.1 * default(stage, "min_customers", 500):
            yield Setting(stage, "min_customers", math.floor(0.8 * customers), f"{customers:,} customers")
    for stage, name in (("transformation", "min_churned"), ("model_building", "min_customers_a_class")):
        if fewer < 1.1 * default(stage, name, 50):
            yield Setting(stage, name, math.floor(0.7 * fewer), f"{fewer:,} customers of the rarer answer")


def doubt_model(strongest: str, alone: float, model: float) -> str | None:
    """Say that what is left may still tell too much, if a quick model of it does.

    Args:
        strongest: the column, kept as a feature, that tells most alone.
        alone: its AUC.
        model: AUC of a quick model of all kept columns, out of fold.
    """
    told = min(default("model_building", "told_auc", 1), default("model_building", "leakage_auc", 1))
    if model < told - _QUICKER:
        return None
    return (
        f"a quick model of the features reaches an AUC of {model:.3f}, though none alone tells more than {strongest} "
        f"({alone:.3f}): is the answer that clear, or is it spread over several columns that are known too late?"
    )


def _above(share: float) -> float:
    return min(math.ceil(share * 110 + 1) / 100, 1.0)
