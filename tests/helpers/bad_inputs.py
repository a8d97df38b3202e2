"""A project with a small company's data, one good ingestion behind it, and runs that
then meet bad inputs: the whole flow, or, in a tenth of the time, its stages without Prefect.
"""

from __future__ import annotations

import random
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bs4 import BeautifulSoup

from helpers.notebook_runs import Listener, run_stages
from helpers.projects import copy_project, read_run, run_flow
from orchestrator.plan.run_plan import Request
from orchestrator.project import Project
from orchestrator.records.record import RunRecord, run_ids

FACTS = (
    "name: Small company\ncustomer_id: id\nas_of: 2024-01-01\nlabel: {column: churned, "
    'positive: "1"}\nsources:\n'
)
CUSTOMERS = '  crm: {file: customers.csv, columns: {churned: {values: ["0", "1"]}}}\n'
PARAMS = "own.yaml"


def customers(count: int = 300) -> list[list[str]]:
    """Return a header and rows of customers: id, plan, fee, begun, churned."""
    chance = random.Random(7)
    rows = [
        [
            f"C{number:04}",
            chance.choice(["basic", "plus"]),
            f"{chance.uniform(5, 90):.2f}",
            f"20{chance.randint(15, 23)}-{chance.randint(1, 12):02}-{chance.randint(1, 28):02}",
            str(int(chance.random() < 0.3)),
        ]
        for number in range(count)
    ]
    return [["id", "plan", "fee", "begun", "churned"], *rows]


def as_csv(rows: list[list[str]], delimiter: str = ",", line_end: str = "\n") -> str:
    """Return rows as CSV without quotes."""
    return "".join(delimiter.join(row) + line_end for row in rows)


def make_project(root: Path) -> Path:
    """Make a project whose data was ingested once."""
    copy_project(root)
    (root / "customers.csv").write_text(as_csv(customers()))
    (root / PARAMS).write_text(FACTS + CUSTOMERS)
    _, failure = run_stages(Project(root), Request(root / PARAMS, only="ingestion"))
    assert failure is None
    return root


@dataclass(frozen=True)
class Outcome:
    """How a run ended: its exit code, what it said, its record and report if it
    started, whether data was lost, and whether a stage would be tried again, or was.
    """

    code: int
    said: str
    record: RunRecord | None
    report: str
    is_raw_kept: bool
    is_tried_again: bool

    def stopped_in(self, stage: str, *, tried_again: bool = False) -> str:
        """Check that the run stopped in a stage, to be tried again or not, told in output
        and report; return the error.

        The dataset of the last ingestion is what it was, if it is ingestion that stopped.
        """
        assert self.code == 1, self.said
        assert self.record
        entry = self.record.stage(stage)
        assert (self.record.status, entry.status) == ("failed", "failed")
        assert self.is_tried_again == tried_again
        assert entry.failed_cell
        error = _plain(entry.failed_cell.error)
        for line in filter(None, map(str.strip, entry.failed_cell.error.splitlines())):
            assert _plain(line) in _plain(self.said)
            assert _plain(line)[:200] in self.report
        assert f"Stage {stage} failed" in self.said
        assert self.is_raw_kept or stage != "ingestion"
        return error

    def never_started(self) -> str:
        """Check that nothing ran, and return what was said."""
        assert self.code == 2, self.said
        assert self.record is None
        assert self.is_raw_kept
        return self.said


class Runs:
    """Runs of a copy of a project, each with other data."""

    def __init__(self, made: Path, root: Path, env: dict[str, str] | None = None) -> None:
        self.root = Path(shutil.copytree(made, root, symlinks=True))
        self._env = env or {}

    def run(self, *options: str, env: dict[str, str] | None = None) -> Outcome:
        """Run the flow with the project's own params file."""
        project, raw = Project(self.root), self.root / "data/raw"
        before, data = run_ids(project), content_of(raw)
        ended = run_flow(self.root, "--params", PARAMS, *options, env=self._env | (env or {}))
        record = read_run(self.root) if run_ids(project) != before else None
        return Outcome(
            ended.returncode,
            ended.stdout + ended.stderr,
            record,
            self._report(record),
            content_of(raw) == data,
            bool(record) and any(entry.attempts == 2 for entry in record.stages),
        )

    def execute(self, until: str, **settings: Any) -> Outcome:
        """Execute the stages up to one, with these parameters of ingestion, without Prefect."""
        data, listener = content_of(self.root / "data/raw"), Listener()
        request = Request(self.root / PARAMS, {"ingestion": settings}, until=until)
        record, failure = run_stages(Project(self.root), request, listener)
        return Outcome(
            1 if failure else 0,
            "\n".join([*listener.said, str(failure or "")]),
            record,
            self._report(record),
            content_of(self.root / "data/raw") == data,
            bool(failure) and failure.try_again,
        )

    def write(self, data: bytes | str, facts: str = CUSTOMERS) -> None:
        """Write customers.csv, and what the params file says of the sources."""
        (self.root / "customers.csv").write_bytes(data.encode() if isinstance(data, str) else data)
        (self.root / PARAMS).write_text(FACTS + facts)

    def _report(self, record: RunRecord | None) -> str:
        failed = [entry for entry in record.stages if entry.status == "failed"] if record else []
        if not record or not failed or not failed[0].report_html:
            return ""
        page = (Project(self.root).runs / record.run_id / failed[0].report_html).read_text(
            encoding="utf-8"
        )
        return _plain(BeautifulSoup(page, "html.parser").get_text())


def content_of(folder: Path) -> dict[str, bytes]:
    """Return the files of a dataset with their bytes."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def _plain(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()
