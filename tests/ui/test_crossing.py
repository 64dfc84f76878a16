"""What passes from tab to tab."""

from types import SimpleNamespace

from mmreason.ui import crossing


def test_what_was_trained_solves_a_puzzle_of_the_kind_it_learnt_from(monkeypatch):
    settings = SimpleNamespace(tasks=("jigsaw", "maze"), difficulties={"easy": 1.0, "medium": 3.0})
    monkeypatch.setattr(crossing, "find", lambda chosen: SimpleNamespace(settings=settings))
    monkeypatch.setattr(crossing, "_checkpoints", lambda visitor, chosen: ["run:one/joint", "run:one/factorized"])
    _, tabs, task, difficulty, seed, *origins, wish = crossing.on_watch_it("visitor", "one")
    assert (task, difficulty, wish.task, wish.difficulty, wish.seed) == ("jigsaw", "medium", "jigsaw", "medium", seed)
    assert wish.checkpoint == "run:one/factorized" and tabs.selected == "watch" and origins[0] == crossing.SEEDED


def test_of_a_dataset_or_nothing_only_the_tab_is_opened(monkeypatch):
    settings = SimpleNamespace(tasks=("data:shapes",), difficulties={"easy": 1.0})
    monkeypatch.setattr(crossing, "find", lambda chosen: SimpleNamespace(settings=settings))
    for own in ([], ["run:one/joint"]):
        monkeypatch.setattr(crossing, "_checkpoints", lambda visitor, chosen, own=own: own)
        *_, wish = crossing.on_watch_it("visitor", "one")
        assert wish == crossing.gr.skip()
