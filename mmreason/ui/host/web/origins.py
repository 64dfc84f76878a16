"""What pages of other sites may do here: call the endpoints, as anybody may, but not in the name of a visitor."""

from __future__ import annotations

from typing import Any

from gradio import routes
from gradio.route_utils import CustomCORSMiddleware

NOT_FROM_ELSEWHERE = "a checkpoint can be pushed from this page only"
_CREDENTIALS = "Access-Control-Allow-Credentials"


class NoCredentials(CustomCORSMiddleware):
    """Gradio's headers for other sites, without the one that lets browsers add cookies; the page itself needs none."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        for headers in (self.preflight_headers, self.simple_headers):
            headers.pop(_CREDENTIALS, None)


def let_no_site_use_cookies() -> None:
    """From now on new servers answer so."""
    routes.CustomCORSMiddleware = NoCredentials  # type: ignore[misc]


def is_from_elsewhere(request: Any) -> bool:
    """Does the browser say that another site's page sends this?  Programs say nothing of the kind."""
    return request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none")
