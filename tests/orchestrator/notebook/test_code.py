"""What the check before a run finds in the notebooks and in the modules beside them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from helpers.own_graph import STAGES
from helpers.projects import ROOT, write_notebook
from orchestrator.errors import UsageError
from orchestrator.notebook.code import read_module_code, read_notebook_code
from orchestrator.notebook.code_memory import CodeMemory
from orchestrator.notebook.imports import find_library_problem
from orchestrator.notebook.modules import Modules
from orchestrator.project import Project
from orchestrator.stages import Stage


def problems_of(folder: Path, *cells: str, **modules: str) -> list[str]:
    """Check a notebook of these cells, after its parameters cell, with these modules beside it."""
    project = Project(folder)
    project.notebooks.mkdir(exist_ok=True)
    for name, source in modules.items():
        (project.notebooks / f"{name}.py").write_text(source, encoding="utf-8")
    path = project.notebooks / "one.ipynb"
    write_notebook(path, "One", list(cells))
    code, found = read_notebook_code(path), Modules(project)
    found.follow(code)
    return [*code.problems, *found.problems(), *found.missing([code])]


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name)
def test_the_notebooks_of_this_project_have_no_problems(stage: Stage) -> None:
    """Neither the stage notebooks nor the modules that they import are objected to."""
    code = read_notebook_code(ROOT / "notebooks" / stage.notebook)
    modules = Modules(Project(ROOT))
    modules.follow(code)
    assert [*code.problems, *modules.problems(), *modules.missing([code])] == []
    assert "churn.stage" in modules.local


@pytest.mark.parametrize(
    ("source", "place", "message"),
    [
        ("x = 1\nif x\n    y = 2", "cell 2 (Step 1), line 2", "expected ':': if x"),
        ("x = 1\nreturn x", "cell 2 (Step 1), line 2", "'return' outside function"),
        ("%matplotlib inline\nx = (1", "cell 2 (Step 1), line 2", "'(' was never closed"),
        (
            "print(numbr)",
            "cell 2 (Step 1), line 1",
            "the name 'numbr' is not defined; did you mean 'number'?",
        ),
        ("x = 1\n\njson.loads('1')", "cell 2 (Step 1), line 3", "`import json` is missing"),
        ("def f():\n    return sesaon\nf()", "cell 2 (Step 1), line 2", "'sesaon' is not defined"),
        (
            "y = 0\ndef f():\n    x = y\n    y = 1",
            "cell 2 (Step 1), line 3",
            "'y' is used before it is given a value",
        ),
        ("x = 1\ndel x\nprint(x)", "cell 2 (Step 1), line 3", "'x' is not defined"),
        ("print(__file__)", "cell 2 (Step 1), line 1", "'__file__' is not defined"),
    ],
)
def test_a_fault_in_a_cell_is_named_with_its_place(
    tmp_path: Path, source: str, place: str, message: str
) -> None:
    """Notebook, cell as reports count, heading and line; what is wrong, and the nearest name."""
    (problem,) = problems_of(tmp_path, source)
    assert problem.startswith(f"notebooks/one.ipynb, {place}: ")
    assert message in problem


def test_empty_cells_do_not_count(tmp_path: Path) -> None:
    """The number is that of the report, where a cell without code has none."""
    (problem,) = problems_of(tmp_path, "x = 1", "  \n", "wrong")
    assert "one.ipynb" in problem
    assert "cell 3 (Step 3), line 1" in problem


def test_a_name_that_a_later_cell_defines_is_told_with_that_cell(tmp_path: Path) -> None:
    """Run from top to bottom, the notebook would stop there; a function may use what
    stands below it.
    """
    (problem,) = problems_of(
        tmp_path, "print(later)", "def f():\n    return later", "later = 1\nf()"
    )
    assert "cell 2 (Step 1), line 1" in problem
    assert "'later'" in problem
    assert "cell 4 (Step 3)" in problem


@pytest.mark.parametrize(
    "source",
    [
        "%matplotlib inline\nnumber?\n!ls\nfiles = !ls\nprint(files)",
        "%%time\nslow = 1\nslow + number",
        "%%capture kept\nprint(1)\nslow = kept",
        "%time slow = number\nslow",
        "%%bash\nls | wc -l",
        "%%html\n<p>unclosed 'text",
        "display(In, Out, _, __, _1, _i2, get_ipython())",
        "import asyncio\nawait asyncio.sleep(0)",
        "    x = 1\n    x",
        "try:\n    maybe\nexcept NameError:\n    maybe = 1",
        "from os.path import *\nprint(join('a'))",
        "print(made_elsewhere)  # noqa: F821",
        "exec('x = 1')\nprint(x)",
        "%run other.py\nprint(made_there)",
        "print([number for number in range(3)], 'a\\qb')",
    ],
)
def test_what_ipython_runs_is_not_objected_to(tmp_path: Path, source: str) -> None:
    """Magics, shell lines, help, names of IPython and names that only a run can tell of
    are no problems.
    """
    assert problems_of(tmp_path, source) == []


def test_unused_imports_are_no_problem(tmp_path: Path) -> None:
    """Style is not what keeps a run from starting."""
    assert problems_of(tmp_path, "import json, os\nx = 1", helper="import re\nl = f'text'\n") == []


def test_faults_in_modules_are_told_though_the_notebook_does_not_import_them_itself(
    tmp_path: Path,
) -> None:
    """A syntax error or an undefined name in a module that a module imports."""
    first, second = problems_of(
        tmp_path,
        "import outer",
        outer="def f():\n    import inner\n    return lenn(inner)\n",
        inner="x = = 1\n",
    )
    assert first.startswith("notebooks/outer.py, line 3: ")
    assert "'lenn'" in first
    assert "did you mean 'len'?" in first
    assert second.startswith("notebooks/inner.py, line 1: SyntaxError")


def test_packages_of_modules_are_followed(tmp_path: Path) -> None:
    """A folder of modules, with relative imports; modules that nothing imports may be anything."""
    package = tmp_path / "notebooks" / "parts"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("from . import one\nfrom .two import three\n")
    (package / "one.py").write_text("from .two import thre\n")
    (package / "two.py").write_text("three = 3\n")
    (package / "unused.py").write_text("((\n")
    (problem,) = problems_of(tmp_path, "import parts.one\nfrom parts import two")
    assert problem.startswith("notebooks/parts/one.py, line 1: ")
    assert "parts.two" in problem
    assert "did you mean 'three'?" in problem


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("import pandsa", "no module 'pandsa' can be imported; did you mean 'pandas'?"),
        ("def f():\n    import nowhere_to_be_found", "pip install -r requirements.txt"),
        ("from helpr import f", "did you mean 'helper'?"),
        ("from helper import g", "helper has no name 'g'"),
        ("import helper.more", "no module 'helper.more' in"),
    ],
)
def test_an_import_that_cannot_be_found_is_told(tmp_path: Path, source: str, message: str) -> None:
    """With the nearest module or name, or how to install what is missing."""
    (problem,) = problems_of(tmp_path, source, helper="def f(): pass\n")
    assert "cell 2 (Step 1), line " in problem
    assert message in problem


@pytest.mark.parametrize(
    "source",
    [
        "try:\n    import nowhere\nexcept ImportError:\n    nowhere = None",
        "try:\n    import nowhere\nexcept:\n    pass",
        "import contextlib\nwith contextlib.suppress(ImportError):\n    import nowhere",
        "import sys\nif sys.platform == 'nowhere':\n    import nowhere",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from nowhere import X",
        "import xml.etree.ElementTree as ET, os.path, sklearn.ensemble\nfrom IPython.display "
        "import display",
        "from dynamic import anything",
    ],
)
def test_an_import_that_code_can_do_without_is_not_asked_for(tmp_path: Path, source: str) -> None:
    """Guarded imports, those of another platform, and names that a module makes when asked."""
    assert problems_of(tmp_path, source, dynamic="def __getattr__(name): return 1\n") == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it is empty"),
        (b"not a notebook", "it is not JSON"),
        (b'{"a":\n<<<<<<< HEAD\n1}', "line 2 is a mark of a git merge"),
        (b"\xff\xfe{}", "byte 0 is not UTF-8"),
        (b"[]", "expected JSON with `nbformat` and `cells`"),
        (b'{"nbformat": 4, "nbformat_minor": 5, "metadata": {}}', "is not a valid notebook"),
        (
            b'{"nbformat": 99, "nbformat_minor": 0, "metadata": {}, "cells": []}',
            "is not a valid notebook",
        ),
    ],
)
def test_a_file_that_is_no_notebook_is_told(tmp_path: Path, content: bytes, message: str) -> None:
    """Not JSON, an unfinished merge, another encoding, or not what nbformat asks for."""
    path = tmp_path / "one.ipynb"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=message) as caught:
        read_notebook_code(path)
    assert "one.ipynb" in str(caught.value)


def test_an_invalid_cell_is_told(tmp_path: Path) -> None:
    """Nbformat's own words, shortened."""
    path = tmp_path / "one.ipynb"
    write_notebook(path, "One", ["x = 1"])
    content = json.loads(path.read_text())
    del content["cells"][1]["source"]
    path.write_text(json.dumps(content))
    with pytest.raises(UsageError, match="is not a valid notebook"):
        read_notebook_code(path)


def test_an_edited_notebook_is_read_again(tmp_path: Path) -> None:
    """What was found is kept only as long as the file stays as it is."""
    assert problems_of(tmp_path, "x = 1") == []
    assert len(problems_of(tmp_path, "x = undefined_name")) == 1


def test_a_module_in_another_encoding_than_it_says_is_told(tmp_path: Path) -> None:
    """Python would not import it either."""
    (tmp_path / "one.py").write_bytes(b"name = '\xe9'\n")
    memory = CodeMemory(tmp_path / "code.json")
    (problem,) = read_module_code(tmp_path / "one.py", "one", "notebooks/one.py", memory).problems
    assert problem.startswith("notebooks/one.py, line 1: ")
    assert "utf-8" in problem


def test_a_module_that_is_imported_by_a_call_is_followed(tmp_path: Path) -> None:
    """`import_module("…")` with a plain name counts like an import: what it loads
    decides the stage's result too.
    """
    folder = tmp_path / "notebooks"
    folder.mkdir()
    (folder / "near.py").write_text("import importlib\nfar = importlib.import_module('far')\n")
    (folder / "far.py").write_text("VALUE = 1\n", encoding="utf-8")
    write_notebook(folder / "one.ipynb", "One", ["near = __import__('near')"])
    found = Modules(Project(tmp_path))
    found.follow(read_notebook_code(folder / "one.ipynb"))
    assert sorted(found.files) == ["far", "near"]


def test_library_that_the_system_does_not_complete_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A package whose compiled part cannot be loaded, as LightGBM's without OpenMP's runtime;
    nothing is said of one that can, or that has none.
    """
    (tmp_path / "halfboost" / "lib").mkdir(parents=True)
    (tmp_path / "halfboost" / "__init__.py").touch()
    (tmp_path / "halfboost" / "lib" / "lib_halfboost.so").write_bytes(b"no library")
    monkeypatch.syspath_prepend(tmp_path)
    told = find_library_problem("halfboost")
    assert "halfboost cannot be loaded" in told
    assert "libgomp1" in told
    assert find_library_problem("lightgbm") == find_library_problem("json") == ""


@pytest.mark.parametrize(
    ("source", "called"),
    [
        ('answer = input("Continue? ")', "input()"),
        ("import getpass\nif True:\n    word = getpass.getpass()", "getpass.getpass()"),
        ("from getpass import getpass\nword = getpass()", "getpass()"),
        ("try:\n    answer = input()\nexcept Exception:\n    answer = ''", ""),
        ("def ask():\n    return input()", ""),
        ("def input():\n    return 1\ninput()", ""),
        ("class Form:\n    def input(self):\n        return 1\nForm().input()", ""),
    ],
)
def test_a_cell_that_asks_is_told(tmp_path: Path, source: str, called: str) -> None:
    """Nobody answers in a run; what may not be called, or is caught, is no problem."""
    problems = problems_of(tmp_path, source)
    assert len(problems) == bool(called)
    assert all(f"`{called}`" in one and "cell 2 (Step 1), line" in one for one in problems)
