"""A program: MLflow's scoring server of one model, on loopback, as `mlflow models serve` has it.

Started as `own_scoring.py PORT FOLDER`, with the folder of a model whose file was verified; prints
its address when the port is its own. Answers only to this machine's own names, and to no page.
"""

from __future__ import annotations

import os
import socket
import sys

from orchestrator.flows.own_server import for_own_pages


def main() -> None:
    """Serve until terminated."""
    port, folder = int(sys.argv[1]), sys.argv[2]
    try:
        listener = socket.create_server(("127.0.0.1", port))
    except OSError:
        raise SystemExit(
            f"127.0.0.1:{port} is taken by another program: name another port with --port."
        ) from None
    print(f"http://127.0.0.1:{port}/invocations; Ctrl-C stops it.", flush=True)
    os.environ |= {
        # Else MLflow loads no model at all; this one is made of a file that was verified.
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "true",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    }
    import mlflow.pyfunc
    import uvicorn
    from mlflow.pyfunc import scoring_server

    app = scoring_server.init(mlflow.pyfunc.load_model(folder))
    config = uvicorn.Config(for_own_pages(app, port), log_level="error")
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
