"""Colours and type of the page: one set of variables for light and for dark.

Words are indigo and pictures amber wherever they appear; everything else is neutral.
"""

from __future__ import annotations

from pathlib import Path

from gradio.themes import Base
from gradio.themes.utils import sizes

LIGHT = {
    "page": "#ffffff",
    "sunken": "#f3f4f6",
    "line": "#e5e7eb",
    "line-strong": "#c9cdd4",
    "block": "#c4c8d0",
    "text": "#16181d",
    "quiet": "#5b6270",
    "words": "#4338ca",
    "words-soft": "#eceafd",
    "words-solid": "#6366f1",
    "picture": "#92500a",
    "picture-soft": "#fdf0d5",
    "picture-solid": "#e59a1a",
    "right": "#11713a",
    "wrong": "#b42318",
    "accent": "#0f6b66",
    "accent-over": "#0b5753",
    "on-accent": "#ffffff",
    "focus": "#0f6b66",
    "arm-joint": "#a02a6b",
    "arm-factorized": "#0f6b66",
}
DARK = {
    "page": "#15171c",
    "sunken": "#20232b",
    "line": "#2b2f39",
    "line-strong": "#444a58",
    "block": "#4a505f",
    "text": "#eceef2",
    "quiet": "#a2a9b8",
    "words": "#a9adff",
    "words-soft": "#2a2b52",
    "words-solid": "#7c80f5",
    "picture": "#f2b04a",
    "picture-soft": "#3e2f14",
    "picture-solid": "#e09a26",
    "right": "#5fd08c",
    "wrong": "#ff8a7d",
    "accent": "#4fb8ae",
    "accent-over": "#6ccbc1",
    "on-accent": "#08201e",
    "focus": "#4fb8ae",
    "arm-joint": "#ef8fc0",
    "arm-factorized": "#4fb8ae",
}


def _variables(colours: dict[str, str]) -> str:
    return " ".join(f"--mm-{name}: {colour};" for name, colour in colours.items())


_HERE = Path(__file__).parent
_AS_IT_IS = {_HERE / "forced.css", _HERE / "root.css"}  # gradio would put a prefix before every selector
_STYLES = sorted(
    {*_HERE.parent.glob("*/*.css")} - _AS_IT_IS, key=lambda path: (path.parent != _HERE, path.name != "page.css", path)
)
_LAYOUT = "\n".join(path.read_text(encoding="utf-8") for path in _STYLES)  # the page's, then those of single tabs
# Figures are saved in light colours, whatever the page is in: they go into papers.
COLOURS = (
    f":root, .mm-light {{ {_variables(LIGHT)} }}\n.mm-light {{ color: var(--mm-text); }}\n"
    f".dark {{ {_variables(DARK)} color-scheme: dark; }}\n:root:has(> body.dark) {{ color-scheme: dark; }}"
)
SHARED = "".join((_HERE / f"{name}.css").read_text(encoding="utf-8") for name in ("figure", "forced", "tour"))
CSS = f"{COLOURS}\n{_LAYOUT}"
FORCED = "".join(path.read_text(encoding="utf-8") for path in sorted(_AS_IT_IS))


def theme() -> Base:
    """Gradio's own parts in the same variables, the system font, nothing fetched from elsewhere."""
    fonts = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "sans-serif"]
    mono = ["ui-monospace", "SFMono-Regular", "Menlo", "monospace"]
    values = {
        "body_background_fill": "var(--mm-page)",
        "body_text_color": "var(--mm-text)",
        "body_text_color_subdued": "var(--mm-quiet)",
        "background_fill_primary": "var(--mm-page)",
        "background_fill_secondary": "var(--mm-sunken)",
        "block_background_fill": "var(--mm-page)",
        "block_border_color": "var(--mm-line)",
        "block_label_text_color": "var(--mm-quiet)",
        "block_title_text_color": "var(--mm-quiet)",
        "block_info_text_color": "var(--mm-quiet)",
        "border_color_primary": "var(--mm-line)",
        "border_color_accent": "var(--mm-accent)",
        "color_accent_soft": "var(--mm-sunken)",
        "input_background_fill": "var(--mm-page)",
        "input_border_width": "1px",
        "input_border_color": "var(--mm-line-strong)",
        "input_border_color_focus": "var(--mm-focus)",
        "button_primary_background_fill": "var(--mm-accent)",
        "button_primary_background_fill_hover": "var(--mm-accent-over)",
        "button_primary_text_color": "var(--mm-on-accent)",
        "button_primary_border_color": "var(--mm-accent)",
        "button_secondary_background_fill": "var(--mm-page)",
        "button_secondary_background_fill_hover": "var(--mm-sunken)",
        "button_secondary_text_color": "var(--mm-text)",
        "button_secondary_border_color": "var(--mm-line-strong)",
        "checkbox_label_background_fill": "var(--mm-page)",
        "checkbox_label_background_fill_hover": "var(--mm-sunken)",
        "checkbox_label_background_fill_selected": "var(--mm-sunken)",
        "checkbox_label_border_width": "1px",
        "checkbox_label_border_color": "var(--mm-line-strong)",
        "checkbox_label_text_color": "var(--mm-text)",
        "checkbox_label_text_color_selected": "var(--mm-text)",
        "checkbox_background_color": "var(--mm-page)",
        "checkbox_background_color_selected": "var(--mm-accent)",
        "checkbox_border_color": "var(--mm-line-strong)",
        "checkbox_border_color_selected": "var(--mm-accent)",
        "slider_color": "var(--mm-accent)",
        "link_text_color": "var(--mm-accent)",
    }
    modes = {f"{name}_dark": value for name, value in values.items()}
    base = Base(font=fonts, font_mono=mono, radius_size=sizes.radius_md)
    known = {name: value for name, value in (values | modes).items() if hasattr(base, name)}
    return base.set(**known, button_border_width="1px", block_border_width="0px", block_shadow="none")
