"""Everything that is checked before a run starts."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from churn.baseline import FOLDER as ACCEPTED
from churn.baseline import BaselineError, read_profile, read_schema, slug
from churn.datasets import find_dataset
from churn.params import Params, load_params, suggest
from churn.params.formula_checks import find_notes, find_problems
from orchestrator.errors import UsageError
from orchestrator.notebook.cells import read_notebook
from orchestrator.notebook.code import Code, read_notebook_code
from orchestrator.notebook.modules import Modules
from orchestrator.notebook.parameters import TIME_LIMIT, as_json, find_parameter_problems
from orchestrator.notebook.stage_graph import Graph, read_graph
from orchestrator.plan import machine, source_reach, stores
from orchestrator.plan.feature_checks import find_columns
from orchestrator.plan.machine import KERNEL
from orchestrator.plan.run_plan import Plan, Request
from orchestrator.project import Project
from orchestrator.records.past_runs import History, find_other_owner
from orchestrator.redaction import Redactor, redactor_for
from orchestrator.stages import MODEL_BUILDING, SCORING, VERSIONING, Pipeline, Stage, is_dataset

Settings = Mapping[str, Mapping[str, Any]]


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
            yield from (f"  - {indent(problem)}" for problem in check.problems)


def examine(project: Project, request: Request) -> Examination:
    """Check everything that can be checked without running, and return what came of it.

    Raises:
        UsageError: there is no such stage to start at.
    """
    graph = read_graph(project)
    file = request.params_file(project)
    params, unreadable = _read_params(file)
    params = _with_given_to_scoring(params, request)
    given = _given(params, request.settings, graph)
    pipeline = _find_pipeline(graph, request, given)
    stages, forced = _select(pipeline, request), request.find_forced(graph)
    redactor = redactor_for(params) if params else Redactor()
    name = redactor.clean(params.name) if params else None  # as records have it
    checks = (
        Check(f"params file {file}", tuple(unreadable or _find_facts_problems(params))),
        Check("the graph that the notebooks make", graph.problems, graph.notes),
        *_check_notebooks(project, stages),
        _check_given(project, stages, _redact(redactor, given), graph, request),
        Check("no secret among them", tuple(_find_secrets(redactor, given))),
        _check_kernel(),
        *_check_sources(project, stages, params),
        *_check_accepted(project, stages, params),
        *_check_features(project, stages, params, given),
        Check(
            "datasets to start from", tuple(_find_input_problems(project, pipeline, stages, name))
        ),
        *_check_stores(project, stages, given),
        *_check_machine(project),
    )
    found = Examination(checks, None)
    if params is None or found.problems:
        return found
    limits = {one.name: _take_time_limit(given[one.name], one) for one in pipeline.stages}
    parameters = given | {
        one.name: {**given[one.name], **dict(one.given)} for one in pipeline.stages
    }
    facts = (project, request, params, pipeline, stages, parameters, limits, History(project))
    return Examination(checks, Plan(*facts, found.notes, forced))


def _redact(redactor: Redactor, given: Settings) -> Settings:
    return {
        name: {key: redactor.clean_tree(value) for key, value in of.items()}
        for name, of in given.items()
    }


def indent(problem: str) -> str:
    """Return the text of a problem as it stands below a line of a list."""
    return problem.replace("\n", "\n    ")


def _with_given_to_scoring(params: Params | None, request: Request) -> Params | None:
    """Return the facts with what the command gave to scoring: it may name secrets, which
    are kept out of everything.
    """
    if params is None or request.pipeline != "scoring":
        return params
    given = {**params.stages.get("scoring", {}), **request.settings.get("scoring", {})}
    return params.model_copy(update={"stages": {**params.stages, "scoring": given}})


def _take_time_limit(given: dict[str, Any], stage: Stage) -> float:
    return float(given.pop(TIME_LIMIT, stage.time_limit))


def _find_pipeline(graph: Graph, request: Request, given: Settings) -> Pipeline:
    """Return the pipeline that was asked for; that of scoring with where it writes to."""
    if request.pipeline == "training":
        return graph.training
    stages = graph.scoring.stages
    if not stages or stages[-1].name != SCORING:
        raise UsageError(f"There is no notebook NUMBER_{SCORING}.ipynb, which scores customers.")
    out = str(given[SCORING].get("out", ""))
    to_database = "://" in out
    last = replace(
        stages[-1],
        writes=(out,) if out and not to_database else (),
        needs_secrets=to_database,
    )
    return replace(graph.scoring, stages=(*stages[:-1], last))


def _select(pipeline: Pipeline, request: Request) -> tuple[Stage, ...]:
    start, until = request.start, request.until
    if request.only:
        if start or until:
            raise UsageError("Give either --only, or --from and --until.")
        return (pipeline.find(request.only),)
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
    except ValueError as error:  # not UTF-8, no such day, or a ParameterError, which says it all
        message = str(error)
        return None, [message if str(file) in message else f"{file} cannot be read: {message}"]


def _given(params: Params | None, settings: Settings, graph: Graph) -> dict[str, dict[str, Any]]:
    from_file, known = params.stages if params else {}, graph.stage_names
    names = [*known, *sorted({*from_file, *settings} - set(known))]
    return {name: as_json({**from_file.get(name, {}), **settings.get(name, {})}) for name in names}


def _find_facts_problems(params: Params | None) -> Iterator[str]:
    if params is None:
        return
    set_by_sample = set(params.sample.variables) if params.sample else set()
    for name in sorted(params.find_variables().keys() - os.environ.keys() - set_by_sample):
        yield f"the environment variable {name} is not set; the sources in the params file use it"


def _check_notebooks(project: Project, stages: Iterable[Stage]) -> Iterator[Check]:
    modules, codes = Modules(project), list[Code]()
    problems, kernels = list[str](), dict[str, str]()
    for stage in stages:
        try:
            codes.append(read_notebook_code(project.notebooks / stage.notebook))
            problems += codes[-1].problems
            notebook = read_notebook(project.notebooks / stage.notebook)
            if notebook.kernel in (None, KERNEL):
                continue
            if notebook.language == "python":
                kernels[notebook.kernel] = notebook.name
            else:
                problems.append(
                    f"{notebook.name} is saved for the kernel {notebook.kernel!r}; choose "
                    f"{KERNEL!r} in JupyterLab and save it"
                )
        except UsageError as error:
            problems.append(str(error))
    for code in codes:
        modules.follow(code)
    yield Check(
        f"{len(list(stages))} notebooks: valid, the code parses, all names are defined",
        tuple(problems),
        tuple(_note_kernels(kernels)),
    )
    yield Check(f"{len(modules.local)} modules that they use: the same", tuple(modules.problems()))
    yield Check(
        f"{len(modules.packages)} imported packages: installed", tuple(modules.missing(codes))
    )


def _check_given(
    project: Project, stages: tuple[Stage, ...], given: Settings, graph: Graph, request: Request
) -> Check:
    problems = tuple(_find_given_problems(project, stages, given, graph.stage_names))
    return Check("parameters given", problems, _note_unused(stages, request.settings))


def _check_kernel() -> Check:
    problems, notes = machine.find_kernel_problems(), machine.find_kernel_notes()
    return Check(f"kernel {KERNEL}", tuple(problems), tuple(notes))


def _check_stores(project: Project, stages: tuple[Stage, ...], given: Settings) -> Iterator[Check]:
    names = {stage.name for stage in stages}
    if MODEL_BUILDING in names:
        damage = stores.find_database_damage(project, given[MODEL_BUILDING])
        yield Check("MLflow's database", tuple(damage))
    if names & {VERSIONING, MODEL_BUILDING}:
        yield Check("DVC's pointers", *stores.judge_pointers(project, stages))
    if VERSIONING in names and given[VERSIONING].get("push", True):
        yield Check("DVC's remote", tuple(stores.find_remote_problems(project)))
    yield Check("files can be locked", tuple(stores.find_lack_of_locks(project)))


def _check_machine(project: Project) -> Iterator[Check]:
    problems, notes = machine.find_early_problems(), machine.find_ignored_variables()
    yield Check("environment", tuple(problems), tuple(notes))
    yield Check("outputs/ and data/ writable", tuple(machine.find_unwritable(project)))
    space = machine.describe_space(project)
    yield Check(f"disk: {space}", tuple(machine.find_lack_of_space(project)))


def _note_kernels(saved: Mapping[str, str]) -> Iterator[str]:
    """Say once of each other kernel of Python that a notebook was saved for: name -> notebook."""
    for kernel, name in saved.items():
        yield (
            f"{name} is saved for the kernel {kernel!r}; it runs in this environment, that of "
            f"{sys.executable}"
        )


def _find_given_problems(
    project: Project,
    stages: Iterable[Stage],
    given: Mapping[str, Mapping[str, Any]],
    known: list[str],
) -> Iterator[str]:
    for name in given.keys() - set(known):
        yield f"parameters are given for a stage {name!r} that does not exist{suggest(name, known)}"
    for stage in stages:
        with contextlib.suppress(UsageError):  # it is told already that this is no notebook
            read_notebook(project.notebooks / stage.notebook)
            yield from find_parameter_problems(
                stage, project.notebooks / stage.notebook, given[stage.name]
            )


def _find_secrets(redactor: Redactor, given: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    for stage, values in given.items():
        for name, value in values.items():
            for variable in sorted(redactor.find(value)):
                yield (
                    f"{stage}.{name} holds the value of the environment variable {variable}, a "
                    "secret of the sources; "
                    "parameters are written into reports and the record: give another value"
                )


def _note_unused(stages: Iterable[Stage], settings: Settings) -> tuple[str, ...]:
    running = {stage.name for stage in stages}
    unused = [name for name, given in settings.items() if given and name not in running]
    return tuple(f"--set gives parameters to {name}, which does not run" for name in unused)


def _check_sources(
    project: Project, stages: Iterable[Stage], params: Params | None
) -> Iterator[Check]:
    if params and any(stage.reads_sources for stage in stages):
        files, hosts = (
            sum(map(len, source_reach.local_files(project, params).values())),
            len(source_reach.hosts(params)),
        )
        what = f"sources: {files} local files, {hosts} hosts" + (
            ", sample company" if params.sample else ""
        )
        yield Check(
            what,
            tuple(source_reach.find_file_problems(project, params)),
            tuple(source_reach.find_unreachable(params)),
        )


def _check_accepted(
    project: Project, stages: Iterable[Stage], params: Params | None
) -> Iterator[Check]:
    if params and any(stage.learns for stage in stages):
        folder, problem = project.root / ACCEPTED / slug(params.name), ""
        try:
            read_schema(folder, params.name)
            read_profile(folder)
        except BaselineError as error:
            problem = str(error)
        yield Check(
            f"what is accepted as normal: {project.relative(folder)}", (problem,) if problem else ()
        )


def _check_features(
    project: Project, stages: Iterable[Stage], params: Params | None, given: Settings
) -> Iterator[Check]:
    if params and params.features and any(stage.name == "transformation" for stage in stages):
        columns = find_columns(project, params, given["transformation"])
        problems, notes = (
            find_problems(params.features, columns),
            find_notes(params.features, columns),
        )
        yield Check(f"{len(params.features)} features of one's own", tuple(problems), tuple(notes))


def _find_input_problems(
    project: Project, pipeline: Pipeline, stages: Iterable[Stage], data_set: str | None
) -> Iterator[str]:
    made = {path for stage in stages for path in stage.writes}
    for path in sorted({path for stage in stages for path in stage.reads} - made):
        if not find_dataset(project.root / path).exists():
            writers = [stage.name for stage in pipeline.stages if path in stage.writes]
            advice = f": run the stage {writers[0]} first (--from {writers[0]})" if writers else ""
            if writers or not is_dataset(path):  # else the graph's problem says it
                yield f"{path} is missing{advice}"
        elif data_set and is_dataset(path):
            other, run_id = find_other_owner(project, path, data_set) or ("", "")
            if other:
                yield (
                    f"{path} is of the data set {other!r}, from run {run_id}, and not of "
                    f"{data_set!r}: run the stages before as well"
                )
