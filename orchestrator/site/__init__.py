"""The pages of `outputs/`: a front page, a page for each run, and one for each executed notebook.

Static and self-contained: they open from disk, offline. Nothing that data or a
notebook's output holds can run or load.
"""
