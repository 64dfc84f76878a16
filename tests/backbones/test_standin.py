"""Stand-ins: made from a seed, with true names, ids and offsets, and they denoise and are scored as real ones are."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open

from mmreason.backbones.adapter import Adapter
from mmreason.backbones.family import LAYOUTS, PublicModel, family_of, find, licence_of, load_public
from mmreason.backbones.standin import write_standin
from mmreason.errors import CheckpointError, ConfigError
from mmreason.layouts import FAMILIES
from mmreason.layouts.alphabet import Alphabet
from mmreason.layouts.layout import State
from mmreason.sampling.views.denoise import DenoiseConfig, denoise
from mmreason.sampling.views.scoring import log_likelihood, snapshots


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folders = {family: tmp_path_factory.mktemp("made") / f"tiny-{family}" for family in FAMILIES}
    for family, folder in folders.items():
        write_standin(family, folder, seed=1)
    return folders


@pytest.fixture(scope="module")
def models(made: dict[str, Path]) -> dict[str, PublicModel]:
    return {family: load_public(str(folder), dtype=torch.float32) for family, folder in made.items()}


@pytest.mark.parametrize("family", FAMILIES)
def test_it_loads_as_what_it_stands_for(family: str, models: dict[str, PublicModel]) -> None:
    model = models[family]
    assert model.family == model.layout.family == family and model.licence == "apache-2.0"
    assert model.backbone.native and model.backbone.shape.width == 64
    assert model.layout.first_code == (126_349 if family == "mmada" else 126_356)
    assert model.backbone.shape.vocab == (134_656 if family == "mmada" else 134_548)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("text", ["", "right 3 total 7 <edit> r2c2 r2c5", "a\nb  c", "Grüße, 世界 🙂"])
def test_its_tokenizer_gives_every_text_back(family: str, text: str, models: dict[str, PublicModel]) -> None:
    layout = models[family].layout
    ids = layout.write(text)
    assert layout.read(ids) == text
    assert all(layout.allowed("text")[id] for id in ids)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_thought_and_an_edit_are_sampled_scored_and_drawn(family: str, models: dict[str, PublicModel]) -> None:
    model = models[family]
    layout = model.layout
    before = np.random.default_rng(0).integers(0, 256, (128, 128, 3), dtype=np.uint8)
    codes = model.codec.encode(before)
    assert codes.shape == (8, 8)
    layout.text_length = 16
    cells = np.array([0, 1, 8, 9])
    generator = torch.Generator().manual_seed(0)
    for kind, modality, chosen in (("thought", "text", None), ("edit", "image", cells)):
        alphabet = Alphabet.of(layout.allowed(modality))
        view = layout.view(State("make it blue", codes), kind, chosen)
        config = DenoiseConfig(2, temperature=1.0)

        def uniform(_: int, width: int) -> torch.Tensor:
            return torch.rand(1, width, generator=generator)

        guidance = (1.5,) if view.twins else ()
        session = model.backbone.open([view], alphabet, guidance)
        frames = [step[0] for step in denoise(session, [view], alphabet, layout.mask, config, uniform)]
        tokens = frames[-1].tokens
        assert all(alphabet.allowed_W[token - alphabet.first] for token in tokens)
        found = log_likelihood(model.backbone, snapshots(view, layout.mask, frames), alphabet, 1.0, guidance)
        np.testing.assert_allclose(found.numpy(), [x for f in frames for x in f.logprobs], atol=1e-4)
    region = np.zeros((8, 8), dtype=bool)
    region.ravel()[cells] = True
    after_codes = codes.copy()
    after_codes[region] = np.array(tokens) - layout.first_code
    after = model.codec.decode(after_codes, before, region)
    assert np.array_equal(after[32:], before[32:]) and np.array_equal(after[:, 32:], before[:, 32:])


def test_the_same_seed_gives_the_same_bits_and_another_seed_others(made: dict[str, Path], tmp_path: Path) -> None:
    write_standin("dimoo", tmp_path / "again", seed=1)
    write_standin("dimoo", tmp_path / "other", seed=2)
    for path in sorted(path for path in made["dimoo"].rglob("*") if path.is_file()):
        name = path.relative_to(made["dimoo"])
        assert (tmp_path / "again" / name).read_bytes() == path.read_bytes(), name
        assert path.suffix != ".safetensors" or (tmp_path / "other" / name).read_bytes() != path.read_bytes()


def test_names_and_types_are_those_of_published_shards(made: dict[str, Path]) -> None:
    names = json.loads((made["mmada"] / "model.safetensors.index.json").read_text())["weight_map"]
    assert "model.transformer.blocks.0.ff_proj.weight" in names and len(set(names.values())) == 2
    with safe_open(made["mmada"] / names["model.transformer.wte.weight"], "pt") as file:
        assert file.get_slice("model.transformer.wte.weight").get_dtype() == "BF16"


def test_every_family_has_a_layout_and_a_stand_in(made: dict[str, Path]) -> None:
    assert tuple(LAYOUTS) == FAMILIES == tuple(made)


def test_nothing_is_written_over(made: dict[str, Path]) -> None:
    with pytest.raises(ConfigError, match="new or an empty folder"):
        write_standin("dimoo", made["dimoo"])


def test_the_family_is_read_off_the_configuration_and_the_name(tmp_path: Path) -> None:
    named = tmp_path / "MMaDA-Parallel-A"
    assert family_of(named, {"model_type": "llada"}) == "parallel"
    assert family_of(tmp_path / "x", {"model_type": "llada", "_name_or_path": "tyfeld/MMaDA-Parallel-A"}) == "parallel"
    assert family_of(tmp_path / "Lumina-DiMOO", {"model_type": "llada"}) == "dimoo"
    assert family_of(tmp_path / "x", {"model_type": "llada"}) == "dimoo"
    assert family_of(named, {"model_type": "mmada"}) == "mmada"
    with pytest.raises(CheckpointError, match="model_type must be llada"):
        family_of(named, {"model_type": "llama"})


def test_the_name_that_a_checkpoint_is_asked_for_by_counts_more_than_what_it_was_trained_from(
    made: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched = Path(shutil.copytree(made["parallel"], tmp_path / "9c1e4d0"))
    config = json.loads((fetched / "config.json").read_text())
    (fetched / "config.json").write_text(json.dumps(config | {"_name_or_path": "Alpha-VLLM/Lumina-DiMOO"}))
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda *_, **__: str(fetched))
    assert load_public("tyfeld/MMaDA-Parallel-A").family == "parallel"
    assert load_public(str(fetched)).family == "dimoo"
    (tmp_path / "my-parallel").symlink_to(fetched)
    assert load_public(str(tmp_path / "my-parallel")).family == "parallel"


def test_the_licence_is_the_cards_else_the_files_else_none(tmp_path: Path) -> None:
    assert licence_of(tmp_path) is None
    (tmp_path / "LICENSES").mkdir()
    (tmp_path / "LICENCE").mkdir()
    assert licence_of(tmp_path) is None, "a folder is no licence"
    (tmp_path / "LICENSE").write_text("\nMIT License\n\nCopyright")
    assert licence_of(tmp_path) == "MIT License"
    (tmp_path / "README.md").write_text("# no front matter\nlicense: wtfpl\n")
    assert licence_of(tmp_path) == "MIT License"
    (tmp_path / "README.md").write_text("---\ntags: [x]\nlicense: 'apache-2.0'\n---\n")
    assert licence_of(tmp_path) == "apache-2.0"


def test_a_name_is_looked_up_on_the_hub_and_only_json_and_safetensors_are_fetched(
    made: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {}

    def fetch(name: str, allow_patterns: list[str]) -> str:
        asked[name] = allow_patterns
        return str(made["dimoo"])

    monkeypatch.setattr("huggingface_hub.snapshot_download", fetch)
    assert find("Alpha-VLLM/Lumina-DiMOO") == made["dimoo"]
    assert all(not pattern.endswith((".py", ".bin", "*")) or "LICENSE" in pattern for pattern in asked.popitem()[1])
    for wrong in ("nowhere", "../x/y", str(made["dimoo"].parent / "absent"), "a/b/c"):
        with pytest.raises(CheckpointError, match="folder or owner/name"):
            find(wrong)

    def refuse(name: str, **_: object) -> str:
        raise OSError("no network\nat all")

    monkeypatch.setattr("huggingface_hub.snapshot_download", refuse)
    with pytest.raises(CheckpointError, match="cannot be fetched from the Hub: no network at all"):
        find("owner/name")


def test_an_adapter_learns_on_a_stand_in(models: dict[str, PublicModel], made: dict[str, Path]) -> None:
    model = load_public(str(made["dimoo"]))
    assert model.backbone.model.dtype == torch.bfloat16
    assert len(Adapter(model.backbone, 4).parameters) == 2 * 2 * 7
