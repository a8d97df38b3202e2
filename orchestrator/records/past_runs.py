"""The records of earlier runs, as decisions about the next one look at them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from orchestrator.project import Project
from orchestrator.records.hashes import HASHES, measure
from orchestrator.records.record import RunRecord, StageRecord, read_records, run_ids
from orchestrator.stages import Stage

DONE = ("completed", "reused")
_ENDED = (*DONE, "failed", "timed_out", "interrupted")


class History:
    """The records of earlier runs, the newest first; each is read once, and parsed only
    when it may matter.
    """

    def __init__(self, project: Project) -> None:
        self._project = project
        self._contents: dict[str, bytes] = {}

    def completed(
        self, stage: Stage, parts: Mapping[str, str]
    ) -> Iterator[tuple[str, StageRecord]]:
        """Yield the runs, and their entries, in which a stage completed that these parts
        decided, among others.
        """
        hashes = {value.encode() for value in parts.values() if value.startswith(HASHES)}
        for run_id, entry in self._entries(stage, hashes):
            if entry.status == "completed" and parts.items() <= entry.decided_by.items():
                yield run_id, entry

    def ended(self, stage: Stage) -> Iterator[tuple[str, StageRecord]]:
        """Yield the runs, and their entries, in which a stage came to an end, well or
        not, or was reused.
        """
        for run_id, entry in self._entries(stage, ()):
            if entry.status in _ENDED and entry.decided_by:
                yield run_id, entry

    def _entries(
        self, stage: Stage, holding: Collection[bytes]
    ) -> Iterator[tuple[str, StageRecord]]:
        for run_id in reversed(run_ids(self._project)):
            if run_id not in self._contents:
                self._contents[run_id] = (self._project.runs / run_id / "run.json").read_bytes()
            if all(part in self._contents[run_id] for part in holding):
                try:
                    record = RunRecord.model_validate_json(self._contents[run_id])
                    if record.pipeline == stage.pipeline:
                        yield run_id, record.stage(stage.name)
                except (ValueError, StopIteration):  # not a record, or of another set of stages
                    continue


def find_other_owner(project: Project, path: str, data_set: str) -> tuple[str, str] | None:
    """Return the data set that a dataset is of, as it lies, and the newest run that wrote it, if
    it is another one's. Of what no run wrote nobody knows, nor of a run without a data set.
    """
    if not (project.root / path).exists():
        return None
    found, md5 = dict[str, str](), measure(project.root / path, project.root).md5
    for record in read_records(project):
        written = (entry.outputs[path].md5 for entry in record.stages if path in entry.outputs)
        if md5 in written:
            found.setdefault(record.data_set, record.run_id)
    return None if {"", data_set} & found.keys() else next(iter(found.items()), None)
