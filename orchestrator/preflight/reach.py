"""Whether the sources are there: local files, and the hosts of databases and APIs. Shows no credentials."""

from __future__ import annotations

import contextlib
import difflib
import functools
import os
import re
import socket
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from notebooks.params import (
    ApiSource,
    DatabaseSource,
    FileSource,
    NoFileError,
    ParameterError,
    Params,
    Source,
    expand,
    find_files,
    is_local,
    list_patterns,
)
from orchestrator.paths import Project

Host = tuple[str, int]

_SECONDS = 1.0  # for all hosts together
_REMEMBERED = 60  # seconds: a command checks, and its flow in the same process again
_PORTS = {
    "http": 80,
    "https": 443,
    "postgresql": 5432,
    "postgres": 5432,
    "mysql": 3306,
    "mariadb": 3306,
    "mssql": 1433,
    "oracle": 1521,
}
# As SQLAlchemy takes an address apart: a password may hold what would end it elsewhere.
_DATABASE = re.compile(
    r"(?P<kind>[\w+]+)://(?:[^:/@]*(?::[^@]*)?@)?(?:\[(?P<ipv6>[^/?\]]+)\]|(?P<host>[^/:?@]*))(?::(?P<port>\d+))?"
    r"(?:/(?P<database>[^?]*))?(?:\?.*)?"
)
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def local_files(project: Project, params: Params) -> dict[str, list[Path]]:
    """Return the sources that are files of this machine, but for those that the sample company makes: name -> paths."""
    paths = {name: _local_paths(project, source) for name, source in params.sources.items()}
    made = project.data / "sample" / "made"
    return {
        name: found
        for name, found in paths.items()
        if found and not (params.sample and all(path.is_relative_to(made) for path in found))
    }


def shared_folder(paths: Sequence[Path]) -> Path:
    """Return the nearest folder that holds all files of one source."""
    try:
        return Path(os.path.commonpath([path.parent for path in paths]))
    except ValueError:  # on several drives
        return Path()


def name_files(paths: Sequence[Path]) -> dict[str, Path]:
    """Name the files of one source: by their paths within the folder that they share."""
    folder = shared_folder(paths)
    return {(path.relative_to(folder) if path.is_relative_to(folder) else path).as_posix(): path for path in paths}


def patterns(project: Project, params: Params) -> list[str]:
    """Return the patterns of files of this machine that sources name, as absolute ones."""
    found = list[str]()
    for source in params.sources.values():
        with contextlib.suppress(ParameterError):  # told of as a variable that is not set
            found += list_patterns(source, project.root) if isinstance(source, FileSource) else []
    return found


def sample_sources(project: Project, params: Params) -> list[str]:
    """Name the sources that the sample company serves."""
    if not params.sample:
        return []
    made = project.data / "sample" / "made"
    return [
        name
        for name, source in params.sources.items()
        if (isinstance(source, ApiSource) and "${SAMPLE_API}" in source.api)
        or any(path.is_relative_to(made) for path in _local_paths(project, source))
    ]


def remote_sources(project: Project, params: Params) -> list[str]:
    """Name the sources whose content is known only when they are read: databases, APIs, files elsewhere."""
    known = {*local_files(project, params), *sample_sources(project, params)}
    return [name for name, source in params.sources.items() if name not in known or _is_elsewhere(source)]


def hosts(params: Params) -> dict[str, Host]:
    """Return the hosts that sources are asked from: name -> host and port."""
    found = {name: _host_of(source) for name, source in params.sources.items()}
    return {name: host for name, host in found.items() if host}


def find_file_problems(project: Project, params: Params) -> Iterator[str]:
    """Yield what is wrong with sources that are files of this machine."""
    for name, source in params.sources.items():
        if isinstance(source, FileSource):
            try:
                find_files(source, project.root)
            except NoFileError as error:
                yield f"source {name!r}: {error}"
            except ParameterError:
                pass  # told of as a variable that is not set
    for name, paths in local_files(project, params).items():
        problems = (_find_file_problem(project, params.sources[name], path) for path in paths)
        yield from (f"source {name!r}: {problem}" for problem in problems if problem)


def find_unreachable(params: Params) -> Iterator[str]:
    """Yield which sources' hosts do not answer now. That is no problem: ingestion tries them again, and waits."""
    asked = hosts(params)
    answers = _ask(frozenset(asked.values()), int(time.monotonic() // _REMEMBERED))
    for name, host in asked.items():
        if answers[host]:
            yield f"source {name!r}{_shown(params.sources[name])} does not answer now: {answers[host]}"


def _local_paths(project: Project, source: Source) -> list[Path]:
    """Return the files of this machine that a source is, as far as its variables are set and its patterns match."""
    try:
        if isinstance(source, FileSource):
            written = [path for path in find_files(source, project.root) if is_local(path)]
            return [Path(os.path.abspath(project.root / path)) for path in written]
        if isinstance(source, DatabaseSource):
            parts = _DATABASE.fullmatch(expand(source.database))
            database = parts["database"] if parts and parts["kind"].startswith("sqlite") else None
            is_file = database and database != ":memory:" and not database.startswith("file:")
            return [Path(os.path.abspath(project.root / str(database)))] if is_file else []
    except ParameterError:
        pass  # told of elsewhere
    return []


def _is_elsewhere(source: Source) -> bool:
    """Say whether some of a source's files are not of this machine."""
    return isinstance(source, FileSource) and not all(map(is_local, source.files))


def _find_file_problem(project: Project, source: Source, path: Path) -> str | None:
    expected = f"Expected: {_expectation(source)}"
    try:
        if path.is_dir():
            return f"{path} is a folder. {expected}. All files in it: {path / '*'}"
        if path.is_relative_to(project.root) and not path.resolve().is_relative_to(project.root.resolve()):
            return f"{path} is a link out of the project, to {path.resolve()}. Name that path if it is meant"
        with path.open("rb") as file:
            return None if file.read(1) else f"{path} is empty, 0 bytes. {expected}"
    except (FileNotFoundError, NotADirectoryError):
        return f"there is no file at {path}. {expected}{_near(path)}"
    except PermissionError:
        return f"no permission to read {path}. {expected}"
    except OSError as error:
        return f"{path} cannot be read: {error.strerror or error}"


def _expectation(source: Source) -> str:
    if isinstance(source, DatabaseSource):
        return "an SQLite database"
    columns = f" with the columns {', '.join(source.columns)}" if source.columns else ""
    kind = source.format if isinstance(source, FileSource) and source.format else "data"
    return f"a file of {kind}{columns}"


def _near(path: Path) -> str:
    if not path.parent.is_dir():
        return f". The folder {path.parent} does not exist either"
    near = difflib.get_close_matches(path.name, sorted(os.listdir(path.parent)), n=1)
    return f". Did you mean {near[0]!r}?" if near else ""


def _host_of(source: Source) -> Host | None:
    try:
        if isinstance(source, DatabaseSource):
            return _database_host(expand(source.database))
        return _web_host(expand(_address(source)))
    except (ParameterError, ValueError):  # a variable that is not set, or an address that ingestion will refuse
        return None


def _address(source: ApiSource | FileSource) -> str:
    """Return the address that is asked; of several files, the first that is elsewhere."""
    if isinstance(source, ApiSource):
        return source.api
    return next((path for path in source.files if not is_local(path)), source.files[0])


def _database_host(address: str) -> Host | None:
    parts = _DATABASE.fullmatch(address)
    host = parts and (parts["ipv6"] or parts["host"])
    port = parts and int(parts["port"] or _PORTS.get(parts["kind"].partition("+")[0], 0))
    return (host, port) if host and port else None


def _web_host(address: str) -> Host | None:
    """Return the host that a request for an address goes to: its own, or that of the proxy."""
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return None
    proxy = urllib.request.getproxies().get(parts.scheme)
    if proxy and parts.hostname not in _LOOPBACK and not urllib.request.proxy_bypass(parts.hostname):
        parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    return (parts.hostname, parts.port or _PORTS[parts.scheme]) if parts.hostname and parts.scheme in _PORTS else None


def _shown(source: Source) -> str:
    """Name the host, where it stands in params.yaml as it is: what a variable holds is a secret."""
    if isinstance(source, DatabaseSource):
        parts = _DATABASE.fullmatch(source.database)
        host = parts and (parts["ipv6"] or parts["host"])
    else:
        address = _address(source)
        host = None if "@" in address else urlsplit(address).hostname
    return f" ({host})" if host and "$" not in host else ""


@functools.lru_cache(maxsize=8)
def _ask(hosts: frozenset[Host], moment: int) -> Mapping[Host, str]:
    """Connect to all hosts at once; return what went wrong with each, an empty text where nothing did."""
    late = f"no answer within {_SECONDS:g} s"
    answers = dict.fromkeys(hosts, late)
    # Not a pool: it would wait, at the end of the process, for a name that is still being looked up.
    threads = [threading.Thread(target=_connect, args=(host, answers), daemon=True) for host in hosts]
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
