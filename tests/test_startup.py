"""A server may have many connections open, whatever the usual limit of a shell."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.helpers.browser import ROOT

resource = pytest.importorskip("resource")

LIMITED = """
import resource
from mmreason.startup import open_many
resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))
open_many()
print(*resource.getrlimit(resource.RLIMIT_NOFILE))
"""


@pytest.mark.parametrize(("soft", "hard"), [(256, 512), (512, 512)])
def test_a_server_may_open_as_many_files_as_it_can_be_allowed(soft, hard):
    code = LIMITED.format(soft=soft, hard=hard)
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(hard), str(hard)]


def test_a_limit_that_is_high_already_stays(monkeypatch):
    from mmreason import startup

    limits = []
    monkeypatch.setattr(resource, "setrlimit", lambda _, limit: limits.append(limit))
    for soft, hard in ((100_000, 200_000), (1024, resource.RLIM_INFINITY), (1024, 100_000)):
        monkeypatch.setattr(resource, "getrlimit", lambda _, now=(soft, hard): now)
        startup.open_many()
    assert limits == [(startup.MOST_OPEN, resource.RLIM_INFINITY), (startup.MOST_OPEN, 100_000)]


def test_the_app_does_so_before_anything_else():
    started = (ROOT / "app.py").read_text(encoding="utf-8").partition("from mmreason.ui")[0]
    assert "\n    open_many()\n" in started
