"""Make the sample company: one synthetic telecom company of any size, in the four
tables of a real one.

    python -m churn.sample.company --customers 7000 --seed 7 --out data/sample/made

The folder then holds `contract.csv`, `crm.sqlite` (table personal), `services.sqlite`
(tables internet and phone) and `made.json`: what was made, and how many rows each kind
of dirt has struck. No person or company in them is real. The same seed gives the same
bytes under the same releases of numpy and SQLite.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import json
import os
import shutil
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from churn.sample.clean_tables import COLUMNS, MOST_CUSTOMERS, Table, make_tables
from churn.sample.customers import BLOCK, WINDOW_END, WINDOW_START, draw_customers
from churn.sample.dirt import add_dirt

FEWEST_CUSTOMERS = 1_000
FILES = {
    "contract": "contract.csv",
    "personal": "crm.sqlite",
    "internet": "services.sqlite",
    "phone": "services.sqlite",
}
RECORD = "made.json"
_MADE_BY = ("customers.py", "clean_tables.py", "dirt.py", "company.py")
_SECONDS_TO_ABANDON = 3_600
Counts = dict[str, dict[str, int]]


class CompanyError(Exception):
    """The sample company cannot be made as asked; the message says what to do."""


def make(folder: Path, customers: int, seed: int) -> Path:
    """Make the company in a folder, replacing one that was made there before; returns
    the folder's absolute path.

    Does nothing where the folder holds this very company already. It is written beside
    the folder and moved into place when it is complete. Needs about 0.2 GB of disk for
    each million customers, twice that while it replaces another.

    Raises:
        CompanyError: `customers` or `seed` out of range, or the folder holds files that
            are not the sample company's.
        OSError, sqlite3.Error: it cannot be written.
    """
    folder = folder.resolve()
    _check_size(customers, seed)
    if is_made(folder, customers, seed):
        return folder
    _refuse_other_files(folder)
    _remove_abandoned(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=f"{folder.name}.part-", dir=folder.parent))
    try:
        _write(part / "new", customers, seed)
        _move_into_place(part, folder, customers, seed)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return folder


def is_made(folder: Path, customers: int, seed: int) -> bool:
    """Whether the folder holds this company, complete, as this version of the generator
    makes it.
    """
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        sizes = {name: (folder / name).stat().st_size for name in set(FILES.values())}
    except (OSError, ValueError):
        return False
    wanted = {"customers": customers, "seed": seed, "version": version(), "bytes": sizes}
    return isinstance(record, dict) and wanted.items() <= record.items()


def version() -> str:
    """Version of the generator: a hash of its source, the same for every kind of line end."""
    source = "".join(
        (Path(__file__).parent / name).read_text(encoding="utf-8") for name in _MADE_BY
    )
    return hashlib.sha256(source.encode()).hexdigest()[:12]


def make_blocks(customers: int, seed: int) -> Iterator[tuple[dict[str, Table], Counts]]:
    """Make the tables block by block, with the number of rows that each kind of dirt
    has struck in the block.
    """
    for block, first in enumerate(range(0, customers, BLOCK)):
        tables = make_tables(
            draw_customers(seed, block), seed, block, min(BLOCK, customers - first)
        )
        struck = add_dirt(tables, seed, block, first)
        yield tables, struck


def _check_size(customers: int, seed: int) -> None:
    if not FEWEST_CUSTOMERS <= customers <= MOST_CUSTOMERS:
        raise CompanyError(
            f"--customers is {customers:,}; it must be {FEWEST_CUSTOMERS:,} to {MOST_CUSTOMERS:,}."
        )
    if seed < 0:
        raise CompanyError(f"--seed is {seed}; it must be 0 or more.")


def _refuse_other_files(folder: Path) -> None:
    if not folder.exists():
        return
    if not folder.is_dir():
        raise CompanyError(f"{folder} is a file; --out must name a folder.")
    others = sorted({path.name for path in folder.iterdir()} - {*FILES.values(), RECORD})
    if others:
        raise CompanyError(
            f"{folder} holds other files ({', '.join(others[:3])}); it would be replaced as a "
            "whole. "
            "Choose an empty folder for --out, or move them away."
        )


def _remove_abandoned(folder: Path) -> None:
    """Remove what a killed run left; a run that still writes touches its files far more
    often than once an hour.
    """
    for part in folder.parent.glob(f"{folder.name}.part-*"):
        touched = max(
            (path.stat().st_mtime for path in (part, *part.rglob("*")) if path.exists()),
            default=0.0,
        )
        if time.time() - touched > _SECONDS_TO_ABANDON:
            shutil.rmtree(part, ignore_errors=True)


def _write(folder: Path, customers: int, seed: int) -> None:
    folder.mkdir()
    rows: Counter[str] = Counter()
    dirt: dict[str, Counter[str]] = {name: Counter() for name in FILES}
    with (
        (folder / FILES["contract"]).open("w", newline="", encoding="utf-8") as contract,
        closing(_create(folder, "personal")) as crm,
        closing(_create(folder, "internet", "phone")) as services,
    ):
        writer = csv.writer(contract, lineterminator="\n")
        writer.writerow(COLUMNS["contract"])
        for tables, struck in make_blocks(customers, seed):
            writer.writerows(_tuples(tables["contract"]))
            for database, name in ((crm, "personal"), (services, "internet"), (services, "phone")):
                _insert(database, name, tables[name])
            for name, table in tables.items():
                rows[name] += len(table["customerID"])
                dirt[name].update(struck[name])
    _write_record(folder, customers, seed, rows, dirt)


def _create(folder: Path, *names: str) -> sqlite3.Connection:
    """Create tables of one file; no journal and no waiting for the disk: a broken file
    is thrown away anyway.
    """
    database = sqlite3.connect(folder / FILES[names[0]])
    for pragma in ("journal_mode = OFF", "synchronous = OFF"):
        database.execute(f"PRAGMA {pragma}")
    for name in names:
        database.execute(
            f"CREATE TABLE {name} ({', '.join(f'{column} TEXT' for column in COLUMNS[name])})"
        )
    return database


def _insert(database: sqlite3.Connection, name: str, table: Table) -> None:
    with database:
        database.executemany(
            f"INSERT INTO {name} VALUES ({', '.join('?' * len(table))})", _tuples(table)
        )


def _tuples(table: Table) -> Iterator[tuple[Any, ...]]:
    return zip(*(column.tolist() for column in table.values()), strict=True)


def _write_record(
    folder: Path, customers: int, seed: int, rows: Counter[str], dirt: dict[str, Counter[str]]
) -> None:
    record = {
        "about": "synthetic: no person or company is real",
        "customers": customers,
        "seed": seed,
        "version": version(),
        "window": [str(WINDOW_START), str(WINDOW_END)],
        "rows": rows,
        "dirt": dirt,
        "bytes": {name: (folder / name).stat().st_size for name in sorted(set(FILES.values()))},
    }
    (folder / RECORD).write_text(
        json.dumps(record, indent=2) + "\n", encoding="utf-8", newline="\n"
    )


def _move_into_place(part: Path, folder: Path, customers: int, seed: int) -> None:
    try:
        if folder.exists():
            os.rename(folder, part / "old")
        os.rename(part / "new", folder)
    except OSError:
        # Another process made the same company in the meantime.
        if is_made(folder, customers, seed):
            return
        if (part / "old").exists() and not folder.exists():
            os.rename(part / "old", folder)
        raise


def _parse(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Make the synthetic sample company.")
    parser.add_argument(
        "--customers", type=int, default=7_000, help="1,000 to 10 million (default: %(default)s)"
    )
    parser.add_argument(
        "--seed", type=int, default=7, help="0 or more; another seed, another company (%(default)s)"
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("data/sample/made"),
        help="folder to write (default: %(default)s)",
    )
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; 0 done, 1 it could not be written, 2 wrong usage."""
    options = _parse(arguments)
    began = time.monotonic()
    try:
        folder = make(options.out, options.customers, options.seed)
    except CompanyError as error:
        print(error, file=sys.stderr)
        return 2
    except (OSError, sqlite3.Error) as error:
        print(f"The sample company could not be written to {options.out}: {error}", file=sys.stderr)
        return 1
    print(
        f"{folder}: {options.customers:,} customers, seed {options.seed}, "
        f"{time.monotonic() - began:.1f} s"
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
