"""Intervals and tests: Wilson scores, pairs of outcomes, the bootstrap, Student's t, signs flipped.

Axes: S seeds, T tasks, N problems of a task, R resamples.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product

import numpy as np

from mmreason.seeds import numpy_generator

RESAMPLES = 4000
FEWEST_SEEDS = 3  # for a verdict or an interval
FEWEST_FLIPPED = 6  # below, no signs of all seeds are rarer than one in twenty


def wilson(rate: float, count: int, z: float = 1.959964) -> tuple[float, float]:
    """The 95 % Wilson score interval of a ``rate`` observed over ``count`` trials (Wilson, 1927)."""
    if count < 1:
        return 0.0, 1.0
    centre = (rate + z * z / (2 * count)) / (1 + z * z / count)
    half = z / (1 + z * z / count) * math.sqrt(rate * (1 - rate) / count + z * z / (4 * count * count))
    low = 0.0 if rate == 0 else max(0.0, centre - half)
    return low, 1.0 if rate == 1 else min(1.0, centre + half)


def pass_at(solved: int, tried: int, k: int) -> float:
    """The chance that one of ``k`` of the ``tried`` rollouts of a problem is right, of which ``solved`` are.

    Unbiased: 1 − C(n − c, k) / C(n, k) (Chen et al. 2021, arXiv 2107.03374).
    """
    if tried - solved < k:
        return 1.0
    return 1.0 - math.comb(tried - solved, k) / math.comb(tried, k)


def mean_interval(values_N: Sequence[float], seed: int = 0) -> tuple[float, float]:
    """The 95 % interval of the mean of independent ``values_N`` from 0 to 1, by a bootstrap.

    Of values that are all 0 or all 1, which resampled are the same, it is the Wilson score interval.
    """
    if set(values_N) in ({0}, {1}):
        return wilson(values_N[0], len(values_N))
    values, rng = np.array(values_N, dtype=np.float64), numpy_generator("mean", seed)
    means = [float(values[rng.integers(len(values), size=len(values))].mean()) for _ in range(RESAMPLES)]
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)


@dataclass(frozen=True, slots=True)
class Paired:
    """Two outcomes of each of the same problems, against one another."""

    gained: int  # solved by the second alone
    lost: int  # solved by the first alone
    difference: float  # of the rates, second less first
    ci95: tuple[float, float]
    p: float  # exact and two-sided

    @property
    def is_clear(self) -> bool:
        """Is it unlikely, at 5 %, that there is no difference?"""
        return self.p < 0.05


def paired(first: Sequence[bool], second: Sequence[bool]) -> Paired:
    """The exact test of McNemar (1947) on the problems whose outcome differs, and the interval of the difference.

    The interval is Wald's with a problem added to either kind that differs (Bonett and Price, 2012).
    """
    pairs = list(zip(first, second, strict=True))
    gained, lost = pairs.count((False, True)), pairs.count((True, False))
    apart, n = gained + lost, len(pairs)
    tail = sum(math.comb(apart, k) for k in range(min(gained, lost) + 1)) / 2**apart
    up, down = (gained + 1) / (n + 2), (lost + 1) / (n + 2)
    half = 1.959964 * math.sqrt((up + down - (up - down) ** 2) / (n + 2))
    bounds = max(-1.0, up - down - half), min(1.0, up - down + half)
    return Paired(gained, lost, (gained - lost) / max(1, n), bounds, min(1.0, 2 * tail))


def difference_interval(
    first: float, first_ci: Sequence[float], second: float, second_ci: Sequence[float]
) -> tuple[float, float]:
    """The 95 % interval of ``second`` − ``first`` from the intervals of both, as if independent.

    Newcombe's hybrid score (1998, method 10); for arms on the same problems it is wider than need be.
    """
    low = math.hypot(second - second_ci[0], first_ci[1] - first)
    high = math.hypot(second_ci[1] - second, first - first_ci[0])
    return second - first - low, second - first + high


def overlap(a: tuple[float, float], b: tuple[float, float]) -> bool:
    """Do two intervals overlap?"""
    return a[0] <= b[1] and b[0] <= a[1]


def resampled_means(arms: Mapping[str, np.ndarray], seed: int = 0) -> dict[str, np.ndarray]:
    """(R,) mean success of each arm, given (S, T, N) of each; arms with equally many seeds share their resample."""
    rng = numpy_generator("bootstrap", seed)
    sizes = {arm: solved_STN.shape for arm, solved_STN in arms.items()}
    _, tasks, problems = next(iter(sizes.values()))
    drawn: dict[str, list[float]] = {arm: [] for arm in arms}
    for _ in range(RESAMPLES):
        chosen_TN = rng.integers(problems, size=(tasks, problems))
        seeds = {count: rng.integers(count, size=count) for count in sorted({size[0] for size in sizes.values()})}
        counts_TN = np.stack([np.bincount(row, minlength=problems) for row in chosen_TN])
        for arm, solved_STN in arms.items():
            mean_S = (solved_STN * counts_TN).sum(axis=(1, 2)) / (tasks * problems)
            drawn[arm].append(float(mean_S[seeds[len(mean_S)]].mean()))
    return {arm: np.array(values) for arm, values in drawn.items()}


def interval(values_R: np.ndarray) -> list[float]:
    """The 2.5th and the 97.5th percentile."""
    return [float(bound) for bound in np.percentile(values_R, [2.5, 97.5])]


def t_interval(values_S: Sequence[float]) -> tuple[float, float]:
    """The 95 % interval of the mean of independent ``values_S``, two at least, by Student's t."""
    values = np.array(values_S, dtype=np.float64)
    half = t_quantile(len(values) - 1) * float(values.std(ddof=1)) / math.sqrt(len(values))
    return float(values.mean()) - half, float(values.mean()) + half


@cache
def t_quantile(freedom: int) -> float:
    """The 97.5th percentile of Student's t, by integrating its density."""
    x = np.linspace(0.0, 64.0, 2**18 + 1)
    scale = math.lgamma((freedom + 1) / 2) - math.lgamma(freedom / 2) - math.log(freedom * math.pi) / 2
    density = np.exp(scale - (freedom + 1) / 2 * np.log1p(x * x / freedom))
    below = np.cumsum((density[1:] + density[:-1]) / 2) * x[1]
    return float(np.interp(0.475, below, x[1:]))


def rank_correlation(
    first_N: Sequence[float], second_N: Sequence[float], group_N: Sequence[object] | None = None
) -> float:
    """Spearman's: the correlation of ranks, equal values sharing the mean of theirs; 0 where one side is all equal.

    With ``group_N`` values are ranked, and ranks centred, within their group: what differs between groups counts for
    nothing.
    """
    of_group: dict[object, list[int]] = {}
    for i, group in enumerate(group_N if group_N is not None else [None] * len(first_N)):
        of_group.setdefault(group, []).append(i)
    sides = (np.asarray(values, dtype=np.float64) for values in (first_N, second_N))
    x, y = (np.concatenate([_centred_ranks(values_N[i]) for i in of_group.values()]) for values_N in sides)
    spread = math.sqrt(float((x**2).sum() * (y**2).sum()))
    return float(x @ y) / spread if spread else 0.0


def _centred_ranks(values_N: np.ndarray) -> np.ndarray:
    ranks_N = _ranks(values_N)
    return ranks_N - ranks_N.mean()


def _ranks(values_N: np.ndarray) -> np.ndarray:
    return (values_N[:, None] > values_N).sum(axis=1) + (values_N[:, None] == values_N).sum(axis=1) / 2


def sign_flip(differences_S: Sequence[float]) -> dict[str, float]:
    """Their ``sign_flip_p`` by that name; empty where there are too few seeds for one."""
    return {"sign_flip_p": sign_flip_p(differences_S)} if len(differences_S) >= FEWEST_FLIPPED else {}


def sign_flip_p(differences_S: Sequence[float]) -> float:
    """Exact two-sided p-value of paired differences, if each might as well have had the other sign.

    The share of the 2^S choices of signs whose mean is at least as far from zero as the one that was seen.
    """
    values_S = np.array(differences_S, dtype=np.float64)
    signs_RS = np.array(list(product((1.0, -1.0), repeat=len(values_S))))
    return float((np.abs(signs_RS @ values_S) >= abs(values_S.sum()) - 1e-12).mean())
