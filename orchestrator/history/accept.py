"""`churn accept`: takes what validation saw in a run as the baseline from now on, also
where it failed for that.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from churn.baseline import (
    FOLDER,
    OFFER_TYPE,
    PROFILE,
    SCHEMA,
    BaselineError,
    BaselineSchema,
    describe_changes,
    read_schema,
    render_profile,
    render_schema,
    slug,
)
from orchestrator.atomic_files import write_atomically
from orchestrator.errors import UsageError
from orchestrator.project import Project
from orchestrator.records.hashes import sha256
from orchestrator.records.record import RunRecord, StageRecord, read_record

_STAGE = "validation"


@dataclass(frozen=True)
class Acceptance:
    """What would be accepted: the two files as they would be, and what changes."""

    run_id: str
    folder: Path
    texts: dict[str, str]
    changes: tuple[str, ...]
    unsettled: tuple[str, ...]

    @property
    def is_new(self) -> bool:
        """Whether a file would become another one."""
        return any(_read(self.folder / name) != text for name, text in self.texts.items())

    def write(self) -> None:
        """Write both files, each whole or not at all.

        Raises:
            WriteError: one cannot be written.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        for name, text in self.texts.items():
            write_atomically(self.folder / name, text.encode())


def prepare(project: Project, run_id: str) -> Acceptance:
    """Read from the report of a run's validation what it offers as the baseline, and
    compare it with the one that is there.

    Tolerances, comments and order of the `schema.yaml` that is there stay.

    Raises:
        UsageError: there is no such run, its report does not hold that, or the
            `schema.yaml` that is there is invalid.
    """
    record = read_record(project, run_id)
    if record.pipeline != "training":
        raise UsageError(
            f"Run {record.run_id} scored customers: a baseline is taken from runs of training."
        )
    offer = _read_offer(project, record)
    try:
        schema = BaselineSchema.model_validate(offer["schema"])
        folder = project.root / FOLDER / slug(schema.name)
        before = read_schema(folder, schema.name)
        texts = {
            SCHEMA: render_schema(schema, _read(folder / SCHEMA)),
            PROFILE: render_profile(offer["profile"]),
        }
    except BaselineError as error:
        raise UsageError(str(error)) from None
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"The baseline that run {record.run_id} offers is of another version: {error}"
        ) from None
    changes = tuple(describe_changes(before, schema))
    return Acceptance(record.run_id, folder, texts, changes, tuple(offer.get("unsettled", ())))


def _read_offer(project: Project, record: RunRecord) -> dict[str, Any]:
    entry = record.stage(_STAGE)
    path = _find_report(project, record, entry)
    cells = json.loads(path.read_bytes())["cells"]
    outputs = [output.get("data", {}) for cell in cells for output in cell.get("outputs", [])]
    offers = [data[OFFER_TYPE] for data in outputs if OFFER_TYPE in data]
    if not offers:
        why = entry.failed_cell.error if entry.failed_cell else entry.reason
        ended = (
            f"it ended before it had seen all data: {why}"
            if why
            else "its notebook is of another version."
        )
        raise UsageError(
            f"Validation of run {record.run_id} found nothing that could be accepted; {ended}"
        )
    return dict(offers[-1])


def _find_report(project: Project, record: RunRecord, entry: StageRecord) -> Path:
    if entry.report is None:
        why = f" ({entry.reason})" if entry.reason else ""
        raise UsageError(
            f"Run {record.run_id} has no report of validation{why}: there is nothing to accept."
        )
    path = (project.runs / record.run_id / entry.report).resolve()
    if not path.is_file():
        raise UsageError(f"The report of validation is gone: there is no {path}.")
    if entry.report_sha256 and (actual := sha256(path.read_bytes())) != entry.report_sha256:
        raise UsageError(
            f"{path} was altered: it has the SHA-256 {actual}, recorded is {entry.report_sha256}."
        )
    return path


def describe(acceptance: Acceptance, project: Project) -> Iterator[str]:
    """Yield what changes, a line each, and below it what accepting does not settle."""
    folder = project.relative(acceptance.folder)
    if not acceptance.is_new:
        yield f"Nothing changes: what run {acceptance.run_id} found is what {folder} says."
        return
    yield from acceptance.changes or [
        "Nothing changes but the profile that later data is compared with."
    ]
    if acceptance.unsettled:
        yield "Accepting does not settle these rules, which failed too:"
        yield from (f"  - {rule}" for rule in acceptance.unsettled)


def _read(file: Path) -> str | None:
    return file.read_text(encoding="utf-8") if file.is_file() else None
