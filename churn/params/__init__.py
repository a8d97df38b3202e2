"""The facts of `params.yaml`: one pydantic model, read by the notebooks and checked
before a run starts.
"""

from churn.facts import Column, ParameterError, expand, suggest
from churn.params.model import (
    ROW_NUMBER,
    AsOfColumn,
    ColumnLabel,
    EndDateLabel,
    Expression,
    InactivityLabel,
    Label,
    Params,
    Promotion,
    RetryPolicy,
    Sample,
)
from churn.params.params_file import load_params
from churn.sources import (
    ApiSource,
    DatabaseSource,
    FileSource,
    Source,
)

__all__ = [
    "ROW_NUMBER",
    "ApiSource",
    "AsOfColumn",
    "Column",
    "ColumnLabel",
    "DatabaseSource",
    "EndDateLabel",
    "Expression",
    "FileSource",
    "InactivityLabel",
    "Label",
    "ParameterError",
    "Params",
    "Promotion",
    "RetryPolicy",
    "Sample",
    "Source",
    "expand",
    "load_params",
    "suggest",
]
