"""A program: Prefect's server, on loopback, for one run or, with `--port`, with UI and schedules.

Prints its address at once, and answers when it is ready. Started by this project it comes up
while Prefect is imported, ends with what started it, and no other program can take its port.
It answers only to this machine's own names, and to pages of its own: Prefect's lets any page
in a browser on this machine start runs.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import threading
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from filelock import FileLock

from orchestrator.engine.quick_imports import loading

_NAMES = ("127.0.0.1", "localhost")

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Scope]]
Send = Callable[[Scope], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]


def main() -> None:
    """Serve until terminated."""
    port = int(sys.argv[2]) if sys.argv[1:2] == ["--port"] else 0
    threading.Thread(target=_end_with_starter, daemon=True).start()
    listener = listen(port)
    address = f"http://127.0.0.1:{listener.getsockname()[1]}"
    print(f"{address}/api", flush=True)
    os.environ |= {
        "PREFECT_UI_API_URL": f"{address}/api",
        "PREFECT_SERVER_CORS_ALLOWED_ORIGINS": address,
    }
    # Where another program's counters lie, which its user alone may write: Feast, too, sets
    # them for all that its process starts.
    for name in ("PROMETHEUS_MULTIPROC_DIR", "PROMETHEUS_MULTIPROCESS_DIR"):
        os.environ.pop(name, None)
    with loading():
        import uvicorn
        from prefect.server.api.server import create_app
        from prefect.settings import get_current_settings

        # Prefect's client makes it too, at about the same time: on a new machine the
        # database may be asked for before.
        home = get_current_settings().home
        home.mkdir(parents=True, exist_ok=True)
        app = create_app(ephemeral=not port, final=True)
    guarded = for_own_pages(app, listener.getsockname()[1])
    config = uvicorn.Config(guarded, log_level="error", lifespan="on")

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            # Two that make the database's tables at once, as the first runs of two projects,
            # get in each other's way, and fail.
            with FileLock(home / "churn_start.lock"):
                await super().startup(sockets)

    with contextlib.suppress(KeyboardInterrupt):  # which uvicorn raises when it has ended
        Server(config).run(sockets=[listener])
    os._exit(0)  # to take Prefect down object by object takes a second, for which a run waits


def listen(preferred: int) -> socket.socket:
    """Listen on loopback: on the preferred port, or where that is taken on any other; at once,
    since a port that is only looked at may be taken a moment later.
    """
    try:
        return socket.create_server(("127.0.0.1", preferred))
    except OSError:
        return socket.create_server(("127.0.0.1", 0))


def _end_with_starter() -> None:
    """End this process at once when what started it is gone, `kill -9` too: the other end of its
    standard input is closed then. The guard that ends what runs leave may be gone with it.
    """
    while os.read(sys.stdin.fileno(), 1):  # a lock of `sys.stdin` would be in the way of the end
        pass
    os._exit(0)


def for_own_pages(app: App, port: int) -> App:
    """Return an application that refuses, with 403, requests by another name of this machine
    (DNS rebinding) and those of pages that came from elsewhere (cross-site requests).
    """
    hosts = {f"{name}:{port}".encode() for name in _NAMES}
    origins = {b"http://" + host for host in hosts}

    async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope.get("headers", ()))
        is_own = headers.get(b"host") in hosts and headers.get(b"origin") in {None, *origins}
        if scope["type"] == "lifespan" or is_own:
            await app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await send({"type": "http.response.start", "status": 403, "headers": []})
            await send({"type": "http.response.body", "body": b"Not for pages from elsewhere."})

    return guarded


if __name__ == "__main__":
    main()
