"""The endpoints as tools over MCP, where the extra is installed: ``pip install "gradio[mcp]==6.31.0"``."""

from __future__ import annotations

import sys

import pytest

from mmreason.commands.make.screenshots import free_port, served
from tests.helpers.apart import run_apart
from tests.helpers.browser import ROOT
from tests.ui.test_api import ENDPOINTS

mcp = pytest.importorskip("mcp", reason="needs the extra gradio[mcp]")


@pytest.fixture
def tools(monkeypatch):
    """A function that calls a tool of the real app, or lists the tools."""
    from mcp.client.streamable_http import streamablehttp_client

    monkeypatch.setenv("MMREASON_MCP", "1")
    with served([sys.executable, str(ROOT / "app.py")], free_port()) as address:

        async def ask(name=None, arguments=None):
            async with (
                streamablehttp_client(f"{address}/gradio_api/mcp/") as (read, write, _),
                mcp.ClientSession(read, write) as session,
            ):
                await session.initialize()
                return await (session.call_tool(name, arguments) if name else session.list_tools())

        yield lambda *asked: run_apart(ask(*asked))


def test_every_endpoint_is_a_tool_and_wrong_values_are_told(tools):
    named = {tool.name: tool for tool in tools().tools}
    assert len(named) == len(ENDPOINTS)
    assert all(any(name.strip("/") in tool for tool in named) for name in ENDPOINTS)
    assert all(tool.description for tool in named.values())
    daily = next(name for name in named if name.endswith("daily"))
    assert "993896" in tools(daily, {"date": "2026-11-24"}).content[0].text
    refused = tools(daily, {"date": "yesterday"})
    assert refused.isError and "Date must be like" in refused.content[0].text
