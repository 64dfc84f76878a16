"""Tasks that the host adds to the built-in ones, for the page and for the commands that it starts."""

from __future__ import annotations

from mmreason.errors import ConfigError, MMReasonError
from mmreason.tasks.own import known
from mmreason.ui.host.settings import name_of, read_settings


def add_host_tasks() -> list[str]:
    """Make them known; their names.  Raises ConfigError that names the variable and what is wrong with the task."""
    try:
        return [known(part) for text in read_settings().tasks.split(",") if (part := text.strip())]
    except MMReasonError as error:
        raise ConfigError(f"{name_of('tasks')}: {error}") from error
