"""Charts as inline SVG. Their colours are the page's CSS classes (s0, s1 ... for the series), so light and dark fit."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

WIDTH, HEIGHT = 420, 220
LEFT, RIGHT, TOP, BOTTOM = 54, 12, 12, 26
POINTS = 300  # of a line; more are averaged
SMOOTHED = 40  # points from which on a line is shown smoothed over its faint original

Series = tuple[str, Sequence[float], Sequence[float]]  # name, x, y


def line_chart(series: Sequence[Series | None], smooth: bool = False) -> str:
    """Lines over a common x. A series that is None keeps its colour for the others' sake; y that is no number is left
    out. smooth: noisy values, of which the trend is shown."""
    drawn = [(i, name, *_thinned(x, y)) for i, (name, x, y) in enumerate(filter_numbers(series)) if x]
    xs, ys = [v for _, _, x, _ in drawn for v in x], [v for _, _, _, y in drawn for v in y]
    frame = _Frame(min(xs), max(xs), min(ys), max(ys))
    parts = [frame.axes()]
    for i, name, x, y in drawn:
        title = f"<title>{escape(name)}</title>"
        if len(x) == 1:
            parts.append(
                f'<circle class="dot s{i}" cx="{frame.x(x[0]):.1f}" cy="{frame.y(y[0]):.1f}" r="4">{title}</circle>'
            )
            continue
        if smooth and len(x) >= SMOOTHED:
            parts.append(f'<path class="line faint s{i}" d="{frame.path(x, y)}"/>')
            y = _smoothed(y)
        parts.append(f'<path class="line s{i}" d="{frame.path(x, y)}">{title}</path>')
    return _svg(parts)


def history_chart(values: Sequence[float | None], best: Sequence[float | None]) -> str:
    """A search's trials in their order, as dots, and the best so far as a line. None: a trial without a value."""
    known = [(i, v) for i, v in enumerate(values) if v is not None]
    reached = [(i, v) for i, v in enumerate(best) if v is not None]
    ys = [v for _, v in known]
    frame = _Frame(0, max(1, len(values) - 1), min(ys), max(ys))
    path = frame.path(*zip(*_stairs(reached), strict=True))
    dots = [
        f'<circle class="dot s1" cx="{frame.x(i):.1f}" cy="{frame.y(v):.1f}" r="3.5">'
        f"<title>trial {i}: {v:.4g}</title></circle>"
        for i, v in known
    ]
    return _svg([frame.axes(), f'<path class="line s0" d="{path}"/>', *dots])


def bar_chart(shares: dict[str, float]) -> str:
    """Horizontal bars of shares of 1, largest first, each with its name and figure."""
    row, left, rows = 26, 190, []
    for i, (name, share) in enumerate(sorted(shares.items(), key=lambda item: -item[1])):
        y, width = i * row + 4, max(1.0, share * (WIDTH - left - 48))
        rows.append(
            f'<text class="tick" x="{left - 8}" y="{y + 13}" text-anchor="end">{escape(name)}</text>'
            f'<rect class="bar s0" x="{left}" y="{y}" width="{width:.1f}" height="16" rx="3"/>'
            f'<text class="tick" x="{left + width + 6:.1f}" y="{y + 13}">{share:.0%}</text>'
        )
    return _svg(rows, height=row * len(shares) + 4)


def filter_numbers(series: Sequence[Series | None]) -> list[tuple[str, list[float], list[float]]]:
    """The same with the points whose y is no finite number left out; an empty series for None."""
    kept = []
    for entry in series:
        name, xs, ys = entry or ("", (), ())
        pairs = [(x, y) for x, y in zip(xs, ys, strict=True) if y is not None and math.isfinite(y)]
        kept.append((name, [x for x, _ in pairs], [y for _, y in pairs]))
    return kept


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Round numbers from low to high, about `count` of them, in steps of 1, 2 or 5 times a power of ten."""
    rough = (high - low) / count
    power = 10 ** math.floor(math.log10(rough))
    step = next(power * m for m in (1, 2, 5, 10) if power * m >= rough * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [i * step for i in range(first, math.floor(high / step + 1e-9) + 1)]


class _Frame:
    """Values -> places in the picture, y with a margin above and below."""

    def __init__(self, x0: float, x1: float, y0: float, y1: float) -> None:
        margin = (y1 - y0) * 0.06 or abs(y1) * 0.1 or 1.0
        self.x0, self.x1 = x0, x1 if x1 > x0 else x0 + 1
        self.y0, self.y1 = y0 - margin, y1 + margin

    def x(self, value: float) -> float:
        return LEFT + (value - self.x0) / (self.x1 - self.x0) * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        return HEIGHT - BOTTOM - (value - self.y0) / (self.y1 - self.y0) * (HEIGHT - TOP - BOTTOM)

    def path(self, xs: Sequence[float], ys: Sequence[float]) -> str:
        return "M" + "L".join(f"{self.x(x):.1f},{self.y(y):.1f}" for x, y in zip(xs, ys, strict=True))

    def axes(self) -> str:
        parts = []
        for value in ticks(self.y0, self.y1):
            y = self.y(value)
            parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
            parts.append(f'<text class="tick" x="{LEFT - 7}" y="{y + 4:.1f}" text-anchor="end">{value:.4g}</text>')
        for value in ticks(self.x0, self.x1, 4):
            x, label = self.x(value), f"{value / 1000:.4g}k" if value >= 1000 else f"{value:.4g}"
            parts.append(f'<text class="tick" x="{x:.1f}" y="{HEIGHT - 8}" text-anchor="middle">{label}</text>')
        return "".join(parts)


def _thinned(xs: list[float], ys: list[float]) -> tuple[list[float], list[float]]:
    """At most POINTS points, each the mean of as many neighbours."""
    size = math.ceil(len(xs) / POINTS) or 1
    groups = [slice(i, i + size) for i in range(0, len(xs), size)]
    x, y = ([sum(values[g]) / len(values[g]) for g in groups] for values in (xs, ys))
    return x, y


def _smoothed(ys: list[float]) -> list[float]:
    """A running mean over a twentieth of the line."""
    reach = max(1, len(ys) // 40)
    windows = [ys[max(0, i - reach) : i + reach + 1] for i in range(len(ys))]
    return [sum(window) / len(window) for window in windows]


def _stairs(points: list[tuple[int, float]]) -> list[tuple[int, float]]:
    steps = [points[0]]
    for i, value in points[1:]:
        steps += [(i, steps[-1][1]), (i, value)]
    return steps


def _svg(parts: list[str], height: int = HEIGHT) -> str:
    return f'<svg viewBox="0 0 {WIDTH} {height}" role="img">{"".join(parts)}</svg>'
