"""Parquet, each value as text."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq

from params import FileSource
from sources.headers import refuse_repeated
from sources.received import SourceRefused
from sources.texts import table_as_text


def read_parquet(data: bytes, source: FileSource) -> tuple[pa.Table, list[str]]:
    """Read Parquet; types become their shortest exact text.

    Raises:
        SourceRefused: it is not whole, or column names repeat.
    """
    try:
        table = pq.read_table(pa.BufferReader(data))
    except (pa.ArrowException, OSError) as error:
        raise SourceRefused(f"is not a whole Parquet file ({error}). Fetch it again.") from None
    refuse_repeated(table.column_names)
    return table_as_text(table), []
