"""Which stages a folder of notebooks makes, in which order, and what is wrong with it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from helpers.projects import ROOT, write_notebook
from orchestrator.errors import UsageError
from orchestrator.notebook import stage_graph
from orchestrator.notebook.stage_graph import Graph, read_graph
from orchestrator.project import Project
from orchestrator.stages import SCORED_MODEL


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project with the real notebooks."""
    shutil.copytree(ROOT / "notebooks", tmp_path / "notebooks")
    return Project(tmp_path)


def drop(project: Project, file: str, reads: str = "", writes: str = "") -> Graph:
    """Put a notebook into the folder that reads and writes these datasets."""
    lines = [
        f'x_{number} = "{path}"  # dataset to read' for number, path in enumerate(reads.split())
    ]
    lines += [f'y_dir = "{writes}"  # dataset to write'] if writes else []
    write_notebook(project.notebooks / file, file, ["pass"], declared=lines)
    return read_graph(project)


def test_a_stage_stands_behind_what_it_reads_and_its_dataset_is_versioned(
    project: Project,
) -> None:
    """Its place follows from its datasets, not from its number alone; versioning records what it
    writes, and model building waits for that.
    """
    graph = drop(project, "045_segments.ipynb", "../data/prepared", "../data/segments")
    assert graph.problems == ()
    names = graph.training.stage_names
    assert names == [
        "ingestion",
        "validation",
        "preparation",
        "transformation",
        "segments",
        "versioning",
        "model_building",
    ]
    versioning = graph.find_stage("versioning")
    assert versioning.reads[-1] == "data/segments"
    assert dict(versioning.given)["datasets"][-1] == "segments"
    assert "data/segments.dvc" in graph.find_stage("model_building").reads
    assert "segments" not in graph.scoring.stage_names


def test_scoring_runs_a_stage_that_the_features_depend_on(project: Project) -> None:
    """On folders of its own; the model is given to notebooks that follow one."""
    before = "../data/validated"
    drop(project, "08_regions.ipynb", before, "../data/regions")
    notebook = project.notebooks / "04_transformation.ipynb"
    text = notebook.read_text(encoding="utf-8")
    line = r'"features_dir = \"../data/features\"  # dataset to write\n",'
    assert line in text
    more = r'"regions_dir = \"../data/regions\"  # dataset to read\n",'
    notebook.write_text(text.replace(line, f"{line}\n    {more}"), encoding="utf-8")
    graph = read_graph(project)
    order = ["ingestion", "validation", "preparation", "regions", "transformation"]
    assert graph.training.stage_names[:5] == order
    assert graph.scoring.stage_names == [*order, "scoring"]
    regions = graph.scoring.find("regions")
    assert (regions.reads, regions.writes) == (
        ("data/scoring/validated",),
        ("data/scoring/regions",),
    )
    given = dict(graph.scoring.find("transformation").given)
    assert given["regions_dir"] == "../data/scoring/regions"
    assert SCORED_MODEL in graph.scoring.find("transformation").reads


@pytest.mark.parametrize(
    ("file", "reads", "writes", "told"),
    [
        ("08_more.ipynb", "../data/raw", "../data/features", ["04_transformation", "08_more"]),
        ("08_more.ipynb", "../data/segmets", "", ["data/segmets", "no notebook"]),
        ("08_more.ipynb", "../outputs/x", "", ["x_0", "../outputs/x", "../data/NAME"]),
        ("08_more.ipynb", "", "../data/accepted", ["y_dir", "accepted"]),
        ("08_preparation.ipynb", "../data/raw", "", ["03_preparation", "08_preparation"]),
        ("08_all.ipynb", "../data/raw", "", ["'all'"]),
    ],
)
def test_what_makes_no_graph_is_told_with_its_names(
    project: Project, file: str, reads: str, writes: str, told: list[str]
) -> None:
    """Two writers of one dataset, a reader without a writer, a folder that is no dataset's, two
    notebooks of one stage, a name that means something else.
    """
    (problem,) = drop(project, file, reads, writes).problems
    assert all(words in problem for words in told), problem


def test_notebooks_that_wait_for_each_other_are_told(project: Project) -> None:
    """Each of them is named."""
    drop(project, "08_one.ipynb", "../data/two", "../data/one")
    (problem,) = drop(project, "09_two.ipynb", "../data/one", "../data/two").problems
    assert "08_one.ipynb" in problem
    assert "09_two.ipynb" in problem


def test_a_notebook_without_a_number_is_no_stage(project: Project) -> None:
    """It is noted; one that cannot be read is left to the checks of notebooks."""
    (project.notebooks / "Untitled.ipynb").write_text("", encoding="utf-8")
    (project.notebooks / "03_preparation.ipynb").write_text("", encoding="utf-8")
    graph = read_graph(project)
    (note,) = graph.notes
    assert "Untitled.ipynb" in note
    assert graph.problems == ()
    assert "preparation" in graph.training.stage_names


def test_the_notebook_of_a_stage_is_found_by_its_name(project: Project) -> None:
    """None, and two of them, are told."""
    found = stage_graph.find_notebook(project, "model_building")
    assert found.name == "06_model_building.ipynb"
    shutil.copy(found, found.with_name("08_model_building.ipynb"))
    for name, count in (("model_building", 2), ("nothing", 0)):
        with pytest.raises(UsageError, match=f"{count} notebooks"):
            stage_graph.find_notebook(project, name)
