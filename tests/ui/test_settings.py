"""Settings come from the environment, are refused with their name, and README has the same table."""

from dataclasses import fields
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import pytest

from mmreason.errors import ConfigError
from mmreason.ui.serving import launch_options
from mmreason.ui.settings import Settings, name_of, read_settings, table

README = Path(__file__).parents[2] / "README.md"
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


@pytest.mark.parametrize("value", ["0", "257", "-1", "many", "1.5", "٣", "9" * 40])
def test_a_wrong_number_is_refused_with_its_name_and_limits(monkeypatch, value):
    monkeypatch.setenv("MMREASON_MAX_BATCH", value)
    with pytest.raises(ConfigError, match="MMREASON_MAX_BATCH must be a whole number from 1 to 256"):
        read_settings()


@pytest.mark.skipif(find_spec("mcp") is not None, reason="the extra is here")
def test_mcp_without_its_extra_is_refused_with_what_to_install(monkeypatch):
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
