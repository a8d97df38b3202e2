"""Typed tables: what the columns of raw tables hold, read from their texts."""

from churn import pandas_semantics  # noqa: F401  (before any table is made)
