"""A stage, a pipeline, and where datasets lie; which stages a project has, its notebooks say
(`notebook/stage_graph.py`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from churn.baseline import slug
from churn.params import suggest
from orchestrator.errors import UsageError

PipelineName = Literal["training", "scoring"]
INGESTION = "ingestion"
TRANSFORMATION = "transformation"
MODEL_BUILDING = "model_building"
VERSIONING = "versioning"
SCORING = "scoring"

# A verified copy of the registered model, made before a scoring run begins.
SCORED_MODEL = "data/scoring/model"
_OF_SCORING = "data/scoring/"
# What lies in `data/` and is no dataset of training.
NO_DATASETS = ("accepted", "sample", "scoring")
_DATASET = re.compile(rf"data/(?!(?:{'|'.join(NO_DATASETS)})$)[\w-]+")


@dataclass(frozen=True)
class Stage:
    """One notebook with the paths that it reads and writes, relative to the root;
    `time_limit` in seconds.

    `settings` are files that decide what it does, where they exist; those that it
    `learns` it writes itself where they do not. In the paths of the latter,
    `{data_set}` is the name of the data set's folder (`churn.baseline.slug`). `given`
    are the parameters of its notebook that its pipeline sets: name and value.
    """

    name: str
    notebook: str
    reads: tuple[str, ...]
    writes: tuple[str, ...]
    time_limit: int = 3600
    settings: tuple[str, ...] = ()
    learns: tuple[str, ...] = ()
    needs_secrets: bool = False  # it is given the secret variables of the sources
    reads_sources: bool = False
    pipeline: PipelineName = "training"
    given: tuple[tuple[str, Any], ...] = ()

    def learned(self, data_set: str) -> tuple[str, ...]:
        """Return the files that it learns, for a data set of that name."""
        return tuple(path.format(data_set=slug(data_set)) for path in self.learns)

    @property
    def reaches_outside(self) -> bool:
        """Whether it reads or writes what lies outside of the project: a source, a remote."""
        return self.reads_sources or self.needs_secrets

    @property
    def report_name(self) -> str:
        """The name of its report in a run's folder, without the ending: that of its notebook."""
        return self.notebook.removesuffix(".ipynb")


@dataclass(frozen=True)
class Pipeline:
    """Stages that run one after the other, in one run."""

    name: PipelineName
    stages: tuple[Stage, ...]

    @property
    def stage_names(self) -> list[str]:
        """The names of its stages, in order."""
        return [stage.name for stage in self.stages]

    def find(self, name: str) -> Stage:
        """Return the stage of that name.

        Raises:
            UsageError: there is none; the message suggests the nearest.
        """
        return find_stage(name, self.stages)

    def upstream_of(self, stage: Stage) -> list[Stage]:
        """Return the stages that write what a stage reads."""
        return [other for other in self.stages if set(other.writes) & set(stage.reads)]


def find_stage(name: str, stages: Sequence[Stage]) -> Stage:
    """Return the first stage of that name.

    Raises:
        UsageError: there is none; the message suggests the nearest.
    """
    for stage in stages:
        if stage.name == name:
            return stage
    known = list(dict.fromkeys(stage.name for stage in stages))
    raise UsageError(f"There is no stage {name!r}{suggest(name, known)}.")


def is_dataset(path: str) -> bool:
    """Whether a path from the root is that of a dataset of training, which is versioned."""
    return bool(_DATASET.fullmatch(path))


def is_pointer(path: str) -> bool:
    """Whether a path from the root is that of a dataset's DVC pointer."""
    return path.endswith(".dvc") and is_dataset(dataset_of(path))


def pointer_of(dataset: str) -> str:
    """Return the path of a dataset's DVC pointer."""
    return f"{dataset}.dvc"


def dataset_of(pointer: str) -> str:
    """Return the path of the dataset that a DVC pointer is of."""
    return pointer.removesuffix(".dvc")


def is_of_scoring(path: str) -> bool:
    """Whether a path from the root is that of a folder that each scoring run replaces."""
    return path.startswith(_OF_SCORING)


def for_scoring(dataset: str) -> str:
    """Return where scoring has what training has in a dataset."""
    return dataset.replace("data/", _OF_SCORING, 1)


def for_training(dataset: str) -> str:
    """Return where training has what scoring has in a dataset."""
    return dataset.replace(_OF_SCORING, "data/", 1)
