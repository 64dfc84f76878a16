"""Pushing a trained checkpoint to the Hub, on a Space where visitors can sign in; elsewhere there is nothing of it."""

from __future__ import annotations

import os
import re
from typing import Any

import gradio as gr

from mmreason.errors import ConfigError
from mmreason.ui.run_state import status_of
from mmreason.ui.runs import owned
from mmreason.ui.runtime import checkpoint_folder

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
    """Push the last checkpoint of the visitor's run; says where it is.  Raises ConfigError."""
    run = owned(run_id, visitor, "push")
    if not oauth:
        raise ConfigError("sign in first: the checkpoint goes to your own account")
    name = str(repository or "").strip()
    if not _REPOSITORY.match(name):
        raise ConfigError(f"repository must be a name, or organisation/name, got {name[:60]!r}")
    checkpoints = status_of(run).checkpoints
    folder = checkpoint_folder(list(checkpoints.values())[-1]) if checkpoints else None
    if folder is None:
        raise ConfigError("this run has no checkpoint yet; wait until it saves one")
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    api = HfApi(token=oauth)
    try:
        repo = api.create_repo(name, exist_ok=True).repo_id
        api.upload_folder(repo_id=repo, folder_path=folder, commit_message="Trained with mmreason")
    except (HfHubHTTPError, OSError, ValueError) as error:
        raise ConfigError(f"the Hub refused {name!r}: {str(error).splitlines()[0][:160]}") from None
    return f"Pushed to https://huggingface.co/{repo}."
