"""The promotion gate in whole runs: who becomes the champion, what a run tells, and how
it is changed by hand.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from helpers.projects import churn, make_quick, read_run, run_flow

WORSE = ("--set", "model_building.max_training_rows=1000")


def champion(root: Path) -> int:
    """Return the version that is in use."""
    versions = json.loads(churn(root, "models", "--json").stdout)
    (found,) = (one["version"] for one in versions if "champion" in one["aliases"])
    return int(found)


@pytest.mark.e2e
def test_the_champion_is_kept_promoted_by_hand_and_rolled_back(
    project_copy: Path, prefect_api: dict[str, str]
) -> None:
    """The first model is the champion; a worse one is not, which only `--strict` makes
    a failure; hands may differ.
    """
    assert churn(project_copy, "models").returncode == 2
    make_quick(project_copy, customers=4000)
    first = run_flow(project_copy, env=prefect_api)
    assert first.returncode == 0, first.stderr
    assert "churn/1: first model." in first.stdout
    assert read_run(project_copy).stage("model_building").results["promotion"] == "first model"
    assert (
        project_copy / "data/accepted/sample-telecom-company-synthetic/importance.json"
    ).is_file()

    second = run_flow(project_copy, *WORSE, env=prefect_api)
    assert second.returncode == 0, second.stderr
    assert re.search(r"churn/2: kept champion 1: .*\b0\.\d", second.stdout)
    record = read_run(project_copy)
    page = (project_copy / "outputs" / "runs" / record.run_id / "index.html").read_text(
        encoding="utf-8"
    )
    assert re.search(r"churn/2: kept champion 1: .*\b0\.\d", page)

    strict = run_flow(
        project_copy, *WORSE, "--set", "model_building.seed=1", "--strict", env=prefect_api
    )
    assert strict.returncode == 1
    assert re.search(r"churn/3: kept champion 1: .*\b0\.\d", strict.stderr)
    assert read_run(project_copy).status == "completed"
    assert champion(project_copy) == 1

    promoted = churn(project_copy, "promote", record.run_id, "--reason", "a try")
    assert promoted.returncode == 0
    assert re.match(r"churn 2 is the champion .*\b1\.$", promoted.stdout.strip())
    assert champion(project_copy) == 2
    front = (project_copy / "outputs" / "index.html").read_text(encoding="utf-8")
    assert '<p class="figure">churn 2</p>' in front
    back = churn(project_copy, "rollback", "--reason", "it was worse")
    assert back.returncode == 0
    assert re.match(r"churn 1 is the champion .*\b2\.$", back.stdout.strip())
    unknown = churn(project_copy, "promote", "9")
    assert unknown.returncode == 2
    assert "churn has no version '9'" in unknown.stderr
