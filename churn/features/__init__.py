"""Features at the as-of date: snapshots, histories, expressions, duplicates, and the
store that keeps them.
"""
