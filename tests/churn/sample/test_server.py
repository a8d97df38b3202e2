"""The sample company's services, served page by page."""

from __future__ import annotations

import collections
import contextlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import httpx
import pytest

from helpers.sample_tables import read_tables

TOKEN = "token-of-this-test"
PROGRAM = [sys.executable, "-m", "churn.sample.server", "--token-in", "API_TOKEN", "--folder"]


@dataclass(frozen=True)
class Served:
    """A running server of the sample company, and a client that sends the right token."""

    process: subprocess.Popen[str]
    client: httpx.Client

    def get(self, path: str, **query: Any) -> Any:
        """Return the JSON of a request that must succeed."""
        answer = self.client.get(path, params=query)
        assert answer.status_code == 200, answer.text
        assert int(answer.headers["Content-Length"]) == len(answer.content)
        return answer.json()


@contextlib.contextmanager
def serving(folder: Path) -> Iterator[Served]:
    """Run the server as its own process while the block runs."""
    command = [*PROGRAM, str(folder)]
    environment, pipe = {**os.environ, "API_TOKEN": TOKEN}, subprocess.PIPE
    with subprocess.Popen(
        command, text=True, env=environment, stdin=pipe, stdout=pipe, stderr=pipe
    ) as process:
        try:
            address = stream(process.stdout).readline().strip()
            assert re.fullmatch(r"http://127\.0\.0\.1:\d+", address)
            headers = {"Authorization": f"Bearer {TOKEN}"}
            with httpx.Client(base_url=address, headers=headers, trust_env=False) as client:
                yield Served(process, client)
        finally:
            process.kill()


def stream(pipe: IO[str] | None) -> IO[str]:
    """Return a pipe that is known to be open."""
    assert pipe is not None
    return pipe


@pytest.fixture(scope="module")
def served(made: Path) -> Iterator[Served]:
    """The server of the default company."""
    with serving(made) as server:
        yield server


def by_number(served: Served, size: int) -> Iterator[dict[str, str]]:
    """Read all items of /internet page by page."""
    pages = served.get("/internet", size=size)["pages"]
    for page in range(1, pages + 1):
        yield from served.get("/internet", page=page, size=size)["items"]


def by_cursor(served: Served, size: int) -> Iterator[dict[str, str]]:
    """Read all items of /phone from cursor to cursor."""
    cursor: dict[str, str] = {}
    while True:
        answer = served.get("/phone", size=size, **cursor)
        yield from answer["items"]
        if answer["next_cursor"] is None:
            return
        cursor = {"cursor": answer["next_cursor"]}


@pytest.mark.parametrize(("table", "read"), [("internet", by_number), ("phone", by_cursor)])
def test_pages_hold_exactly_the_rows_of_the_table(
    table: str, read: Any, made: Path, served: Served
) -> None:
    """All pages together are the rows of the table, each once and in order, whatever
    the size of a page.
    """
    expected = read_tables(made)[table].to_dict("records")
    for size in (997, 5_000):
        assert list(read(served, size)) == expected


def test_pages_that_fill_up_exactly_end_the_reading(made: Path, served: Served) -> None:
    """A last page that is just full has no next cursor, and the page number after the
    last one has no items.
    """
    table = read_tables(made)["phone"]
    size = next(size for size in range(5_000, 0, -1) if len(table) % size == 0)
    assert len(list(by_cursor(served, size))) == len(table)
    first = served.get("/internet")
    assert first["page"] == 1
    assert len(first["items"]) == 500
    assert first["pages"] == -(-first["total"] // 500)
    past = served.get("/internet", page=first["pages"] + 1)
    assert past == {
        "items": [],
        "page": first["pages"] + 1,
        "pages": first["pages"],
        "total": first["total"],
    }


@pytest.mark.parametrize(
    "header", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {TOKEN}"}]
)
@pytest.mark.parametrize("path", ["/internet", "/phone", "/nothing"])
def test_requests_without_the_token_are_refused(
    path: str, header: dict[str, str], served: Served
) -> None:
    """Without the token, or with a wrong one, every path answers 401 in JSON and gives no rows."""
    answer = httpx.get(f"{served.client.base_url}{path}", headers=header, trust_env=False)
    assert answer.status_code == 401
    assert set(answer.json()) == {"error"}
    assert TOKEN not in answer.text


@pytest.mark.parametrize(
    ("path", "status", "named"),
    [
        ("/contract", 404, "/contract"),
        ("/", 404, "/internet"),
        ("/internet?size=0", 400, "size"),
        ("/internet?size=5001", 400, "5000"),
        ("/internet?size=ten", 400, "ten"),
        ("/internet?size=", 400, "size"),
        ("/internet?page=0", 400, "page"),
        ("/internet?page=-1", 400, "page"),
        ("/internet?page=99999999999999999999", 400, "page"),
        ("/internet?pgae=2", 400, "pgae"),
        ("/internet?cursor=5", 400, "cursor"),
        ("/phone?cursor=next", 400, "cursor"),
        ("/phone?size=1.5", 400, "size"),
    ],
)
def test_wrong_requests_are_told_apart(path: str, status: int, named: str, served: Served) -> None:
    """An unknown path answers 404, a wrong query 400, both in JSON that names what was wrong."""
    answer = served.client.get(path)
    assert answer.status_code == status
    assert named in answer.json()["error"]


def test_largest_page_number_is_past_the_end(served: Served) -> None:
    """The largest page number that is accepted is served, without items."""
    assert served.get("/internet", page=2**40, size=5_000)["items"] == []


def test_other_methods_are_refused_in_json(served: Served) -> None:
    """Anything but GET is refused, and the server goes on."""
    answer = served.client.post("/internet", json={})
    assert answer.status_code == 501
    assert "POST" in answer.json()["error"]
    assert served.get("/internet", size=1)["items"]


def test_server_ends_when_standard_input_closes(made_small: Path) -> None:
    """Closing standard input ends the server with exit code 0 though a connection is
    open; nothing was logged.
    """
    with serving(made_small) as server:
        assert server.get("/phone", size=1)["items"]
        stream(server.process.stdin).close()
        assert server.process.wait(10) == 0
        assert stream(server.process.stderr).read() == ""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows ends the process at once on SIGTERM")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_server_ends_on_a_signal(number: signal.Signals, made_small: Path) -> None:
    """SIGTERM and Ctrl-C end the server with exit code 0."""
    with serving(made_small) as server:
        assert server.get("/phone", size=1)["items"]
        server.process.send_signal(number)
        assert server.process.wait(10) == 0
        assert stream(server.process.stderr).read() == ""


@pytest.mark.parametrize(("token", "named"), [("", "API_TOKEN"), (TOKEN, "services.sqlite")])
def test_server_without_token_or_data_does_not_start(
    token: str, named: str, tmp_path: Path
) -> None:
    """Without a token, or with nothing to serve, the server ends with exit code 2 and
    names what is missing.
    """
    ended = subprocess.run(
        [*PROGRAM, str(tmp_path)],
        env={**os.environ, "API_TOKEN": token},
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    assert ended.returncode == 2
    assert named in ended.stderr
    assert not ended.stdout
    assert not list(tmp_path.iterdir())


def test_many_readers_get_the_same_rows(made: Path, served: Served) -> None:
    """Several connections at once each get their own page in full."""
    with ThreadPoolExecutor(8) as readers:
        answers = list(
            readers.map(
                lambda page: served.get("/internet", page=page, size=100)["items"], range(1, 41)
            )
        )
    ids = collections.Counter(item["customerID"] for items in answers for item in items)
    assert list(ids) == list(read_tables(made)["internet"]["customerID"].head(4_000))
