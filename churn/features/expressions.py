"""Features of one's own, from the expressions of `params.yaml`: computed for all customers at once.

Expressions see the row of one customer at the as-of day. What cannot be computed is
missing: a division by zero, the logarithm of a number that has none, whatever a missing
value is part of. `and` and `or` give an answer where the known part decides it: a false
condition and a missing one are false.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Callable, Mapping
from typing import Any

from churn import pandas_semantics  # noqa: F401  (sets pandas' semantics of texts)

# isort: split
import numpy as np
import numpy.typing as npt
import pandas as pd

from churn.params import ParameterError, Params
from churn.params.formula_checks import Columns, Kind, find_kinds, find_problems
from churn.params.formulas import read_formulas
from churn.params.merged_columns import find_barred

Numbers = npt.NDArray[np.float64]
Value = Any  # numbers: a float64 array or scalar; texts: an array of pandas' `str`, or one text

_ARITHMETIC: dict[type[ast.operator], Callable[..., Any]] = {
    ast.Add: np.add,
    ast.Sub: np.subtract,
    ast.Mult: np.multiply,
    ast.Div: np.divide,
    ast.FloorDiv: np.floor_divide,
    ast.Mod: np.mod,
    ast.Pow: np.power,
}
_COMPARISONS: dict[type[ast.cmpop], Callable[..., Any]] = {
    ast.Eq: np.equal,
    ast.NotEq: np.not_equal,
    ast.Lt: np.less,
    ast.LtE: np.less_equal,
    ast.Gt: np.greater,
    ast.GtE: np.greater_equal,
}
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "abs": np.abs,
    "log": np.log,
    "log1p": np.log1p,
    "sqrt": np.sqrt,
    "min": lambda *values: functools.reduce(np.minimum, values),
    "max": lambda *values: functools.reduce(np.maximum, values),
    "round": lambda values, digits=0: np.round(values, int(digits)),
}


def compute_features(
    params: Params, customers: pd.DataFrame, described: Mapping[str, Mapping[str, Any]]
) -> pd.DataFrame:
    """Compute each expression: a number (float64; conditions are 1 and 0) or a text, in
    the order of `params.yaml`.

    `customers` has the columns that they may use, float64 or text; `described` says of
    all columns what they are.

    Raises:
        ParameterError: an expression cannot be computed from these columns; the message
            lists all problems.
    """
    kinds: dict[str, Kind] = {
        str(name): "number" if dtype == "float64" else "text"
        for name, dtype in customers.dtypes.items()
    }
    barred = {
        name: why for name, why in find_barred(described, params).items() if name not in customers
    }
    features = params.features
    if problems := find_problems(features, Columns(kinds, barred)):
        raise ParameterError("\n".join(problems))
    formulas = read_formulas(features)
    kinds |= find_kinds(formulas, kinds)
    needed = {name for formula in formulas for name in formula.columns if name in customers}
    known: dict[str, Value] = {
        name: customers[name].to_numpy() if kinds[name] == "number" else customers[name].array
        for name in needed
    }
    for formula in formulas:
        with np.errstate(all="ignore"):
            value = _evaluate(formula.tree, known)
        known[formula.name] = _fill(value, len(customers))
    names = pd.Index(list(features), dtype="str")
    return pd.DataFrame(
        {name: known[name] for name in features}, index=customers.index, columns=names
    )


def list_origins(params: Params) -> dict[str, list[str]]:
    """Return of each expression the columns and expressions that it uses."""
    return {formula.name: list(formula.columns) for formula in read_formulas(params.features)}


def _fill(value: Value, size: int) -> Value:
    """Repeat a value that is the same for all."""
    if isinstance(value, str):
        return pd.array([value] * size, dtype="str")
    return value if np.ndim(value) else np.full(size, value, dtype=np.float64)


def _evaluate(node: ast.expr, known: Mapping[str, Value]) -> Value:
    match node:
        case ast.Name(id=name):
            return known[name]
        case ast.Constant(value=value):
            return value if isinstance(value, str) else np.float64(value)  # type: ignore[arg-type]
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return 1 - _holds(_evaluate(operand, known))
        case ast.UnaryOp(op=op, operand=operand):
            value = _evaluate(operand, known)
            return -value if isinstance(op, ast.USub) else value
        case ast.BinOp(left=left, op=op, right=right):
            return _finite(_ARITHMETIC[type(op)](_evaluate(left, known), _evaluate(right, known)))
        case ast.BoolOp(op=op, values=values):
            conditions = [_holds(_evaluate(value, known)) for value in values]
            return functools.reduce(_and if isinstance(op, ast.And) else _or, conditions)
        case ast.Compare(left=left, ops=ops, comparators=others):
            return _compare(_evaluate(left, known), ops, others, known)
        case ast.Call(func=ast.Name(id=name), args=arguments):
            return _call(name, [_evaluate(argument, known) for argument in arguments])
    raise AssertionError(ast.dump(node))  # `read_formula` lets nothing else through


def _call(name: str, arguments: list[Value]) -> Value:
    if name == "isnull":
        return np.where(_is_missing(arguments[0]), 1.0, 0.0)
    return _where(*arguments) if name == "where" else _finite(_FUNCTIONS[name](*arguments))


def _finite(values: Value) -> Numbers:
    return np.where(np.isfinite(values), values, np.nan)


def _is_missing(value: Value) -> npt.NDArray[np.bool_]:
    return np.asarray(pd.isna(value), dtype=np.bool_)


def _holds(value: Value) -> Numbers:
    """Return 1 where a number is not 0, 0 where it is, and missing where it is missing."""
    return np.where(np.isnan(value), np.nan, np.not_equal(value, 0))


def _and(one: Numbers, other: Numbers) -> Numbers:
    return np.where((one == 0) | (other == 0), 0.0, one * other)


def _or(one: Numbers, other: Numbers) -> Numbers:
    return np.where((one == 1) | (other == 1), 1.0, one + other)


def _compare(
    left: Value, ops: list[ast.cmpop], others: list[ast.expr], known: Mapping[str, Value]
) -> Numbers:
    results = []
    for op, other in zip(ops, others, strict=True):
        if isinstance(op, (ast.In, ast.NotIn)):
            values = [_evaluate(value, known) for value in getattr(other, "elts", [])]
            is_among = functools.reduce(
                _or, [_compare_two(left, ast.Eq(), value) for value in values]
            )
            results.append(is_among if isinstance(op, ast.In) else 1 - is_among)
            left = values[-1]
        else:
            right = _evaluate(other, known)
            results.append(_compare_two(left, op, right))
            left = right
    return functools.reduce(_and, results)


def _compare_two(left: Value, op: ast.cmpop, right: Value) -> Numbers:
    if isinstance(left, str) and not isinstance(right, str):
        left, right = right, left  # of texts only == and != are compared
    is_text = isinstance(left, str) or not isinstance(left, (np.ndarray, np.floating))
    holds = (
        (left == right) ^ isinstance(op, ast.NotEq)
        if is_text
        else _COMPARISONS[type(op)](left, right)
    )
    return np.where(_is_missing(left) | _is_missing(right), np.nan, holds)


def _where(condition: Value, one: Value, other: Value) -> Value:
    holds = _holds(condition)
    if isinstance(one, (np.ndarray, np.floating)):
        return np.where(np.isnan(holds), np.nan, np.where(holds == 1, one, other))
    size = max(np.size(value) for value in (holds, one, other))
    mask = np.broadcast_to(holds, size)
    chosen = pd.Series(_fill(one, size)).where(mask == 1, pd.Series(_fill(other, size)))
    return chosen.mask(np.isnan(mask)).array
