"""Compares two executions of one run: datasets file by file, results number by number,
reports output by output.

Not compared are ids and clock times, which differ by nature; `_VOLATILE` and `Texts` list them:

- of results: MLflow's run id, the registered version (in a folder of its own there is no
  other data set's before it), how many objects went to a remote;
- of outputs: these three again, the run's id, MLflow's ids of models, paths of the
  project's folder and of a kernel's temporary files, memory addresses, what is said of
  the remote, and how many blanks stand between words;
- the metadata of cells and outputs: execution counts, and when a cell ran.
"""

from __future__ import annotations

import difflib
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from orchestrator.compare.table_differences import TOLERANCE, Difference, compare_files
from orchestrator.notebook.cells import heading_above, is_code
from orchestrator.records.record import RunRecord, StageRecord

Verdict = Literal["identical", "equal", "different", "not compared"]

_VOLATILE = ("mlflow_run_id", "registered_model", "model_version", "pushed")
_IN_TABLES = re.compile(rf"\b({'|'.join(_VOLATILE)})(</td>\s*<td>|\s+)[^\s<]+")
_PATTERNS = (
    (_IN_TABLES, r"\1\2<volatile>"),
    (re.compile(r"\bm-[0-9a-f]{32}\b"), "<model>"),
    (re.compile(r"\S*ipykernel_\d+[\\/]\d+\.py"), "<cell>"),
    (re.compile(r"\bat 0x[0-9A-Fa-f]{6,}"), "at <address>"),
    (
        re.compile(
            r"^(not copied: (the parameter `push`|no default remote).*"
            r"|\d+ objects copied to the remote .*|the remote '.*' has everything)$",
            re.MULTILINE,
        ),
        "<remote>",
    ),
    (re.compile(r"[ \t]+"), " "),
)
# Tags of cells that a run adds to a notebook.
_ADDED = {"injected-parameters", "run-banner", "failed-cell-mark"}
_DIFF_LINES = 6
_DIFF_WIDTH = 160  # characters


@dataclass(frozen=True)
class Compared:
    """What came of comparing one thing; `details` say what differs, or why it could not
    be compared.
    """

    kind: Literal["dataset", "result", "outputs"]
    name: str
    verdict: Verdict
    details: tuple[str, ...] = ()

    @property
    def is_good(self) -> bool:
        """Whether it came out the same."""
        return self.verdict in ("identical", "equal")

    @property
    def shown(self) -> str:
        """The verdict in words; the tolerance is relative."""
        return f"equal within {TOLERANCE:g}" if self.verdict == "equal" else self.verdict

    def lines(self) -> Iterator[str]:
        """Yield a line of the table, and below it the details."""
        yield f"{self.kind:<8} {self.name:<48} {self.shown}"
        yield from (f"         {detail}" for detail in self.details)

    def as_json(self) -> dict[str, Any]:
        """Return it for other programs."""
        return {**asdict(self), "verdict": self.shown}


def compare_dataset(
    name: str, before: Mapping[str, Path] | None, after: Mapping[str, Path]
) -> Compared:
    """Compare the files of a dataset whose hashes differ: path within -> file; None
    where they are lost.
    """
    if before is None:
        lost = "in what is not known: DVC's cache does not have the recorded version"
        return Compared("dataset", name, "different", (lost,))
    details = [
        f"{file} is {'gone' if file in before else 'new'}"
        for file in sorted(before.keys() ^ after.keys())
    ]
    found = [Difference(detail, False) for detail in details]
    for file in sorted(before.keys() & after.keys()):
        found += compare_files(file, before[file], after[file])
    verdict: Verdict = "equal" if found and all(one.is_close for one in found) else "different"
    return Compared("dataset", name, verdict, tuple(one.text for one in found))


def compare_results(before: StageRecord, after: StageRecord) -> Iterator[Compared]:
    """Compare what a stage recorded as its results, but for ids."""
    for name in dict.fromkeys([*before.results, *after.results]):
        if name not in _VOLATILE:
            old, new = before.results.get(name), after.results.get(name)
            yield Compared("result", f"{before.name}.{name}", *_compare_values(old, new))


def _compare_values(old: Any, new: Any) -> tuple[Verdict, tuple[str, ...]]:
    if old == new:
        return "identical", ()
    if not isinstance(old, (int, float)) or not isinstance(new, (int, float)):
        return "different", (f"{old!r} -> {new!r}",)
    verdict: Verdict = "equal" if math.isclose(old, new, rel_tol=TOLERANCE) else "different"
    return verdict, (f"{old!r} -> {new!r}, difference {abs(new - old):.3g}",)


@dataclass(frozen=True)
class Texts:
    """Makes texts of one run comparable with another's: what differs by nature becomes
    a word in angle brackets.
    """

    known: Mapping[str, str]

    @classmethod
    def of(cls, root: Path, records: Sequence[RunRecord]) -> Texts:
        """Know the folder of a project, and the ids of runs."""
        known = {
            one: "<project>"
            for folder in (root, root.resolve())
            for one in (str(folder), folder.as_posix())
        }
        for record in records:
            known[record.run_id] = "<run>"
            for entry in record.stages:
                if model := entry.model:
                    known[model.mlflow_run_id] = "<MLflow run>"
                    known[f"{model.registered_model} version {model.model_version}"] = "<version>"
                    known[f"version {model.model_version}"] = "version <number>"
        return cls(known)

    def settle(self, text: str) -> str:
        """Return a text without what differs by nature."""
        for one in sorted(self.known, key=len, reverse=True):
            text = re.sub(rf"{re.escape(one)}(?!\w)", self.known[one], text)
        for pattern, word in _PATTERNS:
            text = pattern.sub(word, text)
        return text


def compare_outputs(
    stage: str, before: Path | None, after: Path, texts: tuple[Texts, Texts]
) -> Compared:
    """Compare the outputs of all cells of two reports; `texts` settle those of the
    first and of the second.
    """
    if before is None or not before.is_file():
        return Compared("outputs", stage, "not compared", ("the report of the run is gone",))
    old, new = (
        _read_cells(path, settle) for path, settle in zip((before, after), texts, strict=True)
    )
    details = [f"{where}, {line}" for where, *pair in _pair(old, new) for line in _describe(*pair)]
    return Compared("outputs", stage, "different" if details else "identical", tuple(details))


_Outputs = tuple[tuple[str, str], ...]  # kind and settled content of each


@dataclass(frozen=True)
class _Cell:
    id: str
    where: str
    outputs: _Outputs


def _pair(old: list[_Cell], new: list[_Cell]) -> Iterator[tuple[str, _Outputs, _Outputs]]:
    """Pair the cells by their order; where a cell without code was added or removed, by
    their ids.
    """
    if len(old) == len(new):
        yield from ((a.where, a.outputs, b.outputs) for a, b in zip(old, new, strict=True))
        return
    of_old, of_new = ({cell.id: cell for cell in cells} for cells in (old, new))
    for name, cell in (of_old | of_new).items():
        none = _Cell(name, "", ())
        yield cell.where, of_old.get(name, none).outputs, of_new.get(name, none).outputs


def _read_cells(path: Path, texts: Texts) -> list[_Cell]:
    import nbformat

    notebook = nbformat.read(path, as_version=4)
    cells, number = [], 0
    for index, cell in enumerate(notebook.cells):
        if not is_code(cell) or _ADDED & set(cell.metadata.get("tags", [])):
            continue
        number += 1
        heading = heading_above(notebook, index)
        where = f"cell {number}" + (f" ({heading})" if heading else "")
        cells.append(_Cell(cell.get("id", ""), where, tuple(_settle_outputs(cell.outputs, texts))))
    return cells


def _settle_outputs(outputs: Sequence[Any], texts: Texts) -> Iterator[tuple[str, str]]:
    """Yield what a cell printed, then what it displayed: whether a text to stderr came
    in between is chance.
    """
    for name in ("stdout", "stderr"):
        printed = "".join(
            one.text for one in outputs if one.output_type == "stream" and one.name == name
        )
        if printed:
            yield name, texts.settle(printed)
    for one in outputs:
        if one.output_type == "error":
            yield "error", texts.settle(f"{one.ename}: {one.evalue}")
        for kind, content in sorted(
            one.get("data", {}).items(), key=lambda pair: (pair[0] != "text/plain", pair)
        ):
            if kind.startswith("image/") and not kind.endswith("xml"):
                yield kind, content
            else:
                yield kind, texts.settle(content if isinstance(content, str) else _as_text(content))


def _as_text(tree: Any) -> str:
    stable = (
        {name: value for name, value in tree.items() if name not in _VOLATILE}
        if isinstance(tree, dict)
        else tree
    )
    return json.dumps(stable, indent=0, sort_keys=True, ensure_ascii=False)


def _describe(old: _Outputs, new: _Outputs) -> Iterator[str]:
    kinds = [[kind for kind, _ in outputs] for outputs in (old, new)]
    if kinds[0] != kinds[1]:
        yield f"outputs: {', '.join(kinds[0]) or 'none'} -> {', '.join(kinds[1]) or 'none'}"
        return
    is_text_told = False
    for (kind, a), (_, b) in zip(old, new, strict=True):
        if a != b and kind.startswith("image/"):
            yield f"{kind}: another picture"
        elif a != b and not is_text_told:  # HTML and JSON say the same again
            is_text_told = True
            yield f"{kind}: {_short_diff(a, b)}"


def _short_diff(old: str, new: str) -> str:
    lines = [
        line[:_DIFF_WIDTH]
        for line in difflib.unified_diff(old.splitlines(), new.splitlines(), lineterm="", n=0)
        if not line.startswith(("---", "+++", "@@"))
    ]
    more = len(lines) - _DIFF_LINES
    return " | ".join(lines[:_DIFF_LINES]) + (f" | … {more} lines more" if more > 0 else "")
