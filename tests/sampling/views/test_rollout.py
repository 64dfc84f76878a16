"""Rollouts of public checkpoints: turns of text, region and edit, on a stand-in of true ids."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mmreason.errors import ConfigError
from mmreason.layouts import FAMILIES
from mmreason.layouts.layout import State
from mmreason.records import Box, Problem, Trace
from mmreason.rewards.pixels import judge_of
from mmreason.sampling.views.config import ViewsConfig
from mmreason.sampling.views.pipeline import ViewsPipeline
from mmreason.sampling.views.region import boxes_in, boxes_of
from mmreason.sampling.views.rollout import plain_thought, views_of
from mmreason.sampling.views.sampler import alphabets
from mmreason.sampling.views.scoring import log_likelihood, snapshots
from mmreason.tasks import TASKS, make_problem
from tests.helpers import public


@pytest.fixture(scope="module")
def pipe() -> ViewsPipeline:
    return public.pipeline()


def photograph(height: int = 96, width: int = 144) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3)).astype(np.uint8)


def rolled(
    pipe: ViewsPipeline, problems: list[Problem], seeds: list[int], generations: int = 1, **more
) -> list[Trace]:
    config = pipe.sampling_config(**({"num_steps": 2, "temperature": 1.0, "max_turns": 2} | more))
    return pipe(problems, config, seeds, generations).traces


def test_a_trace_does_not_depend_on_its_batch(pipe: ViewsPipeline) -> None:
    problems = [make_problem("maze", "easy", 1), make_problem("sudoku", "easy", 2)]
    together = rolled(pipe, problems, [5, 6], 2)
    alone = rolled(pipe, problems[1:], [6])
    assert [s.tokens for s in alone[0].segments] == [s.tokens for s in together[2].segments]
    assert together[0].segments[0].tokens != together[1].segments[0].tokens
    assert together[0].settings["attention"] == "full" and together[0].settings["native"] is True


def test_a_start_canvas_is_encoded_once_however_many_rollouts_begin_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    pipe, encoded = public.pipeline(), []
    encode = pipe.model.codec.encode
    monkeypatch.setattr(pipe.model.codec, "encode", lambda picture: encoded.append(picture) or encode(picture))
    problems = [make_problem("maze", "easy", seed) for seed in (1, 2)]
    traces = rolled(pipe, problems, [3, 4], 2, max_turns=1)
    assert len(encoded) == 2 and len({trace.canvas_tokens for trace in traces}) == 2
    (alone, again) = rolled(pipe, problems[1:], [4], 2, max_turns=1)
    assert [each.segments[1].tokens for each in (alone, again)] == [each.segments[1].tokens for each in traces[2:]]


@pytest.mark.parametrize("attention", ["full", "prefix"])
def test_what_is_recorded_is_the_likelihood(attention: str) -> None:
    pipe = public.pipeline(attention=attention, guidance=1.5, pixels=256)
    (trace,) = rolled(pipe, [make_problem("maze", "easy", 1)], [3], max_turns=1, schedule="cosine")
    assert trace.settings["cache"] == {"full": "none", "prefix": "exact"}[attention]
    assert trace.settings["native"] is (attention == "full") and trace.grid == (16, 16)
    both = alphabets(pipe.model)
    for (segment,), view in views_of(trace, pipe.model.layout):
        steps = snapshots(view, pipe.mask, segment.frames)
        scales = pipe.views.scales if segment.kind == "edit" else ()
        found = log_likelihood(pipe.model.backbone, steps, both[segment.modality], 1.0, scales)
        assert float(found.detach().sum()) == pytest.approx(segment.logprob, abs=2e-3)


@pytest.mark.parametrize("family", FAMILIES)
def test_what_is_said_never_becomes_a_mask_or_another_mark_of_the_tokenizer(family: str) -> None:
    pipe = public.pipeline(family)
    layout = pipe.model.layout
    added = layout.words.tokenizer.get_added_vocab()
    assert layout.mask in added.values()
    for mark, id in added.items():
        with pytest.raises(ConfigError, match="marks a part of the prompt"):
            pipe.own_problem(photograph(), f"make {mark} blue")
        thought = plain_thought(f"a {mark} b", layout)  # the model may spell it
        for kind in ("thought", "edit"):
            seen = layout.view(State("move", np.zeros((8, 8), int), (thought,)), kind)
            plain = layout.view(State("move", np.zeros((8, 8), int), ("a b",)), kind)
            assert seen.ids.tolist().count(id) == plain.ids.tolist().count(id)


def test_outside_the_region_every_pixel_stays_and_the_users_region_holds(pipe: ViewsPipeline) -> None:
    problem = pipe.own_problem(photograph(), "make it blue", region="r2c2:r3c4,r6c9")
    (trace,) = rolled(pipe, [problem], [0], temperature=0.0, max_turns=2)
    inside = np.zeros((96, 144), dtype=bool)
    inside[16:48, 16:64] = inside[80:96, 128:144] = True
    edits = [s for s in trace.segments if s.kind == "edit"]
    assert [len(edit.cells) for edit in edits] == [7, 7] and trace.segments[-1].kind == "answer"
    for edit in edits:
        assert edit.picture is not None
        assert (edit.picture[~inside] == problem.image[~inside]).all()
        assert (edit.picture[inside] != problem.image[inside]).any()


def test_a_mask_covers_the_codes_of_which_it_holds_most(pipe: ViewsPipeline) -> None:
    mask = np.zeros((96, 144), dtype=bool)
    mask[10:50, 0:40] = True  # rows 1 (6 px), 2, 3, 4 (2 px); columns 1, 2, 3 (8 px)
    problem = pipe.own_problem(photograph(), "x", mask=mask)
    (trace,) = rolled(pipe, [problem], [0], max_turns=1)
    assert trace.segments[1].cells == (9, 10, 18, 19)


@pytest.mark.parametrize(
    ("region", "share", "cells"),
    [("stated", None, 54), ("stated", 0.1, 5), ("full", 0.1, 54), ("confidence", 0.2, 11)],
)
def test_where_nobody_names_a_region_all_or_the_least_certain_cells_are_drawn(region, share, cells) -> None:
    pipe = public.pipeline(region_share=share)
    problem = pipe.own_problem(photograph(), "make it blue")
    (trace,) = rolled(pipe, [problem], [0], max_turns=1, region=region)
    assert len(trace.segments[1].cells) == cells


def test_a_thought_that_names_boxes_is_followed(pipe: ViewsPipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(pipe.model.layout), "read", lambda *_: "right <edit> r1c2 r2c3")
    (trace,) = rolled(public.pipeline(pixels=256), [make_problem("maze", "easy", 1)], [0], max_turns=1)
    edit = trace.segments[1]
    assert edit.boxes == (Box(1, 2, 2, 3),) and edit.cells == (
        2,
        3,
        4,
        5,
        18,
        19,
        20,
        21,
        34,
        35,
        36,
        37,
        50,
        51,
        52,
        53,
    )


def test_pixels_are_judged_as_codes_are(pipe: ViewsPipeline) -> None:
    """A demonstration drawn at 256 pixels is right, and with one wrong cell it is not."""
    problem = make_problem("sudoku", "easy", 3)
    from mmreason.tasks import atlas
    from tests.helpers.standin import stand_in_trace

    trace = stand_in_trace(problem)
    steps = TASKS["sudoku"].demonstrate(problem.spec).steps
    pictures = [atlas().draw("sudoku", step.canvas).repeat(2, 0).repeat(2, 1) for step in steps]

    def drawn(pictures: list[np.ndarray]) -> Trace:
        left = iter(pictures)
        segments = []
        for s in trace.segments:
            if s.kind == "edit":
                rows, columns = np.divmod(np.array(s.cells), 8)
                codes = sorted(
                    int((2 * r + i) * 16 + 2 * c + j)
                    for r, c in zip(rows, columns, strict=True)
                    for i in (0, 1)
                    for j in (0, 1)
                )
                s = replace(s, cells=tuple(codes), picture=next(left))
            segments.append(s)
        return replace(trace, segments=tuple(segments), grid=(16, 16))

    scored = judge_of(pipe).score(drawn(pictures))
    assert scored.success and all(s.reward == 1 for s in scored.segments)
    wrong = [*pictures[:-1], pictures[-1].copy()]
    row, column = divmod([s for s in trace.segments if s.kind == "edit"][-1].cells[0], 8)
    there = np.s_[32 * row : 32 * row + 32, 32 * column : 32 * column + 32]
    wrong[-1][there] = problem.image.repeat(2, 0).repeat(2, 1)[there]  # one cell as it was
    assert not judge_of(pipe).score(drawn(wrong)).success


@pytest.mark.parametrize(
    ("text", "boxes"),
    [
        ("<edit> r2c2 r3c4", [Box(2, 2, 3, 4)]),
        ("x <edit> r3c4 r2c2 r1c1 r1c1", [Box(2, 2, 3, 4), Box(1, 1, 1, 1)]),
        ("r2c2 r3c4", []),
        ("<edit> r2c2", []),
        ("<edit> r2c2 r13c4", []),
        ("<edit> r2c2 now", []),
    ],
)
def test_boxes_are_read_off_a_thought_or_none(text: str, boxes: list[Box]) -> None:
    assert boxes_in(text, (12, 12)) == boxes


@pytest.mark.parametrize("text", ["", "left", "r1c1:r9c9", "r0c1", "r1c1:r2", "r1c1;r2c2"])
def test_a_users_region_outside_or_unreadable_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="region must"):
        boxes_of(text, (8, 8))


def test_every_cell_of_a_large_picture_can_be_named() -> None:
    assert boxes_of("r1c100:r2c1024", (2, 1024)) == [Box(1, 100, 2, 1024)]
    assert boxes_in("<edit> r128c99 r100c128", (128, 128)) == [Box(100, 99, 128, 128)]
    with pytest.raises(ConfigError, match=r"must lie inside the picture, which has 128 rows .*; got 'r129c1'"):
        boxes_of("r129c1", (128, 128))


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"attention": "stale"}, "attention must be one of full, prefix"),
        ({"pixels": 100}, "pixels must be a multiple of 32, of 128 for puzzles, got 100"),
        ({"text_length": 10, "block_length": 4}, "block_length must divide"),
        ({"guidance": -1}, "guidance must be"),
        ({"region_share": 0}, "region_share must be above 0"),
    ],
)
def test_settings_that_cannot_be_are_refused(wrong: dict, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        ViewsConfig(**wrong)


def test_guidance_that_an_edit_of_the_family_has_no_twin_for_is_refused_when_the_checkpoint_is_loaded() -> None:
    with pytest.raises(ConfigError, match="guidance_image must be 0 for checkpoints of the family mmada, got 2"):
        public.pipeline("mmada", guidance_image=2.0)
    assert public.pipeline("mmada", guidance=2.0).views.scales == (2.0,)


def test_an_instruction_that_no_prompt_has_room_for_is_refused_before_anything_is_drawn() -> None:
    with pytest.raises(ConfigError, match="an instruction to mmada must have at most 510 tokens"):
        public.pipeline("mmada").own_problem(photograph(128, 128), "please " * 600)


def test_maskgit_is_recorded_as_not_exact_and_long_texts_come_in_blocks() -> None:
    pipe = public.pipeline(block_length=4, text_steps=4)
    problem = pipe.own_problem(photograph(32, 32), "make it blue")
    (trace,) = rolled(pipe, [problem], [0], max_turns=1, order="maskgit")
    assert trace.settings["exact"] is False
    thought = trace.segments[0]
    assert all(max(frame.committed) < 4 for frame in thought.frames[:2])
    assert all(min(frame.committed) >= 4 for frame in thought.frames[2:])
