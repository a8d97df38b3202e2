"""The six stages as data: what runs, in which order, and what it may take."""

from __future__ import annotations

from dataclasses import dataclass

from notebooks.accepted import FOLDER as ACCEPTED
from notebooks.accepted import PROFILE, SCHEMA, slug
from notebooks.params import suggest
from orchestrator.errors import UsageError


@dataclass(frozen=True)
class Stage:
    """One notebook with the paths that it reads and writes, relative to the root; `time_limit` in seconds.

    `settings` are files that decide what it does, where they exist; those that it `learns` it writes itself where they
    do not. In the paths of the latter, `{data_set}` is the name of the data set's folder (`notebooks.accepted.slug`).
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

    def learned(self, data_set: str) -> tuple[str, ...]:
        """Return the files that it learns, for a data set of that name."""
        return tuple(path.format(data_set=slug(data_set)) for path in self.learns)

    @property
    def report_name(self) -> str:
        """The name of its report in a run's folder, without the ending: that of its notebook."""
        return self.notebook.removesuffix(".ipynb")


DATASETS = ("data/raw", "data/validated", "data/prepared", "data/features")
POINTERS = tuple(f"{dataset}.dvc" for dataset in DATASETS)

STAGES = (
    Stage("ingestion", "01_ingestion.ipynb", reads=(), writes=("data/raw",), needs_secrets=True, reads_sources=True),
    Stage(
        "validation",
        "02_validation.ipynb",
        reads=("data/raw",),
        writes=("data/validated",),
        learns=tuple(f"{ACCEPTED}/{{data_set}}/{name}" for name in (SCHEMA, PROFILE)),
    ),
    Stage("preparation", "03_preparation.ipynb", reads=("data/validated",), writes=("data/prepared",)),
    Stage("transformation", "04_transformation.ipynb", reads=("data/prepared",), writes=("data/features",)),
    # A source and the remote that datasets are pushed to may share their credentials.
    Stage(
        "versioning",
        "05_versioning.ipynb",
        reads=DATASETS,
        writes=POINTERS,
        settings=(".dvc/config", ".dvc/config.local"),  # which name the remote
        needs_secrets=True,
    ),
    Stage("model_building", "06_model_building.ipynb", reads=("data/features", *POINTERS), writes=()),
)
STAGE_NAMES = [stage.name for stage in STAGES]


def find_stage(name: str) -> Stage:
    """Return the stage of that name.

    Raises:
        UsageError: there is none; the message suggests the nearest.
    """
    for stage in STAGES:
        if stage.name == name:
            return stage
    raise UsageError(f"There is no stage {name!r}{suggest(name, STAGE_NAMES)}.")


def upstream_of(stage: Stage) -> list[Stage]:
    """Return the stages that write what a stage reads."""
    return [other for other in STAGES if set(other.writes) & set(stage.reads)]
