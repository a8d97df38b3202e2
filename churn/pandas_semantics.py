"""Importing it sets pandas to the semantics of pandas 3, and the process's environment."""

from churn import process_environment  # noqa: F401  (before the packages that read its settings)

# isort: split
import pandas as pd

pd.options.future.infer_string = True
pd.options.mode.copy_on_write = True
