"""The queue of trainings: who runs, who is next, and how a run is started, stopped, resumed, deleted, cleaned up.

``advance`` does what is due and may be called by anybody at any time; a thread calls it every second.
"""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from itertools import islice
from pathlib import Path
from threading import Event, Lock, Thread
from threading import enumerate as enumerate_threads
from typing import Any

import psutil

from mmreason import places
from mmreason.disk import append_line, write_whole, writing
from mmreason.errors import CheckpointError, ConfigError, MMReasonError, WriteError
from mmreason.training.rl.presets import TrainSettings
from mmreason.training.run.rundir import STOP_FILE, has_begun
from mmreason.ui.host import checkpoints, gpu
from mmreason.ui.host.settings import MB, read_settings
from mmreason.ui.runs.quota import check_room
from mmreason.ui.runs.state import CUT_SHORT, birth, is_alive, status_of, waits
from mmreason.ui.runs.store import Run, all_runs, change, create, end_of_line, locked, owned, remove, size_of

PERIOD = 1.0  # seconds between two looks at the queue
CLEAN_PERIOD = 600.0
SIZE_PERIOD = 60.0  # seconds between two looks at how much the running ones take
SURE = 3600.0  # seconds for which the clock must call a run too old: one that jumps is set right meanwhile
THREAD = "trainings"
NICENESS = 10  # visitors who solve come first
UNCLAIMED = 60.0  # seconds that a tab has to ask for the slices of its run, where a GPU is lent
MAX_KEPT = 2000  # runs on the disk, ended ones included
IDLE_LOAD = 0.3  # below this load a training takes all processors

_CHILDREN: list[subprocess.Popen[bytes]] = []  # to be waited for, or they stay as zombies
_ADDRESSES: dict[str, str] = {}  # where the runs come from that were asked for since the start; on no disk
_TOO_OLD: dict[str, float] = {}  # since when, by no clock that jumps, all looks have found these runs too old
_TRIES: Counter[str] = Counter()  # how often a run that waits could neither be started nor marked as failed
_THREAD_LOCK = Lock()
_ENOUGH = Event()  # the thread ends
_LOG = logging.getLogger(__name__)


def submit(
    settings: TrainSettings, token: str, address: str | None = None, fill: Callable[[Run], None] | None = None
) -> Run:
    """Put a new run at the end of the queue; raises ConfigError or CheckpointError.

    ``fill`` puts into its folder what it learns from; where that fails, nothing is left of the run.
    """
    if checkpoints.checkpoint_folder(settings.checkpoint) is None:
        raise CheckpointError(f"checkpoint {settings.checkpoint[:60]!r} is not here")
    with locked():
        known = _make_room(all_runs())
        check_room(settings, token, known, _from(address))
        run = create(settings, token, known)
        if fill is not None:
            try:
                with writing("its runs"):
                    fill(run)
            except BaseException:
                remove(run)
                raise
        if address is not None:
            _ADDRESSES[run.id] = address
    with _logged():
        advance()
    return run


def _from(address: str | None) -> list[str]:
    """Ids of the runs that this server was asked for from ``address``; none where it is not known."""
    return [run_id for run_id, other in _ADDRESSES.items() if other == address]


def _make_room(known: list[Run]) -> list[Run]:
    """``known`` without the oldest that were taken back before they began, where too many are kept."""
    idle = (run for run in reversed(known) if run.arm is None and not waits(run) and not _has_begun(run))
    for run in list(islice(idle, max(0, len(known) + 1 - MAX_KEPT))):
        remove(run)
        known = [other for other in known if other is not run]
    for run_id in set(_ADDRESSES) - {run.id for run in known}:
        del _ADDRESSES[run_id]
    if len(known) >= MAX_KEPT:
        raise ConfigError("this server has no room for more runs: delete one of yours, or try again another day")
    return known


def _has_begun(run: Run) -> bool:
    """Has any arm noted its settings?  There is then something to go on from."""
    return any(has_begun(run.arm_folder(arm)) for arm in run.settings.arms)


def stop(run_id: Any, token: Any) -> Run:
    """Ask a run to end after its step, or take it out of the queue; raises ConfigError."""
    with locked():
        run = change(owned(run_id, token, "stop"), wanted=False)
        _ask_to_stop(run)
    return run


def resume(run_id: Any, token: Any) -> Run:
    """Put a run that stopped or was killed at the end of the queue again; raises ConfigError."""
    with locked():
        run = owned(run_id, token, "resume")
        state = status_of(run).state
        if state not in ("stopped", "failed"):
            raise ConfigError(f"run {run.id} must have stopped to be resumed; it is {state}")
        known = all_runs()
        check_room(run.settings, token, known, _from(_ADDRESSES.get(run.id)))
        for arm in run.settings.arms:
            (run.arm_folder(arm) / STOP_FILE).unlink(missing_ok=True)
        (run.folder / CUT_SHORT).unlink(missing_ok=True)
        run = change(run, wanted=True, since=end_of_line(known), arm=None, pid=None, born=None, claim=None)
    with _logged():
        advance()
    return run


def delete(run_id: Any, token: Any) -> None:
    """Remove a run and what it saved; raises ConfigError, also while it runs."""
    with locked():
        run = owned(run_id, token, "delete")
        state = status_of(run).state
        if state in ("running", "stopping"):
            raise ConfigError(f"run {run.id} must have stopped to be deleted; it is {state}")
        remove(run)


def advance() -> None:
    """Start what is next and repeat a wish to stop that a starting process has overlooked.

    What fails with one run is logged and holds up no other.
    """
    with locked():
        for child in [child for child in _CHILDREN if child.poll() is not None]:
            _CHILDREN.remove(child)
        runs = all_runs()
        running = [run for run in runs if is_alive(run)]
        for run in running:
            with _logged():
                _look_at(run)
        waiting = [run for run in runs if waits(run) and not is_alive(run)]
        if gpu.is_lent():
            for run in waiting:
                with _logged():
                    if time.time() - run.since > UNCLAIMED:
                        change(run, wanted=False)
            return
        waiting.sort(key=lambda run: (_TRIES[run.id], run.since))
        for run in waiting[: max(0, read_settings().max_trainings - len(running))]:
            with _logged():
                _TRIES[run.id] += 1
                _start(run)
                del _TRIES[run.id]


@contextmanager
def _logged() -> Iterator[None]:
    """Tell the log what fails, and nobody else: the queue must go on."""
    try:
        yield
    except Exception:
        _LOG.exception("the queue of trainings stumbled")


def _look_at(run: Run) -> None:
    """Ask a running one to stop if it is to, or has run for too long."""
    most = read_settings().run_minutes
    if not run.wanted:
        _ask_to_stop(run)
    elif not gpu.is_lent() and _minutes(run) > most:
        _cut_short(run, f"it had run for {most} minutes, the most at a time")


def _cut_short(run: Run, says: str) -> None:
    """Ask a run to stop and note the reason for its owner."""
    write_whole(run.folder / CUT_SHORT, f"{says}\n".encode())
    _ask_to_stop(change(run, wanted=False))


def stop_the_large() -> None:
    """Stop what runs and takes more of the disk than one run may."""
    with locked():
        most = read_settings().run_mb
        for run in all_runs():
            if run.wanted and run.arm is not None and is_alive(run) and (size := size_of(run)) > most * MB:
                with _logged():
                    _cut_short(run, f"it took {size / MB:.0f} MB, and one run may take {most}")


def _minutes(run: Run) -> float:
    """How long its process has run."""
    assert run.born is not None, "it is alive"
    return (time.time() - psutil.boot_time() - run.born) / 60


def _ask_to_stop(run: Run) -> None:
    if run.arm is None or not is_alive(run):
        return
    for arm in run.settings.arms:
        run.arm_folder(arm).mkdir(parents=True, exist_ok=True)
        (run.arm_folder(arm) / STOP_FILE).touch()


def command_of(run: Run) -> list[str]:
    """The arguments after ``python`` that train ``run``; with ``--resume`` where it had begun."""
    start = checkpoints.checkpoint_folder(run.settings.checkpoint)
    if start is None:
        raise CheckpointError(f"checkpoint {run.settings.checkpoint[:60]!r} is no longer here")
    which = run.settings.assignment
    folder = run.folder if len(run.settings.arms) > 1 else run.arm_folder(which)
    places_of_it = _from_root(start), _from_root(folder), _from_root(run.datasets)
    found = ["-m", "mmreason", *run.settings.arguments(which, *places_of_it)]
    return [*found, "--resume"] if _has_begun(run) else found


def _from_root(path: Path) -> str:
    return str(path.relative_to(places.ROOT) if path.is_relative_to(places.ROOT) else path)


def _start(run: Run) -> None:
    """Start its process; one that cannot be started counts as failed."""
    run, threads = replace(run, arm=run.settings.assignment), str(_threads())
    try:
        command = [sys.executable, *command_of(run), "--threads", threads]
        with run.log.open("ab") as log:
            child = subprocess.Popen(
                command,
                cwd=places.ROOT,
                env=os.environ | {"OMP_WAIT_POLICY": "PASSIVE", "OMP_NUM_THREADS": threads},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # the server's end is not its end
            )
    except (OSError, MMReasonError) as error:
        with suppress(WriteError):  # the log may be what is wrong
            append_line(run.log, str(error))
        change(run, pid=0, born=0.0)
        return
    _CHILDREN.append(child)
    born = 0.0
    try:
        process = psutil.Process(child.pid)
        born = birth(process)
        process.nice(max(NICENESS, process.nice()))
    except psutil.Error:  # it has ended already
        pass
    try:
        change(run, pid=child.pid, born=born)
    except WriteError:  # not kept on a full disk, it would be started again and again
        child.kill()
        raise


def _threads() -> int:
    """One, so that visitors can solve meanwhile; all on a machine that has nothing else to do."""
    cpus = os.cpu_count() or 1
    return cpus if psutil.getloadavg()[0] < IDLE_LOAD else 1


def clean_up() -> list[str]:
    """Remove what is too old, then the oldest of who holds most while all take too much.

    What waits or runs is neither removed nor counted: nobody's run goes for what another's takes meanwhile.
    """
    with locked() as folder:
        for path in folder.glob(".gone-*"):  # a removal that was cut off
            shutil.rmtree(path, ignore_errors=True)
        ended = [run for run in reversed(all_runs()) if not waits(run) and not is_alive(run)]
        old, most = _surely_old(ended), read_settings().runs_mb * MB
        gone = [run for run in ended if run.id in old]
        left = [(run, size_of(run)) for run in ended if run.id not in old]
        while sum(size for _, size in left) > most:
            held: Counter[str] = Counter()
            for run, size in left:
                held[run.owner] += size
            first = next(each for each in left if held[each[0].owner] == max(held.values()))
            left.remove(first)
            gone.append(first[0])
        for run in gone:
            remove(run)
    return [run.id for run in gone]


def _surely_old(ended: Sequence[Run]) -> set[str]:
    """Ids of the runs that every look of the last hour has found too old."""
    now, days = time.monotonic(), read_settings().runs_days
    too_old = {run.id for run in ended if time.time() - max(run.created, run.since) > days * 86400}
    for run_id in _TOO_OLD.keys() - too_old:
        del _TOO_OLD[run_id]
    return {run_id for run_id in too_old if now - _TOO_OLD.setdefault(run_id, now) >= SURE}


def keep_going() -> None:
    """Look after the queue in a thread of this process, one for all pages."""
    with _THREAD_LOCK:
        if not _threads_now():
            Thread(target=_look_after, name=THREAD, daemon=True).start()


def leave_alone() -> bool:
    """End the thread that looks after the queue, until ``keep_going``; was there one?"""
    with _THREAD_LOCK:
        found = _threads_now()
        _ENOUGH.set()
        for thread in found:
            thread.join()
        _ENOUGH.clear()
    return bool(found)


def _threads_now() -> list[Thread]:
    return [thread for thread in enumerate_threads() if thread.name == THREAD]


def _look_after() -> None:
    cleaned = sized = 0.0
    while not _ENOUGH.is_set():
        with _logged():
            if checkpoints.page_runs_folder().is_dir():
                advance()
                if time.monotonic() - sized > SIZE_PERIOD:
                    sized = time.monotonic()
                    stop_the_large()
                if time.monotonic() - cleaned > CLEAN_PERIOD:
                    cleaned = time.monotonic()
                    clean_up()
        _ENOUGH.wait(PERIOD)
