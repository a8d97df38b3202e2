"""Serve the sample company's services as a paged REST API on loopback, for as long as
standard input stays open.

    TOKEN=... python -m churn.sample.server --folder data/sample/made --token-in TOKEN

The first line on standard output is the base address. Every request needs the header
`Authorization: Bearer` with the token. All answers are JSON:

- `GET /internet?page=1&size=500` -> `{"items": [...], "page": 1, "pages": 12, "total":
  5585}`; no items past the end
- `GET /phone?size=500&cursor=...` -> `{"items": [...], "next_cursor": "..."}`; the
  cursor is null on the last page
- errors -> `{"error": "..."}` with status 400 (bad query), 401 (no or wrong token), 404
  (no such path)
"""

from __future__ import annotations

import argparse
import hmac
import json
import os
import signal
import socketserver
import sqlite3
import sys
import threading
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

LARGEST_PAGE = 5_000
DEFAULT_SIZE = 500
DATABASE = "services.sqlite"
_MOST = 2**40  # times LARGEST_PAGE still a row id for SQLite
Answer = dict[str, Any]


class BadQueryError(ValueError):
    """The query of a request is wrong; the message says what was expected."""


class Services:
    """The tables `internet` and `phone` of one services.sqlite, read page by page
    through their row ids.

    company.py numbers the rows from 1 without gaps, so that a page is found without
    counting the rows before it.
    """

    def __init__(self, path: Path) -> None:
        self.address = f"{path.resolve().as_uri()}?mode=ro"
        self.totals = {name: self._count(name) for name in ("internet", "phone")}

    def read_numbered(self, table: str, page: int, size: int) -> Answer:
        """Read the page with this number, from 1; past the end it has no items."""
        total = self.totals[table]
        items, _ = self._read(table, (page - 1) * size, size)
        return {"items": items, "page": page, "pages": -(-total // size), "total": total}

    def read_after(self, table: str, cursor: int, size: int) -> Answer:
        """Read the rows that follow a cursor, which is the id of the last row read
        before (0 at the start).
        """
        items, last = self._read(table, cursor, size)
        return {
            "items": items,
            "next_cursor": str(last) if items and last < self.totals[table] else None,
        }

    def _read(self, table: str, after: int, size: int) -> tuple[list[Answer], int]:
        query = f"SELECT rowid, * FROM {table} WHERE rowid > ? ORDER BY rowid LIMIT ?"
        with closing(self._connect()) as database:
            cursor = database.execute(query, (after, size))
            names = [column[0] for column in cursor.description][1:]
            rows = cursor.fetchall()
        return [dict(zip(names, row[1:], strict=True)) for row in rows], rows[-1][
            0
        ] if rows else after

    def _count(self, table: str) -> int:
        with closing(self._connect()) as database:
            return int(
                database.execute(f"SELECT coalesce(max(rowid), 0) FROM {table}").fetchone()[0]
            )

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(self.address, uri=True)


class Server(ThreadingHTTPServer):
    """The API on a port of 127.0.0.1; port 0 takes a free one."""

    daemon_threads = True

    def __init__(self, services: Services, token: str, port: int = 0) -> None:
        self.services, self.token = services, token
        super().__init__(("127.0.0.1", port), _Handler)

    def server_bind(self) -> None:
        """Bind without looking up the host's name, which can take seconds."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "127.0.0.1", int(self.server_address[1])

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of callers that hang up."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)

    @property
    def address(self) -> str:
        """Base address, without a slash at its end."""
        return f"http://127.0.0.1:{self.server_port}"

    def answer(self, path: str, query: dict[str, str]) -> Answer | None:
        """Answer an authorised request; None where there is no such path.

        Raises:
            BadQueryError: an unknown or a wrong parameter.
        """
        if path == "/internet":
            _check_names(query, "page", "size")
            return self.services.read_numbered(
                "internet", _number(query, "page", 1, 1, _MOST), _size(query)
            )
        if path == "/phone":
            _check_names(query, "cursor", "size")
            return self.services.read_after(
                "phone", _number(query, "cursor", 0, 1, _MOST), _size(query)
            )
        return None


class _Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"
    # Head and body leave in one piece: two small ones would wait for each other on a
    # kept connection.
    wbufsize = -1
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        if self._is_authorised():
            self._send(*self._answer())
        else:
            told = "the header `Authorization: Bearer <token>` is missing or wrong"
            self._send(401, {"error": told})

    def _answer(self) -> tuple[int, Answer]:
        try:
            parts = urlsplit(self.path)
            answer = self.server.answer(
                parts.path, dict(parse_qsl(parts.query, keep_blank_values=True))
            )
        except ValueError as error:
            return 400, {"error": str(error)}
        except sqlite3.Error as error:
            return 500, {"error": f"{DATABASE} cannot be read: {error}"}
        if answer is None:
            return 404, {"error": f"there is no {parts.path}; there are /internet and /phone"}
        return 200, answer

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer what the base class refuses (a broken request, another method) in JSON too."""
        self.close_connection = True
        self._send(code, {"error": message or explain or self.responses.get(code, ("error",))[0]})

    def log_message(self, format: str, *args: Any) -> None:
        """Keep the log of the run that started this server free of requests."""

    def _is_authorised(self) -> bool:
        given = self.headers.get("Authorization", "").encode("latin-1", "replace")
        return hmac.compare_digest(given, f"Bearer {self.server.token}".encode())

    def _send(self, status: int, answer: Answer) -> None:
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if status == 401:
            self.send_header("WWW-Authenticate", "Bearer")
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)


def _check_names(query: dict[str, str], *known: str) -> None:
    for name in query.keys() - set(known):
        raise BadQueryError(f"unknown parameter `{name}`; known here: {', '.join(known)}")


def _size(query: dict[str, str]) -> int:
    return _number(query, "size", DEFAULT_SIZE, 1, LARGEST_PAGE)


def _number(query: dict[str, str], name: str, default: int, least: int, most: int) -> int:
    text = query.get(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= 16 and least <= int(text) <= most):
        raise BadQueryError(
            f"`{name}` is {text!r}; it must be a whole number from {least} to {most}"
        )
    return int(text)


def main(arguments: list[str] | None = None) -> int:
    """Serve until standard input closes, SIGTERM or Ctrl-C; 0 then, 2 where there is no
    token or nothing to serve.
    """
    parser = argparse.ArgumentParser(
        description="Serve the sample company's API until standard input closes."
    )
    parser.add_argument(
        "--folder", type=Path, required=True, help="folder that company.py has made"
    )
    parser.add_argument(
        "--port", type=int, default=0, help="port on 127.0.0.1 (default: a free one)"
    )
    parser.add_argument(
        "--token-in",
        metavar="VARIABLE",
        required=True,
        help="environment variable that holds the token which callers must send",
    )
    options = parser.parse_args(arguments)
    database = options.folder / DATABASE
    try:
        token = _read_token(options.token_in)
        server = Server(Services(database), token, options.port)
    except (OSError, OverflowError, ValueError, sqlite3.Error) as error:
        print(f"The API of {database} cannot be served: {error}", file=sys.stderr)
        return 2
    with server:
        _serve(server)
    return 0


def _read_token(variable: str) -> str:
    token = os.environ.get(variable, "")
    if not (token and token.isascii() and token.isprintable()):
        raise ValueError(
            f"set the environment variable {variable} to the token that callers must send."
        )
    return token


def _serve(server: Server) -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
    ).start()
    try:
        print(server.address, flush=True)
        while sys.stdin and sys.stdin.buffer.read(4096):
            pass
    except (KeyboardInterrupt, BrokenPipeError):
        pass
    finally:
        server.shutdown()


if __name__ == "__main__":
    raise SystemExit(main())
