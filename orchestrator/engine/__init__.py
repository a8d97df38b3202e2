"""Executes one notebook: kernels, what a cell puts out, and how it ended."""
