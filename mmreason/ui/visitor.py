"""Who a visitor is: a random token that the browser keeps, encrypted with a secret that outlives the server."""

from __future__ import annotations

import os
import secrets

import gradio as gr

from mmreason.errors import ConfigError
from mmreason.ui import runtime
from mmreason.ui.runs import locked
from mmreason.ui.settings import read_settings

STORAGE_KEY = "mmreason-visitor"
SECRET_FILE = ".secret"


def visitor_state() -> gr.BrowserState:
    """The token of the visitor; empty until the tab Train has given one."""
    return gr.BrowserState("", storage_key=STORAGE_KEY, secret=secret())


def secret() -> str:
    """From the environment, or made once and kept beside the runs; else of this process alone."""
    given = read_settings().secret
    if given:
        return given
    try:
        with locked():
            path = runtime.page_runs_folder() / SECRET_FILE
            if not path.exists():
                with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
                    file.write(secrets.token_urlsafe(32))
            return path.read_text(encoding="utf-8") or secrets.token_urlsafe(32)
    except ConfigError:
        return secrets.token_urlsafe(32)
