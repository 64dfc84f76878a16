"""A turn's picture and words denoised in one view, by the published counts, scored exactly, trained as sampled."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch

from mmreason.backbones.loading import load_llama
from mmreason.errors import ConfigError
from mmreason.layouts.alphabet import Alphabet
from mmreason.layouts.view import View
from mmreason.records import Trace
from mmreason.rewards.pixels import judge_of
from mmreason.sampling.views import denoise as module
from mmreason.sampling.views.config import ViewsConfig
from mmreason.sampling.views.denoise import DenoiseConfig, denoise
from mmreason.sampling.views.rollout import views_of
from mmreason.sampling.views.sampler import alphabets, scales_of
from mmreason.sampling.views.schedule import joint_image_left, joint_shares
from mmreason.sampling.views.scoring import log_likelihood, snapshots
from mmreason.tasks import make_problem
from tests.helpers import golden, public

CODES = Alphabet(128, torch.ones(64, dtype=torch.bool))
WORDS = Alphabet.of(torch.tensor([10 <= i < 120 and i != 50 for i in range(golden.VOCAB)]))
BOTH = Alphabet.of_turn(CODES, WORDS)
PROBLEM = make_problem("maze", "easy", 1)


def test_every_slot_is_committed_and_codes_follow_the_published_counts() -> None:
    shares = joint_shares(64, 32, 16, 8)
    assert sum(codes for codes, _ in shares) == 64 and sum(words for _, words in shares) == 32
    left = joint_image_left(64, 16, 8)
    taken = np.cumsum([codes for codes, _ in shares])
    assert (64 - taken)[:-1].tolist() == left[:-1] and left[-1] == 1
    assert all(any(pair) for pair in joint_shares(16, 4, 128, 8))


def test_slots_of_words_and_of_codes_may_hold_their_own_ids() -> None:
    def ids(allowed_W: torch.Tensor) -> list[int]:
        return (allowed_W.nonzero()[:, 0] + BOTH.first).tolist()

    word, code = BOTH.at(torch.tensor([True, False]))
    assert ids(word) == [i for i in range(10, 120) if i != 50] and ids(code) == list(range(128, 192))
    assert ids(BOTH.allowed_W) == ids(word) + ids(code)
    assert torch.equal(CODES.at(torch.tensor([True])), CODES.allowed_W)


def turn_view(codes: int, words: int) -> View:
    def ids(prompt: list[int]) -> list[int]:
        return [*prompt, 193, *[golden.MASK] * codes, 194, *[golden.MASK] * words, 7]

    return View.of(ids([5, 6]), golden.MASK, (View.of(ids([6]), golden.MASK),), words=words)


@pytest.mark.parametrize("mode", ["full", "prefix"])
def test_all_that_may_be_drawn_in_a_turn_has_probability_one(mode, tmp_path: Path, monkeypatch) -> None:
    """Two codes out of three and two words out of two, every assignment once, guided, by the real loop."""
    backbone = load_llama(golden.write_reference(tmp_path), mode)
    alphabet = Alphabet.of_turn(Alphabet(130, torch.ones(3, dtype=torch.bool)), Alphabet(20, torch.ones(2).bool()))
    every = torch.tensor(list(product(*[range(130, 133)] * 2, *[range(20, 22)] * 2))) - alphabet.first
    monkeypatch.setattr(module, "sample_tokens", lambda *_: every)
    views = [turn_view(2, 2)] * len(every)
    session = backbone.open(views, alphabet, (1.5,))
    config = DenoiseConfig(2, 0.7, text_steps=2)
    total = np.zeros(len(every))
    for frames in denoise(session, views, alphabet, golden.MASK, config):
        for b, frame in frames.items():
            total[b] += sum(frame.logprobs)
    assert len({round(each, 4) for each in total}) > 18
    assert np.exp(total).sum() == pytest.approx(1, abs=1e-5)


def rolled(turns: int = 1, **changes) -> list[Trace]:
    pipe = public.pipeline("parallel", **changes)
    config = pipe.sampling_config(num_steps=2, temperature=1.0, max_turns=turns)
    return pipe([PROBLEM], config, [3], 2).traces


@pytest.mark.parametrize("attention", ["full", "prefix"])
def test_a_turn_is_recorded_as_a_text_and_an_edit_and_scored_as_it_was_drawn(attention) -> None:
    pipe = public.pipeline("parallel", attention=attention, guidance=1.5, guidance_image=2.0)
    for trace in rolled(attention=attention, guidance=1.5, guidance_image=2.0):
        assert trace.settings["turn"] == "joint" and trace.settings["schedule"] == "cosine"
        assert [s.kind for s in trace.segments][1::2] == ["edit"] * 2
        assert all(s.picture is not None and len(s.cells) == 64 for s in trace.segments[1::2])
        for (text, edit), view in views_of(trace, pipe.model.layout):
            steps = snapshots(view, pipe.mask, edit.frames, text.frames)
            alphabet, scales = alphabets(pipe.model)["turn"], scales_of("turn", pipe.views)
            found = log_likelihood(pipe.model.backbone, steps, alphabet, 1.0, scales)
            assert float(found.detach().sum()) == pytest.approx(text.logprob + edit.logprob, abs=5e-3)
            assert sum(len(step.places) for step in steps) == 64 + 8


def test_a_turn_on_a_puzzle_is_judged_at_every_step_of_it() -> None:
    pipe = public.pipeline("parallel")
    config = pipe.sampling_config(num_steps=2, temperature=1.0, max_turns=1)
    lengths = []
    for (trace,) in pipe.stream([PROBLEM], config, [3]):
        scored = judge_of(pipe).score(trace)
        lengths.append(len(scored.segments))
        assert [s.tokens for s in scored.segments] == [s.tokens for s in trace.segments]
    assert set(lengths) >= {2}


def test_words_are_not_guided(tmp_path: Path) -> None:
    backbone, view = load_llama(golden.write_reference(tmp_path)), turn_view(6, 4)
    tokens = torch.full((1, 10), golden.MASK)
    plain, moved = (backbone.open([view], BOTH, scales).logits(tokens)[0] for scales in ((), (2.0,)))
    torch.testing.assert_close(plain[6:], moved[6:], atol=1e-5, rtol=0)
    assert not torch.allclose(plain[:6], moved[:6], atol=1e-2)


def test_a_picture_of_ones_own_takes_one_turn_and_its_words_are_the_answer() -> None:
    pipe = public.pipeline("parallel")
    picture = np.random.default_rng(0).integers(0, 256, (64, 96, 3)).astype(np.uint8)
    problem = pipe.own_problem(picture, "make it blue", region="r1c1:r2c2")
    config = pipe.sampling_config(num_steps=2, temperature=1.0, max_turns=1)
    (trace,) = pipe([problem], config, [0]).traces
    assert [(s.kind, s.turn, s.cells) for s in trace.segments] == [("answer", 1, ()), ("edit", 1, (0, 1, 6, 7))]
    assert trace.end_reason == "answered"
    after = trace.segments[1].picture
    assert after is not None and (after[32:] == picture[32:]).all() and (after[:, 32:] == picture[:, 32:]).all()


def test_a_family_that_knows_no_joint_turns_refuses_them_and_parallel_may_do_without() -> None:
    with pytest.raises(ConfigError, match="turn must be interleaved for checkpoints of the family dimoo, got joint"):
        public.pipeline(turn="joint")
    with pytest.raises(ConfigError, match="block_length must be left out where turns are joint"):
        ViewsConfig(turn="joint", text_length=8, block_length=4)
    assert public.pipeline().views.turn == "interleaved" and public.pipeline("parallel").views.turn == "joint"
    assert [s.kind for s in rolled(turn="interleaved")[0].segments] == ["thought", "edit", "thought"]


def test_an_adapter_of_before_joint_turns_is_of_interleaved_ones(tmp_path: Path) -> None:
    pipe = public.pipeline("parallel")
    pipe.model.to_train(2, 0)
    pipe.views = replace(pipe.views, turn="interleaved")
    pipe.save_pretrained(tmp_path)
    stored = json.loads((tmp_path / "views.json").read_text())
    del stored["turn"]
    (tmp_path / "views.json").write_text(json.dumps(stored))
    assert type(pipe).from_pretrained(str(tmp_path)).views.turn == "interleaved"
