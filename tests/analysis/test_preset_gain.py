"""What a preset does over seeds, in numbers."""

import json

import pytest

from mmreason import places
from mmreason.__main__ import main
from mmreason.analysis.preset_gain import read_gain, summary
from mmreason.commands.make import preset_gain as make_preset_gain
from mmreason.errors import ConfigError
from mmreason.training.rl.presets import PRESETS
from mmreason.ui.train.words import preset_words
from tests.helpers.policies import pipeline_of, random_policy

PRESET = next(iter(PRESETS))


def rows(*gains):
    return [{"seed": i, "before": 0.5, "after": 0.5 + gain, "seconds": 100.0 + i} for i, gain in enumerate(gains)]


def test_the_gain_has_students_interval_over_seeds():
    found = summary(rows(0.1, 0.2, 0.3))
    assert found["gain"] == pytest.approx(0.2)
    half = 4.3027 * 0.1 / 3**0.5
    assert found["gain_ci95"] == pytest.approx([0.2 - half, 0.2 + half], abs=1e-4)
    assert found["longest_seconds"] == 102.0


@pytest.mark.parametrize("gains", [(0.1,), (0.1, 0.2)])
def test_below_three_seeds_there_is_no_interval(gains):
    assert summary(rows(*gains))["gain_ci95"] is None


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A checkpoint, a file to write, and trainings that only note their seed."""
    pipeline_of(random_policy()).save_pretrained(tmp_path / "base")
    trained = []

    def one_seed(settings, seed, checkpoint, threads):
        trained.append(seed)
        return rows(0.01)[0] | {"seed": seed, "after": 0.51 + 0.01 * seed}

    monkeypatch.setattr(make_preset_gain, "one_seed", one_seed)
    return tmp_path, trained


def measure(folder, seeds, *more, code=0):
    words = [
        "make",
        "preset-gain",
        "--checkpoint",
        str(folder / "base"),
        "--output",
        str(folder / "results" / "preset_gain.json"),
    ]
    assert main([*words, "--seeds", str(seeds), *more]) == code
    return json.loads((folder / "results" / "preset_gain.json").read_text())


def test_a_finished_seed_is_kept_and_only_the_missing_ones_are_trained(place):
    folder, trained = place
    measure(folder, 2)
    found = measure(folder, 4)
    assert trained == [0, 1, 2, 3] and [row["seed"] for row in found["seeds"]] == [0, 1, 2, 3]
    assert found["gain"] == pytest.approx(0.025)


def test_a_seed_that_fails_leaves_those_before_it(place, monkeypatch):
    folder, trained = place
    working = make_preset_gain.one_seed

    def fails_at_two(settings, seed, *more):
        if seed == 2:
            raise ConfigError("the training of seed 2 failed: no luck")
        return working(settings, seed, *more)

    monkeypatch.setattr(make_preset_gain, "one_seed", fails_at_two)
    assert len(measure(folder, 4, code=2)["seeds"]) == 2
    monkeypatch.setattr(make_preset_gain, "one_seed", working)
    measure(folder, 4)
    assert trained == [0, 1, 2, 3]


def test_other_weights_or_settings_start_over(place, monkeypatch):
    folder, trained = place
    measure(folder, 2)
    pipeline_of(random_policy(seed=1)).save_pretrained(folder / "base")
    assert len(measure(folder, 1)["seeds"]) == 1
    measure(folder, 1, "--preset", "GPU")
    assert trained == [0, 1, 0, 0]


def test_the_page_says_what_was_measured_of_the_preset_as_it_is(place, monkeypatch):
    folder, _ = place
    monkeypatch.setattr(places, "ASSETS", folder)
    assert preset_words(PRESET, "base") == ""
    measure(folder, 10)
    said = preset_words(PRESET, "base")
    assert "over 10 seeds" in said and "better on average, from 50 % solved to 56 %" in said
    assert "(+5.5 points, 95 % interval +3.3 to +7.7)" in said
    assert preset_words("GPU", "base") == preset_words(None, "base") == preset_words(PRESET, "ar") == ""
    path = folder / "results" / "preset_gain.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps(content | {"settings": content["settings"] | {"learning_rate": 1.0}}))
    assert read_gain(path, PRESET) is None and preset_words(PRESET, "base") == ""


def test_an_interval_around_zero_is_no_clear_change(place, monkeypatch):
    folder, _ = place
    monkeypatch.setattr(places, "ASSETS", folder)
    monkeypatch.setattr(make_preset_gain, "one_seed", lambda s, seed, *_: rows(0, 0.1, -0.1)[seed])
    measure(folder, 3)
    assert "no clear change on average" in preset_words(PRESET, "base")
