"""Builds the page and launches it."""

import os
import sys

from mmreason.startup import collect_seldom, open_many

if __name__ == "__main__":
    collect_seldom()
    open_many()
os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")

from mmreason.ui.host import gpu  # isort: skip  (before torch: on ZeroGPU the package spaces must come first)

import threading

from mmreason.errors import ConfigError
from mmreason.ui.host.logs import log_as_json
from mmreason.ui.host.own_tasks import add_host_tasks
from mmreason.ui.host.settings import read_port, read_settings

if __name__ == "__main__":
    try:
        settings, port = read_settings(), read_port()
        add_host_tasks()
    except ConfigError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    log_as_json(settings.log_level)

    from mmreason.ui.host.temporary import hold_gradios_files

    hold_gradios_files()

    from mmreason.ui.host.checkpoints import warm_up
    from mmreason.ui.host.serving import launch_options
    from mmreason.ui.page import build_page

    gpu.announce()
    threading.Thread(target=warm_up, daemon=True).start()
    build_page().launch(server_port=port, **launch_options(settings))
