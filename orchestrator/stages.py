"""The stages of each pipeline as data: what runs, in which order, and what it may take."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

from churn.baseline import FOLDER as ACCEPTED
from churn.baseline import PROFILE, SCHEMA, slug
from churn.params import suggest
from orchestrator.errors import UsageError

PipelineName = Literal["training", "scoring"]


@dataclass(frozen=True)
class Stage:
    """One notebook with the paths that it reads and writes, relative to the root;
    `time_limit` in seconds.

    `settings` are files that decide what it does, where they exist; those that it
    `learns` it writes itself where they do not. In the paths of the latter,
    `{data_set}` is the name of the data set's folder (`churn.baseline.slug`). `given`
    are the parameters of its notebook that its pipeline sets: name and value; of those
    `given_to_score` only the scoring pipeline does.
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
    given_to_score: tuple[tuple[str, Any], ...] = ()

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


DATASETS = ("data/raw", "data/validated", "data/prepared", "data/features")
POINTERS = tuple(f"{dataset}.dvc" for dataset in DATASETS)

STAGES = (
    Stage(
        "ingestion",
        "01_ingestion.ipynb",
        reads=(),
        writes=("data/raw",),
        needs_secrets=True,
        reads_sources=True,
    ),
    Stage(
        "validation",
        "02_validation.ipynb",
        reads=("data/raw",),
        writes=("data/validated",),
        # One customer to score is enough, and who has left since is not among them.
        given_to_score=(("min_rows", 1), ("min_key_match", 0.0)),
        learns=tuple(f"{ACCEPTED}/{{data_set}}/{name}" for name in (SCHEMA, PROFILE)),
    ),
    Stage(
        "preparation", "03_preparation.ipynb", reads=("data/validated",), writes=("data/prepared",)
    ),
    Stage(
        "transformation",
        "04_transformation.ipynb",
        reads=("data/prepared",),
        writes=("data/features",),
        given_to_score=(("written_table", "scoring"),),
    ),
    # A source and the remote that datasets are pushed to may share their credentials.
    Stage(
        "versioning",
        "05_versioning.ipynb",
        reads=DATASETS,
        writes=POINTERS,
        settings=(".dvc/config", ".dvc/config.local"),  # which name the remote
        needs_secrets=True,
    ),
    Stage(
        "model_building", "06_model_building.ipynb", reads=("data/features", *POINTERS), writes=()
    ),
)
MODEL_BUILDING = "model_building"
STAGE_NAMES = [stage.name for stage in STAGES]


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
        for stage in self.stages:
            if stage.name == name:
                return stage
        raise UsageError(f"There is no stage {name!r}{suggest(name, self.stage_names)}.")

    def upstream_of(self, stage: Stage) -> list[Stage]:
        """Return the stages that write what a stage reads."""
        return [other for other in self.stages if set(other.writes) & set(stage.reads)]


TRAINING = Pipeline("training", STAGES)

# A verified copy of the registered model, made before a scoring run begins.
SCORED_MODEL = "data/scoring/model"
SCORING_DATASETS = tuple(dataset.replace("data/", "data/scoring/") for dataset in DATASETS)


def _for_scoring(stage: Stage) -> Stage:
    """Return a stage of training as it is in scoring: of the same notebook, with
    folders of its own.
    """
    moved = dict(zip(DATASETS, SCORING_DATASETS, strict=True))
    given = [
        (f"{path.rpartition('/')[2]}_dir", f"../{moved[path]}")
        for path in (*stage.reads, *stage.writes)
    ]
    reads = tuple(moved[path] for path in stage.reads)
    if stage.reads_sources:  # what is received does not depend on the model
        return replace(
            stage, writes=(moved[stage.writes[0]],), pipeline="scoring", given=tuple(given)
        )
    return replace(
        stage,
        reads=(*reads, SCORED_MODEL),
        writes=tuple(moved[path] for path in stage.writes),
        pipeline="scoring",
        given=(*given, ("model_dir", f"../{SCORED_MODEL}"), *stage.given_to_score),
    )


def make_scoring(out: str = "", *, to_database: bool = False) -> Pipeline:
    """Return the pipeline that scores customers; `out` is the file that it writes,
    relative to the root or absolute.
    """
    scoring = Stage(
        "scoring",
        "07_scoring.ipynb",
        reads=("data/scoring/features", SCORED_MODEL),
        writes=(out,) if out and not to_database else (),
        needs_secrets=to_database,
        pipeline="scoring",
        given=(("features_dir", "../data/scoring/features"), ("model_dir", f"../{SCORED_MODEL}")),
    )
    return Pipeline("scoring", (*map(_for_scoring, STAGES[:4]), scoring))


SCORING = make_scoring()
ALL_STAGE_NAMES = list(dict.fromkeys([*STAGE_NAMES, *SCORING.stage_names]))


def find_stage(name: str) -> Stage:
    """Return the stage of that name, of training where both pipelines have one.

    Raises:
        UsageError: there is none; the message suggests the nearest.
    """
    return (
        SCORING.find(name)
        if name not in STAGE_NAMES and name in SCORING.stage_names
        else TRAINING.find(name)
    )
