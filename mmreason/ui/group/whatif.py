"""How rewards push a group's segments under chosen assignments: advantages, marks, counts and sentences.

Every number comes from ``mmreason.rewards.assignment``, as training takes it.  Axes: G rollouts, S segments.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mmreason import limits
from mmreason.analysis.rollouts.push import correlation, judged_rollout
from mmreason.errors import ConfigError
from mmreason.records import MODALITIES
from mmreason.rewards.assignment import (
    ASSIGNMENTS,
    EPSILON,
    GRANULARITIES,
    NO_SPREAD,
    AssignmentConfig,
    GroupAdvantages,
    Judged,
    SegmentAdvantage,
    assign_judged,
    interference,
)
from mmreason.traces.rollouts import Part, Rollout, Rollouts
from mmreason.ui.group.held import Group
from mmreason.wording import counted, signed

NAMES = {"text": "words", "image": "picture"}
DISCOUNT = limits.Number("discount", 0, 1, "what a turn later counts, for the turns before it")


@dataclass(frozen=True, slots=True)
class WhatIf:
    """What a visitor chose, checked."""

    granularity: str = "trace"
    scale: str = "group"
    text: float = 1.0
    image: float = 1.0
    size: int = int(limits.ROLLOUTS.high)
    discount: float = 0.0
    judges: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def config(self, assignment: str = "joint", granularity: str = "") -> AssignmentConfig:
        """As assignment takes it; raises ConfigError."""
        weights = {"text": self.text, "image": self.image}
        return AssignmentConfig(assignment, granularity or self.granularity, self.scale, weights)


def what_if_of(said: Mapping[str, str]) -> WhatIf:
    """The choices that a request names, the others as they are by default; raises ConfigError."""
    chosen: dict[str, Any] = {name: said[name] for name in ("granularity", "scale") if name in said}
    for name, called in (("text", "the weight of words"), ("image", "the weight of pictures")):
        if name in said:
            chosen[name] = limits.REWARD_WEIGHT.check(said[name], called)
    if "size" in said:
        chosen["size"] = limits.ROLLOUTS.check(said["size"], "the group size")
    if "discount" in said:
        chosen["discount"] = DISCOUNT.check(said["discount"], "the discount")
    judges = {m: tuple(n for n in said[f"judge_{m}"].split("\n") if n) for m in MODALITIES if f"judge_{m}" in said}
    found = WhatIf(**chosen, judges=judges)
    found.config()
    return found


@dataclass(frozen=True, slots=True)
class Pushed:
    """One group's rollouts under both granularities."""

    found: Rollouts
    rollouts: Sequence[Rollout]
    judged: Mapping[str, list[Judged]]
    advantages: Mapping[str, GroupAdvantages]


def pushed(group: Group, prompt: int, chosen: WhatIf) -> Pushed:
    """The prompt's first ``chosen.size`` rollouts, judged and assigned; raises ConfigError."""
    found = group.judged_by(chosen.judges)
    rollouts = group.groups[group.check_prompt(prompt)][: chosen.size]
    judged = {
        name: [
            judged_rollout(found, rollout, name, chosen.discount if name == "turn" else 0.0) for rollout in rollouts
        ]
        for name in GRANULARITIES
    }
    advantages = {name: assign_judged([judged[name]], chosen.config(granularity=name))[0] for name in GRANULARITIES}
    return Pushed(found, rollouts, judged, advantages)


def push_value(group: Group, prompt: int, chosen: WhatIf) -> dict[str, Any]:
    """What the page marks: by segment both advantages, the own difference and whether it is right."""
    known = pushed(group, prompt, chosen)
    advantages = known.advantages[chosen.granularity]
    right = _verdicts(group, known)
    judged_G = known.judged[chosen.granularity]
    crossed = {name for judged in judged_G for by_name in judged.rewards.values() for name in by_name}
    rows = [
        {
            "text": _rounded(known.found.reward_of(rollout, "text")),
            "image": _rounded(known.found.reward_of(rollout, "image")),
            "apart": _apart(rollout, known.advantages["trace"].segments[g]),
            "joint": [_rounded(one.joint) for one in advantages.segments[g]],
            "factorized": [_rounded(one.factorized) for one in advantages.segments[g]],
            "own": [_rounded(one.own) for one in advantages.segments[g]],
            "right": right[g],
        }
        for g, rollout in enumerate(known.rollouts)
    ]
    assumed = any(
        part.right is None and one is not None
        for rollout, row in zip(known.rollouts, right, strict=True)
        for part, one in zip(rollout.parts, row, strict=True)
    )
    lead = _lead(known, advantages, right, crossed, assumed)
    return {
        "granularity": chosen.granularity,
        "size": len(known.rollouts),
        "rows": rows,
        **lead,
        "slots": _slots(known, chosen),
        "formula": formula(chosen, advantages, len(known.rollouts)),
        "crossing": {
            **{name: _rounded(value) for name, value in interference([advantages]).items()},
            "correlation": _rounded(correlation([judged_G])),
        },
        "assumed": assumed,
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.5g}")


def _apart(rollout: Rollout, numbers: Sequence[SegmentAdvantage]) -> float:
    """How far apart the two modalities see one rollout, in spreads of their rewards."""
    by_modality = {part.modality: one.factorized for part, one in zip(rollout.parts, numbers, strict=True)}
    return round(abs(by_modality.get("text", 0.0) - by_modality.get("image", 0.0)), 4)


def _verdicts(group: Group, known: Pushed) -> list[list[bool | None]]:
    """(G)(S) right or wrong: as the file says, else whether a reward is above the middle of its range in the file."""
    middles = {m: _middle([p.reward for r in group.rollouts.rollouts for p in r.of(m)]) for m in MODALITIES}
    whole = {m: _middle([known.found.judged(r, m) for r in group.rollouts.rollouts]) for m in MODALITIES}

    def verdict(rollout: Rollout, part: Part) -> bool | None:
        if part.right is not None:
            return None if part.reward is None and not part.right else part.right
        for score, middle in ((part.reward, middles[part.modality]),):
            if score is not None:
                return None if middle is None else score > middle
        score, middle = known.found.judged(rollout, part.modality), whole[part.modality]
        judged_apart = any(p.reward is not None for p in rollout.of(part.modality))
        return None if score is None or middle is None or judged_apart else score > middle

    return [[verdict(rollout, part) for part in rollout.parts] for rollout in known.rollouts]


def _middle(scores: Sequence[float | None]) -> float | None:
    known = [score for score in scores if score is not None]
    return (min(known) + max(known)) / 2 if len(known) > 1 and max(known) - min(known) > NO_SPREAD else None


# What is said first


def _lead(
    known: Pushed, advantages: GroupAdvantages, right: list[list[bool | None]], crossed: set[str], assumed: bool
) -> dict[str, Any]:
    """The point in a sentence about one segment, and the counts below it."""
    rollouts = known.rollouts
    if len(rollouts) < 2:
        said = "A single rollout has nothing to be compared with: every advantage is zero. Roll out a group."
        return {"point": None, "sentence": said, "counts": ""}
    if crossed != set(MODALITIES):
        missing = " and ".join("pictures" if m == "image" else "words" for m in MODALITIES if m not in crossed)
        said = f"No reward judges {missing} here, so joint and factorized push alike."
        idle = {name for rollout in rollouts for name in rollout.rewards}
        idle -= {name for names in known.found.judges.values() for name in names}
        more = f"Say under “What if” which of {', '.join(sorted(idle)[:6])} does." if idle else ""
        return {"point": None, "sentence": said, "counts": more}
    segments = [(g, s, one) for g, row in enumerate(advantages.segments) for s, one in enumerate(row)]
    places = [(g, s) for g, s, one in segments if one.own * one.joint < 0]
    if not places:
        idle = sum(one.own == 0 and one.joint != 0 for _, _, one in segments)
        said = "Joint pushes no segment against its own reward here."
        if idle:
            said += f" It does push {counted(idle, 'segment')} whose own reward says nothing."
        return {"point": None, "sentence": said, "counts": ""}

    def rank(place: tuple[int, int]) -> tuple[int, float]:
        one, verdict = advantages.segments[place[0]][place[1]], right[place[0]][place[1]]
        plain = 2 if verdict and one.joint < 0 else 1 if verdict is False and one.joint > 0 else 0
        return plain, min(abs(one.joint), abs(one.factorized))

    g, s = max(places, key=rank)
    one, part = advantages.segments[g][s], rollouts[g].parts[s]
    return {
        "point": {"g": g, "s": s, "joint": _rounded(one.joint), "factorized": _rounded(one.factorized)},
        "sentence": f"Rollout {g + 1}{_did(part, right[g][s])}. Joint pushes it {_way(one.joint)}; "
        f"factorized would push it {_way(one.factorized)}.",
        "counts": _counts(rollouts, advantages, right, places, assumed),
    }


def _did(part: Part, right: bool | None) -> str:
    """What follows "Rollout 3"; where nobody says what is right, a reward is high or low and no more."""
    if right is not None and part.right is None:
        what = "picture" if part.modality == "image" else "thought"
        what = "answer" if part.kind == "answer" else f"{what} of turn {part.turn}"
        return f"’s {what} was rewarded {'above' if right else 'below'} the middle"
    how = "" if right is None else " correctly" if right else " wrongly"
    if part.kind == "answer":
        return f" answered{how}"
    if part.modality == "image":
        return f" drew turn {part.turn}{how}"
    return f" reasoned{how} in turn {part.turn}"


def _way(advantage: float) -> str:
    return f"{'up' if advantage > 0 else 'down'} ({signed(advantage)})"


def _counts(
    rollouts: Sequence[Rollout],
    advantages: GroupAdvantages,
    right: list[list[bool | None]],
    places: Sequence[tuple[int, int]],
    assumed: bool,
) -> str:
    """Both counts: what joint reverses, and which of its segments that harms to the eye."""
    slots: dict[Any, bool] = {}
    by_trace = advantages.slots <= len(MODALITIES)
    for g, (rollout, row) in enumerate(zip(rollouts, advantages.segments, strict=True)):
        for part, one in zip(rollout.parts, row, strict=True):
            key = (g, part.modality) if by_trace else (g, part.modality, part.turn)
            slots[key] = slots.get(key, False) or one.own * one.joint < 0
    pairs = "rollout-modality pairs" if by_trace else "turns of a rollout's words or pictures"
    down = sum(bool(right[g][s]) and advantages.segments[g][s].joint < 0 for g, s in places)
    up = sum(right[g][s] is False and advantages.segments[g][s].joint > 0 for g, s in places)
    said = [f"in {sum(slots.values())} of {len(slots)} {pairs} joint reverses the sign"]
    good, bad = ("well rewarded", "badly rewarded") if assumed else ("right", "wrong")
    if down:
        said.append(f"{counted(down, f'{good} segment')} {'is' if down == 1 else 'are'} made less likely by it")
    if up:
        said.append(f"{counted(up, f'{bad} segment')} {'is' if up == 1 else 'are'} made likelier")
    return _sentence("; ".join(said))


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


# Arithmetic


def four_ways(known: Pushed, g: int, s: int, chosen: WhatIf) -> list[dict[str, Any]]:
    """A segment's advantage under both assignments and granularities, each with the line that gives it."""
    return [_arithmetic(known, g, s, name, how, chosen) for name in GRANULARITIES for how in ASSIGNMENTS]


def _arithmetic(known: Pushed, g: int, s: int, granularity: str, assignment: str, chosen: WhatIf) -> dict[str, Any]:
    numbers = known.advantages[granularity].segments[g][s]
    judged, own_name = known.judged[granularity], known.rollouts[g].parts[s].modality
    place = judged[g].places[s]
    value = getattr(numbers, assignment)
    names = (own_name,) if assignment == "factorized" else (own_name, "image" if own_name == "text" else "text")
    sums = []
    for name in names:
        members = [one.rewards[place][name] for one in judged if name in one.rewards.get(place, {})]
        weight = chosen.text if name == "text" else chosen.image
        if name not in judged[g].rewards.get(place, {}):
            sums.append(f"{NAMES[name]} 0 (no reward)")
            continue
        times = "" if weight == 1 else f"{weight:g} × "
        mean = sum(members) / len(members)
        sums.append(f"{NAMES[name]} {times}({judged[g].rewards[place][name]:.3f} − {mean:.3f})")
    sigma = numbers.sigma_own if assignment == "factorized" else numbers.sigma_joint
    whole = " + ".join(sums)
    if chosen.scale == "none":
        line = f"{whole} = {signed(value)}"
    elif sigma < EPSILON**2:
        line = f"no spread, so {value:.2f}: {whole}"
    else:
        line = f"({whole}) / ({sigma:.3f} + {EPSILON:g}) = {signed(value)}"
    return {"assignment": assignment, "granularity": granularity, "value": value, "line": line}


def _slots(known: Pushed, chosen: WhatIf) -> list[dict[str, Any]]:
    members: dict[Any, list[float]] = {}
    for judged in known.judged[chosen.granularity]:
        for place, by_name in judged.rewards.items():
            for name, reward in by_name.items():
                members.setdefault((place, name), []).append(reward)
    return [
        {
            "place": "whole rollout" if place == "trace" else f"turn {place}",
            "modality": name,
            "members": len(rewards),
            "mean": _rounded(sum(rewards) / len(rewards)),
            "low": _rounded(min(rewards)),
            "high": _rounded(max(rewards)),
        }
        for (place, name), rewards in sorted(members.items(), key=lambda one: (str(one[0][0]).zfill(8), one[0][1]))
    ]


def formula(chosen: WhatIf, found: GroupAdvantages, size: int) -> list[str]:
    """How advantages come from rewards here, in words and numbers."""
    how = {
        "group": f"σ: standard deviation of d over the slot's members, divided by members − 1; ε = {EPSILON:g}",
        "batch": f"σ: one standard deviation of d over all slots of this group (in training: batch); ε = {EPSILON:g}",
        "none": "no division: σ + ε is 1",
    }[chosen.scale]
    slot = "the whole rollout" if chosen.granularity == "trace" else "the same turn in the other rollouts"
    lines = [
        "joint = (d words + d pictures) / (σ of that sum + ε); factorized = d own / (σ own + ε)",
        f"d = weight × (reward − mean of its slot); slot: {slot}; {how}",
    ]
    if chosen.granularity == "turn":
        if chosen.discount:
            lines.append(
                f"a turn's reward: its own, and {chosen.discount:g} to the n times that of the nth turn later"
            )
        lines.append("words on a board that can no longer be solved are in no slot: their d is 0")
    if found.slots_without_spread:
        slots = "slot has" if found.slots == 1 else "slots have"
        lines.append(
            f"{found.slots_without_spread} of {found.slots} {slots} no spread over {size} rollouts: d is 0 there"
        )
    return lines


def check_place(group: Group, prompt: int, g: int, s: int) -> Part:
    """The segment ``s`` of rollout ``g``; raises ConfigError if there is none."""
    rollouts = group.groups[group.check_prompt(prompt)]
    if not 0 <= g < len(rollouts) or not 0 <= s < len(rollouts[g].parts):
        raise ConfigError("choose a segment of the grid first")
    return rollouts[g].parts[s]
