"""Whether expressions fit the columns that there are: their names, unknown and barred
columns, numbers and texts.
"""

from __future__ import annotations

import ast
import difflib
import keyword
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from churn.facts import ParameterError, suggest
from churn.params.formulas import RESERVED, Formula, read_formula, read_formulas
from churn.params.model import Expression

Kind = Literal["number", "text", "unknown"]

_ORDER = (ast.Lt, ast.LtE, ast.Gt, ast.GtE)


@dataclass(frozen=True)
class Columns:
    """What expressions may use, as far as it is known.

    `kinds`: column -> its kind; `barred`: column -> why none may use it; `unread`: the
    tables whose columns nobody knows before they are read; `computed`: what
    transformation may compute, and an expression may use.
    """

    kinds: Mapping[str, Kind]
    barred: Mapping[str, str] = field(default_factory=dict)
    unread: tuple[str, ...] = ()
    computed: Collection[str] = ()


def find_problems(features: Mapping[str, Expression], columns: Columns) -> list[str]:
    """Say all that is wrong with expressions, as far as the columns are known."""
    problems = [problem for name in features if (problem := _find_name_problem(name, columns))]
    formulas = {}
    for name, feature in features.items():
        try:
            formulas[name] = read_formula(name, feature.expression)
        except ParameterError as error:
            problems.append(str(error))
    for formula in formulas.values():
        problems += _find_barred(formula, columns)
        if not columns.unread:
            problems += [
                f"features.{formula.name}: {what}"
                for what in _find_unknown(formula, features, columns)
            ]
    if problems:
        return problems
    try:
        return list(_find_kind_problems(read_formulas(features), columns))
    except ParameterError as error:
        return [str(error)]


def find_notes(features: Mapping[str, Expression], columns: Columns) -> list[str]:
    """Say which columns of expressions can only be looked for when the tables have been read."""
    if not columns.unread:
        return []
    notes = []
    for name, feature in features.items():
        try:
            unknown = _find_unknown(read_formula(name, feature.expression), features, columns)
        except ParameterError:
            continue  # that is a problem
        tables = ", ".join(columns.unread)
        notes += [f"features.{name}: {what}; known when {tables} is read" for what in unknown]
    return notes


def find_kinds(formulas: list[Formula], kinds: Mapping[str, Kind]) -> dict[str, Kind]:
    """Return the kind of each formula's result; formulas come in the order of `read_formulas`.

    Raises:
        ParameterError: texts and numbers are mixed.
    """
    known, found = dict(kinds), dict[str, Kind]()
    for formula in formulas:
        try:
            found[formula.name] = known[formula.name] = _kind(formula.tree, known)
        except ValueError as error:
            raise ParameterError(f"features.{formula.name}: {formula.text!r}: {error}") from None
    return found


def _find_kind_problems(formulas: list[Formula], columns: Columns) -> Iterator[str]:
    kinds = dict(columns.kinds)
    for formula in formulas:
        try:
            kinds |= find_kinds([formula], kinds)
        except ParameterError as error:
            yield str(error)
            kinds[formula.name] = "unknown"


def _find_name_problem(name: str, columns: Columns) -> str | None:
    if not name.isidentifier() or keyword.iskeyword(name):
        return f"features.{name}: {name!r} is not a name: expected letters, digits and underscores"
    if name in RESERVED or name.endswith("_y"):
        return (
            f"features.{name}: the training set or the feature store uses such a name itself; "
            "choose another"
        )
    if name in columns.kinds or name in columns.barred:
        return f"features.{name}: there is a column {name!r} already; choose another name"
    return None


def _find_barred(formula: Formula, columns: Columns) -> Iterator[str]:
    for name in formula.columns:
        if name in columns.barred:
            why = columns.barred[name]
            yield f"features.{formula.name}: the column {name!r} cannot be used: {why}"


def _find_unknown(
    formula: Formula, features: Mapping[str, Expression], columns: Columns
) -> Iterator[str]:
    known = [*columns.kinds, *(name for name in features if name != formula.name)]
    for name in formula.columns:
        if name == formula.name:
            yield f"no column {name!r}; an expression cannot use itself"
        elif name not in known and name not in columns.barred and name not in columns.computed:
            near = difflib.get_close_matches(name, [*known, *columns.computed], n=1)
            yield f"no column {name!r}{suggest(name, near or known)}"


def _kind(node: ast.expr, kinds: Mapping[str, Kind]) -> Kind:
    """Return whether a part of a formula is a number or a text.

    Raises:
        ValueError: texts and numbers are mixed.
    """
    match node:
        case ast.Name(id=name):
            return kinds.get(name, "unknown")
        case ast.Constant(value=value):
            return "text" if isinstance(value, str) else "number"
        case ast.Compare(left=left, ops=ops, comparators=others):
            _check_comparison(_kind(left, kinds), ops, others, kinds)
            return "number"
        case ast.Call(func=ast.Name(id="isnull"), args=[argument]):
            _kind(argument, kinds)
            return "number"
        case ast.Call(func=ast.Name(id="where"), args=[condition, one, other]):
            _demand_numbers("the condition of `where`", [condition], kinds)
            return _same_kind(_kind(one, kinds), _kind(other, kinds), "`where` gives")
        case ast.Call(func=ast.Name(id=name), args=arguments):
            _demand_numbers(f"`{name}`", arguments, kinds)
        case ast.BinOp(left=left, right=right):
            _demand_numbers("arithmetic", [left, right], kinds)
        case ast.BoolOp(values=values):
            _demand_numbers("`and` and `or`", values, kinds)
        case ast.UnaryOp(operand=operand):
            _demand_numbers("`-` and `not`", [operand], kinds)
    return "number"


def _demand_numbers(what: str, nodes: list[ast.expr], kinds: Mapping[str, Kind]) -> None:
    for node in nodes:
        if _kind(node, kinds) == "text":
            raise ValueError(f"{what} needs numbers or conditions, and `{_shown(node)}` is a text")


def _shown(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else ast.unparse(node)


def _check_comparison(
    left: Kind, ops: list[ast.cmpop], others: list[ast.expr], kinds: Mapping[str, Kind]
) -> None:
    for op, other in zip(ops, others, strict=True):
        values = other.elts if isinstance(other, (ast.Tuple, ast.List, ast.Set)) else [other]
        for value in values:
            right = _kind(value, kinds)
            if _same_kind(left, right, "a comparison has") == "text" and isinstance(op, _ORDER):
                raise ValueError("texts are compared with == and != only")
        left = _kind(values[-1], kinds)


def _same_kind(one: Kind, other: Kind, what: str) -> Kind:
    if {one, other} == {"number", "text"}:
        raise ValueError(f"{what} a number and a text: a text stands in quotes, a number does not")
    return other if one == "unknown" else one
