"""A program: MLflow's UI of a database, on loopback, as `mlflow ui` serves it.

Started as `own_mlflow.py PORT DATABASE_URI`; prints its address at once. Answers only to this
machine's own names, and to pages of its own: MLflow's lets pages of every other port of this
machine read and write, which no option of it changes.
"""

from __future__ import annotations

import os
import sys

from orchestrator.flows.own_server import for_own_pages, listen


def main() -> None:
    """Serve until terminated."""
    listener = listen(int(sys.argv[1]))
    port = listener.getsockname()[1]
    print(f"http://127.0.0.1:{port}", flush=True)
    import uvicorn
    from mlflow.server import constants

    os.environ |= {
        constants.BACKEND_STORE_URI_ENV_VAR: sys.argv[2],
        constants.REGISTRY_STORE_URI_ENV_VAR: sys.argv[2],
        constants.ARTIFACT_ROOT_ENV_VAR: "mlartifacts",
    }
    from mlflow.server.fastapi_app import app

    config = uvicorn.Config(for_own_pages(app, port), log_level="error")
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
