"""The project's own modules that notebooks need, and whether all that is imported is there."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from churn.sources import KINDS
from orchestrator.errors import UsageError
from orchestrator.notebook.code import Code, read_module_code, read_notebook_code
from orchestrator.notebook.code_memory import memory_of
from orchestrator.notebook.imports import (
    Import,
    find_library_problem,
    find_local,
    is_installed,
    suggest_module,
)
from orchestrator.project import Project

# Modules that import others by names which no code spells out: the readers of sources.
_IMPORTED_BY_NAME = {"churn.sources.received": [kind.reader for kind in KINDS]}


@dataclass
class Modules:
    """What the notebooks of a project import: its own modules, name -> code and name ->
    file, and the packages, in the order in which Python comes to them.

    Its own are those of the domain, and any that lie beside the notebooks.
    """

    project: Project
    local: dict[str, Code] = field(default_factory=dict)
    files: dict[str, Path] = field(default_factory=dict)
    imported: list[Import] = field(default_factory=list)
    _asked: set[str] = field(default_factory=set)
    _is_own: dict[str, bool] = field(default_factory=dict)  # first part of a module's name

    def follow(self, code: Code, *, later: bool = False) -> None:
        """Take in what code imports, and what that imports; `later`, when a function does."""
        for item in code.imports:
            if self.is_local(item.module):
                for module in self._modules_of(item):
                    self._add(module, later=later or item.later)
            elif item.module and item.module != "__future__":
                self.imported.append(replace(item, later=later or item.later))

    @property
    def packages(self) -> dict[str, list[Import]]:
        """The packages that the code cannot do without -> where they are imported."""
        found: dict[str, list[Import]] = {}
        for item in self.imported:
            if not item.optional:
                found.setdefault(item.module.partition(".")[0], []).append(item)
        return found

    def is_local(self, module: str) -> bool:
        """Whether the first part of a module's name is one of the project's own."""
        top = module.partition(".")[0]
        if top not in self._is_own:
            folder = self._folder_of(top)
            self._is_own[top] = bool(top) and (
                find_local(folder, top) is not None or any((folder / top).glob("*.py"))
            )
        return self._is_own[top]

    def name_of(self, file: Path) -> str:
        """Return what messages and records call a module's file: `churn/stage.py`."""
        home = self.project.domain.parent
        if not file.is_relative_to(self.project.domain):
            home = self.project.root
        return file.relative_to(home).as_posix()

    def problems(self) -> Iterator[str]:
        """Yield what is wrong with the modules themselves."""
        for code in self.local.values():
            yield from code.problems

    def missing(self, codes: Iterable[Code]) -> Iterator[str]:
        """Yield which packages, modules and names are imported and are not there."""
        for package, items in sorted(self.packages.items()):
            if not is_installed(package):
                also = f" (and {len(items) - 1} more)" if len(items) > 1 else ""
                hint = suggest_module(
                    package, [path.stem for path in self.project.notebooks.glob("*.py")]
                )
                yield f"{items[0].place}{also}: no module {package!r} can be imported{hint}"
            elif problem := find_library_problem(package):
                yield f"{items[0].place}: {problem}"
        for code in (*codes, *self.local.values()):
            for item in code.imports:
                if self.is_local(item.module) and not item.optional:
                    yield from self._missing_names(item)

    def _modules_of(self, item: Import) -> Iterator[str]:
        """Yield the modules that an import loads: `from a.b import c` loads a, a.b, and
        a.b.c if that is a module.
        """
        parts = item.module.split(".")
        yield from (".".join(parts[:length]) for length in range(1, len(parts) + 1))
        yield from (f"{item.module}.{name}" for name in item.names)

    def _add(self, module: str, *, later: bool) -> None:
        if module in self._asked:
            return
        self._asked.add(module)
        if path := find_local(self._folder_of(module), module):
            self.files[module] = path
            memory = memory_of(self.project.root)
            self.local[module] = read_module_code(path, module, self.name_of(path), memory)
            self.follow(self.local[module], later=later)
            for name in _IMPORTED_BY_NAME.get(module, ()):
                self._add(name, later=True)

    def _folder_of(self, module: str) -> Path:
        """Return the folder from which a notebook imports a module of the project."""
        domain = self.project.domain
        is_domain = module.partition(".")[0] == domain.name
        return domain.parent if is_domain else self.project.notebooks

    def _missing_names(self, item: Import) -> Iterator[str]:
        folder = self._folder_of(item.module)
        path = folder.joinpath(*item.module.split("."))
        code = self.local.get(item.module)
        if code is None and not path.is_dir():
            yield f"{item.place}: no module {item.module!r} in {folder}"
            return
        for name in item.names:
            is_module = name == "*" or find_local(path, name) or (path / name).is_dir()
            if not (is_module or (code and code.has(name))):
                yield f"{item.place}: {item.module} has no name {name!r}{_suggest_name(name, code)}"


def list_package_imports(notebook: Path) -> list[Import]:
    """Return the imports of packages that a notebook does, those at once before those in
    functions; none of a notebook that is not valid, of which the preflight tells.
    """
    modules = Modules(Project(notebook.parent.parent))
    try:
        modules.follow(read_notebook_code(notebook))
    except UsageError:
        return []
    return sorted(modules.imported, key=lambda one: one.later)


def _suggest_name(name: str, code: Code | None) -> str:
    near = difflib.get_close_matches(name, sorted(code.names or ()) if code else [], n=1)
    return f"; did you mean {near[0]!r}?" if near else ""
