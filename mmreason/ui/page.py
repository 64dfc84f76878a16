"""The whole page: header and tabs."""

from __future__ import annotations

import gradio as gr

from mmreason.ui.about import footer_value, header_value
from mmreason.ui.api import ENDPOINTS, connect_api
from mmreason.ui.cost.tab import build_cost
from mmreason.ui.crossing import connect_checkpoints, connect_studio, connect_tabs, connect_trained
from mmreason.ui.health import build_words
from mmreason.ui.host.arrivals import bound_arrivals
from mmreason.ui.host.logs import log_faults_barely
from mmreason.ui.host.remote import fetch_nothing
from mmreason.ui.host.sessions import keep_sessions_small
from mmreason.ui.host.temporary import KEPT_SECONDS
from mmreason.ui.host.visitor import visitor_state
from mmreason.ui.inspect.tab import build_inspect
from mmreason.ui.results.tab import build_results
from mmreason.ui.shell.component import component
from mmreason.ui.shell.events import PRIVATE
from mmreason.ui.train.kept import kept_state
from mmreason.ui.train.tab import build_train
from mmreason.ui.watch.mind import build_mind
from mmreason.ui.watch.studio.tab import build_studio
from mmreason.ui.watch.tab import build_watch
from mmreason.ui.watch.trio import build_trio

TITLE = "mmreason"


def build_page() -> gr.Blocks:
    """The page, its queue set up: bounded lines, no open endpoints."""
    with gr.Blocks(title=TITLE, analytics_enabled=False, delete_cache=(1800, KEPT_SECONDS)) as page:
        component("header", value=header_value(ENDPOINTS), elem_id="header")
        visitor, form = visitor_state(), kept_state()  # out of the tabs: one that has not been opened reads nothing
        with gr.Tabs() as tabs:
            with gr.Tab("Watch", id="watch"):
                watch = build_watch(page, visitor)
                build_trio(watch)
                build_mind(watch, page)
                studio = build_studio(watch, page)
            with gr.Tab("Inspect", id="inspect"):
                inspect = build_inspect(page, visitor)
            with gr.Tab("Train", id="train") as tab:
                train = build_train(page, tab, visitor, form)
            with gr.Tab("Cost", id="cost") as tab:
                build_cost(page, tab)
            with gr.Tab("Results", id="results") as tab:
                build_results(tab)
        footer = component("footer", value=footer_value(), elem_id="footer")
        page.load(lambda: footer_value(build_words()), None, footer, **PRIVATE)
        connect_api()
        connect_tabs(page, tabs, watch, inspect)
        if studio is not None:
            connect_studio(tabs, studio, inspect)
        connect_checkpoints(train, watch, inspect)
        connect_trained(tabs, train, watch, inspect)
    keep_sessions_small()
    fetch_nothing()
    log_faults_barely()
    page.queue(api_open=False, default_concurrency_limit=4)
    bound_arrivals(page)
    return page
