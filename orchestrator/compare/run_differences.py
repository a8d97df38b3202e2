"""Compares two runs: parameters, environment, code, data, quality rules, metrics,
stages and plots.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from orchestrator.compare.code_differences import (
    Archive,
    FileChange,
    compare_code,
    compare_environment,
)
from orchestrator.compare.data_differences import (
    ColumnChange,
    RuleChange,
    compare_profiles,
    compare_rules,
    read_dataset_json,
)
from orchestrator.errors import UsageError
from orchestrator.notebook.parameters import GIVEN_BY_RUN
from orchestrator.project import Project
from orchestrator.records.hashes import CONTENT
from orchestrator.records.record import RunRecord, StageRecord, read_records
from orchestrator.records.stage_facts import find_parameters, find_sources
from orchestrator.site.report_parts import Plot, read_parts
from orchestrator.site.run_page import Metric, list_metrics

_VALIDATED = "data/validated"
_HASHED = ("code:", CONTENT, "sha256:")


@dataclass(frozen=True)
class Change:
    """One thing that differs: its name, and what it was and is; an empty text where
    there was none.
    """

    name: str
    before: str
    after: str


@dataclass(frozen=True)
class MetricChange:
    """One measure of both models; `exceeds` says whether the difference is larger than
    the spread over the folds.
    """

    name: str
    before: Metric | None
    after: Metric | None

    @property
    def difference(self) -> float | None:
        """How much the second is above the first, by cross-validation, or on the test
        set where there is none.
        """
        if self.before is None or self.after is None:
            return None
        pairs = ((self.before.cv, self.after.cv), (self.before.test, self.after.test))
        return next(
            (after - before for before, after in pairs if before is not None and after is not None),
            None,
        )

    @property
    def spread(self) -> float | None:
        """The larger standard deviation over the folds of the two."""
        found = [one.std for one in (self.before, self.after) if one and one.std is not None]
        return max(found) if found else None

    @property
    def exceeds(self) -> bool:
        """Whether the difference is larger than the spread."""
        return (
            self.difference is not None
            and self.spread is not None
            and abs(self.difference) > self.spread
        )


@dataclass(frozen=True)
class StageChange:
    """How one stage went in both runs."""

    name: str
    before: StageRecord | None
    after: StageRecord | None


@dataclass(frozen=True)
class PlotPair:
    """One plot of both runs; None where a run does not have it."""

    title: str
    before: Plot | None
    after: Plot | None


@dataclass
class Comparison:
    """What differs between two runs, the earlier one called `before`; an empty list:
    nothing does.
    """

    before: RunRecord
    after: RunRecord
    parameters: list[Change] = field(default_factory=list)
    environment: list[Change] = field(default_factory=list)
    code: list[FileChange] = field(default_factory=list)
    sources: list[Change] = field(default_factory=list)
    columns: list[ColumnChange] = field(default_factory=list)
    rules: list[RuleChange] = field(default_factory=list)
    results: list[Change] = field(default_factory=list)
    metrics: list[MetricChange] = field(default_factory=list)
    stages: list[StageChange] = field(default_factory=list)
    plots: list[PlotPair] = field(default_factory=list)


def find_last_good(project: Project, run_id: str) -> str:
    """Return the newest completed run before a run.

    Raises:
        UsageError: there is none.
    """
    good = (
        one.run_id
        for one in read_records(project)
        if one.status == "completed" and one.run_id < run_id
    )
    if found := next(good, None):
        return found
    raise UsageError(f"No run before {run_id} has completed: there is nothing to compare it with.")


def compare_runs(project: Project, before: RunRecord, after: RunRecord) -> Comparison:
    """Compare two runs; what a run no longer has (a report, a dataset in DVC's cache)
    is left out.
    """
    archives = [Archive.of(project, record) for record in (before, after)]
    profiles = [
        read_dataset_json(project, record, _VALIDATED, "profile.json") for record in (before, after)
    ]
    quality = [
        read_dataset_json(project, record, _VALIDATED, "quality.json") for record in (before, after)
    ]
    return Comparison(
        before,
        after,
        parameters=list(_compare(_parameters(before), _parameters(after))),
        environment=[Change("Python", before.environment.python, after.environment.python)]
        * (before.environment.python != after.environment.python)
        + [Change(*one) for one in compare_environment(*archives)],
        code=list(compare_code(*archives)),
        sources=list(_compare(_sources(before), _sources(after))),
        columns=compare_profiles(*profiles),
        rules=compare_rules(*quality),
        results=list(_compare(_results(before), _results(after))),
        metrics=_compare_metrics(before, after),
        stages=_compare_stages(before, after),
        plots=_compare_plots(project, before, after),
    )


def _compare(before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[Change]:
    for name in dict.fromkeys([*before, *after]):
        if before.get(name) != after.get(name):
            yield Change(name, before.get(name, ""), after.get(name, ""))


def _parameters(record: RunRecord) -> dict[str, str]:
    """Return the parameters of all stages, and the facts of the params file that
    decided them, as texts.
    """
    found: dict[str, str] = {}
    for entry in record.stages:
        given = {
            name: value
            for name, value in find_parameters(entry).items()
            if name not in GIVEN_BY_RUN
        }
        found |= {f"stages.{entry.name}.{name}": repr(value) for name, value in given.items()}
        found |= {name: value for name, value in entry.decided_by.items() if _is_fact(name, value)}
    return found


def _is_fact(name: str, value: str) -> bool:
    is_other = name.startswith(("stages.", "installed ", "python", "requirements.txt"))
    return not is_other and not value.startswith(_HASHED)


def _sources(record: RunRecord) -> dict[str, str]:
    """Return what is known of each source: its hash, and how many rows came."""
    found: dict[str, str] = {}
    for entry in record.stages:
        found |= {name: md5 for name, md5 in find_sources(entry).items() if md5}
        rows = {name: value for name, value in entry.results.items() if entry.name == "ingestion"}
        found |= {name: f"{value:,}" for name, value in rows.items() if isinstance(value, int)}
    return found


def _results(record: RunRecord) -> dict[str, str]:
    """Return what the stages between ingestion and model building recorded, but for hashes."""
    return {
        f"{entry.name}.{name}": f"{value:,}" if isinstance(value, int) else str(value)
        for entry in record.stages
        if entry.name not in ("ingestion", "versioning", "model_building")
        for name, value in entry.results.items()
    }


def _compare_metrics(before: RunRecord, after: RunRecord) -> list[MetricChange]:
    old, new = ({one.name: one for one in list_metrics(record)} for record in (before, after))
    changes = [
        MetricChange(name, old.get(name), new.get(name)) for name in dict.fromkeys([*old, *new])
    ]
    return [one for one in changes if one.before != one.after]


def _compare_stages(before: RunRecord, after: RunRecord) -> list[StageChange]:
    old, new = ({entry.name: entry for entry in record.stages} for record in (before, after))
    return [StageChange(name, old.get(name), new.get(name)) for name in dict.fromkeys([*old, *new])]


def _compare_plots(project: Project, before: RunRecord, after: RunRecord) -> list[PlotPair]:
    """Pair the plots of a stage that stand under the same heading, in their order;
    equal pictures are left out.
    """
    old, new = (
        _number(read_parts(project.runs / record.run_id, record)[0]) for record in (before, after)
    )
    keys = dict.fromkeys([*old, *new])
    pairs = [PlotPair(key[1], old.get(key), new.get(key)) for key in keys]
    return [
        one for one in pairs if not (one.before and one.after and one.before.data == one.after.data)
    ]


def _number(plots: Sequence[Plot]) -> dict[tuple[str, str, int], Plot]:
    found: dict[tuple[str, str, int], Plot] = {}
    for plot in plots:
        page = plot.link.rpartition("/")[2].partition("#")[0]
        number = sum(key[:2] == (page, plot.title) for key in found)
        found[page, plot.title, number] = plot
    return found
