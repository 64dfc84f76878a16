"""Custom components: a static template, style and script in a folder of ``components``, and data only as props.

The template and the style are evaluated by gradio as a template literal, so no data may reach them; the
scripts put every text in by ``textContent``.  What several scripts need is in modules, which a page loads once, as
one script that defines ``mm``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import gradio as gr

_FOLDER = Path(__file__).parents[1] / "components"
_EVALUATED = ("${", "{{", "`", "\\")  # what a template literal or Handlebars would act on
# Modules that components share, each after those that it imports.
MODULES = (
    *(
        "shared/dom",
        "shared/glossary",
        "shared/focus",
        "shared/keys",
        "shared/day",
        "shared/words",
        "shared/frames",
        "shared/photo",
        "shared/canvas",
        "shared/album",
        "shared/cards",
    ),
    *("shared/shapes", "shared/save", "shared/chart"),
    *("board/tiles", "header/tour"),
    *("player/narration", "player/odds", "player/pointing", "player/sharing"),
    *("player/poster", "player/share", "player/draw"),
    *("group/asking", "group/columns", "group/what_if"),
    *(f"group/segment/{name}" for name in ("region", "card", "strip", "pictures", "drawer")),
    *("group/grid", "group/figures", "group/point", "group/order", "group/following", "group/prompt", "group/address"),
)
# Of components that share some of their looks
STYLES: Mapping[str, tuple[str, ...]] = dict.fromkeys(("film", "player"), ("shared/stage",))
OWN_MODULES = {"film": ("film/paint", "film/story")}  # of components that not every page has: these bring them
_IMPORT = re.compile(r"^import (\{[^}]*\}) from '[^']+';$", re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async )?(?:function|const|class) (\w+))", re.MULTILINE)

_COMMENT = re.compile(r"^ *(?:/\*\*(?:(?!\*/).)*\*/|//[^\n]*)\n", re.MULTILINE | re.DOTALL)  # whole lines only


def component(name: str, *, value: Any = None, **props: Any) -> gr.HTML:
    """The component of the folder ``name``."""
    template, style = read(f"{name}/{name}.html"), style_of(name)
    for text in (template, style):
        assert not any(mark in text for mark in _EVALUATED), f"{name}: templates must be static"
    return gr.HTML(
        value,
        html_template=template,
        css_template=style,
        js_on_load="".join(map(_scope, OWN_MODULES.get(name, ()))) + script(f"{name}/{name}"),
        apply_default_css=False,
        **props,
    )


def shared_script(modules: Sequence[str] = MODULES) -> str:
    """The modules as one script that may run again: each in a scope, its exports in ``mm``."""
    return f"globalThis.mm = {{}};\n{''.join(map(_scope, modules))}"


def _scope(module: str) -> str:
    source = script(module)
    names = ", ".join(_EXPORT.findall(source))
    body = _EXPORT.sub("", _IMPORT.sub(r"const \1 = mm;", source))
    return f"(() => {{\n{body}Object.assign(mm, {{ {names} }});\n}})();\n"


def style_of(name: str) -> str:
    """The style of the component ``name``, after what it shares with others."""
    return "".join(read(f"{file}.css") for file in (*STYLES.get(name, ()), f"{name}/{name}"))


def script(name: str) -> str:
    """A script of the folder ``components`` as the page loads it: types and comments stay here."""
    return _COMMENT.sub("", read(f"{name}.js"))


def read(file: str) -> str:
    """A file of the folder ``components``."""
    return (_FOLDER / file).read_text(encoding="utf-8")


def said(event: gr.EventData, name: str) -> Any:
    """What a component's own event says of ``name``; None where it says nothing, or was sent by no component."""
    data = getattr(event, "_data", None)
    return data.get(name) if isinstance(data, dict) else None
