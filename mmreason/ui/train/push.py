"""Pushing a trained checkpoint to the Hub, on a Space where visitors can sign in; hidden elsewhere."""

from __future__ import annotations

import logging
import os
import re
from pathlib import Path
from typing import Any

import gradio as gr

from mmreason.disk import append_line, one_line, writing
from mmreason.errors import ConfigError
from mmreason.ui.runs.state import status_of
from mmreason.ui.runs.store import Run, owned

_LOG = logging.getLogger(__name__)
PUSHED = "pushed.txt"  # in a run's folder: the repositories that it was pushed to
_REPOSITORY = re.compile(r"(?:[A-Za-z0-9][A-Za-z0-9-]{0,38}/)?[A-Za-z0-9][A-Za-z0-9._-]{0,95}\Z", re.ASCII)


def can_sign_in() -> bool:
    """Does this run on a Space that has OAuth?"""
    return bool(os.environ.get("SPACE_ID") and os.environ.get("OAUTH_CLIENT_ID"))


def build_hub() -> dict[str, Any]:
    """The button to sign in, the name of the repository and Push; empty where nobody can sign in."""
    if not can_sign_in():
        return {}
    gr.LoginButton(elem_id="train-login")
    return {
        "repository": gr.Textbox(label="Repository", placeholder="name, or organisation/name", max_length=140),
        "push": gr.Button("Push to the Hub", elem_id="train-push"),
    }


def push(run_id: Any, visitor: Any, repository: Any, oauth: str | None) -> str:
    """Push the last checkpoint of the visitor's run; says of which arm and step, and where it is.

    Raises ConfigError, also while the run may change.
    """
    run = owned(run_id, visitor, "push")
    if not oauth:
        raise ConfigError("sign in first: the checkpoint goes to your own account")
    name = str(repository or "").strip()
    if not _REPOSITORY.match(name):
        raise ConfigError(f"repository must be a name, or organisation/name, got {name[:60]!r}")
    status = status_of(run)
    if status.is_active:
        raise ConfigError(f"run {run.id} must have stopped to be pushed; it is {status.state}")
    if not status.checkpoints:
        raise ConfigError("this run has no checkpoint yet; resume it until it saves one")
    arm = list(status.checkpoints)[-1]
    what = f"{arm}, step {status.saved[arm]}"
    return f"Pushed {what}, to {_sent(run, run.arm_folder(arm) / 'checkpoint', what, name, oauth)}."


def _sent(run: Run, folder: Path, what: str, name: str, oauth: str) -> str:
    """Make the repository, or take the one that this run was pushed to before, and send ``folder``; its address."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    api, known = HfApi(token=oauth), run.folder / PUSHED
    try:
        # by its full name: another account may have one of the same name
        whole = name if "/" in name else f"{api.whoami()['name']}/{name}"
        is_known = known.is_file() and whole in known.read_text(encoding="utf-8").splitlines()
        repo = api.create_repo(whole, exist_ok=is_known).repo_id
        with writing("where the checkpoint goes"):
            append_line(known, whole)
        api.upload_folder(repo_id=repo, folder_path=folder, commit_message=f"Trained with mmreason: {what}")
    except HfHubHTTPError as error:
        raise ConfigError(_refusal(name, error.response.status_code, str(error))) from None
    except ConfigError:
        raise
    except ValueError as error:
        raise ConfigError(
            f"repository must be a name that the Hub accepts, got {name!r}: {one_line(str(error), 160)}"
        ) from None
    except Exception as error:  # of the transport, whose classes are others in each version of the client
        _LOG.warning("a checkpoint could not be pushed", exc_info=True)
        raise ConfigError(f"the Hub cannot be reached ({one_line(str(error), 120)}); try again later") from None
    return f"{api.endpoint}/{repo}"


def _refusal(name: str, status: int, said: str) -> str:
    match status:
        case 409:
            return f"repository {name!r} exists already: choose a name that is free, or delete that one first"
        case 401:
            return "the sign-in is no longer valid: sign out and in again"
        case 403:
            return f"repository {name!r} must be one that your account may write to; the Hub refused it"
    return f"the Hub refused {name!r} ({status}): {one_line(said, 120)}"
