"""The modules beside the notebooks that a run needs, and whether all that is imported is there."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.preflight.code import Code, read_module_code
from orchestrator.preflight.imports import Import, find_local, is_installed, suggest_module


@dataclass
class Modules:
    """What the notebooks import: the modules beside them, name -> code and name -> file, and the packages."""

    folder: Path
    local: dict[str, Code] = field(default_factory=dict)
    files: dict[str, Path] = field(default_factory=dict)
    packages: dict[str, list[Import]] = field(default_factory=dict)

    def follow(self, code: Code) -> None:
        """Take in what code imports, and what that imports."""
        for item in code.imports:
            if self.is_local(item.module):
                for module in self._modules_of(item):
                    self._add(module)
            elif not item.optional and item.module:
                self.packages.setdefault(item.module.partition(".")[0], []).append(item)

    def is_local(self, module: str) -> bool:
        """Whether the first part of a module's name is a module or folder of code beside the notebooks."""
        top = module.partition(".")[0]
        return bool(top) and (find_local(self.folder, top) is not None or any((self.folder / top).glob("*.py")))

    def problems(self) -> Iterator[str]:
        """Yield what is wrong with the modules themselves."""
        for code in self.local.values():
            yield from code.problems

    def missing(self, codes: Iterable[Code]) -> Iterator[str]:
        """Yield which packages, modules and names are imported and are not there."""
        for package, items in sorted(self.packages.items()):
            if not is_installed(package):
                also = f" (and {len(items) - 1} more)" if len(items) > 1 else ""
                hint = suggest_module(package, [path.stem for path in self.folder.glob("*.py")])
                yield f"{items[0].place}{also}: no module {package!r} can be imported{hint}"
        for code in (*codes, *self.local.values()):
            for item in code.imports:
                if self.is_local(item.module) and not item.optional:
                    yield from self._missing_names(item)

    def _modules_of(self, item: Import) -> Iterator[str]:
        """Yield the modules that an import loads: `from a.b import c` loads a, a.b, and a.b.c if that is a module."""
        parts = item.module.split(".")
        yield from (".".join(parts[:length]) for length in range(1, len(parts) + 1))
        yield from (f"{item.module}.{name}" for name in item.names)

    def _add(self, module: str) -> None:
        path = find_local(self.folder, module)
        if path and module not in self.local:
            name = f"{self.folder.name}/{path.relative_to(self.folder).as_posix()}"
            self.files[module] = path
            self.local[module] = read_module_code(path, module, name)
            self.follow(self.local[module])

    def _missing_names(self, item: Import) -> Iterator[str]:
        path = self.folder.joinpath(*item.module.split("."))
        code = self.local.get(item.module)
        if code is None and not path.is_dir():
            yield f"{item.place}: no module {item.module!r} in {self.folder}"
            return
        for name in item.names:
            is_module = name == "*" or find_local(path, name) or (path / name).is_dir()
            if not (is_module or (code and code.has(name))):
                yield f"{item.place}: {item.module} has no name {name!r}{_suggest_name(name, code)}"


def _suggest_name(name: str, code: Code | None) -> str:
    near = difflib.get_close_matches(name, sorted(code.names or ()) if code else [], n=1)
    return f"; did you mean {near[0]!r}?" if near else ""
