"""Makes and serves the sample company while it is read."""

from __future__ import annotations

import contextlib
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from churn.params import Sample
from churn.sources import SourceError

_SECONDS_TO_END = 10


@contextlib.contextmanager
def serving_sample(sample: Sample | None, root: Path) -> Iterator[None]:
    """Make the sample company's files and serve its API on loopback while the block
    runs; without `sample`, do nothing.

    Meanwhile the environment variables `Sample.variables` hold the API's address and its
    token.

    Raises:
        SourceError: the company cannot be made or served; the message has the program's last words.
    """
    if sample is None:
        yield
        return
    made = sample.folder(root.resolve())
    _make(sample, made)
    with _serve(made) as environment, _variables(environment):
        yield


def _make(sample: Sample, folder: Path) -> None:
    options = [
        "--customers",
        str(sample.customers),
        "--seed",
        str(sample.seed),
        "--out",
        str(folder),
    ]
    made = subprocess.run(
        _program("company", *options),
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        env=_environment(),
    )
    if made.returncode:
        raise SourceError(
            f"The sample company could not be made in {folder}: {made.stderr.strip()[-500:]}"
        )


def _program(name: str, *options: str) -> list[str]:
    return [sys.executable, "-m", f"churn.sample.{name}", *options]


def _environment(**values: str) -> dict[str, str]:
    """Return the variables of a program that is of the same package as this module,
    wherever that lies.
    """
    root = str(Path(__file__).resolve().parent.parent.parent)
    return {
        **os.environ,
        **values,
        "PYTHONPATH": os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")])),
    }


@contextlib.contextmanager
def _serve(folder: Path) -> Iterator[dict[str, str]]:
    token = secrets.token_urlsafe(24)
    _, variable = Sample.variables
    server = subprocess.Popen(
        _program("server", "--folder", str(folder), "--token-in", variable),
        stdin=subprocess.PIPE,  # the server ends when this closes: also when this process is killed
        stdout=subprocess.PIPE,
        text=True,
        env=_environment(**{variable: token}),
    )
    try:
        address = (server.stdout.readline() if server.stdout else "").strip()
        if not address.startswith("http"):
            raise SourceError(f"The sample company's server did not start: {address!r}.")
        yield dict(zip(Sample.variables, (address, token), strict=True))
    finally:
        _end(server)


def _end(server: subprocess.Popen[str]) -> None:
    for stream in (server.stdin, server.stdout):
        if stream:
            stream.close()
    try:
        server.wait(_SECONDS_TO_END)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


@contextlib.contextmanager
def _variables(values: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
