"""The records of runs, and what they refer to: contents, code, DVC's cache."""
