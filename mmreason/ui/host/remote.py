"""Files that an event names by an address on the web: none is fetched.

Gradio would fetch whatever address stands in a value of any event, whole and of any size, past all limits of uploads.
"""

from __future__ import annotations

from typing import Any

import gradio as gr
from gradio import processing_utils
from gradio_client.utils import is_http_url_like

NOT_FETCHED = "a file must be uploaded first; no address is fetched"


def fetch_nothing() -> None:
    """From now on gradio refuses to fetch, for events that wait in its queue and for those that do not."""
    processing_utils.async_ssrf_protected_download = _refuse
    processing_utils.async_ssrf_protected_get = _refuse


async def _refuse(*_: Any, **__: Any) -> Any:
    raise gr.Error(f"{NOT_FETCHED[:1].upper()}{NOT_FETCHED[1:]}.", print_exception=False)


def names_remote_file(data: Any) -> bool:
    """Does any value in ``data`` name a file by an address?"""
    left = [data]
    while left:
        value = left.pop()
        if isinstance(value, dict):
            if "meta" in value and is_http_url_like(value.get("path")):
                return True
            left.extend(value.values())
        elif isinstance(value, list | tuple):
            left.extend(value)
    return False
