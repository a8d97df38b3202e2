"""What decides a stage's result, as named parts: its code, parameters, facts, inputs and environment.

The fingerprint is the hash of all parts; two lists of parts, compared by name, tell what changed between two runs.
A part is a hash, written `<kind>:<hash>`, or a value as JSON.
"""

from __future__ import annotations

import ast
import dataclasses
import functools
import hashlib
import json
import platform
import re
import sysconfig
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from notebooks.params import Params
from orchestrator.contents import measure_files, sha256
from orchestrator.paths import Project
from orchestrator.preflight import Plan, declared_parameters
from orchestrator.preflight.code import parse_cells, read_notebook_code
from orchestrator.preflight.modules import Modules
from orchestrator.preflight.parameters import GIVEN_BY_RUN
from orchestrator.preflight.reach import local_files, name_files, sample_sources
from orchestrator.redaction import redactor_for
from orchestrator.stages import Stage

Parts = dict[str, str]

_FACTS_PACKAGE = "params"  # it names every field of the params file; what counts is which of its functions are used
_NOT_FACTS = {"stages", "refresh"}  # parameters are parts of their own; whether to read again is not what is read
_HIDDEN = {"api", "auth", "database", "headers", "query", "storage_options"}  # somebody may have put a password there
_DUMPS = {"model_dump", "model_dump_json"}
_ALL = "\0all"  # no text in code
CONTENT = "md5:"  # what the parts begin with that are the contents of files
_HASHES = ("code:", CONTENT, "sha256:")
_SHOWN = 60  # characters of a value in a reason
_PIN = re.compile(r"(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^\s;]+)")
INSTALLED = "installed "


def find_parts(plan: Plan, stage: Stage) -> Parts:
    """Return all that decides the result of a stage, with its inputs as they lie now: name -> hash or value.

    Raises:
        UsageError: its notebook is not valid.
    """
    project = plan.project
    code = read_code(project, stage)
    names = _find_names(list(code.values()))
    parts = {name: one.hash for name, one in code.items()}
    parts |= _parameter_parts(project, stage, plan.parameters[stage.name])
    parts |= dict(_fact_parts(plan.params, names, ""))
    return _hide_secrets(plan, parts) | content_parts(plan, stage) | environment_parts(project)


def _hide_secrets(plan: Plan, parts: Parts) -> Parts:
    """Hash each value that repeats a secret: parts are written to the record."""
    redactor = redactor_for(plan.params)
    return {
        redactor.clean(name): f"sha256:{sha256(value.encode())}" if redactor.find([name, value]) else value
        for name, value in parts.items()
    }


def content_parts(plan: Plan, stage: Stage) -> Parts:
    """Return the contents that a stage reads, as they lie now: of settings, datasets, and sources that are files."""
    files = {path: plan.project.root / path for path in (*stage.settings, *stage.reads)}
    if stage.reads_sources:
        files |= _source_files(plan.project, plan.params)
    return {
        f"{name}/{within}" if within else name: f"{CONTENT}{md5}"
        for name, file in files.items()
        if file.exists()
        for within, md5 in measure_files(file, plan.project.root).files.items()
    }


def combine(parts: Parts) -> str:
    """Return the fingerprint: the SHA-256 of all parts."""
    return sha256(json.dumps(parts, sort_keys=True).encode())


def describe_changes(before: Parts, now: Parts) -> list[str]:
    """Say what differs between two lists of parts, a phrase each: code, parameters, facts, inputs, environment."""
    names = [*now, *(name for name in before if name not in now)]
    return [_describe(name, before.get(name), now.get(name)) for name in names if before.get(name) != now.get(name)]


def _describe(name: str, before: str | None, now: str | None) -> str:
    if name.startswith(INSTALLED):
        return f"{name} {before or 'as pinned'} -> {now or 'as pinned'}"
    if before is None:
        return f"{name} is new"
    if now is None:
        return f"{name} is gone"
    return f"{name} changed" if now.startswith(_HASHES) else f"{name} {_shorten(before)} -> {_shorten(now)}"


def _shorten(value: str) -> str:
    return value if len(value) <= _SHOWN else f"{value[:_SHOWN]}…"


@dataclasses.dataclass(frozen=True)
class HashedCode:
    """The hash of code without its comments and layout, and the names by which it may read facts.

    `used` are all its names, also of functions; `behind` the code of each function and property, by name.
    """

    hash: str
    names: frozenset[str]
    used: frozenset[str] = frozenset()
    behind: Mapping[str, HashedCode] = dataclasses.field(default_factory=dict)


def read_code(project: Project, stage: Stage) -> dict[str, HashedCode]:
    """Return the code of a stage's notebook, and of the modules beside it that it imports, directly or through others.

    The cell with the parameters is left out: their values are parts of their own.

    Raises:
        UsageError: its notebook is not valid.
    """
    notebook = project.notebooks / stage.notebook
    modules = Modules(project.notebooks)
    modules.follow(read_notebook_code(notebook))
    code = {f"notebooks/{stage.notebook}": _read_file(notebook)}
    for module, file in sorted(modules.files.items()):
        read = _read_file(file)
        is_facts = module.partition(".")[0] == _FACTS_PACKAGE
        code[project.relative(file)] = (
            dataclasses.replace(read, names=frozenset(), used=frozenset()) if is_facts else read
        )
    return code


def _find_names(code: list[HashedCode]) -> frozenset[str]:
    """Return the names by which code may read facts: its own, and those of the functions of the facts that it uses."""
    names, used = (frozenset[str]().union(*(getattr(one, which) for one in code)) for which in ("names", "used"))
    functions = {name: behind for one in code if not one.used for name, behind in one.behind.items()}
    seen: set[str] = set()
    while entered := (used & functions.keys()) - seen:
        seen |= entered
        names = names.union(*(functions[name].names for name in entered))
        used = used.union(*(functions[name].used for name in entered))
    return names


def _read_file(file: Path) -> HashedCode:
    state = file.stat()
    return _hash_file(file, state.st_mtime_ns, state.st_size)


@functools.lru_cache(maxsize=512)  # a stage is decided about several times in a run, and modules are shared by stages
def _hash_file(file: Path, modified: int, size: int) -> HashedCode:
    trees = parse_cells(file) if file.suffix == ".ipynb" else [ast.parse(file.read_bytes())]
    shown = "\n".join(ast.dump(tree) for tree in trees if tree.body)
    digest = hashlib.sha256(shown.encode("utf-8", "surrogatepass")).hexdigest()
    functions = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    behind = {node.name: HashedCode("", frozenset(_names(node)), frozenset(_used(node))) for node in functions}
    names = frozenset(name for tree in trees for name in _names(tree))
    return HashedCode(f"code:{digest}", names, frozenset(name for tree in trees for name in _used(tree)), behind)


def _used(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name):
                yield name


def _names(tree: ast.AST) -> Iterator[str]:
    """Yield what may name a field of the facts: attributes, and texts, as in `getattr(…, "label")`."""
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(attr=name) | ast.Constant(value=str(name)):
                yield name
            case ast.Call(func=ast.Attribute(attr=name), keywords=keywords) if name in _DUMPS:
                if not any(keyword.arg == "include" for keyword in keywords):
                    yield _ALL


def _parameter_parts(project: Project, stage: Stage, given: Mapping[str, Any]) -> Parts:
    declared = declared_parameters(project.notebooks / stage.notebook)
    return {
        f"stages.{stage.name}.{name}": _as_json(given.get(name, parameter.default))
        for name, parameter in declared.items()
        if name not in GIVEN_BY_RUN
    }


def _fact_parts(facts: BaseModel, names: frozenset[str], place: str) -> Iterator[tuple[str, str]]:
    """Yield the facts that code with these names may read, by their places in the params file."""
    for field in type(facts).model_fields:
        if field not in _NOT_FACTS and (field in names or _ALL in names):
            value = getattr(facts, field)
            if field in _HIDDEN:
                yield f"{place}{field}", f"sha256:{sha256(repr(value).encode())}"
            else:
                yield from _value_parts(value, names, f"{place}{field}")


def _value_parts(value: Any, names: frozenset[str], place: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, BaseModel):
        yield place, type(value).__name__
        yield from _fact_parts(value, names, f"{place}.")
    elif isinstance(value, dict) and any(isinstance(item, BaseModel) for item in value.values()):
        yield place, ", ".join(value)  # their order too: the first source has a row for each customer
        for key, item in value.items():
            yield from _value_parts(item, names, f"{place}.{key}")
    else:
        yield place, _as_json(value)


def _source_files(project: Project, params: Params) -> dict[str, Path]:
    """Return the sources that are files, and the programs that make the sample company's."""
    found = local_files(project, params).items()
    files = {f"source {name}, {file}": path for name, paths in found for file, path in name_files(paths).items()}
    # Where SQLite keeps what it has not moved to the database itself.
    waiting = {f"{name}-wal": file.with_name(f"{file.name}-wal") for name, file in files.items()}
    files |= {name: file for name, file in waiting.items() if file.is_file() and file.stat().st_size}
    if sample_sources(project, params):
        files |= {project.relative(file): file for file in sorted((project.data / "sample").glob("*.py"))}
    return files


def environment_parts(project: Project) -> Parts:
    """Return the Python version, the pinned requirements, and each package that is installed in another version."""
    content = project.requirements.read_bytes()
    parts = {"python": platform.python_version(), "requirements.txt": f"sha256:{sha256(content)}"}
    pinned: dict[str, set[str]] = {}  # a package may be pinned once for each of several versions of Python
    for pin in _PIN.finditer(content.decode()):
        pinned.setdefault(_normalize(pin["name"]), set()).add(pin["version"])
    found = {name: version for name, version in _installed_versions().items() if name in pinned}
    return parts | {
        f"{INSTALLED}{name}": version for name, version in sorted(found.items()) if version not in pinned[name]
    }


def package_folders() -> list[str]:
    """Return the folders into which packages are installed."""
    return sorted({sysconfig.get_path("purelib"), sysconfig.get_path("platlib")})


@functools.lru_cache(maxsize=1)
def _installed_versions() -> dict[str, str]:
    """Return name -> version from the names of folders: in a millisecond, where asking each package takes many."""
    entries = [entry for folder in package_folders() for entry in Path(folder).glob("*.dist-info")]
    names = [entry.name.removesuffix(".dist-info") for entry in entries]
    return {_normalize(name): version for name, _, version in (name.rpartition("-") for name in names)}


def _normalize(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _as_json(value: Any) -> str:
    return json.dumps(value, default=str, ensure_ascii=False)
