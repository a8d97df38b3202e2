"""One run: begun, measured and ended; its record is true at every moment."""

from __future__ import annotations

import contextlib
import os
import platform
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from orchestrator.atomic_files import WriteError, write_atomically
from orchestrator.engine import kernels
from orchestrator.engine.interruptions import noting
from orchestrator.plan.run_plan import Plan
from orchestrator.records.code_archive import keep_code, keep_difference, read_git
from orchestrator.records.hashes import measure_all, sha256
from orchestrator.records.past_runs import DONE
from orchestrator.records.record import (
    Content,
    Environment,
    RunRecord,
    RunStatus,
    StageRecord,
    new_run_id,
    now,
    read_records,
    write_record,
)
from orchestrator.redaction import Redactor, redactor_for
from orchestrator.site.overview import write_overview
from orchestrator.site.run_page import write_run_page
from orchestrator.stages import Stage

_RESERVE = 256 * 1024  # bytes


@dataclass(frozen=True)
class Run:
    """A run in progress."""

    plan: Plan
    record: RunRecord
    redactor: Redactor
    before: RunRecord | None = None  # what its page compares it with

    @property
    def folder(self) -> Path:
        """Where its record and reports lie."""
        return self.plan.project.runs / self.record.run_id

    def expected_after(self, stage: Stage) -> tuple[Path, ...]:
        """Return the notebooks that will be executed after a stage."""
        later = self.plan.notebooks[self.plan.stages.index(stage) + 1 :]
        return tuple(notebook for notebook in self.plan.expected if notebook in later)

    def measure(self, paths: tuple[str, ...]) -> dict[str, Content]:
        """Hash the paths, relative to the root, that exist."""
        return measure_all(self.plan.project.root, paths)

    @property
    def reserve(self) -> Path:
        """A file that keeps room on the disk, so that the record of a run that fills it
        can still be written.
        """
        return self.folder / f".reserve.{os.getpid()}.tmp"

    def save(self) -> None:
        """Write the record as it is now."""
        try:
            write_record(self.plan.project, self.record)
        except WriteError:
            if not self.reserve.exists():
                raise
            self.reserve.unlink()
            write_record(self.plan.project, self.record)


def begin(plan: Plan, command: str) -> Run:
    """Start a run: give it an id and write its first record."""
    project, redactor = plan.project, redactor_for(plan.params)
    record = RunRecord(
        run_id=new_run_id(),
        pipeline=plan.pipeline.name,
        started_at=now(),
        command=redactor.clean(command),
        git=read_git(project.root),
        environment=Environment(
            python=platform.python_version(), lock_sha256=sha256(project.requirements.read_bytes())
        ),
        code_sha256=keep_code(project, plan.params_file, plan.params.name, redactor),
        params_file=project.relative(plan.params_file),
        params_sha256=sha256(plan.params_file.read_bytes()),
        data_set=redactor.clean(plan.params.name),
        stages=[
            StageRecord(name=stage.name, notebook=f"notebooks/{stage.notebook}")
            for stage in plan.pipeline.stages
        ],
    )
    for entry in record.stages:
        if entry.name not in {stage.name for stage in plan.stages}:
            entry.reason = "not asked for (--from, --until or --only)"
    alike = (record.pipeline, record.data_set)
    before = (one for one in read_records(project) if (one.pipeline, one.data_set) == alike)
    run = Run(plan, record, redactor, next(before, None))
    run.save()
    try:
        _lay_out(run)
    except BaseException as error:  # Ctrl-C too: from its first record on a run has an end
        end(run, "failed" if isinstance(error, Exception) else "interrupted")
        raise
    return run


def _lay_out(run: Run) -> None:
    """Write what a run has beside its record when it starts."""
    if run.record.git and run.record.git.dirty:
        keep_difference(run.plan.project.root, run.folder, run.redactor)
    # Random: zeros take no room where a disk compresses.
    write_atomically(run.reserve, os.urandom(_RESERVE))
    _write_pages(run)


@contextlib.contextmanager
def under_way(run: Run) -> Iterator[None]:
    """Run the stages of a run within; however that ends, its kernels and its record do too."""
    status: RunStatus = "failed"
    try:
        with noting():
            yield
        went_well = all(run.record.stage(one.name).status in DONE for one in run.plan.stages)
        status = "completed" if went_well else "failed"
    except Exception:
        raise
    except BaseException:  # Ctrl-C, SIGTERM
        status = "interrupted"
        raise
    finally:
        kernels.end_all()
        end(run, status)


def estimate(run: Run) -> dict[str, float]:
    """Return how many seconds each stage took when it last ran to its end, as far as it
    ever did.
    """
    found: dict[str, float] = {}
    for stage in run.plan.stages:
        times = (
            entry.seconds
            for _, entry in run.plan.history.ended(stage)
            if entry.status == "completed"
        )
        if seconds := next(times, None):
            found[stage.name] = seconds
    return found


def end(run: Run, status: RunStatus) -> None:
    """Close the record, and renew the front page.

    Raises:
        WriteError: one of them cannot be written.
    """
    run.record.status = status
    run.record.ended_at = now()
    for entry in run.record.stages:
        if entry.status == "running":  # interrupted once more, while it was being recorded
            entry.status, entry.ended_at = "interrupted", run.record.ended_at
    try:
        run.save()
        _write_pages(run)
    finally:
        with contextlib.suppress(OSError):
            run.reserve.unlink()


def write_page(run: Run, progress: str = "") -> None:
    """Write the run's own page as things stand now. That it cannot be written must not
    cost a stage.
    """
    with contextlib.suppress(WriteError):
        write_run_page(run.plan.project, run.record, run.before, progress)


def _write_pages(run: Run) -> None:
    """Write the run's page and the front page, and link to them from now on."""
    write_run_page(run.plan.project, run.record, run.before)
    write_overview(run.plan.project)
