"""What holds of the image tokenizer: cells are coded and decoded one by one.  Axes: N cells, C codes."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmreason.codecs.cells import (
    canvas_pixels,
    decode_codebook,
    encode_cells,
    reconstruction_loss,
    to_input,
)
from mmreason.records import CELL_PX, GRID, NUM_CELLS
from mmreason.seeds import numpy_generator
from mmreason.tasks import atlas, make_problem
from tests.helpers.policies import NUM_CODES, sheet, vqvae


def test_pixels_become_floats_between_minus_one_and_one_channels_first():
    pixels = np.zeros((2, CELL_PX, CELL_PX, 3), np.uint8)
    pixels[1, 2, 3] = (255, 0, 255)
    inputs = to_input(pixels)
    assert inputs.shape == (2, 3, CELL_PX, CELL_PX)
    assert inputs.min() == -1
    assert inputs[1, :, 2, 3].tolist() == [1, -1, 1]


def test_a_cells_code_does_not_depend_on_the_cells_beside_it():
    pixels = numpy_generator("noise").integers(0, 256, (12, CELL_PX, CELL_PX, 3)).astype(np.uint8)
    pixels[6:] = atlas().pixels[:6]
    together = encode_cells(vqvae(), pixels)
    assert together.tolist() == [int(encode_cells(vqvae(), pixels[i : i + 1])[0]) for i in range(len(pixels))]
    assert together[6:].tolist() == list(range(6))


def test_codes_and_pixels_are_the_same_inside_of_autocast():
    pixels = numpy_generator("noise").integers(0, 256, (200, CELL_PX, CELL_PX, 3)).astype(np.uint8)
    outside = encode_cells(vqvae(), pixels), decode_codebook(vqvae())
    with torch.autocast("cpu", torch.bfloat16):
        inside = encode_cells(vqvae(), pixels), decode_codebook(vqvae())
    assert np.array_equal(inside[0], outside[0]) and np.array_equal(inside[1], outside[1])


def test_a_codes_picture_does_not_depend_on_the_codes_beside_it():
    pictures = decode_codebook(vqvae())
    assert pictures.shape == (NUM_CODES, CELL_PX, CELL_PX, 3)
    codes = torch.tensor([5, 200, 5])
    shape = (3, 1, 1, vqvae().config.vq_embed_dim)
    alone = vqvae().decode(codes.view(-1, 1, 1), force_not_quantize=True, shape=shape).sample
    assert torch.equal(alone[0], alone[2])
    as_bytes = ((alone.clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).numpy()
    assert np.abs(as_bytes[0].astype(int) - pictures[5]).max() <= 1  # another batch size, another rounding


@given(st.integers(0, NUM_CELLS - 1), st.integers(0, NUM_CODES - 1))
@settings(deadline=None, max_examples=30)
def test_changing_one_code_changes_the_pixels_of_its_cell_only(cell, code):
    pictures = numpy_generator("sheet").integers(0, 256, (NUM_CODES, CELL_PX, CELL_PX, 3)).astype(np.uint8)
    codes = numpy_generator("codes").integers(0, NUM_CODES, NUM_CELLS)
    before = np.asarray(canvas_pixels(pictures, codes.reshape(GRID, GRID)))
    codes[cell] = code
    after = np.asarray(canvas_pixels(pictures, codes.reshape(GRID, GRID)))
    y, x = CELL_PX * (cell // GRID), CELL_PX * (cell % GRID)
    assert np.array_equal(after[y : y + CELL_PX, x : x + CELL_PX], pictures[code])
    outside = np.ones(after.shape[:2], dtype=bool)
    outside[y : y + CELL_PX, x : x + CELL_PX] = False
    assert np.array_equal(after[outside], before[outside])


def test_a_perfect_sheet_gives_back_the_drawing():
    problem = make_problem("sudoku", "medium", 1)
    drawn = canvas_pixels(sheet(), atlas().global_ids("sudoku", problem.canvas))
    assert np.array_equal(np.asarray(drawn), problem.image)


def test_the_reconstruction_loss_adds_the_way_to_the_nearest_code_only_when_quantizing():
    on_codes, off_codes = to_input(atlas().pixels[:8]), to_input(255 - atlas().pixels[:8])
    plain = reconstruction_loss(vqvae(), on_codes, quantize=False)
    latents = vqvae().quant_conv(vqvae().encoder(on_codes))
    decoded = vqvae().decoder(vqvae().post_quant_conv(latents))
    assert torch.allclose(plain, ((decoded - on_codes) ** 2).mean())
    assert torch.allclose(reconstruction_loss(vqvae(), on_codes, quantize=True), plain, atol=1e-5)
    latents = vqvae().quant_conv(vqvae().encoder(off_codes))
    nearest, commit, _ = vqvae().quantize(latents)
    decoded = vqvae().decoder(vqvae().post_quant_conv(nearest))
    assert commit > 1e-4
    expected = ((decoded - off_codes) ** 2).mean() + commit
    assert torch.allclose(reconstruction_loss(vqvae(), off_codes, quantize=True), expected)
