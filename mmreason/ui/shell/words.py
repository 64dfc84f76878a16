"""Numbers, times and errors as the page says them."""

from __future__ import annotations

from mmreason.disk import one_line
from mmreason.errors import MMReasonError
from mmreason.tasks.task import label_of

OUR_FAULT = "Something went wrong on our side, and this puzzle was given up; please try again."


def place_in_line(ahead: int) -> str:
    """What a waiting visitor reads."""
    if not ahead:
        return ""
    others = "1 other visitor is" if ahead == 1 else f"{ahead} other visitors are"
    return f"{others} ahead; yours is next after that."


def sentence(error: MMReasonError) -> str:
    """The error's message as a sentence, on one line and no longer than anybody reads."""
    text = one_line(str(error), 600)
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")


def puzzle_name(task: str, difficulty: str, seed: int | None = None) -> str:
    """Such as ``visual search, easy, seed 7``."""
    return f"{label_of(task)}, {difficulty}" + ("" if seed is None else f", seed {seed}")


def percent(share: float) -> str:
    """A share as ``26.9 %``."""
    return f"{100 * share:.1f} %"


def points(share: float) -> str:
    """A difference of shares in points of a hundred, with its sign: ``+11.2``, ``−0.4``."""
    return f"{100 * share:+z.1f}".replace("-", "−")


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
