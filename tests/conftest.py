"""Shared by all tests: marks, one thread, and a tiny untrained checkpoint."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from mmreason.codecs.cells import build_vqvae
from mmreason.layouts.vocabulary import Vocabulary, build_text_tokenizer
from mmreason.models.configuration import InterleavedDiffusionConfig
from mmreason.models.modeling import InterleavedDiffusionModel
from mmreason.sampling.pipeline import InterleavedReasoningPipeline
from mmreason.sampling.scheduler import MaskedDiffusionScheduler
from mmreason.startup import collect_seldom
from mmreason.tasks import TASKS, atlas, atlas_for, own
from tests.helpers.marks import pytest_collection_modifyitems, pytest_runtest_makereport  # noqa: F401
from tests.helpers.order import pytest_configure  # noqa: F401

collect_seldom()
torch.set_num_threads(1)

NUM_CODES = 24


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """A command that a test runs in this process sets the threads of the tests after it: rounding hangs on them."""
    yield
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tiny_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a checkpoint with small untrained networks."""
    torch.manual_seed(0)
    tokenizer, vqvae = build_text_tokenizer(), build_vqvae(num_codes=NUM_CODES, width=16, code_width=4)
    vocabulary = Vocabulary.of(tokenizer, NUM_CODES)
    config = InterleavedDiffusionConfig(
        vocab_size=vocabulary.size,
        first_cell=vocabulary.first_cell,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        hint_layer=1,
    )
    pipe = InterleavedReasoningPipeline(
        transformer=InterleavedDiffusionModel(config),
        vqvae=vqvae,
        tokenizer=tokenizer,
        scheduler=MaskedDiffusionScheduler(),
    )
    folder = tmp_path_factory.mktemp("tiny") / "checkpoint"
    pipe.save_pretrained(folder, safe_serialization=True)
    return folder


@pytest.fixture(scope="session")
def tiny_pipe(tiny_checkpoint: Path) -> InterleavedReasoningPipeline:
    """The tiny checkpoint, loaded."""
    return InterleavedReasoningPipeline.from_pretrained(tiny_checkpoint)


@pytest.fixture
def own_tasks_forgotten() -> Iterator[None]:
    """Tasks of one's own that a test makes known are not known after it."""
    tasks, sources = dict(TASKS), dict(own._SOURCES)
    yield
    for kept, now in ((tasks, TASKS), (sources, own._SOURCES)):
        now.clear()
        now.update(kept)
    atlas.cache_clear()
    atlas_for.cache_clear()
