"""What happened in a run, in one sentence, and what went wrong in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from orchestrator.records.record import RunRecord, StageRecord
from orchestrator.words import say_duration, say_status

_FAILED = ("failed", "timed_out", "interrupted")


@dataclass(frozen=True)
class Failure:
    """Where a run went wrong: the stage, the first line of its error, the code, and the
    link to the very place.
    """

    stage: str
    error: str
    source: str
    link: str | None


def say_outcome(record: RunRecord) -> str:
    """Say in one sentence what happened."""
    ran = [entry.name for entry in record.stages if entry.status == "completed"]
    reused = sum(entry.status == "reused" for entry in record.stages)
    done = f"{_join(ran)} ran" if ran else "no stage ran"
    if reused:
        done += f", {reused} {'stage was' if reused == 1 else 'stages were'} reused"
    if record.status == "running":
        now = next((entry.name for entry in record.stages if entry.status == "running"), "")
        return f"Running{f': {now}' if now else ''}; {done} so far."
    took = f" after {say_duration(record.seconds)}" if record.seconds is not None else ""
    if record.status == "completed":
        return f"Completed{took}: {done}."
    failure = find_failure(record)
    where = f" in {failure.stage}: {failure.error}" if failure else ""
    return (
        f"{say_status(record.status).capitalize()}{took}{where}{'' if where.endswith('.') else '.'}"
    )


def say_promotion(record: RunRecord) -> str:
    """Say what the promotion gate decided on the model of a run; nothing where none was trained."""
    models = (entry.model for entry in record.stages if entry.status == "completed")
    trained = next((model for model in models if model), None)
    if trained is None or not trained.promotion:
        return ""
    return f"{trained.name or 'The model'}: {trained.promotion}."


def say_kept(record: RunRecord) -> str:
    """Say why the model that a run trained was not promoted, if it was not."""
    said = say_promotion(record)
    return said if ": kept champion" in said else ""


def say_scores(record: RunRecord) -> Iterator[str]:
    """Say what came of a scoring run, in a few sentences; nothing of another run."""
    found = next((entry.scored for entry in record.stages if entry.scored), None)
    if found is None:
        return
    yield (
        f"{found.customers:,} customers as of {found.as_of}, scored with {found.scored_with}: "
        f"{found.to_contact:,} to contact ({found.contact_rule})."
    )
    yield f"Written: {found.written}."
    if moved := found.features_moved:
        yield (
            f"Warning: {moved} features have moved since training; the report says which, "
            "and how far."
        )


def find_failure(record: RunRecord) -> Failure | None:
    """Return where a run went wrong; None where nothing did."""
    entry = next((entry for entry in record.stages if entry.status in _FAILED), None)
    if entry is None:
        return None
    cell = entry.failed_cell
    error = (cell.error if cell else entry.reason).strip()
    page = entry.report_html or entry.report
    anchor = "#failed-cell" if cell and entry.report_html else ""
    return Failure(
        entry.name,
        _first_line(error, entry),
        cell.source if cell else "",
        page and f"{page}{anchor}",
    )


def _first_line(error: str, entry: StageRecord) -> str:
    return error.splitlines()[0] if error else f"it {say_status(entry.status)}"


def _join(names: Sequence[str]) -> str:
    return (
        names[0]
        if len(names) == 1
        else f"all {len(names)} stages"
        if len(names) == 6
        else ", ".join(names)
    )
