"""A notebook, read without running it: cells, parameters, code, what it imports."""
