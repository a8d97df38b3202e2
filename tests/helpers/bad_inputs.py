"""A project with a small company's data, one good ingestion behind it, and runs that
then meet bad inputs.
"""

from __future__ import annotations

import random
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from bs4 import BeautifulSoup

from helpers.projects import copy_project, read_run, run_flow
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


def make_project(root: Path, env: dict[str, str]) -> Path:
    """Make a project whose data was ingested once."""
    copy_project(root)
    (root / "customers.csv").write_text(as_csv(customers()))
    (root / PARAMS).write_text(FACTS + CUSTOMERS)
    ended = run_flow(root, "--params", PARAMS, "--only", "ingestion", env=env)
    assert ended.returncode == 0, ended.stderr[-3000:]
    return root


@dataclass(frozen=True)
class Outcome:
    """How a run ended: its exit code, what it said, its record and report if it
    started, and whether data was lost.
    """

    code: int
    said: str
    record: RunRecord | None
    report: str
    is_raw_kept: bool

    def stopped_in(self, stage: str, attempts: int = 1) -> str:
        """Check that the run stopped in a stage, after so many tries, told in output
        and report; return the error.

        The dataset of the last ingestion is what it was, if it is ingestion that stopped.
        """
        assert self.code == 1, self.said
        assert self.record
        entry = self.record.stage(stage)
        assert (self.record.status, entry.status, entry.attempts) == ("failed", "failed", attempts)
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

    def __init__(self, made: Path, root: Path, env: dict[str, str]) -> None:
        self.root = Path(shutil.copytree(made, root, symlinks=True))
        self._env = env

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
        )

    def run_with(self, data: bytes | str, *options: str, facts: str = CUSTOMERS) -> Outcome:
        """Run the flow after writing customers.csv, and what the params file says of
        the sources.
        """
        (self.root / "customers.csv").write_bytes(data.encode() if isinstance(data, str) else data)
        (self.root / PARAMS).write_text(FACTS + facts)
        return self.run(*options)

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
