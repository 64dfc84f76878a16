"""Freed memory goes back to the kernel when it is asked for, whichever thread has freed it."""

import json
import subprocess
import sys

import pytest

from tests.helpers.browser import ROOT

COUNT, SIZE = 3000, 100_000  # below glibc's threshold for maps of their own

# in a process of its own: what earlier tests have freed would serve these blocks without growing this one
MEASURE = f"""
import json, psutil, threading
from mmreason.training.hardware import give_back_freed_memory

kept = []

def resident_mb():
    return psutil.Process().memory_info().rss / 2**20

def work():
    blocks = [bytearray(b"x" * {SIZE}) for _ in range({COUNT})]
    kept.extend(blocks[::20])  # in the way of all that lies below

before = resident_mb()
for _ in range(2):
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
held = resident_mb()
give_back_freed_memory()
print(json.dumps([held - before, resident_mb() - before]))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc")
def test_what_threads_have_freed_is_given_back():
    done = subprocess.run([sys.executable, "-c", MEASURE], cwd=ROOT, capture_output=True, text=True, check=True)
    held, left = json.loads(done.stdout)
    assert held > 0.8 * COUNT * SIZE / 2**20
    assert left < 0.4 * held
