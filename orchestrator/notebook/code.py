"""The code of a notebook or module, read without running it: does it parse, are its names
defined; cells in IPython's own syntax (`%matplotlib inline`, `!ls`, `df?`) too.
"""

from __future__ import annotations

import ast
import bisect
import builtins
import difflib
import functools
import re
import sys
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter
from pyflakes.checker import Binding, Builtin, Checker, Importation, ModuleScope
from pyflakes.messages import UndefinedLocal, UndefinedName

from orchestrator.notebook.cells import Cell, Notebook, read_notebook
from orchestrator.notebook.code_memory import CodeMemory
from orchestrator.notebook.imports import Import, find_imports

# These run Python that stands in the cell, whose names are then the notebook's.
_PYTHON_CELL = re.compile(r"\A\s*%%(time|timeit|capture|prun|debug)\b(?P<options>[^\n]*)")
_PYTHON_LINE = re.compile(r"^(\s*)%(?:time|timeit)\s+(?=[^\s-])", re.MULTILINE)
# These give the notebook no names; of any other magic, such as `%run` or `%%sql`, that
# cannot be known.
_NAMELESS = re.compile(
    "aimport|autoreload|bash|cd|cmd|conda|config|debug|env|file|html|javascript|js|latex|load_ext|ls|markdown|matplotlib"
    "|pdb|perl|pinfo2?|pip|precision|prun|pwd|reload_ext|ruby|script|sh|svg|sx|system|time|timeit|uv|whos?|writefile|xmode",
    re.IGNORECASE,
)
_HIDES_NAMES = re.compile(r"^\s*%|=\s*%|\b(?:exec|globals|get_ipython)\b")
_RUN_MAGIC = {"run_line_magic", "run_cell_magic"}


def to_python(source: str) -> str:
    """Turn a cell that is not plain Python into Python, line for line.

    Raises:
        SyntaxError: it is not IPython's syntax either.
    """
    # Takes 0.2 s, and few notebooks need it.
    from IPython.core.inputtransformer2 import TransformerManager

    cell = _PYTHON_CELL.match(source)
    if cell:
        source = _result_of(cell) + source[cell.end() :]
    transformed = TransformerManager().transform_cell(_PYTHON_LINE.sub(r"\1", source))
    return str(transformed).removesuffix("\n")


def may_make_names(lines: list[str]) -> bool:
    """Whether it is worth a look at the code: `makes_names` takes longer."""
    return any(_HIDES_NAMES.search(line) for line in lines)


def makes_names(tree: ast.Module) -> bool:
    """Whether a magic, or a call of `exec` or `globals`, may give the code names that
    do not stand in it.
    """
    return any(isinstance(node, ast.Call) and _makes_names(node) for node in ast.walk(tree))


def _makes_names(call: ast.Call) -> bool:
    name = getattr(call.func, "id", None) or getattr(call.func, "attr", None)
    if name in _RUN_MAGIC and call.args and isinstance(call.args[0], ast.Constant):
        return not _NAMELESS.fullmatch(str(call.args[0].value))
    return name in _RUN_MAGIC or name in ("exec", "globals")


def _result_of(cell: re.Match[str]) -> str:
    """Write what the line of a magic stands for: `%%capture name` defines a name."""
    names = [word for word in cell["options"].split() if word.isidentifier()]
    return f"{names[0]} = None" if names and cell[1] == "capture" else "pass"


_IPYTHON = {"display", "get_ipython", "In", "Out", "exit", "quit"}
# What IPython calls the inputs and results of cells.
_HISTORY = re.compile(r"_{1,3}|_i{1,3}|_i?\d+|_[dio]h")
_SILENCED = re.compile(r"#\s*noqa(?!\s*:)|#\s*noqa\s*:[^#]*\bF821\b", re.IGNORECASE)


@dataclass(frozen=True)
class Code:
    """What is known of a notebook's or module's code: its problems, what it imports,
    the names at its top level.
    """

    problems: tuple[str, ...]
    imports: tuple[Import, ...] = ()
    names: frozenset[str] | None = None  # None: they cannot be known

    def has(self, name: str) -> bool:
        """Whether a name can be imported from it, as far as can be told."""
        return self.names is None or name in self.names or "__getattr__" in self.names


_AS_JSON = TypeAdapter(Code)


class _Text:
    """The sources of a notebook's cells, or of a module, as one text that knows where
    each of its lines stands.
    """

    def __init__(self, name: str, sources: list[str], cells: tuple[Cell, ...] = ()) -> None:
        self.name = name
        self.cells = cells
        self.lines: list[str] = []
        self.starts: list[int] = []  # of each source: how many lines stand before it
        for source in sources:
            self.starts.append(len(self.lines))
            self.lines += source.split("\n")

    def place(self, line: int) -> str:
        """Say where a line of the whole text stands."""
        cell = self.cell(line)
        start = self.starts[self._index(line)]
        return f"{self.name}, {f'{cell}, ' if cell else ''}line {line - start}"

    def cell(self, line: int) -> Cell | None:
        """Return the cell that a line of the whole text stands in."""
        return self.cells[self._index(line)] if self.cells else None

    def is_silenced(self, line: int) -> bool:
        """Whether the line has a `# noqa`."""
        return line <= len(self.lines) and bool(_SILENCED.search(self.lines[line - 1]))

    def _index(self, line: int) -> int:
        return bisect.bisect_right(self.starts, line - 1) - 1


def read_notebook_code(path: Path) -> Code:
    """Read the code of a notebook; its cells in order, as one module.

    Raises:
        UsageError: it is not a valid notebook.
    """
    return _read_cells(read_notebook(path))


def parse_cells(path: Path) -> list[ast.Module]:
    """Return the syntax trees of a valid notebook's code cells, in order, but for the
    one with the parameters.

    Raises:
        UsageError: it is not a valid notebook.
        SyntaxError: a cell cannot be parsed.
    """
    notebook = read_notebook(path)
    return [_parse_cell(cell.source) for cell in notebook.cells if cell not in notebook.parameters]


def read_module_code(path: Path, module: str, name: str, memory: CodeMemory) -> Code:
    """Read the code of a module beside the notebooks, such as `sources.files`; `name`
    is what messages call it. Of code without problems the memory has the answer.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        return Code((f"{name} cannot be read: {error.strerror or error}",))
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    unseen = list[Code]()

    def find_out() -> Any:
        unseen.append(_read_module(content, package, name))
        return None if unseen[0].problems else _AS_JSON.dump_python(unseen[0], mode="json")

    known = memory.recall(f"code of {name} in {package}", content, find_out)
    return unseen[0] if unseen else _AS_JSON.validate_python(known)


@functools.lru_cache(maxsize=64)
def _read_cells(notebook: Notebook) -> Code:
    text = _Text(notebook.name, [cell.source for cell in notebook.cells], notebook.cells)
    whole = ast.parse("del __file__")  # a notebook has none, and Pyflakes takes it for granted
    problems: list[str] = []
    for cell, start in zip(notebook.cells, text.starts, strict=True):
        try:
            part = ast.increment_lineno(_parse_cell(cell.source), start)
            whole.body += part.body
        except (SyntaxError, ValueError, RecursionError) as error:
            problems.append(_describe_error(error, text, start))
    return _examine(whole, text, problems, "")


def _read_module(content: bytes, package: str, name: str) -> Code:
    text = _Text(name, [content.decode("utf-8", "replace")])
    try:
        tree = _parse(content)
    except (SyntaxError, ValueError, RecursionError) as error:
        return Code((_describe_error(error, text, 0),))
    return _examine(tree, text, [], package)


def _parse_cell(source: str) -> ast.Module:
    try:
        return _parse(source)
    except SyntaxError:
        return _parse(to_python(source))


def _parse(source: str | bytes) -> ast.Module:
    """Parse, and find what only the compiler refuses, such as `return` outside of a function."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tree = ast.parse(source)
        compile(source, "<code>", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    return tree


def _describe_error(error: Exception, text: _Text, start: int) -> str:
    if not isinstance(error, SyntaxError):
        return f"{text.place(start + 1)}: the code cannot be parsed: {error}"
    line = error.text.strip() if error.text else ""
    shown = f": {line}" if line else ""
    return (
        f"{text.place(start + max(error.lineno or 1, 1))}: {type(error).__name__}: "
        f"{error.msg}{shown}"
    )


def _examine(tree: ast.Module, text: _Text, problems: list[str], package: str) -> Code:
    imports = tuple(find_imports(tree, package, text.place, text.lines))
    if problems or (may_make_names(text.lines) and makes_names(tree)):
        return Code(tuple(problems), imports)  # some names stand in what was not parsed
    checker = Checker(tree, filename=text.name, builtins=_IPYTHON if text.cells else ())
    scope = next(scope for scope in checker.deadScopes if isinstance(scope, ModuleScope))
    defined = {name: binding for name, binding in scope.items() if not isinstance(binding, Builtin)}
    own = {name for name, one in defined.items() if not isinstance(one, Importation)}
    found = [*_find_undefined(checker, text, defined)]
    if text.cells and any(_ASKS.search(line) for line in text.lines):
        found += _find_questions(tree, text, {"input", "getpass.getpass", "getpass"} - own)
    return Code(tuple(found), imports, None if scope.importStarred else frozenset(defined))


_ASKS = re.compile(r"\b(?:input|getpass)\s*\(")  # a look at the text is quicker


def _find_questions(tree: ast.AST, text: _Text, asking: set[str]) -> Iterator[str]:
    """Yield where a cell waits for the user, whom a run does not have. What stands in a function
    may not be called, in a `try` be caught.
    """
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda | ast.Try):
            continue
        if isinstance(node, ast.Call) and (name := ast.unparse(node.func)) in asking:
            yield (
                f"{text.place(node.lineno)}: `{name}()` waits for an answer that nobody gives in "
                "a run: take a parameter instead"
            )
        yield from _find_questions(node, text, asking)


def _find_undefined(checker: Checker, text: _Text, defined: dict[str, Binding]) -> Iterator[str]:
    told = set()
    for message in sorted(checker.messages, key=lambda message: (message.lineno, message.col)):
        if not isinstance(message, (UndefinedName, UndefinedLocal)):
            continue
        name = str(message.message_args[0])
        if (
            name in told
            or (text.cells and _HISTORY.fullmatch(name))
            or text.is_silenced(message.lineno)
        ):
            continue
        told.add(name)
        yield f"{text.place(message.lineno)}: {_describe_name(name, message, text, defined)}"


def _describe_name(
    name: str, message: UndefinedName, text: _Text, defined: dict[str, Binding]
) -> str:
    if isinstance(message, UndefinedLocal):
        return f"the local name {name!r} is used before it is given a value"
    later = defined[name].source.lineno if name in defined else 0
    if later > message.lineno:
        return (
            f"the name {name!r} is used here, but defined only later, in "
            f"{text.cell(later) or f'line {later}'}"
        )
    if name in sys.stdlib_module_names:
        return f"the name {name!r} is not defined; `import {name}` is missing"
    near = difflib.get_close_matches(
        name, sorted({*defined, *dir(builtins)} - {name}), n=1, cutoff=0.7
    )
    return f"the name {name!r} is not defined" + (f"; did you mean {near[0]!r}?" if near else "")
