"""What two runs' comparison comes to: a few lines for the terminal, and a page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from churn.baseline.stability import LARGE, SOME
from orchestrator.compare.data_differences import ColumnChange, RuleChange
from orchestrator.compare.run_differences import Change, Comparison, MetricChange
from orchestrator.project import Project
from orchestrator.site.outcome import find_failure, say_outcome
from orchestrator.site.rendering import render, write_page
from orchestrator.words import say_duration

_MOST = 6  # lines of one kind


def write_comparison(project: Project, comparison: Comparison) -> Path:
    """Write the page, `outputs/compare/<before>..<after>.html`, and return its path.

    Raises:
        WriteError: it cannot be written.
    """
    path = (
        project.outputs / "compare" / f"{comparison.before.run_id}..{comparison.after.run_id}.html"
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    sides = [
        (one, say_outcome(one), find_failure(one)) for one in (comparison.before, comparison.after)
    ]
    write_page(
        path,
        render("compare.html.j2", c=comparison, sides=sides, essence=list(say_essence(comparison))),
    )
    return path


def say_essence(comparison: Comparison) -> Iterator[str]:
    """Yield what differs, a line each, the most telling first."""
    before, after = comparison.before, comparison.after
    if before.status != after.status:
        yield f"status: {before.status} -> {after.status}"
    if failure := find_failure(after):
        yield f"failed in {failure.stage}: {failure.error}"
    yield from _first([_say_metric(one) for one in comparison.metrics])
    yield from _first([_say(one) for one in comparison.parameters])
    yield from _first(
        [f"{file.name} {file.what}{_count_cells(len(file.cells))}" for file in comparison.code]
    )
    yield from _first([f"environment: {_say(one)}" for one in comparison.environment])
    yield from _first([_say(one) for one in comparison.sources])
    yield from _first(
        [
            _say_shift(one)
            for one in comparison.columns
            if not one.is_in_both or (one.psi or 0) > SOME
        ]
    )
    yield from _first([_say_verdict(one) for one in comparison.rules if one.turned])
    yield from _say_time(comparison)


def _first(lines: Sequence[str]) -> Iterator[str]:
    yield from lines[:_MOST]
    if len(lines) > _MOST:
        yield f"  … and {len(lines) - _MOST} more like it"


def _say(change: Change) -> str:
    return f"{change.name}: {_shorten(change.before)} -> {_shorten(change.after)}"


def _shorten(text: str) -> str:
    return (text if len(text) <= 60 else f"{text[:60]}…") or "none"


def _say_metric(one: MetricChange) -> str:
    if one.difference is None:
        return f"{one.name}: {'only before' if one.after is None else 'only after'}"
    beyond = (
        ""
        if one.spread is None
        else f", {'beyond' if one.exceeds else 'within'} the spread of {one.spread:.4f}"
    )
    return f"{one.name}: {one.difference:+.4f}{beyond}"


def _say_shift(one: ColumnChange) -> str:
    where = f"data: {one.table}.{one.column}"
    if one.psi is None:
        return f"{where} is {'gone' if one.before else 'new'}"
    return f"{where} shifted {'much' if one.psi > LARGE else 'somewhat'} (PSI {one.psi:.2f})"


def _say_verdict(one: RuleChange) -> str:
    broken = one.after["failed"] if one.after else 0
    verdict = f"now broken by {broken:,}" if broken else "no longer broken"
    return f"rule {one.rule!r} of {one.table}.{one.column}: {verdict}"


def _count_cells(cells: int) -> str:
    return f", {cells} places" if cells > 1 else ""


def _say_time(comparison: Comparison) -> Iterator[str]:
    before, after = comparison.before.seconds, comparison.after.seconds
    if before is not None and after is not None:
        yield f"time: {say_duration(before)} -> {say_duration(after)}"
