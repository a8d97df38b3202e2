"""What the command line names: files, folders, patterns, archives, addresses."""

from __future__ import annotations

import gzip
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

from churn.draft.named_inputs import DraftError, find_inputs
from churn.params import FileSource
from helpers import one_table
from helpers.drafts import Drafting, refuse
from helpers.servers import Answer, serving


def test_an_archive_of_several_files(draft: Drafting, tmp_path: Path) -> None:
    """Each file of a zip archive is looked at, as if it were unpacked."""
    files = one_table.kaggle(tmp_path, 800)
    with zipfile.ZipFile(tmp_path / "archive.zip", "w") as archive:
        for path in files:
            archive.write(path, f"data/{path.name}")
        archive.writestr("__MACOSX/._train.csv", "litter")
        archive.writestr("README.md", "about")
    drafted = draft(tmp_path / "archive.zip")
    (source,) = drafted.params.sources.values()
    assert isinstance(source, FileSource)
    assert source.file == f"zip://data/train.csv::{(tmp_path / 'archive.zip').as_posix()}"
    assert "answer" in drafted.said("test.csv: its 240 rows")


def test_what_is_not_there_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A missing file, an empty folder, a pattern without a match, and a damaged archive
    have their own messages.
    """
    (tmp_path / "customers.csv").write_text("id\n1\n")
    (tmp_path / "empty").mkdir()
    assert "Did you mean 'customers.csv'?" in refuse(tmp_path, capsys, tmp_path / "custmers.csv")
    assert "has no data file" in refuse(tmp_path, capsys, tmp_path / "empty")
    assert "No file matches" in refuse(tmp_path, capsys, tmp_path / "*.parquet")
    (tmp_path / "cut.gz").write_bytes(
        gzip.compress(np.random.default_rng(0).bytes(500_000))[:-100_000]
    )
    assert "cut.gz" in refuse(tmp_path, capsys, tmp_path / "cut.gz")
    (tmp_path / "page.csv").write_text("<html><body>Log in</body></html>")
    assert "a page of HTML" in refuse(tmp_path, capsys, tmp_path / "page.csv")
    assert "knows no such kind" in refuse(tmp_path, capsys, "nosuchdb://user@host/crm")
    with serving(lambda request: Answer(status=404)) as server:
        assert "no such file" in refuse(tmp_path, capsys, f"{server.address}/nothing.csv")


@pytest.mark.parametrize(
    ("address", "written", "variables"),
    [
        (
            "postgresql://crm:p@ss@db:5432/sales",
            "postgresql://crm:${SALES_PASSWORD}@db:5432/sales",
            ["SALES_PASSWORD"],
        ),
        ("postgresql://crm:${PW}@db/sales", "postgresql://crm:${PW}@db/sales", []),
        (
            "https://host/a/users.csv?api_key=12345&v=2",
            "https://host/a/users.csv?api_key=${USERS_API_KEY}&v=2",
            ["USERS_API_KEY"],
        ),
        ("s3://bucket/churn.parquet", "s3://bucket/churn.parquet", []),
    ],
)
def test_secrets_become_variables(
    address: str, written: str, variables: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Passwords and keys within an address are replaced, and set for the time of the draft."""
    monkeypatch.setenv("PW", "secret")
    for name in variables:
        monkeypatch.delenv(name, raising=False)
    ((found,), _) = find_inputs([address], Path())
    assert (found.written, list(found.variables)) == (written, variables)
    assert [name for name in variables if not os.environ.get(name)] == []


def test_a_folder_and_what_in_it_is_no_data(tmp_path: Path) -> None:
    """Each data file of a folder is looked at once; hidden ones are not, and others are told."""
    for name in ("a.csv", "b.parquet", ".hidden.csv", "notes.md", "~$open.xlsx"):
        (tmp_path / name).write_text("x")
    inputs, left_out = find_inputs([str(tmp_path), str(tmp_path / "a.csv")], tmp_path)
    assert [one.written for one in inputs] == ["a.csv", "b.parquet"]
    (told,) = left_out
    assert told.startswith("notes.md: ")
    with pytest.raises(DraftError):
        find_inputs([str(tmp_path / "nothing")], tmp_path)
