"""What the start of a comparison predicts: how much the modalities interfere before anything is trained.

Measured on validation problems, with the protocol's sampler, weights and scores, so that it is known before the
first test problem is solved.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmreason.analysis.comparison.protocol import Protocol, Run
from mmreason.analysis.interference import MeasureConfig, measure, roll_out
from mmreason.sampling.pipeline import InterleavedReasoningPipeline

INTERFERENCE = "interference"  # the job, and the file that it writes
GROUPS = 64  # of a task
MEASURES = (
    *("leak_to_signal", "sign_conflict", "idle_push", "sigma_ratio"),
    *("snr_joint", "snr_factorized", "progress_joint", "progress_factorized"),
)
KEPT = (*MEASURES, "groups", "groups_with_spread", "success")


def predict(
    pipe: InterleavedReasoningPipeline, protocol: Protocol, joints: Mapping[str, Run]
) -> dict[str, dict[str, dict[str, Any]]]:
    """``MEASURES`` by joint arm and task, as ``interference`` defines them, from ``GROUPS`` groups of a task.

    All arms are measured on the same rollouts.  The gradient is that of the exact likelihood, whatever the protocol
    trains with.
    """
    sampling = protocol.sampling(pipe.scheduler, protocol.temperature)
    shared: dict[str, Any] = {
        "difficulties": list(protocol.difficulties),
        "num_problems": GROUPS,
        "num_generations": protocol.num_generations,
        "seed": protocol.first_seed,
    }
    found: dict[str, dict[str, dict[str, Any]]] = {key: {} for key in joints}
    for task in protocol.tasks:
        groups = roll_out(pipe, MeasureConfig([task], **shared), sampling)
        for key, run in joints.items():
            training = protocol.training(run, sampling)
            config = MeasureConfig([task], **shared, assignment=training.assignment, loss=training.loss)
            measured = measure(pipe, groups, config, protocol.temperature)
            found[key][task] = {name: measured[name] for name in KEPT}
    return found
