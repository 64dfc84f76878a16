"""What holds of checkpoints with another geometry: another grid, and cells of several tokens."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from mmreason.__main__ import main
from mmreason.codecs.cells import build_vqvae
from mmreason.errors import CheckpointError, ConfigError
from mmreason.layouts.cells import CellsLayout
from mmreason.layouts.vocabulary import build_text_tokenizer
from mmreason.models.configuration import InterleavedDiffusionConfig
from mmreason.models.modeling import InterleavedDiffusionModel
from mmreason.records import Box
from mmreason.sampling.config import SamplingConfig
from mmreason.sampling.pipeline import InterleavedReasoningPipeline
from mmreason.sampling.scheduler import MaskedDiffusionScheduler
from mmreason.tasks import atlas, make_problem
from mmreason.traces.versions.two import check_two
from mmreason.training.rl.likelihood import pack_traces, score_tokens
from mmreason.training.run.rundir import RunDirectory
from mmreason.training.supervised.config import CorpusConfig, PretrainConfig
from mmreason.training.supervised.corpus import Encoder
from mmreason.training.supervised.pretrain import pretrain

NUM_CODES = 24
GEOMETRIES = {"6 × 6": (6, 1, 4, 10), "2 × 2 tokens of 8 pixels": (8, 2, 3, 12), "2 × 2 tokens of 16": (8, 2, 4, 12)}


@cache
def pipe(name: str) -> InterleavedReasoningPipeline:
    """A tiny random policy; its turns are joint, so that it draws whatever its thoughts say."""
    cells, tokens, halvings, text_length = GEOMETRIES[name]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        tokenizer = build_text_tokenizer(grid=cells)
        vqvae = build_vqvae(NUM_CODES, width=16, code_width=4, halvings=halvings)
        layout = CellsLayout(tokenizer, NUM_CODES)
        config = InterleavedDiffusionConfig(
            vocab_size=layout.vocabulary.size,
            first_cell=layout.vocabulary.first_cell,
            grid_size=cells * tokens,
            cell_tokens=tokens,
            max_text_tokens=text_length,
            turn="joint",
            hidden_size=48,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=96,
            hint_layer=1,
        )
        model = InterleavedDiffusionModel(config)
        torch.nn.init.normal_(model.blocks[0].attention.out.weight, std=0.2)
    return InterleavedReasoningPipeline(model, vqvae, tokenizer, MaskedDiffusionScheduler())


@cache
def checkpoint(name: str, root: Path) -> Path:
    folder = root / "checkpoint"
    pipe(name).save_pretrained(folder)
    return folder


@pytest.mark.parametrize("name", ["6 × 6", "2 × 2 tokens of 8 pixels"])
def test_solve_evaluate_train_and_the_trace_file_take_any_geometry(name, tmp_path, capsys):
    start, side = checkpoint(name, tmp_path), GEOMETRIES[name][0] * GEOMETRIES[name][1]
    shared = ["--num_steps", "2", "--json"]
    short = [*shared, "--max_turns", "1"]
    out = tmp_path / "trace.json"
    assert (
        main(["solve", "--task", "maze", "--checkpoint", str(start), "--out", str(out), *shared, "--max_turns", "1"])
        == 0
    )
    said = json.loads(capsys.readouterr().out)
    file = check_two(json.loads(out.read_text()))
    pictures = [part for part in file.rollouts[0].parts if part.type == "image"]
    assert pictures and all(part.grid == [side, side] for part in pictures)
    assert said["success"] is False and len(said["segments"]) == len(file.rollouts[0].parts)
    assert main(["check", str(start), "--json"]) == 0
    checked = json.loads(capsys.readouterr().out)
    assert checked["grid"] == [side, side] and not checked["problems_found"]
    more = ["--problems", "1", "--tasks", "maze", "--seed", "1"]
    assert main(["evaluate", "--checkpoint", str(start), *more, *shared]) == 0
    assert json.loads(capsys.readouterr().out)["problems"] == 1
    run = ["--checkpoint", str(start), "--assignment", "factorized", "--tasks", "maze", "--difficulty", "easy"]
    run += [
        "--steps",
        "2",
        "--num_problems",
        "1",
        "--num_generations",
        "2",
        "--eval_problems",
        "1",
        "--max_turns",
        "1",
    ]
    assert main(["train", *run, "--output", str(tmp_path / "run"), "--threads", "1", *short]) == 0
    assert json.loads(capsys.readouterr().out)["step"] == 2
    trained = InterleavedReasoningPipeline.from_pretrained(tmp_path / "run" / "checkpoint")
    assert trained.layout.grid == (side, side) and trained.layout.text_length == GEOMETRIES[name][3]


@pytest.mark.parametrize("name", GEOMETRIES)
def test_what_is_recorded_is_the_likelihood_and_edits_keep_their_pictures(name):
    one = pipe(name)
    (trace,) = one([make_problem("maze", "easy", 1)], SamplingConfig(num_steps=2, max_turns=1), [3]).traces
    assert trace.grid == one.layout.grid
    with torch.no_grad():
        scored = sum(
            float(score_tokens(one.transformer, batch, one.layout, 1.0).sum())
            for batch in pack_traces([trace], one.layout)
        )
    assert scored == pytest.approx(sum(segment.logprob for segment in trace.segments), abs=0.05)
    pixels = one.layout.grid[0] * one.codec.pixels_per_code
    for segment in trace.segments:
        if segment.kind == "edit":
            assert segment.picture is not None and segment.picture.shape == (pixels, pixels, 3)
            assert len(segment.tokens) == one.layout.num_cells


def test_a_box_of_cells_is_as_many_tokens_as_a_cell_has():
    layout = pipe("2 × 2 tokens of 8 pixels").layout
    tokens = layout.tokens_in([Box(2, 3, 2, 4)])
    assert tokens.tolist() == [2 * 16 + 4, 2 * 16 + 5, 2 * 16 + 6, 2 * 16 + 7] + [3 * 16 + i for i in (4, 5, 6, 7)]
    assert layout.boxes_around(tokens) == (Box(2, 3, 2, 4),)
    assert layout.boxes_around(np.arange(256)) == (Box(1, 1, 8, 8),)
    assert layout.boxes_around(np.array([0, 17, 255])) == (Box(1, 1, 1, 1), Box(8, 8, 8, 8))
    box = SamplingConfig(num_steps=2, max_turns=1, default_region="r2c3:r2c4")
    (trace,) = pipe("2 × 2 tokens of 8 pixels")([make_problem("maze", "easy", 1)], box, [3]).traces
    edit = next(segment for segment in trace.segments if segment.kind == "edit")
    assert edit.cells == tuple(tokens.tolist()) and edit.boxes == (Box(2, 3, 2, 4),)


def test_demonstrations_are_drawn_at_the_codec_s_size_and_a_grid_that_holds_no_puzzle_is_refused(tmp_path):
    one = pipe("2 × 2 tokens of 8 pixels")
    problem = make_problem("maze", "easy", 1)
    encoder = Encoder(one.layout, np.zeros(0, np.int64), one.codec)
    ids = encoder.canvas_ids("maze", problem.canvas)
    assert np.array_equal(ids, one.encode_image(atlas().draw("maze", problem.canvas)))
    labels = encoder.hints(problem).reshape(16, 16)
    assert all(len(set(labels[r : r + 2, c : c + 2].ravel().tolist())) == 1 for r in (0, 6) for c in (2, 14))
    corpus = CorpusConfig(problems_per_batch=2, difficulties={"easy": 1.0}, tasks={"maze": 1.0}, turn="joint")
    settings = PretrainConfig(steps=1, bf16=False, eval_problems=1, corpus=corpus)
    said = pretrain(RunDirectory(tmp_path), settings, one.vqvae, one.transformer, tokenizer=one.tokenizer)
    assert np.isfinite(said["loss/image"])
    small = pipe("6 × 6")
    with pytest.raises(ConfigError, match="8 rows of cells, which 6 rows of codes cannot hold"):
        Encoder(small.layout, np.zeros(0, np.int64), small.codec).canvas_ids("maze", problem.canvas)


def test_a_network_for_another_grid_than_the_tokenizer_names_is_refused():
    one = pipe("6 × 6")
    with pytest.raises(CheckpointError, match=r"grid_size of the transformer must be 8 \(1 for each of the 8 cells"):
        InterleavedReasoningPipeline(one.transformer, one.vqvae, build_text_tokenizer(), one.scheduler)


def test_arms_are_compared_on_policies_that_the_formulas_know(tmp_path, capsys):
    out = tmp_path / "race.json"
    words = ["--checkpoint", str(checkpoint("6 × 6", tmp_path)), "--out", str(out), "--against", "diffusion_full"]
    assert main(["race", *words]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert "8 × 8 cells of one token each, in interleaved turns" in error and "got 6 × 6 tokens, joint turns" in error
    assert not out.exists()
    evaluated = ["--checkpoint", words[1], "--problems", "1", "--tasks", "maze", "--pictures", "hidden"]
    assert main(["evaluate", *evaluated]) == 2
    assert "pictures must be own for a checkpoint that draws 6 × 6 tokens" in capsys.readouterr().err
