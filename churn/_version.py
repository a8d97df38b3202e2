"""The version of this project, in one place."""

__version__ = "0.2.0"
