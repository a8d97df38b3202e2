"""The front page, `outputs/index.html`: the latest run and the champion of each data set, the
history, and all runs as a table.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.models.mlflow_queries import CHAMPION, Alias, read_aliases
from orchestrator.project import Project
from orchestrator.records.listing import count_stages, main_metric
from orchestrator.records.record import RunRecord, read_records
from orchestrator.site.charts import Chart, Point, draw
from orchestrator.site.outcome import say_outcome
from orchestrator.site.rendering import render, write_page
from orchestrator.stages import MODEL_BUILDING, is_dataset

# What the table shows of each run's model -> its heading.
METRICS = {
    "cv_roc_auc": "AUC cv",
    "test_roc_auc": "AUC test",
    "cv_average_precision": "AP cv",
    "cv_log_loss": "log loss cv",
}
_HASH = 8  # characters


@dataclass(frozen=True)
class Row:
    """One run in the table; `alias` is that of its model, if it has one."""

    record: RunRecord
    stages: str
    data: str
    model: str
    alias: str
    metrics: dict[str, float]

    @property
    def run_id(self) -> str:
        """Its id, which is also its folder's name."""
        return self.record.run_id

    @property
    def trained(self) -> bool:
        """Whether the run itself trained its model, and did not reuse that of another."""
        return any(
            entry.name == MODEL_BUILDING and entry.status == "completed"
            for entry in self.record.stages
        )


@dataclass(frozen=True)
class Champion:
    """The registered model that is in use for a data set, and the run that trained it, if that
    is still there.
    """

    data_set: str
    model: str
    row: Row | None


def write_overview(project: Project) -> None:
    """Write the front page.

    Raises:
        WriteError: it cannot be written.
    """
    records = list(read_records(project))
    registered = _find_aliases(project, records)
    rows = list_rows(records, registered)
    latest = next((row for row in rows if row.record.pipeline == "training"), None)
    page = render(
        "overview.html.j2",
        script="overview.js",
        rows=rows,
        latest=latest,
        sentence=say_outcome(latest.record) if latest else "",
        champions=list_champions(rows, registered),
        several=len(_list_data_sets(rows)) > 1,
        metrics=METRICS,
        statuses=sorted({row.record.status for row in rows}),
        charts=draw_history(rows),
    )
    write_page(project.outputs / "index.html", page)


def list_rows(records: Sequence[RunRecord], registered: Sequence[Alias]) -> list[Row]:
    """Return what the table says of each run, the newest first."""
    aliases = {one.model: one.alias for one in registered}
    return [
        Row(
            record,
            count_stages(record),
            _find_data(record),
            model := record.mlflow.model or "",
            aliases.get(model, ""),
            {
                name: value
                for name in METRICS
                if isinstance(value := _results(record).get(name), float | int)
            },
        )
        for record in records
    ]


def list_champions(rows: Sequence[Row], registered: Sequence[Alias]) -> list[Champion]:
    """Return the champion of each data set, that of the first data set first."""
    trained = {row.model: row for row in reversed(rows) if row.trained}
    return [
        Champion(one.data_set, one.model, trained.get(one.model))
        for one in registered
        if one.alias == CHAMPION
    ]


def draw_history(rows: Sequence[Row]) -> list[Chart]:
    """Return the histories: the main metric of each trained model, a chart for each data set,
    and how long each run took; the oldest left.
    """
    title, names = "ROC AUC of each trained model", _list_data_sets(rows)
    shown = {title: list(rows)}
    if len(names) > 1:
        shown = {f"{title}: {n}": [row for row in rows if row.record.data_set == n] for n in names}
    charts = [
        draw(heading, points)
        for heading, of_data_set in shown.items()
        if len(points := _mark_models(of_data_set)) > 1
    ]
    times = [
        _point(row, seconds, look="" if row.record.is_good else "bad")
        for row in reversed(rows)
        if row.record.pipeline == "training" and (seconds := row.record.seconds) is not None
    ]
    return charts + (
        [draw("Seconds that each run took", times, bars=True, decimals=0)] if len(times) > 1 else []
    )


def _mark_models(rows: Sequence[Row]) -> list[Point]:
    return [
        _point(
            row,
            metric[1],
            _spread(row.record, metric[0]),
            "champion" if row.alias == CHAMPION else "",
        )
        for row in reversed(rows)
        if row.trained and (metric := main_metric(row.record))
    ]


def _list_data_sets(rows: Sequence[Row]) -> list[str]:
    named = (row.record.data_set for row in reversed(rows))
    return list(dict.fromkeys(filter(None, named)))


def _point(row: Row, value: float, spread: float = 0.0, look: str = "") -> Point:
    when, link = f"{row.record.started_at:%Y-%m-%d}", f"runs/{row.run_id}/index.html"
    return Point(row.run_id, when, link, value, spread, look)


def _find_aliases(project: Project, records: Sequence[RunRecord]) -> list[Alias]:
    """Return the aliases of each data set, in the database that its latest model went to."""
    latest = {
        record.data_set: entry
        for record in reversed(records)
        for entry in record.stages
        if entry.model is not None
    }
    found = (
        alias
        for data_set, entry in latest.items()
        for alias in read_aliases(project, entry)
        if alias.data_set == data_set or alias.data_set not in latest
    )
    return list(dict.fromkeys(found))


def _results(record: RunRecord) -> dict[str, float | int | str]:
    return next((entry.results for entry in record.stages if entry.name == MODEL_BUILDING), {})


def _spread(record: RunRecord, metric: str) -> float:
    value = _results(record).get(f"cv_{metric.partition('_')[2]}_std")
    return float(value) if isinstance(value, float | int) else 0.0


def _find_data(record: RunRecord) -> str:
    """Return the start of the hash of the furthest dataset that a run has."""
    written = {
        path: content.md5 for entry in record.stages for path, content in entry.outputs.items()
    }
    return next((written[path][:_HASH] for path in reversed(written) if is_dataset(path)), "")
