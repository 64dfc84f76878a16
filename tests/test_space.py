"""The folder as a Space: front matter, requirements, sizes of files, and that ZeroGPU's package comes first."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from huggingface_hub import ModelCard
from PIL import Image

from mmreason.analysis.comparison.protocol import ARMS
from mmreason.sampling.pipeline import InterleavedReasoningPipeline

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
MAX_FILE_BYTES = 10 * 1024 * 1024
CHECKPOINTS = sorted(path.parent.name for path in (ROOT / "checkpoints").glob("*/model_index.json"))


def front_matter() -> dict[str, str]:
    _, block, _ = README.split("---\n", 2)
    return dict(re.findall(r"^(\w+): *(.*)$", block, flags=re.MULTILINE))


def committed() -> list[Path]:
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True)
    return [ROOT / name for name in done.stdout.decode().split("\0") if name and (ROOT / name).is_file()]


def test_the_front_matter_has_all_that_a_space_needs():
    found = front_matter()
    assert README.startswith("---\n")
    assert {"title", "emoji", "colorFrom", "colorTo", "sdk", "sdk_version", "app_file", "license"} <= set(found)
    assert found["sdk"] == "gradio"
    assert found["app_file"] == "app.py"
    assert found["suggested_hardware"] == "cpu-basic"
    assert len(found["short_description"]) <= 100
    assert found["python_version"].strip('"') == "3.11"
    for colour in (found["colorFrom"], found["colorTo"]):
        assert colour in {"red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray"}


def test_the_versions_named_agree():
    pinned = dict(re.findall(r"^([\w-]+)==(\S+)$", (ROOT / "requirements.txt").read_text(), flags=re.MULTILINE))
    assert front_matter()["sdk_version"] == pinned["gradio"] == version("gradio")


def test_no_file_is_larger_than_a_space_takes_without_lfs():
    assert {path.name for path in committed() if path.stat().st_size > MAX_FILE_BYTES} == set()


def test_the_thumbnail_is_a_url_of_the_space_and_the_file_a_small_picture():
    found = re.fullmatch(r"https://huggingface.co/spaces/\w+/mmreason/resolve/main/(\S+)", front_matter()["thumbnail"])
    assert found is not None
    path = ROOT / found[1]
    assert path in committed() and path.stat().st_size < 300_000
    with Image.open(path) as image:
        assert image.format == "PNG" and 1.5 < image.width / image.height < 2.1


def test_the_command_that_deploys_has_only_options_that_there_are():
    page = (ROOT / "mmreason" / "ui" / "README.md").read_text()
    (command,) = re.findall(r"hf (upload .*)$", page, flags=re.MULTILINE)
    offered = subprocess.run(["hf", "upload", "--help"], capture_output=True, text=True, check=True).stdout
    options = re.findall(r"--[a-z-]+", command)
    assert options and all(option in offered for option in options)


def test_what_a_space_needs_besides_is_there_and_nothing_pulls_cuda_or_another_gradio():
    pinned = dict(re.findall(r"^([\w-]+)==(\S+)$", (ROOT / "requirements.txt").read_text(), flags=re.MULTILINE))
    assert {"torch", "transformers", "diffusers", "safetensors", "plotly", "pillow"} <= set(pinned)
    assert not {"torchvision", "torchaudio", "spaces"} & set(pinned)
    assert not (ROOT / "packages.txt").exists() or (ROOT / "packages.txt").read_text().strip()


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_every_checkpoint_has_a_card_that_the_hub_can_read(name):
    card = ModelCard.load(ROOT / "checkpoints" / name / "README.md")
    assert card.data.license == "apache-2.0"
    assert card.data.tags and card.text.strip()


def test_no_checkpoint_names_a_folder_of_the_machine_that_made_it():
    named = [path for path in (ROOT / "checkpoints").rglob("*.json") if re.search(r'"(/|[A-Z]:\\)', path.read_text())]
    assert named == []


@pytest.mark.parametrize("arm", ARMS)
def test_a_shipped_checkpoint_is_the_run_that_its_card_names(arm):
    history = (ROOT / "checkpoints" / arm / "TRAINING.md").read_text()
    ((setup, run),) = re.findall(r"reproduce --setup ([\w-]+) --only (\S+)`", " ".join(history.split()))
    found = json.loads((ROOT / "assets" / "results" / "setups" / setup / f"{run}.json").read_text())
    start = InterleavedReasoningPipeline.from_pretrained(ROOT / found["protocol"]["checkpoint"])
    assert (found["arm"], found["base_fingerprint"]) == (arm, start.fingerprint)
    weights = re.findall(r"weights here \((\w+)\)", history) or [found["fingerprint"]]
    assert weights == [InterleavedReasoningPipeline.from_pretrained(ROOT / "checkpoints" / arm).fingerprint]


@pytest.mark.slow
def test_spaces_is_imported_before_torch_and_used_where_it_is_there(tmp_path):
    (tmp_path / "spaces.py").write_text(
        "import sys\nassert 'torch' not in sys.modules, 'torch came first'\nasked = []\n"
        "def GPU(duration):\n    asked.append(duration)\n    return lambda work: work\n"
    )
    script = (
        "import runpy, sys\nrunpy.run_path('app.py', run_name='not main')\nimport spaces\n"
        "from mmreason.ui.host import gpu\n"
        "from mmreason.ui.inspect import leak, sources\nfrom mmreason.ui.runs import slices\n"
        "assert gpu.is_lent()\n"
        "measured, rolled_out, trained = spaces.asked\n"
        "seconds = measured('base', 'maze', 'easy'), rolled_out(None, 16), trained('id', 60.0)\n"
        "assert seconds == (22, 26, 70), seconds\n"
    )
    environment = os.environ | {"PYTHONPATH": f"{tmp_path}:{ROOT}", "SPACES_ZERO_GPU": "1"}
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-1500:]


def test_without_spaces_nothing_changes():
    from mmreason.ui.host import gpu

    def work():
        return 1

    assert gpu.spaces is None
    assert gpu.on_gpu(lambda: 1)(work) is work
    assert gpu.lent("pipe") == "pipe"
    assert [gpu.duration(seconds) for seconds in (0, 1.2, 1000)] == [11, 12, gpu.MAX_SECONDS]


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("MMREASON_MAX_BATCH", "many", "error: MMREASON_MAX_BATCH must be a whole number from 1 to 256, got 'many'\n"),
        ("GRADIO_SERVER_PORT", "abc", "error: GRADIO_SERVER_PORT must be a whole number from 1 to 65535, got 'abc'\n"),
    ],
)
def test_a_wrong_setting_ends_the_start_with_one_line(name, value, says):
    environment = os.environ | {name: value}
    done = subprocess.run([sys.executable, "app.py"], cwd=ROOT, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (2, says)
