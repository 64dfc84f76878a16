"""What the server sends to everybody holds nothing that only its host may know."""

import json

import httpx
import pytest

from mmreason.ui.host import visitor
from mmreason.ui.host.settings import Settings, name_of
from tests.helpers.browser import launched

CANARIES = {
    name: f"canary-of-{name}"
    for name in (visitor.EARLIER_SETTING, "HF_TOKEN", "OAUTH_CLIENT_SECRET", "AWS_SECRET_ACCESS_KEY")
}
SENT = ("", "config", "gradio_api/info", "gradio_api/openapi.json", "gradio_api/startup-events", "theme.css")


@pytest.fixture
def served(monkeypatch, tmp_path, scripted_server):
    """A page of its own, beside the scripted one, with secrets in the environment and runs of nobody's."""
    for name, value in CANARIES.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv(name_of("runs"), str(tmp_path))
    with launched() as address, httpx.Client(base_url=address, timeout=30) as client:
        yield client


def test_nothing_secret_stands_in_what_everybody_is_sent(served):
    sent = {path: served.get(f"/{path}").text for path in SENT}
    assert "mmreason-visitor" in sent["config"] and "named_endpoints" in sent["gradio_api/info"]
    leaked = [(path, name) for path, text in sent.items() for name, value in CANARIES.items() if value in text]
    assert leaked == []


def test_what_gradio_calls_a_secret_is_the_public_key_of_the_browsers_store(served):
    config = served.get("/config").json()
    called = {
        str(value)
        for part in config["components"]
        for name, value in part["props"].items()
        if any(word in name.lower() for word in ("secret", "token", "password")) and value not in (None, "", False)
    }
    assert called == {Settings().storage_key}


def test_no_setting_is_called_a_secret():
    assert not any("secret" in json.dumps(name_of(name)).lower() for name in Settings.__slots__)  # pyright: ignore
