"""Who a visitor is: a random token that the browser keeps, and only the browser.

Gradio encrypts it there with a key that it sends to every visitor.  So the key is no secret and protects nothing: it
only has to stay as it is, for the browser to read what it kept.
"""

from __future__ import annotations

import ipaddress
import logging
import os
from typing import Any

import gradio as gr
from gradio.context import LocalContext

from mmreason.ui.host import checkpoints
from mmreason.ui.host.settings import name_of, read_settings

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
            return (checkpoints.page_runs_folder() / EARLIER_FILE).read_text(encoding="utf-8") or settings.storage_key
        except (OSError, ValueError):
            pass
    return settings.storage_key


def address_of(request: Any) -> str | None:
    """The address from which a visitor comes, as far as the server was told; None where many may share it.

    Forwarded headers count only where the server trusts who sends them (uvicorn's ``FORWARDED_ALLOW_IPS``).  What is
    left of a proxy that is not trusted is its own address: this machine's, or a private one that forwards.
    """
    client = getattr(request, "client", None)
    try:
        address = ipaddress.ip_address(str(client.host).partition("%")[0])  # type: ignore[union-attr]
    except (AttributeError, ValueError):
        return None
    if address.is_loopback or (address.is_private and "x-forwarded-for" in request.headers):
        return None
    if address.version == 6:  # a household has 2⁶⁴ of them
        return str(ipaddress.ip_network((address, 64), strict=False).network_address)
    return str(address)


def asking() -> str:
    """Whose event of the page is being handled: the address if it is known, else the session; empty outside of one."""
    return address_of(LocalContext.request.get(None)) or session_asking()


def session_asking() -> str:
    """The session whose event is being handled; empty outside of one."""
    request = LocalContext.request.get(None)
    return "" if request is None else str(request.session_hash)
