"""Several files of one source in the orchestrator: checked, fingerprinted and watched."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from churn.params import load_params
from churn.sources import KINDS, SourceRefused
from churn.sources.received import read_source
from helpers.own_graph import STAGES
from helpers.projects import ROOT, read_run, run_flow
from orchestrator.plan import source_reach
from orchestrator.plan.decisions import list_watched, make_plan
from orchestrator.plan.fingerprint import describe_changes, find_parts, hash_code
from orchestrator.plan.quick_answer import Watch, begin_to_look, remember, take_state, tell
from orchestrator.plan.run_plan import Request
from orchestrator.project import Project

FACTS = "name: Test\ncustomer_id: id\nlabel: {column: churned, positive: '1'}\nsources:\n"
MINUTE = 60


@pytest.fixture
def project(tiny_project: Path) -> Project:
    """A copy of the project with two monthly files and a params file that names them by a
    pattern.
    """
    folder = tiny_project / "drops"
    folder.mkdir()
    for month in (1, 2):
        (folder / f"crm_{month}.csv").write_text(f"id,churned\n{month},1\n")
    (tiny_project / "own.yaml").write_text(FACTS + "  crm: {file: 'drops/crm_*.csv'}\n")
    return Project(tiny_project)


def source_parts(project: Project) -> dict[str, str]:
    """Return the parts of ingestion's fingerprint that its sources are."""
    plan = make_plan(project, Request(project.root / "own.yaml", only="ingestion"))
    parts = find_parts(plan, STAGES[0])
    return {name: value for name, value in parts.items() if name.startswith("source")}


def test_each_file_is_a_part_of_the_fingerprint(project: Project) -> None:
    """A new file that matches, one that is gone and one that changed are told by name."""
    before = source_parts(project)
    assert [name for name in before if name.startswith("source ")] == [
        "source crm, crm_1.csv",
        "source crm, crm_2.csv",
    ]
    (project.root / "drops/crm_3.csv").write_text("id,churned\n3,0\n")
    (project.root / "drops/crm_2.csv").write_text("id,churned\n2,0\n")
    (project.root / "drops/crm_1.csv").unlink()
    (project.root / "drops/other.csv").write_text("not one of them")
    assert sorted(describe_changes(before, source_parts(project))) == [
        "source crm, crm_1.csv is gone",
        "source crm, crm_2.csv changed",
        "source crm, crm_3.csv is new",
    ]


def test_files_of_the_same_name_are_parts_of_their_own(project: Project) -> None:
    """They are named from the folder that they share."""
    for folder in ("test", "train"):
        (project.root / folder).mkdir()
        (project.root / folder / "data.csv").write_text("id\n1\n")
    (project.root / "own.yaml").write_text(
        FACTS + "  crm: {file: [train/data.csv, test/data.csv]}\n"
    )
    found = [name for name in source_parts(project) if name.startswith("source ")]
    assert found == ["source crm, train/data.csv", "source crm, test/data.csv"]


def test_what_is_wrong_with_any_file_is_told_before_a_run(project: Project) -> None:
    """A pattern without a match names the folder and what is there; of a list each
    missing or empty file is told.
    """
    (project.root / "drops/empty.csv").touch()
    (project.root / "own.yaml").write_text(
        FACTS
        + "  a: {file: 'drops/*.parquet'}\n"
        + "  b: {file: [drops/crm_1.csv, drops/crm_9.csv, drops/empty.csv]}\n"
    )
    problems = list(
        source_reach.find_file_problems(project, load_params(project.root / "own.yaml"))
    )
    folder = project.root / "drops"
    assert problems[0].startswith("source 'a': no file")
    assert f"'drops/*.parquet' in {folder}" in problems[0]
    assert "crm_1.csv, crm_2.csv, empty.csv." in problems[0]
    assert problems[1].startswith("source 'b': ")
    assert f"no file at {folder / 'crm_9.csv'}" in problems[1]
    assert problems[2].startswith(f"source 'b': {folder / 'empty.csv'} is empty, 0 bytes.")
    assert len(problems) == 3


def test_a_source_with_a_file_elsewhere_is_read_again(project: Project) -> None:
    """Its local files are known, its content is not."""
    (project.root / "own.yaml").write_text(
        FACTS + "  crm: {file: [drops/crm_1.csv, 'https://127.0.0.1/b.csv']}\n"
    )
    params = load_params(project.root / "own.yaml")
    assert source_reach.local_files(project, params) == {"crm": [project.root / "drops/crm_1.csv"]}
    assert source_reach.remote_sources(project, params) == ["crm"]
    assert source_reach.hosts(params) == {"crm": ("127.0.0.1", 443)}


@pytest.mark.parametrize(
    ("edit", "holds"),
    [
        (lambda folder: (folder / "other.txt").write_text("no part"), True),
        (lambda folder: (folder / "crm_3.csv").write_text("id,churned\n3,0\n"), False),
        (lambda folder: (folder / "crm_2.csv").unlink(), False),
        (lambda folder: (folder / "crm_2.csv").write_text("other"), False),
    ],
    ids=["a file that does not match", "new", "gone", "changed"],
)
def test_what_matches_a_pattern_is_watched(
    project: Project, edit: Callable[[Path], object], holds: bool
) -> None:
    """That there is nothing to do holds until a file that matches is added, removed or changed."""
    folder = project.root / "drops"
    for file in folder.iterdir():
        os.utime(file, (time.time() - MINUTE,) * 2)
    patterns = source_reach.patterns(project, load_params(project.root / "own.yaml"))
    assert patterns == [str(folder / "crm_*.csv")]
    watch = Watch([], [], {}, patterns)
    state = take_state(project.root, watch, begin_to_look())
    assert state
    project.outputs.mkdir(exist_ok=True)
    remember(project.root, [], watch, state, "Nothing to do.")
    edit(folder)
    assert tell(project.root, []) is holds


def test_a_missing_file_is_told_before_a_run_as_in_it(project: Project) -> None:
    """The same words, whoever looks."""
    (project.root / "own.yaml").write_text(FACTS + "  crm: {file: drops/crm_7.csv}\n")
    params = load_params(project.root / "own.yaml")
    (problem,) = source_reach.find_file_problems(project, params)
    with pytest.raises(SourceRefused) as caught:
        read_source("crm", params.sources["crm"], project.root)
    assert problem.removeprefix("source 'crm': ") in str(caught.value)


def test_readers_decide_the_result_of_ingestion_alone(project: Project) -> None:
    """They are imported by name, when a source is read; other stages know only the facts."""
    stages = {stage.name: stage for stage in STAGES}
    readers = {f"{kind.reader.replace('.', '/')}.py" for kind in KINDS}
    originals = Project(ROOT)
    assert readers <= set(hash_code(originals, stages["ingestion"]))
    for name in ("validation", "preparation", "model_building"):
        assert not readers & set(hash_code(originals, stages[name]))


@pytest.mark.e2e
def test_a_new_file_that_matches_is_a_reason_to_run(
    project: Project, prefect_api: dict[str, str]
) -> None:
    """A second run has nothing to do; with another monthly file ingestion runs, and the
    record says why.
    """
    options = ("--params", "own.yaml", "--only", "ingestion")
    assert run_flow(project.root, *options, env=prefect_api).returncode == 0
    first = read_run(project.root)
    assert {"source crm, crm_1.csv", "source crm, crm_2.csv"} <= first.stage(
        "ingestion"
    ).decided_by.keys()
    (project.root / "drops/crm_3.csv").write_text("id,churned\n3,0\n")
    request = Request(project.root / "own.yaml")
    ingestion = make_plan(project, request).decisions["ingestion"]
    assert (ingestion.what, ingestion.reason) == ("runs", "source crm, crm_3.csv is new")
    (project.root / "drops/crm_3.csv").unlink()
    plan = make_plan(project, request)
    ingestion = plan.decisions["ingestion"]
    assert (ingestion.what, ingestion.reason) == ("reused", f"same as run {first.run_id}")
    watched = list_watched(plan)
    assert watched.patterns == [str(project.root / "drops/crm_*.csv")]
    assert str(project.root / "drops/crm_2.csv") in watched.paths
