"""Events as they arrive, bounded before gradio's queue takes them, so that nobody fills it for the others.

Gradio's own ``max_size`` counts all events together.  Here solves have a bound of their own, and what else arrives is
bounded for each visitor, each kind of event, each address where one is known, and in all.  Only a trace may be large,
and large ones are bounded by their bytes as well, since what waits is kept.
"""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from typing import Any

import gradio as gr

from mmreason.ui.host.answers import bound_answers, pending_events
from mmreason.ui.host.remote import NOT_FETCHED, names_remote_file
from mmreason.ui.host.settings import MB, Settings, read_settings
from mmreason.ui.host.visitor import address_of
from mmreason.ui.host.web.bodies import LARGEST, OF_AN_ADDRESS, SIZE
from mmreason.ui.host.web.origins import NOT_FROM_ELSEWHERE, is_from_elsewhere

SOLVES = ("watch", "api-solve")  # concurrency ids: these wait in the worker's line
SESSION_EVENTS = 40  # of one visitor; the page sends about fifteen as it opens
SOLVES_ON_TOP = 16  # above the places of the worker's line, which says itself in a sentence that it is full
TAKES_TRACE = "inspect"  # the endpoint whose events may be large
TO_HUB = "on_push"  # the event that acts in the name of who is signed in
LARGE = MB  # bytes of an event that is
SESSION = re.compile(r"[\w.-]{1,64}", re.ASCII)  # as gradio's page and clients name theirs
LOOK_SECONDS = 0.01  # between two looks at the queue; gradio's own thousand a second take a tenth of a core at rest
FULL = "too many events wait here already; please try again in a minute"
NO_TEXT = "text must consist of whole characters; this contains half of one"
NO_SESSION = "session_hash must be 1 to 64 letters, digits, dots, - or _"
NO_SUCH_EVENT = "there is no such event; it may be of an earlier version of this page: reload it"
TOO_LARGE = f"an event may have at most {LARGE // MB} MB; only what is sent to /{TAKES_TRACE} may have more"
TOO_MANY = f"more than {SESSION_EVENTS} of your events wait here already; please wait for some of them"


def bound_arrivals(page: gr.Blocks) -> None:
    """Ask of each event whether there is room before the queue of ``page`` takes it; the answer to others is 503."""
    queue: Any = page._queue
    push = queue.push
    queue.ANAYLTICS_CACHE_FREQUENCY = sys.maxsize  # of statistics that nobody sees, made anew after each event
    queue.ANALYTICS_MAX_EVENTS = 1
    queue.sleep_when_free = LOOK_SECONDS
    answers = bound_answers(queue)

    async def bounded(body: Any, request: Any, username: Any) -> Any:
        if body.fn_index is not None:
            if body.fn_index not in queue.blocks.fns:  # gradio would raise
                return False, NO_SUCH_EVENT, "error"
            if queue.blocks.fns[body.fn_index].api_name == TO_HUB and is_from_elsewhere(request):
                return False, NOT_FROM_ELSEWHERE, "error"
            if _size(request) > LARGE and queue.blocks.fns[body.fn_index].api_name != TAKES_TRACE:
                return False, TOO_LARGE, "error"
        if body.session_hash is not None and not SESSION.fullmatch(body.session_hash):
            return False, NO_SESSION, "error"
        if not is_text(body.data):
            return False, NO_TEXT, "error"
        if names_remote_file(body.data):
            return False, NOT_FETCHED, "error"
        says = refusal(queue, body, request, read_settings())
        if says:
            return False, says, "queue_full"
        answer = await push(body, request, username)
        if answer[0] and body.session_hash is not None:
            answers.count(body.session_hash, _size(request))  # gradio has given one to who had none
        return answer

    queue.push = bounded


def is_text(data: Any) -> bool:
    """Can ``data`` be sent back?  Half a character, which JSON may hold, ends the stream that it is sent on."""
    try:
        json.dumps(data, ensure_ascii=False, default=str).encode()
    except UnicodeEncodeError:
        return False
    except RecursionError:  # whoever reads it says so
        pass
    return True


def refusal(queue: Any, body: Any, request: Any, settings: Settings) -> str:
    """Why there is no room for the event, or nothing."""
    function = queue.blocks.fns.get(body.fn_index)
    if function is None:  # it is refused for another reason
        return ""
    kind, pending = function.concurrency_id, list(pending_events(queue))
    if body.session_hash is not None:
        of_theirs = sum(event.session_hash == body.session_hash for event in pending)
        if of_theirs >= SESSION_EVENTS:
            return TOO_MANY
    if _size(request) > LARGE and not has_room_for(request, pending, settings.max_request_mb * MB):
        return FULL
    kinds = Counter(event.concurrency_id for event in pending)
    solves = sum(kinds[name] for name in SOLVES)
    if kind in SOLVES:
        return FULL if solves >= settings.max_batch + settings.max_waiting + SOLVES_ON_TOP else ""
    others = len(pending) - solves
    if others >= settings.max_queue or kinds[kind] >= settings.max_queue // 4:
        return FULL
    if others >= settings.max_queue // 2 and (address := address_of(request)) is not None:
        from_there = sum(address_of(event.request) == address for event in pending)
        return FULL if from_there >= settings.max_queue // 2 else ""
    return ""


def has_room_for(request: Any, pending: list[Any], largest: int) -> bool:
    """May the large ``request`` wait beside those that wait already, where one has at most ``largest`` bytes?"""
    sizes: Counter[str | None] = Counter()
    for each in [request, *(event.request for event in pending)]:
        if (size := _size(each)) > LARGE:
            sizes[address_of(each)] += size
    address = address_of(request)
    of_theirs = 0 if address is None else sizes[address]
    return sizes.total() <= LARGEST * largest and of_theirs <= OF_AN_ADDRESS * largest


def _size(request: Any) -> int:
    return request.scope.get(SIZE, 0)
