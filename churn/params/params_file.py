"""Reads `params.yaml`, and lists all that is wrong with it."""

from __future__ import annotations

import os
import re
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Discriminator, Tag, ValidationError
from pydantic.fields import FieldInfo
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from churn.facts import ParameterError, observe, suggest
from churn.params.model import Params


def load_params(file: str | os.PathLike[str]) -> Params:
    """Read and check a params file; which of its facts are read is noted from now on.

    Raises:
        ParameterError: the file is missing, not YAML, or has unknown, missing or
            ill-typed keys; lists them all.
    """
    path = Path(file)
    try:
        content = _read_yaml(path)
    except FileNotFoundError:
        raise ParameterError(
            f"No params file at {path.resolve()}: expected the facts of a data set."
        ) from None
    except YAMLError as error:
        raise ParameterError(f"{path} is not YAML: {error}") from None
    try:
        params = Params.model_validate(content)
    except ValidationError as error:
        problems = "\n".join(f"  {line}" for line in _describe(error))
        raise ParameterError(f"{path} has {error.error_count()} problem(s):\n{problems}") from None
    observe(params)
    return params


_BRACKETS = re.compile(r"[\[\]{}]")
_DEEPEST = 50  # facts stand six levels deep at most
_MOST = 1_000_000  # values, each as often as aliases repeat it


def _read_yaml(path: Path) -> Any:
    """Return the content of a YAML file that is no deeper and no larger than facts can be:
    nested brackets and aliases that multiply would take hours, or all memory.
    """
    text, depth = path.read_text(encoding="utf-8"), 0
    for mark in _BRACKETS.findall(text):
        depth += 1 if mark in "[{" else -1
        if depth > _DEEPEST:
            raise ParameterError(f"{path} has brackets nested deeper than {_DEEPEST} levels.")
    try:
        content = YAML(typ="safe", pure=True).load(text)
        too_many = _count(content, {}) > _MOST
    except RecursionError:
        raise ParameterError(
            f"{path} is nested too deep, or an alias in it stands within what it names."
        ) from None
    if too_many:
        raise ParameterError(f"{path} has aliases that repeat more than {_MOST:,} values.")
    return content


def _count(node: Any, known: dict[int, int]) -> int:
    if not isinstance(node, dict | list):
        return 1
    if id(node) not in known:
        children = node.values() if isinstance(node, dict) else node
        known[id(node)] = 1 + sum(_count(child, known) for child in children)
    return known[id(node)]


def _describe(error: ValidationError) -> Iterator[str]:
    for problem in error.errors():
        where = [str(part) for part in problem["loc"]]
        if problem["type"] == "extra_forbidden":
            known = _keys_at(problem["loc"][:-1])
            yield f"{'.'.join(where)}: unknown key{suggest(where[-1], known)}"
        else:
            yield f"{'.'.join(where) or 'file'}: {problem['msg'].removeprefix('Value error, ')}"


def _keys_at(location: tuple[int | str, ...]) -> list[str]:
    """Return the keys that the model allows at an error's location."""
    here: Any = Params
    for part in location:
        here = _step(here, str(part))
    return sorted({key for model in _models_in(here) for key in model.model_fields})


def _step(annotation: Any, part: str) -> Any:
    """Follow one part of a location: the name of a union's type, a key of a dictionary, a
    place in a list, or a field.
    """
    options = {_name_in_location(one): one for one in _types_in(annotation)}
    if len(options) > 1 and part in options:
        return options[part]
    if typing.get_origin(annotation) in (dict, list):
        return typing.get_args(annotation)[-1]
    models = [model for model in _models_in(annotation) if part in model.model_fields]
    return models[0].model_fields[part].annotation if models else annotation


def _name_in_location(one: Any) -> str:
    """Return what pydantic calls one type of a union in the location of an error."""
    tags = [mark.tag for mark in _marks(one) if isinstance(mark, Tag)]
    if tags:
        return tags[0]
    kind = getattr(one, "model_fields", {}).get("kind")
    return str(typing.get_args(kind.annotation)[0]) if kind else getattr(one, "__name__", str(one))


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    types_ = [getattr(one, "__origin__", one) for one in _types_in(annotation)]
    return [one for one in types_ if isinstance(one, type) and issubclass(one, BaseModel)]


def _types_in(annotation: Any) -> Iterator[Any]:
    """Yield the types of a union, or a type that is none; one with a tag keeps it."""
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        for inner in typing.get_args(annotation):
            yield from _types_in(inner)
    elif any(isinstance(mark, Discriminator | FieldInfo) for mark in _marks(annotation)):
        yield from _types_in(annotation.__origin__)
    else:
        yield annotation


def _marks(annotation: Any) -> tuple[Any, ...]:
    return getattr(annotation, "__metadata__", ())
