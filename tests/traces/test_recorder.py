"""Rollouts recorded from a training script, which can be read while the file grows."""

from __future__ import annotations

import math
from collections import deque
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image
from transformers.trainer_callback import CallbackHandler, TrainerControl, TrainerState

from mmreason import disk
from mmreason.analysis.rollouts.push import pushes
from mmreason.analysis.rollouts.reading import reading
from mmreason.errors import TraceError, WriteError
from mmreason.traces import recorder as recorder_module
from mmreason.traces.opening import open_rollouts
from mmreason.traces.recorder import Recorder
from mmreason.traces.trl_callback import rollout_callback

RED = Image.new("RGB", (64, 48), "red")


def test_three_lines_record_what_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "run" / "rollouts.jsonl"
    with Recorder(path) as record:
        for i in range(4):
            rollout = record.rollout(["Draw it.", RED], id=f"r{i}", rewards={"all": np.float32(i)}, success=i > 2)
            rollout.text("I see.", reward=i).image(RED, region=(1, 2, 10, 20), reward={"clean": 0.5, "path": None})
            rollout.image(RED, region=np.eye(48, 64, dtype=bool)).answer("Done.", reward=math.nan, logprobs=[-0.5])
    found = open_rollouts(path).rollouts
    counts = {"prompts": 1, "rollouts": 4, "text_segments": 8, "image_segments": 8}
    assert {key: reading(found)[key] for key in counts} == counts
    text, image, masked, answer = found.rollouts[3].parts
    assert (text.reward, image.reward, masked.reward, answer.reward) == (3.0, 0.5, None, None)
    assert image.region is not None and image.region.boxes == ((1, 2, 10, 20),)
    assert masked.region is not None and masked.region.mask is not None and masked.region.mask.size == "64×48"
    assert (answer.kind, answer.turn, answer.logprobs) == ("answer", 2, (-0.5,))
    assert found.rollouts[3].success is True and found.rollouts[3].rewards == {"all": 3.0}


def test_the_file_can_be_read_while_it_grows_and_is_continued(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    for start in (0, 3):
        with Recorder(path) as record:
            for i in range(start, start + 3):
                record.rollout("q").text(str(i))
                if i:
                    assert len(open_rollouts(path).rollouts.rollouts) == i
    found = open_rollouts(path).rollouts
    assert [r.parts[0].text for r in found.rollouts] == list("012345") and len(found.prompts) == 1


def texts(path: Path) -> list[str | None]:
    return [rollout.parts[0].text for rollout in open_rollouts(path).rollouts.rollouts]


def record(path: Path, said: str) -> None:
    with Recorder(path) as recorder:
        for text in said:
            recorder.rollout("q").text(text)


@pytest.mark.parametrize("block", [16, 2**20])
def test_a_torn_line_is_cut_off_before_the_file_is_continued(block: int, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(disk, "_BLOCK", block)
    path = tmp_path / "r.jsonl"
    record(path, "abc")
    whole = path.read_bytes()
    last = whole[:-1].rindex(b"\n") + 1
    for end, left in ((-30, "ab"), (last + 1, "ab"), (30, ""), (-1, "abc"), (len(whole), "abc"), (0, "")):
        path.write_bytes(whole[:end])
        record(path, "de")
        assert texts(path) == list(f"{left}de"), end


def test_what_is_no_torn_line_stays_in_a_file_that_is_continued(tmp_path: Path) -> None:
    path = tmp_path / "notes"
    path.write_bytes(b'{\n "a": 1\n}')
    record(path, "a")
    assert path.read_bytes().startswith(b'{\n "a": 1\n}\n{"version"')


def test_a_line_that_a_full_disk_tore_is_cut_off_before_the_next(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "r.jsonl"
    append, full = recorder_module.append_line, {"b"}

    def appended(path: Path, line: str) -> None:
        if any(f'"text":"{text}"' in line for text in full):
            with path.open("a") as file:
                file.write(line[:40])
            raise WriteError("cannot write: No space left on device")
        append(path, line)

    monkeypatch.setattr(recorder_module, "append_line", appended)
    recorder = Recorder(path)
    for text in "abc":
        recorder.rollout("q").text(text)
        try:
            recorder.flush()
        except WriteError:
            assert text == "b"
    assert texts(path) == ["a", "c"]


def test_what_no_trace_may_hold_is_refused_before_it_is_written(tmp_path: Path) -> None:
    for wrong in (np.zeros((4, 4)), "x.png", 7):
        with pytest.raises(TraceError, match="a picture must be"), Recorder(tmp_path / "r.jsonl") as record:
            record.rollout("q").image(wrong)  # pyright: ignore[reportArgumentType]
    record = Recorder(tmp_path / "r.jsonl")
    for wrong, says in (
        ({"rewards": {"a": "1"}}, "rewards"),
        ({"step": 1.5}, "'step' must be a whole number, got 1.5"),
    ):
        with pytest.raises(TraceError, match=says):
            record.rollout("q", **wrong)
        with pytest.raises(TraceError, match=says):
            Recorder(tmp_path / "other.jsonl").rollout("q").whole(**wrong)
    rollout = record.rollout("q", step=7)
    with pytest.raises(TraceError, match="reward"):
        rollout.text("x", reward=1e300)
    rollout.text("good")
    record.flush()
    (found,) = open_rollouts(tmp_path / "r.jsonl").rollouts.rollouts
    assert [part.text for part in found.parts] == ["good"]


def test_true_and_false_are_recorded_as_one_and_zero(tmp_path: Path) -> None:
    with Recorder(tmp_path / "r.jsonl") as record:
        rollout = (
            record.rollout("q", rewards={"a": True}).text("x", reward=False).image(RED, reward={"b": np.bool_(1)})
        )
        rollout.whole(rewards={"a": False, "c": True})
    (found,) = open_rollouts(tmp_path / "r.jsonl").rollouts.rollouts
    assert found.rewards == {"a": 0.0, "c": 1.0} and [part.reward for part in found.parts] == [0.0, 1.0]


def test_a_region_that_reaches_beyond_its_picture_is_refused(tmp_path: Path) -> None:
    turned = RED.copy()
    turned.getexif()[0x0112] = 6  # stands on its side
    with Recorder(tmp_path / "r.jsonl") as record:
        for picture, box in ((RED, (1, 1, 48, 64)), (np.zeros((48, 64), bool), (1, 1, 48, 64))):
            rollout = record.rollout("q").image(picture, region=box)
            rollout.image(picture, region=(1, 1, 99, 99), unit="cells", grid=[99, 99])
            for wrong in ((1, 1, 49, 64), (1, 1, 48, 65), [(1, 1, 2, 2), (1, 1, 480, 320)]):
                with pytest.raises(TraceError, match=r"inside the picture, up to \[1, 1, 48, 64\], got \[1, 1, 4"):
                    rollout.image(picture, region=wrong)
        record.rollout("q").image(turned, region=(1, 1, 64, 48))
    assert open_rollouts(tmp_path / "r.jsonl").rollouts.notes == ()


def test_a_trl_trainer_records_each_batch_once(tmp_path: Path) -> None:
    logs = {"prompt": deque(maxlen=4), "completion": deque(maxlen=4), "images": deque(maxlen=4)}
    rewards = {"answer": deque(maxlen=4), "drawing": deque(maxlen=4)}
    trainer = SimpleNamespace(_logs={**logs, "rewards": rewards})
    path = tmp_path / "r.jsonl"
    callback = rollout_callback(trainer, path, {"text": ["answer"], "image": ["drawing"]})
    for step in (1, 2, 3):
        if step != 2:  # the second step trains on the first one's rollouts again
            for i in range(4):
                logs["prompt"].append("q")
                logs["completion"].append(f"step {step} rollout {i}")
                logs["images"].append([RED])
                rewards["answer"].append(float(i % 2))
                rewards["drawing"].append(math.nan if i == 3 else float(i > 1))
        state = SimpleNamespace(is_world_process_zero=True, global_step=step)
        callback.on_step_end(None, state, None)
        callback.on_step_end(None, SimpleNamespace(is_world_process_zero=False, global_step=step), None)
    found = open_rollouts(path).rollouts
    assert [r.more["step"] for r in found.rollouts] == [1] * 4 + [3] * 4
    assert [part.modality for part in found.prompts[0].parts] == ["image", "text"]
    assert found.rollouts[3].rewards == {"answer": 1.0}, "what is not a number was not judged"
    assert reading(found)["mean_reward"] == {"text": 0.5, "image": pytest.approx(1 / 3)}
    assert pushes(found)["trace"] is not None
    assert [(prompt.id[-10:], len(group)) for prompt, group in zip(found.prompts, found.groups, strict=True)] == [
        (" at step 1", 4),
        (" at step 3", 4),
    ]


@pytest.mark.parametrize("evaluates_every", [0, 1, 2])
@pytest.mark.parametrize("evaluated", [2, 3, 4])
@pytest.mark.parametrize(
    ("passes", "of_a_generation"),  # backward passes of an update, and those that one generation is for
    [(1, 1), (4, 1), (4, 2), (4, 4), (2, 4), (1, 3)],
)
def test_a_trl_trainer_records_what_it_generates_to_train_and_nothing_else(
    passes: int, of_a_generation: int, evaluated: int, evaluates_every: int, tmp_path: Path
) -> None:
    logs = {name: deque(maxlen=4) for name in ("prompt", "completion")}
    trainer = SimpleNamespace(_logs={**logs, "rewards": {"ok": deque(maxlen=4)}})
    callback = rollout_callback(trainer, tmp_path / "r.jsonl")
    handler: Any = CallbackHandler([callback], None, None, None, None)
    state, control, wanted = TrainerState(), TrainerControl(), []

    def generate(said: str, number: int) -> list[str]:
        completions = [f"{said} {i}" for i in range(number)]
        logs["prompt"].extend(["q"] * number)
        logs["completion"].extend(completions)
        trainer._logs["rewards"]["ok"].extend([1.0] * number)
        return completions

    for number in range(6 * passes):
        if number % of_a_generation == 0:
            wanted += [(said, number // passes + 1) for said in generate(f"pass {number}", 4)]
        if (number + 1) % passes:
            handler.on_substep_end(None, state, control)
            continue
        state.global_step += 1
        handler.on_step_end(None, state, control)
        if evaluates_every and state.global_step % evaluates_every == 0:
            generate(f"evaluation {number}", evaluated)
            handler.on_evaluate(None, state, control, {})
    found = open_rollouts(tmp_path / "r.jsonl").rollouts.rollouts
    assert [(rollout.parts[0].text, rollout.more["step"]) for rollout in found] == wanted


def test_rollouts_are_pushed_as_if_each_step_of_the_training_stood_in_a_file_of_its_own(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    judges = {"text": ["answer"], "image": ["drawing"]}
    rewards = rng.random((3, 4, 2)) + np.arange(3)[:, None, None]  # (step, rollout, component): the policy learns

    def recorded(path: Path, steps: range) -> list[Any]:
        with Recorder(path, judges) as record:
            for step in steps:
                for g in range(8):
                    answer, drawing = rewards[step, g // 2]
                    fields = {"rewards": {"answer": answer, "drawing": drawing}, "step": step}
                    record.rollout(f"q{g % 2}", **fields).text("I see.").image(RED)
        found = pushes(open_rollouts(path).rollouts)["trace"]
        assert found is not None
        return list(zip(found["advantages_joint"], found["advantages_factorized"], strict=True))

    whole = recorded(tmp_path / "whole.jsonl", range(3))
    apart = [recorded(tmp_path / f"{step}.jsonl", range(step, step + 1)) for step in range(3)]
    assert whole == [group for found in apart for group in found]
