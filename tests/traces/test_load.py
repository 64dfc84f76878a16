"""The script that measures a large file of rollouts, at a small scale."""

from __future__ import annotations

import json

from tests.load import rollouts


def test_every_picture_is_another_inside_the_file_and_beside_it(tmp_path, monkeypatch, capsys):
    for words in ([], ["--beside"]):
        out = tmp_path / "report.json"
        monkeypatch.setattr(
            "sys.argv", ["rollouts", "--rollouts", "2", "--turns", "3", "--side", "64", "--out", str(out), *words]
        )
        assert rollouts.main() == 0
        found = json.loads(out.read_text())
        assert found == json.loads(capsys.readouterr().out)
        assert (found["rollouts"], found["segments"], found["pictures"]) == (2, 6, 6)
        assert found["beside"] is bool(words) and found["memory_mb"] >= 0
        assert all(found[f"{name}_seconds"] >= 0 for name in ("open", "grid", "advantages", "picture"))
