"""A visitor's state in gradio, kept small: without the copy of every component that its deep links want.

Gradio describes all components of the page anew for each session, in the server's one event loop, and keeps what they
show.  That takes a tenth of a second and a megabyte for each visitor and each call of an endpoint, for links that this
page does not use: its own stand in the query and outlive a restart.

There are so many of them at most.  Gradio lets go the one that was used longest ago, so that anybody could end what
others see, with events that pass no queue.  Here those go first whose page is closed.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from gradio import routes, state_holder

from mmreason.ui.host.arrivals import SESSION
from mmreason.ui.host.web.presence import PRESENCE


class LeanSession(state_holder.SessionState):
    """The state alone."""

    def __init__(self, blocks: Any) -> None:
        super().__init__(SimpleNamespace(default_config=blocks.default_config, blocks={}))  # type: ignore[arg-type]
        self.blocks_config.config_for_block = lambda *_: {}  # type: ignore[method-assign]


class Sessions(state_holder.StateHolder):
    """The states of all sessions; for want of room those go first that hold no connection open."""

    def __getitem__(self, session_id: str) -> state_holder.SessionState:
        if not SESSION.fullmatch(session_id):  # as long as a request, it would take as much memory
            return state_holder.SessionState(self.blocks)
        return super().__getitem__(session_id)

    def update(self, session_id: str) -> None:
        """Note that the session is used, and make room beside it."""
        with self.lock:
            if session_id in self.session_data:
                self.session_data.move_to_end(session_id)
            while len(self.session_data) > self.capacity:
                others = [each for each in self.session_data if each != session_id]
                gone = next((each for each in others if not PRESENCE.is_here(each)), others[0])
                del self.session_data[gone]
                self.time_last_used.pop(gone, None)


def keep_sessions_small() -> None:
    """From now on new sessions are of this kind, and new servers hold them so."""
    state_holder.SessionState = LeanSession  # type: ignore[misc]
    routes.StateHolder = Sessions  # type: ignore[misc]
