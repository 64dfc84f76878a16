"""A stand-in for the package ``spaces`` on ZeroGPU, for a process that has this folder on its path.

As the real one (0.51) does: a decorated function runs in a thread of a forked process, what it is given and what it
returns is pickled, its time is asked for beforehand, and of an error only the name of its class comes back.
``LENT_LOG`` names a file that gets the seconds asked for, a line a call.
"""

from __future__ import annotations

import inspect
import multiprocessing
import os
import pickle
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import wraps
from pathlib import Path
from typing import Any

FORK = multiprocessing.get_context("fork")


def GPU(duration: Callable[..., int]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The decorator; generators, which the page uses for other things, are left as they are."""

    def decorate(task: Callable[..., Any]) -> Callable[..., Any]:
        if inspect.isgeneratorfunction(task):
            return task

        @wraps(task)
        def lent(*args: Any) -> Any:
            with Path(os.environ["LENT_LOG"]).open("a") as log:
                log.write(f"{duration(*args)}\n")
            receiver, sender = FORK.Pipe(duplex=False)
            worker = FORK.Process(target=_work, args=(task, pickle.dumps(args), sender), daemon=True)
            worker.start()
            sender.close()
            try:
                is_right, value = pickle.loads(receiver.recv_bytes())
            except EOFError:
                raise RuntimeError("GPU task aborted") from None
            finally:
                worker.join()
            if not is_right:
                raise RuntimeError(value)
            return value

        return lent

    return decorate


def _work(task: Callable[..., Any], args: bytes, sender: Any) -> None:
    with ThreadPoolExecutor() as executor:
        try:
            result = True, executor.submit(task, *pickle.loads(args)).result()
        except Exception as error:
            result = False, type(error).__name__
    sender.send_bytes(pickle.dumps(result))
