"""What every part of the project asks of a source: where it is, and what must not be shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from churn.facts import ParameterError
from churn.sources import ApiSource, DatabaseSource, FileSource, Source, SourceRefused
from churn.sources.source import open_local


@pytest.fixture(autouse=True)
def variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """A path, an address with a password, and a token in the environment."""
    monkeypatch.setenv("FOLDER", "/data/in")
    monkeypatch.setenv("CRM", "postgresql://me:s3cret%21@db.example:5433/crm")
    monkeypatch.setenv("TOKEN", "tok-4711")


@pytest.mark.parametrize(
    ("source", "shown", "secrets"),
    [
        (FileSource(file="${FOLDER}/a.csv"), "/data/in/a.csv", set()),
        (FileSource(file="s3://b/a.csv?key=${TOKEN}"), "s3://b/a.csv?key=***", {"tok-4711"}),
        (
            FileSource(file="s3://b/a.csv", storage_options={"client": {"secret": "${TOKEN}"}}),
            "s3://b/a.csv",
            {"tok-4711"},
        ),
        (
            DatabaseSource(database="${CRM}", table="t"),
            "${CRM}, table t",
            {"postgresql://me:s3cret%21@db.example:5433/crm", "s3cret%21", "s3cret!"},
        ),
        (
            DatabaseSource(database="sqlite://", query="select\n '${TOKEN}'"),
            "sqlite://, query select '${TOKEN}'",
            {"select\n '${TOKEN}'"},
        ),
        (
            ApiSource.model_validate({"api": "https://me:pw@x/y", "auth": {"bearer": "${TOKEN}"}}),
            "https://me:***@x/y",
            {"tok-4711"},
        ),
    ],
)
def test_addresses_are_shown_without_what_is_secret(
    source: Source, shown: str, secrets: set[str]
) -> None:
    """Variables are expanded in local paths alone; all else that is expanded is a secret."""
    assert source.shown_address == shown
    assert set(source.secret_values()) == secrets


@pytest.mark.parametrize(
    ("source", "host", "shown"),
    [
        (FileSource(file="a.csv"), None, ""),
        (FileSource(file=["a.csv", "https://127.0.0.1/b.csv"]), ("127.0.0.1", 443), "127.0.0.1"),
        (DatabaseSource(database="${CRM}", table="t"), ("db.example", 5433), ""),
        (DatabaseSource(database="mysql://u:p@h/x", table="t"), ("h", 3306), "h"),
        (DatabaseSource(database="sqlite:///a.db", table="t"), None, ""),
        (ApiSource(api="http://localhost:8080/x"), ("localhost", 8080), "localhost"),
    ],
)
def test_hosts_are_known_before_anything_is_read(
    source: Source, host: tuple[str, int] | None, shown: str
) -> None:
    """With the port of the protocol; the name is shown where params.yaml has it itself."""
    assert source.host() == host
    assert source.shown_host == shown


def test_files_of_this_machine_are_known(tmp_path: Path) -> None:
    """Paths, what matches patterns, and the file of an SQLite database."""
    (tmp_path / "a1.csv").touch()
    assert FileSource(file=["a*.csv", "s3://b"]).local_paths(tmp_path) == [tmp_path / "a1.csv"]
    assert DatabaseSource(database="sqlite:///a.db", table="t").local_paths(tmp_path) == [
        tmp_path / "a.db"
    ]
    assert ApiSource(api="http://x").local_paths(tmp_path) == []
    with pytest.raises(ParameterError, match="NOWHERE"):
        FileSource(file="${NOWHERE}/a.csv").local_paths(tmp_path)


def test_what_stands_in_place_of_a_file_is_told(tmp_path: Path) -> None:
    """With what was expected there, and the nearest name."""
    (tmp_path / "crm.csv").touch()
    for name, told in (("crn.csv", "'crm.csv'"), ("", "is a folder"), ("no/a.csv", "does not")):
        with pytest.raises(SourceRefused) as caught:
            open_local(tmp_path / name, tmp_path, lambda: "a list of customers")
        assert told in str(caught.value)
        assert "a list of customers" in str(caught.value)
