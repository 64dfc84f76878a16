"""Builds the page and launches it."""

import os

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

import threading

from mmreason.ui.page import build_page
from mmreason.ui.runtime import ASSETS, warm_up
from mmreason.ui.settings import read_settings
from mmreason.ui.theme import CSS, theme

if __name__ == "__main__":
    settings = read_settings()
    threading.Thread(target=warm_up, daemon=True).start()
    build_page().launch(
        theme=theme(),
        css=CSS,
        max_file_size=f"{settings.max_upload_mb}mb",
        max_threads=settings.max_threads,
        enable_monitoring=False,
        allowed_paths=[str(ASSETS)],
        state_session_capacity=settings.max_sessions,
        footer_links=[],
        ssr_mode=False,
    )
