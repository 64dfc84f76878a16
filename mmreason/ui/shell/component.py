"""Custom components: a static template, style and script in a folder of ``components``, and data only as props.

The template and the style are evaluated by gradio as a template literal, so no data may reach them; the
scripts put every text in by ``textContent``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gradio as gr

_FOLDER = Path(__file__).parents[1] / "components"
_EVALUATED = ("${", "{{", "`", "\\")  # what a template literal or Handlebars would act on
DRAWING = ("shared/canvas", "shared/cards")  # scripts of the components that draw traces


def component(name: str, *, value: Any = None, scripts: tuple[str, ...] = (), **props: Any) -> gr.HTML:
    """The component of the folder ``name``, with ``scripts`` (folder/name) before its own."""
    template, style = (read(f"{name}/{name}.{kind}") for kind in ("html", "css"))
    for text in (template, style):
        assert not any(mark in text for mark in _EVALUATED), f"{name}: templates must be static"
    script = "\n".join(read(f"{part}.js") for part in (*scripts, f"{name}/{name}"))
    return gr.HTML(
        value,
        html_template=template,
        css_template=style,
        js_on_load=script,
        apply_default_css=False,
        **props,
    )


def read(file: str) -> str:
    """A file of the folder ``components``."""
    return (_FOLDER / file).read_text(encoding="utf-8")


def said(event: gr.EventData, name: str) -> Any:
    """What a component's own event says of ``name``; None where it says nothing, or was sent by no component."""
    data = getattr(event, "_data", None)
    return data.get(name) if isinstance(data, dict) else None
