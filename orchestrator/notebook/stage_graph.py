"""The stages of a project and the graph that they form, as its notebooks say.

A stage is a notebook `NUMBER_name.ipynb` in `notebooks/` whose parameters cell says which datasets
it reads and writes:

    prepared_dir = "../data/prepared"  # dataset to read
    segments_dir = "../data/segments"  # dataset to write

A stage runs after those that write what it reads; where that leaves a choice, in the order of
the numbers. Scoring runs the stages that the features depend on, on folders of its own.
"""

from __future__ import annotations

import functools
import heapq
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

from churn.baseline import FOLDER as ACCEPTED
from churn.baseline import PROFILE, SCHEMA
from churn.params import suggest
from orchestrator.errors import UsageError
from orchestrator.notebook.parameters import Parameter, declared_parameters
from orchestrator.project import Project
from orchestrator.stages import (
    INGESTION,
    MODEL_BUILDING,
    NO_DATASETS,
    SCORED_MODEL,
    VERSIONING,
    Pipeline,
    Stage,
    find_stage,
    for_scoring,
    for_training,
    is_dataset,
    is_of_scoring,
    pointer_of,
)

_NAMED = re.compile(r"\d+_(?P<name>[a-z][a-z0-9_]*)\.ipynb")
_FOLDER = re.compile(r"\.\./(?P<path>data/[\w./-]+?)/?")
_DECLARES = re.compile(r"dataset\b(?P<words>.*)")
_RESERVED = ("all",)  # `--force all` means every stage

# What notebooks cannot say of themselves, by the name of the stage.
_FACTS: Mapping[str, Mapping[str, Any]] = {
    INGESTION: {"needs_secrets": True, "reads_sources": True},
    "validation": {
        "learns": tuple(f"{ACCEPTED}/{{data_set}}/{name}" for name in (SCHEMA, PROFILE))
    },
    # A source and the remote that datasets are pushed to may share their credentials; DVC's
    # settings name the remote.
    VERSIONING: {"needs_secrets": True, "settings": (".dvc/config", ".dvc/config.local")},
}
# Parameters that are others where customers are scored: one customer is enough, and who has left
# since is not among them.
_GIVEN_TO_SCORE: Mapping[str, Mapping[str, Any]] = {
    "validation": {"min_rows": 1, "min_key_match": 0.0},
    "transformation": {"written_table": "scoring"},
}


@dataclass(frozen=True)
class Graph:
    """The pipelines of a project; `problems` keep a run from starting, `notes` do not."""

    training: Pipeline
    scoring: Pipeline
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def stage_names(self) -> list[str]:
        """The names of the stages of both pipelines."""
        return list(dict.fromkeys([*self.training.stage_names, *self.scoring.stage_names]))

    def find_stage(self, name: str) -> Stage:
        """Return the stage of that name, of training where both pipelines have one.

        Raises:
            UsageError: there is none; the message suggests the nearest.
        """
        return find_stage(name, (*self.training.stages, *self.scoring.stages))


@dataclass(frozen=True)
class _Declared:
    """A stage, and what its notebook declares: parameters, and those of them that name the
    folder of a dataset, with its path.
    """

    stage: Stage
    parameters: Mapping[str, Parameter]
    folders: Mapping[str, str]


def read_graph(project: Project) -> Graph:
    """Read which stages a project has, from its notebooks; once as long as these stay as they
    are. A notebook that cannot be read is a stage of which nothing is known.
    """
    files = sorted(project.notebooks.glob("*.ipynb"), key=_order)
    states = tuple((file, (state := file.stat()).st_mtime_ns, state.st_size) for file in files)
    return _read_graph(states)


def find_notebook(project: Project, stage: str) -> Path:
    """Return the notebook of a stage, without looking into any.

    Raises:
        UsageError: there is none, or more than one.
    """
    found = [file for file in project.notebooks.glob("*.ipynb") if _name(file) == stage]
    if len(found) != 1:
        raise UsageError(
            f"{project.notebooks} has {len(found)} notebooks of the stage {stage!r}, expected one: "
            f"NUMBER_{stage}.ipynb."
        )
    return found[0]


@functools.lru_cache(maxsize=16)
def _read_graph(states: Sequence[tuple[Path, int, int]]) -> Graph:
    declared, problems, notes = list[_Declared](), list[str](), list[str]()
    is_whole = True
    for file, _, _ in states:
        name = _name(file)
        if name is None:
            notes.append(f"{file.name} is no stage: its name is not NUMBER_name.ipynb")
            continue
        try:
            parameters = declared_parameters(file)
        except UsageError:  # told where notebooks are checked
            parameters, is_whole = {}, False
        declared.append(_read_stage(name, file, parameters, problems))
    of_scoring = [one for one in declared if any(map(is_of_scoring, one.folders.values()))]
    of_training = [one for one in declared if one not in of_scoring]
    training = _complete([one.stage for one in of_training])
    problems += _find_name_problems(declared)
    if is_whole:
        problems += _find_path_problems(training)
    try:
        stages = _sort(training)
    except CycleError as error:
        problems.append(_describe_circle(error.args[1]))
        stages = training
    scored = _score(stages, {one.stage.name: one for one in of_training}, of_scoring)
    return Graph(
        Pipeline("training", tuple(stages)),
        Pipeline("scoring", tuple(scored)),
        tuple(problems),
        tuple(notes),
    )


def _order(file: Path) -> tuple[str, str]:
    """Return what notebooks are sorted by: 04, 045, 05."""
    return file.name.partition("_")[0], file.name


def _name(file: Path) -> str | None:
    named = _NAMED.fullmatch(file.name)
    return named["name"] if named else None


def _read_stage(
    name: str, file: Path, parameters: Mapping[str, Parameter], problems: list[str]
) -> _Declared:
    folders, reads, writes = dict[str, str](), list[str](), list[str]()
    for parameter, one in parameters.items():
        says = _DECLARES.match(one.help)
        if not says or not isinstance(one.default, str):
            continue
        path = _FOLDER.fullmatch(one.default)
        if not path or not (is_dataset(path["path"]) or is_of_scoring(path["path"])):
            problems.append(
                f"{file.name}: {parameter} is a dataset, and lies in {one.default!r}: expected "
                f"../data/NAME, and another name than {', '.join(NO_DATASETS)}"
            )
            continue
        folders[parameter] = path["path"]
        (writes if "writ" in says["words"] else reads).append(path["path"])
    stage = Stage(name, file.name, tuple(reads), tuple(writes), **_FACTS.get(name, {}))
    return _Declared(stage, parameters, folders)


def _complete(stages: Sequence[Stage]) -> list[Stage]:
    """Let versioning read every dataset and write its pointers, and model building read these."""
    datasets = tuple(path for stage in stages for path in stage.writes)
    has_versions = any(stage.name == VERSIONING for stage in stages)
    pointers = tuple(map(pointer_of, datasets)) if has_versions else ()
    names = [path.removeprefix("data/") for path in datasets]
    of_versioning = {"reads": datasets, "writes": pointers, "given": (("datasets", names),)}
    return [
        replace(stage, **of_versioning)  # type: ignore[arg-type]
        if stage.name == VERSIONING
        else replace(stage, reads=(*stage.reads, *pointers))
        if stage.name == MODEL_BUILDING
        else stage
        for stage in stages
    ]


def _find_name_problems(declared: Sequence[_Declared]) -> Iterator[str]:
    for name, count in Counter(one.stage.name for one in declared).items():
        if count > 1:
            files = _join(one.stage.notebook for one in declared if one.stage.name == name)
            yield f"the stage {name!r} has {count} notebooks: {files}"
        elif name in _RESERVED:
            yield f"a stage cannot be called {name!r}: that means every stage"


def _find_path_problems(stages: Sequence[Stage]) -> Iterator[str]:
    """Yield what two stages write, and what is read that none writes."""
    written = {path for stage in stages for path in stage.writes}
    for path in sorted(written):
        writers = [stage.notebook for stage in stages if path in stage.writes]
        if len(writers) > 1:
            yield f"{path} is written by {_join(writers)}: a dataset is written by one stage"
    for stage in stages:
        for path in (path for path in stage.reads if path not in written):
            yield (
                f"{stage.notebook} reads {path}, which no notebook "
                f"writes{suggest(path, sorted(filter(is_dataset, written)))}"
            )


def _sort(stages: Sequence[Stage]) -> list[Stage]:
    """Return the stages in an order in which each comes after those whose datasets it reads, and
    else by their notebooks' numbers.

    Raises:
        CycleError: there is none.
    """
    whole = Pipeline("training", tuple(stages))
    places = {stage.notebook: place for place, stage in enumerate(stages)}
    sorter = TopologicalSorter(
        {stage.notebook: [other.notebook for other in whole.upstream_of(stage)] for stage in stages}
    )
    sorter.prepare()
    found, ready = list[Stage](), list[int]()
    while sorter.is_active():
        for notebook in sorter.get_ready():
            heapq.heappush(ready, places[notebook])
        found.append(stages[heapq.heappop(ready)])
        sorter.done(found[-1].notebook)
    return found


def _describe_circle(notebooks: Sequence[str]) -> str:
    way = " -> ".join(reversed(notebooks))
    return f"the notebooks wait for each other, each for what the one before writes: {way}"


def _score(
    training: Sequence[Stage], declared: Mapping[str, _Declared], of_scoring: Sequence[_Declared]
) -> Iterator[Stage]:
    """Yield the stages of scoring: those of training that what it reads depends on, with folders
    of their own, and its own.
    """
    needed = {for_training(path) for one in of_scoring for path in one.stage.reads}
    chosen = list[Stage]()
    for stage in reversed(training):
        if needed & set(stage.writes):
            chosen.insert(0, stage)
            needed |= set(stage.reads)
    for stage in chosen:
        yield _move(stage, declared[stage.name])
    for one in of_scoring:
        stage = replace(
            one.stage, reads=(*one.stage.reads, SCORED_MODEL), pipeline="scoring", given=_given(one)
        )
        yield stage


def _move(stage: Stage, declared: _Declared) -> Stage:
    """Return a stage of training as it is in scoring: of the same notebook, with folders of its
    own, and the model that its decisions are followed of.
    """
    follows = "model_dir" in declared.parameters
    reads = [for_scoring(path) for path in stage.reads] + [SCORED_MODEL] * follows
    return replace(
        stage,
        reads=tuple(reads),
        writes=tuple(for_scoring(path) for path in stage.writes),
        pipeline="scoring",
        given=(*_given(declared), *_GIVEN_TO_SCORE.get(stage.name, {}).items()),
    )


def _given(declared: _Declared) -> tuple[tuple[str, str], ...]:
    """Return the parameters by which a notebook is told its folders for scoring."""
    given = {
        name: path if is_of_scoring(path) else for_scoring(path)
        for name, path in declared.folders.items()
    }
    if "model_dir" in declared.parameters:
        given["model_dir"] = SCORED_MODEL
    return tuple((name, f"../{path}") for name, path in given.items())


def _join(names: Iterator[str] | Sequence[str]) -> str:
    return " and ".join(sorted(names))
