"""The page as a folder of plain files: what was measured and recorded, with the live page's own components.

Nothing in it asks a server for anything: scripts, data and pictures lie in the folder, files that a visitor opens are
read by the browser, and it solves by itself.
"""

from __future__ import annotations

import base64
import io
import json
import re
from itertools import chain
from typing import Any

from PIL import Image

from mmreason.analysis.cost.results import read_results
from mmreason.errors import ConfigError
from mmreason.rewards.assignment import GRANULARITIES, SCALES
from mmreason.traces.picture import Picture
from mmreason.traces.schema import PNG_PREFIX
from mmreason.ui.about import still_header_value
from mmreason.ui.browser.files import PAGE, solver_files, worker_script
from mmreason.ui.cost.events import measured_view
from mmreason.ui.cost.formula import THIS_MODEL, recompute, sliders
from mmreason.ui.cost.racing import bundled_race
from mmreason.ui.group.detail import segment_detail
from mmreason.ui.group.held import Group
from mmreason.ui.group.look import look_value
from mmreason.ui.group.outline import outline_of
from mmreason.ui.group.view import group_view, mask_number
from mmreason.ui.group.whatif import WhatIf, push_value
from mmreason.ui.health import build_words
from mmreason.ui.host.checkpoints import load_pipeline
from mmreason.ui.host.web.sheets import SHEETS
from mmreason.ui.inspect.bundled import bundled, open_bundled
from mmreason.ui.results.tab import PARTS, results_view
from mmreason.ui.shell.component import MODULES, read, script, shared_script, style_of
from mmreason.ui.shell.theme import COLOURS, SHARED
from mmreason.ui.watch.handlers import example_values

COMPONENTS = ("header", "player", "group", "race", "bars", "chart", "table", "prose")
OPENED = (
    *("numbers", "advantages", "checks", "picture", "version_one", "rollouts"),
    *("judged", "arithmetic", "push", "rows", "segment", "first_look"),
)
"""What it reads and answers files of rollouts with, each after those that it imports."""
INSTEAD = {"group/asking": (*(f"opened/{module}" for module in OPENED), "twin/asking")}
"""Modules that stand in for those of the live page."""
SHEET = re.compile(r'"sheet/([0-9a-f]{16})\.png"')
POLICY = "connect-src 'none'; form-action 'none'; object-src 'none'; base-uri 'none'"
QUALITY = 85  # of the groups' pictures
MAX_BYTES = 2_500_000
"""Of the whole folder, without what it solves with."""
SOLVES_WITH = "base"  # the checkpoint


def twin_files(solver: bool = True) -> dict[str, bytes]:
    """The files by their path in the folder, with or without what it solves with.

    Raises ConfigError where they are more than MAX_BYTES, CheckpointError where there is no checkpoint to solve with.
    """
    offer, solves = solver_files(load_pipeline(SOLVES_WITH), SOLVES_WITH) if solver else (None, {})
    files = {
        "index.html": _page(),
        "twin.css": _style(),
        "twin.js": _scripts(),
        "data.js": _with_sheets(f"twin.data = {_as_script(_data() | {'solver': offer})};\n"),
    }
    made = {name: content.encode() for name, content in files.items()}
    made |= _groups()
    total = sum(map(len, made.values()))
    if total > MAX_BYTES:
        raise ConfigError(f"the folder must have at most {MAX_BYTES:,} bytes, got {total:,}")
    return made | {name: content.encode() for name, content in solves.items()}


def _with_sheets(content: str) -> str:
    """``content`` with each sheet once, as data: a canvas with a file's picture may not be read where files lie."""
    sheets = {}
    for name in SHEET.findall(content):
        picture = SHEETS.get(name)
        if picture is None:
            raise ConfigError(f"sheet {name} is no longer remembered: make the folder again")
        sheets[name] = PNG_PREFIX + base64.b64encode(picture).decode()
    return f"const sheets = {_as_script(sheets)};\n" + SHEET.sub(r'sheets["\1"]', content)


def _page() -> str:
    parts = (f'<div data-mm="{kind}" data-value="{_result(name)}"></div>' for name, kind in PARTS.items())
    body = read("twin/twin.html").replace("<!-- results -->", "\n    ".join(parts))
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<title>mmreason</title>\n<link rel="icon" href="data:,">\n<link rel="stylesheet" href="twin.css">\n</head>\n'
        f'<body>\n{body}<script src="twin.js"></script>\n'
        '<script src="data.js"></script>\n<script>twin.start();</script>\n</body>\n</html>\n'
    )


def _style() -> str:
    """Colours, the twin's own rules, and each component's within its own place, as gradio has it."""
    styles = [COLOURS, SHARED, read("twin/twin.css")]
    styles += [f'[data-mm="{name}"] {{\n{style_of(name)}}}' for name in COMPONENTS]
    return "\n".join(styles)


def _scripts() -> str:
    """The shared modules, each component as a function of what gradio would give it, and what puts them in place."""
    modules = chain.from_iterable(INSTEAD.get(module, (module,)) for module in MODULES)
    shared = shared_script(["twin/loading", *modules, "twin/opening", *PAGE, "twin/solving"])
    made = ["globalThis.twin = { data: {}, components: {}, groups: {}, solver: {} };\n", shared]
    made.append(f"twin.worker = {_as_script(worker_script())};\n")
    for name in COMPONENTS:
        template = json.dumps(read(f"{name}/{name}.html"))
        run = f"(element, props, trigger, watch) => {{\n{script(f'{name}/{name}')}}}"
        made.append(f"twin.components[{json.dumps(name)}] = {{ template: {template}, run: {run} }};\n")
    made.append(f"twin.start = () => {{\n{script('twin/twin')}}};\n")
    return "".join(made)


def _as_script(value: Any) -> str:
    """JSON that is safe inside a script, too."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _data() -> dict[str, Any]:
    """Every component's value, as the live page has it on arrival."""
    examples = [
        {"name": f"{value['problem']['task']}, {value['problem']['difficulty']}", "value": value | {"link": ""}}
        for value, _ in example_values()
    ]
    player = examples[0]["value"] if examples else None
    values = {"header": still_header_value(), "player": player, **_cost(), **_results()}
    groups = [{"token": token, "name": one.name} for token, one in bundled().items()]
    return {"values": values, "examples": examples, "groups": groups, "about": build_words()}


def _cost() -> dict[str, Any]:
    results, why_not = read_results()
    title, head, arms, frontier, table, _ = measured_view(results, why_not)
    workload = results.workload if results else {}
    sizes, says = recompute(tuple(slider.start for slider in sliders(workload)), THIS_MODEL, workload)
    shown = {"cost_title": title, "cost_head": head, "race": bundled_race(), "arms": arms, "frontier": frontier}
    return {**shown, "frontier_table": table, "sizes": {"charts": [sizes]}, "sizes_says": says}


def _results() -> dict[str, Any]:
    shown = results_view()
    return {_result(name): shown[name] for name in PARTS}


def _result(name: str) -> str:
    """The key of a part of the results among all values."""
    return f"results_{name}"


def _groups() -> dict[str, bytes]:
    """A file a bundled group, of all that its inspector asks."""
    files: dict[str, bytes] = {}

    for token in bundled():
        group = open_bundled(token)
        said = {
            "look": look_value(group, WhatIf()),
            "pictures": [_as_data(picture) for picture in group.pictures],
            "outlines": {number: outline_of(group.pictures[number]) for number in sorted(_masks(group))},
            "prompts": [_prompt(group, prompt) for prompt in range(len(group.groups))],
        }
        files[f"groups/{token}.js"] = f"twin.groups[{json.dumps(token)}] = {_as_script(said)};\n".encode()
    return files


def _masks(group: Group) -> set[int]:
    """The numbers of the pictures that mask an edit."""
    numbers = (mask_number(group, part) for rollout in group.rollouts.rollouts for part in rollout.parts)
    return {number for number in numbers if number is not None}


def _as_data(picture: Picture) -> str:
    """``picture`` in the page itself, since the inspector reads its pixels."""
    out = io.BytesIO()
    Image.fromarray(picture.pixels()).save(out, "WEBP", quality=QUALITY)
    return "data:image/webp;base64," + base64.b64encode(out.getvalue()).decode()


def _prompt(group: Group, prompt: int) -> dict[str, Any]:
    """The view of one prompt, every push, and every segment; what takes a server is left out."""
    ways = [WhatIf(granularity, scale) for granularity in GRANULARITIES for scale in SCALES]
    rollouts = group.groups[prompt]
    segments = []
    for g, rollout in enumerate(rollouts):
        segments.append([_segment(group, prompt, g, s) for s in range(len(rollout.parts))])
    texts = [
        [g, s, part.text.casefold()]
        for g, rollout in enumerate(rollouts)
        for s, part in enumerate(rollout.parts)
        if part.text
    ]
    return {
        "view": group_view(group, prompt) | {"native": False, "follows": False, "link": ""},
        "push": {f"{way.granularity} {way.scale}": push_value(group, prompt, way) for way in ways},
        "segments": segments,
        "texts": texts,
    }


def _segment(group: Group, prompt: int, g: int, s: int) -> dict[str, Any]:
    found = segment_detail(group, prompt, g, s, WhatIf())
    four = {scale: segment_detail(group, prompt, g, s, WhatIf(scale=scale))["four"] for scale in SCALES}
    if found["pictures"] is not None:
        found["pictures"] |= {"expected": None}  # a picture of its own a segment: the folder stays small
    return found | {"four": four, "mind": None}
