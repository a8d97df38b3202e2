"""The sample company as a source: made, served while it is read, and gone afterwards."""

from __future__ import annotations

import os
from pathlib import Path

import httpx
import pytest

from churn.params import Sample, load_params
from churn.sample.serving import serving_sample
from churn.sources import SourceError
from churn.sources.received import read_source


def test_sample_is_served_while_the_block_runs(
    project_copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The API needs the token, answers while the block runs, and ends with it; the
    variables are what they were.
    """
    monkeypatch.setenv("SAMPLE_API", "before")
    monkeypatch.delenv("SAMPLE_TOKEN", raising=False)
    with serving_sample(Sample(customers=1000), project_copy):
        address = os.environ["SAMPLE_API"]
        good = {"Authorization": f"Bearer {os.environ['SAMPLE_TOKEN']}"}
        assert httpx.get(f"{address}/internet", headers=good).is_success
        assert httpx.get(f"{address}/internet").status_code == 401
    assert os.environ["SAMPLE_API"] == "before"
    assert "SAMPLE_TOKEN" not in os.environ
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{address}/internet", headers=good)


def test_all_sources_of_the_sample_are_read(project_copy: Path) -> None:
    """The sources of `params.yaml` are read from a file, a database and two APIs, with
    the columns it describes.
    """
    params = load_params(project_copy / "params.yaml")
    with serving_sample(Sample(customers=1000), project_copy):
        received = {
            name: read_source(name, source, project_copy) for name, source in params.sources.items()
        }
    assert [part.kind for part in received.values()] == ["file", "database", "api", "api"]
    for name, part in received.items():
        assert list(part.table.columns) == list(params.sources[name].columns)
        assert part.rows > 500


def test_without_a_sample_nothing_is_served(tmp_path: Path) -> None:
    """A params file without `sample` starts no server and sets no variable."""
    before = dict(os.environ)
    with serving_sample(None, tmp_path):
        assert dict(os.environ) == before


def test_failure_in_the_block_ends_the_server(project_copy: Path) -> None:
    """An error while reading leaves no server behind."""
    addresses = []

    def fail() -> None:
        with serving_sample(Sample(customers=1000), project_copy):
            addresses.append(os.environ["SAMPLE_API"])
            raise KeyError("reading failed")

    with pytest.raises(KeyError):
        fail()
    with pytest.raises(httpx.ConnectError):
        httpx.get(addresses[0])


def test_sample_that_cannot_be_made_says_why(tmp_path: Path) -> None:
    """A folder that holds something else is named, and left as it is."""
    folder = tmp_path / "data" / "sample" / "made"
    folder.mkdir(parents=True)
    (folder / "thesis.docx").write_text("mine")
    with (
        pytest.raises(SourceError, match="thesis"),
        serving_sample(Sample(customers=1000), tmp_path),
    ):
        pass
