"""A program: Prefect's API on a free port of loopback, without UI and schedules, for one run.

Prints its address at once, and answers when it is ready. It is what Prefect starts itself where none runs; started by
this project it comes up while Prefect is imported, ends with the run, and no other program can take its port.
"""

from __future__ import annotations

import socket

from orchestrator.loading import loading


def main() -> None:
    """Serve until terminated."""
    listener = socket.create_server(("127.0.0.1", 0))
    print(f"http://127.0.0.1:{listener.getsockname()[1]}/api", flush=True)
    with loading():
        import uvicorn
        from prefect.server.api.server import create_app
        from prefect.settings import get_current_settings

        # Prefect's client makes it too, at about the same time: on a new machine the database may be asked for before.
        get_current_settings().home.mkdir(parents=True, exist_ok=True)
        app = create_app(ephemeral=True, final=True)
    uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="on")).run(sockets=[listener])


if __name__ == "__main__":
    main()
