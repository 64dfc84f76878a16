"""A checkpoint from the Hub: safetensors only, of limited size, none of its code is run.  The Hub is a folder here."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from mmreason.errors import CheckpointError
from mmreason.ui import health
from mmreason.ui.host import checkpoints, hub

NAME = "someone/checkpoint"


class FolderHub:
    """Lists and copies a local folder, as the Hub's client does."""

    def __init__(self, source: Path, cache: Path) -> None:
        self.source, self.cache, self.fetched = source, cache, 0

    def model_info(self, name, files_metadata):
        paths = [path for path in self.source.rglob("*") if path.is_file()]
        siblings = [
            SimpleNamespace(rfilename=path.relative_to(self.source).as_posix(), size=path.stat().st_size)
            for path in paths
        ]
        return SimpleNamespace(siblings=siblings, sha="0" * 40)

    def snapshot_download(self, name, revision, allow_patterns):
        self.fetched += 1
        for path in allow_patterns:
            target = self.cache / path
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(self.source / path, target, follow_symlinks=False)
        return str(self.cache)


@pytest.fixture
def remote(tiny_checkpoint, tmp_path) -> FolderHub:
    shutil.copytree(tiny_checkpoint, tmp_path / "remote")
    return FolderHub(tmp_path / "remote", tmp_path / "cache")


def fetch(remote: FolderHub, limit_mb: int = 10) -> Path:
    return hub.fetch(NAME, limit_mb, remote)


def change(path: Path, **fields) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def test_a_good_checkpoint_is_fetched_and_loads_as_what_it_was(remote, tiny_pipe, real_checkpoints, monkeypatch):
    monkeypatch.setattr(hub, "fetch", lambda name, limit_mb: _real(name, limit_mb, remote))
    monkeypatch.setenv("MMREASON_HUB_CHECKPOINTS", f" {NAME},")
    checkpoints._fetched.clear()
    assert NAME in checkpoints.checkpoint_names()
    assert checkpoints.load_pipeline(NAME).fingerprint == tiny_pipe.fingerprint
    checkpoints._fetched.clear()


def test_who_is_told_what_runs_here_fetches_nothing_and_loads_nothing_twice(
    remote, tiny_pipe, real_checkpoints, monkeypatch
):
    fetched, loaded, load = [], [], checkpoints.load_pipeline
    monkeypatch.setattr(hub, "fetch", lambda name, limit_mb: fetched.append(name) or _real(name, limit_mb, remote))
    monkeypatch.setattr(checkpoints, "load_pipeline", lambda name: loaded.append(name) or load(name))
    monkeypatch.setattr(checkpoints, "_refused", {})
    monkeypatch.setattr(checkpoints, "_fingerprints", {})
    monkeypatch.setattr(checkpoints, "_fetched", {})
    monkeypatch.setattr(checkpoints, "checkpoints_folder", lambda: remote.cache / "none")
    monkeypatch.setenv("MMREASON_HUB_CHECKPOINTS", ",".join([NAME, *(f"somebody/number-{i}" for i in range(20))]))
    assert f"checkpoint {NAME} {health.NOT_YET}" in health.build_words()
    assert (fetched, loaded) == ([], [])
    checkpoints.load_pipeline(NAME)
    for _ in range(3):
        assert f"checkpoint {NAME} {tiny_pipe.fingerprint}" in health.build_words()
    assert (fetched, loaded) == ([NAME], [NAME])


def test_a_link_fetches_the_checkpoint_that_it_names_and_no_other(
    remote, tiny_checkpoint, tiny_pipe, real_checkpoints, monkeypatch
):
    fetched = []
    monkeypatch.setattr(hub, "fetch", lambda name, limit_mb: fetched.append(name) or tiny_checkpoint)
    for kept in ("_refused", "_fingerprints", "_fetched"):
        monkeypatch.setattr(checkpoints, kept, {})
    monkeypatch.setattr(checkpoints, "checkpoints_folder", lambda: remote.cache / "none")
    monkeypatch.setenv("MMREASON_HUB_CHECKPOINTS", f"{NAME},somebody/other")
    right = tiny_pipe.fingerprint
    assert checkpoints.find_checkpoint("maze", "00") is checkpoints.find_checkpoint("maze", None) is None
    assert (checkpoints.find_checkpoint("maze", right), fetched) == (None, [])
    assert checkpoints.find_checkpoint(NAME, "00") is None and fetched == [NAME]
    assert checkpoints.find_checkpoint(NAME, right) == checkpoints.find_checkpoint("maze", right) == NAME
    assert checkpoints.find_checkpoint("somebody/other", None) == "somebody/other" and fetched == [NAME]


def test_a_hub_that_is_down_is_not_asked_again_for_a_minute(real_checkpoints, monkeypatch):
    asked, now = [], [100.0]

    def fetch(name, limit_mb):
        asked.append(name)
        raise CheckpointError("the Hub does not answer")

    monkeypatch.setattr(hub, "fetch", fetch)
    monkeypatch.setattr(checkpoints, "time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.setattr(checkpoints, "_refused", {})
    checkpoints._fetched.clear()
    monkeypatch.setenv("MMREASON_HUB_CHECKPOINTS", NAME)
    for seconds, times in ((0, 1), (59, 1), (2, 2)):
        now[0] += seconds
        with pytest.raises(CheckpointError, match="does not answer"):
            checkpoints.load_pipeline(NAME)
        assert checkpoints.tasks_of(NAME) == [] and len(asked) == times


_real = hub.fetch


def test_pictures_and_hidden_files_are_left_where_they_are(remote):
    (remote.source / "samples").mkdir()
    for name in ("samples/a.png", ".gitattributes", "picture.png", "transformer/notes.csv"):
        (remote.source / name).write_bytes(b"x")
    folder = fetch(remote)
    assert not [path for path in folder.rglob("*") if path.suffix in (".png", ".csv") or path.name.startswith(".")]


@pytest.mark.parametrize("name", ["modeling.py", "transformer/pytorch_model.bin", "transformer/x.pkl", "vqvae/a.pt"])
def test_what_could_run_code_is_refused_before_anything_is_fetched(remote, name):
    (remote.source / name).write_bytes(b"x")
    with pytest.raises(CheckpointError, match="could run code"):
        fetch(remote)
    assert remote.fetched == 0


def test_too_much_is_refused_before_anything_is_fetched(remote):
    with pytest.raises(CheckpointError, match="at most 0 MB"):
        fetch(remote, limit_mb=0)
    (remote.source / "tokenizer" / "big.json").write_bytes(b" " * (hub.MAX_JSON_BYTES + 1))
    with pytest.raises(CheckpointError, match="must be at most 8 MB"):
        fetch(remote)
    assert remote.fetched == 0


def test_without_safetensors_there_is_no_checkpoint(remote):
    for path in remote.source.rglob("*.safetensors"):
        path.unlink()
    with pytest.raises(CheckpointError, match="safetensors"):
        fetch(remote)


@pytest.mark.parametrize("path", ["../evil.json", "/etc/passwd", "transformer/../../evil.json"])
def test_a_path_out_of_the_checkpoint_is_refused(path):
    with pytest.raises(CheckpointError, match="outside"):
        hub.wanted([hub.RemoteFile(path, 1)], 10)


def test_a_link_out_of_the_checkpoint_is_refused(remote, tmp_path):
    (tmp_path / "secret.txt").write_text("secret")
    (remote.source / "secret.txt").symlink_to(tmp_path / "secret.txt")
    with pytest.raises(CheckpointError, match="link"):
        fetch(remote)


@pytest.mark.parametrize(
    ("file", "fields", "says"),
    [
        ("tokenizer/tokenizer_config.json", {"auto_map": {"AutoTokenizer": "evil.Evil"}}, "auto_map"),
        ("transformer/config.json", {"auto_map": {"AutoModel": "evil.Evil"}}, "auto_map"),
        ("model_index.json", {"transformer": ["evil", "InterleavedDiffusionModel"]}, "transformer must be"),
        ("model_index.json", {"vqvae": None}, "vqvae must be"),
        ("transformer/config.json", {"hidden_size": 10**9}, "hidden_size must be"),
    ],
)
def test_a_checkpoint_that_names_other_code_or_huge_sizes_is_refused(remote, file, fields, says):
    change(remote.source / file, **fields)
    with pytest.raises(CheckpointError, match=says):
        fetch(remote)


@pytest.mark.parametrize("name", ["", "base", "a/b/c", "../etc", "a/..", "a b/c", "https://x/y", "a/" + "b" * 200])
def test_only_owner_and_name_are_an_id(name):
    with pytest.raises(CheckpointError, match="owner/name"):
        hub.check_id(name)


def test_a_hub_that_does_not_answer_is_told_in_one_sentence(remote):
    def fails(name, files_metadata):
        raise OSError("no network\nand more")

    remote.model_info = fails
    with pytest.raises(CheckpointError, match="cannot be fetched"):
        fetch(remote)


def test_a_megabyte_of_a_checkpoint_is_a_million_bytes():
    files = [hub.RemoteFile("model_index.json", 1), hub.RemoteFile("transformer/model.safetensors", 9_999_999)]
    assert hub.wanted(files, 10) == [file.path for file in files]
    with pytest.raises(CheckpointError, match="at most 10 MB, got 11"):
        hub.wanted([*files, hub.RemoteFile("README.md", 1)], 10)
