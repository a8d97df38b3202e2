"""IPython's own syntax in a cell (`%matplotlib inline`, `!ls`, `df?`), turned into Python."""

from __future__ import annotations

import ast
import re

# These run Python that stands in the cell, whose names are then the notebook's.
_PYTHON_CELL = re.compile(r"\A\s*%%(time|timeit|capture|prun|debug)\b(?P<options>[^\n]*)")
_PYTHON_LINE = re.compile(r"^(\s*)%(?:time|timeit)\s+(?=[^\s-])", re.MULTILINE)
# These give the notebook no names; of any other magic, such as `%run` or `%%sql`, that cannot be known.
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
    from IPython.core.inputtransformer2 import TransformerManager  # takes 0.2 s, and few notebooks need it

    cell = _PYTHON_CELL.match(source)
    if cell:
        source = _result_of(cell) + source[cell.end() :]
    transformed = TransformerManager().transform_cell(_PYTHON_LINE.sub(r"\1", source))
    return str(transformed).removesuffix("\n")


def may_make_names(lines: list[str]) -> bool:
    """Whether it is worth a look at the code: `makes_names` takes longer."""
    return any(_HIDES_NAMES.search(line) for line in lines)


def makes_names(tree: ast.Module) -> bool:
    """Whether a magic, or a call of `exec` or `globals`, may give the code names that do not stand in it."""
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
