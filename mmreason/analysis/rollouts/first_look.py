"""What to read first in anybody's rollouts: short findings, each with the rollouts that it is about."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from mmreason.analysis.rollouts.push import judged_groups
from mmreason.disk import one_line
from mmreason.records import MODALITIES
from mmreason.rewards.assignment import NO_SPREAD
from mmreason.traces.rollouts import Part, Rollout, Rollouts
from mmreason.wording import counted

ANSWERS = ("answer", "accuracy", "correct", "correctness", "acc")  # components that judge the answer alone
WORDS = {"text": "words", "image": "pictures"}
ONE = {"text": "text", "image": "picture"}


def first_look(found: Rollouts) -> list[dict[str, Any]]:
    """Findings ``{"finding", "sentence", "rollouts"}``, ``rollouts`` the ids to look at; one about turns has
    ``turns`` as well, pairs of an id and a turn."""
    looks: tuple[Callable[[Rollouts], list[dict[str, Any]]], ...] = (
        *(_unjudged, _without_spread, _never_varies, _contradictions, _right_on_wrong, _extremes),
    )
    return [finding for look in looks for finding in look(found)]


def _finding(name: str, sentence: str, rollouts: Sequence[Rollout]) -> dict[str, Any]:
    return {"finding": name, "sentence": sentence, "rollouts": list(dict.fromkeys(rollout.id for rollout in rollouts))}


def _unjudged(found: Rollouts) -> list[dict[str, Any]]:
    missing = [m for m in MODALITIES if all(found.reward_of(rollout, m) is None for rollout in found.rollouts)]
    if not missing:
        return []
    if set(missing) <= set(found.judges):  # by what has judged nothing here
        which = " and no ".join(ONE[modality] for modality in missing)
        return [_finding("not_judged", f"No {which} was judged in this file.", [])]
    names = sorted({name for rollout in found.rollouts for name in rollout.rewards})
    which = " and ".join(WORDS[modality] for modality in missing)
    said = f"No reward is known to judge {which}"
    if names:
        said += f"; say which of {', '.join(one_line(name, 40) for name in names[:12])} does by --map"
    return [_finding("not_judged", f"{said}.", [])]


def _without_spread(found: Rollouts) -> list[dict[str, Any]]:
    findings = []
    groups = [group for group in found.groups if len(group) > 1]
    for modality in MODALITIES:
        flat = [group for group in groups if _is_flat([found.reward_of(rollout, modality) for rollout in group])]
        if flat:
            teach = (
                "these groups teach nothing about them" if len(flat) > 1 else "this group teaches nothing about them"
            )
            said = f"In {len(flat)} of {len(groups)} groups all {WORDS[modality]} earned the same: {teach}."
            findings.append(_finding(f"no_spread_{modality}", said, [r for group in flat for r in group]))
    return findings


def _is_flat(rewards: Sequence[float | None]) -> bool:
    known = [reward for reward in rewards if reward is not None]
    return len(known) > 1 and max(known) - min(known) < NO_SPREAD


def _never_varies(found: Rollouts) -> list[dict[str, Any]]:
    findings = []
    for modality in MODALITIES:
        segments = [p.reward for r in found.rollouts for p in r.of(modality) if p.reward is not None]
        rewards = segments or [found.judged(rollout, modality) for rollout in found.rollouts]
        if _is_flat(rewards):
            value = next(reward for reward in rewards if reward is not None)
            said = f"The reward of {WORDS[modality]} never varies: it is {value:.4g} everywhere."
            judged = [rollout for rollout in found.rollouts if found.reward_of(rollout, modality) is not None]
            findings.append(_finding(f"never_varies_{modality}", said, judged))
    names = sorted({name for rollout in found.rollouts for name in rollout.rewards})
    flat = [name for name in names if _is_flat([rollout.rewards.get(name) for rollout in found.rollouts])]
    if flat:
        listed = ", ".join(one_line(name, 40) for name in flat[:12])
        carry = [rollout for rollout in found.rollouts if set(flat) & set(rollout.rewards)]
        findings.append(_finding("flat_components", f"Components that never vary: {listed}.", carry))
    return findings


def _contradictions(found: Rollouts) -> list[dict[str, Any]]:
    """Turns whose words did better than the group's and whose pictures did worse, or the reverse."""
    for granularity, unit in (("turn", "turns"), ("trace", "rollouts")):
        both, against, where, turns = 0, 0, [], []
        for group, rollouts in zip(judged_groups(found, granularity), found.groups, strict=True):
            means = {
                (place, m): sum(values) / len(values)
                for place in {place for judged in group for place in judged.rewards}
                for m in MODALITIES
                if (values := [j.rewards[place][m] for j in group if m in j.rewards.get(place, {})])
            }
            for judged, rollout in zip(group, rollouts, strict=True):
                for place, rewards in judged.rewards.items():
                    if set(MODALITIES) <= set(rewards):
                        both += 1
                        text, image = (rewards[m] - means[place, m] for m in MODALITIES)
                        if min(abs(text), abs(image)) > NO_SPREAD and text * image < 0:
                            against += 1
                            where.append(rollout)
                            turns.append([rollout.id, place])
        if both:
            said = (
                f"In {against} of {both} {unit} words and pictures contradict: one above its group's mean, one below."
            )
            finding = _finding("contradictions", said, where)
            return [finding | {"turns": turns} if granularity == "turn" else finding] if against else []
    return []


def _right_on_wrong(found: Rollouts) -> list[dict[str, Any]]:
    answers = _verdicts(found.rollouts, lambda rollout: _answer_score(found, rollout))
    drawings = _verdicts(found.rollouts, lambda rollout: _picture_score(found, rollout))
    if answers is None or drawings is None:
        return []
    findings = []
    for name, right, said in (
        ("right_answer_wrong_picture", True, "right answers stand on a wrong last picture"),
        ("wrong_answer_right_picture", False, "wrong answers stand on a right last picture"),
    ):
        of = [r for r, a, d in zip(found.rollouts, answers, drawings, strict=True) if a is right and d is not None]
        odd = [r for r, a, d in zip(found.rollouts, answers, drawings, strict=True) if a is right and d is (not right)]
        if odd:
            sentence = f"{len(odd)} of {len(of)} {said} (right: above the middle of the rewards' range)."
            findings.append(_finding(name, sentence, odd))
    return findings


def _verdicts(rollouts: Sequence[Rollout], score: Callable[[Rollout], float | None]) -> list[bool | None] | None:
    """Whether each score lies above the middle of the range; None where there is no range."""
    scores = [score(rollout) for rollout in rollouts]
    if _is_flat(scores) or sum(value is not None for value in scores) < 2:
        return None
    known = [value for value in scores if value is not None]
    middle = (min(known) + max(known)) / 2
    return [None if value is None else value > middle for value in scores]


def _answer_score(found: Rollouts, rollout: Rollout) -> float | None:
    named = [rollout.rewards[name] for name in rollout.rewards if name.lower() in ANSWERS]
    if named:
        return named[0]
    final = [part for part in rollout.of("text") if part.kind == "answer"]
    return _score(final[-1]) if final and _score(final[-1]) is not None else found.judged(rollout, "text")


def _picture_score(found: Rollouts, rollout: Rollout) -> float | None:
    judged = found.judged(rollout, "image")
    drawn = [score for part in rollout.of("image") if (score := _score(part)) is not None]
    return drawn[-1] if drawn else judged


def _score(part: Part) -> float | None:
    return float(part.right) if part.right is not None else part.reward


def _extremes(found: Rollouts) -> list[dict[str, Any]]:
    if len(found.rollouts) < 2:
        return []
    by_length = sorted(found.rollouts, key=lambda rollout: (len(rollout.parts), _letters(rollout)))
    ends = (("shortest", by_length[0]), ("longest", by_length[-1]))
    if len({(len(rollout.parts), _letters(rollout)) for _, rollout in ends}) < 2:
        return []
    return [
        _finding(
            name,
            f"The {name} rollout, {one_line(rollout.id, 60)}, has {counted(len(rollout.of('text')), 'text')} "
            f"({counted(_letters(rollout), 'letter')}) and {counted(len(rollout.of('image')), 'picture')}.",
            [rollout],
        )
        for name, rollout in ends
    ]


def _letters(rollout: Rollout) -> int:
    return sum(len(part.text or "") for part in rollout.parts)
