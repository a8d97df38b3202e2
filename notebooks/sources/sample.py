"""The built-in sample company: made and served while it is read."""

from __future__ import annotations

import contextlib
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from params import Sample
from sources.received import SourceError

_SECONDS_TO_END = 10


@contextlib.contextmanager
def serving_sample(sample: Sample | None, root: Path) -> Iterator[None]:
    """Make the sample company's files and serve its API on loopback while the block runs; without `sample`, do nothing.

    Meanwhile the environment variables SAMPLE_API and SAMPLE_TOKEN hold the API's address and its token.

    Raises:
        SourceError: the company cannot be made or served; the message has the program's last words.
    """
    if sample is None:
        yield
        return
    programs = root.resolve() / "data" / "sample"
    _make(sample, programs)
    with _serve(programs) as environment, _variables(environment):
        yield


def _make(sample: Sample, programs: Path) -> None:
    options = ["--customers", str(sample.customers), "--seed", str(sample.seed), "--out", str(programs / "made")]
    made = subprocess.run(
        [sys.executable, str(programs / "company.py"), *options],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
    )
    if made.returncode:
        raise SourceError(
            f"The sample company could not be made ({programs / 'company.py'}): {made.stderr.strip()[-500:]}"
        )


@contextlib.contextmanager
def _serve(programs: Path) -> Iterator[dict[str, str]]:
    token = secrets.token_urlsafe(24)
    server = subprocess.Popen(
        [sys.executable, str(programs / "server.py"), "--folder", str(programs / "made")],
        stdin=subprocess.PIPE,  # the server ends when this closes: also when this process is killed
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "SAMPLE_TOKEN": token},
    )
    try:
        address = (server.stdout.readline() if server.stdout else "").strip()
        if not address.startswith("http"):
            raise SourceError(f"The sample company's server ({programs / 'server.py'}) did not start: {address!r}.")
        yield {"SAMPLE_API": address, "SAMPLE_TOKEN": token}
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
