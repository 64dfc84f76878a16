"""Settings come from the environment, are refused with their name, and README has the same table."""

import socket
import sys
from dataclasses import fields
from importlib.metadata import version
from pathlib import Path

import pytest

from mmreason.errors import ConfigError
from mmreason.ui.host.serving import launch_options
from mmreason.ui.host.settings import PORT, Settings, name_of, read_port, read_settings, table

README = Path(__file__).parents[3] / "mmreason" / "ui" / "README.md"
INSTALL = f"pip install 'gradio[mcp]=={version('gradio')}'"


def test_readme_has_the_same_table():
    begin, end = "<!-- settings -->\n", "\n<!-- /settings -->"
    assert README.read_text().partition(begin)[2].partition(end)[0] == table()


def test_without_an_environment_all_is_as_the_code_has_it(monkeypatch):
    for field in fields(Settings):
        monkeypatch.delenv(name_of(field.name), raising=False)
    assert read_settings() == Settings()


def test_the_environment_says_otherwise(monkeypatch):
    monkeypatch.setenv("MMREASON_MAX_BATCH", "5")
    monkeypatch.setenv("MMREASON_RUNS", "/somewhere")
    assert (read_settings().max_batch, read_settings().runs) == (5, "/somewhere")
    assert read_settings().max_threads == 40 + 5 + 64 + 32


@pytest.mark.parametrize("value", ["0", "257", "-1", "many", "1.5", "٣", "9" * 40, "000000001" + "9" * 9])
def test_a_wrong_number_is_refused_with_its_name_and_limits(monkeypatch, value):
    monkeypatch.setenv("MMREASON_MAX_BATCH", value)
    with pytest.raises(ConfigError, match="MMREASON_MAX_BATCH must be a whole number from 1 to 256"):
        read_settings()


def test_mcp_without_its_extra_is_refused_with_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "mcp", None)  # as where it is not installed
    monkeypatch.setenv("MMREASON_MCP", "1")
    with pytest.raises(ConfigError) as refused:
        read_settings()
    assert str(refused.value) == f"MMREASON_MCP=1 needs an extra: {INSTALL}"
    assert INSTALL.replace("'", '"') in README.read_text()


def test_mcp_is_off_unless_asked_for(monkeypatch):
    monkeypatch.setenv("GRADIO_MCP_SERVER", "True")
    assert launch_options(Settings())["mcp_server"] is False
    assert launch_options(Settings(mcp=1))["mcp_server"] is True


def test_a_wrong_level_is_refused(monkeypatch):
    monkeypatch.setenv("MMREASON_LOG_LEVEL", "LOUD")
    with pytest.raises(ConfigError, match="MMREASON_LOG_LEVEL must be one of DEBUG"):
        read_settings()


@pytest.mark.parametrize("port", ["abc", "0", "65536", "-1", "7860.5", "٣", "9" * 30, "000000001" + "9" * 9])
def test_a_wrong_port_is_refused_with_its_name(monkeypatch, port):
    monkeypatch.setenv(PORT, port)
    with pytest.raises(ConfigError, match="GRADIO_SERVER_PORT must be a whole number from 1 to 65535, got"):
        read_port()


def test_a_port_that_is_taken_is_refused_and_a_free_one_is_taken(monkeypatch):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        monkeypatch.setenv(PORT, str(port))
        with pytest.raises(ConfigError, match=f"port {port} is taken by another program; set GRADIO_SERVER_PORT"):
            read_port()
    assert read_port() == port


def test_an_address_that_is_not_this_machines_is_refused(monkeypatch):
    monkeypatch.setenv("GRADIO_SERVER_NAME", "192.0.2.1")  # of no machine
    with pytest.raises(ConfigError, match=r"port \d+ of '192.0.2.1' cannot be served"):
        read_port()
