"""Numbers, times and plurals as the page, the tables and the command line say them."""

from __future__ import annotations


def formatted(value: float, form: str) -> str:
    """``value`` in a format of Python's, with a minus that is one and a space before the per cent sign."""
    return f"{value:{form}}".replace("-", "−").replace("%", " %")


def counted(number: int, what: str) -> str:
    """``1 seed``, ``4,200 seeds``."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def percent(share: float, decimals: int = 1) -> str:
    """A share as ``26.9 %``."""
    return formatted(share, f".{decimals}%")


def change(share: float) -> str:
    """A gain or a loss as ``+11.2 %``, ``−0.4 %``."""
    return formatted(share, "+z.1%")


def points(share: float) -> str:
    """A difference of shares in points of a hundred, with its sign: ``+11.2``, ``−0.4``."""
    return formatted(100 * share, "+z.1f")


def signed(value: float) -> str:
    """``+0.25``."""
    return formatted(value, "+z.2f")


def flops(value: float) -> str:
    """FLOPs with a word for the power of ten, three figures."""
    for size, word in ((1e18, "quintillion"), (1e15, "quadrillion"), (1e12, "trillion"), (1e9, "billion")):
        if value >= size:
            return f"{three_figures(value / size)} {word}"
    return f"{three_figures(value / 1e6)} million"


def seconds(value: float) -> str:
    """A time in seconds or milliseconds, three figures."""
    return f"{three_figures(value)} s" if value >= 1 else f"{three_figures(1e3 * value)} ms"


def three_figures(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def duration(seconds: float) -> str:
    """``1 min 40 s``, rounded as far as it is worth."""
    if seconds < 60:
        return f"{max(1, round(seconds))} s"
    if seconds < 600:
        minutes, rest = divmod(round(seconds / 5) * 5, 60)
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    if seconds < 5400:
        return f"{round(seconds / 60)} min"
    return f"{seconds / 3600:.1f} h"


def count(number: float) -> str:
    """``4,200``, ``1.2 million`` or ``8.1 billion``."""
    if number >= 1e9:
        return f"{number / 1e9:.1f} billion"
    return f"{number / 1e6:.1f} million" if number >= 1e6 else f"{round(number):,}"
