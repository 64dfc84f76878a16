"""The measurement of a real shape runs on a bare machine and puts what it finds beside the formula."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from mmreason.__main__ import main
from mmreason.analysis.cost.measure import Measurement
from mmreason.analysis.cost.measure_plan import PLANS, SHAPES

ROOT = Path(__file__).parents[3]
ABSENT = ("diffusers", "gradio", "pydantic", "plotly", "spaces")  # from a GPU machine with torch and transformers


def test_every_part_is_measured_without_what_a_bare_gpu_machine_lacks(tmp_path: Path) -> None:
    blocked = "".join(f"sys.modules[{name!r}] = None\n" for name in ABSENT)
    script = f"import sys\n{blocked}from mmreason.__main__ import main\nsys.exit(main(sys.argv[1:]))"
    line = [sys.executable, "-c", script, "measure", "--shape", "tiny", "--device", "cpu", "--json"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    out = tmp_path / "measured.json"
    done = subprocess.run([*line, "--out", str(out)], capture_output=True, text=True, env=environment, timeout=300)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert json.loads(out.read_text())["parts"] == result["parts"]
    steps = {f"{kind}_{size}{mode}" for kind in ("text", "edit") for size in (256, 512) for mode in ("", "_prefix")}
    grpo = {"grpo_256", "grpo_256_quarter", "grpo_256_prefix"}
    assert set(result["parts"]) == {"weights", "matmul", "likelihood_backward"} | steps | grpo
    for name, part in result["parts"].items():
        assert "error" not in part and part["seconds"] > 0
        if name != "weights":
            assert part["flops"] > 0 and part["tflops"] == pytest.approx(part["flops"] / part["seconds"] / 1e12)
        if name in grpo:
            assert part["largest_logp_difference"] < 1e-4  # what was sampled is what is scored
            assert part["rollouts"] == PLANS["tiny"].rows
        if "formula_gib" in part:
            parts = [value for key, value in part["formula_gib"].items() if key != "sum"]
            assert part["formula_gib"]["sum"] == pytest.approx(sum(parts))
    full, quarter = result["parts"]["grpo_256"], result["parts"]["grpo_256_quarter"]
    assert quarter["update_flops"] == pytest.approx(full["update_flops"] / 2)  # of two steps, one
    assert result["parts"]["grpo_256_prefix"]["tokens_forwarded"] < full["tokens_forwarded"]


def test_what_does_not_fit_in_the_time_is_left_out_with_a_reason() -> None:
    seen: list[int] = []
    measurement = Measurement("tiny", torch.device("cpu"), 0.0, lambda result: seen.append(len(result["parts"])))
    result = measurement.run()
    assert "left_out" in result["parts"]["grpo_256"] and "left_out" in result["parts"]["likelihood_backward"]
    assert result["parts"]["matmul"]["flops"] > 0 and seen == sorted(seen)


def test_the_estimate_of_the_whole_fits_in_six_minutes_on_an_80_gb_gpu() -> None:
    plan, shape, rate = PLANS["dimoo"], SHAPES["dimoo"], 0.4 * 700e12
    rollout = (
        plan.rows
        * plan.segment_steps
        * (
            (plan.turns + 1) * shape.flops(plan.text[0], plan.text[0])
            + plan.turns * shape.flops(plan.edit[0], plan.edit[0])
        )
    )
    views = sum(shape.flops(n, n) for n in (*plan.text, *plan.edit)) * plan.rows * (plan.steps + 1)
    backward = shape.backward_flops(shape.flops(plan.backward_tokens, plan.edit[1]), plan.rank, plan.backward_tokens)
    assert (rollout * (1 + 3.1 + 1 + 0.8 + 1) + 2 * views + backward) / rate < 240
    memory = shape.training_bytes(plan.backward_tokens, plan.rank, plan.rows * plan.text_slots, 126_336)
    assert 20 < sum(memory.values()) / 2**30 < 60


def test_a_part_that_fails_is_noted_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> dict:
        raise RuntimeError("out of\nmemory")

    monkeypatch.setattr(Measurement, "_update", fails)
    parts = Measurement("tiny", torch.device("cpu"), 300.0, lambda _: None).run()["parts"]
    assert parts["grpo_256"]["error"] == parts["grpo_256_quarter"]["error"] == "out of memory"
    assert parts["grpo_256"]["rollout_seconds"] > 0 and "error" not in parts["likelihood_backward"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--shape", "dimoo", "--device", "cpu"], "needs a GPU"),
        (["--shape", "tiny", "--seconds", "0"], "--seconds must be above 0"),
    ],
)
def test_what_cannot_be_measured_here_is_said(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["measure", *arguments]) == 2
    assert says in capsys.readouterr().err
