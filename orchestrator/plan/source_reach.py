"""Whether the sources are there: local files, and the hosts of databases and APIs.
Shows no credentials.
"""

from __future__ import annotations

import contextlib
import functools
import os
import socket
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from churn.params import ParameterError, Params, Source
from churn.sources import NoFileError, SourceError
from churn.sources.source import Host, open_local
from orchestrator.project import Project

_SECONDS = 1.0  # for all hosts together
_REMEMBERED = 60  # seconds: a command checks, and its flow in the same process again


def local_files(project: Project, params: Params) -> dict[str, list[Path]]:
    """Return the sources that are files of this machine, but for those that the sample
    company makes: name -> paths.
    """
    paths = {name: _local_paths(project, source) for name, source in params.sources.items()}
    served = sample_sources(project, params)
    return {name: found for name, found in paths.items() if found and name not in served}


def shared_folder(paths: Sequence[Path]) -> Path:
    """Return the nearest folder that holds all files of one source."""
    try:
        return Path(os.path.commonpath([path.parent for path in paths]))
    except ValueError:  # on several drives
        return Path()


def name_files(paths: Sequence[Path]) -> dict[str, Path]:
    """Name the files of one source: by their paths within the folder that they share."""
    folder = shared_folder(paths)
    return {
        (path.relative_to(folder) if path.is_relative_to(folder) else path).as_posix(): path
        for path in paths
    }


def patterns(project: Project, params: Params) -> list[str]:
    """Return the patterns of files of this machine that sources name, as absolute ones."""
    found = list[str]()
    for source in params.sources.values():
        with contextlib.suppress(ParameterError):  # told of as a variable that is not set
            found += source.patterns(project.root)
    return found


def sample_sources(project: Project, params: Params) -> list[str]:
    """Name the sources that the sample company serves: its API, and files that it makes."""
    if not params.sample:
        return []
    made = params.sample.folder(project.root)
    variables = [f"${{{name}}}" for name in params.sample.variables]
    return [
        name
        for name, source in params.sources.items()
        if any(variable in one for one in source.addresses for variable in variables)
        or _all_within(made, _local_paths(project, source))
    ]


def remote_sources(project: Project, params: Params) -> list[str]:
    """Name the sources whose content is known only when they are read: databases, APIs,
    files elsewhere.
    """
    known = {*local_files(project, params), *sample_sources(project, params)}
    return [
        name
        for name, source in params.sources.items()
        if name not in known or source.is_partly_elsewhere
    ]


def hosts(params: Params) -> dict[str, Host]:
    """Return the hosts that sources are asked from: name -> host and port."""
    found = {name: _host_of(source) for name, source in params.sources.items()}
    return {name: host for name, host in found.items() if host}


def find_file_problems(project: Project, params: Params) -> Iterator[str]:
    """Yield what is wrong with sources that are files of this machine."""
    for name, source in params.sources.items():
        try:
            source.local_paths(project.root)
        except NoFileError as error:
            yield f"source {name!r}: {error}"
        except ParameterError:
            pass  # told of as a variable that is not set
    for name, paths in local_files(project, params).items():
        problems = (_find_problem(project, params.sources[name], path) for path in paths)
        yield from (f"source {name!r}: {problem}" for problem in problems if problem)


def find_unreachable(params: Params) -> Iterator[str]:
    """Yield which sources' hosts do not answer now. That is no problem: ingestion tries
    them again, and waits.
    """
    asked = hosts(params)
    answers = _ask(frozenset(asked.values()), int(time.monotonic() // _REMEMBERED))
    for name, host in asked.items():
        if answers[host]:
            shown = params.sources[name].shown_host
            where = f"source {name!r} ({shown})" if shown else f"source {name!r}"
            yield f"{where} does not answer now: {answers[host]}"


def _local_paths(project: Project, source: Source) -> list[Path]:
    """Return the files of this machine that a source is, as far as its variables are
    set and its patterns match.
    """
    with contextlib.suppress(ParameterError):  # told of elsewhere
        return source.local_paths(project.root)
    return []


def _all_within(folder: Path, paths: Sequence[Path]) -> bool:
    return bool(paths) and all(path.is_relative_to(folder) for path in paths)


def _find_problem(project: Project, source: Source, path: Path) -> str | None:
    def expect() -> str:
        return source.expectation(str(path))

    try:
        with open_local(path, project.root, expect) as file:
            return None if file.read(1) else f"{path} is empty, 0 bytes. Expected: {expect()}"
    except SourceError as error:
        return str(error)
    except OSError as error:
        return f"{path} cannot be read: {error.strerror or error}"


def _host_of(source: Source) -> Host | None:
    # A variable that is not set, or an address that ingestion will refuse.
    with contextlib.suppress(ParameterError, ValueError):
        return source.host()
    return None


@functools.lru_cache(maxsize=8)
def _ask(hosts: frozenset[Host], moment: int) -> Mapping[Host, str]:
    """Connect to all hosts at once; return what went wrong with each, an empty text
    where nothing did.
    """
    late = f"no answer within {_SECONDS:g} s"
    answers = dict.fromkeys(hosts, late)
    # Not a pool: it would wait, at the end of the process, for a name that is still
    # being looked up.
    threads = [
        threading.Thread(target=_connect, args=(host, answers), daemon=True) for host in hosts
    ]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + _SECONDS
    for thread in threads:
        thread.join(max(0, deadline - time.monotonic()))
    return dict(answers)


def _connect(host: Host, answers: dict[Host, str]) -> None:
    try:
        socket.create_connection(host, timeout=_SECONDS).close()
        answers[host] = ""
    except socket.gaierror:
        answers[host] = "its name is not known"
    except ConnectionRefusedError:
        answers[host] = "the connection is refused"
    except TimeoutError:
        pass
    except (OSError, UnicodeError, OverflowError):
        answers[host] = "it cannot be reached"
