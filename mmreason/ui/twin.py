"""The page as a folder of plain files: what was measured and recorded, with the live page's own components.

Nothing in it asks a server for anything: scripts, data and pictures lie in the folder, and files that a visitor opens
are read by the browser.
"""

from __future__ import annotations

import json
import re
from typing import Any

from mmreason.analysis.cost.results import read_results
from mmreason.errors import ConfigError
from mmreason.ui.cost.events import measured_view
from mmreason.ui.cost.formula import THIS_MODEL, recompute, sliders
from mmreason.ui.cost.racing import bundled_race
from mmreason.ui.health import footer_words
from mmreason.ui.host.sheets import SHEETS
from mmreason.ui.results.tab import results_view
from mmreason.ui.shell.component import read, script, shared_script
from mmreason.ui.shell.theme import COLOURS, FIGURES
from mmreason.ui.watch.handlers import example_values

COMPONENTS = ("header", "player", "race", "bars", "chart", "table", "prose")
SHEET = re.compile(r"sheet/([0-9a-f]{16})\.png")
POLICY = "connect-src 'none'; form-action 'none'; object-src 'none'; base-uri 'none'"
MAX_BYTES = 2_500_000
"""Of the whole folder."""


def twin_files() -> dict[str, bytes]:
    """The files by their path in the folder; raises ConfigError where they are more than MAX_BYTES."""
    files = {
        "index.html": _page(),
        "twin.css": _style(),
        "twin.js": _scripts(),
        "data.js": f"twin.data = {_as_script(_data())};\n",
    }
    made = {name: content.encode() for name, content in files.items()}
    for content in files.values():
        for name in SHEET.findall(content):
            picture = SHEETS.get(name)
            if picture is None:
                raise ConfigError(f"sheet {name} is no longer remembered: make the folder again")
            made[f"sheet/{name}.png"] = picture
    total = sum(map(len, made.values()))
    if total > MAX_BYTES:
        raise ConfigError(f"the folder must have at most {MAX_BYTES:,} bytes, got {total:,}")
    return made


def _page() -> str:
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<title>mmreason</title>\n<link rel="icon" href="data:,">\n<link rel="stylesheet" href="twin.css">\n</head>\n'
        f'<body>\n{read("twin/twin.html")}<script src="twin.js"></script>\n'
        '<script src="data.js"></script>\n<script>twin.start();</script>\n</body>\n</html>\n'
    )


def _style() -> str:
    """Colours, the twin's own rules, and each component's within its own place, as gradio has it."""
    styles = [COLOURS, FIGURES, read("twin/twin.css")]
    styles += [f'[data-mm="{name}"] {{\n{read(f"{name}/{name}.css")}}}' for name in COMPONENTS]
    return "\n".join(styles)


def _scripts() -> str:
    """The shared modules, each component as a function of what gradio would give it, and what puts them in place."""
    made = [shared_script(("twin/opening",)), "globalThis.twin = { data: {}, components: {} };\n"]
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
    values = {"player": examples[0]["value"] if examples else None, **_cost(), **_results()}
    return {"values": values, "examples": examples, "about": footer_words()}


def _cost() -> dict[str, Any]:
    results, why_not = read_results()
    title, head, arms, frontier, table, _ = measured_view(results, why_not)
    workload = results.workload if results else {}
    sizes, says = recompute(tuple(slider.start for slider in sliders(workload)), THIS_MODEL, workload)
    shown = {"cost_title": title, "cost_head": head, "race": bundled_race(), "arms": arms, "frontier": frontier}
    return {**shown, "frontier_table": table, "sizes": {"charts": [sizes]}, "sizes_says": says}


def _results() -> dict[str, Any]:
    names = ("forest", "claim_cost", "claim_rewards", "caveats", "how", "curves", "map", "tasks")
    return dict(zip(names, results_view()[1:], strict=True))
