"""What a run finds that was killed before it could end: records, reports, datasets and
runs in MLflow are put right.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path

from churn.datasets import find_unfinished, heal_dataset
from orchestrator.errors import UsageError
from orchestrator.models.mlflow_runs import kill_unfinished
from orchestrator.project import Project
from orchestrator.records.hashes import sha256
from orchestrator.records.record import RunRecord, StageRecord, read_record, write_record

_RUNNING = re.compile(rb'"status"\s*:\s*"running"')
# It stands at the top of a record, and reading a thousand records whole would take
# seconds.
_BYTES_TO_STATUS = 1024
_TEMPORARY = re.compile(r"\..+\.\d+\.tmp")

_log = logging.getLogger(__name__)


def recover(project: Project) -> list[RunRecord]:
    """Mark every run that was killed as crashed, put right what it left, and return the
    records of these runs.

    To be called with the lock of the checkout held, before a run begins: then no run
    that says `running` lives.
    """
    folders = (project.data, project.data / "scoring")
    for dataset in (one for folder in folders for one in find_unfinished(folder)):
        try:
            heal_dataset(dataset)
        except OSError as error:  # the stage that reads or writes it says more
            _log.warning("%s could not be put right after a run was killed: %s", dataset, error)
    _remove_temporary(project.outputs)
    return [_recover(project, record) for record in _find_killed(project)]


def _find_killed(project: Project) -> Iterator[RunRecord]:
    for folder in sorted(project.runs.glob("*/")):
        try:
            with (folder / "run.json").open("rb") as file:
                if not _RUNNING.search(file.read(_BYTES_TO_STATUS)):
                    continue
            record = read_record(project, folder.name)
        except FileNotFoundError:
            _remove_unborn(folder)
        except (OSError, UsageError) as error:
            _log.warning("A run's record cannot be read, and is left as it is: %s", error)
        else:
            if record.status == "running":
                yield record


def _recover(project: Project, record: RunRecord) -> RunRecord:
    folder = project.runs / record.run_id
    ended_at = _last_sign_of_life(folder, record)
    _remove_temporary(folder)
    for entry in record.stages:
        if entry.status == "running":
            entry.status, entry.reason, entry.ended_at = (
                "interrupted",
                "the run was killed",
                ended_at,
            )
            _close_report(folder, entry)
        elif entry.status == "not_run" and not entry.reason:
            entry.reason = "the run was killed before it"
    record.status, record.ended_at = "crashed", ended_at
    kill_unfinished(project, record)
    write_record(project, record)  # last: a recovery that is killed itself is begun again
    return record


def _last_sign_of_life(folder: Path, record: RunRecord) -> datetime.datetime:
    started = [
        record.started_at,
        *(entry.started_at for entry in record.stages if entry.started_at),
    ]
    written = max(file.stat().st_mtime for file in folder.iterdir() if file.is_file())
    moment = datetime.datetime.fromtimestamp(written, datetime.UTC)
    return max(*started, moment.replace(microsecond=moment.microsecond // 1000 * 1000))


def _close_report(folder: Path, entry: StageRecord) -> None:
    """Let the notebook that was being executed say that its run was killed, and record
    it as the stage's report.
    """
    report = folder / Path(entry.notebook).name
    page = report.with_suffix(".html")
    if not report.is_file():
        return
    try:
        from orchestrator.runs.report import mark_crashed  # loads nbconvert

        entry.failed_cell = mark_crashed(report)
        entry.cells_not_run = _count_not_run(report)
    except Exception as error:  # a report that was cut short must not stop the next run
        _log.warning("%s could not be marked as the report of a killed run: %s", report, error)
    entry.report, entry.report_sha256 = report.name, sha256(report.read_bytes())
    entry.report_html = page.name if page.is_file() else None


def _count_not_run(report: Path) -> int:
    cells = json.loads(report.read_bytes())["cells"]
    return sum(cell["metadata"].get("papermill", {}).get("status") == "not_run" for cell in cells)


def _remove_temporary(folder: Path) -> None:
    """Remove the files of `write_atomically` that killed processes left."""
    for file in folder.glob(".*.tmp"):
        if _TEMPORARY.fullmatch(file.name):
            with contextlib.suppress(OSError):
                file.unlink()


def _remove_unborn(folder: Path) -> None:
    """Remove the folder of a run that was killed before its first record was there."""
    if folder.is_dir():
        _remove_temporary(folder)
        with contextlib.suppress(OSError):  # it holds something else
            folder.rmdir()
