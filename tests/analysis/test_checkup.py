"""``check`` and ``make``: what a checkpoint is is said truly, each thing that is wrong in a sentence."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from mmreason.__main__ import main
from mmreason.analysis import checkup
from mmreason.analysis.checkup import all_logits
from mmreason.backbones.adapter import Adapter
from mmreason.backbones.family import load_public
from mmreason.backbones.loading import load_llama
from mmreason.errors import CheckpointError
from mmreason.sampling.pipeline import InterleavedReasoningPipeline
from mmreason.sampling.views.pipeline import ViewsPipeline
from tests.helpers import golden

KEYS = {"family", "parameters", "grid", "attention", "native", "licence", "problems_found"}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made") / "tiny"
    assert main(["make", "tiny-dimoo", "--output", str(folder), "--seed", "3", "--json"]) == 0
    return folder


@pytest.fixture
def copy(tiny: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny, tmp_path / "copy"))


def said(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, dict, str]:
    """Exit code, JSON object and error of ``check``."""
    capsys.readouterr()
    code = main(["check", *map(str, arguments), "--json"])
    out, err = capsys.readouterr()
    return code, json.loads(out) if out else {}, err


def change_config(folder: Path, **changes: object) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | changes))


def test_a_public_checkpoint_is_described(tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, result, _ = said(capsys, tiny)
    assert code == 0 and set(result) >= KEYS
    assert (result["family"], result["attention"], result["native"]) == ("dimoo", "full", True)
    assert result["parameters"] == 2 * 134_548 * 64 + 2 * (4 * 64**2 + 3 * 64 * 96 + 2 * 64) + 64
    assert result["licence"] == "apache-2.0" and result["problems_found"] == [] and result["runs"] is True
    assert result["grid"] is None and result["pixels_per_code"] == 16 and result["local"] is False
    assert result["round_trip"]["sentence"] is True and result["forwarded"] is True
    assert main(["check", str(tiny)]) == 0
    assert "steps of 16 pixels" in capsys.readouterr().out


def test_our_own_checkpoint_is_described(tiny_checkpoint: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, result, _ = said(capsys, tiny_checkpoint)
    assert code == 0 and set(result) >= KEYS
    assert (result["family"], result["grid"], result["attention"]) == ("mmreason", [8, 8], "blocks")
    assert result["parameters"] > 1000 and result["round_trip"]["sentence"] is True


@pytest.mark.parametrize(
    ("file", "field", "values"),
    [
        ("scheduler/scheduler_config.json", "num_steps", [0, "x", "4", 4.5, 65]),
        ("scheduler/scheduler_config.json", "threshold", ["a", -1]),
        ("scheduler/scheduler_config.json", "commit_order", [["a"], None, "maskgit"]),
        ("transformer/config.json", "first_cell", [-5, 11, "a"]),
        ("transformer/config.json", "grid_size", ["8", 8.5, 0]),
        ("transformer/config.json", "num_hidden_layers", [100_000]),
        ("transformer/config.json", "rope_theta", ["x", 0]),
        ("transformer/config.json", "text_slots", [{"maze": "x"}, ["maze"]]),
    ],
)
def test_a_field_of_our_own_checkpoint_that_cannot_be_is_named(
    file: str, field: str, values: list, tiny_checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Path(shutil.copytree(tiny_checkpoint, tmp_path / "copy"))
    config = json.loads((folder / file).read_text())
    part = f"scheduler/scheduler_config.json: {field}" if "scheduler" in file else field
    for value in values:
        (folder / file).write_text(json.dumps(config | {field: value}))
        code, result, _ = said(capsys, folder)
        (problem,) = result["problems_found"]
        assert code == 2 and f": {part} " in problem and " must be " in problem, problem


def test_parts_that_do_not_go_together_are_said_in_a_sentence(
    tiny_checkpoint: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def unlike(*_: object) -> None:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    monkeypatch.setattr(InterleavedReasoningPipeline, "stream", unlike)
    code, result, _ = said(capsys, tiny_checkpoint)
    (problem,) = result["problems_found"]
    assert code == 2 and "is damaged: its first step fails with RuntimeError: mat1 and mat2" in problem


def test_an_adapter_is_described_with_its_base(tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Adapter(load_public(str(tiny)).backbone, rank=2, base=str(tiny)).save(tmp_path / "adapter")
    code, result, _ = said(capsys, tmp_path / "adapter")
    assert code == 0 and result["adapter"] == {"base": str(tiny), "rank": 2} and result["family"] == "dimoo"
    assert result["runs"] is True
    (tmp_path / "adapter" / "adapter_model.safetensors").write_bytes(b"half")
    code, result, _ = said(capsys, tmp_path / "adapter")
    assert code == 2 and result["runs"] is False and "cannot be loaded" in result["problems_found"][0]
    settings = tmp_path / "adapter" / "adapter_config.json"
    settings.write_text(
        json.dumps(json.loads(settings.read_text()) | {"base_model_name_or_path": str(settings.parent)})
    )
    code, _, err = said(capsys, tmp_path / "adapter")
    assert code == 2 and "must stand on a whole checkpoint, and stands on an adapter" in err


@pytest.mark.parametrize(
    ("views", "says"),
    [
        ('{"turn": "joint"}', "turn must be interleaved for checkpoints of the family dimoo, got joint"),
        ('{"text_length": "64"}', "text_length must be a whole number, got '64'"),
        ('{"pixels": 100}', "pixels must be a multiple of 32, of 128 for puzzles, got 100"),
        ("[1]", "views.json' must hold a JSON object"),
    ],
)
def test_an_adapter_whose_views_cannot_be_is_found(
    views: str, says: str, tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Adapter(load_public(str(tiny)).backbone, rank=2, base=str(tiny)).save(tmp_path)
    (tmp_path / "views.json").write_text(views)
    code, result, _ = said(capsys, tmp_path)
    (problem,) = result["problems_found"]
    assert code == 2 and says in problem
    assert main(["solve", "--checkpoint", str(tmp_path), "--task", "maze", "--out", str(tmp_path / "out.json")]) == 2
    assert says in capsys.readouterr().err


def test_an_adapter_is_of_the_family_that_it_was_trained_as(
    tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pipe = ViewsPipeline.from_pretrained(str(tiny), family="parallel")
    pipe.model.to_train(2, 0)
    pipe.save_pretrained(tmp_path)
    code, result, _ = said(capsys, tmp_path)
    assert code == 0 and (result["family"], result["family_from"]) == ("parallel", "views.json")
    again = ViewsPipeline.from_pretrained(str(tmp_path))
    assert (again.model.family, again.views) == ("parallel", pipe.views) and pipe.views.turn == "joint"
    stored = json.loads((tmp_path / "views.json").read_text())
    (tmp_path / "views.json").write_text(json.dumps(stored | {"family": "llava"}))
    code, result, _ = said(capsys, tmp_path)
    assert code == 2 and "must be one of dimoo, parallel, mmada, got 'llava'" in result["problems_found"][0]


def test_an_adapter_whose_weights_are_not_finite_is_found_and_not_loaded(
    tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Adapter(load_public(str(tiny)).backbone, rank=2, base=str(tiny)).save(tmp_path)
    weights = load_file(tmp_path / "adapter_model.safetensors")
    first = min(weights)
    save_file(weights | {first: weights[first] * np.nan}, tmp_path / "adapter_model.safetensors")
    code, result, _ = said(capsys, tmp_path)
    (problem,) = result["problems_found"]
    assert code == 2 and f"is damaged: {first} must hold finite numbers" in problem
    with pytest.raises(CheckpointError, match="is damaged"):
        load_public(str(tmp_path))


def test_the_probe_gives_the_references_logits(tmp_path: Path, tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = golden.numbers("backbone")
    backbone = load_llama(golden.write_reference(tmp_path / "reference"))
    for ids, right in zip(given["input_ids"], given["dimoo_logits"], strict=True):
        np.testing.assert_allclose(all_logits(backbone, ids.tolist()), right, atol=3e-5)
    (tmp_path / "ids.json").write_text(json.dumps([[1, 2, 126_336], [126_356, 5]]))
    out = tmp_path / "logits.npz"
    code, result, _ = said(capsys, tiny, "--probe", tmp_path / "ids.json", "--probe_out", out)
    assert code == 0 and result["probe_out"] == str(out)
    with np.load(out) as file:
        assert sorted(file) == ["logits_0", "logits_1"]
        assert file["logits_0"].shape == (3, 134_548) and file["logits_1"].shape == (2, 134_548)
        expected = all_logits(load_llama(tiny), [1, 2, 126_336])
        np.testing.assert_array_equal(file["logits_0"], expected)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("[]", "a list of lists"),
        ("[1, 2]", "a list of lists"),
        ("[[]]", "one at least"),
        ("[[134548]]", "0 to 134547, got 134548"),
        ("[[true]]", "whole numbers"),
        ("{", "not JSON"),
        (json.dumps([[1] * 1000] * 8), "at most 997 ids for 134,548 logits each, got 8,000"),
    ],
)
def test_a_probe_that_is_none_is_refused(
    content: str, says: str, tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "ids.json").write_text(content)
    code, _, err = said(capsys, tiny, "--probe", tmp_path / "ids.json", "--probe_out", tmp_path / "out.npz")
    assert code == 2 and says in err and not (tmp_path / "out.npz").exists()


def test_a_probes_output_is_a_file_of_its_own(
    tiny: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkup, "check", lambda *_: pytest.fail("it is forwarded"))
    ids = tmp_path / "ids.json"
    ids.write_text("[[1]]")
    code, _, err = said(capsys, tiny, "--probe", ids, "--probe_out", ids)
    assert code == 2 and "--probe_out must be another file than --probe" in err and ids.read_text() == "[[1]]"
    code, _, err = said(capsys, tiny, "--probe", ids, "--probe_out", tmp_path)
    assert code == 2 and "--probe_out must be the path of a file to write, got the directory" in err


def test_probe_and_its_output_are_given_together(tiny: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = said(capsys, tiny, "--probe", "x.json")
    assert code == 2 and "--probe_out" in err


def test_every_problem_is_a_sentence_and_exit_code_2(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change_config(copy, mask_token_id=126_335)
    shutil.rmtree(copy / "vqvae")
    code, result, err = said(capsys, copy)
    assert code == 2 and result["runs"] is False and err.count("\n") == 1
    assert any("mask_token_id must be 126336, got 126335" in found for found in result["problems_found"])
    assert any("lacks the folder vqvae" in found for found in result["problems_found"])


def test_tensors_are_checked_without_being_read(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    change_config(copy, n_layers=3)
    code, result, _ = said(capsys, copy)
    assert code == 2 and "lacks the tensor model.transformer.blocks.2" in result["problems_found"][0]
    change_config(copy, n_layers=1)
    assert "blocks.1" in said(capsys, copy)[1]["problems_found"][0]
    change_config(copy, n_layers=2, mlp_hidden_size="abc")
    code, _, err = said(capsys, copy)
    assert code == 2 and "config.json: mlp_hidden_size must be a whole number from 1 to 262144, got" in err


def test_weights_that_are_not_finite_are_found(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from safetensors.torch import load_file as load
    from safetensors.torch import save_file as save

    file = next(path for path in copy.glob("model-*") if "model.transformer.ln_f.weight" in load(path))
    weights = load(file)
    weights["model.transformer.ln_f.weight"][3] = float("nan")
    save(weights, file)
    code, result, _ = said(capsys, copy)
    assert code == 2 and "must be finite" in result["problems_found"][0]


def test_a_codec_with_more_codes_than_the_embedding_has_rows_is_a_problem(
    copy: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = json.loads((copy / "vqvae" / "config.json").read_text())
    (copy / "vqvae" / "config.json").write_text(json.dumps(config | {"num_vq_embeddings": 9000}))
    weights = copy / "vqvae" / "diffusion_pytorch_model.safetensors"
    tensors = load_file(weights)
    name = next(name for name, value in tensors.items() if value.shape == (8192, 8))
    save_file(tensors | {name: np.zeros((9000, 8), np.float32)}, weights)
    code, result, _ = said(capsys, copy)
    assert code == 2 and "must have at least 135356 rows" in result["problems_found"][0]


@pytest.mark.parametrize("name", ["nowhere", "."])
def test_what_is_no_checkpoint_is_said(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, result, err = said(capsys, name)
    assert code == 2 and result == {} and err.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["make"], "NAME"),
        (["make", "tiny-dimo"], "did you mean tiny-dimoo"),
        (["make", "tiny-dimoo"], "--output"),
        (["make", "tiny-mmada", "--output", ".", "--seed", "-1"], "--seed"),
        (["make", "tiny-mmada", "--output", "."], "new or an empty folder"),
        (["make", "tiny-mmada", "--output", "x", "--sed", "1"], "--sed"),
    ],
)
def test_make_says_what_would_be_right(arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        code = main(arguments)
    except SystemExit as ended:
        code = ended.code
    out, err = capsys.readouterr()
    assert code == 2 and out == "" and err.count("\n") == 1 and says in err
