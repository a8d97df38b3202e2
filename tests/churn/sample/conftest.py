"""Sample companies that were made."""

from __future__ import annotations

from pathlib import Path

import pytest

from churn.sample import company


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The default company of 7,000 customers."""
    return company.make(tmp_path_factory.mktemp("sample") / "made", 7_000, 7)


@pytest.fixture(scope="session")
def made_small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The smallest company, 1,000 customers."""
    return company.make(tmp_path_factory.mktemp("sample") / "made", 1_000, 7)


@pytest.fixture(params=["made_small", "made"])
def folder(request: pytest.FixtureRequest) -> Path:
    """Each of the two companies in turn."""
    made_folder: Path = request.getfixturevalue(request.param)
    return made_folder
