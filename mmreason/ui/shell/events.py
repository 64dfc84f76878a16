"""How the page's events behave: what is open to programs, what waits in which line."""

from __future__ import annotations

from typing import Any

# Progress is shown on no component: Gradio would copy each of them whole at every word that it hears of an event.
PRIVATE: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden", "show_progress_on": []}
AT_ONCE: dict[str, Any] = {**PRIVATE, "queue": False}
WATCHING: dict[str, Any] = {**PRIVATE, "concurrency_id": "watch", "concurrency_limit": None}  # the worker's line
# Each of these has a line of its own, where one at a time is done: it takes time and memory.
HEAVY: dict[str, Any] = {**PRIVATE, "concurrency_id": "heavy", "concurrency_limit": None}
WRITING: dict[str, Any] = {**PRIVATE, "concurrency_id": "files", "concurrency_limit": None}
CHECKING: dict[str, Any] = {**PRIVATE, "concurrency_id": "handed", "concurrency_limit": None}
CHANGING: dict[str, Any] = {**PRIVATE, "trigger_mode": "always_last"}
AS_TYPED: dict[str, Any] = {"preprocess": False}
"""Values as they came, for handlers that check them: of a number out of its range Gradio would say so in a toast."""
