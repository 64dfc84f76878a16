"""A checkpoint of a public family as a policy: it takes the problems and gives the traces that ours does.

Axes: pictures are (height, width, 3) uint8.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers.utils import BaseOutput
from torch import nn

from mmreason.backbones.family import LAYOUTS, PublicModel, find, load_public, quick_type, weight_files
from mmreason.backbones.loading import read_json
from mmreason.codecs.codec import spread
from mmreason.disk import write_json, write_whole
from mmreason.errors import CheckpointError, ConfigError
from mmreason.layouts import FAMILIES
from mmreason.layouts.layout import State
from mmreason.records import DIFFICULTIES, Problem, Trace, region_mask
from mmreason.sampling.config import SamplingConfig
from mmreason.sampling.generators import seeds_of
from mmreason.sampling.running import StreamBatch
from mmreason.sampling.views.canvas import codes_under, fitted, start_picture
from mmreason.sampling.views.config import MAX_TURNS, NUM_STEPS, OWN_PIXELS, ViewsConfig, views_config
from mmreason.sampling.views.region import boxes_of
from mmreason.sampling.views.rollout import asked
from mmreason.sampling.views.sampler import ViewSampler
from mmreason.tasks import make_problem, problem_from_json, task_named

FREE = "free"  # the task of a picture and an instruction of one's own
VIEWS_FILE = "views.json"  # beside an adapter: how it was trained to see
CARD = """# Adapter

Low-rank adapters (rank {rank}) on {base}, whose licence is {licence}. `views.json` says how it was trained to see;
every command takes this folder as `--checkpoint`.
"""


def stored_views(folder: Path) -> dict[str, Any]:
    """How the adapter in ``folder`` was trained to see, and as which family, where it says so.

    Raises CheckpointError.
    """
    stored = read_json(folder / VIEWS_FILE) if (folder / VIEWS_FILE).is_file() else {}
    family = stored.get("family", FAMILIES[0])
    if family not in FAMILIES:
        raise CheckpointError(
            f"family in {str(folder / VIEWS_FILE)!r} must be one of {', '.join(FAMILIES)}, got {family!r:.60}"
        )
    return stored


def check_views(views: ViewsConfig, family: str) -> None:
    """Refuse ``views`` that checkpoints of ``family`` do not know; raises ConfigError."""
    layout = LAYOUTS[family]
    if views.turn not in layout.turns:
        raise ConfigError(
            f"turn must be {' or '.join(layout.turns)} for checkpoints of the family {family}, got {views.turn}"
        )
    if len(views.scales) > layout.edit_twins:
        raise ConfigError(
            f"guidance_image must be 0 for checkpoints of the family {family}, got {views.guidance_image:g}"
        )


@dataclass
class ViewsOutput(BaseOutput):
    """``traces``: one finished trace a problem, in order."""

    traces: list[Trace]


class AnyTask:
    """The tasks that a checkpoint knows: all, as what is asked is written out in words."""

    tasks: tuple[str, ...] = ()

    def known(self, tasks: Iterable[str]) -> list[str]:
        """All of ``tasks``."""
        return list(tasks)


class ViewsPipeline:
    """Denoises texts and edits of a public checkpoint in turns; ``views`` says how its segments are laid out."""

    vocabulary = AnyTask()
    words: Sequence[str] = ()
    sheet: np.ndarray | None = None  # a code's pixels hang on its neighbours

    def __init__(self, model: PublicModel, views: ViewsConfig | None = None) -> None:
        self.model, self.views = model, views or ViewsConfig()
        check_views(self.views, model.family)
        model.backbone.attention = self.views.attention
        model.layout.text_length = self.views.text_length

    @classmethod
    def from_pretrained(
        cls,
        checkpoint: str,
        device: torch.device | str = "cpu",
        changes: Mapping[str, Any] | None = None,
        family: str | None = None,
        base: str | None = None,
    ) -> ViewsPipeline:
        """The checkpoint in a folder or of the Hub, an adapter on its base too; raises CheckpointError, ConfigError.

        ``changes`` are settings of its views, in place of those that an adapter was trained with; ``base`` is where
        an adapter's base is, if not where the adapter says.
        """
        folder = find(checkpoint)
        stored = stored_views(folder)
        views = views_config(stored | dict(changes or {}))
        family = family or stored.get("family")
        model = load_public(checkpoint, views.attention, device, quick_type(folder, device, base), family, base)
        if not stored and "turn" not in (changes or {}):
            views = replace(views, turn=model.layout.turns[0])
        return cls(model, views)

    def save_pretrained(self, folder: str | Path) -> None:
        """Write the adapter, which names its base, its card, and how it was trained to see."""
        model = self.model
        assert model.adapter is not None, "a public checkpoint is saved as its adapter"
        model.adapter.save(folder)
        card = CARD.format(base=model.adapter.base, rank=model.adapter.rank, licence=model.licence)
        write_whole(Path(folder) / "README.md", card.encode())
        write_json(Path(folder) / VIEWS_FILE, self.views.stored() | {"family": model.family})

    def but(self, changes: Mapping[str, Any]) -> ViewsPipeline:
        """The same weights with ``changes`` of how they see, beside this one; raises ConfigError."""
        model = replace(self.model, backbone=copy(self.model.backbone), layout=copy(self.model.layout))
        other = ViewsPipeline(model, views_config(self.views.stored() | dict(changes)))
        other.fingerprint = self.fingerprint
        return other

    def beside(self) -> ViewsPipeline:
        """The same on the same base, held once; what either learns the other does not see."""
        other = ViewsPipeline(self.model.beside(), self.views)
        other.fingerprint = self.fingerprint
        return other

    @cached_property
    def fingerprint(self) -> str:
        """Twelve hex digits of the files of weights, an adapter's and its base's."""
        digest = hashlib.blake2b(digest_size=6)
        for file in weight_files(self.model):
            digest.update(file.name.encode())
            with file.open("rb") as opened:
                while block := opened.read(2**24):
                    digest.update(block)
        return digest.hexdigest()

    def current_fingerprint(self) -> str:
        """The same: what trains keeps its weights apart."""
        return self.fingerprint

    @property
    def mask(self) -> int:
        """The id of what is masked."""
        return self.model.layout.mask

    @property
    def first_code(self) -> int:
        """The id of the codec's first code."""
        return self.model.layout.first_code

    def word(self, id: int) -> str:
        """The text of one id."""
        return self.model.layout.words.text([id])

    @property
    def device(self) -> torch.device:
        return self.model.backbone.device

    def to(self, device: torch.device | str) -> ViewsPipeline:
        """The same, its networks on ``device``."""
        nn.Module.to(self.model.backbone.model, device)
        self.model.codec.to(device)
        return self

    def sampling_config(self, **changes: Any) -> SamplingConfig:
        """The defaults with ``changes``.

        Raises ConfigError for what only our own checkpoints know, and for steps that a text's blocks cannot share.
        """
        if changes.get("threshold"):
            raise ConfigError(
                "threshold must be 0 for checkpoints of public families: a schedule says what is committed"
            )
        config = SamplingConfig(**{"num_steps": NUM_STEPS, "max_turns": MAX_TURNS, **changes})
        if config.default_region != SamplingConfig().default_region:
            raise ConfigError(
                "default_region must be left out for checkpoints of public families, where region_share says how much "
                f"is redrawn, got {config.default_region!r}"
            )
        self.views.steps_of_text(config)
        return config

    def check_tasks(self, tasks: Iterable[str]) -> None:
        """Refuse views in which problems of one of ``tasks`` cannot be drawn or told; raises ConfigError."""
        for task in tasks:
            problem = make_problem(task, DIFFICULTIES[0], 0, "train")
            picture = start_picture(problem, self.model.codec, self.views.pixels)[0]
            self._check_told(problem, picture)
            if longest := task_named(task).longest(lambda said: len(self.model.layout.write(said))):
                called, spec = longest
                try:
                    self._check_told(problem_from_json(spec), picture)
                except ConfigError as error:
                    raise ConfigError(f"{called}: {error}") from None

    def _check_told(self, problem: Problem, picture: np.ndarray) -> None:
        """Refuse words that no prompt about ``picture`` can hold; raises ConfigError."""
        step = self.model.codec.pixels_per_code
        blank_HW = np.zeros((picture.shape[0] // step, picture.shape[1] // step), dtype=int)
        self.model.layout.view(State(asked(problem), blank_HW), "edit")

    def own_problem(
        self, image: np.ndarray, instruction: str, region: str | None = None, mask: np.ndarray | None = None
    ) -> Problem:
        """A picture and an instruction of one's own; ``region`` in cells of a code each, or a ``mask`` of pixels.

        Raises ConfigError with a sentence for what cannot be edited.
        """
        codec, step = self.model.codec, self.model.codec.pixels_per_code
        if not instruction.strip():
            raise ConfigError("instruction must say what to do, got an empty one")
        if region is not None and mask is not None:
            raise ConfigError("give region or mask, not both")
        picture = fitted(image, self.views.pixels or OWN_PIXELS, codec)
        grid = (picture.shape[0] // step, picture.shape[1] // step)
        said: list[str] | None = None
        pixels = None
        if region is not None:
            boxes = boxes_of(region, grid)
            said = [box.words for box in boxes]
            pixels = spread(region_mask(boxes, grid), step)
        if mask is not None:
            if mask.shape != image.shape[:2]:
                raise ConfigError(
                    f"mask must be as large as the picture ({image.shape[1]} × {image.shape[0]} pixels), "
                    f"got {mask.shape[1]} × {mask.shape[0]}"
                )
            if not mask.any():
                raise ConfigError("mask must be white where the picture is to change, got none that is")
            drawn = np.repeat(mask[..., None].astype(np.uint8) * 255, 3, axis=-1)
            inside = fitted(drawn, self.views.pixels or OWN_PIXELS, codec)[..., 0] > 127
            if not inside.any():
                raise ConfigError("mask must be white somewhere in the middle, to which the picture is cropped")
            pixels = spread(codes_under(inside, step), step)
        spec = {"instruction": instruction, "region": said}
        problem = Problem(FREE, spec, np.zeros((0, 0), int), picture, instruction, 1, region=pixels)
        self._check_told(problem, picture)
        return problem

    def __call__(
        self,
        problems: Sequence[Problem],
        config: SamplingConfig | None = None,
        seeds: Sequence[int] | None = None,
        num_generations: int = 1,
        callback_on_step_end: Callable[[list[Trace]], None] | None = None,
    ) -> ViewsOutput:
        """Solve ``problems``; the callback receives the traces after every step."""
        sampler = self._sampler(problems, config, seeds, num_generations)
        for _ in sampler.run():
            if callback_on_step_end is not None:
                callback_on_step_end(sampler.traces())
        return ViewsOutput(sampler.traces())

    def stream(
        self,
        problems: Sequence[Problem],
        config: SamplingConfig | None = None,
        seeds: Sequence[int] | None = None,
        num_generations: int = 1,
    ) -> Iterator[list[Trace]]:
        """Yield the traces after every denoising step, the last time finished; ``seeds`` one a problem."""
        sampler = self._sampler(problems, config, seeds, num_generations)
        for _ in sampler.run():
            yield sampler.traces()

    def running_batch(self) -> StreamBatch:
        """A batch that rollouts join and leave while others go on."""
        return StreamBatch(self)

    def _sampler(
        self,
        problems: Sequence[Problem],
        config: SamplingConfig | None,
        seeds: Sequence[int] | None,
        num_generations: int,
    ) -> ViewSampler:
        config = config or self.sampling_config()
        seeds = seeds_of(problems, seeds, num_generations)
        self.views.steps_of_text(config)
        return ViewSampler(self.model, self.views, problems, config, seeds, num_generations)
