"""What code imports, and whether it can be found: modules beside the notebooks, and
packages of this environment.
"""

from __future__ import annotations

import ast
import ctypes
import difflib
import importlib.util
import pkgutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

_BLOCKS = ("body", "handlers", "orelse", "finalbody", "cases")  # where statements stand
_CAUGHT = {"ImportError", "ModuleNotFoundError", "Exception", "BaseException"}
_CALLS = {"import_module", "__import__"}
# In an `if`: sys.platform, os.name and the like.
_ELSEWHERE = {"platform", "version_info", "TYPE_CHECKING", "name"}


@dataclass(frozen=True)
class Import:
    """An imported module, the names taken from it, and where.

    Code can do without an `optional` one. `statement` does the import, `later` when it
    stands inside a function; it is empty where a call does it.
    """

    module: str
    names: tuple[str, ...]
    place: str
    optional: bool
    statement: str = ""
    later: bool = False


def find_imports(
    tree: ast.Module, package: str, place: Callable[[int], str], lines: list[str]
) -> Iterator[Import]:
    """Find all imports, in functions too, and by `import_module("…")`; `package` is
    what relative ones start from, `lines` the code's text.
    """
    for node, optional, later in _walk(tree, optional=False, later=False):
        if isinstance(node, ast.Import):
            for alias in node.names:
                text = f"import {alias.name}"
                yield Import(alias.name, (), place(node.lineno), optional, text, later)
        elif isinstance(node, ast.ImportFrom):
            names = tuple(alias.name for alias in node.names)
            where, text = place(node.lineno), ast.unparse(node)
            yield Import(_absolute(node, package), names, where, optional, text, later)
    if any(name in line for line in lines for name in _CALLS):  # a walk costs far more
        yield from _find_calls(tree, place)


def find_local(folder: Path, module: str) -> Path | None:
    """Return the file of a module that lies in a folder: `a.b` is a/b.py or a/b/__init__.py."""
    base = folder.joinpath(*module.split("."))
    return next(
        (
            path
            for path in (base / "__init__.py", base.with_name(f"{base.name}.py"))
            if path.is_file()
        ),
        None,
    )


def is_installed(module: str) -> bool:
    """Whether this environment has the package that a module belongs to; nothing is imported."""
    top = module.partition(".")[0]
    if top in sys.stdlib_module_names or top in sys.builtin_module_names:
        return True
    try:
        return importlib.util.find_spec(top) is not None
    except (ImportError, ValueError):  # it is loaded, in an odd way: so it is there
        return top in sys.modules


def find_library_problem(package: str) -> str:
    """Say why the compiled library that an installed package brings along cannot be loaded;
    nothing where it can, or where there is none.

    LightGBM needs OpenMP's runtime, which its wheels leave to the system.
    """
    spec = importlib.util.find_spec(package)
    folder = Path(spec.origin).parent if spec is not None and spec.origin else Path("/")
    for file in folder.glob(f"lib/lib_{package}.*"):
        try:
            ctypes.CDLL(str(file))
        except OSError as error:
            return (
                f"{package} cannot be loaded: {error}. If OpenMP's runtime is what it lacks: "
                "apt-get install libgomp1 (Debian, Ubuntu), brew install libomp (macOS)"
            )
    return ""


def suggest_module(module: str, local: list[str]) -> str:
    """Say what to do about a module that cannot be found."""
    top = module.partition(".")[0]
    known = {*local, *sys.stdlib_module_names, *(found.name for found in pkgutil.iter_modules())}
    near = difflib.get_close_matches(top, sorted(known), n=1, cutoff=0.75)
    guess = f"did you mean {near[0]!r}? Else: " if near else ""
    return f"; {guess}pip install -r requirements.txt, in the environment of {sys.executable}"


def _find_calls(tree: ast.Module, place: Callable[[int], str]) -> Iterator[Import]:
    for call in ast.walk(tree):
        match call:
            case ast.Call(
                func=ast.Attribute(attr=name) | ast.Name(id=name),
                args=[ast.Constant(value=str(module)), *_],
            ):
                if name in _CALLS and not module.startswith("."):
                    # The code may well catch that it fails.
                    yield Import(module, (), place(call.lineno), optional=True)


def _absolute(node: ast.ImportFrom, package: str) -> str:
    if not node.level:
        return node.module or ""
    parts = package.split(".")[: len(package.split(".")) - node.level + 1]
    return ".".join([*parts, *([node.module] if node.module else [])])


def _walk(node: ast.AST, *, optional: bool, later: bool) -> Iterator[tuple[ast.AST, bool, bool]]:
    """Yield all statements, whether the code goes on without them, and whether they
    stand inside a function.
    """
    later = later or isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    for field in _BLOCKS:
        children = getattr(node, field, None)
        within = bool(children) and (optional or _is_optional(node, field))
        for child in children or ():
            yield child, within, later
            yield from _walk(child, optional=within, later=later)


def _is_optional(node: ast.AST, field: str) -> bool:
    if isinstance(node, (ast.Try, ast.TryStar)):
        return field in ("body", "handlers") and any(
            _names_in(handler.type) & _CAUGHT for handler in node.handlers
        )
    if isinstance(node, ast.With):
        return any(_names_in(item.context_expr) >= {"suppress"} for item in node.items)
    return isinstance(node, ast.If) and bool(_names_in(node.test) & _ELSEWHERE)


def _names_in(node: ast.AST | None) -> set[str]:
    if node is None:  # a bare `except:`
        return set(_CAUGHT)
    found = (getattr(inner, "id", None) or getattr(inner, "attr", None) for inner in ast.walk(node))
    return {name for name in found if name}
