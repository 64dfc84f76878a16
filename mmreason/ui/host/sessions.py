"""A visitor's state in gradio, kept small: without the copy of every component that its deep links want.

Gradio describes all components of the page anew for each session, in the server's one event loop, and keeps what they
show.  That takes a tenth of a second and a megabyte for each visitor and each call of an endpoint, for links that this
page does not use: its own stand in the query and outlive a restart.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from gradio import state_holder


class LeanSession(state_holder.SessionState):
    """The state alone."""

    def __init__(self, blocks: Any) -> None:
        super().__init__(SimpleNamespace(default_config=blocks.default_config, blocks={}))  # type: ignore[arg-type]
        self.blocks_config.config_for_block = lambda *_: {}  # type: ignore[method-assign]


def keep_sessions_small() -> None:
    """From now on new sessions are of this kind."""
    state_holder.SessionState = LeanSession  # type: ignore[misc]
