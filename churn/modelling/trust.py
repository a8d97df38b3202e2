"""Which model files are loaded: those that hold nothing but objects that are made without
running code of the file.

skops makes what a file names, and refuses what it is not told to trust. Trusted are the
classes of packages of models, whichever candidate needs them, and a few other types.
"""

from __future__ import annotations

import functools
import importlib
from typing import Any

import skops.io

# Package -> its distribution. The objects of their classes are made of plain values.
PACKAGES = {
    "sklearn": "scikit-learn",
    "lightgbm": "lightgbm",
    "xgboost": "xgboost",
    "catboost": "catboost",
    "imblearn": "imbalanced-learn",
}
TRUSTED_TYPES = (
    "collections.OrderedDict",  # what LightGBM measured while it learned
    "functools.partial",  # scikit-learn's boosting, which checks its numbers with it
    "numpy.clip",
    "numpy.dtype",  # the one-hot encoder's
    "scipy._lib.array_api_compat.numpy._aliases.asarray",  # a spline's, with SciPy 1.17
    "scipy.interpolate._bsplines.BSpline",
    "scipy.interpolate._bsplines._BSpline",  # a spline's, with SciPy 1.18
    "sklearn.utils.validation.check_array",
)


class ModelFileError(ValueError):
    """A model's file cannot be loaded here: its types are not trusted, or a package is absent."""


def load(content: bytes) -> Any:
    """Return the model of a file.

    Raises:
        ModelFileError: it holds other types, or needs a package that is not installed.
    """
    return skops.io.loads(content, trusted=list_types(content))


def find_untrusted(model: Any) -> list[str]:
    """Return the types of a model, fitted or not, that are not trusted."""
    types = skops.io.get_untrusted_types(data=skops.io.dumps(model))
    return [name for name in types if not _is_trusted(name)]


def list_types(content: bytes) -> list[str]:
    """Return the types of a model's file that skops has to be told to trust.

    Raises:
        ModelFileError: some are not trusted, or their package is not installed.
    """
    types: list[str] = skops.io.get_untrusted_types(data=content)
    if strange := [name for name in types if not _is_trusted(name)]:
        raise ModelFileError(
            f"The model holds types that are not trusted: {', '.join(strange)}. If objects of "
            "their package are made without running code of the file, add it to PACKAGES in "
            "churn/modelling/trust.py."
        )
    return types


def list_distributions(types: list[str]) -> list[str]:
    """Return the distributions that these types are from."""
    packages = {name.partition(".")[0] for name in types} & PACKAGES.keys()
    return sorted(PACKAGES[package] for package in packages)


@functools.cache
def _is_trusted(name: str) -> bool:
    """Whether a type is on the list, or a class that one of the packages defines: what it
    has only imported may be anything, and a function may do anything.
    """
    package = name.partition(".")[0]
    if name in TRUSTED_TYPES or package not in PACKAGES:
        return name in TRUSTED_TYPES
    module, _, attribute = name.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), attribute, None)
    except (ImportError, OSError) as error:  # OSError: a library of the system is absent
        needed = f"The model needs the package {PACKAGES[package]}"
        raise ModelFileError(f"{needed}, which cannot be imported here: {error}") from error
    return isinstance(found, type) and found.__module__.partition(".")[0] == package
