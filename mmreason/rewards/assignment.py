"""How rewards become advantages of segments: assignment × granularity.

Axes: P problems, G rollouts in a group, S segments.

A *slot* is what a reward is compared within.  By trace: (problem, modality), with the whole trace's text
and image reward.  By turn: (problem, turn, modality), an answer among the texts of its turn, so that ending
when it is due beats thinking on, and thinking beats an answer that comes too early.  Its members are the
rollouts that have a reward there.  With d_m = w_m (r_m − mean of its slot), zero where there is no reward:

    factorized:  A = d_own / (σ_own + ε)
    joint:       A = (d_text + d_image) / (σ_joint + ε),  σ_joint the spread of that sum

and, as controls of a comparison only,

    swapped:     A = d_other / (σ_other + ε), which must hurt
    whitened:    joint, but of d_m / (σ_m + ε), so that neither modality outweighs the other in the sum,
                 whatever the weights w_m
    to_go:       by turn, A = D / (σ_D + ε), where D sums the d of both modalities over this segment's slot and
                 all later ones of its rollout, so that what came before a segment does not count for it; each d is
                 against the rollouts that are still going, so that going on earns nothing by itself

By turn, the members of a slot depend on who has stopped, and the expected gradient has yet the direction of that
turn's own reward where that alone counts: who is there is settled before the turn, and no later reward reaches the
choice to stop.  (A picture's slot depends on the words of its turn, too, which matters to joint.)

σ is the unbiased standard deviation over the members (``scale_rewards="group"``), over the whole batch
(``"batch"``), or left out (``"none"``), as in TRL's ``GRPOConfig``; but ``"batch"`` is the spread of the
differences d, where TRL takes that of rewards and so counts how much problems differ, too.

By turn, a text has no reward in its slot where the canvas is such that no thought and no answer would be right
(a sudoku filled with a wrong digit): it is left out, as an edit is where nothing useful can be drawn, or a wrong
picture would count against words that could not be better, most of all against ending there.  By trace such a
text counts as wrong.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mmreason import limits
from mmreason.errors import ConfigError
from mmreason.records import MODALITIES, Segment, Trace
from mmreason.rewards.scores import IMAGE_SCORES, TEXT_SCORES, segment_score, trace_scores
from mmreason.rewards.verify import NOTHING_TO_SAY
from mmreason.settings import Control, check, choice, shares

ASSIGNMENTS = ("joint", "factorized")
SWAPPED, WHITENED, TO_GO = CONTROLS = ("swapped", "whitened", "to_go")  # no choices for training
GRANULARITIES = ("trace", "turn")
SCALES = ("group", "batch", "none")
EPSILON = 1e-4  # added to σ, as TRL does
NO_SPREAD = 1e-8  # a σ or a difference below this counts as none: it is rounding

Differences = dict[tuple[Hashable, str], dict[int, float]]
"""d by slot and modality, then member; under the modality ``"joint"`` the sum of both."""


@dataclass(frozen=True, slots=True)
class AssignmentConfig:
    """Which advantages."""

    assignment: str = choice(
        "factorized",
        ASSIGNMENTS,
        "factorized: text and image tokens each get their own reward; joint: all get the sum",
        also=CONTROLS,
        page=Control(
            "Assignment",
            "Factorized rewards words and pictures separately, joint gives both the sum; against each other, both are "
            "trained side by side on the same prompts unless Curriculum or Resample draws by each arm's own rollouts.",
            place="own",
        ),
    )
    granularity: str = choice(
        "trace",
        GRANULARITIES,
        "what is compared in a group: whole traces, or each turn with the same turn of the others",
        page=Control(
            "Compared by",
            "Trace compares whole rollouts; turn compares each turn with the same turn of the other rollouts.",
        ),
    )
    scale_rewards: str = choice(
        "group", SCALES, "advantages are divided by the spread of the rewards in the group, in the batch, or not"
    )
    reward_weights: Mapping[str, float] = shares(dict.fromkeys(MODALITIES, 1.0), limits.REWARD_WEIGHT)
    text_score: str = choice(
        "segments",
        TEXT_SCORES,
        "what words are judged by: every thought and answer, or the answer alone (0.8 right, 0.2 well-formed)",
        page=Control("Words judged by", "Every thought and answer, or the answer alone (0.8 right, 0.2 well-formed)."),
    )
    image_score: str = choice(
        "exact",
        IMAGE_SCORES,
        "what pictures are judged by: all cells of an edit right or not, or the share of them that is",
        page=Control("Pictures judged by", "All cells of an edit right or not, or the share of them that is."),
    )

    def __post_init__(self) -> None:
        check(self)
        if self.assignment == TO_GO and self.granularity == "trace":
            raise ConfigError(f"granularity must be turn where assignment is {TO_GO}, got 'trace'")


@dataclass(frozen=True, slots=True)
class SegmentAdvantage:
    """One segment's advantage with the numbers behind it."""

    advantage: float
    own: float  # d of the segment's own modality in its slot
    other: float  # d of the other modality in the same slot
    sigma_own: float
    sigma_joint: float

    @property
    def joint(self) -> float:
        """The advantage that joint assignment gives."""
        return _scaled(self.own + self.other, self.sigma_joint)

    @property
    def factorized(self) -> float:
        """The advantage that factorized assignment gives."""
        return _scaled(self.own, self.sigma_own)


@dataclass(frozen=True, slots=True)
class GroupAdvantages:
    """Advantages of one group, ``segments[g][s]``; ``slots`` and those of them without spread."""

    segments: tuple[tuple[SegmentAdvantage, ...], ...]
    slots: int
    slots_without_spread: int

    @property
    def live(self) -> list[list[bool]]:
        """(G)(S): which segments have an advantage; the others have no gradient."""
        return [[bool(segment.advantage) for segment in row] for row in self.segments]


@dataclass(frozen=True, slots=True)
class Judged:
    """One rollout as assignment sees it: slot and modality of each segment, and what it earned in its slots."""

    places: Sequence[Hashable]
    modalities: Sequence[str]
    rewards: Mapping[Hashable, Mapping[str, float]]  # by place, then modality


def _scaled(centred: float, sigma: float) -> float:
    return 0.0 if sigma < NO_SPREAD or abs(centred) < NO_SPREAD else centred / (sigma + EPSILON)


def _slot_rewards(trace: Trace, config: AssignmentConfig) -> tuple[list[Hashable], dict[Hashable, dict[str, float]]]:
    """The slot of each segment, and the rewards by slot and modality."""
    rewards: dict[Hashable, dict[str, float]] = defaultdict(dict)
    judged_by = config.text_score, config.image_score
    if config.granularity == "trace":
        text, image = trace_scores(trace, *judged_by)
        rewards["trace"]["text"] = text
        if image is not None:
            rewards["trace"]["image"] = image
        return ["trace"] * len(trace.segments), rewards
    for segment in trace.segments:
        score = segment_score(segment, *judged_by)
        if score is not None and not _nothing_to_say(segment):
            rewards[segment.turn][segment.modality] = score
    return [segment.turn for segment in trace.segments], rewards


def _nothing_to_say(segment: Segment) -> bool:
    return segment.verdict is not None and bool(segment.verdict.components.get(NOTHING_TO_SAY))


def assign(groups: Sequence[Sequence[Trace]], config: AssignmentConfig) -> list[GroupAdvantages]:
    """Advantages of every segment of every trace of every group; rewards are left as they are."""
    judged = []
    for group in groups:
        row = []
        for trace in group:
            places, rewards = _slot_rewards(trace, config)
            row.append(Judged(places, [segment.modality for segment in trace.segments], rewards))
        judged.append(row)
    return assign_judged(judged, config)


def assign_judged(groups: Sequence[Sequence[Judged]], config: AssignmentConfig) -> list[GroupAdvantages]:
    """The same of rollouts that anybody judged; ``config.granularity`` is what their places say."""
    # by problem: (slot, m) → {g: d}
    centred = [_centre([judged.rewards for judged in group], config.reward_weights) for group in groups]
    if config.assignment == WHITENED:
        centred = [_with_sums(_whitened(differences)) for differences in centred]
    elif config.assignment == TO_GO:
        centred = [_with_sums(_to_go(group, each)) for group, each in zip(groups, centred, strict=True)]
    sigmas = [_spreads(differences) for differences in centred]
    if config.scale_rewards == "batch":
        sigmas = _batch_spreads(centred)
    elif config.scale_rewards == "none":
        sigmas = [dict.fromkeys(group, 1.0 - EPSILON) for group in sigmas]
    out = []
    for group, differences, sigma in zip(groups, centred, sigmas, strict=True):
        rows = []
        for g, judged in enumerate(group):
            row = []
            for own_name, slot in zip(judged.modalities, judged.places, strict=True):
                other_name = MODALITIES[1 - MODALITIES.index(own_name)]
                own = differences.get((slot, own_name), {}).get(g, 0.0)
                other = differences.get((slot, other_name), {}).get(g, 0.0)
                sigma_own, sigma_joint = sigma.get((slot, own_name), 0.0), sigma.get((slot, "joint"), 0.0)
                joint = config.assignment in ("joint", WHITENED)
                chosen = (own + other, sigma_joint) if joint else (own, sigma_own)
                if config.assignment == SWAPPED:
                    chosen = (other, sigma.get((slot, other_name), 0.0))
                row.append(SegmentAdvantage(_scaled(*chosen), own, other, sigma_own, sigma_joint))
            rows.append(tuple(row))
        used = [key for key in differences if key[1] != "joint"]
        flat = sum(_spread(list(differences[key].values())) < NO_SPREAD for key in used)
        out.append(GroupAdvantages(tuple(rows), len(used), flat))
    return out


def _centre(rewards_G: Sequence[Mapping[Hashable, Mapping[str, float]]], weights: Mapping[str, float]) -> Differences:
    """d of every slot, modality and member, and under ``"joint"`` the sum of both."""
    values: dict[tuple[Hashable, str], dict[int, float]] = defaultdict(dict)
    for g, rewards in enumerate(rewards_G):
        for slot, by_modality in rewards.items():
            for modality, reward in by_modality.items():
                values[slot, modality][g] = reward
    centred: Differences = {}
    for (slot, modality), members in values.items():
        mean = sum(members.values()) / len(members)
        centred[slot, modality] = {g: weights[modality] * _snapped(r - mean) for g, r in members.items()}
    return _with_sums(centred)


def _with_sums(own: Differences) -> Differences:
    """``own``, and under ``"joint"`` the sum of both modalities."""
    joint: Differences = defaultdict(dict)
    for (slot, _), members in own.items():
        for g, difference in members.items():
            joint[slot, "joint"][g] = joint[slot, "joint"].get(g, 0.0) + difference
    return own | joint


def _whitened(differences: Differences) -> Differences:
    """Each modality's differences over their spread; without the sums."""
    own = {key: members for key, members in differences.items() if key[1] != "joint"}
    spreads = _spreads(own)
    return {key: {g: _scaled(d, spreads[key]) for g, d in members.items()} for key, members in own.items()}


def _to_go(group: Sequence[Judged], differences: Differences) -> Differences:
    """For each slot and modality, the sum of the differences of both there and in all later segments of a rollout."""
    found: Differences = defaultdict(dict)
    for g, judged in enumerate(group):
        keys = list(dict.fromkeys(zip(judged.places, judged.modalities, strict=True)))
        total = 0.0
        for key in reversed(keys):
            total += differences.get(key, {}).get(g, 0.0)
            found[key][g] = total
    return found


def _snapped(difference: float) -> float:
    """Zero for what is rounding only, or an own advantage of zero would have a sign."""
    return 0.0 if abs(difference) < NO_SPREAD else difference


def _spread(values: Sequence[float]) -> float:
    return float(np.std(values, ddof=1)) if len(values) > 1 else 0.0


def _spreads(differences: Differences) -> dict[tuple[Hashable, str], float]:
    return {key: _spread(list(members.values())) for key, members in differences.items()}


def _batch_spreads(centred: Sequence[Differences]) -> list[dict[tuple[Hashable, str], float]]:
    """One σ for each modality and for the sum, over all slots of all groups."""
    pooled: dict[str, list[float]] = defaultdict(list)
    for differences in centred:
        for (_, name), members in differences.items():
            pooled[name] += members.values()
    sigma = {name: _spread(values) for name, values in pooled.items()}
    return [{key: sigma[key[1]] for key in differences} for differences in centred]


def interference(groups: Sequence[GroupAdvantages]) -> dict[str, float]:
    """Shares of segments: ``sign_conflict``, pushed against their own reward by joint's advantage, and
    ``idle_push``, pushed although their own advantage is zero; and joint's σ over the own one's."""
    segments = [s for group in groups for row in group.segments for s in row]
    if not segments:
        return {"sign_conflict": 0.0, "idle_push": 0.0, "sigma_ratio": 1.0}
    live = [s for s in segments if s.own]
    conflict = sum(s.own * s.joint < 0 for s in live)
    idle = sum(s.own == 0 and s.joint != 0 for s in segments)
    ratios = [s.sigma_joint / s.sigma_own for s in live if s.sigma_own > NO_SPREAD]
    return {
        "sign_conflict": conflict / len(segments),
        "idle_push": idle / len(segments),
        "sigma_ratio": float(np.mean(ratios)) if ratios else 1.0,
    }
