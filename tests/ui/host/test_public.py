"""Checkpoints of public families on the page's machine: found, told, refused in a sentence, and shared."""

from __future__ import annotations

import json
import shutil
from collections import OrderedDict
from itertools import zip_longest
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmreason.backbones.adapter import Adapter
from mmreason.backbones.loading import load_llama
from mmreason.errors import CheckpointError
from mmreason.tasks import TASKS
from mmreason.ui.health import build_words, health
from mmreason.ui.host import checkpoints, public
from mmreason.ui.runs.choices import choices_of, small_choices_of
from mmreason.ui.train.form import public_fields
from mmreason.ui.watch.studio.events import on_checkpoint
from tests.helpers.public import SHORT
from tests.helpers.public import folder as standin

pytestmark = pytest.mark.usefixtures("real_checkpoints")


@pytest.fixture
def hosted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of checkpoints with a stand-in and nothing else."""
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    (folder / "tiny").symlink_to(standin(), target_is_directory=True)
    monkeypatch.setenv(checkpoints.CHECKPOINTS_SETTING, str(folder))
    return folder


def test_a_public_checkpoint_is_found_and_says_what_it_is(hosted: Path) -> None:
    (found,) = public.public_checkpoints()
    assert not found.fault
    assert found.words.startswith("Lumina-DiMOO · 17.")
    assert "million parameters" in found.words
    assert "licence apache-2.0 · full attention, as it was trained" in found.words
    assert ("tiny", "tiny") in choices_of(None)
    assert choices_of(None) != small_choices_of(None) == []
    assert checkpoints.tasks_of("tiny") == list(TASKS)
    assert health()["public"] == {"tiny": found.words} and found.words in build_words()


def test_nothing_is_found_where_there_is_none() -> None:
    assert public.public_checkpoints() == []
    assert public.find("base") is None


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda f: (f / "config.json").write_text("{"), "cannot be read"),
        (lambda f: (f / "config.json").write_text('{"model_type": "gpt2"}'), "model_type must be llada"),
        (lambda f: shutil.rmtree(f / "vqvae"), "lacks the folder vqvae with its codec"),
        (lambda f: (f / "model-00001-of-00002.safetensors").unlink(), "lacks model-00001-of-00002.safetensors"),
        (lambda f: (f / "model-00002-of-00002.safetensors").write_bytes(b"x" * 99), "cannot be read"),
        (
            lambda f: (f / "adapter_config.json").write_text('{"base_model_name_or_path": "a/b"}'),
            "is not on",
        ),
    ],
)
def test_a_broken_one_is_a_sentence_and_cannot_be_chosen(hosted: Path, damage, says) -> None:
    shutil.copytree(hosted / "tiny", hosted / "broken")
    damage(hosted / "broken")
    (found,) = (each for each in public.public_checkpoints() if each.name == "broken")
    assert says in found.fault and "\n" not in found.fault
    assert str(hosted) not in found.fault, "where the host keeps it is nobody's business"
    assert public.public_names() == ["tiny"]
    with pytest.raises(CheckpointError, match="'broken' cannot be used"):
        public.load("broken")


def test_what_a_checkpoint_lacked_is_seen_once_it_is_there(hosted: Path) -> None:
    shutil.copytree(hosted / "tiny", hosted / "late", ignore=shutil.ignore_patterns("vqvae"))
    late = public.find("late")
    assert late is not None and late.fault and public.usable("late") is None
    shutil.copytree(hosted / "tiny" / "vqvae", hosted / "late" / "vqvae")
    assert public.usable("late") is not None


def test_where_an_adapters_base_lies_is_not_told(hosted: Path, tmp_path: Path) -> None:
    base = tmp_path / "secret place" / "base"
    (hosted / "adapter").mkdir()
    (hosted / "adapter" / "adapter_config.json").write_text(json.dumps({"base_model_name_or_path": str(base)}))
    for lacks in ("'base', is not on", "its base"):
        found = public.find("adapter")
        assert found is not None and lacks in found.fault and "secret" not in found.fault
        shutil.copytree(hosted / "tiny", base, ignore=shutil.ignore_patterns("vqvae"), dirs_exist_ok=True)


def test_two_stay_loaded_and_the_one_used_longest_ago_goes_first(hosted: Path, monkeypatch) -> None:
    monkeypatch.setattr(public, "_PIPES", OrderedDict())
    for name in ("second", "third"):
        shutil.copytree(hosted / "tiny", hosted / name)
    for name in ("tiny", "second", "tiny", "third"):
        public.load(name)
    assert [public.is_loaded(name) for name in ("tiny", "second", "third")] == [True, False, True]


def test_a_large_one_needs_a_gpu(hosted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(public, "SMALL_BYTES", 1000)
    monkeypatch.setattr(checkpoints, "device", lambda: "cpu")
    (found,) = public.public_checkpoints()
    assert found.fault == public.NEEDS_GPU and found.shape is not None
    assert public.public_names() == []
    monkeypatch.setattr(checkpoints, "device", lambda: "cuda")
    assert public.public_names() == ["tiny"]


def test_what_is_for_our_own_kind_refuses_it_in_a_sentence(hosted: Path) -> None:
    with pytest.raises(CheckpointError, match="public family, which has no part in this"):
        checkpoints.load_pipeline("tiny")


def test_an_adapter_is_found_with_what_it_stands_on(hosted: Path) -> None:
    folder = hosted / "adapted"
    Adapter(load_llama(standin()), 4, base=str(standin())).save(folder)
    (folder / "views.json").write_text('{"attention": "prefix"}')
    found = public.find("adapted")
    assert found is not None and not found.fault
    assert public.quick_views("adapted") == public.quick_views("tiny"), "it does not say how long its texts are"
    assert "adapter of rank 4" in found.words and "prefix attention, not native" in found.words


def test_a_checkpoint_that_says_how_long_its_texts_are_is_offered_so_everywhere(hosted: Path) -> None:
    """Merged ones and adapters do; of others the host says it."""
    host = public.text_length()
    assert public.quick_views("tiny") == {"text_length": host}
    shutil.copytree(hosted / "tiny", hosted / "merged")
    Adapter(load_llama(standin()), 4, base=str(standin())).save(hosted / "adapted")
    for name in ("merged", "adapted"):
        (hosted / name / "views.json").write_text(json.dumps({"text_length": host + 5}))
        fields = public_fields(name)
        *_, studio = on_checkpoint(name)
        assert fields is not None and public.quick_views(name) == {"text_length": host + 5}
        assert fields["text_length"] == studio == host + 5, "Train and the studio of Watch"


def test_visitors_with_other_settings_share_the_weights_and_do_not_disturb_one_another(hosted: Path) -> None:
    picture = np.asarray(Image.effect_noise((64, 64), 60).convert("RGB"))
    ways = [SHORT | {"attention": "full"}, SHORT | {"attention": "prefix", "text_length": 4}]

    def stream(pipe):
        problem = pipe.own_problem(picture, "make it blue", "r1c1:r2c2")
        return pipe.stream([problem], pipe.sampling_config(num_steps=2, max_turns=1), [3])

    alone = [[traces[0] for traces in stream(public.load("tiny", way))][-1] for way in ways]
    pipes = [public.load("tiny", way) for way in ways]
    assert pipes[0].model.backbone.model is pipes[1].model.backbone.model
    both = list(zip_longest(*(stream(pipe) for pipe in pipes)))  # a step of one, a step of the other
    done = [[traces[i][0] for traces in both if traces[i]][-1] for i in range(2)]
    assert [[s.tokens for s in t.segments] for t in done] == [[s.tokens for s in t.segments] for t in alone]
    assert [t.settings["attention"] for t in done] == ["full", "prefix"]
