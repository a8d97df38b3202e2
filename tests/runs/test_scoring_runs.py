"""Whole scoring runs of the sample company: scored, refused, traced, served, evaluated."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pandas as pd
import pytest

from helpers.projects import (
    churn,
    copy_project,
    free_port,
    read_facts,
    run_flow,
    wait_until,
    write_facts,
)
from orchestrator.project import Project
from orchestrator.records.record import RunRecord, read_record, read_records

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("scoring")]  # they share a trained model

CUSTOMERS = 3000
DAY = "2026-01-01"
QUICK = {"cv_repeats": 1, "bootstrap_samples": 20, "leakage_auc": None}


def latest(root: Path) -> RunRecord:
    """Return the record of the newest scoring run."""
    return read_record(Project(root), "latest-scoring")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, prefect_api: dict[str, str]) -> Iterator[Path]:
    """A project with a model that was trained on the sample company."""
    made = copy_project(tmp_path_factory.mktemp("scoring") / "project")
    facts = read_facts(made / "params.yaml")
    facts["sample"]["customers"] = CUSTOMERS
    facts["stages"] = {"model_building": QUICK}
    write_facts(made / "params.yaml", facts)
    os.environ.update(prefect_api)
    ended = run_flow(made, "--quiet")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    yield made
    for name in prefect_api:
        os.environ.pop(name, None)


@pytest.fixture(scope="module")
def scored(root: Path) -> pd.DataFrame:
    """The scores of today's customers."""
    ended = churn(root, "score", "--out", "scores.csv", "--quiet")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "Written: " in ended.stdout
    return pd.read_csv(root / "scores.csv", dtype={"customerID": str})


@pytest.fixture(scope="module")
def exported(root: Path, scored: pd.DataFrame) -> Path:
    """Today's customers as files, without the end date, and the facts of them; one id
    looks like a formula.
    """
    folder = root.parent / "today"
    folder.mkdir()
    facts = read_facts(root / "params.yaml")
    del facts["sample"]
    for name, source in facts["sources"].items():
        table = pd.read_parquet(root / f"data/scoring/raw/{name}.parquet").astype("object")
        table["customerID"] = table["customerID"].replace(scored["customerID"][0], "=1+1")
        if name == "contract":
            table = table[table["EndDate"].str.strip().str.lower().eq("no")].drop(
                columns=["EndDate", "TotalCharges"]
            )
        table.to_csv(folder / f"{name}.csv", index=False)
        kept = {key: source[key] for key in ("columns", "absent", "present") if key in source}
        facts["sources"][name] = {"file": str(folder / f"{name}.csv"), **kept}
    write_facts(folder / "today.yaml", facts)
    return folder


def change_contract(exported: Path, folder: Path, change: Any) -> Path:
    """Copy the exported files, change the first table, and return the facts of the copy."""
    shutil.copytree(exported, folder)
    table = change(pd.read_csv(folder / "contract.csv", dtype="str", keep_default_na=False))
    table.to_csv(folder / "contract.csv", index=False)
    text = (folder / "today.yaml").read_text(encoding="utf-8").replace(str(exported), str(folder))
    (folder / "today.yaml").write_text(text, encoding="utf-8")
    return folder / "today.yaml"


def test_today_s_customers_are_scored(root: Path, scored: pd.DataFrame) -> None:
    """Each has a probability, a rank by it, and whether to contact; the most likely
    have reasons.
    """
    features = pd.read_parquet(root / "data/scoring/features/scoring.parquet")
    assert scored["customerID"].tolist() == features["customerID"].tolist()
    assert 500 < len(scored) < CUSTOMERS
    assert scored["as_of"].unique().tolist() == [DAY]
    assert sorted(scored["rank"]) == list(range(1, len(scored) + 1))
    assert scored.sort_values("rank")["probability"].is_monotonic_decreasing
    assert 0 < scored["contact"].sum() < len(scored)
    assert scored.loc[scored["contact"], "expected_gain"].min() > 0
    assert scored.nsmallest(20, "rank")["reasons"].str.contains("point").all()
    assert scored["model"].unique().tolist() == ["models:/churn/1"]


def test_the_record_says_what_was_scored_with_what(root: Path, scored: pd.DataFrame) -> None:
    """The run is one of scoring; its output, its model and its results are recorded;
    training's stays the latest.
    """
    record = latest(root)
    entry = record.stage("scoring")
    assert (record.pipeline, record.status, record.mlflow.model) == ("scoring", "completed", None)
    assert list(entry.outputs) == ["scores.csv"]
    assert entry.results["customers"] == len(scored)
    assert entry.results["scored_with"] == "models:/churn/1"
    assert read_record(Project(root), "latest").pipeline == "training"
    report = (root / "outputs/runs" / record.run_id / "04_transformation.ipynb").read_text(
        encoding="utf-8"
    )
    assert "For training only; not executed here" in report
    status = churn(root, "status", "--no-refresh").stdout
    assert status.count("reused") == 6


def test_the_file_is_traced_to_sources_and_model(root: Path, scored: pd.DataFrame) -> None:
    """From the file of scores one comes to the model, its training, and the data of both."""
    answer = json.loads(churn(root, "trace", "scores.csv", "--json").stdout)
    assert {"models:/churn/1"} <= {*answer["made_by"]}
    names = {node["name"] for node in answer["nodes"]}
    assert {
        "model_building",
        "scoring",
        "data/features",
        "data/scoring/features",
        "data/scoring/raw",
    } <= names
    assert churn(root, "verify", "latest-scoring").returncode == 0


def test_a_second_run_has_nothing_to_do_until_the_file_is_gone(
    root: Path, scored: pd.DataFrame
) -> None:
    """All stages are reused; when the output was removed, scoring alone runs again and
    writes the same scores.
    """
    assert churn(root, "score", "--out", "scores.csv", "--quiet", "--no-refresh").returncode == 0
    assert {entry.status for entry in latest(root).stages} == {"reused"}
    (root / "scores.csv").unlink()
    assert churn(root, "score", "--out", "scores.csv", "--quiet", "--no-refresh").returncode == 0
    assert [entry.status for entry in latest(root).stages] == [*["reused"] * 4, "completed"]
    again = pd.read_csv(root / "scores.csv", dtype={"customerID": str})
    pd.testing.assert_frame_equal(again.drop(columns="run_id"), scored.drop(columns="run_id"))


def test_data_without_the_answer_gives_the_same_scores(
    root: Path, exported: Path, scored: pd.DataFrame
) -> None:
    """Files without end date and bills, of customers with an id like a formula, are
    scored as with them.
    """
    words = ("--sources", str(exported / "today.yaml"), "--as-of", DAY, "--contact", "50")
    ended = churn(root, "score", *words, "--out", "plain.csv", "--quiet")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    with (root / "plain.csv").open(newline="", encoding="utf-8") as lines:
        rows = {row["customerID"]: row for row in csv.DictReader(lines)}
    assert "=1+1" not in rows
    assert sum(row["contact"] == "true" for row in rows.values()) == 50
    known = {scored["customerID"][0]: "'=1+1"}
    for row in scored.head(300).itertuples():
        assert (
            float(rows[known.get(row.customerID, row.customerID)]["probability"]) == row.probability
        )


def test_a_missing_column_is_refused_by_name(root: Path, exported: Path, tmp_path: Path) -> None:
    """A renamed column stops the run, with the name that it had; nothing is written."""
    facts = change_contract(
        exported, tmp_path / "renamed", lambda table: table.rename(columns={"Type": "Tyype"})
    )
    ended = churn(
        root, "score", "--sources", str(facts), "--as-of", DAY, "--out", "refused.csv", "--quiet"
    )
    assert ended.returncode == 1
    said = ended.stdout + ended.stderr
    assert "no column 'Type'" in said
    assert "did you mean 'Tyype'?" in said
    assert not (root / "refused.csv").exists()


def test_drift_is_a_warning(root: Path, exported: Path, tmp_path: Path) -> None:
    """Customers of one kind only are scored, and the run says which features have moved."""
    facts = change_contract(
        exported, tmp_path / "drifted", lambda table: table[table["Type"].str[:2] != "Mo"]
    )
    ended = churn(
        root,
        "score",
        "--sources",
        str(facts),
        "--as-of",
        DAY,
        "--out",
        "drifted.parquet",
        "--quiet",
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "features have moved since training" in ended.stdout
    assert int(latest(root).stage("scoring").results["features_moved"]) > 0
    assert pd.read_parquet(root / "drifted.parquet")["probability"].between(0, 1).all()


def test_a_table_gets_the_scores_of_each_run(root: Path, scored: pd.DataFrame) -> None:
    """Each run adds its rows to the table, also where no stage before has anything to do."""
    for _ in range(2):
        ended = churn(
            root,
            "score",
            "--out",
            "sqlite:///crm.sqlite",
            "--table",
            "scored",
            "--quiet",
            "--no-refresh",
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr
    connection = sqlite3.connect(root / "crm.sqlite")
    counts = connection.execute(
        "SELECT run_id, count(*), sum(contact) FROM scored GROUP BY run_id"
    ).fetchall()
    connection.close()
    assert {row[0] for row in counts} <= {record.run_id for record in read_records(Project(root))}
    assert len(counts) == 2
    assert {row[1] for row in counts} == {len(scored)}
    assert {row[2] for row in counts} == {int(scored["contact"].sum())}


def test_what_is_wrong_is_told_before_a_run(root: Path) -> None:
    """No such model, a parameter that does not exist, a day that is none."""
    runs = len(list((root / "outputs/runs").iterdir()))
    ended = churn(root, "score", "--out", "x.csv", "--model", "9")
    assert ended.returncode == 2
    assert "churn has the versions 1;" in ended.stderr
    assert "@challenger is 1, @champion is 1" in ended.stderr
    ended = churn(root, "score", "--out", "x.csv", "--set", "scoring.topp=5")
    assert (ended.returncode, "did you mean 'top'" in ended.stderr) == (2, True)
    assert churn(root, "score", "--out", "x.csv", "--as-of", "soon").returncode == 2
    assert len(list((root / "outputs/runs").iterdir())) == runs


def test_a_model_that_was_altered_is_not_loaded(root: Path) -> None:
    """Neither scoring nor the server takes a file that is not the one that was registered."""
    (file,) = root.glob("outputs/mlartifacts/**/model.skops")
    content = file.read_bytes()
    try:
        file.write_bytes(content + b"x")
        for command in (("score", "--out", "x.csv"), ("serve-model", "--port", str(free_port()))):
            ended = churn(root, *command)
            assert ended.returncode == 1
            assert "is not what was registered" in ended.stderr
    finally:
        file.write_bytes(content)


@pytest.mark.skipif(sys.platform == "win32", reason="no signal interrupts another process there")
def test_the_model_answers_over_http(root: Path, scored: pd.DataFrame) -> None:
    """MLflow's server gives the probabilities that scoring gave, and an interruption
    leaves no process.
    """
    port = free_port()
    command = [sys.executable, "-m", "orchestrator", "serve-model", "--port", str(port)]
    environment = os.environ | {"PYTHONPATH": str(root)}
    with subprocess.Popen(command, cwd=root, env=environment, stdout=subprocess.DEVNULL) as server:
        try:
            wait_until(lambda: httpx.get(f"http://127.0.0.1:{port}/ping").is_success, seconds=120)
            features = pd.read_parquet(root / "data/scoring/features/scoring.parquet").head(5)
            rows = json.loads(
                features.drop(columns=["customerID", "as_of"]).to_json(orient="records")
            )
            answer = httpx.post(
                f"http://127.0.0.1:{port}/invocations", json={"dataframe_records": rows}, timeout=60
            )
            assert answer.status_code == 200, answer.text
            known = scored.set_index("customerID")["probability"]
            found = [row[1] for row in answer.json()["predictions"]]
            assert found == pytest.approx(
                [known[name] for name in features["customerID"]], abs=1e-6
            )
            for foreign in ({"Host": f"evil.test:{port}"}, {"Origin": "http://evil.test"}):
                refused = httpx.get(f"http://127.0.0.1:{port}/ping", headers=foreign)
                assert refused.status_code == 403
            second = churn(root, "serve-model", "--port", str(port))
            assert (second.returncode, f"127.0.0.1:{port} is taken" in second.stderr) == (1, True)
        finally:
            server.send_signal(signal.SIGINT)
        assert server.wait(timeout=60) == 0
    with pytest.raises(httpx.TransportError):
        httpx.get(f"http://127.0.0.1:{port}/ping")


def test_scores_are_evaluated_when_it_is_known_who_left(root: Path, scored: pd.DataFrame) -> None:
    """Too early it is refused; scores of earlier days are measured, and shown one below
    the other.
    """
    ended = churn(root, "score", "--out", "scores.csv", "--quiet", "--no-refresh")
    assert ended.returncode == 0, ended.stderr
    ended = churn(root, "evaluate")
    assert ended.returncode == 1
    assert "cannot be told yet" in ended.stderr
    for day in ("2025-08-01", "2025-09-01"):
        words = ("--as-of", day, "--out", "past.csv", "--quiet", "--no-refresh")
        assert churn(root, "score", *words).returncode == 0
        answer = json.loads(churn(root, "evaluate", "--json").stdout)
        assert answer["as_of"] == day
        assert answer["roc_auc"] > 0.75
        assert answer["profit"] > 0
    told = churn(root, "evaluate", "latest-scoring").stdout
    assert "Over time:" in told
    assert "2025-08-01" in told
    page = Path(told.splitlines()[-1].removeprefix("Page: ")).read_text(encoding="utf-8")
    assert "2025-08-01" in page
    assert churn(root, "evaluate", "latest").returncode == 2


def test_a_second_data_set_has_a_champion_of_its_own(root: Path, scored: pd.DataFrame) -> None:
    """A flat table with the answer in a column: before it is trained its champion is missed at
    once, afterwards it is the one that scores, is promoted, evaluated and shown; the first data
    set keeps its own.
    """
    prepared = pd.read_parquet(root / "data/prepared/customers.parquet")
    plain = prepared.drop(columns=["BeginDate", "EndDate", "TotalCharges"]).astype("object")
    plain["left"] = prepared["EndDate"].notna().map({True: "Yes", False: "No"})
    plain.to_csv(root / "customers.csv", index=False)
    facts = {
        "name": "Flat",
        "customer_id": "customerID",
        "label": {"column": "left", "positive": "Yes"},
        "sources": {"customers": {"file": "customers.csv"}},
        "stages": {"model_building": QUICK},
    }
    write_facts(root / "flat.yaml", facts)
    # So few that a type may look different, and without the answer.
    plain.drop(columns="left").head(100).assign(SeniorCitizen="1").to_csv(root / "today.csv")
    facts["sources"]["customers"]["file"] = "today.csv"
    write_facts(root / "today.yaml", facts)
    flat = ("--params", "today.yaml", "--out", "flat.csv", "--quiet")
    missed = churn(root, "score", *flat)
    assert missed.returncode == 2
    assert "'Flat'" in missed.stderr
    assert "models:/churn/1" in missed.stderr

    ended = run_flow(root, "--params", "flat.yaml", "--quiet")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "churn-flat/1: first model." in ended.stdout
    ended = churn(root, "score", *flat)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    scores = pd.read_csv(root / "flat.csv")
    assert (len(scores), *scores["model"].unique()) == (100, "models:/churn-flat/1")

    _change_the_champion(root)
    evaluated = churn(root, "evaluate", "--params", "flat.yaml", "--json")
    assert evaluated.returncode == 0, evaluated.stderr
    told = json.loads(evaluated.stdout)
    assert (told["data_set"], told["model"]) == ("Flat", "models:/churn-flat/1")
    others = churn(root, "evaluate", "--params", "params.yaml")
    assert (others.returncode, "data/prepared is of 'Flat'" in others.stderr) == (1, True)
    assert churn(root, "run", "--from", "model_building").returncode == 2

    ended = churn(root, "score", "--out", "scores.csv", "--quiet", "--no-refresh")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    again = pd.read_csv(root / "scores.csv", dtype={"customerID": str})
    pd.testing.assert_frame_equal(again.drop(columns="run_id"), scored.drop(columns="run_id"))


def _change_the_champion(root: Path) -> None:
    """Each data set's versions are listed, changed and shown as its own."""
    assert churn(root, "promote", "1", "--params", "flat.yaml").stdout.startswith("churn-flat 1 ")
    refused = churn(root, "rollback", "--params", "flat.yaml")
    assert (refused.returncode, "churn-flat" in refused.stderr) == (2, True)
    listed = json.loads(churn(root, "models", "--json").stdout)
    assert [(one["data_set"], one["registered_model"], one["version"]) for one in listed] == [
        ("Flat", "churn-flat", 1),
        ("Sample telecom company (synthetic)", "churn", 1),
    ]
    assert len(json.loads(churn(root, "models", "--params", "flat.yaml", "--json").stdout)) == 1
    page = (root / "outputs/index.html").read_text(encoding="utf-8")
    for model in ("churn 1", "churn-flat 1"):
        assert f'<p class="figure">{model}</p>' in page
