"""The types that a parameter may be declared with: `int | None`, `list[str]`, `Literal["a", "b"]`, read as text."""

from __future__ import annotations

import ast
from typing import Any

_PLAIN = {"int": (int,), "float": (int, float), "str": (str,), "bool": (bool,), "None": (type(None),)}
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
        known = "int, float, str, bool, None, list[…], dict[str, …], Literal[…] and `|` between them"
        raise ValueError(f"{name} is declared as {ast.unparse(annotation)}; known types are {known}")
    return ast.unparse(annotation)


def fits(value: Any, annotation: str) -> bool:
    """Whether a value is of a type; a whole number may stand for a float, true and false only for themselves."""
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
        return bool(arguments) and all(isinstance(argument, (ast.Constant, ast.UnaryOp)) for argument in arguments)
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
        return (name == "Optional" and value is None) or any(_fits(value, argument) for argument in arguments)
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
    return [argument for argument in arguments if not (isinstance(argument, ast.Constant) and argument.value is ...)]
