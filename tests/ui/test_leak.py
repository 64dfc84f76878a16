"""The leak measured on the page: what it took is given back, and the shared policy is as it was, whatever happens."""

from types import SimpleNamespace

import pytest
from policies import random_policy

from mmreason.ui import leak


@pytest.mark.parametrize("fails", [False, True])
def test_a_measurement_gives_its_memory_back_and_leaves_the_policy_without_gradients(monkeypatch, fails):
    policy = random_policy()
    scheduler = SimpleNamespace(sampling_config=lambda **_: None)
    events: list[str] = []

    def measure(*_):
        policy.requires_grad_(True)
        events.append("measured")
        if fails:
            raise MemoryError
        return {}

    monkeypatch.setattr(
        leak.runtime, "load_pipeline", lambda _: SimpleNamespace(transformer=policy, scheduler=scheduler)
    )
    monkeypatch.setattr(leak, "roll_out", lambda *_: [])
    monkeypatch.setattr(leak, "measure", measure)
    monkeypatch.setattr(leak, "leak_value", lambda *_: {"shown": True})
    monkeypatch.setattr(leak, "give_back_freed_memory", lambda: events.append("given back"))
    if fails:
        with pytest.raises(MemoryError):
            leak.measure_here("base", "maze", "easy")
    else:
        assert leak.measure_here("base", "maze", "easy") == {"shown": True}
    assert events == ["measured", "given back"]
    assert not any(weight.requires_grad for weight in policy.parameters())
