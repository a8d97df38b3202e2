"""The parameters that a notebook declares, and whether those given are among them and of their types."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from notebooks.params import suggest
from orchestrator.errors import UsageError
from orchestrator.preflight.annotations import alternatives, fits, read_annotation, type_name
from orchestrator.preflight.cells import read_notebook
from orchestrator.preflight.values import find_name_problem, find_value_problems, show
from orchestrator.stages import Stage

# Parameters that the run itself gives to the notebooks that declare them.
GIVEN_BY_RUN = {"params_file", "run_id", "git_commit"}
# A setting of a stage that is the run's and not the notebook's.
TIME_LIMIT = "time_limit"


@dataclass(frozen=True)
class Parameter:
    """A parameter that a notebook declares: a literal default, the type it may take as an annotation, and its help."""

    default: Any
    type: str
    help: str = ""

    def accepts(self, value: Any) -> bool:
        """Whether a value is of the type; a whole number may stand for a float, but not true or false for a number."""
        return fits(value, self.type)


def declared_parameters(notebook: Path) -> dict[str, Parameter]:
    """Read the cell tagged `parameters` of a notebook: name -> parameter, in order.

    Raises:
        UsageError: there is not exactly one such cell, or a line of it is not `name = literal  # help`.
    """
    read = read_notebook(notebook)
    source = read.parameters_source
    declared: dict[str, Parameter] = {}
    try:
        for node in ast.parse(source).body:
            name, parameter = _parse(node, source)
            if name in declared:
                raise ValueError(f"line {node.lineno} declares {name} a second time")
            declared[name] = parameter
    except (SyntaxError, ValueError) as error:
        where = f"{read.name}, {read.parameters[0]}"
        raise UsageError(
            f"{where}: expected only lines `name = literal  # help` in the parameters cell ({error})."
        ) from None
    return declared


def find_parameter_problems(stage: Stage, notebook: Path, given: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong with the parameters of a stage, those declared and those given."""
    try:
        declared = declared_parameters(notebook)
    except UsageError as error:
        yield str(error)
        return
    if TIME_LIMIT in declared:
        yield (
            f"{stage.notebook} declares a parameter {TIME_LIMIT}: "
            "that name is the run's own, for the seconds that the stage may take; choose another"
        )
    settable = [name for name in declared if name not in GIVEN_BY_RUN]
    for name, value in given.items():
        if name == TIME_LIMIT:
            yield from _find_time_limit_problems(stage, value)
        else:
            yield from _find_given_problems(stage, name, value, declared, settable)


def _find_given_problems(
    stage: Stage, name: str, value: Any, declared: Mapping[str, Parameter], settable: list[str]
) -> Iterator[str]:
    where, wrong_name = f"{stage.name}.{name}", find_name_problem(name)
    if wrong_name:
        yield f"{stage.name}: {show(name)} cannot be the name of a parameter: it {wrong_name}"
        return
    if name in GIVEN_BY_RUN and name in declared:
        yield f"{where} is given by the run itself" + ("; use --params" if name == "params_file" else "")
        return
    if name not in settable:
        yield f"{stage.name} has no parameter {name!r}{suggest(name, [*settable, TIME_LIMIT])}"
        return
    problems = list(find_value_problems(value, where))
    yield from problems
    if not problems and not declared[name].accepts(value):
        expected = " or ".join(alternatives(declared[name].type))
        yield f"{where} is {show(value)}, of type {type_name(value)}; expected {expected}"


def _find_time_limit_problems(stage: Stage, value: Any) -> Iterator[str]:
    where = f"{stage.name}.{TIME_LIMIT}"
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if list(find_value_problems(value, where)) or not is_number or value <= 0:
        yield f"{where} is {show(value)}; expected the seconds that the stage may take, more than 0"


def _parse(node: ast.stmt, source: str) -> tuple[str, Parameter]:
    match node:
        case ast.Assign(targets=[ast.Name(id=name)], value=expression):
            annotation = None
        case ast.AnnAssign(target=ast.Name(id=name), annotation=annotation, value=ast.expr() as expression):
            pass
        case _:
            raise ValueError(f"line {node.lineno} is something else")
    wrong_name = find_name_problem(name)
    if wrong_name:
        raise ValueError(f"line {node.lineno}: {name} {wrong_name}")
    default = _read_literal(name, expression)
    last_line = source.split("\n")[(node.end_lineno or node.lineno) - 1].encode()  # as columns count
    kind = read_annotation(name, annotation) if annotation else type_name(default)
    parameter = Parameter(default, kind, last_line[node.end_col_offset :].decode().partition("#")[2].strip())
    if not parameter.accepts(default):
        raise ValueError(f"line {node.lineno}: the default of {name}, {show(default)}, is not of its type {kind}")
    return name, parameter


def _read_literal(name: str, expression: ast.expr) -> Any:
    try:
        default = ast.literal_eval(expression)
    except ValueError:
        raise ValueError(f"line {expression.lineno}: the default of {name} is not a literal") from None
    problems = list(
        find_value_problems(list(default) if isinstance(default, tuple) else default, f"the default of {name}")
    )
    if problems:
        raise ValueError(f"line {expression.lineno}: {problems[0]}")
    return default
