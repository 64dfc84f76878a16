"""Measured scaling: what is timed are the formula's forwards, on a cache of the length that it says."""

from __future__ import annotations

import pytest

from mmreason.analysis.cost import scaling
from mmreason.analysis.cost.workload import ARMS, Workload, forwards, rollout_flops
from tests.helpers.policies import random_policy

LOAD = Workload(canvas=16, turns=2, region=3, thought=4, text_steps=2.5, image_steps=1.0)


@pytest.mark.parametrize("arm", ARMS)
def test_the_forwards_timed_are_those_of_the_formula(arm, monkeypatch):
    model = random_policy()
    seen = []
    forward = model.forward

    def note(ids_BL, positions_BLP, mask, cache, keep_BL, wanted_N):
        seen.append((ids_BL.shape[1], cache.num_columns, mask.shape[-1], len(wanted_N)))
        return forward(ids_BL, positions_BLP, mask, cache=cache, keep_BL=keep_BL, wanted_N=wanted_N)

    monkeypatch.setattr(model, "forward", note)
    assert scaling.rollout_seconds(model, arm, LOAD) > 0
    assert seen == [(f.width, f.cached, f.cached + f.width, f.scored) for f in forwards(arm, LOAD)]


def test_every_canvas_and_share_has_a_row_with_all_arms(monkeypatch):
    monkeypatch.setattr(scaling, "CANVASES", (16, 36))
    config = random_policy().config
    told: list[str] = []
    rows = scaling.measured_scaling(config, LOAD, (0.1, 1.0), on_progress=told.append)
    assert [(row["canvas"], row["region_share"]) for row in rows] == [(16, 0.1), (16, 1.0), (36, 0.1), (36, 1.0)]
    for row in rows:
        assert set(row["arms"]) == set(ARMS) and row["time_ratio"] > 0
    last = rows[-1]["arms"]["diffusion_local"]
    assert last["flops"] == rollout_flops(
        config, "diffusion_local", Workload(**{**LOAD_FIELDS, "canvas": 36, "region": 36})
    )
    assert len(told) == len(rows) * len(ARMS)


LOAD_FIELDS = {name: getattr(LOAD, name) for name in LOAD.__slots__}
