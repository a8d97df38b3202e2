"""The parameters that a notebook declares, their types and values, and whether those given fit."""

from __future__ import annotations

import ast
import datetime
import keyword
import math
import reprlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from churn.params import suggest
from orchestrator.errors import UsageError
from orchestrator.notebook.cells import read_notebook
from orchestrator.stages import Stage

_LARGEST_BITS = 14_000  # Python writes whole numbers of up to 4,300 digits

_repr = reprlib.Repr()
_repr.maxstring = _repr.maxother = 80


def show(value: Any) -> str:
    """Return how a message shows a value: shortened, and with escapes for what no
    terminal can show.
    """
    return _repr.repr(value).encode("utf-8", "backslashreplace").decode()


def find_name_problem(name: str) -> str | None:
    """Say why a text cannot be the name of a parameter, if it cannot."""
    if not name.isidentifier():
        return "is not a name: expected letters, digits and underscores"
    if keyword.iskeyword(name):
        return "is a keyword of Python"
    if name.startswith("__") and name.endswith("__"):
        return "is a name that Python reserves"
    return None


def as_json(value: Any) -> Any:
    """Return a value with its dates as texts, as YAML has them written: `2025-10-01`.
    The others stay as they are.
    """
    if isinstance(value, dict):
        return {key: as_json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [as_json(item) for item in value]
    if isinstance(value, datetime.date) and not isinstance(value, datetime.datetime):
        return value.isoformat()
    return value


def find_value_problems(value: Any, where: str, above: tuple[int, ...] = ()) -> Iterator[str]:
    """Yield what JSON, or a notebook's text, cannot hold; `where` names the value."""
    if id(value) in above:
        yield f"{where} contains itself"
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _find_key_problems(key, where)
            yield from find_value_problems(item, f"{where}[{show(key)}]", (*above, id(value)))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from find_value_problems(item, f"{where}[{index}]", (*above, id(value)))
    else:
        yield from _find_scalar_problems(value, where)


def _find_key_problems(key: Any, where: str) -> Iterator[str]:
    if not isinstance(key, str):
        yield (
            f"{where} has the key {show(key)}, of type {type(key).__name__}: expected a text; "
            "quote it"
        )
    elif not _is_encodable(key):
        yield f"{where} has the key {show(key)}, which holds half of a character (a lone surrogate)"


def _find_scalar_problems(value: Any, where: str) -> Iterator[str]:
    if isinstance(value, str):
        if not _is_encodable(value):
            yield f"{where} is {show(value)}, which holds half of a character (a lone surrogate)"
    elif isinstance(value, float):
        if not math.isfinite(value):
            yield f"{where} is {value}: expected a finite number; `null` stands for `none`"
    elif isinstance(value, datetime.datetime):
        yield f'{where} is a point in time, for which JSON has no type: quote it, as in "{value}"'
    elif isinstance(value, int):
        if value.bit_length() > _LARGEST_BITS:
            digits = round(value.bit_length() * math.log10(2))
            yield f"{where} is a number of about {digits:,} digits, which is too large"
    elif value is not None:
        expected = "null, true or false, a number, a text, a list or a mapping"
        yield f"{where} is {show(value)}, of type {type(value).__name__}: expected {expected}"


def _is_encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


_PLAIN = {
    "int": (int,),
    "float": (int, float),
    "str": (str,),
    "bool": (bool,),
    "None": (type(None),),
}
_LISTS = {"list", "tuple", "List", "Tuple", "Sequence"}  # JSON has one kind
_MAPPINGS = {"dict", "Dict", "Mapping"}
_UNIONS = {"Union", "Optional"}
_ANYTHING = {"Any", "object"}
_WRAPPERS = {"Annotated", "Final"}
_KNOWN = {*_PLAIN, *_LISTS, *_MAPPINGS, *_UNIONS, *_ANYTHING}


def read_annotation(name: str, annotation: ast.expr) -> str:
    """Return the text of a parameter's annotation.

    Raises:
        ValueError: it is not one that can be checked; says which can.
    """
    if isinstance(annotation, ast.Constant) and isinstance(annotation.value, str):
        annotation = ast.parse(annotation.value, mode="eval").body
    if not _is_known(annotation):
        known = (
            "int, float, str, bool, None, list[…], dict[str, …], Literal[…] and `|` between them"
        )
        raise ValueError(
            f"{name} is declared as {ast.unparse(annotation)}; known types are {known}"
        )
    return ast.unparse(annotation)


def fits(value: Any, annotation: str) -> bool:
    """Whether a value is of a type; a whole number may stand for a float, true and
    false only for themselves.
    """
    return _fits(value, ast.parse(annotation, mode="eval").body)


def alternatives(annotation: str) -> list[str]:
    """Return the parts of `int | None`, in order."""
    node: ast.expr = ast.parse(annotation, mode="eval").body
    found: list[str] = []
    while isinstance(node, ast.BinOp):
        found.insert(0, ast.unparse(node.right))
        node = node.left
    return [ast.unparse(node), *found]


def type_name(value: Any) -> str:
    """Return what the type of a value is called."""
    return "None" if value is None else type(value).__name__


def _is_known(kind: ast.expr) -> bool:
    if isinstance(kind, ast.BinOp):
        return isinstance(kind.op, ast.BitOr) and _is_known(kind.left) and _is_known(kind.right)
    name, arguments = _name_of(kind), _arguments_of(kind)
    if name == "Literal":
        return bool(arguments) and all(
            isinstance(argument, (ast.Constant, ast.UnaryOp)) for argument in arguments
        )
    if name in _WRAPPERS:
        return bool(arguments) and _is_known(arguments[0])
    return name in _KNOWN and all(_is_known(argument) for argument in arguments)


def _fits(value: Any, kind: ast.expr) -> bool:
    if isinstance(kind, ast.BinOp):
        return _fits(value, kind.left) or _fits(value, kind.right)
    name, arguments = _name_of(kind), _arguments_of(kind)
    if name in _WRAPPERS:
        return _fits(value, arguments[0])
    if name in _UNIONS:
        return (name == "Optional" and value is None) or any(
            _fits(value, argument) for argument in arguments
        )
    if name == "Literal":
        allowed = [ast.literal_eval(argument) for argument in arguments]
        return any(type(value) is type(one) and value == one for one in allowed)
    if name in _LISTS:
        return isinstance(value, (list, tuple)) and _all_fit(value, arguments)
    if name in _MAPPINGS:
        return isinstance(value, dict) and _all_fit(value.values(), arguments[1:])
    return name in _ANYTHING or type(value) in _PLAIN[name]


def _all_fit(items: Any, kinds: list[ast.expr]) -> bool:
    return not kinds or all(any(_fits(item, kind) for kind in kinds) for item in items)


def _name_of(kind: ast.expr) -> str:
    """Return `list` for `list[str]`, `Literal` for `typing.Literal[…]`, `None` for `None`."""
    if isinstance(kind, ast.Subscript):
        return _name_of(kind.value)
    if isinstance(kind, ast.Constant):
        return "None" if kind.value is None else ""
    return str(getattr(kind, "id", None) or getattr(kind, "attr", ""))


def _arguments_of(kind: ast.expr) -> list[ast.expr]:
    """Return what stands in the brackets, but for the dots of `tuple[int, ...]`."""
    if not isinstance(kind, ast.Subscript):
        return []
    arguments = kind.slice.elts if isinstance(kind.slice, ast.Tuple) else [kind.slice]
    return [
        argument
        for argument in arguments
        if not (isinstance(argument, ast.Constant) and argument.value is ...)
    ]


# Parameters that the run itself gives to the notebooks that declare them.
GIVEN_BY_RUN = {"params_file", "run_id", "git_commit"}
# A setting of a stage that is the run's and not the notebook's.
TIME_LIMIT = "time_limit"


@dataclass(frozen=True)
class Parameter:
    """A parameter that a notebook declares: a literal default, the type it may take as
    an annotation, and its help.
    """

    default: Any
    type: str
    help: str = ""

    def accepts(self, value: Any) -> bool:
        """Whether a value is of the type; a whole number may stand for a float, but not
        true or false for a number.
        """
        return fits(value, self.type)


def declared_parameters(notebook: Path) -> dict[str, Parameter]:
    """Read the cell tagged `parameters` of a notebook: name -> parameter, in order.

    Raises:
        UsageError: there is not exactly one such cell, or a line of it is not `name =
            literal  # help`.
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
            f"{where}: expected only lines `name = literal  # help` in the parameters cell "
            f"({error})."
        ) from None
    return declared


def find_parameter_problems(
    stage: Stage, notebook: Path, given: Mapping[str, Any]
) -> Iterator[str]:
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
        yield f"{where} is given by the run itself" + (
            "; use --params" if name == "params_file" else ""
        )
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
        case ast.AnnAssign(
            target=ast.Name(id=name), annotation=annotation, value=ast.expr() as expression
        ):
            pass
        case _:
            raise ValueError(f"line {node.lineno} is something else")
    wrong_name = find_name_problem(name)
    if wrong_name:
        raise ValueError(f"line {node.lineno}: {name} {wrong_name}")
    default = _read_literal(name, expression)
    # As columns count.
    last_line = source.split("\n")[(node.end_lineno or node.lineno) - 1].encode()
    kind = read_annotation(name, annotation) if annotation else type_name(default)
    parameter = Parameter(
        default, kind, last_line[node.end_col_offset :].decode().partition("#")[2].strip()
    )
    if not parameter.accepts(default):
        raise ValueError(
            f"line {node.lineno}: the default of {name}, {show(default)}, is not of its type {kind}"
        )
    return name, parameter


def _read_literal(name: str, expression: ast.expr) -> Any:
    try:
        default = ast.literal_eval(expression)
    except ValueError:
        raise ValueError(
            f"line {expression.lineno}: the default of {name} is not a literal"
        ) from None
    problems = list(
        find_value_problems(
            list(default) if isinstance(default, tuple) else default, f"the default of {name}"
        )
    )
    if problems:
        raise ValueError(f"line {expression.lineno}: {problems[0]}")
    return default
