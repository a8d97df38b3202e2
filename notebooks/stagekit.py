"""What two or more stage notebooks share: tables and datasets, typed columns, gates and the summary cell.

Knows nothing of runs. Importing it also sets pandas to the semantics of pandas 3 and turns telemetry off.
"""

from __future__ import annotations

import json
import math
import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import telemetry  # noqa: F401  (before the packages below)

# isort: split
import pandas as pd
import pyarrow.compute as pc
import pyarrow.parquet as pq
from IPython.display import display

from dataset_folders import find_dataset, new_dataset
from inference import complete_columns
from params import Column, ParameterError, Params, Source, expand, load_params, suggest
from parsing import as_arrow, clean_text, parse_column

__all__ = [
    "SUMMARY_TYPE",
    "Column",
    "GateError",
    "ParameterError",
    "Params",
    "clean_text",
    "complete_columns",
    "expand",
    "find_duplicates",
    "gate",
    "load_params",
    "match_keys",
    "new_dataset",
    "parse_column",
    "read_table",
    "rename_key",
    "suggest",
    "summarize",
    "use_house_style",
    "write_json",
    "write_table",
]

SUMMARY_TYPE = "application/vnd.churn.summary+json"

warnings.filterwarnings("ignore", "IProgress not found")  # progress bars of libraries are not shown in reports

pd.options.future.infer_string = True
pd.options.mode.copy_on_write = True


class GateError(Exception):
    """A check that stops the run: the input is not good enough to go on, and trying again would not help."""


def gate(problems: list[str], about: str) -> None:
    """Stop the run when there are problems.

    Raises:
        GateError: `problems` is not empty; its message lists them.
    """
    if problems:
        raise GateError(f"{about}:\n" + "\n".join(f"  - {problem}" for problem in problems))


def read_table(folder: str | os.PathLike[str], name: str, columns: list[str] | None = None) -> pd.DataFrame:
    """Read a table of a dataset: `<name>.parquet`, or a folder `<name>.parquet/` of parts, in the order of their names.

    Raises:
        FileNotFoundError: the dataset has no such table; the message says which stage has to run.
    """
    path = find_dataset(folder) / f"{name}.parquet"
    if not path.exists():
        raise FileNotFoundError(f"No table at {path.resolve()}: run the stage that writes {Path(folder).name!r} first.")
    frame: pd.DataFrame = pq.read_table(path, columns=columns).combine_chunks().to_pandas()  # chunks are slow to select
    return frame


def write_table(frame: pd.DataFrame, folder: str | os.PathLike[str], name: str) -> Path:
    """Write a table into a dataset that is being made, without its index; equal frames give equal bytes."""
    path = Path(folder) / f"{name}.parquet"
    # Whole tables are read, so nothing would use the smallest and largest values, which take a third of the time.
    frame.to_parquet(path, index=False, compression="zstd", write_statistics=False)
    return path


def write_json(value: Any, folder: str | os.PathLike[str], name: str) -> Path:
    """Write facts into a dataset that is being made, as `<name>.json`; equal facts give equal bytes on any platform."""
    path = Path(folder) / f"{name}.json"
    text = json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8", newline="\n")
    return path


def tables_in(folder: str | os.PathLike[str]) -> dict[str, int]:
    """Name the tables of a dataset, in the order of their names, with their numbers of rows."""
    paths = sorted(find_dataset(folder).glob("*.parquet"))
    return {path.stem: pq.ParquetDataset(path).read(columns=[]).num_rows for path in paths}


def rename_key(frame: pd.DataFrame, source: Source, customer_id: str, table: str = "") -> pd.DataFrame:
    """Give the column of a raw table that holds the customer id, `key` of its source, the name that it has elsewhere.

    Of a source without `key` the table stays as it is. `source.columns_by_name(customer_id)` are the facts that fit.

    Raises:
        ParameterError: there is no such column, or one with each of the two names.
    """
    if source.key is None or source.key == customer_id:
        return frame
    place = f"{table}.key" if table else "key"
    if source.key not in frame:
        raise ParameterError(f"{place}: no column {source.key!r}{suggest(source.key, list(frame.columns))}")
    if customer_id in frame:
        raise ParameterError(
            f"{place}: the table has a column {source.key!r} and a column {customer_id!r}, the customer id. If the"
            " latter holds the id, leave `key` out; else rename it where the table is made."
        )
    return frame.rename(columns={source.key: customer_id})


def find_duplicates(frame: pd.DataFrame, keys: Sequence[str]) -> pd.Series[Any]:
    """Name the rows of a typed table that a later row with the same keys replaces; the last row received stays.

    Returns:
        One entry a row that goes, by its index: `exact` when nothing differs from a later row, else `conflicting`.
    """
    repeated = frame[frame.duplicated(list(keys), keep=False)]
    is_exact = repeated.duplicated(keep="last")
    distinct = repeated[~is_exact]
    is_conflicting = distinct.duplicated(list(keys), keep="last")
    exact = pd.Series("exact", index=repeated.index[is_exact])
    return pd.concat([exact, pd.Series("conflicting", index=distinct.index[is_conflicting])]).sort_index()


def match_keys(keys: pd.Series[Any], known: pd.Series[Any]) -> pd.Series[bool]:
    """Say of each key whether it is among the known ones; a missing key never is.

    `Series.isin` says the same, but takes 15 times as long on a million texts.
    """
    found = pc.is_in(as_arrow(keys), pc.drop_null(as_arrow(known)))
    return pd.Series(found.to_numpy(zero_copy_only=False), index=keys.index)


def use_house_style() -> None:
    """Set the look of plots and tables that all notebooks share (seaborn's colour-blind-safe palette)."""
    import seaborn as sns

    sns.set_theme(context="notebook", style="whitegrid", palette="colorblind", rc={"figure.dpi": 100})
    pd.options.display.max_columns = 50
    pd.options.display.precision = 4


def summarize(**results: float | int | str) -> None:
    """Show the stage's results as a table, and record them: the run's record reads them from this cell.

    Raises:
        ValueError: a result is not a finite number or a text.
    """
    values = {name: _as_json(name, value) for name, value in results.items()}
    table = pd.DataFrame(
        {
            "result": list(values),
            "value": [f"{value:,}" if isinstance(value, int) else value for value in values.values()],
        }
    )
    display(
        {"text/plain": table.to_string(index=False), "text/html": table.to_html(index=False), SUMMARY_TYPE: values},
        raw=True,
    )


def _as_json(name: str, value: Any) -> float | int | str:
    plain = value.item() if hasattr(value, "item") else value
    if isinstance(plain, str) or (isinstance(plain, (int, float)) and math.isfinite(plain)):
        return plain
    raise ValueError(f"The result {name!r} is {value!r}: expected a finite number or a text.")
