"""A merged checkpoint says what base and adapter say, bears the base's names, and is whole or none."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from mmreason.__main__ import main
from mmreason.analysis.checkup import all_logits
from mmreason.backbones import merging
from mmreason.backbones.adapter import Adapter
from mmreason.backbones.family import find_base
from mmreason.backbones.llama import LlamaBackbone
from mmreason.backbones.loading import INDEX, load_llama, native_name, tensors
from mmreason.backbones.merging import merge, merged_weight
from mmreason.commands._options.checkpoint import load_policy
from mmreason.errors import CheckpointError, ConfigError, WriteError
from mmreason.sampling.views.pipeline import VIEWS_FILE, ViewsPipeline
from tests.helpers import golden, public

ROOT = Path(__file__).parents[2]
ADAPTED = ("q_proj", "k_proj", "v_proj", "attn_out", "ff_proj", "up_proj", "blocks.0.ff_out", "blocks.1.ff_out")
IDS = np.random.default_rng(0).integers(0, golden.VOCAB, 24).tolist()


def stir(adapter: Adapter, size: float = 0.2) -> None:
    """Give it weights that say something."""
    with torch.no_grad():
        for i, each in enumerate(adapter.parameters):
            each.normal_(0, size, generator=torch.Generator().manual_seed(i))


def write_adapter(
    base: Path, folder: Path, alpha: float | None = None, dtype: torch.dtype | None = None
) -> LlamaBackbone:
    """An adapter on ``base`` that changes what it says; returns the backbone with it."""
    backbone = load_llama(base, dtype=dtype)
    adapter = Adapter(backbone, rank=4, base=str(base), alpha=alpha)
    stir(adapter)
    adapter.save(folder)
    return backbone


def run_merge(folder: Path, output: Path, **more: object) -> dict:
    base = find_base(folder)
    assert base is not None
    return merge(folder, base, str(output), **more)  # pyright: ignore[reportArgumentType]


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return golden.write_reference(tmp_path / "base")


@pytest.fixture(scope="module", params=["dimoo", "parallel", "mmada"])
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """A family, and an adapter on its stand-in as training leaves it."""
    pipe = public.pipeline(request.param, attention="prefix")
    stir(pipe.model.to_train(2, 0))
    folder = tmp_path_factory.mktemp("trained") / "adapter"
    pipe.save_pretrained(folder)
    return request.param, folder


@pytest.mark.parametrize("alpha", [None, 3.0])
def test_in_32_bits_it_says_what_base_and_adapter_say(alpha: float | None, base: Path, tmp_path: Path) -> None:
    adapted = write_adapter(base, tmp_path / "adapter", alpha)
    assert run_merge(tmp_path / "adapter", tmp_path / "merged")["tensors"] == 7 * golden.LAYERS
    right, before = all_logits(adapted, IDS), all_logits(load_llama(base), IDS)
    found = all_logits(load_llama(tmp_path / "merged"), IDS)
    assert np.abs(right - before).max() > 1
    np.testing.assert_allclose(found, right, atol=5e-5)


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16, torch.float64])
def test_a_base_keeps_its_type_and_each_matrix_is_the_nearest_of_that_type(
    kind: torch.dtype, base: Path, tmp_path: Path
) -> None:
    for file in base.glob("*.safetensors"):
        stored = {name: value.to(kind) for name, value in load_file(file).items()}
        save_file(stored, file, metadata={"format": "pt", "said": "before"})
    adapted = write_adapter(base, tmp_path / "adapter", dtype=torch.float32)
    run_merge(tmp_path / "adapter", tmp_path / "merged")
    layers = dict(adapted.model.named_modules())
    for name, value in tensors(tmp_path / "merged"):
        assert value.dtype == kind
        layer = layers[(native_name(name) or "").removesuffix(".weight")]
        if hasattr(layer, "get_delta_weight"):
            whole = layer.base_layer.weight + layer.get_delta_weight("default")  # pyright: ignore
            torch.testing.assert_close(value, whole.to(kind), rtol=1e-6 if kind == torch.float64 else 0, atol=1e-6)
    right, before = all_logits(adapted, IDS), all_logits(load_llama(base, dtype=torch.float32), IDS)
    found = all_logits(load_llama(tmp_path / "merged", dtype=torch.float32), IDS)
    assert np.abs(found - right).mean() < 0.03 * np.abs(before - right).mean()
    with safe_open(next((tmp_path / "merged").glob("model-*")), framework="pt") as opened:
        assert opened.metadata() == {"format": "pt", "said": "before"}


def test_what_is_added_is_rounded_once() -> None:
    """A sum in bfloat16 would lose it: each of these products is below half a step of 1."""
    ones = torch.ones(1, 1, dtype=torch.bfloat16)
    down, up = torch.full((8, 1), 1e-3), torch.ones(1, 8)
    assert float(merged_weight(ones, down, up, 1.0)) == float(torch.tensor(1.008).to(torch.bfloat16)) > 1
    assert float(merged_weight(ones.double(), down, up, 2.0)) == pytest.approx(1.016)


def test_names_places_and_all_that_no_adapter_changes_are_the_bases(trained: tuple[str, Path], tmp_path: Path) -> None:
    family, folder = trained
    whole, merged = public.folder(family), tmp_path / f"merged-{family}"
    found = run_merge(folder, merged, beside=(VIEWS_FILE,))
    assert (found["family"], found["rank"], found["tensors"], found["left_out"]) == (family, 2, 14, [])
    files = {path.relative_to(whole).as_posix() for path in whole.rglob("*") if path.is_file()}
    there = {path.relative_to(merged).as_posix() for path in merged.rglob("*") if path.is_file()}
    assert there == files | {VIEWS_FILE} == set(found["written"])
    assert found["bytes"] == sum((merged / each).stat().st_size for each in there)
    assert not any(path.is_symlink() for path in merged.rglob("*"))
    changed = 0
    for file in sorted(files):
        if not file.startswith("model-"):
            assert (merged / file).read_bytes() == (whole / file).read_bytes(), file
            continue
        old, new = load_file(whole / file), load_file(merged / file)
        assert {name: (each.shape, each.dtype) for name, each in old.items()} == {
            name: (each.shape, each.dtype) for name, each in new.items()
        }
        for name in old:
            adapted = any(part in name for part in ADAPTED)
            assert torch.equal(old[name], new[name]) is not adapted, name
            changed += adapted
    assert changed == 14


def test_check_passes_and_the_policy_sees_and_says_what_the_adapters_did(
    trained: tuple[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    family, folder = trained
    merged = tmp_path / "mine"  # a name that says no family
    words = ["merge", "--checkpoint", str(folder), "--output", str(merged), "--json"]
    assert main(words) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["family"] == family and "2 of 2" in err
    assert main(["check", str(merged), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["family"], found["runs"], found["forwarded"]) == (family, True, True)
    one, two = (ViewsPipeline.from_pretrained(str(each)) for each in (folder, merged))
    assert (two.model.family, two.views, two.model.adapter) == (family, one.views, None)
    assert two.fingerprint != one.fingerprint
    for each in (one, two):
        each.model.backbone.attention = "full"  # of which every place is a slot
    ids = [5, 9, two.mask, two.first_code + 3]
    right, before = (all_logits(each.model.backbone, ids) for each in (one, public.pipeline(family)))
    found = all_logits(two.model.backbone, ids)
    assert np.abs(found - right).mean() < 0.05 * np.abs(before - right).mean()
    (merged / VIEWS_FILE).unlink()
    assert main(["check", str(merged), "--json"]) == 0  # its config says the family too
    assert json.loads(capsys.readouterr().out)["family"] == family


def test_a_merged_checkpoint_solves_and_takes_another_adapter(tmp_path: Path, capsys) -> None:
    pipe = public.pipeline()
    stir(pipe.model.to_train(2, 0))
    pipe.save_pretrained(tmp_path / "adapter")
    merged = tmp_path / "merged"
    assert main(["merge", "--checkpoint", str(tmp_path / "adapter"), "--output", str(merged)]) == 0
    said = capsys.readouterr().out
    assert "merged: 14 matrices, an adapter of rank 2" in said and "left out" not in said
    asked = ["--task", "maze", "--difficulty", "easy", "--max_turns", "1", "--num_steps", "1"]
    assert main(["solve", "--checkpoint", str(merged), *asked, "--out", str(tmp_path / "trace.json"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["segments"]
    again = ViewsPipeline.from_pretrained(str(merged))
    again.model.to_train(2, 1)
    again.save_pretrained(tmp_path / "second")
    assert run_merge(tmp_path / "second", tmp_path / "twice")["tensors"] == 14


def test_one_file_without_an_index_stays_one(base: Path, tmp_path: Path) -> None:
    whole = dict(tensors(base))
    for file in base.glob("model*"):
        file.unlink()
    save_file(whole, base / "model.safetensors")
    adapted = write_adapter(base, tmp_path / "adapter")
    assert run_merge(tmp_path / "adapter", tmp_path / "merged")["written"] == ["config.json", "model.safetensors"]
    np.testing.assert_allclose(all_logits(load_llama(tmp_path / "merged"), IDS), all_logits(adapted, IDS), atol=5e-5)


def test_other_weights_are_left_out_links_are_followed_and_code_is_copied_only(base: Path, tmp_path: Path) -> None:
    write_adapter(base, tmp_path / "adapter")
    for name in ("model.safetensors", "pytorch_model.bin", "pytorch_model.bin.index.json", ".cache", "optimizer.pt"):
        (base / name).write_bytes(b"stale")  # the first would be loaded in place of the files of the index
    (base / "modeling.py").write_text("raise SystemExit('executed')")
    (tmp_path / "blob").write_text("a tokenizer")
    (base / "tokenizer.json").symlink_to(tmp_path / "blob")
    (tmp_path / "codec").mkdir()
    (tmp_path / "codec" / "weights.safetensors").write_bytes(b"of the codec")
    (base / "vqvae").symlink_to(tmp_path / "codec")
    (tmp_path / "codec" / "gone").symlink_to(tmp_path / "nowhere")
    found = run_merge(tmp_path / "adapter", tmp_path / "merged")
    assert found["left_out"] == [
        *(".cache", "model.safetensors", "optimizer.pt", "pytorch_model.bin", "pytorch_model.bin.index.json"),
        "vqvae/gone",
    ]
    for name in ("modeling.py", "tokenizer.json", "vqvae/weights.safetensors", INDEX):
        copy = tmp_path / "merged" / name
        assert copy.read_bytes() == (base / name).read_bytes() and not copy.is_symlink()
    assert not (tmp_path / "merged" / "vqvae").is_symlink()


# What is refused


def refused(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    capsys.readouterr()
    assert main(["merge", *map(str, words)]) == 2
    _, err = capsys.readouterr()
    assert err.count("\n") == 1
    return err


def test_what_will_not_do_is_refused_in_a_sentence(base: Path, tmp_path: Path, capsys) -> None:
    adapter, merged = tmp_path / "adapter", tmp_path / "merged"
    write_adapter(base, adapter)
    assert main(["merge", "--checkpoint", str(adapter), "--output", str(merged)]) == 0
    before = {path: path.read_bytes() for path in merged.iterdir()}
    assert "--output must be a new or an empty folder" in refused(capsys, "--checkpoint", adapter, "--output", merged)
    assert {path: path.read_bytes() for path in merged.iterdir()} == before
    new = tmp_path / "new"
    for name in (base, tmp_path / "nowhere"):
        said = refused(capsys, "--checkpoint", name, "--output", new)
        assert "--checkpoint must be a folder with an adapter (adapter_config.json" in said and str(name) in said
    inside = base / "merged"
    assert "--output must lie outside the base's folder" in refused(
        capsys, "--checkpoint", adapter, "--output", inside
    )
    said = refused(capsys, "--checkpoint", adapter, "--output", tmp_path / "parallel")
    assert "--output must not say another family than the adapter's, dimoo" in said
    assert not new.exists() and not inside.exists()


def test_a_broken_adapter_is_refused_and_nothing_is_written(base: Path, tmp_path: Path, capsys) -> None:
    adapter, new = tmp_path / "adapter", tmp_path / "new"
    write_adapter(base, adapter)
    file = adapter / "adapter_model.safetensors"
    weights = load_file(file)
    first = min(weights)
    breaks = {
        "is damaged": weights | {first: weights[first] * torch.nan},
        "is of another network": weights | {first: weights[first][:2].contiguous()},
        "is missing": {name: each for name, each in weights.items() if name != first},
        "tensor model.transformer.blocks.0.": {name: each * 1e25 for name, each in weights.items()},
    }
    for says, broken in breaks.items():
        save_file(broken, file)
        assert says in refused(capsys, "--checkpoint", adapter, "--output", new)
        assert not new.exists()
    file.write_bytes(b"half")
    assert "cannot be loaded" in refused(capsys, "--checkpoint", adapter, "--output", new)
    (adapter / "adapter_config.json").write_text("{}")
    assert "does not name its base" in refused(capsys, "--checkpoint", adapter, "--output", new)
    assert not new.exists()


def test_a_base_that_is_not_safetensors_is_refused(base: Path, tmp_path: Path, capsys) -> None:
    write_adapter(base, tmp_path / "adapter")
    for file in base.glob("model*"):
        file.unlink()
    (base / "pytorch_model.bin").write_bytes(b"")
    said = refused(capsys, "--checkpoint", tmp_path / "adapter", "--output", tmp_path / "new")
    assert "pytorch_model.bin is not read, for safety: save it as safetensors" in said


def test_a_disk_without_room_is_refused_before_anything_is_written(base: Path, tmp_path: Path, monkeypatch) -> None:
    write_adapter(base, tmp_path / "adapter")
    monkeypatch.setattr(merging, "free_bytes", lambda _: 1000)
    with pytest.raises(ConfigError, match=r"--output must be on a disk with 0\.00 GB free"):
        run_merge(tmp_path / "adapter", tmp_path / "a" / "new")
    assert not (tmp_path / "a").exists()


# Whole or none


def test_a_merge_that_fails_leaves_nothing_and_touches_nothing_else(base: Path, tmp_path: Path, monkeypatch) -> None:
    write_adapter(base, tmp_path / "adapter")
    (tmp_path / "kept").mkdir()
    for error, kind in ((KeyboardInterrupt(), KeyboardInterrupt), (OSError(28, "No space left"), WriteError)):

        def stop(done: int, total: int, name: str, error: BaseException = error) -> None:
            raise error

        for output in (tmp_path / "a" / "new", tmp_path / "kept"):
            with pytest.raises(kind):
                run_merge(tmp_path / "adapter", output, on_file=stop)
        assert not (tmp_path / "a").exists() and os.listdir(tmp_path / "kept") == []


def test_a_killed_merge_leaves_no_checkpoint(base: Path, tmp_path: Path, capsys) -> None:
    write_adapter(base, tmp_path / "adapter")
    code = (
        "import os, signal, sys\nfrom pathlib import Path\n"
        "from mmreason.backbones.family import find_base\nfrom mmreason.backbones.merging import merge\n"
        "kill = lambda done, total, name: done == int(sys.argv[3]) and os.kill(os.getpid(), signal.SIGKILL)\n"
        "folder = Path(sys.argv[1])\nmerge(folder, find_base(folder), sys.argv[2], on_file=kill)\n"
    )
    for done in (1, 2):
        half = tmp_path / f"half-{done}"
        line = [sys.executable, "-c", code, str(tmp_path / "adapter"), str(half), str(done)]
        killed = subprocess.run(line, cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": "1"}, timeout=120)
        assert killed.returncode == -signal.SIGKILL
        assert len(list(half.glob("model-*"))) == done and not (half / "config.json").exists()
        with pytest.raises(CheckpointError):
            load_policy(str(half))
        assert main(["check", str(half)]) == 2
        assert "is no checkpoint" in capsys.readouterr().err
        assert "new or an empty folder" in refused(capsys, "--checkpoint", tmp_path / "adapter", "--output", half)


# A base that has moved


def test_a_base_that_moved_is_named_by_the_adapters_file_and_given_elsewhere(
    base: Path, tmp_path: Path, capsys
) -> None:
    adapter, new = tmp_path / "adapter", tmp_path / "new"
    write_adapter(base, adapter)
    moved = base.rename(tmp_path / "moved")
    file = str(adapter / "adapter_config.json")
    for words in (["merge", "--output", str(new), "--checkpoint"], ["check"], ["evaluate", "--checkpoint"]):
        assert main([*words, str(adapter)]) == 2
        said = capsys.readouterr().err
        assert f"base_model_name_or_path in {file!r} must be a folder that is here or owner/name" in said
        assert f"got {str(base)!r}; write there where the base is now, or give it" in said
    assert main(["merge", "--checkpoint", str(adapter), "--output", str(new), "--base", str(moved)]) == 0
    assert load_llama(new).shape == load_llama(moved).shape
    for wrong, says in ((tmp_path / "no", "--base must be a folder"), (adapter, "--base must be a whole checkpoint")):
        assert says in refused(capsys, "--checkpoint", adapter, "--output", tmp_path / "b", "--base", wrong)
    assert "--base must be a folder" in refused(
        capsys, "--checkpoint", adapter, "--output", tmp_path / "b", "--base", ""
    )
    assert main(["check", str(moved), "--base", str(moved)]) == 2
    assert "--base is for adapters" in capsys.readouterr().err


def test_a_relative_base_is_found_from_the_adapters_folder(tmp_path: Path, monkeypatch, capsys) -> None:
    pipe = public.pipeline()
    pipe.model.to_train(2, 0)
    adapter = tmp_path / "pair" / "adapter"
    pipe.save_pretrained(adapter)
    shutil.copytree(public.folder(), tmp_path / "pair" / "tiny-dimoo")
    settings = adapter / "adapter_config.json"
    settings.write_text(json.dumps(json.loads(settings.read_text()) | {"base_model_name_or_path": "../tiny-dimoo"}))
    moved = (tmp_path / "pair").rename(tmp_path / "elsewhere") / "adapter"
    monkeypatch.chdir("/")
    base = ViewsPipeline.from_pretrained(str(moved)).model.name
    assert base == os.path.realpath(tmp_path / "elsewhere" / "tiny-dimoo")
    assert main(["check", str(moved), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["adapter"] == {"base": base, "rank": 2}
    shutil.rmtree(base)
    assert main(["check", str(moved)]) == 2
    assert "got '../tiny-dimoo'" in capsys.readouterr().err


def test_an_adapter_on_a_base_that_moved_solves_as_before_and_trains_on(tmp_path: Path, capsys) -> None:
    here, there, adapter = tmp_path / "here", tmp_path / "there", tmp_path / "adapter"
    shutil.copytree(public.folder(), here)
    pipe = ViewsPipeline.from_pretrained(str(here))
    stir(pipe.model.to_train(2, 0))
    pipe.save_pretrained(adapter)

    def solved(*more: str) -> list:
        asked = ["--task", "maze", "--difficulty", "easy", "--max_turns", "1", "--num_steps", "1", "--json"]
        assert main(["solve", "--checkpoint", str(adapter), *asked, "--out", str(tmp_path / "trace"), *more]) == 0
        return json.loads(capsys.readouterr().out)["segments"]

    before = solved()
    here.rename(there)
    assert solved("--base", str(there)) == before
    run = ["--output", str(tmp_path / "run"), "--steps", "1", "--num_problems", "1", "--num_generations", "2"]
    small = ["--tasks", "maze", "--difficulty", "easy", "--max_turns", "1", "--num_steps", "1", "--eval_problems", "1"]
    assert main(["train", "--checkpoint", str(adapter), "--base", str(there), *run, *small]) == 0
    trained = json.loads((tmp_path / "run" / "checkpoint" / "adapter_config.json").read_text())
    assert trained["base_model_name_or_path"] == str(there)


@pytest.mark.parametrize("command", ["solve", "evaluate", "train", "pretrain"])
def test_a_base_of_what_is_no_adapter_is_refused(command: str, tmp_path: Path, capsys) -> None:
    asked = ["--task", "maze", "--out"] if command == "solve" else ["--output"] if command != "evaluate" else []
    asked += [str(tmp_path / "out")] * bool(asked)
    for checkpoint in (ROOT / "checkpoints" / "base", public.folder()):
        assert main([command, "--checkpoint", str(checkpoint), *asked, "--base", str(tmp_path)]) == 2
        assert "--base is for adapters" in capsys.readouterr().err
