"""Builds the page and launches it."""

import os

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

import threading

from mmreason.ui.page import build_page
from mmreason.ui.runtime import ASSETS, warm_up
from mmreason.ui.theme import CSS, theme

if __name__ == "__main__":
    threading.Thread(target=warm_up, daemon=True).start()
    build_page().launch(
        theme=theme(),
        css=CSS,
        max_file_size="8mb",
        enable_monitoring=False,
        allowed_paths=[str(ASSETS)],
        state_session_capacity=500,
        footer_links=[],
        ssr_mode=False,
    )
