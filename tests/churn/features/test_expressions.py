"""Features of one's own: what their language takes, what it refuses and in which words,
and what they give.
"""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from churn.features.expressions import compute_features
from churn.params import Expression, ParameterError, Params
from churn.params.formula_checks import Columns, find_notes, find_problems

CUSTOMERS = pd.DataFrame(
    {
        "tenure": [0.0, 1.0, math.nan, 5.0],
        "Total charge ($)": [10.0, 20.0, 30.0, math.nan],
        "plan": pd.Series(["a", "b", None, "a"], dtype="str"),
        "Größe": [1.0, 2.0, 3.0, 4.0],
    }
)
COLUMNS = Columns(
    {"tenure": "number", "plan": "text", "Größe": "number"}, {"EndDate": "it is the answer"}
)


def facts_of(**features: str) -> Params:
    """Return the facts of a company with these features of its own."""
    label = {"column": "left", "positive": "y"}
    facts = {
        "name": "Tiny",
        "label": label,
        "sources": {"crm": {"file": "crm.csv"}},
        "features": features,
    }
    return Params.model_validate(facts)


def compute(customers: pd.DataFrame = CUSTOMERS, **features: str) -> dict[str, list[Any]]:
    """Compute features; None stands for a missing value."""
    made = compute_features(facts_of(**features), customers, {}).astype(object)
    return {name: list(made[name].where(made[name].notna(), None)) for name in made}


def problems_of(columns: Columns = COLUMNS, **features: str) -> list[str]:
    """Return what is wrong with features."""
    return find_problems(
        {name: Expression(expression=text) for name, text in features.items()}, columns
    )


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("`Total charge ($)` / tenure", [None, 20.0, None, None]),
        ("`Total charge ($)` / (tenure + 1)", [10.0, 10.0, None, None]),
        ("-tenure ** 2 + Größe // 2 % 3", [0.0, 0.0, None, -23.0]),
        ("log(tenure)", [None, 0.0, None, math.log(5)]),
        ("log1p(tenure - 1)", [None, 0.0, None, math.log(5)]),
        ("sqrt(Größe - 2)", [None, 0.0, 1.0, math.sqrt(2)]),
        ("abs(tenure - 3)", [3.0, 2.0, None, 2.0]),
        ("min(tenure, Größe, 2)", [0.0, 1.0, None, 2.0]),
        ("max(tenure, Größe)", [1.0, 2.0, None, 5.0]),
        ("round(Größe / 3, 2)", [0.33, 0.67, 1.0, 1.33]),
        ("round(Größe / 3)", [0.0, 1.0, 1.0, 1.0]),
        ('plan == "a"', [1.0, 0.0, None, 1.0]),
        ('"a" != plan', [0.0, 1.0, None, 0.0]),
        ('plan in ["a", "c"]', [1.0, 0.0, None, 1.0]),
        ("tenure not in (0, 5)", [0.0, 1.0, None, 0.0]),
        ("0 < tenure <= 5", [0.0, 1.0, None, 1.0]),
        ('plan == "b" and tenure > 0', [0.0, 1.0, None, 0.0]),
        ('tenure > 0 and plan == "x"', [0.0, 0.0, None, 0.0]),
        ("Größe > 0 or tenure > 0", [1.0, 1.0, 1.0, 1.0]),
        ("not tenure", [1.0, 0.0, None, 0.0]),
        ("isnull(plan) + isnull(tenure)", [0.0, 0.0, 2.0, 0.0]),
        ("where(isnull(tenure), -1, tenure)", [0.0, 1.0, -1.0, 5.0]),
        ('where(tenure > 0, "old", "new")', ["new", "old", None, "old"]),
        ('where(plan == "a", plan, "other")', ["a", "other", None, "a"]),
        ("9 ** 9 ** 9 * tenure", [None, None, None, None]),
        ("tenure\n  + 1", [1.0, 2.0, None, 6.0]),
        ('where(plan == "`", 1, 2) * isnull(plan)', [0.0, 0.0, None, 0.0]),
    ],
)
def test_expressions_are_computed_for_all_customers_at_once(
    expression: str, expected: list[Any]
) -> None:
    """What cannot be computed is missing; conditions are 1 and 0; `and`, `or` answer
    where the known part decides.
    """
    assert compute(own=expression)["own"] == pytest.approx(expected)


def test_expressions_may_use_each_other_in_any_order() -> None:
    """The order of `params.yaml` is kept in the result."""
    made = compute(double="2 * more", more="tenure + 1", both='where(double > 3, "x", "y") == "x"')
    assert list(made) == ["double", "more", "both"]
    assert made["double"] == [2.0, 4.0, None, 12.0]
    assert made["both"] == [0.0, 1.0, None, 1.0]


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("tenur + 1", "no column 'tenur'; did you mean 'tenure'?"),
        ("lg(tenure)", "no function 'lg'; did you mean 'log'?"),
        ('__import__("os").system("x")', "a dot is no part of it"),
        ("tenure.values", "stands in backticks"),
        ("tenure & Größe", "write `and` for `&`"),
        ("~tenure", "write `not` for `~`"),
        ("1 if tenure else 2", "write `where(condition, a, b)`"),
        ("tenure is None", "isnull(x)"),
        ("tenure == None", "write `isnull(x)`"),
        ("tenure[0]", "`tenure[0]` is not part of the language"),
        ("lambda: tenure", "is not part of the language"),
        ("[x for x in tenure]", "is not part of the language"),
        ("f'{tenure}'", "is not part of the language"),
        ("(tenure", "'(tenure' is no expression"),
        ("tenure = 1", "invalid syntax; write `==` to compare"),
        ("`tenure + 1", "a backtick is opened and never closed"),
        ("", "is no expression"),
        ("1 + 1", "'1 + 1' uses no column"),
        ("own + 1", "an expression cannot use itself"),
        ("EndDate", "'EndDate' cannot be used"),
        ("plan + 1", "`plan` is a text"),
        ('plan < "b"', "with == and != only"),
        ('tenure == "5"', "a comparison has a number and a text"),
        ('where(tenure, 1, "x")', "`where` gives a number and a text"),
        ("round(tenure, Größe)", "`round` takes a whole number"),
        ("log(tenure, 10)", "`log` takes 1 values"),
        ("max(tenure)", "`max` takes 2 or more values"),
        ("tenure in Größe", "`in` needs a list"),
        ("1e999 * tenure", "a number is too large"),
        (f"{'9' * 400} * tenure", "a number is too large"),
        ("+".join(["tenure"] * 250), "is nested too deeply"),
        ("tenure" * 400, "2,400 characters, at most 2,000"),
    ],
)
def test_what_is_no_expression_is_said(expression: str, message: str) -> None:
    """One line that names the feature, what is wrong, and what to write instead."""
    (problem,) = problems_of(own=expression)
    assert message in problem
    assert problem.startswith("features.own: ")
    assert len(problem) < 350


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("tenure", "there is a column 'tenure' already"),
        ("EndDate", "there is a column 'EndDate' already"),
        ("a b", "'a b' is not a name"),
        ("if", "'if' is not a name"),
        ("churned", "uses such a name itself"),
        ("price_y", "uses such a name itself"),
    ],
)
def test_a_name_that_cannot_be_is_said(name: str, message: str) -> None:
    """Names are identifiers that nothing else has."""
    (problem,) = problems_of(**{name: "Größe + 1"})
    assert message in problem


def test_a_circle_is_shown() -> None:
    """Expressions that use each other in a circle are named in its order."""
    (problem,) = problems_of(a="b + 1", b="c * 2", c="a")
    assert re.match(r"features\.a: .*circle: a -> b -> c -> a", problem)


def test_every_problem_is_listed_at_once() -> None:
    """Also before the notebook: the error of the computation has them all."""
    assert len(problems_of(a="tenur", b="lg(tenure)", c="EndDate")) == 3
    with pytest.raises(ParameterError) as caught:
        compute(a="tenur", b="plan + 1", c="lg(tenure)")
    assert str(caught.value).count("features.") == 2  # kinds are looked at when the rest is right


def test_a_column_that_nobody_has_read_is_a_note() -> None:
    """Where the columns of a table cannot be known yet, an unknown one may be there."""
    columns = Columns(COLUMNS.kinds, COLUMNS.barred, unread=("usage",))
    features = {"own": Expression(expression="tenure / minuts")}
    assert find_problems(features, columns) == []
    (note,) = find_notes(features, columns)
    assert note.startswith("features.own: no column 'minuts'")
    assert note.endswith("known when usage is read")
    assert find_notes(features, COLUMNS) == []


def test_a_name_with_letters_that_python_would_change_is_found() -> None:
    """Python reads `ﬁ` as `fi` in a name; a column is meant as it is written."""
    frame = pd.DataFrame({"ﬁxed": [1.0]})
    assert compute(frame, own="ﬁxed + 1") == {"own": [2.0]}


NUMBERS = st.one_of(st.none(), st.integers(-3, 3).map(float), st.floats(-1e6, 1e6, allow_nan=False))
LEAVES = st.one_of(st.sampled_from(["x", "y", "`a b`"]), st.integers(0, 9).map(str), st.just("2.5"))


def combine(parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Return larger expressions of smaller ones."""
    two = st.tuples(
        parts, st.sampled_from(["+", "-", "*", "/", "<", "<=", "==", "!=", "and", "or"]), parts
    )
    return st.one_of(
        two.map(lambda part: f"({part[0]} {part[1]} {part[2]})"),
        parts.map(lambda part: f"(not {part})"),
        parts.map(lambda part: f"abs({part})"),
        parts.map(lambda part: f"isnull({part})"),
        st.tuples(parts, parts, parts).map(lambda part: f"where({', '.join(part)})"),
    )


class Number:
    """A number or nothing, with Python's own rules and those of what is missing."""

    def __init__(self, value: float | None) -> None:
        self.value = None if value is None or not math.isfinite(value) else float(value)

    def negate(self) -> Number:
        """Return 1 for 0, and 0 for all else."""
        return Number(None if self.value is None else float(self.value == 0))

    def both(self, other: Number) -> Number:
        """Return whether both hold."""
        if 0 in (self.value, other.value):
            return Number(0)
        return Number(None if None in (self.value, other.value) else 1)

    def either(self, other: Number) -> Number:
        """Return whether one of them holds."""
        if any(value not in (None, 0) for value in (self.value, other.value)):
            return Number(1)
        return Number(None if None in (self.value, other.value) else 0)

    def apply(self, name: str, other: Number) -> Number:
        """Return what an operator of Python's makes of two numbers."""
        if None in (self.value, other.value) or (name == "truediv" and other.value == 0):
            return Number(None)
        return Number(float(getattr(self.value, f"__{name}__")(other.value)))


OPERATORS = {
    "+": "add",
    "-": "sub",
    "*": "mul",
    "/": "truediv",
    "<": "lt",
    "<=": "le",
    "==": "eq",
    "!=": "ne",
}


def evaluate(text: str, values: dict[str, float | None]) -> float | None:
    """Evaluate an expression for one customer, a bracket at a time."""
    spaced = text.replace("`a b`", "a_b")
    for sign in "(),":
        spaced = spaced.replace(sign, f" {sign} ")
    return parse(spaced.split(), values).value


def parse(tokens: list[str], values: dict[str, float | None]) -> Number:
    """Take the first number, bracket or call from the tokens, and return its value."""
    token = tokens.pop(0)
    if token == "(":
        value = parse_bracket(tokens, values)
        tokens.pop(0)
        return value
    if token not in ("abs", "isnull", "where"):
        return Number(values[token]) if token in values else Number(float(token))
    arguments = []
    while tokens.pop(0) in ("(", ","):
        arguments.append(parse(tokens, values))
    first = arguments[0].value
    if token == "isnull":
        return Number(float(first is None))
    if first is None:
        return Number(None)
    return Number(abs(first)) if token == "abs" else arguments[1 if first else 2]


def parse_bracket(tokens: list[str], values: dict[str, float | None]) -> Number:
    """Take what stands in a bracket from the tokens, and return its value."""
    if tokens[0] == "not":
        tokens.pop(0)
        return parse(tokens, values).negate()
    left, sign, right = parse(tokens, values), tokens.pop(0), parse(tokens, values)
    if sign in ("and", "or"):
        return left.both(right) if sign == "and" else left.either(right)
    return left.apply(OPERATORS[sign], right)


@settings(max_examples=150, deadline=None)
@given(
    expression=st.recursive(LEAVES, combine, max_leaves=8),
    rows=st.lists(st.tuples(NUMBERS, NUMBERS, NUMBERS), min_size=1, max_size=4),
)
def test_columns_give_what_each_customer_would(
    expression: str, rows: list[tuple[float | None, float | None, float | None]]
) -> None:
    """Whole columns are computed as one customer after the other would be, whatever is missing."""
    frame = pd.DataFrame(rows, columns=["x", "y", "a b"]).astype("float64")
    used = f"({expression} + 0 * isnull(x))"
    made = compute(frame, own=used)["own"]
    for row, value in zip(rows, made, strict=True):
        expected = evaluate(used, dict(zip(["x", "y", "a_b"], row, strict=True)))
        assert (value is None) == (expected is None)
        if expected is not None:
            assert value == pytest.approx(expected, rel=1e-9, abs=1e-9)


@settings(max_examples=300, deadline=None)
@given(
    text=st.text(st.sampled_from("xy`ab()+-*/<>=!&|~.,:[]{}\"'\\ 019 \nandornotif"), max_size=40)
)
def test_any_text_is_computed_or_refused_with_a_message(text: str) -> None:
    """Nothing but a `ParameterError` comes of it, and nothing is run but the language."""
    frame = pd.DataFrame({"x": [1.0, np.nan], "y": [0.0, 2.0]})
    if problems := problems_of(Columns({"x": "number", "y": "number"}), own=text):
        with pytest.raises(ParameterError) as caught:
            compute(frame, own=text)
        assert str(caught.value) == "\n".join(problems)
        assert all(problem.startswith("features.own: ") for problem in problems)
    else:
        assert len(compute(frame, own=text)["own"]) == 2
