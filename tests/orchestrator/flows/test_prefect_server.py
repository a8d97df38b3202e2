"""Which Prefect server a run uses: one that a setting names, or one of this project."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest

from helpers.servers import Answer, Request, json_answer, serving
from orchestrator.errors import UsageError
from orchestrator.flows.prefect_server import find_mismatch, find_setting, use_running_server

OWN = metadata.version("prefect")
SETTING = "PREFECT_API_URL"


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A project in an empty folder, with no settings of Prefect's."""
    for name in (SETTING, "PREFECT_PROFILE", "PREFECT_PROFILES_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "prefect"))
    monkeypatch.setenv("CHURN_PROJECT", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "outputs").mkdir()
    yield tmp_path
    os.environ.pop(SETTING, None)


def of_version(version: str, request: Request) -> Answer:
    """Answer as Prefect's API does."""
    known = {"/api/health": True, "/api/admin/version": version}
    return json_answer(known[request.path]) if request.path in known else Answer(status=404)


@pytest.mark.parametrize(
    ("file", "text"),
    [
        (".env", "PREFECT_API_URL=http://one/api\n"),
        ("prefect.toml", '[api]\nurl = "http://one/api"\n'),
        ("pyproject.toml", '[tool.prefect.api]\nurl = "http://one/api"\n'),
        (
            "prefect/profiles.toml",
            'active = "p"\n[profiles.p]\nPREFECT_API_URL = "http://one/api"\n',
        ),
    ],
)
def test_a_setting_counts_wherever_prefect_reads_it(elsewhere: Path, file: str, text: str) -> None:
    """And the place is named; the environment comes first."""
    assert find_setting()[0] is None
    (elsewhere / file).parent.mkdir(exist_ok=True)
    (elsewhere / file).write_text(text)
    api, where = find_setting()
    assert api == "http://one/api"
    assert str(elsewhere / file) in where
    os.environ[SETTING] = "http://two/api"
    assert find_setting() == ("http://two/api", SETTING)


def test_the_profile_local_needs_no_file(elsewhere: Path) -> None:
    """Prefect has it built in."""
    (elsewhere / "prefect").mkdir()
    (elsewhere / "prefect/profiles.toml").write_text('active = "local"\n')
    assert find_setting()[0] == "http://127.0.0.1:4200/api"


def test_a_server_that_a_setting_names_has_to_be_one_of_prefects(elsewhere: Path) -> None:
    """A program that answers everything with a page is none."""
    page = Answer(b"<!doctype html><app-root></app-root>", headers={"Content-Type": "text/html"})
    with serving(lambda request: page) as server:
        os.environ[SETTING] = f"{server.address}/api"
        with pytest.raises(UsageError, match=server.address):
            use_running_server()
    with serving(lambda request: of_version(OWN, request)) as server:
        os.environ[SETTING] = f"{server.address}/api"
        assert use_running_server() == f"{server.address}/api"


@pytest.mark.parametrize(("version", "is_used"), [(OWN, True), ("3.4.14", False)])
def test_the_servers_of_this_project_are_used(elsewhere: Path, version: str, is_used: bool) -> None:
    """As long as they are of this version of Prefect, and answer."""
    with serving(lambda request: of_version(version, request)) as server:
        told = {"prefect": f"{server.address}/api"}
        (elsewhere / "outputs/servers.json").write_text(json.dumps(told))
        assert use_running_server() == (told["prefect"] if is_used else None)
    os.environ.pop(SETTING, None)
    assert use_running_server() is None


@pytest.mark.parametrize(("version", "fits"), [(OWN, True), ("3.4.14", False), ("99.0.0", True)])
def test_an_older_server_does_not_fit(elsewhere: Path, version: str, fits: bool) -> None:
    """Both versions are named."""
    with serving(lambda request: of_version(version, request)) as server:
        said = find_mismatch(f"{server.address}/api")
    assert (said == "") == fits
    assert fits or (version in said and OWN in said)
