"""`churn ui` and `churn open`: the pages and the two UIs on loopback, and later runs in
the same Prefect server.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from helpers.projects import churn, read_run, run_flow, wait_until

pytestmark = pytest.mark.e2e


def test_three_addresses_that_stop_together(tiny_project: Path, tmp_path: Path) -> None:
    """Reports, Prefect and, when there is a database, MLflow answer; runs use that
    server; SIGTERM ends all.
    """
    (tiny_project / "outputs").mkdir()
    environment = {name: value for name, value in os.environ.items() if name != "PREFECT_API_URL"}
    environment |= {"PYTHONPATH": str(tiny_project), "PREFECT_HOME": str(tmp_path / "prefect")}
    ui = subprocess.Popen(
        [sys.executable, "-u", "-m", "orchestrator", "ui"],
        cwd=tiny_project,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert ui.stdout
        told = dict(ui.stdout.readline().split(maxsplit=1) for _ in range(3))
        assert "has nothing to show yet" in told["MLflow"]
        ended = subprocess.run(
            [sys.executable, "orchestrator/flow.py", "--quiet"],
            cwd=tiny_project,
            env=environment,
            timeout=300,
            check=False,
        )
        assert ended.returncode == 0
        flow_run = read_run(tiny_project).prefect.flow_run_id
        prefect, site = told["Prefect"].strip(), told["Reports"].strip()
        assert (
            httpx.get(f"{prefect}/api/flow_runs/{flow_run}").json()["state"]["type"] == "COMPLETED"
        )
        assert read_run(tiny_project).run_id in httpx.get(site).text
        (tiny_project / "outputs/mlflow.db").write_bytes(b"private")
        assert httpx.get(site.replace("index.html", "mlflow.db")).status_code == 404
        assert httpx.get(site.replace("index.html", "%2e%2e/params.yaml")).status_code == 404
        assert httpx.get(site, headers={"Host": "attacker.example"}).status_code == 404, (
            "another site may not read it"
        )
        assert (
            json.loads((tiny_project / "outputs/servers.json").read_bytes())["prefect"]
            == f"{prefect}/api"
        )
    finally:
        ui.send_signal(signal.SIGTERM)
        ui.wait(60)
    assert not (tiny_project / "outputs/servers.json").exists()
    with pytest.raises(httpx.ConnectError):
        httpx.get(site)

    def is_down() -> bool:
        try:
            return not httpx.get(f"{prefect}/api/health").is_success
        except httpx.ConnectError:
            return True

    wait_until(is_down, seconds=20)


def test_open_names_the_page(tiny_project: Path, prefect_api: dict[str, str]) -> None:
    """The front page, a run's page, a stage's report of the latest run; a typo is told
    with the nearest name.
    """
    assert "run the pipeline first" in churn(tiny_project, "open", "--print").stderr
    assert run_flow(tiny_project, "--only", "ingestion", env=prefect_api).returncode == 0
    run_id, outputs = read_run(tiny_project).run_id, tiny_project / "outputs"
    assert churn(tiny_project, "open", "--print").stdout.strip() == str(outputs / "index.html")
    for name in ("latest", run_id):
        told = churn(tiny_project, "open", "--print", name).stdout.strip()
        assert told == str(outputs / "runs" / run_id / "index.html")
    told = churn(tiny_project, "open", "--print", "ingestion").stdout.strip()
    assert told == str(outputs / "runs" / run_id / "01_ingestion.html")
    assert "did you mean 'ingestion'?" in churn(tiny_project, "open", "--print", "ingestoin").stderr
    refused = churn(tiny_project, "open", "--print", "validation")
    assert refused.returncode == 2
    assert "no report" in refused.stderr
