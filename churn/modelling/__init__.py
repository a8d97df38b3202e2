"""The models: encoders, candidates, splits, evaluation, calibration, and the registry
that keeps them.
"""
