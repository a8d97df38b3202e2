"""The runs of a checkout as a table: what each ran and reused, how long it took, and
how good its model is.
"""

from __future__ import annotations

import datetime
import sys
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from orchestrator.errors import UsageError
from orchestrator.project import Project
from orchestrator.records.record import RunRecord, StageRecord, load_record, now, run_ids
from orchestrator.stages import MODEL_BUILDING
from orchestrator.words import say_age

# Of model building; the first that it has is the run's main one.
METRICS = ("test_roc_auc", "cv_roc_auc")

_COLUMNS = ("run", "age", "status", "stages", "took", "main metric")
_WIDE = 10_000  # characters of a line that no terminal shows: nothing is cut or wrapped
_ID = len("2026-01-31-235959-4f2a")
_UNREADABLE = "unreadable"

Listed = tuple[str, RunRecord | None]


def list_runs(project: Project, newest: int | None = None) -> Iterator[Listed]:
    """Yield the ids and records of the newest runs, or of all, newest first; None for a
    record that is not valid.
    """
    for run_id in islice(reversed(run_ids(project)), newest):
        try:
            yield run_id, load_record(project, run_id)
        except UsageError:
            yield run_id, None


def print_table(runs: Iterable[Listed]) -> None:
    """Print runs as a table; where no terminal reads it, without lines and colours,
    each run on one line.
    """
    plain = not sys.stdout.isatty()
    table = Table(
        box=None if plain else box.SIMPLE_HEAD,
        show_edge=False,
        padding=(0, 2 if plain else 1, 0, 0),
    )
    for column in _COLUMNS:
        whole = column in ("run", "status")  # the others may take several lines in a narrow window
        table.add_column(
            column, no_wrap=whole, overflow="fold", min_width=_ID if column == "run" else None
        )
    moment = now()
    for run_id, record in runs:
        table.add_row(
            *(Text(cell) for cell in describe(run_id, record, moment)), style=_style(record)
        )
    Console(width=_WIDE if plain else None, highlight=False).print(table)


def describe(run_id: str, record: RunRecord | None, moment: datetime.datetime) -> tuple[str, ...]:
    """Return a run's row: id, age, status, stages, duration and main metric in words."""
    if record is None:
        return run_id, "", _UNREADABLE, "its run.json is not a valid record", "", ""
    metric = main_metric(record)
    return (
        run_id,
        say_age(record.started_at, moment),
        record.status,
        count_stages(record),
        str(datetime.timedelta(seconds=round(_seconds(record, moment)))),
        f"{metric[0]} {metric[1]:.4f}" if metric else "",
    )


def as_json(run_id: str, record: RunRecord | None) -> dict[str, Any]:
    """Return what the table says of a run, for other programs; times in UTC, `seconds`
    None while it runs.
    """
    if record is None:
        return {"run_id": run_id, "status": _UNREADABLE}
    metric = main_metric(record)
    return {
        "run_id": run_id,
        "pipeline": record.pipeline,
        "data_set": record.data_set,
        "status": record.status,
        "started_at": record.started_at.isoformat(),
        "ended_at": record.ended_at.isoformat() if record.ended_at else None,
        "seconds": _seconds(record, record.ended_at) if record.ended_at else None,
        "stages": {entry.name: entry.status for entry in record.stages},
        "metric": {"name": metric[0], "value": metric[1]} if metric else None,
        "model": record.mlflow.model,
    }


def count_stages(record: RunRecord) -> str:
    """Return how many stages ran and were reused, and the name of each that ended
    otherwise: `2 run, 4 reused`.
    """
    ran, reused = (
        sum(entry.status == status for entry in record.stages) for status in ("completed", "reused")
    )
    words = [f"{count} {word}" for count, word in ((ran, "run"), (reused, "reused")) if count]
    words += [
        _say_end(entry)
        for entry in record.stages
        if entry.status not in ("completed", "reused", "not_run")
    ]
    return ("scoring: " if record.pipeline == "scoring" else "") + (", ".join(words) or "none")


def main_metric(record: RunRecord) -> tuple[str, float] | None:
    """Return the name and value of the metric by which a run's model is known; None without one."""
    results = next((entry.results for entry in record.stages if entry.name == MODEL_BUILDING), {})
    for name in METRICS:
        if isinstance(value := results.get(name), (int, float)):
            return name, float(value)
    return None


def _say_end(entry: StageRecord) -> str:
    words = {
        "timed_out": "passed its time limit",
        "interrupted": "was interrupted",
        "running": "is running",
    }
    return f"{entry.name} {words.get(entry.status, entry.status)}"


def _seconds(record: RunRecord, moment: datetime.datetime) -> float:
    return max(
        (record.ended_at or moment) - record.started_at, datetime.timedelta()
    ).total_seconds()


def _style(record: RunRecord | None) -> str:
    return "" if record and record.status in ("completed", "running") else "red"
