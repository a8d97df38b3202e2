"""What is checked in seconds before the first stage starts, and the plan that comes of it."""

from __future__ import annotations

import ast
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat

from notebooks.params import ParameterError, Params, load_params, suggest, variables
from orchestrator.errors import UsageError
from orchestrator.paths import Project
from orchestrator.stages import STAGE_NAMES, STAGES, Stage, find_stage

# Environment variables that the server of the sample company sets while ingestion runs.
_SET_BY_SAMPLE = {"SAMPLE_API", "SAMPLE_TOKEN"}
# Parameters that the run itself gives to the notebooks that declare them.
_GIVEN_BY_RUN = {"params_file", "run_id"}


@dataclass(frozen=True)
class Parameter:
    """A parameter that a notebook declares: a literal default, the types it may take, and its help."""

    default: Any
    types: frozenset[str]
    help: str = ""

    def accepts(self, value: Any) -> bool:
        """Whether a value has one of the types; a whole number may stand for a float."""
        name = _type_name(value)
        return name in self.types or (name == "int" and "float" in self.types)


@dataclass(frozen=True)
class Plan:
    """What a run will do: its stages in order, and the parameters that each is given."""

    project: Project
    params_file: Path
    params: Params
    stages: tuple[Stage, ...]
    parameters: Mapping[str, dict[str, Any]]


def make_plan(
    project: Project,
    params_file: Path,
    settings: Mapping[str, Mapping[str, Any]],
    start: str | None = None,
    only: str | None = None,
) -> Plan:
    """Check everything that can be checked without running, and return the plan.

    `settings` are parameters from the command line, stage -> name -> value; they win over those of the params file.

    Raises:
        UsageError: something is wrong; its message lists every problem.
    """
    stages = _select(start, only)
    try:
        params = load_params(params_file)
    except ParameterError as error:
        raise UsageError(str(error)) from None
    given = {name: {**params.stages.get(name, {}), **settings.get(name, {})} for name in STAGE_NAMES}
    problems = [
        *_check_stage_names(params.stages.keys() | settings.keys()),
        *_check_variables(params),
        *_check_inputs(project, stages),
        *(problem for stage in stages for problem in _check_parameters(project, stage, given[stage.name])),
    ]
    if problems:
        listed = "\n".join(f"  - {problem}" for problem in problems)
        raise UsageError(f"The run cannot start; {len(problems)} problem(s):\n{listed}")
    return Plan(project, params_file, params, stages, given)


def declared_parameters(notebook: Path) -> dict[str, Parameter]:
    """Read the cell tagged `parameters` of a notebook: name -> parameter, in order.

    Raises:
        UsageError: there is not exactly one such cell, or a line of it is not `name = literal  # help`.
    """
    cells = [c for c in nbformat.read(notebook, as_version=4).cells if "parameters" in c.metadata.get("tags", [])]
    if len(cells) != 1:
        raise UsageError(f"{notebook} has {len(cells)} cells tagged `parameters`; expected one.")
    try:
        return dict(_parse_parameter(node, cells[0].source) for node in ast.parse(cells[0].source).body)
    except (SyntaxError, ValueError) as error:
        raise UsageError(f"{notebook}, parameters cell: expected only `name = literal  # help` ({error}).") from None


def _parse_parameter(node: ast.stmt, source: str) -> tuple[str, Parameter]:
    match node:
        case ast.Assign(targets=[ast.Name(id=name)], value=expression):
            annotation = None
        case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation, value=ast.expr() as expression):
            pass
        case _:
            raise ValueError(f"line {node.lineno} is something else")
    default = ast.literal_eval(expression)
    types = frozenset(ast.unparse(annotation).replace(" ", "").split("|") if annotation else [_type_name(default)])
    last_line = source.splitlines()[(node.end_lineno or node.lineno) - 1]
    return name, Parameter(default, types, last_line.partition("#")[2].strip())


def _type_name(value: Any) -> str:
    return "None" if value is None else type(value).__name__


def _select(start: str | None, only: str | None) -> tuple[Stage, ...]:
    if start and only:
        raise UsageError("Give either --from or --only, not both.")
    if only:
        return (find_stage(only),)
    return STAGES[STAGES.index(find_stage(start)) :] if start else STAGES


def _check_stage_names(names: set[str]) -> Iterator[str]:
    for name in sorted(names - set(STAGE_NAMES)):
        yield f"parameters are given for a stage {name!r} that does not exist{suggest(name, STAGE_NAMES)}"


def _check_variables(params: Params) -> Iterator[str]:
    set_by_sample = _SET_BY_SAMPLE if params.sample else set()
    for name in sorted(variables(params).keys() - os.environ.keys() - set_by_sample):
        yield f"the environment variable {name} is not set; the sources in the params file use it"


def _check_inputs(project: Project, stages: tuple[Stage, ...]) -> Iterator[str]:
    made = {path for stage in stages for path in stage.writes}
    for path in sorted({path for stage in stages for path in stage.reads} - made):
        if not (project.root / path).exists():
            writer = next(stage for stage in STAGES if path in stage.writes)
            yield f"{path} is missing: run the stage {writer.name} first (--from {writer.name})"


def _check_parameters(project: Project, stage: Stage, given: Mapping[str, Any]) -> Iterator[str]:
    try:
        declared = declared_parameters(project.notebooks / stage.notebook)
    except (UsageError, OSError) as error:
        yield str(error)
        return
    settable = [name for name in declared if name not in _GIVEN_BY_RUN]
    for name, value in given.items():
        if name not in settable:
            yield f"{stage.name} has no parameter {name!r}{suggest(name, settable)}"
        elif not declared[name].accepts(value):
            expected = " or ".join(sorted(declared[name].types))
            yield f"{stage.name}.{name} is {value!r}, of type {_type_name(value)}; expected {expected}"
