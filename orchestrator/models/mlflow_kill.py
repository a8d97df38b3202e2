"""A program that sets what a run has left RUNNING in MLflow to KILLED, and prints the ids there.

`python mlflow_kill.py RUN_ID`, started by `mlflow_runs`, with MLflow's address in its
usual variable: an address may hold a password, and the arguments of a process can be
read by every user.
"""

from __future__ import annotations

import contextlib
import sys

import mlflow


def main(run_id: str) -> None:
    """Find the runs in all experiments, and end them."""
    running = f"tags.`churn.run_id` = '{run_id}' AND attributes.status = 'RUNNING'"
    client = mlflow.MlflowClient()
    for run in mlflow.search_runs(
        search_all_experiments=True, filter_string=running, output_format="list"
    ):
        with contextlib.redirect_stdout(sys.stderr):  # it prints addresses
            client.set_terminated(run.info.run_id, "KILLED")
        print(run.info.run_id)


if __name__ == "__main__":
    main(sys.argv[1])
