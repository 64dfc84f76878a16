"""The load script at a small scale: several visitors at once on the real server, each gets what is theirs."""

import json
from concurrent.futures import ThreadPoolExecutor

from tests.load import crowd


def test_visitors_at_once_get_their_own_traces(app, real_checkpoints, tmp_path, capsys):
    arguments = ["--visitors", "5", "--address", app, "--out", str(tmp_path / "report.json")]
    with ThreadPoolExecutor(1) as pool:  # the browser of other tests has an event loop in this one
        pool.submit(crowd.main, arguments).result()
    found = json.loads((tmp_path / "report.json").read_text())
    assert (found["solves"], found["errors"], found["mixed_up"]) == (5, 0, 0), found["error_messages"]
    assert list(found["memory_mb_after_solves"]) == ["0", "5"]
    assert "first_token_seconds" in capsys.readouterr().out


def test_a_trace_of_somebody_else_is_noticed():
    def seen(token):
        part = {"type": "text", "turn": 1, "steps": [{"tokens": [token], "committed": [0]}]}
        return {"trace": {"rollouts": [{"parts": [part]}]}, "first": 1.0, "whole": 2.0, "error": None, "waited": False}

    expected = [crowd.generated(seen(token)["trace"]) for token in "ab"]
    assert crowd.report([[seen("a"), seen("b")]], expected, {0: 1})["mixed_up"] == 0
    found = crowd.report([[seen("b"), seen("b")]], expected, {0: 1})
    assert found["mixed_up"] == 1
    assert not crowd.is_fine(found)
