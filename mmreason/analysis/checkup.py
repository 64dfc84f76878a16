"""What a checkpoint is, and whether it will run: ours, a public family's, or an adapter on one of these.

Heads of weight files are read, not the weights, unless a forward is asked for or the checkpoint is small: it tells
of an 8 B checkpoint within seconds.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mmreason.backbones.adapter import stored_adapter, stored_weights
from mmreason.backbones.family import (
    SMALL_BYTES,
    codec_of,
    family_and_source,
    find,
    find_base,
    is_public,
    layout_of,
    licence_of,
)
from mmreason.backbones.llama import LlamaBackbone
from mmreason.backbones.loading import check_tensors, load_llama, read_json, shards, stored_shape
from mmreason.errors import CheckpointError, ConfigError, MMReasonError
from mmreason.layouts.alphabet import Alphabet
from mmreason.layouts.layout import State
from mmreason.layouts.view import View
from mmreason.sampling.pipeline import InterleavedReasoningPipeline
from mmreason.sampling.views.config import views_config
from mmreason.sampling.views.pipeline import VIEWS_FILE, check_views, stored_views
from mmreason.tasks import make_problem
from mmreason.tasks.picture import resized

SENTENCE = "right 3 total 7 <edit> r2c2 r2c5"
PROBED_PIXELS = 128
MAX_LOGITS = 2**27  # numbers of 4 bytes that a probe may ask for


@dataclass
class Report:
    """What was found so far; problems are sentences."""

    facts: dict[str, Any]
    problems_found: list[str] = field(default_factory=list)

    def tried(self, step: Callable[[], Any]) -> Any:
        """What ``step`` gives; None, and its sentence among the problems, where it fails."""
        try:
            return step()
        except MMReasonError as error:
            self.problems_found.append(str(error))
            return None

    def result(self) -> dict[str, Any]:
        """The keys of the command line."""
        return self.facts | {"runs": not self.problems_found, "problems_found": self.problems_found}


def check(
    checkpoint: str,
    family: str | None = None,
    probe: Sequence[Sequence[int]] | None = None,
    device: torch.device | str = "cpu",
    base: str | None = None,
) -> tuple[dict[str, Any], list[np.ndarray]]:
    """What ``checkpoint`` is, and the logits (N, V) of each id list of ``probe`` in full attention.

    ``base`` is where an adapter's base is, if not where it says.  Raises CheckpointError where it is no checkpoint at
    all, ConfigError for a probe that it cannot take.
    """
    folder = find(checkpoint)
    stands_on = find_base(folder, base)
    if stands_on is not None:
        return _check_adapter(folder, stands_on, family, probe, device)
    if is_public(folder):
        return _check_public(checkpoint, folder, family, probe, device)
    if not (folder / "model_index.json").is_file():
        raise CheckpointError(f"{checkpoint!r} is no checkpoint: it has neither config.json nor model_index.json")
    if probe is not None:
        raise ConfigError("--probe is for checkpoints of public families, whose input is a list of ids")
    return _check_own(folder), []


def _check_adapter(
    folder: Path,
    stands_on: tuple[str, Path],
    family: str | None,
    probe: Sequence[Sequence[int]] | None,
    device: torch.device | str,
) -> tuple[dict[str, Any], list[np.ndarray]]:
    base, whole = stands_on
    if probe is not None:
        raise ConfigError(f"--probe is for whole checkpoints; give the adapter's base, {base!r}")
    views = Report({})
    stored = views.tried(lambda: stored_views(folder)) or {}
    result, _ = check(base, family or stored.get("family"), None, device)
    if family is None and "family" in stored:
        result["family_from"] = VIEWS_FILE
    report = Report(result, result["problems_found"] + views.problems_found)
    fits = None
    if result["runs"]:
        fits = report.tried(lambda: stored_adapter(folder, stored_shape(whole, read_json(whole / "config.json"))))
        report.tried(lambda: check_views(views_config(stored), result["family"]))
    if fits is not None:
        report.tried(lambda: stored_weights(folder))
    return report.result() | {"adapter": {"base": base, "rank": fits and fits[0]}}, []


def _check_own(folder: Path) -> dict[str, Any]:
    report = Report({"family": "mmreason", "parameters": None, "grid": None, "attention": None})
    pipe = report.tried(lambda: InterleavedReasoningPipeline.from_pretrained(folder))
    if pipe is not None:
        report.facts["parameters"] = sum(each.numel() for each in pipe.transformer.parameters())
        report.facts |= {"grid": list(pipe.layout.grid), **pipe.layout.recorded}
        if pipe.transformer.config.causal:
            report.facts["attention"] = "causal"
        vocabulary = pipe.vocabulary
        words = {word: i for i, word in enumerate(pipe.words)}
        read = " ".join(pipe.words[words[word]] for word in SENTENCE.split() if word in words)
        report.facts |= {"ids": vocabulary.size, "codes": vocabulary.num_codes}
        start = resized(make_problem("maze", "easy", 0).image, pipe.layout.grid[0] * pipe.codec.pixels_per_code)
        drawn = pipe.codec.decode(pipe.codec.encode(start)).astype(int)
        error = float(np.abs(drawn - start).mean())
        report.facts["round_trip"] = {"sentence": read == SENTENCE, "picture_error": error}
    report.facts |= {"native": True, "licence": licence_of(folder)}
    return report.result()


def _check_public(
    checkpoint: str,
    folder: Path,
    family: str | None,
    probe: Sequence[Sequence[int]] | None,
    device: torch.device | str,
) -> tuple[dict[str, Any], list[np.ndarray]]:
    config = read_json(folder / "config.json")
    report = Report({"family": None, "family_from": None, "parameters": None, "grid": None})
    stored = report.tried(lambda: stored_views(folder)) or {}
    if family is None and "family" in stored:
        named, source = stored["family"], VIEWS_FILE
    else:
        named, source = (family, "--family") if family else family_and_source(checkpoint, config)
    report.tried(lambda: check_views(views_config(stored), named))
    report.facts |= {"family": named, "family_from": source, "attention": "full", "native": True}
    report.facts["licence"] = licence_of(folder)
    shape = report.tried(lambda: stored_shape(folder, config))
    if shape is not None:
        report.facts |= {"parameters": shape.parameters, "layers": shape.layers, "width": shape.width}
        report.facts["ids"] = shape.vocab
        report.tried(lambda: check_tensors(folder, shape))
    codec = report.tried(lambda: codec_of(folder, family=named, on_hub=not os.path.isdir(checkpoint)))
    if codec is not None:
        report.facts |= {"codes": codec.num_codes, "pixels_per_code": codec.pixels_per_code, "local": codec.local}
    layout = None
    if shape is not None:
        layout = report.tried(
            lambda: layout_of(named, folder, config, shape, codec.num_codes if codec is not None else 8192)
        )
    trip: dict[str, Any] = {}
    if layout is not None:
        trip["sentence"] = layout.read(layout.write(SENTENCE)) == SENTENCE
        if not trip["sentence"]:
            report.problems_found.append(f"the tokenizer must give back what it is given, and does not: {SENTENCE!r}")
    picture = np.indices((PROBED_PIXELS, PROBED_PIXELS)).sum(axis=0)[..., None].repeat(3, axis=-1).astype(np.uint8)
    codes = codec.encode(picture) if codec is not None else None
    if codec is not None and codes is not None:
        report.facts["grid_at_128_px"] = list(codes.shape)
        trip["picture_error"] = float(np.abs(codec.decode(codes).astype(int) - picture).mean())
    report.facts["round_trip"] = trip
    logits: list[np.ndarray] = []
    sound = not report.problems_found
    if probe is not None and shape is not None:
        _check_probe(probe, shape.vocab)
    if sound and (probe is not None or sum(file.stat().st_size for file in shards(folder)) <= SMALL_BYTES):
        backbone = load_llama(folder, "full", device)
        if layout is not None and codes is not None:
            view = layout.view(State("Look.", codes), "edit")
            alphabet = Alphabet.of(layout.allowed("image"))
            tokens = torch.from_numpy(view.ids[view.slots][None])
            _note_finite(report, backbone.open([view], alphabet).logits(tokens))
        for ids in probe or []:
            logits.append(all_logits(backbone, ids))
            _note_finite(report, torch.from_numpy(logits[-1]))
        report.facts["forwarded"] = True
    return report.result(), logits


def all_logits(backbone: LlamaBackbone, ids: Sequence[int]) -> np.ndarray:
    """(N, V) fp32 logits at every place of ``ids``, as the reference's forward without a mask gives them."""
    array = np.asarray(ids, dtype=np.int64)
    view = View(array, np.arange(len(array)))
    everything = Alphabet.of(torch.ones(backbone.shape.vocab, dtype=torch.bool))
    return backbone.open([view], everything).logits(torch.from_numpy(array[None]))[0].cpu().numpy()


def _note_finite(report: Report, logits: torch.Tensor) -> None:
    if not bool(logits.isfinite().all()):
        sentence = "logits must be finite, and some are not: weights are damaged"
        report.problems_found += [] if sentence in report.problems_found else [sentence]


def _check_probe(probe: Any, vocab: int) -> None:
    """Refuse what is not a list of lists of ids."""
    if not isinstance(probe, list) or not probe or not all(isinstance(ids, list) and ids for ids in probe):
        raise ConfigError("--probe must hold a list of lists of ids, each with one at least")
    wrong = [each for ids in probe for each in ids if type(each) is not int or not 0 <= each < vocab]
    if wrong:
        raise ConfigError(f"ids of --probe must be whole numbers from 0 to {vocab - 1}, got {wrong[0]!r:.60}")
    most, count = MAX_LOGITS // vocab, sum(map(len, probe))
    if count > most:
        raise ConfigError(f"--probe must hold at most {most:,} ids for {vocab:,} logits each, got {count:,}")
