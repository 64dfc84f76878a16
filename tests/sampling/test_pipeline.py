"""What holds of the pipeline: edits stay inside their regions, and a rollout knows nothing of its batch.

The policy is random but talks in regions, so that traces have many turns.  Axes: V vocabulary.
"""

from __future__ import annotations

import copy
import json
import math
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from mmreason.errors import CheckpointError, ConfigError, DistributionError
from mmreason.layouts.cells import Piece, clean_length
from mmreason.layouts.packing import pack
from mmreason.models.flops import forward_flops
from mmreason.records import FULL_BOX, MAX_TEXT_TOKENS, NUM_CELLS, Trace, parse_boxes, region_mask
from mmreason.sampling.config import SamplingConfig
from mmreason.sampling.pipeline import InterleavedReasoningPipeline, fastest_device
from mmreason.sampling.rollout import ANSWERED, OUT_OF_TURNS
from mmreason.sampling.scheduler import MaskedDiffusionScheduler
from mmreason.sampling.unmask import log_distribution
from mmreason.tasks import FIRST_TASKS, make_problem
from tests.helpers.policies import (
    encoder,
    forward,
    layout,
    pipeline_of,
    random_policy,
    talking_policy,
    text_tokenizer,
    vocabulary,
    vqvae,
    words,
)

SHORT = SamplingConfig(max_turns=4)


@pytest.fixture(scope="module")
def pipe() -> InterleavedReasoningPipeline:
    return pipeline_of(talking_policy().requires_grad_(False))


@pytest.fixture(scope="module")
def problems():
    tasks = [*FIRST_TASKS, "maze", "sudoku"]
    return [make_problem(task, "medium", 8, index=i) for i, task in enumerate(tasks)]


@pytest.fixture(scope="module")
def traces(pipe, problems) -> list[Trace]:
    return pipe(problems, SHORT, list(range(len(problems)))).traces


def happened(trace: Trace) -> list[tuple]:
    """All that a trace says of what was generated, without times and without rounding errors."""
    return [
        (s.kind, s.turn, s.tokens, s.text, s.boxes, s.cells, [(f.step, f.tokens, f.committed) for f in s.frames])
        for s in trace.segments
    ]


def canvases(trace: Trace) -> list[np.ndarray]:
    """The canvas tokens at the start and after each edit."""
    seen = [np.array(trace.canvas_tokens)]
    for segment in trace.segments:
        if segment.kind == "edit":
            seen.append(seen[-1].copy())
            seen[-1][list(segment.cells)] = segment.tokens
    return seen


def test_these_traces_are_worth_looking_at(traces):
    assert len({len(trace.segments) for trace in traces}) > 1
    assert max(len(trace.segments) for trace in traces) > 6
    assert len({len(s.cells) for trace in traces for s in trace.segments if s.kind == "edit"}) > 4


# What is generated


def test_every_masked_position_is_committed_exactly_once_and_stays(traces):
    mask = vocabulary().mask
    for segment in (s for trace in traces for s in trace.segments):
        shown, committed = [mask] * len(segment.tokens), []
        for number, frame in enumerate(segment.frames, start=1):
            assert frame.step == number
            assert frame.committed
            for position in frame.committed:
                shown[position] = segment.tokens[position]
            assert list(frame.tokens) == shown
            assert len(frame.logprobs) == len(frame.committed)
            assert max(frame.logprobs) <= 0
            committed += frame.committed
        assert sorted(committed) == list(range(len(segment.tokens)))
        assert len(segment.frames) <= SHORT.num_steps


def test_segments_hold_allowed_ids_of_their_own_modality_only(traces):
    for segment in (s for trace in traces for s in trace.segments):
        assert vocabulary().allowed(segment.modality)[list(segment.tokens)].all()


def test_thoughts_and_edits_alternate_and_the_edit_redraws_the_region_just_named(traces):
    for trace in traces:
        assert [s.modality for s in trace.segments] == (["text", "image"] * 9)[: len(trace.segments)]
        assert [s.turn for s in trace.segments] == [1 + i // 2 for i in range(len(trace.segments))]
        for thought, edit in zip(trace.segments[::2], trace.segments[1::2], strict=False):
            assert thought.text == " ".join(words()[t] for t in thought.tokens).partition(" <end>")[0]
            assert list(edit.boxes) == parse_boxes(thought.text.split())
            assert edit.cells == tuple(np.flatnonzero(region_mask(edit.boxes)).tolist())
            assert len(edit.tokens) == len(edit.cells)


def test_an_edit_changes_nothing_outside_its_region(traces):
    for trace in traces:
        edits = [s for s in trace.segments if s.kind == "edit"]
        seen = canvases(trace)
        for edit, before, after in zip(edits, seen[:-1], seen[1:], strict=True):
            outside = np.setdiff1d(np.arange(NUM_CELLS), edit.cells)
            assert np.array_equal(after[outside], before[outside])


def test_the_start_canvas_is_the_encoded_picture(pipe, problems, traces):
    for problem, trace in zip(problems, traces, strict=True):
        assert trace.problem is problem
        assert trace.canvas_tokens == tuple(encoder().canvas_ids(problem.task, problem.canvas).tolist())
        assert pipe.encode_image(problem.image).tolist() == list(trace.canvas_tokens)


def test_the_noted_log_probabilities_are_those_of_a_forward_without_a_cache(pipe, traces):
    for trace in traces[:3]:
        start = layout().problem_piece(words().index(f"<{trace.problem.task}>"), trace.canvas_tokens)
        clean: list[Piece] = [start]
        for segment in trace.segments:
            shown = np.full(len(segment.tokens), vocabulary().mask)
            for frame in segment.frames:
                if segment.kind == "edit":
                    noisy = layout().edit_piece(shown, segment.cells, segment.turn, copy=1)
                else:
                    noisy = layout().text_piece(shown, segment.turn, copy=1)
                hidden = forward(pipe.transformer, pack([[*clean, noisy]], vocabulary().pad))[0]
                logits = pipe.transformer.logits(hidden[-len(shown) :])
                allowed = vocabulary().allowed(segment.modality)
                logp = log_distribution(logits, allowed, SHORT.temperature)
                expected = [float(logp[i, segment.tokens[i]]) for i in frame.committed]
                assert list(frame.logprobs) == pytest.approx(expected, abs=1e-4)
                shown = np.array(frame.tokens)
            if segment.kind == "edit":
                clean.append(layout().edit_piece(segment.tokens, segment.cells, segment.turn))
            else:
                kept = clean_length(segment.tokens, vocabulary().end)
                clean.append(layout().text_piece(segment.tokens[:kept], segment.turn))


# Batches and seeds


@pytest.mark.parametrize("temperature", [0, 1.0])
@pytest.mark.parametrize("region", ["stated", "full", "confidence"])
def test_a_rollout_does_not_depend_on_its_batch(pipe, problems, temperature, region):
    config = SamplingConfig(max_turns=3, temperature=temperature, region=region)
    seeds = [100 + i for i in range(len(problems))]
    together = pipe(problems, config, seeds).traces
    for problem, seed, trace in zip(problems, seeds, together, strict=True):
        (alone,) = pipe([problem], config, [seed]).traces
        assert happened(alone) == happened(trace)
        assert alone.end_reason == trace.end_reason


def test_a_threshold_does_not_tie_a_rollout_to_its_batch_either(pipe, problems):
    config = SamplingConfig(max_turns=3, temperature=0.7, num_steps=None, threshold=0.5)
    together = pipe(problems, config, range(6)).traces
    for seed, (problem, trace) in enumerate(zip(problems, together, strict=True)):
        assert happened(pipe([problem], config, [seed]).traces[0]) == happened(trace)


def test_the_same_seed_gives_the_same_trace_and_another_seed_another(pipe, problems):
    first, again, other = (pipe(problems[:1], SHORT, [seed]).traces[0] for seed in (5, 5, 6))
    assert happened(first) == happened(again)
    assert happened(first) != happened(other)


def test_greedy_traces_do_not_depend_on_the_seed(pipe, problems):
    config = replace(SHORT, temperature=0)
    one, other = (pipe(problems[:2], config, seeds).traces for seeds in ([1, 2], [3, 4]))
    assert [happened(trace) for trace in one] == [happened(trace) for trace in other]


def test_generations_share_their_problem_and_differ_by_their_own_streams(pipe, problems):
    traces = pipe(problems[:2], SHORT, [7, 8], num_generations=3).traces
    assert [t.problem for t in traces] == [problems[0]] * 3 + [problems[1]] * 3
    assert len({t.canvas_tokens for t in traces[:3]}) == 1
    for group in (traces[:3], traces[3:]):
        assert len({str(happened(trace)) for trace in group}) == 3
    (alone,) = pipe(problems[1:2], SHORT, [8]).traces
    assert happened(alone) == happened(traces[3])  # the first generation is the rollout without a group


def test_a_problem_is_encoded_once_for_all_its_generations(pipe, problems):
    blocks, mapped = [], []
    hooks = [
        pipe.transformer.register_forward_hook(lambda _, args, __: blocks.append(tuple(args[0].shape))),
        pipe.transformer.blocks[0].up.register_forward_hook(
            lambda _, args, __: mapped.append(args[0][..., 0].numel())
        ),
    ]
    traces = pipe(problems[:2], SamplingConfig(max_turns=1), [7, 8], num_generations=3).traces
    for hook in hooks:
        hook.remove()
    assert blocks[:2] == [(2, 1 + NUM_CELLS), (6, MAX_TEXT_TOKENS)]
    assert sum(trace.cost.tokens_forwarded for trace in traces) == sum(mapped)
    assert sum(mapped) < sum(rows * block for rows, block in blocks)  # padding is not forwarded


# Regions


def test_a_full_region_redraws_the_whole_canvas_whatever_the_thought_names(pipe, problems):
    for trace in pipe(problems, replace(SHORT, region="full"), range(6)).traces:
        for edit in (s for s in trace.segments if s.kind == "edit"):
            assert edit.cells == tuple(range(NUM_CELLS))
            assert edit.boxes == (FULL_BOX,)


def test_a_confidence_region_has_the_stated_size_and_the_least_likely_cells(pipe, problems):
    config = replace(SHORT, region="confidence", max_turns=1)
    for trace in pipe(problems, config, range(6)).traces:
        if len(trace.segments) < 2:
            continue
        thought, edit = trace.segments[:2]
        stated = region_mask(parse_boxes(thought.text.split())).sum()
        assert len(edit.cells) == stated
        assert edit.cells == tuple(np.flatnonzero(region_mask(edit.boxes)).tolist())
        kept = thought.tokens[: clean_length(thought.tokens, vocabulary().end)]
        masks = np.full(NUM_CELLS, vocabulary().mask)
        row = [
            layout().problem_piece(words().index(f"<{trace.problem.task}>"), trace.canvas_tokens),
            layout().text_piece(kept, 1),
            layout().edit_piece(masks, range(NUM_CELLS), 1, copy=1),
        ]
        hidden = forward(pipe.transformer, pack([row], vocabulary().pad))[0, -NUM_CELLS:]
        logp = log_distribution(pipe.transformer.logits(hidden), vocabulary().allowed("image"), 1.0)
        likely = logp[torch.arange(NUM_CELLS), list(trace.canvas_tokens)]
        chosen = torch.zeros(NUM_CELLS, dtype=torch.bool)
        chosen[list(edit.cells)] = True
        if not chosen.all():
            assert likely[chosen].max() <= likely[~chosen].min() + 1e-4


# How a trace ends


def test_every_trace_ends_with_a_reason_that_fits_its_last_text(pipe, problems):
    traces = pipe(problems, SHORT, [3] * 6, num_generations=4).traces
    reasons = set()
    for trace in traces:
        last = trace.segments[-1]
        reasons.add(trace.end_reason)
        if trace.end_reason == ANSWERED:
            assert (last.kind, last.text.split()[0]) == ("answer", "<answer>")
        elif trace.end_reason == OUT_OF_TURNS:
            assert (last.kind, last.turn) == ("thought", SHORT.max_turns + 1)
        else:
            assert trace.end_reason == parse_boxes(last.text.split())
    assert {ANSWERED, OUT_OF_TURNS} < reasons  # and an unreadable thought


@pytest.mark.parametrize("max_turns", [1, 3])
def test_no_trace_has_more_edits_than_turns(pipe, problems, max_turns):
    traces = pipe(problems, SamplingConfig(max_turns=max_turns), range(6)).traces
    edits = [sum(s.kind == "edit" for s in trace.segments) for trace in traces]
    assert max(edits) == max_turns


def test_a_policy_that_never_names_a_region_ends_at_once_with_a_sentence(problems):
    traces = pipeline_of(random_policy().requires_grad_(False))(problems, SHORT, range(6)).traces
    for trace in traces:
        assert [s.kind for s in trace.segments] == ["thought"]
        assert trace.end_reason.startswith("the thought")


# Watching and cost


def test_the_callback_sees_every_step_and_at_last_every_trace_ended(pipe, problems):
    seen: list[list[Trace]] = []
    result = pipe(problems[:2], SHORT, [1, 2], callback_on_step_end=seen.append).traces
    frames = [sum(len(s.frames) for trace in step for s in trace.segments) for step in seen]
    assert frames == sorted(frames)
    assert frames[0] == 2
    assert [trace.end_reason for trace in seen[-1]] == [trace.end_reason for trace in result]
    assert not any(trace.end_reason for trace in seen[0])
    streamed = list(pipe.stream(problems[:2], SHORT, [1, 2]))
    assert [[happened(t) for t in step] for step in streamed] == [[happened(t) for t in step] for step in seen]


def test_a_trace_tells_its_settings(traces):
    assert dict(traces[0].settings) == {
        "attention": "blocks",
        "turn": "interleaved",
        "default_region": "end",
        "schedule": "equal",
        "temperature": 1.0,
        "num_steps": 4,
        "threshold": None,
        "order": "confidence",
        "region": "stated",
        "max_turns": 4,
    }


def expected_cost(trace: Trace, config) -> tuple[int, int, float]:
    """Passes, tokens and FLOPs of a rollout alone, recounted from its frames."""
    start = 1 + NUM_CELLS
    passes, tokens, flops = 1, start, forward_flops(config, 1, start, 0, 0, wanted=0)
    cached, pending = start, 0
    for segment in trace.segments:
        length = len(segment.tokens)
        for frame in segment.frames:
            block = length + (pending if frame.step == 1 else 0)
            passes, tokens = passes + 1, tokens + block
            flops += forward_flops(config, 1, block, cached, length, wanted=length)
            if frame.step == 1:
                cached += pending
        pending = length if segment.kind == "edit" else clean_length(segment.tokens, vocabulary().end)
    return passes, tokens, flops


def test_the_cost_of_a_rollout_alone_can_be_recounted_from_its_frames(pipe, problems):
    for problem, seed in zip(problems, range(6), strict=True):
        (trace,) = pipe([problem], SHORT, [seed]).traces
        passes, tokens, flops = expected_cost(trace, pipe.transformer.config)
        assert trace.cost.forward_passes == passes
        assert trace.cost.tokens_forwarded == tokens
        assert trace.cost.flops == pytest.approx(flops)
        assert trace.cost.seconds > 0


def test_an_edit_of_its_region_forwards_less_than_one_of_the_whole_canvas(pipe, problems):
    stated, full = (
        pipe(problems[:1], SamplingConfig(max_turns=1, region=region), [3]).traces[0] for region in ("stated", "full")
    )
    assert happened(stated)[0] == happened(full)[0]
    steps, cells = len(full.segments[1].frames), len(stated.segments[1].cells)
    assert len(stated.segments[1].frames) == steps
    more = full.cost.tokens_forwarded - stated.cost.tokens_forwarded
    texts = [len(t.segments[2].frames) for t in (stated, full)]
    assert more == (NUM_CELLS - cells) * (steps + 1) + MAX_TEXT_TOKENS * (texts[1] - texts[0])


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"seeds": [1]}, "one number a problem"),
        ({"num_generations": 0}, "num_generations must be a whole"),
    ],
)
def test_wrong_numbers_of_seeds_or_generations_are_refused(pipe, problems, kwargs, message):
    with pytest.raises(ConfigError, match=message):
        pipe(problems[:2], SHORT, **kwargs)


def test_no_problems_give_no_traces(pipe):
    assert pipe([], SHORT, []).traces == []


# Checkpoints


@pytest.fixture(scope="module")
def checkpoint(pipe, tmp_path_factory):
    folder = tmp_path_factory.mktemp("talking") / "checkpoint"
    pipe.save_pretrained(folder)
    return folder


def test_saved_and_loaded_a_pipeline_keeps_its_fingerprint_and_its_traces(pipe, problems, checkpoint):
    loaded = InterleavedReasoningPipeline.from_pretrained(checkpoint)
    assert loaded.fingerprint == pipe.fingerprint
    assert loaded.words == pipe.words
    assert np.array_equal(loaded.sheet, pipe.sheet)
    assert not loaded.transformer.training
    one, other = (p(problems[:2], SHORT, [1, 2]).traces for p in (pipe, loaded))
    assert [happened(trace) for trace in one] == [happened(trace) for trace in other]


def files_of(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_loaded_and_saved_again_a_checkpoint_is_the_same_byte_for_byte_wherever_it_lay(checkpoint, tmp_path):
    once, twice = tmp_path / "once", tmp_path / "twice"
    for source, target in ((checkpoint, once), (once, twice)):
        InterleavedReasoningPipeline.from_pretrained(source).save_pretrained(target)
    assert files_of(once) == files_of(twice)


def test_the_fingerprint_changes_with_a_single_weight():
    one, other = talking_policy(), talking_policy()
    assert pipeline_of(one).fingerprint == pipeline_of(other).fingerprint
    with torch.no_grad():
        other.hints.weight[0, 0] += 1e-3
    assert pipeline_of(one).fingerprint != pipeline_of(other).fingerprint
    assert len(pipeline_of(one).fingerprint) == 12


def test_a_missing_checkpoint_is_told_in_one_sentence(tmp_path):
    with pytest.raises(CheckpointError, match=r"^checkpoint .*nowhere' ") as caught:
        InterleavedReasoningPipeline.from_pretrained(tmp_path / "nowhere")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "file",
    [
        "model_index.json",
        "transformer/model.safetensors",
        "transformer/config.json",
        "vqvae/diffusion_pytorch_model.safetensors",
        "tokenizer/tokenizer.json",
    ],
)
@pytest.mark.parametrize("harm", ["truncated", "missing"])
def test_a_broken_checkpoint_is_told_in_one_sentence(checkpoint, tmp_path, file, harm):
    broken = tmp_path / "broken"
    shutil.copytree(checkpoint, broken)
    if harm == "missing":
        (broken / file).unlink()
    else:
        (broken / file).write_bytes((broken / file).read_bytes()[:100])
    with pytest.raises(CheckpointError, match=r"^checkpoint .*broken' cannot be loaded: \S") as caught:
        InterleavedReasoningPipeline.from_pretrained(broken)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("number", [math.nan, math.inf])
@pytest.mark.parametrize(("part", "name"), [("transformer", "blocks.1.up.weight"), ("vqvae", "decoder.conv_in.bias")])
def test_a_checkpoint_with_one_weight_that_is_not_finite_is_refused_by_its_name(tmp_path, part, name, number):
    model = talking_policy()
    pipe = InterleavedReasoningPipeline(model, copy.deepcopy(vqvae()), text_tokenizer(), MaskedDiffusionScheduler())
    with torch.no_grad():
        getattr(pipe, part).get_parameter(name).view(-1)[-1] = number
    pipe.save_pretrained(tmp_path / "broken")
    with pytest.raises(CheckpointError, match=rf"broken' is damaged: {part}'s {name} holds a number") as caught:
        InterleavedReasoningPipeline.from_pretrained(tmp_path / "broken")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("causal", [False, True])
def test_a_checkpoint_of_finite_weights_that_overflow_is_refused(tmp_path, causal):
    model = random_policy(causal=causal)
    with torch.no_grad():
        model.output.weight.fill_(3e38)
    pipeline_of(model).save_pretrained(tmp_path / "broken")
    with pytest.raises(CheckpointError, match="broken' is damaged: the policy's probabilities must be finite"):
        InterleavedReasoningPipeline.from_pretrained(tmp_path / "broken")


def test_weights_that_break_while_in_use_end_a_rollout_with_that_name(problems):
    model = talking_policy().requires_grad_(False)
    pipe = pipeline_of(model)
    rollouts = pipe.stream(problems[:2], SHORT)
    next(rollouts)
    model.blocks[0].attention.out.weight.fill_(math.nan)
    with pytest.raises(DistributionError):
        list(rollouts)


def test_a_transformer_of_another_vocabulary_is_refused(checkpoint, tmp_path):
    other = random_policy().config
    model = type(random_policy())(type(other)(**{**other.to_dict(), "vocab_size": 300}))
    with pytest.raises(CheckpointError, match=f"vocab_size of the transformer must be {vocabulary().size}"):
        pipeline_of(model)


def test_weights_are_stored_as_safetensors_and_never_as_pickles(checkpoint):
    names = {path.name for path in checkpoint.rglob("*") if path.is_file()}
    assert {name for name in names if not name.endswith(".json")} == {
        "model.safetensors",
        "diffusion_pytorch_model.safetensors",
    }
    assert json.loads((checkpoint / "model_index.json").read_text())["_class_name"] == ("InterleavedReasoningPipeline")


def test_each_process_takes_its_own_gpu_where_there_is_one(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert fastest_device() == torch.device("cpu")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    assert fastest_device() == torch.device("cuda", 0)
    monkeypatch.setenv("LOCAL_RANK", "2")
    assert fastest_device() == torch.device("cuda", 2)
