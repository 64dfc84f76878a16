"""What a resumed run must have in common with the run that it continues."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import MISSING, asdict, fields, is_dataclass, replace
from typing import Any

from mmreason.errors import CheckpointError, ConfigError
from mmreason.training.run.rundir import CONFIG_FILE, RunDirectory

# Of every kind of run: they say when something is saved, told or measured, not what is learnt.
MAY_DIFFER = ("save_steps", "keep_steps", "logging_steps", "eval_steps", "eval_problems")

Differences = dict[str, tuple[Any, Any]]  # field → stored, given


def differences(config: Any, stored: Mapping[str, Any]) -> Differences:
    """Fields of dataclass ``config`` that ``stored``, its JSON at another time, has with other values.

    Weights by name are others in another order, by which problems are drawn.  What ``stored`` lacks is of a version
    before the field and counts as the default; what it has more, of a later one, is nothing to compare with.
    """
    found: Differences = {}
    for each in fields(config):
        now = getattr(config, each.name)
        if is_dataclass(now) and not isinstance(now, type):
            inner = stored.get(each.name)
            inside = differences(now, inner if isinstance(inner, Mapping) else {})
            found |= {f"{each.name}.{name}": values for name, values in inside.items()}
            continue
        default = each.default_factory() if each.default_factory is not MISSING else each.default
        before, now = _plain(stored.get(each.name, None if default is MISSING else default)), _plain(now)
        if before != now or (isinstance(now, dict) and list(before) != list(now)):
            found[each.name] = (before, now)
    return found


def check_resumable(
    run: RunDirectory, config: Any, more: Mapping[str, Any], done: int, may_differ: Collection[str] = MAY_DIFFER
) -> None:
    """Refuse to go on in ``run`` with other settings than its own; raises ConfigError or CheckpointError.

    ``more`` are settings beside ``config``, compared where they were stored, mappings value by value.  The number of
    steps may be another if it is no less than the ``done`` ones and their learning rates would have been the same.
    """
    stored = stored_settings(run)
    name = next(each.name for each in fields(config) if each.name in ("steps", "max_steps"))
    if not isinstance(stored.get(name), int):
        raise CheckpointError(f"{CONFIG_FILE} in {str(run.path)!r} must hold a run's settings, {name} among them")
    found = differences(config, stored)
    found |= _others(more, stored)
    steps = getattr(config, name)
    if steps < done:
        raise ConfigError(f"{name} must be at least the {done} that {str(run.path)!r} has done already, got {steps}")
    if name in found and _same_rates(config, replace(config, **{name: found[name][0]}), done):
        del found[name]
    wrong = [f"{name} (there {old}, now {new})" for name, (old, new) in found.items() if name not in may_differ]
    if wrong:
        raise ConfigError(
            f"output {str(run.path)!r} holds a run with other settings: {', '.join(wrong)}; "
            "--resume needs the same, --overwrite or another folder starts anew"
        )


def _others(more: Mapping[str, Any], stored: Mapping[str, Any]) -> Differences:
    """Those of ``more`` that ``stored`` has with other values."""
    found: Differences = {}
    for name, now in more.items():
        before = stored.get(name, now)
        if isinstance(now, Mapping) and isinstance(before, Mapping):
            found |= {f"{name}.{inner}": values for inner, values in _others(now, before).items()}
        elif before != now:
            found[name] = (before, now)
    return found


def _same_rates(one: Any, other: Any, done: int) -> bool:
    if getattr(one, "own_share", 0):  # a last part, whose beginning moves with the end
        return done == 0
    return all(one.rate(step) == other.rate(step) for step in range(done))


def stored_settings(run: RunDirectory) -> dict[str, Any]:
    """The settings in ``config.json``; raises CheckpointError."""
    try:
        stored = json.loads((run.path / CONFIG_FILE).read_text(encoding="utf-8"))
        if isinstance(stored, dict):
            return stored
        reason = "it is no JSON object"
    except OSError as error:
        reason = error.strerror or str(error)
    except (ValueError, RecursionError):
        reason = "it is not JSON"
    raise CheckpointError(f"{CONFIG_FILE} in {str(run.path)!r} cannot be read, so nothing can be resumed: {reason}")


def write_settings(run: RunDirectory, config: Any, more: Mapping[str, Any], resumed: bool) -> None:
    """Write ``config.json``; of a resumed run, fields that this version does not know stay in it."""
    kept = stored_settings(run) if resumed else {}
    run.write_json(CONFIG_FILE, _over(kept, asdict(config) | dict(more)))


def _over(kept: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, Any]:
    """``now``, with what only ``kept`` has, at every level."""
    both = [name for name in now if isinstance(now[name], Mapping) and isinstance(kept.get(name), Mapping)]
    return {**kept, **now, **{name: _over(kept[name], now[name]) for name in both}}


def _plain(value: Any) -> Any:
    """As JSON gives it back."""
    return json.loads(json.dumps(value, default=dict))
