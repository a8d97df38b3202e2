"""The models that compete: what a candidate is, and which cannot be meant."""

from __future__ import annotations

import copy
import inspect
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sklearn.base import clone
from sklearn.ensemble import VotingClassifier
from sklearn.model_selection import ParameterGrid
from sklearn.pipeline import make_pipeline

from churn.modelling import early_stopping, trust
from churn.params import suggest

Settings = dict[str, Any]  # of one model, such as {"C": 0.3}

_THREADS = ("n_jobs", "thread_count")  # what settings are called that count threads
PRIOR = "prior"  # the model that only knows the churn rate: what the others have to beat


class CandidateError(ValueError):
    """A candidate cannot compete: a name or a setting that does not exist."""


@dataclass(frozen=True)
class Candidate:
    """A model that competes: a classifier, behind an encoder, with the settings to try.

    Attributes:
        name: what tables, plots and MLflow call it.
        encoder: unfitted, of the features; None where the classifier takes them as they
            are: numbers with NaN, texts.
        model: an unfitted classifier in scikit-learn's manner.
        tried: setting -> values, of which all combinations are tried, or several of these;
            nothing: the model as it is. Rising values of a single number are tried until
            two in a row are no better.
        staged: a setting, the number of trees, whose best value up to the model's own is
            found by early stopping; see `early_stopping`.
        mean_of: names of earlier candidates; this one is then the mean of their
            probabilities, without an encoder and a model of its own.
    """

    name: str
    encoder: Any = None
    model: Any = None
    tried: Mapping[str, Sequence[Any]] | Sequence[Mapping[str, Sequence[Any]]] = field(
        default_factory=dict
    )
    staged: str = ""
    mean_of: Sequence[str] = ()

    @property
    def grid(self) -> list[Settings]:
        """All settings that are tried, in order: of equally good ones the first wins."""
        return [dict(settings) for settings in ParameterGrid(self.tried or {})]

    @property
    def is_searched(self) -> bool:
        """Whether there is a choice of settings."""
        return bool(self.staged) or len(self.grid) > 1

    @property
    def is_ladder(self) -> bool:
        """Whether the settings are rising values of one number: when a few in a row are no
        better than the ones before, the larger ones need not be tried.
        """
        values = [value for settings in self.grid for value in settings.values()]
        numbers = all(isinstance(value, (int, float)) for value in values)
        return numbers and len(values) == len(self.grid) and values == sorted(values)

    @property
    def most(self) -> int:
        """The largest value of the setting that is staged."""
        return int(self.model.get_params()[self.staged])

    def classifier(self, settings: Settings) -> Any:
        """Return an unfitted model with these settings, without its encoder, that computes in
        one thread: processes work side by side, and a fork of one that has used OpenMP's
        threads would wait for them forever.
        """
        threads = dict.fromkeys(_list_threads(self.model), 1)
        return clone(self.model).set_params(**settings, **threads)

    def pipeline(self, settings: Settings) -> Any:
        """Return encoder and model, unfitted."""
        if self.encoder is None:
            return make_pipeline(self.classifier(settings))
        # A deep copy keeps lists of columns that two steps share shared, where a clone makes
        # two of them: the file of an equal model would be another one.
        return make_pipeline(copy.deepcopy(self.encoder), self.classifier(settings))


@dataclass(frozen=True)
class Contest:
    """The candidates, the simplest first, and how their settings are searched: with which
    seed, on how many rows at most.

    Raises:
        CandidateError: a name stands twice or is not known, a model has no such setting,
            gives no probabilities or could not be loaded again, or the prior model is absent.
    """

    candidates: Sequence[Candidate]
    seed: int
    most_rows: int

    def __post_init__(self) -> None:
        """Refuse what can only be a mistake, all of it at once."""
        if problems := list(self._find_problems()):
            raise CandidateError("These candidates cannot compete: " + "; ".join(problems))

    @property
    def names(self) -> list[str]:
        """What the candidates are called, in their order."""
        return [one.name for one in self.candidates]

    @property
    def tuned(self) -> list[Candidate]:
        """The candidates that have a model of their own."""
        return [one for one in self.candidates if not one.mean_of]

    def only(self, name: str) -> Contest:
        """Return a contest of this candidate, those that it is the mean of, and the prior."""
        (chosen,) = (one for one in self.candidates if one.name == name)
        kept = {PRIOR, name, *chosen.mean_of}
        return replace(self, candidates=[one for one in self.candidates if one.name in kept])

    def pipelines(self, settings: Mapping[str, Settings]) -> dict[str, Any]:
        """Return the unfitted candidates by name, each with its settings."""
        made: dict[str, Any] = {}
        for one in self.candidates:
            if one.mean_of:
                members = [(name, clone(made[name])) for name in one.mean_of]
                made[one.name] = VotingClassifier(members, voting="soft")
            else:
                made[one.name] = one.pipeline(settings.get(one.name, {}))
        return made

    def _find_problems(self) -> Iterator[str]:
        for name, count in Counter(self.names).items():
            if count > 1:
                yield f"{name!r} stands {count} times; give each its own name"
        if PRIOR not in self.names:
            yield f"none is called {PRIOR!r}, the model of the churn rate that others have to beat"
        for place, one in enumerate(self.candidates):
            earlier = self.names[:place]
            for name in one.mean_of:
                if name not in earlier:
                    hint = suggest(name, earlier) or f"; known there are {', '.join(earlier)}"
                    yield f"{one.name!r} is the mean of {name!r}, which no earlier one is{hint}"
            if not one.mean_of:
                yield from _find_problems_of(one)


def _find_problems_of(one: Candidate) -> Iterator[str]:
    if not hasattr(one.model, "get_params"):
        yield f"{one.name!r} has neither a classifier nor others that it is the mean of"
        return
    kind = type(one.model).__name__
    known = _list_settings(one.model)
    tried = {name for settings in one.grid for name in settings}
    for name in sorted(tried | {one.staged} - {""}):
        if name not in known:
            yield f"{one.name!r}: {kind} has no setting {name!r}{suggest(name, known)}"
    if one.staged in tried:
        yield f"{one.name!r}: {one.staged!r} is staged; its largest value stands in the model alone"
    if one.staged and not early_stopping.can_tell(one.model):
        yield f"{one.name!r}: {kind} cannot say what fewer of {one.staged!r} would predict"
    if not hasattr(one.model, "predict_proba"):
        yield f"{one.name!r}: {kind} gives no probabilities (predict_proba)"
    if strange := trust.find_untrusted(one.model):
        yield (
            f"{one.name!r} could not be loaded again once saved: {', '.join(strange)} would not "
            "be trusted (PACKAGES in churn/modelling/trust.py)"
        )


def _list_settings(model: Any) -> list[str]:
    # CatBoost's get_params names only those that were given.
    return sorted({*model.get_params(), *inspect.signature(type(model)).parameters})


def _list_threads(model: Any) -> Iterator[str]:
    """Yield the settings of a model, and of those that it is made of, which count threads."""
    given = model.get_params()
    for name in _list_settings(model):
        part, _, last = name.rpartition("__")
        owner = given.get(part, model)
        is_one = type(owner).__module__.startswith("sklearn.") and given.get(name) is None
        if last in _THREADS and not is_one:  # scikit-learn's None is one, and warns of others
            yield name
