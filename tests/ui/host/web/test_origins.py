"""Pages of other sites call the endpoints without a visitor's cookies, and push nothing in a visitor's name."""

from __future__ import annotations

import gradio as gr
import httpx
import pytest
from gradio.routes import App
from starlette.testclient import TestClient

from mmreason.ui.host.arrivals import TO_HUB, bound_arrivals
from mmreason.ui.host.web.origins import NOT_FROM_ELSEWHERE
from mmreason.ui.train import events

OTHER = {"Origin": "https://other.example", "Host": "me-mmreason.hf.space"}


@pytest.mark.parametrize("method", ["GET", "OPTIONS"])
def test_other_sites_may_call_but_with_no_cookies(scripted_server, method):
    address = f"{scripted_server.address.rstrip('/')}/gradio_api/info"
    asks = OTHER | {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}
    answer = httpx.request(method, address, headers=asks, timeout=60)
    assert answer.status_code == 200 and answer.headers["access-control-allow-origin"] == OTHER["Origin"]
    assert "access-control-allow-credentials" not in answer.headers


def test_a_push_is_taken_from_this_page_alone():
    assert events.on_push.__name__ == TO_HUB

    def on_push() -> None: ...

    def on_other() -> None: ...

    with gr.Blocks() as page:
        for function in (on_push, on_other):
            gr.Button().click(function)
    page.queue()
    bound_arrivals(page)
    client = TestClient(App.create_app(page))

    def sent(number: int, site: str | None) -> tuple[int, str]:
        body = {"data": [], "fn_index": number, "session_hash": "here"}
        headers = {} if site is None else {"sec-fetch-site": site}
        answer = client.post("/gradio_api/queue/join", json=body, headers=headers)
        return answer.status_code, answer.json().get("detail", "")

    for site in ("cross-site", "same-site"):
        assert sent(0, site) == (400, NOT_FROM_ELSEWHERE) and sent(1, site) == (200, "")
    for site in ("same-origin", "none", None):
        assert sent(0, site) == (200, "")
