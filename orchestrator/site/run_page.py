"""A run's page, `outputs/runs/<run id>/index.html`: what happened, how long it took,
how good it is, what it used.
"""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orchestrator.notebook.parameters import GIVEN_BY_RUN
from orchestrator.project import Project
from orchestrator.records.dvc_cache import find_object, list_files
from orchestrator.records.record import Content, RunRecord, StageRecord, now
from orchestrator.records.stage_facts import find_parameters
from orchestrator.site.outcome import find_failure, say_outcome, say_promotion, say_scores
from orchestrator.site.rendering import render, write_page
from orchestrator.site.report_parts import Passage, read_parts
from orchestrator.site.stage_picture import draw_run
from orchestrator.stages import MODEL_BUILDING

_METRIC = re.compile(r"(?P<part>cv|test)_(?P<name>\w+?)(?P<ending>_std|_low|_high)?")
_RULES = "quality.json"
_RULES_SHOWN = 12
_REFRESH_SECONDS = 2


@dataclass(frozen=True)
class Span:
    """One stage on the timeline: where its bar begins and how long it is, in percent of the run."""

    entry: StageRecord
    start: float
    length: float
    reason: str


@dataclass(frozen=True)
class Metric:
    """One measure of the model: mean and standard deviation of the cross-validation;
    test value and its interval.
    """

    name: str
    cv: float | None
    std: float | None
    test: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Dataset:
    """What a stage wrote: its path and content, and how it differs from what the run before had."""

    path: str
    stage: str
    content: Content
    change: str


def write_run_page(
    project: Project, record: RunRecord, before: RunRecord | None = None, progress: str = ""
) -> None:
    """Write a run's page; `before` is the run that it is compared with, `progress` says
    where it is now.

    Raises:
        WriteError: it cannot be written.
    """
    folder = project.runs / record.run_id
    plots, passages = ([], []) if record.status == "running" else read_parts(folder, record)
    datasets = list(list_datasets(record, before))
    changes = {one.path: one.change.partition(":")[0] for one in datasets}
    page = render(
        "run.html.j2",
        script="search.js" if passages else "",
        record=record,
        sentence=say_outcome(record),
        news=list(filter(None, [say_promotion(record), *say_scores(record)])),
        progress=progress,
        refresh=_REFRESH_SECONDS if record.status == "running" else 0,
        spans=list(list_spans(record, now())),
        failure=find_failure(record),
        rules=read_rules(project, record),
        metrics=list_metrics(record),
        results={entry.name: entry.results for entry in record.stages if entry.results},
        plots=plots,
        datasets=datasets,
        picture=draw_run(record.stages, changes, record.mlflow.model or ""),
        before=before,
        parameters=list(list_parameters(record)),
        notebooks={entry.name: Path(entry.notebook).name for entry in record.stages},
        passages=write_index(passages),
    )
    write_page(folder / "index.html", page)


def list_spans(record: RunRecord, moment: datetime.datetime) -> Iterator[Span]:
    """Yield the stages on a common scale of time; a stage that was not executed has no length."""
    end = record.ended_at or moment
    whole = max((end - record.started_at).total_seconds(), 1e-3)
    for entry in record.stages:
        reason = entry.decision.partition(": ")[2] or entry.reason
        if entry.started_at is None or entry.status in ("reused", "not_run"):
            yield Span(entry, 0, 0, reason)
            continue
        start = (entry.started_at - record.started_at).total_seconds()
        length = ((entry.ended_at or moment) - entry.started_at).total_seconds()
        yield Span(entry, round(100 * start / whole, 2), round(100 * length / whole, 2), reason)


def list_metrics(record: RunRecord) -> list[Metric]:
    """Return the measures of the run's model, in the order of its results."""
    results = next((entry.results for entry in record.stages if entry.name == MODEL_BUILDING), {})
    found: dict[str, dict[str, float]] = {}
    for key, value in results.items():
        matched = _METRIC.fullmatch(key)
        if matched and isinstance(value, float | int):
            part = matched["part"] + (matched["ending"] or "")
            found.setdefault(matched["name"], {})[part] = float(value)
    keys = ("cv", "cv_std", "test", "test_low", "test_high")
    return [
        Metric(name.replace("_", " "), *(parts.get(key) for key in keys))
        for name, parts in found.items()
    ]


def list_datasets(record: RunRecord, before: RunRecord | None) -> Iterator[Dataset]:
    """Yield the datasets that the stages wrote, compared with those of the run before."""
    earlier: dict[str, Content] = {}
    for entry in before.stages if before else []:
        earlier |= entry.outputs
    for entry in record.stages:
        for path, content in entry.outputs.items():
            if not path.endswith(".dvc"):
                yield Dataset(path, entry.name, content, _say_change(content, earlier.get(path)))


def _say_change(content: Content, earlier: Content | None) -> str:
    if earlier is None:
        return "new"
    if earlier.md5 == content.md5:
        return "same"
    return f"changed: {content.bytes - earlier.bytes:+,} bytes"


def read_rules(project: Project, record: RunRecord) -> list[Mapping[str, Any]]:
    """Return the quality rules that some rows of the accepted data break, those that
    the largest share breaks first.
    """
    entry = next((entry for entry in record.stages if entry.name == "validation"), None)
    content = entry.outputs.get("data/validated") if entry else None
    if content is None:
        return []
    try:
        rules = json.loads(_find_rules(project, content).read_bytes())["rules"]
        ranked = sorted(rules, key=lambda rule: -rule["share"])
    except (
        OSError,
        ValueError,
        KeyError,
        TypeError,
    ):  # not in the cache, or written by another notebook
        return []
    return [rule for rule in ranked if rule["failed"]][:_RULES_SHOWN]


def _find_rules(project: Project, content: Content) -> Path:
    return find_object(project, list_files(project, content.md5)[_RULES])


def list_parameters(record: RunRecord) -> Iterator[tuple[str, str, Any, bool]]:
    """Yield stage, name, value, and whether it was given rather than the notebook's own default."""
    for entry in record.stages:
        for name, value in find_parameters(entry).items():
            if name not in GIVEN_BY_RUN:
                yield entry.name, name, value, name in entry.parameters


def write_index(passages: list[Passage]) -> str:
    """Return what the page's search looks through, as JSON that no markup can end."""
    rows = [[one.stage, one.heading, one.link, one.text] for one in passages]
    return json.dumps(rows, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
