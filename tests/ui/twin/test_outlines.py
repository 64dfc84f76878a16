"""A mask's outline in the page without a server: recorded in the group's file, and drawn by the page's own scripts."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmreason.traces.recorder import Recorder
from mmreason.ui import twin
from mmreason.ui.group.outline import outline_of
from mmreason.ui.inspect import sources

# The folder's scripts and a group's file in a page of nothing but elements; tells what is drawn over its first edit.
DRAWS = """
const [scripts, file, token] = JSON.parse(require('fs').readFileSync(0, 'utf8'));
class Element {
  constructor(tag) { Object.assign(this, { tag, attributes: {}, children: [], gone: false }); }
  setAttribute(name, value) { this.attributes[name] = value; }
  append(...parts) { this.children.push(...parts); }
  remove() { this.gone = true; }
}
const made = (tag) => new Element(tag);
const head = { append: (script) => { vm.runInContext(file, context); script.onload(); } };
const document = { createElement: made, createElementNS: (_, tag) => made(tag), head };
const context = vm.createContext({ document, Promise });
vm.runInContext(scripts, context);
context.token = token;
vm.runInContext(`
  globalThis.drawn = (async () => {
    const detail = await mm.ask(token, 'segment', { prompt: 0, g: 0, s: 0, scale: 'group' });
    const drawn = mm.regionOf(token, detail.pictures);
    await mm.outlineOf(token, detail.pictures.mask);
    return drawn;
  })()`, context);
context.drawn.then((drawn) => console.log(JSON.stringify(drawn)));
"""


@pytest.mark.skipif(shutil.which("node") is None, reason="there is no node here")
def test_a_mask_is_outlined_as_on_the_live_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mask = np.zeros((48, 64), bool)
    mask[8:40, 8:56] = True
    mask[16:32, 16:48] = False
    with Recorder(tmp_path / "masked.jsonl") as record:
        record.rollout("Draw.").image(Image.new("RGB", (64, 48), "red"), region=mask, reward=1.0)
    group = sources.open_upload([str(tmp_path / "masked.jsonl")])
    monkeypatch.setattr(twin, "bundled", lambda: {group.token: None})
    monkeypatch.setattr(twin, "open_bundled", lambda _: group)
    (file,) = twin._groups().values()
    said = json.dumps([twin._scripts(), file.decode(), group.token])
    told = subprocess.run(["node", "-e", DRAWS], input=said, capture_output=True, text=True)
    assert told.returncode == 0, told.stderr
    (drawn,) = json.loads(told.stdout)
    (number,) = twin._masks(group)
    wanted = outline_of(group.pictures[number])
    assert wanted["path"].count("M") == 2, "a ring has two lines"
    assert not drawn["gone"] and drawn["attributes"]["viewBox"] == f"0 0 {wanted['width']:g} {wanted['height']:g}"
    lines = [(each["attributes"]["class"], each["attributes"]["d"]) for each in drawn["children"]]
    assert lines == [("under", wanted["path"]), ("over", wanted["path"])]
