"""Small pictures of a history, as positions that a template draws: no library, no
script, a few hundred bytes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 560, 170
LEFT, RIGHT, TOP, BOTTOM = 52, 14, 12, 26
MOST = 60  # points of one picture: the newest


@dataclass(frozen=True)
class Point:
    """One value of a history: what it is of, its spread (one standard deviation, or
    none), and a class for its look.
    """

    label: str
    when: str
    link: str
    value: float
    spread: float = 0.0
    look: str = ""


@dataclass(frozen=True)
class Mark:
    """A point as it is drawn; `top` and `bottom` bound its spread."""

    point: Point
    x: float
    y: float
    top: float
    bottom: float


@dataclass(frozen=True)
class Chart:
    """A history as it is drawn: marks from left to right, and the lines of its scale
    with their numbers.
    """

    title: str
    bars: bool
    marks: Sequence[Mark]
    grid: Sequence[tuple[float, str]]
    bar_width: float

    @property
    def trend(self) -> str:
        """The marks as the points of a line."""
        return " ".join(f"{mark.x:.1f},{mark.y:.1f}" for mark in self.marks)


def draw(title: str, points: Sequence[Point], *, bars: bool = False, decimals: int = 3) -> Chart:
    """Place the newest points on a picture; its scale holds all of them, and their
    spread. Bars begin at zero.
    """
    points = points[-MOST:]
    low = min((point.value - point.spread for point in points), default=0.0)
    high = max((point.value + point.spread for point in points), default=1.0)
    steps = _choose_steps(0.0 if bars else low, high)
    bottom, top = steps[0], steps[-1]

    def place(value: float) -> float:
        return round(
            HEIGHT - BOTTOM - (value - bottom) / (top - bottom) * (HEIGHT - TOP - BOTTOM), 1
        )

    slot = (WIDTH - LEFT - RIGHT) / max(len(points), 1)
    marks = [
        Mark(
            point,
            round(LEFT + slot * (position + 0.5), 1),
            place(point.value),
            place(point.value + point.spread),
            place(point.value - point.spread),
        )
        for position, point in enumerate(points)
    ]
    grid = [(place(step), f"{step:.{decimals}f}") for step in steps]
    return Chart(title, bars, marks, grid, round(min(slot * 0.7, 28), 1))


def _choose_steps(low: float, high: float) -> list[float]:
    """Return three to six round numbers that enclose a range."""
    span = max(high - low, abs(high) * 1e-3, 1e-9)
    size = 10 ** math.floor(math.log10(span / 3))
    step = next(size * factor for factor in (1, 2, 5, 10) if span / (size * factor) <= 4)
    first = math.floor(low / step)
    last = max(math.ceil(high / step), first + 1)
    return [round(number * step, 12) for number in range(first, last + 1)]
