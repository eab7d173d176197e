"""Classifier folders to the hub, or to another folder."""

import json
import tempfile
from pathlib import Path

from huggingface_hub import CommitOperationAdd, HfApi
from huggingface_hub.errors import HfHubHTTPError, LocalTokenNotFoundError

from speechbrain_e2v.files.atomic import replace_text
from speechbrain_e2v.inference.classifier_folder import (
    DESCRIPTION,
    read_classifier,
    write_classifier,
)
from speechbrain_e2v.inference.model_card import model_card
from speechbrain_e2v.published.hub import TransportError, hub_id


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
    ``.``, ``/`` or ``~``. The folder is read as data and written anew, code
    for SpeechBrain included, so that nothing broken or hostile is published.
    A PermissionError says how to log in; ConnectionError: the hub cannot be
    reached.
    """
    # Read as data and written anew: nothing of it is passed on as it is.
    trained = read_classifier(folder)
    if str(target).startswith((".", "/", "~")):
        path = Path(target).expanduser()
        return str(write_classifier(path, trained, overwrite))
    repository, _ = hub_id(str(target))
    if repository is None:
        raise ValueError(
            f"{target} is neither a hub id (owner/name) nor a path that "
            "starts with '.', '/' or '~'."
        )
    with tempfile.TemporaryDirectory() as place:
        written = write_classifier(Path(place) / "classifier", trained)
        description = json.loads((written / DESCRIPTION).read_text("utf-8"))
        replace_text(written / "README.md", model_card(description, repository))
        name = Path(folder).resolve().name
        return _upload(written, repository, f"Add {name}", private, endpoint)


def _upload(
    folder: Path,
    repository: str,
    message: str,
    private: bool,
    endpoint: str | None,
) -> str:
    operations = [
        CommitOperationAdd(path.name, str(path))
        for path in sorted(folder.iterdir())
    ]
    api = HfApi(endpoint=endpoint)
    try:
        api.create_repo(repository, private=private, exist_ok=True)
        done = api.create_commit(repository, operations, commit_message=message)
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
