"""The files that name packages agree with one another."""

from __future__ import annotations

import tomllib

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from ruamel.yaml import YAML

from helpers.projects import ROOT

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
FOR_USERS, FOR_DEVELOPMENT = (
    (ROOT / name).read_text(encoding="utf-8").splitlines()
    for name in ("requirements.txt", "requirements-dev.txt")
)
PINS = [Requirement(line) for line in FOR_DEVELOPMENT if line[0] != "-"]


@pytest.mark.parametrize(
    "dependency",
    [*PYPROJECT["project"]["dependencies"], *PYPROJECT["dependency-groups"]["dev"]],
)
def test_a_pin_satisfies_pyproject(dependency: str) -> None:
    """Each direct dependency is pinned, by versions that its bounds allow."""
    direct = Requirement(dependency)
    pins = [pin for pin in PINS if canonicalize_name(pin.name) == canonicalize_name(direct.name)]
    assert pins, f"{direct.name} stands in pyproject.toml but is not pinned: renew the pins"
    for pin in pins:
        version = str(pin.specifier).removeprefix("==")
        assert direct.specifier.contains(version), f"{pin} does not satisfy {direct}"


def test_every_line_is_an_exact_pin_and_the_project_is_editable() -> None:
    """No index line, no address, no open bound: `name==version` with markers, and the
    project itself.
    """
    assert FOR_USERS[0] == FOR_DEVELOPMENT[0] == "-e ."
    assert len(PINS) > 100
    assert len({(pin.name, str(pin.marker)) for pin in PINS}) == len(PINS)
    for pin in PINS:
        assert [specifier.operator for specifier in pin.specifier] == ["=="], pin
        assert pin.url is None


def test_developers_have_what_users_have() -> None:
    """The pins of development are those of users, and more."""
    assert set(FOR_USERS) < set(FOR_DEVELOPMENT)


@pytest.mark.parametrize("name", ["pytest", "ruff", "playwright", "pre-commit", "hypothesis"])
def test_users_get_no_tools_of_development(name: str) -> None:
    """No linter, test runner or browser driver is among the pins that users install."""
    assert not [line for line in FOR_USERS if line.startswith(f"{name}==")]
    assert [line for line in FOR_DEVELOPMENT if line.startswith(f"{name}==")]


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
    allowed = Requirement(f"python{PYPROJECT['project']['requires-python']}").specifier
    assert allowed.contains(python.removeprefix("python=") + ".0")
