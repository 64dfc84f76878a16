"""What a file of rollouts holds, in counts and means."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

from mmreason.errors import TraceError
from mmreason.records import MODALITIES
from mmreason.traces.picture import Picture, decoded
from mmreason.traces.rollouts import Rollouts, mean


def reading(found: Rollouts) -> dict[str, Any]:
    """The counts and means of ``inspect --json``; a mean is None where nothing was judged.

    ``mean_reward`` is over the segments that have a reward; where no segment has, over the rollouts, if it is known
    which components judge which modality.
    """
    groups = found.groups
    given = [part for prompt in found.prompts for part in prompt.given]
    parts = [part for rollout in found.rollouts for part in rollout.parts]
    count = Counter(part.modality for part in parts)
    sizes = Counter(picture.size for picture in pictures(found))
    return {
        "format": found.format,
        "prompts": len(found.prompts),
        "rollouts": len(found.rollouts),
        "text_segments": count["text"],
        "image_segments": count["image"],
        "mean_reward": {modality: mean_reward(found, modality) for modality in MODALITIES},
        "mean_rewards": _by_component([rollout.rewards for rollout in found.rollouts]),
        "mean_segment_rewards": {modality: _segment_rewards(found, modality) for modality in MODALITIES},
        "segments_without_reward": sum(part.reward is None for part in parts),
        "rollouts_per_prompt": [len(group) for group in groups],
        "segments_per_rollout": [[len(rollout.parts) for rollout in group] for group in groups],
        "prompt_parts": {modality: sum(part.modality == modality for part in given) for modality in MODALITIES},
        "image_sizes": dict(sorted(sizes.items())),
        "judges": {modality: list(names) for modality, names in found.judges.items()},
    }


def pictures(found: Rollouts) -> Iterator[Picture]:
    """Every picture, once for each prompt and once for each image segment."""
    for shown in (*found.prompts, *found.rollouts):
        yield from (part.picture for part in shown.parts if part.picture is not None)


def damaged(found: Rollouts) -> list[str]:
    """Decodes every distinct picture once: a sentence for each that cannot be shown."""
    seen: set[str] = set()
    sentences = []
    for picture in pictures(found):
        if picture.key in seen:
            continue
        seen.add(picture.key)
        try:
            decoded(picture.read(), f"picture '{picture.name}'" if picture.name else "a picture")
        except TraceError as error:
            sentences.append(str(error))
    return list(dict.fromkeys(sentences))


def broken(found: Rollouts) -> list[str]:
    """The same without decoding any: of those alone that are missing, elsewhere or no pictures."""
    return list(dict.fromkeys(picture.broken for picture in pictures(found) if picture.broken))


def mean_reward(found: Rollouts, modality: str) -> float | None:
    """Over segments, else over rollouts; see ``reading``."""
    judged = [part.reward for rollout in found.rollouts for part in rollout.parts if part.reward is not None]
    if judged:
        own = [part.reward for r in found.rollouts for part in r.of(modality) if part.reward is not None]
        return mean(own)
    return mean([score for r in found.rollouts if (score := found.judged(r, modality)) is not None])


def _segment_rewards(found: Rollouts, modality: str) -> dict[str, float] | float | None:
    """By component, or the mean of what has no components."""
    parts = [part for rollout in found.rollouts for part in rollout.of(modality) if part.reward is not None]
    named = _by_component([part.rewards for part in parts])
    return named or mean([part.reward for part in parts if part.reward is not None])


def _by_component(rewards: list[Any]) -> dict[str, float]:
    values: dict[str, list[float]] = defaultdict(list)
    for by_name in rewards:
        for name, value in by_name.items():
            values[name].append(value)
    return {name: sum(scores) / len(scores) for name, scores in sorted(values.items())}
