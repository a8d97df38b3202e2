"""Servers and databases that fail, as the flow meets them: retried or not, the last
dataset kept, no secret told.
"""

from __future__ import annotations

import contextlib
import itertools
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from helpers.bad_inputs import FACTS, PARAMS, Outcome, Runs, make_project
from helpers.projects import free_port
from helpers.servers import (
    POSTGRES_PASSWORD,
    Answer,
    Request,
    find_postgres,
    in_turn,
    json_answer,
    serving,
    serving_postgres,
)

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("bad servers")]

TOKEN = "tok-s3cret-77"
NUMBERS = itertools.count()
SHORT_WAIT = "ingestion.first_wait_seconds=0.01"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose data was ingested once."""
    return make_project(tmp_path_factory.mktemp("made") / "project")


@pytest.fixture
def runs(made: Path, tmp_path: Path, prefect_api: dict[str, str]) -> Runs:
    """A copy of it of one's own."""
    return Runs(made, tmp_path / "project", prefect_api)


def ask_api(runs: Runs, address: str, facts: str = "") -> None:
    """Name an API as the only source, which asks for a token."""
    source = (
        f"  crm: {{api: '{address}/customers', records: items, auth: {{bearer: "
        f"'${{API_TOKEN}}'}}{facts}}}\n"
    )
    (runs.root / PARAMS).write_text(FACTS + source)


def run_api(runs: Runs, address: str, facts: str = "") -> Outcome:
    """Run the flow with an API as its source."""
    ask_api(runs, address, facts)
    return runs.run("--set", SHORT_WAIT, env={"API_TOKEN": TOKEN})


def ask_database(runs: Runs, address: str) -> None:
    """Name a table of a database as the only source, whose password is in a variable."""
    (runs.root / PARAMS).write_text(f"{FACTS}  crm: {{database: '{address}', table: customers}}\n")


def run_database(runs: Runs, address: str, password: str) -> Outcome:
    """Run the flow with a table of a database as its source."""
    ask_database(runs, address)
    return runs.run("--set", SHORT_WAIT, env={"CRM_PASSWORD": password})


def find_secret(root: Path, said: str, secret: str) -> list[str]:
    """Name where a secret stands: in what was said, or in a file that the run left behind."""
    files = [
        path
        for folder in ("outputs", "data")
        for path in (root / folder).rglob("*")
        if path.is_file()
    ]
    found = [str(path) for path in files if secret.encode() in path.read_bytes()]
    return found + (["output"] if secret in said else [])


def loop(request: Request) -> Answer:
    """Two pages that name each other as the next."""
    cursor = "b" if request.query.get("cursor") == "a" else "a"
    return json_answer({"items": [{"id": next(NUMBERS)}], "next_cursor": cursor})


PASSING = {
    "HTTP 500": (in_turn(Answer(b"down", 500)), ", retries: 2", "the server answers HTTP 500", 3),
    "timeout": (
        in_turn(Answer(b"[]", delay=1)),
        ", retries: 0, timeout_seconds: 0.2",
        "no answer within 0.2 s",
        1,
    ),
    "partial body": (
        in_turn(Answer(b'{"items": [{"id"', declared=999)),
        ", retries: 1",
        "the answer broke off before its end",
        2,
    ),
    "half JSON": (
        in_turn(Answer(b'{"items": [{"id"')),
        ", retries: 1",
        "(16 bytes) is not whole JSON",
        2,
    ),
}
LASTING = {
    "page loop": (loop, ", paging: {kind: cursor}", "the pages go round in a loop", 4),
    "page of records again": (
        lambda _: json_answer({"items": [{"id": 1}]}),
        ", paging: {kind: page_number}",
        "page 2 has the very records of an earlier page",
        2,
    ),
    "page cap": (
        lambda request: json_answer({"items": [{"id": request.query["page"]}]}),
        ", paging: {kind: page_number}, max_pages: 4",
        "there are more than 4 pages (`max_pages`): is it a loop?",
        4,
    ),
    "credentials": (
        in_turn(Answer(TOKEN.encode(), 401)),
        "",
        "the credentials are refused (HTTP 401)",
        1,
    ),
    "HTML page": (
        in_turn(Answer(b"<html>Log in</html>")),
        "",
        "the answer is a page of HTML or XML",
        1,
    ),
    "no records": (
        in_turn(json_answer({"rows": []})),
        "",
        "the answer has nothing at `records: items`; it has: rows",
        1,
    ),
}


@pytest.mark.parametrize("case", PASSING)
def test_an_api_that_may_recover_is_asked_again(
    runs: Runs, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So often as `retries` says, and the stage would be tried once more; nothing is lost or
    told.
    """
    answer, facts, message, requests = PASSING[case]
    monkeypatch.setenv("API_TOKEN", TOKEN)
    with serving(answer) as server:
        ask_api(runs, server.address, facts)
        outcome = runs.execute("ingestion", first_wait_seconds=0.01)
    assert message in outcome.stopped_in("ingestion", tried_again=True)
    assert len(server.requests) == requests
    assert find_secret(runs.root, outcome.said, TOKEN) == []


@pytest.mark.parametrize("case", LASTING)
def test_an_api_that_refuses_is_not_asked_again(
    runs: Runs, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bad credentials, loops and what is no data: one try, and the token that the
    server sends back is not told.
    """
    answer, facts, message, requests = LASTING[case]
    monkeypatch.setenv("API_TOKEN", TOKEN)
    with serving(answer) as server:
        ask_api(runs, server.address, facts)
        outcome = runs.execute("ingestion", first_wait_seconds=0.01)
    assert message in outcome.stopped_in("ingestion")
    assert len(server.requests) == requests
    assert find_secret(runs.root, outcome.said, TOKEN) == []


def test_the_flow_tries_once_more_what_may_pass(runs: Runs) -> None:
    """Each try asks so often as `retries` says; then the run stops."""
    answer, facts, message, requests = PASSING["HTTP 500"]
    with serving(answer) as server:
        outcome = run_api(runs, server.address, facts)
    assert message in outcome.stopped_in("ingestion", tried_again=True)
    assert len(server.requests) == 2 * requests
    assert find_secret(runs.root, outcome.said, TOKEN) == []


def test_the_flow_does_not_try_what_is_refused_again(runs: Runs) -> None:
    """The token that the server sends back stands nowhere."""
    answer, facts, message, requests = LASTING["credentials"]
    with serving(answer) as server:
        outcome = run_api(runs, server.address, facts)
    assert message in outcome.stopped_in("ingestion")
    assert len(server.requests) == requests
    assert find_secret(runs.root, outcome.said, TOKEN) == []


def test_a_server_that_is_down_is_noted_and_tried(runs: Runs) -> None:
    """The check before the run notes that it does not answer; ingestion tries, and stops."""
    outcome = run_api(runs, f"http://127.0.0.1:{free_port()}", ", retries: 1")
    assert re.search(r"source 'crm' \(127\.0\.0\.1\) .* refused", outcome.said)
    assert "the server cannot be reached" in outcome.stopped_in("ingestion", tried_again=True)


def test_a_log_in_page_in_place_of_a_file(runs: Runs) -> None:
    """A file that is fetched is looked at before it is parsed."""
    page = Answer(b"<!doctype html><title>Log in</title>", headers={"Content-Type": "text/html"})
    with serving(in_turn(page)) as server:
        (runs.root / PARAMS).write_text(f"{FACTS}  crm: {{file: '{server.address}/a.csv'}}\n")
        error = runs.execute("ingestion", first_wait_seconds=0.01).stopped_in("ingestion")
    assert "expected csv" in error
    assert "a page of HTML" in error


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    """The address of a real PostgreSQL server, with a variable in the place of the password."""
    if find_postgres() is None:
        pytest.skip("PostgreSQL is not installed")
    with serving_postgres() as address:
        yield address.replace(POSTGRES_PASSWORD, "${CRM_PASSWORD}")


def test_a_wrong_password_is_tried_once_and_told_nowhere(runs: Runs, postgres: str) -> None:
    """The database is said to refuse the credentials."""
    outcome = run_database(runs, postgres, "wr0ng-passw0rd-88")
    assert "the database refuses the credentials" in outcome.stopped_in("ingestion")
    assert "trying again" not in outcome.said
    assert find_secret(runs.root, outcome.said, "wr0ng-passw0rd-88") == []


def test_a_database_that_is_down_is_tried_again(runs: Runs) -> None:
    """It is said not to answer, which is not the same as refusing; no password is told."""
    address = f"postgresql://crm:${{CRM_PASSWORD}}@127.0.0.1:{free_port()}/crm"
    outcome = run_database(runs, address, POSTGRES_PASSWORD)
    error = outcome.stopped_in("ingestion", tried_again=True)
    assert "the database does not answer" in error
    assert "its host and port right?" in error
    assert outcome.said.count("trying again") == 2 * 3
    assert find_secret(runs.root, outcome.said, POSTGRES_PASSWORD) == []


def test_a_table_that_is_not_there_is_suggested(
    runs: Runs, postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of PostgreSQL, and of a SQLite file."""
    monkeypatch.setenv("CRM_PASSWORD", POSTGRES_PASSWORD)
    ask_database(runs, postgres)
    said = runs.execute("ingestion").stopped_in("ingestion")
    assert "no table 'customers'" in said
    assert "database has none" in said
    with contextlib.closing(sqlite3.connect(runs.root / "crm.sqlite")) as database:
        database.execute("create table customer (id text)")
    ask_database(runs, "sqlite:///crm.sqlite")
    said = runs.execute("ingestion").stopped_in("ingestion")
    assert "no table 'customers'" in said
    assert "did you mean 'customer'?" in said
