"""Both stages of training in every mode of the small model: bidirectional attention, joint turns."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from mmreason.__main__ import main
from mmreason.errors import ConfigError
from mmreason.layouts.cells import CellsLayout
from mmreason.layouts.packing import PADDING
from mmreason.sampling.config import SamplingConfig
from mmreason.sampling.pipeline import InterleavedReasoningPipeline
from mmreason.tasks import make_problem
from mmreason.tasks.task import NO_HINT
from mmreason.training.rl.likelihood import pack_traces
from mmreason.training.rl.order import changed_orders
from mmreason.training.rl.trainer import Trainer
from mmreason.training.run.rundir import RunDirectory
from mmreason.training.supervised.config import CorpusConfig, PretrainConfig
from mmreason.training.supervised.corpus import NO_TARGET, DemonstrationBatches, Encoder
from mmreason.training.supervised.pretrain import pretrain
from tests.helpers.learning import assert_same_run, config, even_tokens, weights_in
from tests.helpers.policies import (
    NUM_CODES,
    encoder,
    pipeline_of,
    random_policy,
    talking_policy,
    text_tokenizer,
    vqvae,
)

MODES = [("full", "interleaved"), ("blocks", "joint"), ("full", "joint")]
mode = pytest.mark.parametrize(("attention", "turn"), MODES)


def trainer(folder, attention: str, turn: str) -> Trainer:
    pipe = pipeline_of(talking_policy(1, attention=attention, turn=turn))
    sampling = SamplingConfig(num_steps=2, temperature=0.8, max_turns=1, default_region="all")
    small = config(max_steps=2, num_problems=1, num_generations=3, eval_problems=1, save_steps=1, sampling=sampling)
    return Trainer(pipe, small, RunDirectory(folder), reward_functions=[even_tokens])


@mode
def test_a_run_of_grpo_that_is_paused_and_resumed_ends_bit_for_bit_where_the_other_ends(attention, turn, tmp_path):
    said = trainer(tmp_path / "whole", attention, turn).train()
    assert said["order_changed"] < 1 and math.isfinite(said["loss"]) and said["train_flops"] > 0
    for _ in range(3):  # after the evaluation before the first step, too
        trainer(tmp_path / "paused", attention, turn).train(resume=True, pause=lambda: True)
    assert_same_run(tmp_path / "paused", tmp_path / "whole")
    start = talking_policy(1, attention=attention, turn=turn).state_dict()
    ended = weights_in(tmp_path / "whole" / "checkpoint")
    assert any(not torch.equal(start[name], weight) for name, weight in ended.items())
    again = InterleavedReasoningPipeline.from_pretrained(tmp_path / "whole" / "checkpoint")
    assert (again.layout.attention, again.layout.turn) == (attention, turn)


def corpus(attention: str, turn: str, **changes) -> CorpusConfig:
    return CorpusConfig(
        problems_per_batch=2,
        difficulties={"easy": 1.0},
        tasks={"maze": 1.0},
        attention=attention,
        turn=turn,
        tokens_per_part=2000,
        **changes,
    )


@mode
def test_demonstrations_are_laid_out_as_the_sampler_shows_them(attention, turn):
    layout = CellsLayout(text_tokenizer(), NUM_CODES, attention=attention, turn=turn)
    batches = DemonstrationBatches(corpus(attention, turn), Encoder(layout, encoder().code_of_cell), 1)
    asked = 0
    for part in batches[0]:
        masked_BL = part.packed.ids_BL == layout.mask
        assert torch.equal(masked_BL, part.target_BL != NO_TARGET)
        asked += int(masked_BL.sum())
        if attention == "full":  # a row shows one copy and nothing that comes after it
            last_B = part.packed.segment_BL.max(dim=1).values
            noisy_BL = part.packed.copy_BL > 0
            for b, last in enumerate(last_B.tolist()):
                segments = part.packed.segment_BL[b]
                assert set(segments[noisy_BL[b]].tolist()) == {last}
                if bool((part.hint_BL[b] != NO_HINT).any()):  # it shows the problem alone
                    assert set(segments[~noisy_BL[b]].tolist()) <= {0, PADDING}
    assert asked > 0
    assert sum(part.num_problems for part in batches[0]) == 2


@pytest.mark.parametrize("attention", ["blocks", "full"])
@pytest.mark.parametrize("kind", ["text", "image"])
def test_scored_for_one_modality_a_joint_turn_is_still_committed_in_the_sampled_order(attention, kind):
    pipe = pipeline_of(random_policy(attention=attention, turn="joint"))
    config = SamplingConfig(num_steps=3, temperature=1.3, region="full", max_turns=2)
    traces = pipe([make_problem("maze", "easy", seed) for seed in range(3)], config, [1, 2, 3]).traces
    wanted = [[segment.modality == kind for segment in trace.segments] for trace in traces]
    for batch in pack_traces(traces, pipe.layout, wanted=wanted):
        changed, steps, _ = changed_orders(pipe.transformer, batch, pipe.layout, config)
        assert steps > 0 and changed == 0


def test_an_answer_beside_a_picture_keeps_the_picture():
    layout = CellsLayout(text_tokenizer(), NUM_CODES, turn="joint")
    problem = make_problem("maze", "easy", 3)
    example = Encoder(layout, encoder().code_of_cell).example(problem, full_region=True)
    (*_, before, answer, kept) = example.segments
    assert answer[1] is None and len(kept[1]) == 64
    assert np.array_equal(kept[2], before[2])


@mode
def test_pretraining_makes_a_checkpoint_of_that_mode(attention, turn, tmp_path):
    small = {"hidden_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 96}
    settings = PretrainConfig(
        steps=2, warmup_steps=1, bf16=False, eval_problems=1, save_steps=1, corpus=corpus(attention, turn)
    )
    policy = random_policy(attention=attention, turn=turn, **small)
    run = RunDirectory(tmp_path / "run")
    said = pretrain(run, settings, vqvae(), policy, tokenizer=text_tokenizer())
    assert math.isfinite(said["loss/text"]) and math.isfinite(said["loss/image"])
    pipe = InterleavedReasoningPipeline.from_pretrained(tmp_path / "run" / "checkpoint")
    assert (pipe.transformer.config.attention, pipe.transformer.config.turn) == (attention, turn)


@mode
def test_a_policy_of_another_attention_goes_on_in_the_mode_that_is_asked_for(attention, turn, tmp_path):
    small = {"hidden_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 96}
    blocks = random_policy(text_slots={"maze": 8}, **small)
    pipeline_of(blocks).save_pretrained(tmp_path / "blocks")
    short = ["--steps", "1", "--threads", "1", "--eval_problems", "1", "--problems_per_batch", "2", "--no_bf16"]

    def pretrained(start: str, output: str, *flags: str) -> int:
        where = ["--checkpoint", str(tmp_path / start), "--output", str(tmp_path / output)]
        return main(["pretrain", *where, *short, *flags])

    assert pretrained("blocks", "run", "--attention", attention, "--turn", turn) == 0
    made = InterleavedReasoningPipeline.from_pretrained(tmp_path / "run" / "checkpoint").transformer.config
    assert (made.attention, made.turn) == (attention, turn)
    assert made.text_slots == (None if turn == "joint" else {"maze": 8})

    assert pretrained("run/checkpoint", "again") == 0  # unasked, as in the checkpoint
    kept = InterleavedReasoningPipeline.from_pretrained(tmp_path / "again" / "checkpoint").transformer.config
    assert (kept.attention, kept.turn) == (attention, turn)


def test_a_diffusion_policy_does_not_become_an_autoregressive_one(tmp_path):
    causal = PretrainConfig(steps=2, corpus=corpus("blocks", "interleaved", causal=True))
    with pytest.raises(ConfigError, match="causal must be False, as in the checkpoint, got True"):
        pretrain(RunDirectory(tmp_path / "run"), causal, vqvae(), random_policy(), tokenizer=text_tokenizer())


def test_what_makes_no_sense_is_refused_with_a_sentence():
    with pytest.raises(ConfigError, match="attention must be blocks and turn interleaved for a causal policy"):
        corpus("full", "interleaved", causal=True)
    with pytest.raises(ConfigError, match="own_share must be 0 but for blocks"):
        PretrainConfig(own_share=0.1, corpus=corpus("full", "interleaved"))
    with pytest.raises(ConfigError, match="attention must be one of blocks, full, got 'prefix'"):
        corpus("prefix", "interleaved")
    assert corpus("full", "joint").full_share == 1 and corpus("full", "interleaved").full_share == 0
