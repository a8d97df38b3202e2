"""The files of a dataset: tables as Parquet, facts as JSON; equal contents give equal bytes."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq

from churn.datasets import find_dataset


def read_table(
    folder: str | os.PathLike[str], name: str, columns: list[str] | None = None
) -> pd.DataFrame:
    """Read a table of a dataset: `<name>.parquet`, or a folder `<name>.parquet/` of
    parts, in the order of their names.

    Raises:
        FileNotFoundError: the dataset has no such table; the message says which stage has to run.
    """
    path = find_dataset(folder) / f"{name}.parquet"
    if not path.exists():
        raise FileNotFoundError(
            f"No table at {path.resolve()}: run the stage that writes {Path(folder).name!r} first."
        )
    # Chunks are slow to select.
    frame: pd.DataFrame = pq.read_table(path, columns=columns).combine_chunks().to_pandas()
    return frame


def write_table(frame: pd.DataFrame, folder: str | os.PathLike[str], name: str) -> Path:
    """Write a table into a dataset that is being made, or a folder in it, without its
    index; equal frames give equal bytes.
    """
    path = Path(folder) / f"{name}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    # Whole tables are read, so nothing would use the smallest and largest values, which
    # take a third of the time.
    frame.to_parquet(path, index=False, compression="zstd", write_statistics=False)
    return path


def write_json(value: Any, folder: str | os.PathLike[str], name: str) -> Path:
    """Write facts into a dataset that is being made, as `<name>.json`; equal facts give
    equal bytes on any platform.
    """
    path = Path(folder) / f"{name}.json"
    text = json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8", newline="\n")
    return path


def tables_in(folder: str | os.PathLike[str]) -> dict[str, int]:
    """Name the tables of a dataset, in the order of their names, with their numbers of rows."""
    paths = sorted(find_dataset(folder).glob("*.parquet"))
    return {path.stem: pq.ParquetDataset(path).read(columns=[]).num_rows for path in paths}
