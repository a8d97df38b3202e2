"""The three files that name packages agree with one another."""

from __future__ import annotations

import tomllib

import pytest
from conftest import ROOT
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from ruamel.yaml import YAML

LINES = (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines()
PINS = [Requirement(line) for line in LINES if not line.startswith("-e")]


def direct_dependencies() -> list[Requirement]:
    """Read the direct dependencies, those for development too."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    return [Requirement(text) for text in [*project["project"]["dependencies"], *project["dependency-groups"]["dev"]]]


@pytest.mark.parametrize("direct", direct_dependencies(), ids=str)
def test_a_pin_satisfies_pyproject(direct: Requirement) -> None:
    """Each direct dependency is pinned, by versions that its bounds allow."""
    pins = [pin for pin in PINS if canonicalize_name(pin.name) == canonicalize_name(direct.name)]
    assert pins, f"{direct.name} stands in pyproject.toml but not in requirements.txt: renew it"
    for pin in pins:
        version = str(pin.specifier).removeprefix("==")
        assert direct.specifier.contains(version), f"{pin} does not satisfy {direct}"


def test_every_line_is_an_exact_pin_and_the_project_is_editable() -> None:
    """No index line, no address, no open bound: `name==version` with markers, and the project itself."""
    assert LINES[0] == "-e ."
    assert len(PINS) > 100
    for pin in PINS:
        assert [specifier.operator for specifier in pin.specifier] == ["=="], pin
        assert pin.url is None


def test_every_upper_bound_has_a_reason() -> None:
    """A dependency with an upper bound has a comment beside it in pyproject.toml."""
    bounded = [
        line
        for line in (ROOT / "pyproject.toml").read_text().splitlines()
        if line.strip().startswith('"') and ",<" in line
    ]
    assert len(bounded) > 5
    assert [line for line in bounded if "  # " not in line] == []


def test_conda_installs_the_same_pins() -> None:
    """environment.yml brings Python and pip only; every package comes from requirements.txt."""
    environment = YAML(typ="safe", pure=True).load(ROOT / "environment.yml")
    python, pip, packages = environment["dependencies"]
    assert packages == {"pip": ["-r requirements.txt"]}
    assert pip == "pip"
    requires = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["requires-python"]
    assert Requirement(f"python{requires}").specifier.contains(python.removeprefix("python=") + ".0")
