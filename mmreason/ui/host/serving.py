"""How the page is served: the options of ``launch``, and a plain answer to API calls that name no endpoint."""

from __future__ import annotations

import json
import logging
from typing import Any

from starlette.middleware import Middleware

from mmreason.places import ASSETS
from mmreason.ui.host.settings import MB, Settings
from mmreason.ui.host.web.addresses import OwnAddresses
from mmreason.ui.host.web.bodies import BoundBodies, refusal
from mmreason.ui.host.web.compress import Compress
from mmreason.ui.host.web.documents import ServeDocuments
from mmreason.ui.host.web.origins import let_no_site_use_cookies
from mmreason.ui.host.web.page import KeepPage
from mmreason.ui.host.web.presence import WatchPresence
from mmreason.ui.host.web.routes import OnlyUsed
from mmreason.ui.host.web.sheets import ServeSheets
from mmreason.ui.host.web.uploads import RoomForUploads
from mmreason.ui.shell.component import shared_script
from mmreason.ui.shell.theme import CSS, FORCED, theme

UNKNOWN = "There is no such endpoint, or it has no such parameter; /gradio_api/info names all of them."


class PlainRefusals:
    """Answers 422 in JSON where gradio lets an unknown endpoint or parameter end as 500."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """One request; only calls of endpoints are watched."""
        if scope["type"] != "http" or "/call/" not in scope["path"]:
            await self.app(scope, receive, send)
            return
        begun = False

        async def note(message: Any) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self.app(scope, receive, note)
        except (KeyError, TypeError, ValueError, AttributeError):
            if begun:
                raise
            logging.getLogger(__name__).info("unknown endpoint or parameter")
            await refusal(422, "application/json", json.dumps({"error": UNKNOWN}).encode())(scope, receive, send)


LAYERS = (
    *(ServeSheets, ServeDocuments, OwnAddresses, Compress, KeepPage, WatchPresence),
    *(OnlyUsed, BoundBodies, RoomForUploads, PlainRefusals),
)


def launch_options(settings: Settings) -> dict[str, Any]:
    """The options of ``launch`` besides the address; what gradio has no option for is set here as well."""
    let_no_site_use_cookies()
    return {
        "theme": theme(),
        "css": CSS,
        "head": f"<script>{shared_script()}</script><style>{FORCED}</style>",
        "max_file_size": settings.max_upload_mb * MB,
        "max_threads": settings.max_threads,
        "enable_monitoring": False,
        "allowed_paths": [str(ASSETS)],
        "state_session_capacity": settings.max_sessions,
        "footer_links": [],
        "ssr_mode": False,
        "mcp_server": bool(settings.mcp),
        "app_kwargs": {"middleware": [Middleware(layer) for layer in LAYERS]},
    }
