"""What a run will do, and everything that is checked before it does."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from notebooks.accepted import FOLDER as ACCEPTED
from notebooks.accepted import AcceptedError, read_profile, read_schema, slug
from notebooks.dataset_folders import find_dataset
from notebooks.params import Params, load_params, suggest, variables
from notebooks.params.formula_checks import find_notes, find_problems
from orchestrator.errors import UsageError
from orchestrator.paths import Project
from orchestrator.preflight import kernel, machine, reach
from orchestrator.preflight.cells import read_notebook
from orchestrator.preflight.code import read_notebook_code
from orchestrator.preflight.features import find_columns
from orchestrator.preflight.kernel import KERNEL
from orchestrator.preflight.modules import Modules
from orchestrator.preflight.parameters import TIME_LIMIT, find_parameter_problems
from orchestrator.preflight.values import as_json
from orchestrator.redaction import Redactor, redactor_for, secret_names
from orchestrator.stages import ALL_STAGE_NAMES, TRAINING, Pipeline, Stage

# Environment variables that the server of the sample company sets while ingestion runs.
_SET_BY_SAMPLE = {"SAMPLE_API", "SAMPLE_TOKEN"}

Settings = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Plan:
    """What a run will do: its stages in order, what each is given, and how many seconds each may take.

    `notes` are what the user should know of, though it keeps nothing from running.
    """

    project: Project
    params_file: Path
    params: Params
    stages: tuple[Stage, ...]
    parameters: Mapping[str, dict[str, Any]]
    time_limits: Mapping[str, float]
    notes: tuple[str, ...] = ()
    pipeline: Pipeline = TRAINING

    @property
    def withheld(self) -> dict[Path, frozenset[str]]:
        """Which environment variables a notebook is not given: the secrets of the sources, unless it reads them."""
        names = secret_names(self.params)
        return {self.project.notebooks / stage.notebook: names for stage in self.stages if not stage.needs_secrets}

    @property
    def notebooks(self) -> tuple[Path, ...]:
        """The notebooks of the stages, in order."""
        return tuple(self.project.notebooks / stage.notebook for stage in self.stages)


@dataclass(frozen=True)
class Check:
    """One thing that was checked, and what came of it."""

    what: str
    problems: tuple[str, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Examination:
    """All checks of a run, and the plan, if nothing stands in its way."""

    checks: tuple[Check, ...]
    plan: Plan | None

    @property
    def problems(self) -> list[str]:
        """Everything that keeps the run from starting; each once."""
        return list(dict.fromkeys(problem for check in self.checks for problem in check.problems))

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know of."""
        return tuple(note for check in self.checks for note in check.notes)

    def lines(self, good: str, bad: str) -> Iterator[str]:
        """Yield what was checked, a line each behind its mark, with notes and problems below."""
        for check in self.checks:
            yield f"{bad if check.problems else good} {check.what}"
            yield from (f"  note: {note}" for note in check.notes)
            yield from (f"  - {_indent(problem)}" for problem in check.problems)


def make_plan(
    project: Project,
    params_file: Path,
    settings: Settings,
    start: str | None = None,
    only: str | None = None,
    until: str | None = None,
    pipeline: Pipeline = TRAINING,
) -> Plan:
    """Check everything that can be checked without running, and return the plan.

    `settings` are parameters from the command line, stage -> name -> value; they win over those of the params file.

    Raises:
        UsageError: something is wrong; its message lists every problem.
    """
    found = examine(project, params_file, settings, start, only, until, pipeline)
    if found.plan is None:
        listed = "\n".join(f"  - {_indent(problem)}" for problem in found.problems)
        raise UsageError(f"The run cannot start; {len(found.problems)} problem(s):\n{listed}")
    return found.plan


def examine(
    project: Project,
    params_file: Path,
    settings: Settings,
    start: str | None = None,
    only: str | None = None,
    until: str | None = None,
    pipeline: Pipeline = TRAINING,
) -> Examination:
    """Check everything that can be checked without running, and return what came of it.

    Raises:
        UsageError: there is no such stage to start at.
    """
    stages = _select(pipeline, start, only, until)
    params, unreadable = _read_params(params_file)
    if params and pipeline.name == "scoring":  # whose parameters may name secrets, which are kept out of everything
        stages_of = {**params.stages, "scoring": {**params.stages.get("scoring", {}), **settings.get("scoring", {})}}
        params = params.model_copy(update={"stages": stages_of})
    given = _given(params, settings)
    redactor = redactor_for(params) if params else Redactor()
    shown = {name: {key: redactor.clean_tree(value) for key, value in of.items()} for name, of in given.items()}
    checks = [
        Check(f"params file {params_file}", tuple(unreadable or _find_facts_problems(params))),
        *_check_notebooks(project, stages),
        Check("parameters given", tuple(_find_given_problems(project, stages, shown)), _note_unused(stages, settings)),
        Check("no secret among them", tuple(_find_secrets(redactor, given))),
        Check(f"kernel {KERNEL}", tuple(kernel.find_kernel_problems()), tuple(kernel.find_kernel_notes())),
        *_check_sources(project, stages, params),
        *_check_accepted(project, stages, params),
        *_check_features(project, stages, params),
        Check("datasets to start from", tuple(_find_missing_inputs(project, stages, pipeline))),
        Check("outputs/ and data/ writable", tuple(machine.find_unwritable(project))),
        Check(f"disk: {machine.describe_space(project)}", tuple(machine.find_lack_of_space(project))),
    ]
    found = Examination(tuple(checks), None)
    if params is None or found.problems:
        return found
    limits = {stage.name: float(given[stage.name].pop(TIME_LIMIT, stage.time_limit)) for stage in pipeline.stages}
    parameters = given | {stage.name: {**given[stage.name], **dict(stage.given)} for stage in pipeline.stages}
    plan = Plan(project, params_file, params, stages, parameters, limits, found.notes, pipeline)
    return Examination(found.checks, plan)


def _indent(problem: str) -> str:
    return problem.replace("\n", "\n    ")


def _select(pipeline: Pipeline, start: str | None, only: str | None, until: str | None) -> tuple[Stage, ...]:
    if only:
        if start or until:
            raise UsageError("Give either --only, or --from and --until.")
        return (pipeline.find(only),)
    first = pipeline.stages.index(pipeline.find(start)) if start else 0
    last = pipeline.stages.index(pipeline.find(until)) if until else len(pipeline.stages) - 1
    if last < first:
        raise UsageError(f"--until {until} comes before --from {start}.")
    return pipeline.stages[first : last + 1]


def _read_params(file: Path) -> tuple[Params | None, list[str]]:
    try:
        return load_params(file), []
    except OSError as error:
        return None, [f"{file.absolute()} cannot be read: {error.strerror or error}"]
    except ValueError as error:  # not UTF-8, a day that does not exist, or a ParameterError, which says it all
        message = str(error)
        return None, [message if str(file) in message else f"{file} cannot be read: {message}"]


def _given(params: Params | None, settings: Settings) -> dict[str, dict[str, Any]]:
    from_file = params.stages if params else {}
    names = [*ALL_STAGE_NAMES, *sorted({*from_file, *settings} - set(ALL_STAGE_NAMES))]
    return {name: as_json({**from_file.get(name, {}), **settings.get(name, {})}) for name in names}


def _find_facts_problems(params: Params | None) -> Iterator[str]:
    if params is None:
        return
    set_by_sample = _SET_BY_SAMPLE if params.sample else set()
    for name in sorted(variables(params).keys() - os.environ.keys() - set_by_sample):
        yield f"the environment variable {name} is not set; the sources in the params file use it"


def _check_notebooks(project: Project, stages: Iterable[Stage]) -> Iterator[Check]:
    modules, codes, problems = Modules(project.notebooks), [], []
    for stage in stages:
        try:
            codes.append(read_notebook_code(project.notebooks / stage.notebook))
            problems += [*codes[-1].problems, *_find_kernel_mismatch(project, stage)]
        except UsageError as error:
            problems.append(str(error))
    for code in codes:
        modules.follow(code)
    yield Check(f"{len(list(stages))} notebooks: valid, the code parses, all names are defined", tuple(problems))
    yield Check(f"{len(modules.local)} modules beside them: the same", tuple(modules.problems()))
    yield Check(f"{len(modules.packages)} imported packages: installed", tuple(modules.missing(codes)))


def _find_kernel_mismatch(project: Project, stage: Stage) -> Iterator[str]:
    notebook = read_notebook(project.notebooks / stage.notebook)
    if notebook.kernel not in (None, KERNEL):
        where = f"{notebook.name} is saved for the kernel {notebook.kernel!r}"
        yield f"{where}; choose {KERNEL!r} in JupyterLab and save it"


def _find_given_problems(
    project: Project, stages: Iterable[Stage], given: Mapping[str, Mapping[str, Any]]
) -> Iterator[str]:
    for name in given.keys() - set(ALL_STAGE_NAMES):
        yield f"parameters are given for a stage {name!r} that does not exist{suggest(name, ALL_STAGE_NAMES)}"
    for stage in stages:
        with contextlib.suppress(UsageError):  # it is told already that this is no notebook
            read_notebook(project.notebooks / stage.notebook)
            yield from find_parameter_problems(stage, project.notebooks / stage.notebook, given[stage.name])


def _find_secrets(redactor: Redactor, given: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    for stage, values in given.items():
        for name, value in values.items():
            for variable in sorted(redactor.find(value)):
                yield (
                    f"{stage}.{name} holds the value of the environment variable {variable}, a secret of the sources; "
                    "parameters are written into reports and the record: give another value"
                )


def _note_unused(stages: Iterable[Stage], settings: Settings) -> tuple[str, ...]:
    unused = [name for name in ALL_STAGE_NAMES if settings.get(name) and name not in {stage.name for stage in stages}]
    return tuple(f"--set gives parameters to {name}, which does not run" for name in unused)


def _check_sources(project: Project, stages: Iterable[Stage], params: Params | None) -> Iterator[Check]:
    if params and any(stage.reads_sources for stage in stages):
        files, hosts = sum(map(len, reach.local_files(project, params).values())), len(reach.hosts(params))
        what = f"sources: {files} local files, {hosts} hosts" + (", sample company" if params.sample else "")
        yield Check(what, tuple(reach.find_file_problems(project, params)), tuple(reach.find_unreachable(params)))


def _check_accepted(project: Project, stages: Iterable[Stage], params: Params | None) -> Iterator[Check]:
    if params and any(stage.learns for stage in stages):
        folder, problem = project.root / ACCEPTED / slug(params.name), ""
        try:
            read_schema(folder, params.name)
            read_profile(folder)
        except AcceptedError as error:
            problem = str(error)
        yield Check(f"what is accepted as normal: {project.relative(folder)}", (problem,) if problem else ())


def _check_features(project: Project, stages: Iterable[Stage], params: Params | None) -> Iterator[Check]:
    if params and params.features and any(stage.name == "transformation" for stage in stages):
        columns = find_columns(project, params)
        problems, notes = find_problems(params.features, columns), find_notes(params.features, columns)
        yield Check(f"{len(params.features)} features of one's own", tuple(problems), tuple(notes))


def _find_missing_inputs(project: Project, stages: Iterable[Stage], pipeline: Pipeline) -> Iterator[str]:
    made = {path for stage in stages for path in stage.writes}
    for path in sorted({path for stage in stages for path in stage.reads} - made):
        if not find_dataset(project.root / path).exists():
            writers = [stage.name for stage in pipeline.stages if path in stage.writes]
            advice = f": run the stage {writers[0]} first (--from {writers[0]})" if writers else ""
            yield f"{path} is missing{advice}"
