"""What decides a stage's result, as named parts: its code, parameters, facts, inputs
and environment.

The fingerprint is the hash of all parts; two lists of parts, compared by name, tell
what changed between two runs. A part is a hash, written `<kind>:<hash>`, or a value as
JSON.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import json
import platform
import re
import sysconfig
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from churn.facts import list_facts
from churn.params import Params
from orchestrator.notebook.code import parse_cells, read_notebook_code
from orchestrator.notebook.code_memory import memory_of
from orchestrator.notebook.modules import Modules
from orchestrator.notebook.parameters import GIVEN_BY_RUN, declared_parameters
from orchestrator.plan.run_plan import Parts, Plan
from orchestrator.plan.source_reach import local_files, name_files, sample_sources
from orchestrator.project import Project
from orchestrator.records.hashes import CONTENT, HASHES, measure_files, sha256
from orchestrator.redaction import redactor_for
from orchestrator.stages import Stage

_OWN = ("notebooks/", "churn/", "stages.")  # what code and parameters of a stage begin with
_SHOWN = 60  # characters of a value in a reason
_PIN = re.compile(r"(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^\s;]+)")
INSTALLED = "installed "


def find_parts(plan: Plan, stage: Stage) -> Parts:
    """Return what decides the result of a stage besides the facts that it reads: code,
    parameters, environment, and its inputs as they lie now; name -> hash or value.

    Raises:
        UsageError: its notebook is not valid.
    """
    project = plan.project
    parts = hash_code(project, stage)
    parts |= _parameter_parts(project, stage, plan.parameters[stage.name])
    return _hide_secrets(plan, parts) | content_parts(plan, stage) | environment_parts(project)


def fact_parts(plan: Plan, names: Iterable[str] | None) -> Parts:
    """Return the values that facts have now; of all names, those that are facts. Without
    names, for a stage of which nobody knows what it reads, of all facts.
    """
    known = dict(list_facts(plan.params))
    chosen = known if names is None else [name for name in names if name in known]
    return _hide_secrets(plan, {name: known[name] for name in chosen})


def with_facts(plan: Plan, parts: Parts, names: Iterable[str] | None) -> Parts:
    """Return the parts of a stage with the facts among the names (see `fact_parts`), which
    stand behind code and parameters, before inputs: a reason tells the first changes.
    """
    own = {name: one for name, one in parts.items() if name.startswith(_OWN)}
    return own | fact_parts(plan, names) | parts


def _hide_secrets(plan: Plan, parts: Parts) -> Parts:
    """Hash each value that repeats a secret: parts are written to the record."""
    redactor = redactor_for(plan.params)
    return {
        redactor.clean(name): f"sha256:{sha256(value.encode())}"
        if redactor.find([name, value])
        else value
        for name, value in parts.items()
    }


def content_parts(plan: Plan, stage: Stage) -> Parts:
    """Return the contents that a stage reads, as they lie now: of settings, datasets,
    and sources that are files.
    """
    paths = (*stage.settings, *stage.learned(plan.params.name), *stage.reads)
    files = {path: plan.project.root / path for path in paths}
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
    """Say what differs between two lists of parts, a phrase each: code, parameters,
    facts, inputs, environment.
    """
    names = [*now, *(name for name in before if name not in now)]
    return [
        _describe(name, before.get(name), now.get(name))
        for name in names
        if before.get(name) != now.get(name)
    ]


def _describe(name: str, before: str | None, now: str | None) -> str:
    if name.startswith(INSTALLED):
        return f"{name} {before or 'as pinned'} -> {now or 'as pinned'}"
    if before is None:
        return f"{name} is new"
    if now is None:
        return f"{name} is gone"
    return (
        f"{name} changed"
        if now.startswith(HASHES)
        else f"{name} {_shorten(before)} -> {_shorten(now)}"
    )


def _shorten(value: str) -> str:
    return value if len(value) <= _SHOWN else f"{value[:_SHOWN]}…"


def hash_code(project: Project, stage: Stage) -> Parts:
    """Return the hashes of the code of a stage's notebook, and of the project's modules
    that it imports, directly or through others: without comments and layout.

    The cell with the parameters is left out: their values are parts of their own.

    Raises:
        UsageError: its notebook is not valid.
    """
    notebook = project.notebooks / stage.notebook
    modules = Modules(project)
    modules.follow(read_notebook_code(notebook))
    files = {modules.name_of(file): file for file in modules.files.values()}
    hashes = {f"notebooks/{stage.notebook}": _hash(project, notebook)}
    return hashes | {name: _hash(project, files[name]) for name in sorted(files)}


def _hash(project: Project, file: Path) -> str:
    content, is_notebook = file.read_bytes(), file.suffix == ".ipynb"

    def find_out() -> str:
        return _hash_code(parse_cells(file) if is_notebook else [ast.parse(content)])

    question = "hash of a notebook" if is_notebook else "hash of a module"
    return str(memory_of(project.root).recall(question, content, find_out))


def _hash_code(trees: Iterable[ast.Module]) -> str:
    shown = "\n".join(ast.dump(tree) for tree in trees if tree.body)
    return f"code:{hashlib.sha256(shown.encode('utf-8', 'surrogatepass')).hexdigest()}"


def _parameter_parts(project: Project, stage: Stage, given: Mapping[str, Any]) -> Parts:
    declared = declared_parameters(project.notebooks / stage.notebook)
    return {
        f"stages.{stage.name}.{name}": _as_json(given.get(name, parameter.default))
        for name, parameter in declared.items()
        if name not in GIVEN_BY_RUN
    }


def _source_files(project: Project, params: Params) -> dict[str, Path]:
    """Return the sources that are files, and the programs that make the sample company's."""
    found = local_files(project, params).items()
    files = {
        f"source {name}, {file}": path
        for name, paths in found
        for file, path in name_files(paths).items()
    }
    # Where SQLite keeps what it has not moved to the database itself.
    waiting = {f"{name}-wal": file.with_name(f"{file.name}-wal") for name, file in files.items()}
    files |= {
        name: file for name, file in waiting.items() if file.is_file() and file.stat().st_size
    }
    if sample_sources(project, params):
        makers = sorted((project.domain / "sample").glob("*.py"))
        files |= {f"churn/sample/{file.name}": file for file in makers}
    return files


def environment_parts(project: Project) -> Parts:
    """Return the Python version, the pinned requirements, and each package that is
    installed in another version.
    """
    content = project.requirements.read_bytes()
    parts = {"python": platform.python_version(), "requirements.txt": f"sha256:{sha256(content)}"}
    # A package may be pinned once for each of several versions of Python.
    pinned: dict[str, set[str]] = {}
    for pin in _PIN.finditer(content.decode()):
        pinned.setdefault(_normalize(pin["name"]), set()).add(pin["version"])
    found = {name: version for name, version in _installed_versions().items() if name in pinned}
    return parts | {
        f"{INSTALLED}{name}": version
        for name, version in sorted(found.items())
        if version not in pinned[name]
    }


def package_folders() -> list[str]:
    """Return the folders into which packages are installed."""
    return sorted({sysconfig.get_path("purelib"), sysconfig.get_path("platlib")})


@functools.lru_cache(maxsize=1)
def _installed_versions() -> dict[str, str]:
    """Return name -> version from the names of folders: in a millisecond, where asking
    each package takes many.
    """
    entries = [entry for folder in package_folders() for entry in Path(folder).glob("*.dist-info")]
    names = [entry.name.removesuffix(".dist-info") for entry in entries]
    return {
        _normalize(name): version for name, _, version in (name.rpartition("-") for name in names)
    }


def _normalize(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _as_json(value: Any) -> str:
    return json.dumps(value, default=str, ensure_ascii=False)
