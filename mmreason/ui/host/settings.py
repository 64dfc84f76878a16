"""The page's limits and places, each from an environment variable ``MMREASON_…``; ``ui/README.md`` lists them."""

from __future__ import annotations

import errno
import os
import socket
from dataclasses import dataclass, fields
from dataclasses import field as dataclass_field
from importlib.metadata import version
from importlib.util import find_spec

from mmreason.disk import one_line, reason_of
from mmreason.errors import ConfigError

MB = 1_000_000  # bytes, wherever a setting says megabytes
PREFIX = "MMREASON_"
PORT = "GRADIO_SERVER_PORT"


def _limit(default: int, low: int, high: int, says: str) -> int:
    return dataclass_field(default=default, metadata={"low": low, "high": high, "says": says})


def _place(default: str, says: str) -> str:
    return dataclass_field(default=default, metadata={"says": says})


@dataclass(frozen=True, slots=True)
class Settings:
    """What the host of the page may set; ``read_settings`` takes them from the environment."""

    max_batch: int = _limit(32, 1, 256, "puzzles that are solved at the same time")
    max_waiting: int = _limit(
        64, 0, 1024, "visitors in line for a place in that batch; later visitors are turned away"
    )
    max_queue: int = _limit(256, 16, 4096, "page events that may wait, besides solves; at most a quarter of one kind")
    visitor_solves: int = _limit(8, 1, 1024, "solves that one visitor may have waiting or running")
    address_solves: int = _limit(48, 1, 2048, "the same, for all visitors from one address")
    max_heavy: int = _limit(
        32, 1, 1024, "measurements, races, rollouts and the like that may wait or run; as many files, read or written"
    )
    address_heavy: int = _limit(8, 1, 1024, "the same, for all visitors from one address")
    max_sessions: int = _limit(500, 10, 100_000, "visitors whose last run the page remembers")
    max_upload_mb: int = _limit(8, 1, 32, "size of an uploaded file, in megabytes")
    max_request_mb: int = _limit(
        20, 1, 256, "size of any other request, in megabytes; the longest trace takes 8 to 16, a page event at most 1"
    )
    max_checkpoint_mb: int = _limit(200, 1, 10_000, "size of a checkpoint from the Hub, in megabytes")
    max_temporary_mb: int = _limit(
        2000,
        50,
        10**7,
        "size of all uploads and downloads, in megabytes; then the oldest go; one address uploads a quarter",
    )
    max_trainings: int = _limit(1, 0, 64, "trainings at the same time")
    max_runs: int = _limit(64, 1, 10_000, "trainings that may wait or run, over all visitors")
    address_runs: int = _limit(16, 1, 10_000, "the same, for all visitors from one address")
    run_rollouts: int = _limit(320_000, 1, 10**9, "rollouts of one run, over all its steps, evaluations and arms")
    run_minutes: int = _limit(240, 1, 10**5, "minutes after which a run is stopped; Resume puts it behind the others")
    run_mb: int = _limit(2000, 1, 10**6, "size of one run, in megabytes, beyond which it is stopped")
    visitor_runs: int = _limit(4, 1, 1000, "runs that one visitor may have waiting or running")
    visitor_steps: int = _limit(2000, 1, 10**6, "total steps of these runs")
    visitor_mb: int = _limit(600, 0, 10**6, "size of all runs of one visitor, in megabytes")
    slice_seconds: int = _limit(60, 1, 110, "seconds of a training slice on a GPU that is lent per call")
    runs_mb: int = _limit(
        4000,
        0,
        10**7,
        "size of all finished runs, in megabytes; beyond it the oldest of the visitor who holds most are deleted",
    )
    runs_days: int = _limit(7, 0, 10**4, "days after which a finished run is deleted")
    code: str = _place(
        "", "address of the code, which the page links to (https://…); on a Space it is the Space’s own"
    )
    checkpoints: str = _place("", "folder of checkpoints instead of `checkpoints`")
    runs: str = _place("", "folder of training runs instead of `runs`; the page keeps its own in the subfolder `page`")
    tasks: str = _place(
        "", "tasks of one's own beside the built-in ones, as `FILE.py:CLASS` or `data:FOLDER`, separated by commas"
    )
    rollouts: str = _place(
        "", "folder whose files of rollouts every visitor may open in Inspect and follow; none by default"
    )
    hub_checkpoints: str = _place(
        "",
        "checkpoints of the Hub to offer, as `owner/name`, separated by commas; each is fetched when first needed",
    )
    storage_key: str = _place(
        "mmreason",
        "where a browser keeps its visitor's token and Train's form; not a secret; changing it gives everyone a new "
        "token",
    )
    mcp: int = _limit(0, 0, 1, "1 offers the endpoints to agents over MCP; needs the extra `gradio[mcp]`")
    log_level: str = _place("INFO", "what is logged: `DEBUG`, `INFO`, `WARNING` or `ERROR`")

    @property
    def max_threads(self) -> int:
        """Events that go on at once: those that watch or wait, for a solve or heavy work, and forty of all others."""
        return 40 + self.max_batch + self.max_waiting + self.max_heavy


def name_of(field: str) -> str:
    """The environment variable of a setting."""
    return PREFIX + field.upper()


def read_settings() -> Settings:
    """The settings as the environment has them now; raises ConfigError that names the variable."""
    values = {}
    for field in fields(Settings):
        text = os.environ.get(name_of(field.name), "").strip()
        if text:
            values[field.name] = text if isinstance(field.default, str) else _whole(field, text)
    if values.get("mcp") and find_spec("mcp") is None:
        raise ConfigError(f"{name_of('mcp')}=1 needs an extra: pip install 'gradio[mcp]=={version('gradio')}'")
    level = values.get("log_level", "INFO")
    if level not in LOG_LEVELS:
        raise ConfigError(f"{name_of('log_level')} must be one of {', '.join(LOG_LEVELS)}, got {level[:20]!r}")
    return Settings(**values)


def read_port() -> int:
    """The port that the page is served at, a free one; raises ConfigError that names it.

    gradio would end with a traceback, or take the next port that is free: a proxy would serve another server.
    """
    text = os.environ.get(PORT, "").strip() or "7860"
    port = _digits(text)
    if port is None or not 1 <= port <= 65535:
        raise ConfigError(f"{PORT} must be a whole number from 1 to 65535, got {text[:20]!r}")
    address = os.environ.get("GRADIO_SERVER_NAME", "").strip() or "127.0.0.1"
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(address, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            if os.name != "nt":  # there it would take what another has
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(place)
    except (OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
            raise ConfigError(f"port {port} is taken by another program; set {PORT} to one that is free") from None
        raise ConfigError(f"port {port} of {one_line(address, 60)!r} cannot be served: {reason_of(error)}") from None
    return port


LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")


def _whole(field, text: str) -> int:
    low, high = field.metadata["low"], field.metadata["high"]
    found = _digits(text)
    if found is None or not low <= found <= high:
        raise ConfigError(f"{name_of(field.name)} must be a whole number from {low} to {high}, got {text[:20]!r}")
    return found


def _digits(text: str) -> int | None:
    """The number that ``text`` writes in a few digits 0 to 9; None for anything else."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 18 else None


def table() -> str:
    """The settings as the table in ``mmreason/ui/README.md``."""
    rows = ["| Setting | Default | Meaning |", "|---|---|---|"]
    for field in fields(Settings):
        shown = f"`{field.default}`" if field.default != "" else "none"
        limits = f" ({field.metadata['low']} to {field.metadata['high']})" if "low" in field.metadata else ""
        rows.append(f"| `{name_of(field.name)}` | {shown} | {field.metadata['says']}{limits} |")
    return "\n".join(rows)
