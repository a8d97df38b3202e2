"""The language of features of one's own: read and checked without data, so that no
stage has to start for it.

An expression is made of columns, numbers, texts, `+ - * / // % **`, comparisons, `in`,
`and`, `or`, `not` and the functions of `FUNCTIONS`. A condition is a number too: 1
where it holds, 0 where not. Column names that are not plain names stand in backticks,
as in pandas' `eval`.
"""

from __future__ import annotations

import ast
import graphlib
import math
import re
import reprlib
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from churn.facts import ParameterError, suggest
from churn.params.model import Expression

# function -> least and most numbers of arguments
FUNCTIONS: dict[str, tuple[int, int]] = {
    "abs": (1, 1),
    "log": (1, 1),
    "log1p": (1, 1),
    "sqrt": (1, 1),
    "min": (2, 100),
    "max": (2, 100),
    "round": (1, 2),
    "where": (3, 3),
    "isnull": (1, 1),
}
# Names that the training set and the feature store give to columns of their own.
RESERVED = frozenset(
    {
        "event_timestamp",
        "created_timestamp",
        "event_expire_timestamp",
        "entity_row_id",
        "rn",
        "as_of",
        "churned",
        "twin_group",
        "training_row",
    }
)
_LONGEST = 2_000  # characters of an expression
_LARGEST = 1e300
_DEEPEST = 200  # operations within each other; a sum of so many columns, say
_HINTS = {
    ast.Attribute: "a dot is no part of it; a column whose name has one stands in backticks",
    ast.BitAnd: "write `and` for `&`",
    ast.BitOr: "write `or` for `|`",
    ast.Invert: "write `not` for `~`",
    ast.IfExp: "write `where(condition, a, b)` for `a if condition else b`",
    ast.Is: "write `==`, or `isnull(x)`",
    ast.IsNot: "write `!=`, or `not isnull(x)`",
}
_SHOWN = 100  # characters of an expression in a message
_SINGLE_EQUALS = re.compile(r"(?<![=!<>])=(?!=)")
_ARITHMETIC = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.FloorDiv, ast.Mod, ast.Pow)


@dataclass(frozen=True)
class Formula:
    """An expression that was read: its syntax tree, in which names are those of
    columns, and the columns it needs.
    """

    name: str
    text: str
    tree: ast.expr
    columns: tuple[str, ...]


def read_formula(name: str, text: str) -> Formula:
    """Read one expression.

    Raises:
        ParameterError: it is no expression, or uses what is not part of the language;
            names the feature and the place.
    """
    if len(text) > _LONGEST:
        raise ParameterError(
            f"features.{name}: the expression has {len(text):,} characters, "
            f"at most {_LONGEST:,} may"
        )
    shown = reprlib.repr(text) if len(text) > _SHOWN else repr(text)
    try:
        source, quoted = _take_out_quoted(" ".join(text.splitlines()).strip())
        with warnings.catch_warnings():
            # Of what is no mistake here, or a problem of its own.
            warnings.simplefilter("ignore", SyntaxWarning)
            tree = ast.parse(source, mode="eval").body
        _check_depth(tree)
        columns = dict.fromkeys(_read(tree, source, quoted))
    except SyntaxError as error:
        hint = "; write `==` to compare" if _SINGLE_EQUALS.search(text) else ""
        raise ParameterError(
            f"features.{name}: {shown} is no expression: {error.msg}{hint}"
        ) from None
    except (RecursionError, MemoryError):
        raise ParameterError(f"features.{name}: {shown} is nested too deeply") from None
    except ValueError as error:
        raise ParameterError(f"features.{name}: {shown}: {error}") from None
    if not columns:
        raise ParameterError(f"features.{name}: {shown} uses no column")
    return Formula(name, text, tree, tuple(columns))


def _check_depth(tree: ast.expr) -> None:
    level, depth = list[ast.AST]([tree]), 0
    while level:
        level, depth = [child for node in level for child in ast.iter_child_nodes(node)], depth + 1
        if depth > _DEEPEST:
            raise RecursionError


def read_formulas(features: Mapping[str, Expression]) -> list[Formula]:
    """Read all expressions, those that others use before the others.

    Raises:
        ParameterError: one is malformed, or some use each other in a circle.
    """
    formulas = {name: read_formula(name, feature.expression) for name, feature in features.items()}
    graph = {
        name: [one for one in formula.columns if one in formulas]
        for name, formula in formulas.items()
    }
    try:
        return [formulas[name] for name in graphlib.TopologicalSorter(graph).static_order()]
    except graphlib.CycleError as error:
        circle = error.args[1][::-1]
        raise ParameterError(
            f"features.{circle[0]}: expressions use each other in a circle: {' -> '.join(circle)}"
        ) from None


def _take_out_quoted(text: str) -> tuple[str, dict[str, str]]:
    """Put a plain name in the place of each name in backticks; return the text, and
    plain name -> column.
    """
    quoted: dict[str, str] = {}
    parts, position, quote = [], 0, ""
    while position < len(text):
        sign = text[position]
        if sign == "`" and not quote:
            end = text.find("`", position + 1)
            if end < 0:
                raise ValueError("a backtick is opened and never closed")
            # Longer than any run of underscores: in no text.
            plain = f"_{'_' * text.count('_')}column{len(quoted)}"
            quoted[plain] = text[position + 1 : end]
            parts.append(f" {plain} ")
            position = end
        else:
            if quote and sign == "\\":
                position += 1
                parts.append(sign)
                sign = text[position : position + 1]
            elif sign in "'\"" and quote in ("", sign):
                quote = "" if quote else sign
            parts.append(sign)
        position += 1
    return "".join(parts).strip(), quoted


def _read(node: ast.expr, source: str, quoted: Mapping[str, str]) -> Iterator[str]:
    """Yield the columns of a tree, naming its nodes after them.

    Raises:
        ValueError: it has something that is not part of the language.
    """
    match node:
        case ast.Name():
            # Python's own spelling may be another.
            written = ast.get_source_segment(source, node) or node.id
            node.id = quoted.get(written, written)
            yield node.id
        case ast.Constant(value=value):
            _check_constant(value)
        case ast.UnaryOp(op=ast.USub() | ast.UAdd() | ast.Not(), operand=operand):
            yield from _read(operand, source, quoted)
        case ast.BinOp(left=left, op=op, right=right) if isinstance(op, _ARITHMETIC):
            yield from _read(left, source, quoted)
            yield from _read(right, source, quoted)
        case ast.BoolOp(values=parts):
            for part in parts:
                yield from _read(part, source, quoted)
        case ast.Compare(left=left, ops=ops, comparators=others):
            yield from _read_comparison(left, ops, others, source, quoted)
        case ast.Call():
            yield from _read_call(node, source, quoted)
        case _:
            raise ValueError(_describe_foreign(node))


def _read_comparison(
    left: ast.expr,
    ops: list[ast.cmpop],
    others: list[ast.expr],
    source: str,
    quoted: Mapping[str, str],
) -> Iterator[str]:
    yield from _read(left, source, quoted)
    for op, other in zip(ops, others, strict=True):
        if isinstance(op, (ast.Is, ast.IsNot)):
            raise ValueError(_HINTS[type(op)])
        if isinstance(op, (ast.In, ast.NotIn)):
            values = other.elts if isinstance(other, (ast.Tuple, ast.List, ast.Set)) else []
            if not values or not all(isinstance(value, ast.Constant) for value in values):
                raise ValueError(
                    '`in` needs a list of texts or numbers, such as `plan in ["basic", "plus"]`'
                )
            for value in values:
                _check_constant(value.value)  # type: ignore[attr-defined]
        else:
            yield from _read(other, source, quoted)


def _read_call(node: ast.Call, source: str, quoted: Mapping[str, str]) -> Iterator[str]:
    if not isinstance(node.func, ast.Name):
        raise ValueError(_describe_foreign(node.func))
    name = node.func.id
    if name not in FUNCTIONS:
        raise ValueError(f"no function {name!r}{suggest(name, list(FUNCTIONS))}")
    least, most = FUNCTIONS[name]
    if node.keywords or not least <= len(node.args) <= most:
        expected = (
            str(least)
            if least == most
            else f"{least} or more"
            if most > 2
            else f"{least} or {most}"
        )
        raise ValueError(f"`{name}` takes {expected} values in brackets, one after the other")
    if name == "round" and len(node.args) == 2 and not _is_digits(node.args[1]):
        raise ValueError("`round` takes a whole number from 0 to 15 as its second value")
    for argument in node.args:
        yield from _read(argument, source, quoted)


def _is_digits(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and type(node.value) is int and 0 <= node.value <= 15


def _check_constant(value: Any) -> None:
    if value is None:
        raise ValueError("write `isnull(x)` to ask whether a value is missing")
    if not isinstance(value, (int, float, str)):
        raise ValueError(f"{value!r} is neither a number nor a text")
    if not isinstance(value, str) and not (abs(value) <= _LARGEST and math.isfinite(value)):
        raise ValueError("a number is too large")


def _describe_foreign(node: ast.AST) -> str:
    for kind, hint in _HINTS.items():
        if isinstance(node, kind) or isinstance(getattr(node, "op", None), kind):
            return hint
    what = f"`{ast.unparse(node)}` is not part of the language"
    parts = "columns, numbers, texts, arithmetic, comparisons, and, or, not"
    return f"{what}: {parts}, {', '.join(FUNCTIONS)}"
