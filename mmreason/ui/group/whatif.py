"""What the inspector shows of an open group under chosen rewards' assignment: advantages, marks, arithmetic.

Every number comes from ``mmreason.rewards.assignment``, as training takes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from mmreason import limits
from mmreason.records import Trace
from mmreason.rewards.assignment import (
    ASSIGNMENTS,
    EPSILON,
    GRANULARITIES,
    AssignmentConfig,
    GroupAdvantages,
    SegmentAdvantage,
    Slot,
    assign,
    slots_of,
)
from mmreason.tasks import TASKS
from mmreason.ui.group.opened import Opened
from mmreason.ui.host.sheets import sheet_link

NAMES = {"text": "words", "image": "picture"}


def config_of(assignment: Any, granularity: Any, scale: Any, text: Any, image: Any) -> AssignmentConfig:
    """Values of the controls, checked; raises ConfigError."""
    weights = {}
    for name, value in (("words", text), ("pictures", image)):
        weights["text" if name == "words" else "image"] = limits.REWARD_WEIGHT.check(value, f"the weight of {name}")
    return AssignmentConfig(str(assignment), str(granularity), str(scale), weights)


def first_rollouts(size: Any, there: int) -> int:
    """How many rollouts of the group count; raises ConfigError."""
    return min(limits.ROLLOUTS.check(size, "the group size"), there)


def group_value(opened: Opened, config: AssignmentConfig, size: int) -> dict[str, Any]:
    """The group component's value for the first ``size`` rollouts."""
    traces = opened.traces[:size]
    found = {g: assign([traces], _with(config, granularity=g))[0] for g in GRANULARITIES}
    slots = {g: slots_of(traces, _with(config, granularity=g)) for g in GRANULARITIES}
    chosen = found[config.granularity]
    rows, pushed = [], {"against": 0, "idle": 0, "joint": 0, "all": 0}
    for g, row in enumerate(opened.rows[:size]):
        segments = []
        for s, entry in enumerate(row["segments"]):
            numbers = chosen.segments[g][s]
            advantage = getattr(numbers, config.assignment)
            against, idle = numbers.own * advantage < 0, numbers.own == 0 and advantage != 0
            pushed["against"] += against
            pushed["idle"] += idle
            pushed["joint"] += numbers.own * numbers.joint < 0
            pushed["all"] += 1
            four = [
                _arithmetic(traces[g], g, s, found[name].segments[g][s], slots[name], name, how, config)
                for name in GRANULARITIES
                for how in ASSIGNMENTS
            ]
            shown = {"advantage": advantage, "own": numbers.factorized, "against": against, "idle": idle, "four": four}
            segments.append(entry | shown)
        rows.append(row | {"segments": segments, "apart": _apart(found["trace"], g, traces[g])})
    problem = opened.problem
    return {
        "id": opened.number,
        "drawings": list(TASKS[problem.task].cells),
        "problem": problem.summary,
        "source": opened.source,
        "notes": list(opened.notes[:4]),
        "sheet": sheet_link(opened.sheet),
        "assignment": config.assignment,
        "granularity": config.granularity,
        "columns": _columns(traces),
        "rows": rows,
        "sentence": sentence(config, pushed, len(traces)),
        "slots": [_slot_entry(slot, config) for slot in slots[config.granularity]],
        "formula": formula(config, chosen, len(traces)),
    }


def _with(config: AssignmentConfig, granularity: str) -> AssignmentConfig:
    return replace(config, granularity=granularity)


def sentence(config: AssignmentConfig, pushed: dict[str, int], size: int) -> str:
    """How many segments are pushed the wrong way, for the line above the grid."""
    if size < 2:
        return "A single rollout has nothing to be compared with: every advantage is zero. Roll out a group."
    of = f"of {pushed['all']} segments"
    if config.assignment == "factorized":
        would = f" Joint would push {pushed['joint']} {of} the wrong way." if pushed["joint"] else ""
        return f"No segment is pushed against its own reward: each modality follows its own.{would}"
    idle = f" {pushed['idle']} more are pushed although their own reward says nothing." if pushed["idle"] else ""
    if not pushed["against"]:
        return f"None {of} is pushed against its own reward.{idle}"
    verb = "is" if pushed["against"] == 1 else "are"
    return f"{pushed['against']} {of} {verb} pushed the wrong way by the other modality.{idle}"


def _apart(found: GroupAdvantages, g: int, trace: Trace) -> float:
    """How far apart the two modalities see one rollout, in spreads of their rewards."""
    by_modality = {s.modality: n.factorized for s, n in zip(trace.segments, found.segments[g], strict=True)}
    return abs(by_modality.get("text", 0.0) - by_modality.get("image", 0.0))


def _columns(traces: Sequence[Trace]) -> list[dict[str, Any]]:
    """The grid's columns: words and picture of each turn, then the answer."""
    found = {(s.turn, s.modality) if s.kind != "answer" else (0, "answer") for t in traces for s in t.segments}
    turns = max((turn for turn, _ in found), default=0)
    columns = [
        {"key": f"{turn}-{modality}", "turn": turn, "modality": modality}
        for turn in range(1, turns + 1)
        for modality in NAMES
        if (turn, modality) in found
    ]
    return columns + ([{"key": "answer", "turn": 0, "modality": "text"}] if (0, "answer") in found else [])


def _place(trace: Trace, s: int, granularity: str) -> Any:
    segment = trace.segments[s]
    return "trace" if granularity == "trace" else segment.turn


def _arithmetic(
    trace: Trace,
    g: int,
    s: int,
    numbers: SegmentAdvantage,
    slots: Sequence[Slot],
    granularity: str,
    assignment: str,
    config: AssignmentConfig,
) -> dict[str, Any]:
    """One of a segment's four advantages with the line of arithmetic that gives it."""
    own_name = trace.segments[s].modality
    place = _place(trace, s, granularity)
    parts = {slot.modality: slot for slot in slots if slot.place == place}
    value = getattr(numbers, assignment)
    names = (own_name,) if assignment == "factorized" else (own_name, "image" if own_name == "text" else "text")
    sums = []
    for name in names:
        slot, weight = parts.get(name), config.reward_weights[name]
        if slot is None or g not in slot.rewards:
            sums.append(f"{NAMES[name]} 0 (no reward)")
            continue
        times = "" if weight == 1 else f"{weight:g} × "
        sums.append(f"{NAMES[name]} {times}({slot.rewards[g]:.3f} − {slot.mean:.3f})")
    sigma = numbers.sigma_own if assignment == "factorized" else numbers.sigma_joint
    whole = " + ".join(sums)
    if config.scale_rewards == "none":
        line = f"{whole} = {_signed(value)}"
    elif sigma < EPSILON**2:
        line = f"no spread, so {value:.2f}: {whole}"
    else:
        line = f"({whole}) / ({sigma:.3f} + {EPSILON:g}) = {_signed(value)}"
    return {"assignment": assignment, "granularity": granularity, "value": value, "line": line}


def _signed(value: float) -> str:
    return f"{value:+.2f}".replace("-", "−")


def _slot_entry(slot: Slot, config: AssignmentConfig) -> dict[str, Any]:
    where = "whole rollout" if slot.place == "trace" else f"turn {slot.place}"
    return {
        "place": where,
        "modality": slot.modality,
        "members": len(slot.rewards),
        "mean": slot.mean,
        "spread": slot.spread * config.reward_weights[slot.modality],
    }


def formula(config: AssignmentConfig, found: GroupAdvantages, size: int) -> list[str]:
    """How advantages come from rewards here, in words and numbers."""
    own = "d = weight × (reward − mean of its slot)"
    how = {
        "group": f"σ: standard deviation of d over the slot's members, divided by members − 1; ε = {EPSILON:g}",
        "batch": f"σ: one standard deviation of d over all slots of this group (in training: batch); ε = {EPSILON:g}",
        "none": "no division: σ + ε is 1",
    }[config.scale_rewards]
    slot = "the whole rollout" if config.granularity == "trace" else "the same turn in the other rollouts"
    lines = [
        "joint = (d words + d pictures) / (σ of that sum + ε); factorized = d own / (σ own + ε)",
        f"{own}; slot: {slot}; {how}",
    ]
    if config.granularity == "turn":
        lines.append("words on a board that can no longer be solved are in no slot: their d is 0")
    if found.slots_without_spread:
        slots = "slot has" if found.slots == 1 else "slots have"
        lines.append(
            f"{found.slots_without_spread} of {found.slots} {slots} no spread over {size} rollouts: d is 0 there"
        )
    return lines
