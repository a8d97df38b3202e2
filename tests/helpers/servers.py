"""Real servers on loopback for tests: a scripted HTTP server, a paged API over CSV
files, and PostgreSQL.
"""

from __future__ import annotations

import base64
import contextlib
import csv
import glob
import http.server
import json
import os
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import psycopg
import sqlalchemy as sa
from ruamel.yaml import YAML

POSTGRES_USER, POSTGRES_PASSWORD = "crm", "s3cret-of-postgres"
_SECONDS_TO_START = 60


@dataclass(frozen=True)
class Request:
    """A request as the server saw it."""

    path: str
    query: dict[str, str]
    headers: dict[str, str]


@dataclass(frozen=True)
class Answer:
    """What the server sends back; `declared` is a Content-Length that differs from the body's."""

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    declared: int | None = None
    delay: float = 0.0


def json_answer(value: Any, status: int = 200, **headers: str) -> Answer:
    """Answer in JSON; underscores in the names of headers become hyphens."""
    named = {name.replace("_", "-"): text for name, text in headers.items()}
    return Answer(json.dumps(value).encode(), status, {"Content-Type": "application/json"} | named)


@dataclass
class Server:
    """A running HTTP server: its base address, and the requests that it has seen."""

    address: str
    requests: list[Request]


@contextlib.contextmanager
def serving(
    answer: Callable[[Request], Answer],
    at: tuple[str, int] = ("127.0.0.1", 0),
    certificate: Path | None = None,
) -> Iterator[Server]:
    """Serve GET requests, on a free port of 127.0.0.1 or at another place, answered by a
    function, while the block runs; with a certificate by TLS.
    """
    seen: list[Request] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            request = Request(parts.path, dict(parse_qsl(parts.query)), dict(self.headers))
            seen.append(request)
            _send(self, answer(request))

        def log_message(self, format: str, *args: Any) -> None:
            """Keep the test's output clean."""

    with http.server.ThreadingHTTPServer(at, Handler) as server:
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            scheme = "https" if certificate else "http"
            yield Server(f"{scheme}://{at[0]}:{server.server_port}", seen)
        finally:
            server.shutdown()
            thread.join()


def _send(handler: http.server.BaseHTTPRequestHandler, answer: Answer) -> None:
    time.sleep(answer.delay)
    handler.send_response(answer.status)
    for name, value in answer.headers.items():
        handler.send_header(name, value)
    handler.send_header(
        "Content-Length", str(len(answer.body) if answer.declared is None else answer.declared)
    )
    handler.end_headers()
    with contextlib.suppress(ConnectionError):
        handler.wfile.write(answer.body)


def in_turn(*answers: Answer) -> Callable[[Request], Answer]:
    """Answer each request with the next of these answers; the last one stays."""
    left = list(answers)
    return lambda request: left.pop(0) if len(left) > 1 else left[0]


@contextlib.contextmanager
def serving_rows(
    tables: Mapping[str, Path | Sequence[Mapping[str, Any]]],
    token: str | None = None,
    user_password: tuple[str, str] | None = None,
    size: int = 500,
) -> Iterator[Server]:
    """Serve tables (CSV files, or records) as a paged REST API: `GET <address>/<table>`.

    The body is `{"items": [...], "page", "pages", "total", "next_cursor", "next"}`, and
    the header has a `Link`. The start of a page is named by `page` (from 1), `offset`
    or `cursor`, its size by `size` or `limit`.
    """
    records = {name: _records(table) for name, table in tables.items()}
    expected = _authorization(token, user_password)

    def answer(request: Request) -> Answer:
        if expected and request.headers.get("Authorization") != expected:
            return json_answer({"error": "unauthorized"}, 401)
        rows = records.get(request.path.strip("/"))
        return (
            json_answer({"error": "no such table"}, 404)
            if rows is None
            else _page(request, rows, size)
        )

    with serving(answer) as server:
        yield server


def _records(table: Path | Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    if not isinstance(table, Path):
        return table
    with table.open(newline="", encoding="utf-8-sig") as file:
        return list(csv.DictReader(file))


def _authorization(token: str | None, user_password: tuple[str, str] | None) -> str | None:
    if user_password:
        return "Basic " + base64.b64encode(":".join(user_password).encode()).decode()
    return f"Bearer {token}" if token else None


def _page(request: Request, rows: Sequence[Mapping[str, Any]], size: int) -> Answer:
    size = int(request.query.get("size", request.query.get("limit", size)))
    page = int(request.query.get("page", 1))
    start = int(request.query.get("offset", request.query.get("cursor", (page - 1) * size)))
    following = start + size if start + size < len(rows) else None
    link = None if following is None else f"{request.path}?offset={following}&limit={size}"
    body = {
        "items": rows[start : start + size],
        "page": page,
        "pages": -(-len(rows) // size),
        "total": len(rows),
        "next_cursor": following,
        "next": link,
    }
    return json_answer(body, **({"Link": f'<{link}>; rel="next"'} if link else {}))


def free_port() -> int:
    """Return a port on loopback that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def find_postgres() -> Path | None:
    """Return the folder of PostgreSQL's programs, from PATH or where Debian puts them."""
    on_path = shutil.which("initdb")
    folders = [Path(on_path).parent] if on_path else []
    folders += [
        Path(name).parent
        for name in sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb"), reverse=True)
    ]
    return folders[0] if folders else None


@contextlib.contextmanager
def serving_postgres() -> Iterator[str]:
    """Run a new PostgreSQL server with password authentication while the block runs;
    yields its SQLAlchemy address.
    """
    programs, port = find_postgres(), free_port()
    if programs is None:
        raise FileNotFoundError("PostgreSQL's programs are not installed")
    as_user = _unprivileged()
    with tempfile.TemporaryDirectory(prefix="postgres-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        _make_cluster(programs, folder, as_user)
        settings = (
            f"port={port}",
            "listen_addresses=127.0.0.1",
            f"unix_socket_directories={folder}",
            "fsync=off",
        )
        options = [part for setting in settings for part in ("-c", setting)]
        with (folder / "log").open("wb") as log:
            server = subprocess.Popen(
                [programs / "postgres", "-D", folder / "data", *options],
                stdout=log,
                stderr=log,
                cwd=folder,
                **as_user,
            )
        try:
            _wait_for_postgres(server, port, folder / "log")
            yield f"postgresql+psycopg://{POSTGRES_USER}:{POSTGRES_PASSWORD}@127.0.0.1:{port}/postgres"
        finally:
            server.terminate()
            server.wait(_SECONDS_TO_START)


def _unprivileged() -> dict[str, Any]:
    """Return whom to run PostgreSQL as: it refuses to be run by root."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return {}
    import pwd

    known = {entry.pw_name for entry in pwd.getpwall()}
    return {"user": "postgres" if "postgres" in known else "nobody", "extra_groups": []}


def _make_cluster(programs: Path, folder: Path, as_user: dict[str, Any]) -> None:
    password = folder / "password"
    password.write_text(POSTGRES_PASSWORD)
    if as_user:
        for path in (folder, password):
            shutil.chown(path, as_user["user"])
    options = ["-U", POSTGRES_USER, "-A", "scram-sha-256", "-E", "UTF8", "--locale=C", "--no-sync"]
    subprocess.run(
        [programs / "initdb", "-D", folder / "data", "--pwfile", password, *options],
        check=True,
        capture_output=True,
        cwd=folder,
        **as_user,
    )


def _wait_for_postgres(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + _SECONDS_TO_START
    while server.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(psycopg.OperationalError):
            psycopg.connect(
                f"host=127.0.0.1 port={port} dbname=postgres user={POSTGRES_USER} "
                f"password={POSTGRES_PASSWORD}"
            ).close()
            return
        time.sleep(0.05)
    raise TimeoutError(f"PostgreSQL did not start: {log.read_text(errors='replace')[-2000:]}")


def load_csv(address: str, file: Path, table: str) -> None:
    """Load a CSV file into a new table of text columns of any SQLAlchemy database."""
    with file.open(newline="", encoding="utf-8-sig") as lines:
        reader = csv.reader(lines)
        names = next(reader)
        rows = [dict(zip(names, row, strict=True)) for row in reader]
    engine = sa.create_engine(address)
    made = sa.Table(table, sa.MetaData(), *[sa.Column(name, sa.Text) for name in names])
    with engine.begin() as connection:
        made.drop(connection, checkfirst=True)
        made.create(connection)
        connection.execute(sa.insert(made), rows)
    engine.dispose()


@contextlib.contextmanager
def serving_company(
    folder: Path, workplace: Path, example: Path
) -> Iterator[tuple[Path, dict[str, str]]]:
    """Serve the four tables in a folder as three kinds of source; yields a params file
    and the variables it needs.

    `contract` is a CSV file, `personal` a PostgreSQL table (SQLite where PostgreSQL is
    not installed), `internet` and `phone` are paged APIs with a bearer token. The rest
    of the params file is that of `example`.
    """
    token = "s3cret-of-the-api"
    tables = {name: folder / f"{name}.csv" for name in ("internet", "phone")}
    with contextlib.ExitStack() as stack:
        database = f"sqlite:///{workplace / 'crm.sqlite'}"
        if find_postgres():
            database = stack.enter_context(serving_postgres())
        load_csv(database, folder / "personal.csv", "personal")
        api = stack.enter_context(serving_rows(tables, token=token)).address
        params = workplace / "served.yaml"
        _write_served_params(
            example, params, database.replace(POSTGRES_PASSWORD, "${CRM_PASSWORD}"), api
        )
        yield (
            params,
            {"CHURN_DATA": str(folder), "CRM_PASSWORD": POSTGRES_PASSWORD, "COMPANY_TOKEN": token},
        )


def _write_served_params(example: Path, target: Path, database: str, api: str) -> None:
    yaml = YAML()
    facts = yaml.load(example.read_text(encoding="utf-8"))
    sources = facts["sources"]
    for name in ("personal", "internet", "phone"):
        del sources[name]["file"]
    sources["personal"] |= {"database": database, "table": "personal"}
    common = {"records": "items", "auth": {"bearer": "${COMPANY_TOKEN}"}}
    by_page = {"kind": "page_number", "size_param": "size", "size": 1000, "total_pages": "pages"}
    sources["internet"] |= {"api": f"{api}/internet", "paging": by_page, **common}
    sources["phone"] |= {"api": f"{api}/phone", "paging": {"kind": "next_link"}, **common}
    with target.open("w", encoding="utf-8") as file:
        yaml.dump(facts, file)
