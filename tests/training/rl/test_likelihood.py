"""Laws of the packed likelihood: it is the sampler's own, it sums to one, and its gradient is right.

Axes: N scored tokens, V vocabulary.
"""

from __future__ import annotations

import copy
import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from itertools import product

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from mmreason.analysis.cost.benchmark import stepwise_batches
from mmreason.errors import ConfigError
from mmreason.layouts.vocabulary import Vocabulary
from mmreason.records import ANSWER, EDIT, MAX_TEXT_TOKENS, Trace
from mmreason.sampling import scheduler
from mmreason.sampling.config import SamplingConfig
from mmreason.sampling.pipeline import InterleavedReasoningPipeline
from mmreason.seeds import numpy_generator
from mmreason.tasks import make_problem
from mmreason.training.rl.config import LIKELIHOODS
from mmreason.training.rl.likelihood import ScoredTokens, pack_traces, score_tokens, share_rows, trace_rows
from tests.helpers.learning import SAMPLING, mixed_traces, shared_pipe
from tests.helpers.policies import pipeline_of, random_policy, talking_policy

SAMPLINGS = {
    "threshold": SAMPLING,
    "entropy": SamplingConfig(num_steps=4, temperature=1.6, order="entropy", max_turns=2),
    "threshold alone": SamplingConfig(num_steps=None, temperature=0.7, threshold=0.3, max_turns=1),
    "full": SamplingConfig(num_steps=3, temperature=0.7, threshold=0.3, region="full", max_turns=2),
    "confidence": SamplingConfig(num_steps=3, temperature=0.7, threshold=0.3, region="confidence", max_turns=2),
}


def packs(traces: Sequence[Trace], kind: str = "trajectory", max_tokens: int = 65536, seed: int = 0):
    """Batches of ``traces``; the same ``seed`` draws the same masks."""
    pipe = shared_pipe()
    rngs = [numpy_generator("masks", seed, i) for i in range(len(traces))]
    return list(pack_traces(traces, pipe.layout, kind, max_tokens, rngs))


@torch.no_grad()
def scores(
    batches: Sequence[ScoredTokens],
    num_traces: int,
    temperature: float = SAMPLING.temperature,
    pipe: InterleavedReasoningPipeline | None = None,
) -> list[torch.Tensor]:
    """Log-probabilities of each trace's tokens, in the order in which they were committed."""
    pipe = pipe or shared_pipe()
    parts: list[list[tuple[int, int, float]]] = [[] for _ in range(num_traces)]
    for batch in batches:
        logp_N = score_tokens(pipe.transformer, batch, pipe.layout, temperature).tolist()
        wheres = zip(batch.trace_N.tolist(), batch.segment_N.tolist(), steps_of(batch), logp_N, strict=True)
        for trace, segment, step, logp in wheres:
            parts[trace].append((segment, step, logp))
    return [torch.tensor([logp for *_, logp in sorted(part, key=lambda each: each[:2])]) for part in parts]


def steps_of(batch: ScoredTokens) -> list[int]:
    """The denoising step of each scored token, by where its copy lies; 0 where batches are of a step each."""
    if not batch.copies:
        return [0] * len(batch.token_N)
    copies = {(copy.trace, copy.row, copy.column + i): copy for copy in batch.copies for i in range(copy.length)}
    places = zip(batch.trace_N.tolist(), batch.row_N.tolist(), batch.column_N.tolist(), strict=True)
    return [copies[place].step for place in places]


def recorded(trace: Trace) -> torch.Tensor:
    """What the sampler noted when it drew the tokens, through its cache."""
    return torch.tensor([p for segment in trace.segments for frame in segment.frames for p in frame.logprobs])


# Trajectory: exact


@pytest.mark.parametrize("name", SAMPLINGS)
def test_the_packed_score_is_what_the_sampler_recorded_step_by_step_with_its_cache(name):
    sampling = SAMPLINGS[name]
    traces = mixed_traces(sampling)
    for trace, logp_N in zip(traces, scores(packs(traces), len(traces), sampling.temperature), strict=True):
        torch.testing.assert_close(logp_N, recorded(trace), atol=1e-5, rtol=1e-5)


def test_under_bfloat16_they_agree_but_for_rounding():
    problems = [trace.problem for trace in mixed_traces()[::2]]
    with torch.autocast("cpu", torch.bfloat16):
        traces = shared_pipe()(problems, SAMPLING, range(len(problems))).traces
        halves = torch.cat(scores(packs(traces), len(traces)))
    noted, full = torch.cat([recorded(t) for t in traces]), torch.cat(scores(packs(traces), len(traces)))
    for other in (halves, full):
        off = (other - noted).abs()
        assert 0 < off.mean() < 0.02 and off.max() < 0.3
        assert abs((other - noted).mean()) < 0.005  # to both sides alike


def test_the_traces_of_that_law_hold_every_kind_of_segment_and_steps_of_many_sizes():
    segments = [segment for trace in mixed_traces() for segment in trace.segments]
    assert {segment.kind for segment in segments} == {"thought", "edit", "answer"}
    assert {len(segment.frames) for segment in segments} == {1, 2, 3}
    assert len({len(segment.tokens) for segment in segments}) > 5
    end = shared_pipe().vocabulary.end
    assert any(end in s.tokens[:-1] for s in segments if s.kind == "thought")  # its clean copy is shorter
    assert torch.cat([recorded(trace) for trace in mixed_traces()]).mean() < -0.5


def test_a_wrong_temperature_or_other_weights_do_not_agree_with_the_record():
    traces = mixed_traces()[:4]
    noted = torch.cat([recorded(trace) for trace in traces])
    for other in (
        scores(packs(traces), 4, temperature=1.0),
        scores(packs(traces), 4, pipe=pipeline_of(talking_policy(seed=1))),
    ):
        assert (torch.cat(other) - noted).abs().max() > 0.1


def test_packed_equals_one_forward_a_segment_and_step():
    traces = mixed_traces()
    packed = scores(packs(traces), len(traces))
    stepwise = scores(list(stepwise_batches(shared_pipe(), traces)), len(traces))
    for a, b in zip(packed, stepwise, strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-5)


def test_the_probabilities_of_all_edits_of_three_cells_sum_to_one(monkeypatch):
    """The real pipeline draws every one of the 27 edits; only the draw itself is replaced."""
    model = random_policy(seed=0).requires_grad_(False)
    pipe = pipeline_of(model)
    codes = [pipe.vocabulary.num_text + code for code in (3, 60, 141)]
    model.tokens.weight[codes] *= 8  # so that what is drawn first matters to the rest
    for block in model.blocks:
        block.attention.out.weight *= 3
    edits = list(product(codes, repeat=3))
    thought, answer = ([pipe.words.index(w) for w in text.split()] for text in (f"{EDIT} r2c2 r2c4", ANSWER))
    end = pipe.vocabulary.end
    texts = [ids + [end] * (MAX_TEXT_TOKENS - len(ids)) for ids in (thought, answer)]
    allowed = Vocabulary.allowed

    def few(self: Vocabulary, modality: str) -> torch.Tensor:
        allowed_V = allowed(self, modality)
        if modality == "image":
            allowed_V &= torch.isin(torch.arange(self.size), torch.tensor(codes))
        return allowed_V

    drawn: list[int] = []

    def draw(logp_BLV: torch.Tensor, *_) -> torch.Tensor:
        if logp_BLV.shape[1] == 3:
            drawn.append(1)
            return torch.tensor(edits)
        return torch.tensor(texts[bool(drawn)]).expand(len(edits), -1)

    monkeypatch.setattr(Vocabulary, "allowed", few)
    monkeypatch.setattr(scheduler, "sample_tokens", draw)
    sampling = SamplingConfig(num_steps=3, temperature=0.7, threshold=0.5)
    traces = pipe([make_problem("maze", "easy", 0)], sampling, [0], len(edits)).traces
    assert [trace.segments[1].tokens for trace in traces] == edits
    assert len({tuple(f.committed for f in trace.segments[1].frames) for trace in traces}) > 1

    logp = []
    for trace, logp_N in zip(traces, scores(packs(traces), len(traces), 0.7, pipe), strict=True):
        assert [segment.kind for segment in trace.segments] == ["thought", "edit", "answer"]
        logp.append(float(logp_N[MAX_TEXT_TOKENS : MAX_TEXT_TOKENS + 3].sum()))
    assert np.exp(logp).sum() == pytest.approx(1, abs=1e-5)
    assert max(logp) < math.log(0.9)


# Packing changes nothing


def test_a_row_in_a_padded_batch_equals_that_row_alone():
    traces = mixed_traces()
    together = scores(packs(traces), len(traces))
    for trace, logp_N in zip(traces, together, strict=True):
        (alone,) = scores(packs([trace]), 1)
        torch.testing.assert_close(logp_N, alone, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("max_tokens", [1, 700, 2500])
def test_smaller_batches_score_the_same_and_stay_within_the_budget(max_tokens):
    traces = mixed_traces()
    batches = packs(traces, max_tokens=max_tokens)
    assert len(batches) > 1
    assert counted(batches) == counted(packs(traces))
    for batch in batches:
        assert len(batch.packed.ids_BL) == 1 or batch.packed.ids_BL.numel() <= max_tokens
    for a, b in zip(scores(batches, len(traces)), scores(packs(traces), len(traces)), strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=1e-5)


def counted(batches: Sequence[ScoredTokens]) -> Counter[tuple[int, int, int, int]]:
    """How often each (trace, segment, denoising step, token) is scored."""
    return Counter(
        place
        for batch in batches
        for place in zip(
            batch.trace_N.tolist(), batch.segment_N.tolist(), steps_of(batch), batch.token_N.tolist(), strict=True
        )
    )


@pytest.mark.parametrize("kind", LIKELIHOODS)
@pytest.mark.parametrize("max_tokens", [700, 65536])
def test_what_rollouts_have_alike_is_forwarded_once_and_every_token_is_scored_as_alone(kind, max_tokens):
    """A trace, one that ends earlier, one that ends otherwise, and the first again."""
    trace = max(mixed_traces(), key=lambda trace: len(trace.segments))
    *others, last = trace.segments
    frames = tuple(replace(frame, tokens=frame.tokens[::-1]) for frame in last.frames)
    otherwise = replace(trace, segments=(*others, replace(last, tokens=last.tokens[::-1], frames=frames)))
    group = [trace, replace(trace, segments=tuple(others)), otherwise, trace]
    packed = shared_pipe().layout

    def packs_of(traces: list[Trace]) -> list[ScoredTokens]:  # the same masks in all
        rngs = [numpy_generator("masks", 0) for _ in traces]
        return list(pack_traces(traces, packed, kind, max_tokens, rngs))

    together, forwarded = scores(packs_of(group), 4), 0
    for each, logp_N in zip(group, together, strict=True):
        alone = packs_of([each])
        forwarded += sum(batch.packed.ids_BL.numel() for batch in alone)
        torch.testing.assert_close(logp_N, *scores(alone, 1), atol=1e-5, rtol=1e-5)
    assert sum(batch.packed.ids_BL.numel() for batch in packs_of(group)) < 0.7 * forwarded
    assert torch.equal(together[0], together[3])
    assert sum(b.packed.ids_BL.numel() for b in packs_of([trace, trace])) == sum(
        b.packed.ids_BL.numel() for b in packs_of([trace])
    )
    assert max_tokens == 700 or [len(batch.packed.ids_BL) for batch in packs_of(group)] == [1]


def test_a_row_of_which_nothing_is_scored_is_left_out_unless_another_is_scored_in_its_place():
    """As of a joint turn whose hidden tokens are all of the modality that is not wanted."""
    (row,) = trace_rows(mixed_traces()[0], shared_pipe().layout)
    silent = replace(row, scored=[])
    assert share_rows([silent], 65536) == []
    (shared,) = share_rows([silent, row], 65536)
    assert shared.scored == row.scored and len(shared.noisy) == len(row.noisy)


def test_rows_of_unlike_shape_do_not_burst_the_budget():
    """One has a long clean prefix and few noisy copies, the other the reverse: together they need more."""
    traces = sorted(mixed_traces(), key=lambda trace: len(trace.segments))
    few, many = traces[0], traces[-1]
    slow = replace(few, segments=tuple(one_by_one(segment) for segment in few.segments))
    alone = max(batch.packed.ids_BL.numel() for trace in (slow, many) for batch in packs([trace]))
    assert packs([slow, many])[0].packed.ids_BL.numel() > 2 * alone
    assert all(batch.packed.ids_BL.numel() <= 2 * alone for batch in packs([slow, many], max_tokens=2 * alone))


def one_by_one(segment):
    """The same segment as if its tokens had been committed one a step."""
    frame = segment.frames[0]
    frames = tuple(replace(frame, step=i + 1, committed=(i,), logprobs=(0.0,)) for i in range(len(segment.tokens)))
    return replace(segment, frames=frames)


def test_blocked_attention_equals_the_dense_mask():
    (batch,) = packs(mixed_traces())
    assert len(batch.packed.runs) == 2
    dense = replace(batch, packed=replace(batch.packed, runs=()))
    pipe = shared_pipe()
    blocked_N, dense_N = (score_tokens(pipe.transformer, s, pipe.layout, 0.7) for s in (batch, dense))
    torch.testing.assert_close(blocked_N, dense_N, atol=1e-5, rtol=1e-5)


def test_the_formula_counts_the_products_of_a_packed_forward():
    (batch,) = packs(mixed_traces()[:6])
    pipe = shared_pipe()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        score_tokens(pipe.transformer, batch, pipe.layout, 0.7)
    assert batch.packed.num_tokens < batch.packed.ids_BL.numel()
    assert counter.get_total_flops() == batch.flops(pipe.transformer.config)


# Some segments only


@pytest.mark.parametrize("kind", LIKELIHOODS)
def test_segments_scored_alone_have_the_log_probabilities_that_they_have_among_all(kind):
    traces, pipe = mixed_traces(), shared_pipe()
    rng = numpy_generator("wanted", kind)
    wanted = [(rng.random(len(trace.segments)) < 0.3).tolist() for trace in traces]
    assert not all(map(any, wanted)) and any(map(any, wanted))

    def scores(wanted: list[list[bool]] | None) -> dict[tuple[int, int], list[float]]:
        rngs = [numpy_generator("masks", i) for i in range(len(traces))]
        found = defaultdict(list)
        for batch in pack_traces(traces, pipe.layout, kind, 2000, rngs, wanted):
            logp_N = score_tokens(pipe.transformer, batch, pipe.layout, 0.7).tolist()
            wheres = zip(batch.trace_N.tolist(), batch.segment_N.tolist(), steps_of(batch), logp_N, strict=True)
            for t, s, step, logp in wheres:
                found[t, s].append((step, logp))
        return {place: [logp for _, logp in sorted(own, key=lambda each: each[0])] for place, own in found.items()}

    among_all, alone = scores(None), scores(wanted)
    assert set(alone) == {(t, s) for t, row in enumerate(wanted) for s, live in enumerate(row) if live}
    for place, logps in alone.items():
        assert logps == pytest.approx(among_all[place], abs=1e-5)


# Gradient


@pytest.mark.parametrize("kind", LIKELIHOODS)
def test_the_gradient_equals_finite_differences(kind):
    pipe = shared_pipe()
    model = copy.deepcopy(pipe.transformer).double()
    traces = mixed_traces()[3:7]
    (batch,) = packs(traces, kind)
    weight_N = torch.randn(len(batch.token_N), generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    def objective() -> torch.Tensor:
        return (weight_N * score_tokens(model, batch, pipe.layout, 0.7)).sum()

    objective().backward()
    names = ("tokens.weight", "rows.weight", "output.weight", "blocks.0.attention.qkv.weight", "blocks.1.up.weight")
    parameters = dict(model.named_parameters())
    for name in (*names, "norm.weight", "blocks.0.attention.key_norm.weight"):
        parameter = parameters[name]
        at = np.unravel_index(int(parameter.grad.abs().argmax()), parameter.shape)
        value, step, sides = float(parameter[at].detach()), 1e-5, []
        with torch.no_grad():
            for side in (step, -step):
                parameter[at] = value + side
                sides.append(float(objective().detach()))
            parameter[at] = value
        assert float(parameter.grad[at]) == pytest.approx((sides[0] - sides[1]) / (2 * step), rel=1e-5, abs=1e-6), name


def test_a_policy_that_knows_nothing_gives_every_allowed_word_the_same_probability():
    pipe = pipeline_of(talking_policy())
    for table in (pipe.transformer.output, pipe.transformer.rows, pipe.transformer.columns):
        torch.nn.init.zeros_(table.weight)
    (batch,) = packs(mixed_traces())
    logp_N = score_tokens(pipe.transformer, batch, pipe.layout, 0.7)
    for is_image, count in ((False, len(pipe.vocabulary.generable_text)), (True, pipe.vocabulary.num_codes)):
        chosen_N = batch.is_image_N == is_image
        torch.testing.assert_close(logp_N[chosen_N], torch.full((int(chosen_N.sum()),), -math.log(count)))


# One step, and random masks


def test_of_segments_that_were_drawn_in_one_step_one_step_is_exact():
    sampling = SamplingConfig(num_steps=1, temperature=0.7, max_turns=2)
    traces = mixed_traces(sampling)
    for trace, logp_N in zip(traces, scores(packs(traces, "one_step"), len(traces)), strict=True):
        torch.testing.assert_close(logp_N, recorded(trace), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", LIKELIHOODS)
def test_scored_tokens_are_masked_where_they_are_scored_and_seen_nowhere_else_in_their_copy(kind):
    traces, mask = mixed_traces(), shared_pipe().vocabulary.mask
    (batch,) = packs(traces, kind)
    packed = batch.packed
    assert (packed.ids_BL[batch.row_N, batch.column_N] == mask).all()
    places = set(zip(batch.row_N.tolist(), batch.column_N.tolist(), strict=True))
    assert ((packed.ids_BL == mask).sum() == len(places)) == (kind != "trajectory")
    own = [(int(t), int(s)) for t, s in zip(batch.trace_N, batch.segment_N, strict=True)]
    for (t, s), is_image, token in zip(own, batch.is_image_N.tolist(), batch.token_N.tolist(), strict=True):
        assert (traces[t].segments[s].kind == "edit") == is_image
        assert token in traces[t].segments[s].tokens
    lengths = {(t, s): len(x.tokens) for t, trace in enumerate(traces) for s, x in enumerate(trace.segments)}
    counts = {key: own.count(key) for key in lengths}
    if kind == "random_mask":
        assert all(1 <= counts[key] <= lengths[key] for key in lengths)
        assert len(batch.token_N) < 0.8 * sum(lengths.values())
    else:
        assert counts == lengths


def test_random_masks_are_drawn_once_for_old_and_new_policy_and_anew_by_other_generators():
    traces = mixed_traces()
    (batch,) = packs(traces, "random_mask", seed=1)
    pipe = shared_pipe()
    first, second = (score_tokens(pipe.transformer, batch, pipe.layout, 0.7) for _ in range(2))
    assert torch.equal(first, second)
    (same,), (other,) = packs(traces, "random_mask", seed=1), packs(traces, "random_mask", seed=2)
    assert torch.equal(batch.packed.ids_BL, same.packed.ids_BL)
    assert not torch.equal(batch.packed.ids_BL, other.packed.ids_BL)


def test_a_random_mask_does_not_depend_on_the_other_traces():
    traces = mixed_traces()[:4]
    together = scores(packs(traces, "random_mask"), 4)
    (alone,) = scores(packs(traces[:1], "random_mask"), 1)
    torch.testing.assert_close(together[0], alone, atol=1e-5, rtol=1e-5)


def test_a_mask_share_hides_that_share_of_all_tokens_whatever_their_segment():
    pipe, traces = shared_pipe(), mixed_traces()
    hidden = {"text": 0, "image": 0}
    for seed in range(30):
        rngs = [numpy_generator("share", seed, i) for i in range(len(traces))]
        for batch in pack_traces(traces, pipe.layout, "random_mask", rngs=rngs, mask_share=0.15):
            images = int(batch.is_image_N.sum())
            hidden["image"] += images
            hidden["text"] += len(batch.is_image_N) - images
            assert (batch.packed.ids_BL[batch.row_N, batch.column_N] == pipe.vocabulary.mask).all()
    for modality, count in hidden.items():
        number = 30 * sum(len(s.tokens) for t in traces for s in t.segments if s.modality == modality)
        assert abs(count - 0.15 * number) < 5 * (number * 0.15 * 0.85) ** 0.5


def test_a_rollout_of_which_nothing_is_hidden_is_left_out():
    pipe, traces = shared_pipe(), mixed_traces()
    rngs = [numpy_generator("share", 0, i) for i in range(len(traces))]
    assert not list(pack_traces(traces, pipe.layout, "random_mask", rngs=rngs, mask_share=1e-9))


# Refused


def test_greedy_sampling_has_no_likelihood():
    pipe = shared_pipe()
    (batch,) = packs(mixed_traces()[:1])
    with pytest.raises(ConfigError, match="temperature must be above 0"):
        score_tokens(pipe.transformer, batch, pipe.layout, 0.0)


def test_an_unknown_likelihood_and_random_masks_without_a_generator_are_refused():
    pipe = shared_pipe()
    for kind, says in (("exact", "trajectory, one_step, random_mask, got 'exact'"), ("random_mask", "generator")):
        with pytest.raises(ConfigError, match=says):
            list(pack_traces(mixed_traces()[:1], pipe.layout, kind))
