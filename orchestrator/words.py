"""Times and states as people say them, the same on all pages and in the terminal."""

from __future__ import annotations

import datetime

_UNITS = (
    ("year", 365 * 86400),
    ("month", 30 * 86400),
    ("day", 86400),
    ("hour", 3600),
    ("minute", 60),
    ("second", 1),
)


def say_age(since: datetime.datetime, moment: datetime.datetime) -> str:
    """Return how long ago a moment is, in its largest unit: `3 days ago`."""
    elapsed = int((moment - since).total_seconds())
    for unit, seconds in _UNITS:
        if elapsed >= seconds:
            count = elapsed // seconds
            return f"{count} {unit}{'s' if count > 1 else ''} ago"
    return "just now"


def say_duration(seconds: float | None) -> str:
    """Return seconds in the units that fit: `0.4 s`, `12 s`, `3 min 05 s`, `2 h 10 min`."""
    if seconds is None:
        return ""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes == 0:
        return f"{rest} s"
    return (
        f"{minutes} min {rest:02} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"
    )


def say_moment(moment: datetime.datetime | None) -> str:
    """Return a time in UTC, to the second."""
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC" if moment else ""


def say_status(status: str) -> str:
    """Return the status of a run or stage in words: `not run`."""
    return status.replace("_", " ")
