"""The stages of a pipeline as a picture: boxes in columns from left to right, each with what its
stage writes, and an arrow from each stage to those that wait for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from orchestrator.records.record import StageRecord
from orchestrator.stages import Stage, is_pointer

WIDTH, HEIGHT, GAP, ROW = 138, 46, 24, 128  # of a box; between columns; from row to row


@dataclass(frozen=True)
class Written:
    """What stands below a stage: the thing that it wrote, and a line about it."""

    name: str
    note: str


@dataclass(frozen=True)
class Drawn:
    """A stage as it is drawn: a second line and a class for its look, a link, the stages that it
    waits for, and what it wrote.
    """

    name: str
    note: str
    look: str
    link: str | None
    after: tuple[str, ...]
    written: Written | None


@dataclass(frozen=True)
class Box:
    """A stage, and its place."""

    stage: Drawn
    x: int
    y: int


@dataclass(frozen=True)
class Picture:
    """All boxes; an arrow is drawn only where no longer way shows the same."""

    stages: Sequence[Drawn]

    @cached_property
    def boxes(self) -> dict[str, Box]:
        """The boxes by name, in columns: each right of all that it waits for."""
        columns, filled, found = dict[str, int](), dict[int, int](), dict[str, Box]()
        for stage in self.stages:
            column = max((columns[name] + 1 for name in stage.after), default=0)
            row = filled.get(column, 0)
            columns[stage.name], filled[column] = column, row + 1
            found[stage.name] = Box(stage, 2 + column * (WIDTH + GAP), 4 + row * ROW)
        return found

    @property
    def width(self) -> int:
        """Of the whole picture."""
        return max((box.x for box in self.boxes.values()), default=0) + WIDTH + 2

    @property
    def height(self) -> int:
        """Of the whole picture."""
        return max((box.y for box in self.boxes.values()), default=0) + ROW - 6

    def arrows(self) -> Iterator[tuple[int, int, int, int]]:
        """Yield the arrows, from the right side of a box to the left side of another."""
        before = {stage.name: self._all_before(stage) for stage in self.stages}
        for stage in self.stages:
            for name in stage.after:
                if not any(name in before[other] for other in stage.after):
                    start, end = self.boxes[name], self.boxes[stage.name]
                    yield start.x + WIDTH, start.y + HEIGHT // 2, end.x, end.y + HEIGHT // 2

    def _all_before(self, stage: Drawn) -> set[str]:
        by_name = {one.name: one for one in self.stages}
        found, left = set[str](), list(stage.after)
        while left:
            name = left.pop()
            found.add(name)
            left += [one for one in by_name[name].after if one not in found]
        return found


def draw_graph(stages: Sequence[Stage]) -> Picture:
    """Return the picture of a pipeline, as its notebooks make it."""
    drawn = [
        Drawn(
            stage.name,
            stage.notebook,
            "",
            None,
            tuple(one.name for one in stages if set(one.writes) & set(stage.reads)),
            _show(stage.writes, "dataset"),
        )
        for stage in stages
    ]
    return Picture(drawn)


def draw_run(entries: Sequence[StageRecord], changes: dict[str, str], model: str) -> Picture:
    """Return the picture of a run: how each stage ended and what it wrote; `changes` say of a
    dataset how it differs from the one before. Of a stage that did not run only its place in the
    order is known.
    """
    makers = {path: entry.name for entry in entries for path in entry.outputs}
    drawn = list[Drawn]()
    for entry in entries:
        known = tuple(dict.fromkeys(makers[path] for path in entry.inputs if path in makers))
        after = known or tuple(one.name for one in drawn[-1:])
        written = _show(entry.outputs, "") or (_name_model(entry, model))
        if written and written.name in changes:
            content = entry.outputs[written.name]
            written = Written(written.name, f"{content.md5[:8]} {changes[written.name]}")
        look = f"stage {entry.status}"
        status = entry.status.replace("_", " ")
        drawn.append(Drawn(entry.name, status, look, entry.report_html, after, written))
    return Picture(drawn)


def _name_model(entry: StageRecord, model: str) -> Written | None:
    return Written("model", model) if entry.model and model else None


def _show(paths: Iterable[str], note: str) -> Written | None:
    written = list(paths)
    if any(map(is_pointer, written)):
        return Written("data/*.dvc", "DVC pointers")
    return Written(written[0], note) if written else None
