"""Which parameters a notebook may declare, and which values it may be given."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any

import pytest

from helpers.own_graph import STAGES
from helpers.projects import read_run, run_flow, write_notebook
from orchestrator.errors import UsageError
from orchestrator.notebook.parameters import as_json, declared_parameters, find_parameter_problems

VALIDATION = STAGES[1]


def declare(folder: Path, source: str) -> Path:
    """Write a notebook whose parameters cell is this source."""
    path = folder / VALIDATION.notebook
    write_notebook(path, "Validation", ["pass"])
    content = json.loads(path.read_text())
    content["cells"][1]["source"] = source
    path.write_text(json.dumps(content))
    return path


def problems_of(folder: Path, source: str, **given: Any) -> list[str]:
    """Check values for the parameters that a cell declares."""
    return list(find_parameter_problems(VALIDATION, declare(folder, source), given))


@pytest.mark.parametrize(
    ("declaration", "accepted", "refused"),
    [
        ("x = 1", [2, -3], [1.5, True, "1", None, [1]]),
        ("x = 0.5", [1, 0.1], [True, "0.1", None]),
        ("x = True", [False], [0, 1, "true", None]),
        ("x = 'a'", ["b", ""], [1, None, ["a"]]),
        ("x = None", [None], [1, "a"]),
        ("x = ['a']", [[], ["b"], [1]], ["a", {"a": 1}]),
        ("x = {'a': 1}", [{}, {"b": [1]}], [[1], "a"]),
        ("x: int | None = None", [3, None], [0.5, "3", True]),
        ("x: 'int | None' = None", [3, None], [0.5]),
        ("x: typing.Optional[float] = None", [3, 0.5, None], ["3"]),
        ("x: Union[int, str] = 1", [3, "a"], [0.5, None]),
        ("x: list[str] = []", [["a"], []], [[1], "a"]),
        ("x: tuple[int, ...] = (1, 2)", [[3], []], [["a"]]),
        ("x: dict[str, float] = {}", [{"a": 1, "b": 0.5}], [{"a": "1"}, []]),
        ("x: list[list[int | None]] = []", [[[1, None]]], [[["a"]], [1]]),
        ('x: Literal["a", "b", 1] = "a"', ["b", 1], ["c", True, None]),
        ("x: Any = 1", [None, "a", [1]], []),
    ],
)
def test_values_have_to_be_of_the_declared_type(
    tmp_path: Path, declaration: str, accepted: list[Any], refused: list[Any]
) -> None:
    """The type is the annotation, or that of the default; a whole number is a float,
    `true` is no number.
    """
    declared = declared_parameters(declare(tmp_path, declaration))["x"]
    assert [value for value in accepted if not declared.accepts(value)] == []
    assert [value for value in refused if declared.accepts(value)] == []


@pytest.mark.parametrize(
    ("declaration", "message"),
    [
        ("import os", "line 1 is something else"),
        ("x = len('a')", "the default of x is not a literal"),
        ("x = 1\ny = x", "line 2: the default of y is not a literal"),
        ("x, y = 1, 2", "line 1 is something else"),
        ("x = 1\nx = 2", "line 2 declares x a second time"),
        ("x = {1, 2}", "of type set"),
        ("x = b'a'", "of type bytes"),
        ("x = 1e999", "expected a finite number"),
        ("x: int = 'a'", "is not of its type int"),
        ("x: Path = '.'", "x is declared as Path; known types are int"),
        ("__builtins__ = 1", "is a name that Python reserves"),
        ("x = ", "invalid syntax"),
        ("", "0 code cells tagged|expected"),
    ],
)
def test_only_literals_are_declared(tmp_path: Path, declaration: str, message: str) -> None:
    """Each line of the parameters cell is a name, perhaps a type, and a literal that
    JSON can hold.
    """
    path = declare(tmp_path, declaration)
    if not declaration:  # a cell with nothing in it declares nothing
        assert declared_parameters(path) == {}
        return
    with pytest.raises(UsageError, match=message) as caught:
        declared_parameters(path)
    assert f"{VALIDATION.notebook}, cell 1 (Validation)" in str(caught.value)


@pytest.mark.parametrize("tags", [[], ["parameters", "parameters"]])
def test_there_is_exactly_one_parameters_cell(tmp_path: Path, tags: list[str]) -> None:
    """None or two are an error that names the cells."""
    path, count = declare(tmp_path, "x = 1"), len(tags)
    content = json.loads(path.read_text())
    for cell in content["cells"]:
        if cell["cell_type"] == "code":
            cell["metadata"]["tags"] = [tags.pop()] if tags else []
    path.write_text(json.dumps(content))
    with pytest.raises(UsageError, match=rf"has {count} .*`parameters`, expected one"):
        declared_parameters(path)


def test_help_is_the_comment_behind_the_value(tmp_path: Path) -> None:
    """A `#` inside the value does not begin it."""
    declared = declared_parameters(
        declare(tmp_path, 'a = "#ff0000"  # colour é\nb = [\n    "ä#",\n]  # names\nc = 1')
    )
    assert [parameter.help for parameter in declared.values()] == ["colour é", "names", ""]
    assert declared["a"].default == "#ff0000"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("x\nimport os", "is not a name"),
        ("x; y", "is not a name"),
        ("x.y", "is not a name"),
        ("2x", "is not a name"),
        ("", "is not a name"),
        ("class", "is a keyword"),
        ("__import__", "is a name that Python reserves"),
        ("x\udc80", "is not a name"),
        ("nubmer", "did you mean 'number'?"),
        ("params_file", "is given by the run itself; use --params"),
    ],
)
def test_a_name_that_is_none_is_refused(tmp_path: Path, name: str, message: str) -> None:
    """Names are written into a cell as they are, so only those of Python pass, and only
    those that are declared.
    """
    (problem,) = problems_of(tmp_path, "number = 1\nparams_file = ''", **{name: 1})
    assert message in problem
    problem.encode()


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (float("nan"), "validation.x is nan: expected a finite number"),
        (float("-inf"), "validation.x is -inf: expected a finite number"),
        ([1, {"deep": float("inf")}], "validation.x[1]['deep'] is inf"),
        ("half \ud83d", "validation.x is 'half \\ud83d', which holds half of a character"),
        ({"a": ["\udc80"]}, "validation.x['a'][0] is '\\udc80'"),
        ({"\udc80": 1}, "validation.x has the key '\\udc80'"),
        ({1: "a"}, "validation.x has the key 1, of type int: expected a text; quote it"),
        (datetime.datetime(2025, 1, 1, 12), 'quote it, as in "2025-01-01 12:00:00"'),
        (b"bytes", "of type bytes: expected null, true or false"),
        ({"a", "b"}, "of type set"),
        pytest.param(1 << 20_000, "about 6,021 digits", id="a huge number"),
    ],
)
def test_a_value_that_json_cannot_hold_is_refused_with_its_name(
    tmp_path: Path, value: Any, message: str
) -> None:
    """NaN, infinities, half characters, other types: named with their place, in words
    that can be printed.
    """
    (problem,) = problems_of(tmp_path, "x: object = 1", x=value)
    assert message in problem
    problem.encode()


def test_a_value_that_contains_itself_is_refused(tmp_path: Path) -> None:
    """YAML's anchors can make one."""
    value: list[Any] = []
    value.append(value)
    assert problems_of(tmp_path, "x: Any = 1", x=value) == ["validation.x[0] contains itself"]


def test_a_day_becomes_text_as_it_was_written() -> None:
    """`2025-10-01` without quotes is a date to YAML, and a text to a notebook."""
    day = datetime.date(2025, 10, 1)
    assert as_json({"a": [day], "b": day}) == {"a": ["2025-10-01"], "b": "2025-10-01"}


@pytest.mark.parametrize("seconds", [0, -1, True, "30", None, float("nan"), [1]])
def test_a_time_limit_is_a_positive_number(tmp_path: Path, seconds: Any) -> None:
    """Anything else is refused."""
    (problem,) = problems_of(tmp_path, "x = 1", time_limit=seconds)
    assert problem.startswith("validation.time_limit is ")
    assert "expected the seconds" in problem


def test_a_notebook_cannot_declare_a_time_limit(tmp_path: Path) -> None:
    """That name is the run's."""
    (problem,) = problems_of(tmp_path, "time_limit = 1")
    assert "declares a parameter time_limit" in problem


HARD = {
    "quotes": '\'single\' "double" \'\'\'three\'\'\' """three""" \\" \\',
    "lines": "one\ntwo\r\nthree\tfour\x00\x1b[31m\x85 ",
    "braces": "{0} {name} {{}} %s ${HOME} $x",
    "code": "\nimport os\nos.abort()",
    "unicode": "é 漢字 🙂 \u202e ‮",
    "numbers": [10**300, -(2**63), 0, -0.0, 1e-308, 1.7976931348623157e308, 0.1],
    "nested": {"a": {"b": [{"c \"'\\\n": [None, True, False, [], {}, ""]}]}, "": "empty key"},
}


@pytest.mark.e2e
def test_values_arrive_in_the_kernel_as_they_were_given(
    tiny_project: Path, prefect_api: dict[str, str], tmp_path: Path
) -> None:
    """Texts with quotes, line breaks, braces and any character, huge numbers and nested
    values are the same there.
    """
    got = tmp_path / "got.json"
    body = (
        f"import json, pathlib\npathlib.Path({str(got)!r}).write_text(json.dumps([value, "
        "repr(value)]))"
    )
    path = tiny_project / "notebooks" / VALIDATION.notebook
    write_notebook(path, "Validation", [body])
    path.write_text(
        path.read_text().replace(
            "number = 1  # a number", r"number = 1\nvalue: dict[str, object] = {}"
        )
    )
    (tiny_project / "data/raw").mkdir(parents=True)
    # Which is a line break in YAML.
    yaml = json.dumps(HARD, ensure_ascii=False).replace("\x85", "\\x85")
    ended = run_flow(
        tiny_project, "--only", "validation", "--set", f"validation.value={yaml}", env=prefect_api
    )
    assert ended.returncode == 0, ended.stderr
    value, shown = json.loads(got.read_text())
    assert value == HARD
    assert shown == repr(HARD)
    assert read_run(tiny_project).stage("validation").parameters == {"value": HARD}
