"""The work of stages 1 to 5 on the sample company as one DuckDB script: what
`benchmarks/scale.py` compares with.

    python benchmarks/duckdb_pipeline.py SOURCES FOLDER PARAMS

Reads `<table>.csv` of the four tables in SOURCES and writes raw, validated, prepared
and features to FOLDER, with the facts of PARAMS: texts as received with a SHA-256;
every rule counted, bad rows set aside with their reasons, a profile; the last row of a
customer kept, one row a customer from left joins; population, label and features at the
as-of day, the check that no feature gives the answer away, one Parquet file a view, and
the training set; MD5 and a copy of each file, as DVC keeps them. No plots, no report,
no feature store's registry. Prints the seconds of each stage as JSON.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
from ruamel.yaml import YAML

Facts = dict[str, Any]
LINES = ("PhoneService", "MultipleLines", "InternetService")
CARE = (
    "OnlineSecurity",
    "OnlineBackup",
    "DeviceProtection",
    "TechSupport",
    "StreamingTV",
    "StreamingMovies",
)
DAY = 30.4375  # days of a month


class Script:
    """The steps, on one connection."""

    def __init__(self, sources: Path, folder: Path, facts: Facts) -> None:
        self.sources, self.folder, self.facts = sources, folder, facts
        self.key, self.tables = (
            facts["customer_id"],
            {name: one["columns"] for name, one in facts["sources"].items()},
        )
        self.first = next(iter(self.tables))
        self.db = duckdb.connect()
        self.db.execute("SET preserve_insertion_order = true")

    def ingest(self) -> None:
        """Read each table as texts, hash the files, write Parquet."""
        self._make("raw")
        for table in self.tables:
            file = self.sources / f"{table}.csv"
            self.db.execute(
                f"CREATE TABLE raw_{table} AS SELECT * FROM read_csv('{file}', all_varchar = true)"
            )
            self._write(f"SELECT * FROM raw_{table}", "raw", table)
            with file.open("rb") as opened:
                hashlib.file_digest(opened, "sha256")

    def validate(self) -> None:
        """Clean, count what breaks each rule, set rows aside, describe each column."""
        self._make("validated", "validated/quarantine")
        counts: Facts = {}
        for table, columns in self.tables.items():
            cleaned = ", ".join(
                f"{self._clean(name, column)} AS {quote(name)}" for name, column in columns.items()
            )
            self.db.execute(
                f"CREATE TABLE clean_{table} AS SELECT rowid AS row, {cleaned} FROM raw_{table}"
            )
            rules = self._rules(table, columns)
            reasons = ", ".join(
                f"CASE WHEN {broken} THEN '{what}' END" for what, broken in rules.items()
            )
            self.db.execute(
                f"CREATE TABLE bad_{table} AS SELECT row, concat_ws('; ', {reasons}) AS reason "
                f"FROM clean_{table} WHERE "
                f"{' OR '.join(f'coalesce({broken}, false)' for broken in rules.values())}"
            )
            numbers = ", ".join(f"count(*) FILTER ({broken})" for broken in rules.values())
            blanks = ", ".join(f"count(*) FILTER ({quote(name)} IS NULL)" for name in columns)
            repeated = f"count(*) - count(DISTINCT {quote(self.key)})"
            counts[table] = self.db.execute(
                f"SELECT {numbers}, {blanks}, {repeated} FROM clean_{table}"
            ).fetchone()
            self._write(
                f"SELECT * FROM raw_{table} WHERE rowid NOT IN (SELECT row FROM bad_{table})",
                "validated",
                table,
            )
            bad = (
                f"SELECT raw_{table}.*, reason FROM raw_{table} JOIN bad_{table} ON "
                f"raw_{table}.rowid = row"
            )
            self._write(bad, "validated/quarantine", table)
            counts[f"{table} profile"] = [
                self._profile(table, name, column) for name, column in columns.items()
            ]
        text = json.dumps(counts, default=str)
        (self.folder / "validated/quality.json").write_text(text, encoding="utf-8")

    def prepare(self) -> None:
        """Type, keep the last row of each customer, left-join to one row per customer."""
        self._make("prepared")
        selected, joins = [], ""
        for table, columns in self.tables.items():
            typed = ", ".join(
                f"{self._parse(name, column)} AS {quote(name)}" for name, column in columns.items()
            )
            self.db.execute(
                f"CREATE TABLE typed_{table} AS SELECT {typed} FROM clean_{table} "
                f"WHERE row NOT IN (SELECT row FROM bad_{table}) "
                f"QUALIFY row_number() OVER (PARTITION BY {quote(self.key)} ORDER BY row DESC) = 1"
            )
            absent = self.facts["sources"][table].get("absent", {})
            for name in columns:
                value = f"typed_{table}.{quote(name)}"
                if (
                    table != self.first
                    and name != self.key
                    and (text := absent.get(name, absent.get("*")))
                ):
                    value = (
                        f"CASE WHEN typed_{table}.{quote(self.key)} IS NULL THEN '{text}' "
                        f"ELSE {value} END"
                    )
                if table == self.first or name != self.key:
                    selected.append(f"{value} AS {quote(name)}")
            if present := self.facts["sources"][table].get("present"):
                is_there = f"typed_{table}.{quote(self.key)} IS NOT NULL"
                selected.append(
                    f"CASE WHEN {is_there} THEN 'Yes' ELSE 'No' END AS {quote(present)}"
                )
            joins += (
                f" LEFT JOIN typed_{table} USING ({quote(self.key)})" if table != self.first else ""
            )
        columns_sql = ", ".join(selected).replace(
            f"typed_{self.first}.{quote(self.key)} AS", f"{quote(self.key)} AS"
        )
        self.db.execute(
            f"CREATE TABLE customers AS SELECT {columns_sql} FROM typed_{self.first}{joins} "
            f"ORDER BY {quote(self.key)}"
        )
        self._write("SELECT * FROM customers", "prepared", "customers")

    def transform(self) -> None:
        """Compute population, label and features at the as-of day; check each feature;
        write views and training set.
        """
        self._make("features/offline")
        day, label = f"DATE '{self.facts['as_of']}'", self.facts["label"]
        begin, end = quote(label["begin_date"]), quote(label["end_date"])
        months, services = (
            f"date_diff('day', {begin}, {day}) / {DAY}",
            " + ".join(map(_uses, (*LINES, *CARE))),
        )
        phase = (
            f"CASE WHEN {months} <= 3 THEN '00-03' WHEN {months} <= 12 THEN '03-12' ELSE '12+' END"
        )
        left_out = {self.key, label["begin_date"], label["end_date"]}
        features = [
            name
            for columns in self.tables.values()
            for name, column in columns.items()
            if name not in left_out and column.get("feature", True)
        ]
        plain = ", ".join(map(quote, (*features, "PhoneService")))
        self.db.execute(
            f"CREATE TABLE features AS SELECT {quote(self.key)}, {plain}, {months} AS "
            "months_since_begin, "
            f"concat(\"Type\", ', months ', {phase}) AS contract_phase, {services} AS services, "
            f"coalesce({end} <= {day} + {label['horizon_days']}, false)::BIGINT AS churned, "
            f"{day} AS event_timestamp "
            f"FROM customers WHERE {begin} < {day} AND ({end} IS NULL OR {end} >= {day})"
        )
        for table, columns in self.tables.items():
            kept = ", ".join(quote(name) for name in columns if name in features)
            self._write(
                f"SELECT {quote(self.key)}, {kept}, event_timestamp FROM features",
                "features/offline",
                table,
            )
        derived = (
            f"{quote(self.key)}, months_since_begin, contract_phase, services, event_timestamp"
        )
        self._write(f"SELECT {derived} FROM features", "features/offline", "derived")
        self._write("SELECT * FROM features", "features", "training")
        strengths = {
            name: self._strength(name) for name in (*features, "months_since_begin", "services")
        }
        (self.folder / "features/strengths.json").write_text(
            json.dumps(strengths), encoding="utf-8"
        )

    def version(self) -> None:
        """Hash each file and keep a copy under its hash."""
        self._make("cache")
        for file in [path for path in sorted(self.folder.rglob("*")) if path.is_file()]:
            with file.open("rb") as opened:
                md5 = hashlib.file_digest(opened, "md5").hexdigest()
            shutil.copyfile(file, self.folder / "cache" / md5)

    def _make(self, *names: str) -> None:
        for name in names:
            (self.folder / name).mkdir(parents=True)

    def _write(self, query: str, folder: str, name: str) -> None:
        self.db.execute(
            f"COPY ({query}) TO '{self.folder / folder / name}.parquet' (FORMAT parquet, "
            "COMPRESSION zstd)"
        )

    def _clean(self, name: str, column: Facts) -> str:
        value = f"trim({quote(name)})"
        if codes := column.get("codes"):
            cases = " ".join(f"WHEN '{old}' THEN '{new}'" for old, new in codes.items())
            value = f"CASE {value} {cases} ELSE {value} END"
        for text in ("", *column.get("none", [])):
            value = f"nullif({value}, '{text}')"
        return value

    def _parse(self, name: str, column: Facts) -> str:
        kind = column.get("type", "category")
        if kind == "number":
            return f"try_cast(replace({quote(name)}, ',', '') AS DOUBLE)"
        return f"try_strptime({quote(name)}, '%Y-%m-%d')::DATE" if kind == "date" else quote(name)

    def _rules(self, table: str, columns: Facts) -> dict[str, str]:
        """Name what sets a row aside -> the condition that breaks the rule."""
        rules = {f"{self.key} is present": f"{quote(self.key)} IS NULL"}
        for name, column in columns.items():
            value, parsed = quote(name), self._parse(name, column)
            if column.get("type") in ("number", "date"):
                rules[f"{name} is a {column['type']}"] = f"{value} IS NOT NULL AND {parsed} IS NULL"
            if "min" in column:
                rules[f"{name} is in range"] = (
                    f"{parsed} < {column['min']} OR {parsed} > {column.get('max', 1e308)}"
                )
            if "values" in column:
                known = ", ".join(f"'{one}'" for one in column["values"])
                rules[f"{name} is known"] = f"{value} NOT IN ({known})"
        if table != self.first:
            known = f"SELECT {quote(self.key)} FROM clean_{self.first}"
            rules[f"is a customer of {self.first}"] = f"{quote(self.key)} NOT IN ({known})"
        label = self.facts["label"]
        if label["end_date"] in columns:
            begin, end = (
                self._parse(label[side], columns[label[side]])
                for side in ("begin_date", "end_date")
            )
            rules["does not end before it begins"] = f"{end} < {begin}"
        return rules

    def _profile(self, table: str, name: str, column: Facts) -> Any:
        parsed = self._parse(name, column)
        if column.get("type") in ("number", "date"):
            deciles = [number / 10 for number in range(11)]
            what = f"count({parsed}), count(DISTINCT {parsed}), quantile_disc({parsed}, {deciles})"
            return self.db.execute(f"SELECT {what} FROM clean_{table}").fetchone()
        grouped = (
            f"SELECT {quote(name)}, count(*) FROM clean_{table} GROUP BY 1 ORDER BY 2 DESC LIMIT 20"
        )
        return self.db.execute(grouped).fetchall()

    def _strength(self, name: str) -> Any:
        """Return the AUC of the churn rate of a feature's values (numbers: of 50
        groups) on 10,000 customers.
        """
        value = f"ntile(50) OVER (ORDER BY {quote(name)})" if self._is_number(name) else quote(name)
        return self.db.execute(
            f"WITH seen AS (SELECT {value} AS value, churned FROM (FROM features LIMIT 10000)), "
            "rates AS (SELECT churned, avg(churned) OVER (PARTITION BY value) AS rate FROM seen), "
            "ranked AS (SELECT churned, avg(r) OVER (PARTITION BY rate) AS r FROM "
            "(SELECT *, row_number() OVER (ORDER BY rate) AS r FROM rates)) "
            "SELECT (sum(r) FILTER (churned = 1) - sum(churned) * (sum(churned) + 1) / 2) "
            "/ (sum(churned) * sum(1 - churned)) FROM ranked"
        ).fetchone()

    def _is_number(self, name: str) -> bool:
        (kind,) = self.db.execute(
            f"SELECT typeof({quote(name)}) FROM features LIMIT 1"
        ).fetchone() or ("",)
        return str(kind) in ("DOUBLE", "INTEGER", "BIGINT")


def quote(name: str) -> str:
    """Return a name as SQL writes it."""
    return f'"{name}"'


def _uses(column: str) -> str:
    return f"coalesce(NOT starts_with({quote(column)}, 'No'), false)::INT"


def main() -> None:
    """Execute the steps, and print what each took."""
    sources, folder, params = map(Path, sys.argv[1:])
    script = Script(sources, folder, YAML(typ="safe", pure=True).load(params))
    steps: dict[str, Callable[[], None]] = {
        "ingestion": script.ingest,
        "validation": script.validate,
        "preparation": script.prepare,
        "transformation": script.transform,
        "versioning": script.version,
    }
    seconds = {}
    for name, step in steps.items():
        start = time.perf_counter()
        step()
        seconds[name] = time.perf_counter() - start
    print(json.dumps(seconds))


if __name__ == "__main__":
    main()
