"""What is asked of a run, and what it will do: made once, and handed on to the last stage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from churn.params import Params
from orchestrator.notebook.stage_graph import Graph
from orchestrator.project import Project
from orchestrator.records.past_runs import History
from orchestrator.records.record import StageRecord
from orchestrator.redaction import secret_names
from orchestrator.stages import Pipeline, PipelineName, Stage

DEFAULT_PARAMS = Path("params.yaml")
EVERY_STAGE = "all"  # in `force`


@dataclass(frozen=True)
class Request:
    """A pipeline, the facts of a data set, and how to run it.

    `settings` are parameters of stages, stage -> name -> value; they win over those of
    the params file. The run begins at the stage `start`, ends with `until`, or is `only`
    one. The stages named by `force` run though nothing has changed. `refresh`: whether
    sources elsewhere are read again.
    """

    params: Path = DEFAULT_PARAMS
    settings: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    start: str | None = None
    only: str | None = None
    until: str | None = None
    force: tuple[str, ...] = ()
    refresh: bool = True
    pipeline: PipelineName = "training"
    cold_kernels: bool = False

    def find_forced(self, graph: Graph) -> dict[str, str]:
        """Return the stages that run in any case -> the option that says so.

        Raises:
            UsageError: there is no stage of a name.
        """
        found = dict.fromkeys(graph.stage_names, "--force") if EVERY_STAGE in self.force else {}
        named = [name for name in self.force if name != EVERY_STAGE]
        found |= {graph.find_stage(name).name: "--force-stage" for name in named}
        for option, name in (("--from", self.start), ("--only", self.only)):
            if name:
                found[graph.find_stage(name).name] = option
        return found

    def params_file(self, project: Project) -> Path:
        """Return the file with the facts of the data set; that of the project by default."""
        return project.params_file if self.params == DEFAULT_PARAMS else self.params

    def as_json(self) -> dict[str, Any]:
        """Return what differs from a plain run, as Prefect's UI shows it."""
        given = {
            "params": str(self.params),
            "settings": self.settings,
            "start": self.start,
            "only": self.only,
            "until": self.until,
            "force": list(self.force),
            "refresh": self.refresh,
        }
        return {name: value for name, value in given.items() if value not in (None, {}, [])}


Parts = dict[str, str]  # what decides a stage's result: name -> hash, or value as JSON


@dataclass(frozen=True)
class Decision:
    """Whether a stage runs, is reused, or depends on what another stage is about to
    write; and the reason.

    Of a reused stage: the run and entry of the result, and which of its outputs have to
    be brought back.
    """

    stage: Stage
    what: Literal["runs", "reused", "open"]
    reason: str
    run_id: str = ""
    entry: StageRecord | None = None
    to_restore: tuple[str, ...] = ()

    @property
    def is_intact(self) -> bool:
        """Whether the stage is reused with all that it had written still in its place."""
        return self.what == "reused" and not self.to_restore

    def __str__(self) -> str:
        """Return what logs and tables say."""
        return f"{self.what}: {self.reason}"


@dataclass(frozen=True)
class Plan:
    """What a run will do: its stages in order, what each is given, how many seconds each
    may take, and which of them run. The `pipeline` is the one whose stages, or some of them,
    run; `forced` are those that run in any case -> the option that says so.

    `notes` are what the user should know of, though it keeps nothing from running. A
    decision that is `open` is made when the stages before have written what it reads.
    """

    project: Project
    request: Request
    params: Params
    pipeline: Pipeline
    stages: tuple[Stage, ...]
    parameters: Mapping[str, dict[str, Any]]
    time_limits: Mapping[str, float]
    history: History
    notes: tuple[str, ...] = ()
    forced: Mapping[str, str] = field(default_factory=dict)
    decisions: Mapping[str, Decision] = field(default_factory=dict)

    @property
    def params_file(self) -> Path:
        """The file with the facts of the data set."""
        return self.request.params_file(self.project)

    @property
    def withheld(self) -> dict[Path, frozenset[str]]:
        """Which environment variables a notebook is not given: the secrets of the
        sources, unless it reads them.
        """
        names = secret_names(self.params)
        return {
            self.project.notebooks / stage.notebook: names
            for stage in self.stages
            if not stage.needs_secrets
        }

    @property
    def notebooks(self) -> tuple[Path, ...]:
        """The notebooks of the stages, in order."""
        return tuple(self.project.notebooks / stage.notebook for stage in self.stages)

    @property
    def expected(self) -> tuple[Path, ...]:
        """The notebooks that will be executed, as far as can be told before."""
        return tuple(
            self.project.notebooks / stage.notebook
            for stage in self.stages
            if self.decisions[stage.name].what != "reused"
        )
