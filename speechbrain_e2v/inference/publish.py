"""Classifier folders to the hub, or to another folder."""

import json
import shutil
from pathlib import Path

from huggingface_hub import CommitOperationAdd, HfApi
from huggingface_hub.errors import HfHubHTTPError, LocalTokenNotFoundError

from speechbrain_e2v.atomic import replace_text
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


def publish(folder, target, private=False, endpoint=None, overwrite=False):
    """Copy a classifier folder to the hub, in one commit.

    The model card is made again with the target's name in its examples.

    Arguments
    ---------
    folder : str or Path
        What ``e2v export`` wrote; loaded first, so that nothing broken is
        published.
    target : str
        ``owner/name`` on the hub; or a path that starts with ``.``, ``/`` or
        ``~``.
    private : bool
        When the repository has to be created.
    endpoint : str or None
        Another hub than huggingface.co (or ``HF_ENDPOINT``).
    overwrite : bool
        Replace a classifier folder at a path.

    Returns
    -------
    str
        Address or path.

    Raises
    ------
    FileNotFoundError
    ValueError
    PermissionError
        When the hub refuses; says how to log in.
    ConnectionError
        When it cannot be reached.
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


def _copy(folder, target, description, overwrite):
    check_destination(target, overwrite)
    target.mkdir(parents=True, exist_ok=True)
    for name in _FILES:
        shutil.copyfile(folder / name, target / f".{name}.tmp")
        (target / f".{name}.tmp").replace(target / name)
    replace_text(target / "README.md", model_card(description))
    return str(target)


def _upload(folder, repository, description, private, endpoint):
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
    except TransportError as error:
        raise ConnectionError(
            f"{repository}: {api.endpoint} cannot be reached ({error}); "
            "connect, or push to a folder (./path)."
        ) from error
    return done.commit_url
