"""Classifier folders to the hub, or to another folder."""

import json
import shutil
from pathlib import Path

from huggingface_hub import CommitOperationAdd, HfApi
from huggingface_hub.errors import HfHubHTTPError, LocalTokenNotFoundError

from speechbrain_e2v.files.atomic import replace_text, replaced_file
from speechbrain_e2v.inference.classifier_folder import (
    DESCRIPTION,
    check_destination,
    read_classifier,
)
from speechbrain_e2v.inference.model_card import model_card
from speechbrain_e2v.published.hub import TransportError, hub_id

_FILES = (
    "hyperparams.yaml",
    "embedding_model.ckpt",
    "classifier.ckpt",
    "label_encoder.ckpt",
    DESCRIPTION,
)


def publish(
    folder: str | Path,
    target: str,
    private: bool = False,
    endpoint: str | None = None,
    overwrite: bool = False,
) -> str:
    """Copy a classifier folder to the hub, in one commit; return its address.

    `target` is ``owner/name`` on the hub (`private` when it has to be
    created; at `endpoint` or huggingface.co), or a path that starts with
    ``.``, ``/`` or ``~``. The folder is loaded first, so that nothing broken
    is published. A PermissionError says how to log in; ConnectionError: the
    hub cannot be reached.
    """
    folder = Path(folder)
    read_classifier(folder)
    missing = [name for name in _FILES if not (folder / name).is_file()]
    if missing:
        raise FileNotFoundError(
            f"{folder} is not complete: {', '.join(missing)} missing. Export "
            "it again."
        )
    description = json.loads((folder / DESCRIPTION).read_text("utf-8"))
    if str(target).startswith((".", "/", "~")):
        return _copy(folder, Path(target).expanduser(), description, overwrite)
    repository, _ = hub_id(str(target))
    if repository is None:
        raise ValueError(
            f"{target} is neither a hub id (owner/name) nor a path that "
            "starts with '.', '/' or '~'."
        )
    return _upload(folder, repository, description, private, endpoint)


def _copy(
    folder: Path, target: Path, description: dict, overwrite: bool
) -> str:
    check_destination(target, overwrite)
    target.mkdir(parents=True, exist_ok=True)
    for name in _FILES:
        with replaced_file(target / name) as unfinished:
            shutil.copyfile(folder / name, unfinished)
    replace_text(target / "README.md", model_card(description))
    return str(target)


def _upload(
    folder: Path,
    repository: str,
    description: dict,
    private: bool,
    endpoint: str | None,
) -> str:
    card = model_card(description, repository).encode()
    operations = [CommitOperationAdd("README.md", card)]
    operations += [
        CommitOperationAdd(name, str(folder / name)) for name in _FILES
    ]
    api = HfApi(endpoint=endpoint)
    try:
        api.create_repo(repository, private=private, exist_ok=True)
        done = api.create_commit(
            repository, operations, commit_message=f"Add {folder.name}"
        )
    except LocalTokenNotFoundError as error:
        raise PermissionError(
            f"{repository}: you are not logged in; run `hf auth login`."
        ) from error
    except HfHubHTTPError as error:
        status = getattr(error.response, "status_code", None)
        if status in (401, 403):
            raise PermissionError(
                f"{repository}: the hub refuses ({status}); log in with "
                "`hf auth login`, with a token that may write there."
            ) from error
        raise
    except TransportError as error:  # type: ignore[misc]  # computed class
        raise ConnectionError(
            f"{repository}: {api.endpoint} cannot be reached ({error}); "
            "connect, or push to a folder (./path)."
        ) from error
    return done.commit_url
