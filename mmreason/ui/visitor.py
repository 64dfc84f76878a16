"""Who a visitor is: a random token that the browser keeps, and only the browser.

Gradio encrypts it there with a key that it sends to every visitor.  So the key is no secret and protects nothing: it
only has to stay as it is, for the browser to read what it kept.
"""

from __future__ import annotations

import logging
import os

import gradio as gr

from mmreason.ui import runtime
from mmreason.ui.settings import name_of, read_settings

PLACE = "mmreason-visitor"  # where the browser keeps it
EARLIER_FILE = ".secret"  # beside the runs, where servers before kept a key that they had made
EARLIER_SETTING = "MMREASON_SECRET"


def visitor_state() -> gr.BrowserState:
    """The token of the visitor; empty until the tab Train has given one."""
    return gr.BrowserState("", storage_key=PLACE, secret=storage_key())


def storage_key() -> str:
    """The setting; where it is not set, the key that an earlier server made, so that nobody loses their runs."""
    if os.environ.get(EARLIER_SETTING):
        logging.getLogger(__name__).warning(
            "%s is not used any more, as it was sent to every visitor; if that does no harm, give %s the same value, "
            "or visitors lose sight of their runs",
            *(EARLIER_SETTING, name_of("storage_key")),
        )
    settings = read_settings()
    if settings.storage_key == type(settings)().storage_key:
        try:
            return (runtime.page_runs_folder() / EARLIER_FILE).read_text(encoding="utf-8") or settings.storage_key
        except (OSError, ValueError):
            pass
    return settings.storage_key
