"""The facts of `params.yaml`: one pydantic model, read by the notebooks and checked before a run starts."""

from .facts import Column, ParameterError
from .loading import expand, load_params, suggest, variables
from .model import ROW_NUMBER, AsOfColumn, ColumnLabel, EndDateLabel, Expression, Params, Sample
from .parts import NoFileError, find_files, is_local, is_pattern, list_patterns
from .promotion import Promotion
from .sources import (
    ApiSource,
    BasicAuth,
    BearerAuth,
    Cursor,
    DatabaseSource,
    FileSource,
    NextLink,
    Offset,
    PageNumber,
    Source,
)

__all__ = [
    "ROW_NUMBER",
    "ApiSource",
    "AsOfColumn",
    "BasicAuth",
    "BearerAuth",
    "Column",
    "ColumnLabel",
    "Cursor",
    "DatabaseSource",
    "EndDateLabel",
    "Expression",
    "FileSource",
    "NextLink",
    "NoFileError",
    "Offset",
    "PageNumber",
    "ParameterError",
    "Params",
    "Promotion",
    "Sample",
    "Source",
    "expand",
    "find_files",
    "is_local",
    "is_pattern",
    "list_patterns",
    "load_params",
    "suggest",
    "variables",
]
