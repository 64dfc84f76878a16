"""Groups as the inspector opens them, without a page: where they come from, and what is said of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from mmreason import places
from mmreason.errors import ConfigError, MMReasonError, TraceError
from mmreason.rewards.verify import Verifier
from mmreason.sampling.config import SamplingConfig
from mmreason.tasks import FIRST_TASKS, TASKS, make_problem
from mmreason.traces.file import save, to_json
from mmreason.traces.group import save_group
from mmreason.training.rl.presets import BOTH, TrainSettings
from mmreason.ui.group import branch
from mmreason.ui.group.branch import Side, duet_value
from mmreason.ui.group.opened import open_traces
from mmreason.ui.host import checkpoints
from mmreason.ui.host.temporary import FILES
from mmreason.ui.inspect import bundled, sources
from mmreason.ui.inspect.events import on_checkpoint, show_group
from mmreason.ui.runs import store
from mmreason.ui.runs.samples import run_samples
from tests.helpers.standin import SHEET, WORDS, stand_in_trace
from tests.helpers.training_runs import OTHER, OWNER

VERIFIER = Verifier(WORDS, SHEET)


def traces(task="maze", seed=7):
    problem = make_problem(task, "easy", seed)
    wrong = stand_in_trace(problem, "<answer> 63 moves", num_turns=1)
    return [VERIFIER.score(trace) for trace in (stand_in_trace(problem), wrong, stand_in_trace(problem))]


def test_the_samples_of_a_training_run_are_opened_by_name(tmp_path, monkeypatch):
    monkeypatch.setenv(checkpoints.RUNS_SETTING, str(tmp_path))
    assert run_samples() == []
    with pytest.raises(ConfigError, match="there are none here"):
        sources.open_run(None)
    for step in (20, 40):
        for g, trace in enumerate(traces()):
            save(tmp_path / "first" / "samples" / f"step{step:05d}-{g:02d}.json", to_json(trace, WORDS, SHEET))
    (tmp_path / "first" / "samples" / "notes.txt").write_text("no trace")
    assert [name for _, name in run_samples()] == ["first, step 40", "first, step 20"]
    opened = sources.open_run("first, step 20")
    assert (
        [rollout.success for rollout in opened.rollouts.rollouts] == [True, False, True]
        and opened.notes == ()
        and opened.native(0)
    )
    for name in ("first, step 21", "../first, step 20", "/etc/passwd", None):
        with pytest.raises(ConfigError, match="choose the samples of a training run"):
            sources.open_run(name)


def test_samples_of_a_visitors_run_are_listed_for_its_owner_and_opened_by_whoever_has_its_link(tmp_path, monkeypatch):
    monkeypatch.setenv(checkpoints.RUNS_SETTING, str(tmp_path))
    run = store.create(TrainSettings(assignment=BOTH), OWNER)
    for arm, step in (("joint", 20), ("joint", 40), ("factorized", 20)):
        for g, trace in enumerate(traces()):
            save(run.arm_folder(arm) / "samples" / f"step{step:05d}-{g:02d}.json", to_json(trace, WORDS, SHEET))
    shown = [f"joint, step 40 ({run.id[:4]})", f"joint, step 20 ({run.id[:4]})", f"factorized, step 20 ({run.id[:4]})"]
    assert [label for label, _ in run_samples(OWNER)] == [f"yours: {words}" for words in shown]
    assert [label for label, _ in run_samples(OTHER, run.id)] == [f"by link: {words}" for words in shown]
    for visitor, linked in ((OTHER, None), ("", None), (None, "../x"), (OTHER, "0" * 12)):
        assert run_samples(visitor, linked) == []
    opened = sources.open_run(f"run:{run.id}/joint, step 40")
    assert [rollout.success for rollout in opened.rollouts.rollouts] == [True, False, True]
    for name in (f"run:{run.id}/joint, step 41", f"run:{run.id}/../joint, step 40", f"run:{'0' * 12}/joint, step 40"):
        with pytest.raises(ConfigError, match="choose the samples of a training run"):
            sources.open_run(name)


def test_uploads_of_different_puzzles_are_prompts_of_one_group_and_of_nothing_are_refused(tmp_path):
    for seed in (7, 8):
        save(tmp_path / f"{seed}.json", to_json(traces(seed=seed)[0], WORDS, SHEET))
    opened = sources.open_upload([str(tmp_path / "7.json"), str(tmp_path / "8.json")])
    assert [len(group) for group in opened.groups] == [1, 1] and set(opened.natives) == {0, 1}
    for nothing in (None, []):
        with pytest.raises(TraceError, match="choose"):
            sources.open_upload(nothing)


def test_a_file_that_is_named_often_is_read_once_and_no_more_is_read_than_may_be_held(tmp_path, monkeypatch):
    read = sources.HANDED.read
    names = []
    monkeypatch.setattr(
        sources, "HANDED", SimpleNamespace(read=lambda path: names.append(Path(path).name) or read(path))
    )
    line = '{"prompt": "a", "completion": "b", "reward": 1}\n'
    paths = [tmp_path / f"{number}.jsonl" for number in range(FILES + 1)]
    for path in paths:
        path.write_text(line)
    assert len(sources.open_upload([str(paths[0])] * 800).rollouts.rollouts) == 1 == len(names)
    with pytest.raises(TraceError, match=f"at most {FILES} files may be opened together, got {FILES + 1}"):
        sources.open_upload([str(path) for path in paths])
    monkeypatch.setattr(sources, "MAX_UNPACKED", 3 * len(line))
    with pytest.raises(TraceError, match="more than 0 MB in all"):
        sources.open_upload([str(path) for path in paths[:10]])
    assert names == ["0.jsonl", "0.jsonl", "1.jsonl", "2.jsonl", "3.jsonl"]


def test_pictures_chosen_together_with_their_file_stand_beside_it(tmp_path):
    folder = places.ROOT / "tests" / "traces" / "samples" / "image-files"
    table, pictures = folder / "rollouts.jsonl", sorted((folder / "images").iterdir())
    group = sources.open_upload([str(path) for path in (*pictures, table)])
    assert group.source == "from rollouts.jsonl" and len(group.pictures) == len(pictures)
    assert not any(picture.broken for picture in group.pictures)
    alone = sources.open_upload([str(table)])
    assert all("choose it together with the file, or put both into one zip" in one.broken for one in alone.pictures)
    with pytest.raises(TraceError, match="choose the file of rollouts together with them"):
        sources.open_upload([str(pictures[0])])
    text = table.read_text(encoding="utf-8")
    (tmp_path / "two.jsonl").write_text(text.replace("images/photo-21-r0-1.jpg", "more/photo-21-0.jpg"))
    with pytest.raises(TraceError, match="one of several of that name: put the file and its pictures into one zip"):
        sources.open_upload([str(path) for path in (*pictures, tmp_path / "two.jsonl")])


def test_a_table_of_unknown_columns_is_refused_without_words_of_the_command_line(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"a": 1, "b": 2}')
    *_, says = show_group(lambda: sources.open_upload([str(tmp_path / "a.jsonl")]))
    assert "these columns: a, b; call two of them prompt and completion." in says and "--" not in says


def test_recorded_rewards_are_shown_and_their_difference_is_said(tmp_path):
    data = to_json(traces()[0], WORDS, SHEET)
    data["segments"][0]["reward"] = 0.25
    save(tmp_path / "own.json", data)
    opened = sources.open_upload([str(tmp_path / "own.json")])
    assert opened.rollouts.rollouts[0].parts[0].reward == 0.25
    assert any("1 of" in note and "not what the verifier gives" in note for note in opened.notes)


def test_a_file_from_before_learns_where_nothing_right_could_be_said(tmp_path):
    spoiled = stand_in_trace(make_problem("maze", "easy", 7))
    agent = VERIFIER.shown("maze", spoiled.canvas_tokens).ravel().tolist().index(TASKS["maze"].cells.index("agent"))
    canvas = list(spoiled.canvas_tokens)
    canvas[agent] = canvas[(agent + 1) % len(canvas)]  # nobody is there to walk
    spoiled = VERIFIER.score(replace(spoiled, canvas_tokens=tuple(canvas), segments=spoiled.segments[:2]))
    assert spoiled.segments[0].verdict.components["nothing_to_say"] == 1.0
    data = to_json(spoiled, WORDS, SHEET)
    del data["segments"][0]["verdict"]["components"]["nothing_to_say"]
    save(tmp_path / "before.json", data)
    opened = sources.open_upload([str(tmp_path / "before.json")])
    assert opened.natives[0].traces[0].segments[0].verdict == spoiled.segments[0].verdict
    assert opened.rollouts.rollouts[0].parts[0].rewards["nothing_to_say"] == 1.0


@pytest.mark.parametrize("task", FIRST_TASKS)
def test_expected_pictures_are_those_of_right_edits_and_nothing_is_wrong(task):
    opened = open_traces(traces(task), WORDS, SHEET, "test")
    for entry in opened.rows[0]["segments"]:
        if entry["kind"] == "edit":
            assert entry["wrong"] == []
            shown, wanted = (opened.sheet[entry[name]] for name in ("after", "expected"))
            assert (shown == wanted).all()


@pytest.mark.parametrize("size", [0, 17, 2.5, None, True, float("nan")])
def test_a_group_to_roll_out_has_one_to_sixteen_members(size):
    with pytest.raises(ConfigError, match="rollouts must be a whole number"):
        sources.group_request("maze", "easy", 1, "base", 1, 0, size)


def test_a_roll_out_can_be_asked_for_again_by_its_link():
    request, size = sources.group_request("sudoku", "hard", 12, "base", 0.35, 4, 5)
    link = sources.roll_link(request, size)
    assert sources.read_roll_link(link) == (request, size)
    assert sources.roll_link(replace(request, checkpoint_hash="0123456789ab"), size) == link, "of a run of Watch, too"
    assert sources.roll_link(replace(request, num_steps=8), size) == "", "Roll out has no such control"
    for wrong, says in ((link.replace("size=5", "size=17"), "rollouts must be"), ("roll:task=chess", "chess")):
        with pytest.raises(MMReasonError, match=says):
            sources.read_roll_link(wrong)


def test_two_sides_with_different_codebooks_are_drawn_from_one_sheet():
    first, second, _ = traces()
    value = duet_value("two", [Side("a", first, WORDS, SHEET), Side("b", second, WORDS, SHEET[:, ::-1].copy())])
    codes = [code for side in value["sides"] for code in side["canvas_codes"]]
    assert max(codes[:64]) < len(SHEET) <= min(codes[64:])
    assert value["differs"] is not None
    same = duet_value("same", [Side("a", first, WORDS, SHEET), Side("b", first, WORDS, SHEET)])
    assert same["differs"] is None


@pytest.mark.parametrize(
    "config",
    [
        SamplingConfig(num_steps=None, threshold=0.9),
        SamplingConfig(num_steps=3),
        SamplingConfig(3, 0.5, 0.7, "entropy"),
    ],
)
def test_a_branch_goes_on_with_the_settings_that_its_trace_records(config):
    trace = replace(stand_in_trace(make_problem("maze", "easy", 7)), settings=config.recorded())
    assert branch._config(trace) == config


@pytest.mark.parametrize("settings", [{}, {"num_steps": None}, {"num_steps": None, "threshold": None}])
def test_a_branch_of_a_trace_that_records_neither_steps_nor_threshold_takes_the_usual_ones(settings):
    trace = replace(stand_in_trace(make_problem("maze", "easy", 7)), settings=settings)
    assert branch._config(trace) == SamplingConfig()


def test_groups_of_either_version_are_among_the_samples(tmp_path, monkeypatch):
    monkeypatch.setattr(places, "ASSETS", tmp_path)
    save_group(tmp_path / "groups" / "1-maze-easy-7.json", traces(), WORDS, SHEET)
    stored = places.ROOT / "tests" / "stored" / "group" / "1.json"
    (tmp_path / "groups" / "2-older.json").write_bytes(stored.read_bytes())
    found = bundled.bundled.__wrapped__()
    monkeypatch.setattr(bundled, "bundled", lambda: found)
    assert found["maze-easy-7"].name == "maze, easy" and len(found) == 2
    for token in found:
        group = bundled.open_bundled(token)
        assert group.natives and not group.notes


def test_the_tasks_are_listed_that_the_chosen_checkpoint_was_taught(real_checkpoints):
    _, scenes = on_checkpoint("scenes", "sudoku")
    assert {name for _, name in scenes.choices} == {"visual_search", "chart_refocus"} and scenes.value != "sudoku"
    _, base = on_checkpoint("base", "sudoku")
    assert {name for _, name in base.choices} >= {"maze", "sudoku", "jigsaw", "transform"} and base.value == "sudoku"
    assert not {name for _, name in base.choices} & {"visual_search", "chart_refocus"}
