"""The baseline as it lies in `data/accepted/<data set>/`: equal baselines give equal bytes,
and what an analyst wrote into the file stays.
"""

from __future__ import annotations

import difflib
import io
import json
import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import YAMLError
from ruamel.yaml.scalarstring import DoubleQuotedScalarString

from churn.baseline.schema import (
    DEFAULTS,
    IMPORTANCE,
    PROFILE,
    SCHEMA,
    BaselineColumn,
    BaselineError,
    BaselineSchema,
    BaselineTable,
    Tolerance,
    slug,
)

_OPENING = """\
What is normal for this data set. Later runs are checked against it; commit it, and edit it as \
you like.
`churn accept RUN_ID` takes the data of a run as the new normal: tolerances and comments of \
yours stay.
Without this file the next run that passes all other checks learns it anew.

How far new data may be from what stands below, on top of what chance alone explains in so many \
rows. A table or a
column may have its own, such as {type: number, missing: 0.02, tolerance: {missing: 0.2}}.
"""
_OF_TABLES = """
repeated: the share of rows that repeat the key of another row. known_customers: the share of \
rows whose customer is in
the first table; customers_with_rows: the share of its customers who have a row. missing: the \
share of rows without a
value. unique: no value stands twice. values, min, max: all that were seen."""
_WIDTH = 100_000  # a line for each column, so that a difference is one
_EOL_COLUMN = 22
_OWN = "tolerance"  # what is the analyst's own


@dataclass(frozen=True)
class Baseline:
    """The baseline of a data set as it lies in its folder; what is not there is empty."""

    folder: Path
    schema: BaselineSchema | None
    profile: Mapping[str, Any]
    importance: Mapping[str, float]

    @classmethod
    def read(cls, folder: str | os.PathLike[str], name: str) -> Baseline:
        """Read the baseline of the data set of that name, in its own folder below `folder`.

        Raises:
            BaselineError: a file is not what it should be; the message says what is
                wrong and where.
        """
        own = Path(folder) / slug(name)
        return cls(own, read_schema(own, name), read_profile(own), read_importance(own))

    def without(self, columns: Mapping[str, Collection[str]]) -> Baseline:
        """Return the baseline without some columns of its tables, which new data need not
        have; `columns` are their names, by table.
        """
        profiles = {
            table: _leave_out(of, columns.get(table, ()))
            for table, of in self.profile.get("tables", {}).items()
        }
        profile = {**self.profile, "tables": profiles} if self.profile else {}
        if self.schema is None:
            return replace(self, profile=profile)
        tables = {
            name: table.model_copy(
                update={"columns": _leave_out(table.columns, columns.get(name, ()))}
            )
            for name, table in self.schema.tables.items()
        }
        schema = self.schema.model_copy(update={"tables": tables})
        return replace(self, schema=schema, profile=profile)

    def learn(self, schema: BaselineSchema, profile: Mapping[str, Any]) -> list[str]:
        """Write those of the two files that are not there yet, and return their names.

        Raises:
            BaselineError: one of them appeared since the baseline was read.
        """
        texts = {} if self.schema else {SCHEMA: render_schema(schema)}
        texts |= {} if self.profile else {PROFILE: render_profile(profile)}
        for name, text in texts.items():
            write_new(self.folder, name, text)
        return list(texts)


def _leave_out(columns: Mapping[str, Any], names: Collection[str]) -> dict[str, Any]:
    return {name: column for name, column in columns.items() if name not in names}


def read_schema(folder: Path, name: str) -> BaselineSchema | None:
    """Read `schema.yaml` of the data set of that name, if it is there.

    Raises:
        BaselineError: it is not YAML, has unknown, missing or ill-typed keys, or is
            another data set's.
    """
    text = _read(folder / SCHEMA)
    if text is None:
        return None
    try:
        schema = BaselineSchema.model_validate(YAML(typ="safe", pure=True).load(text))
    except YAMLError as error:
        raise BaselineError(f"{folder / SCHEMA} is not YAML: {error}") from None
    except ValidationError as error:
        problems = "\n".join(f"  {_describe(problem)}" for problem in error.errors())
        raise BaselineError(
            f"{folder / SCHEMA} has {error.error_count()} problem(s):\n{problems}"
        ) from None
    if schema.name != name:
        raise BaselineError(
            f"{folder / SCHEMA} is the baseline of {schema.name!r}, and not of {name!r}, whose "
            "folder has the same name: change `name` in one of the two params files, or here if "
            "the data set was renamed."
        )
    return schema


def read_profile(folder: Path) -> dict[str, Any]:
    """Read `profile.json`; empty where it is not there.

    Raises:
        BaselineError: it is not such a profile.
    """
    return _read_json(folder / PROFILE)


def read_importance(folder: Path) -> dict[str, float]:
    """Read how much each feature matters to the champion, if a model building has written it down.

    Raises:
        BaselineError: it is not a list of numbers by name.
    """
    found = _read_json(folder / IMPORTANCE)
    if not all(isinstance(value, (int, float)) for value in found.values()):
        raise BaselineError(f"{folder / IMPORTANCE}: expected a number for each feature's name.")
    return {name: float(value) for name, value in found.items()}


def render_schema(schema: BaselineSchema, before: str | None = None) -> str:
    """Return the text of `schema.yaml`; with the text `before`, its tolerances,
    comments and order stay.

    Raises:
        BaselineError: the text before is not such a file.
    """
    yaml = YAML()
    yaml.width, yaml.preserve_quotes = _WIDTH, True
    facts = _as_facts(schema)
    content = _compose(schema.name, facts)
    if before is not None:
        try:
            content = yaml.load(before)
            _renew(content["tables"], facts)
        except (YAMLError, KeyError, TypeError, AttributeError) as error:
            raise BaselineError(f"The {SCHEMA} that is there is not one: {error}") from None
    target = io.StringIO()
    yaml.dump(content, target)
    return target.getvalue()


def render_profile(profile: Mapping[str, Any]) -> str:
    """Return the text of `profile.json`: a line for each column."""
    parts = [f'"name": {_dump(profile["name"])}', f'"label": {_dump(profile["label"])}']
    tables = _join(f" {_dump(name)}: {_lines(of)}" for name, of in profile["tables"].items())
    parts.append(f'"tables": {{\n{tables}\n}}')
    return "{\n" + _join(parts) + "\n}\n"


def write_new(folder: Path, name: str, text: str) -> None:
    """Write a file of the baseline that is not there yet, whole or not at all.

    Raises:
        BaselineError: it is there now, so somebody else has written it meanwhile.
    """
    folder.mkdir(parents=True, exist_ok=True)
    temporary = folder / f".{name}.{os.getpid()}.tmp"
    temporary.write_text(text, encoding="utf-8", newline="\n")
    try:
        if (folder / name).exists():
            raise BaselineError(
                f"{folder / name} was written while the data was checked without it: run it again."
            )
        temporary.replace(folder / name)
    finally:
        temporary.unlink(missing_ok=True)


def write_importance(
    folder: str | os.PathLike[str], name: str, importance: Mapping[str, float]
) -> None:
    """Write how much each feature matters to the champion of a data set of that name,
    in place of what was there.

    `folder` holds a folder for each data set.
    """
    own = Path(folder) / slug(name)
    own.mkdir(parents=True, exist_ok=True)
    temporary = own / f".{IMPORTANCE}.{os.getpid()}.tmp"
    text = json.dumps(importance, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
    temporary.write_text(text + "\n", encoding="utf-8", newline="\n")
    temporary.replace(own / IMPORTANCE)


def _read(file: Path) -> str | None:
    try:
        return file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise BaselineError(f"{file} cannot be read: {error}") from None


def _read_json(file: Path) -> dict[str, Any]:
    text = _read(file)
    try:
        found = json.loads(text) if text is not None else {}
    except ValueError as error:
        raise BaselineError(
            f"{file} is not JSON: {error}. Without it, the next run learns it anew."
        ) from None
    if not isinstance(found, dict):
        raise BaselineError(f"{file}: expected an object.")
    return found


def _describe(problem: Any) -> str:
    where = [str(part) for part in problem["loc"]]
    if problem["type"] != "extra_forbidden":
        return f"{'.'.join(where) or 'file'}: {problem['msg']}"
    models: dict[int, type[BaseModel]] = {1: BaselineSchema, 3: BaselineTable, 5: BaselineColumn}
    known = Tolerance.model_fields if "tolerance" in where[:-1] else models[len(where)].model_fields
    near = difflib.get_close_matches(where[-1], known, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"known are: {', '.join(known)}"
    return f"{'.'.join(where)}: unknown key; {hint}"


def _as_facts(schema: BaselineSchema) -> dict[str, Any]:
    tables = schema.model_dump(exclude_defaults=True)["tables"]
    for table in tables.values():
        columns = table.pop("columns")  # to the end: it is the longest
        table["columns"] = {
            name: {"type": "", "missing": 0.0} | column for name, column in columns.items()
        }
    found = _plain(tables)
    assert isinstance(found, dict)
    return found


def _plain(value: Any) -> Any:
    """Return values without a needless fraction: 18.0 is 18."""
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return int(value)
    return value


def _compose(name: str, tables: Mapping[str, Any]) -> CommentedMap:
    tolerance = CommentedMap(DEFAULTS.model_dump())
    for field, about in Tolerance.model_fields.items():
        tolerance.yaml_add_eol_comment(about.description, field, column=_EOL_COLUMN)
    content = CommentedMap(
        {"name": _style(name, 0), "tolerance": tolerance, "tables": CommentedMap()}
    )
    content.yaml_set_start_comment(_OPENING)
    content.yaml_set_comment_before_after_key("tables", before=_OF_TABLES)
    _renew(content["tables"], tables)
    return content


def _renew(old: CommentedMap, new: Mapping[str, Any], depth: int = 0) -> None:
    """Make a mapping say what is new, with as little change to its text as that takes."""
    for key in [key for key in old if key not in new and key != _OWN]:
        del old[key]
    for key, value in new.items():
        if isinstance(value, dict) and isinstance(old.get(key), CommentedMap):
            _renew(old[key], value, depth + 1)
        elif (
            key not in old or isinstance(value, float) or old[key] != value
        ):  # the library rounds floats that it read
            old[_style(key, depth)] = _style(value, depth + 1)


def _style(value: Any, depth: int) -> Any:
    """Return a value as it stands in the file: each column, and each list, in a line."""
    if isinstance(value, dict):
        styled = CommentedMap(
            {_style(key, depth): _style(one, depth + 1) for key, one in value.items()}
        )
        if depth >= 3:  # tables, table, columns, column
            styled.fa.set_flow_style()
        return styled
    if isinstance(value, list):
        listed = CommentedSeq(_style(one, depth) for one in value)
        listed.fa.set_flow_style()
        return listed
    # The library writes some such signs as they are.
    is_odd = isinstance(value, str) and not value.isprintable()
    return DoubleQuotedScalarString(value) if is_odd else value


def _dump(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False)


def _lines(columns: Mapping[str, Any]) -> str:
    return (
        "{\n"
        + _join(f"  {_dump(name)}: {_dump(profile)}" for name, profile in columns.items())
        + "\n }"
    )


def _join(parts: Any) -> str:
    return ",\n".join(parts)
