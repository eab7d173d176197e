"""From what a user calls a model to a place on this disk."""

import os
import re
from pathlib import Path

import huggingface_hub
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from speechbrain_e2v.published.known_checkpoints import known_checkpoint

TransportError: type[Exception] = HfHubHTTPError.__bases__[0]
"""HTTPError of the library that this huggingface_hub uses (requests, httpx,
httpx2); in the later ones lost connections are of this class too."""

_HUB_ID = re.compile(r"(?:hf://)?([\w.-]+/[\w.-]+)(?:@([\w./-]+))?")
_PATTERNS = ["*.pt", "*.bin", "*.safetensors", "*.ckpt"]
_PATTERNS += ["*.yaml", "*.json", "*.txt"]


class SourceNotFound(FileNotFoundError):
    """Neither a path nor a hub id that can be had; says what to do."""


def resolve(
    source: str | Path,
    local_files_only: bool = False,
    cache_dir: str | Path | None = None,
) -> Path:
    """Find a model's file or folder, downloading it from the hub if need be.

    The source is a path, ``owner/name``, ``owner/name@revision``, or the name
    of a known checkpoint (``emotion2vec_plus_base``). Downloads go to
    huggingface_hub's cache, resume where they stopped and happen once;
    ``HF_HUB_OFFLINE=1`` in the environment forbids them. Raises
    SourceNotFound.

    >>> folder = getfixture("tmp_path")
    >>> resolve(folder) == folder
    True
    """
    path = Path(source).expanduser()
    if path.exists():
        return path
    repository, revision = hub_id(str(source))
    if repository is None:
        raise SourceNotFound(
            f"there is no file or folder {source}, and it is no hub id "
            "(owner/name): check the path."
        )
    offline = local_files_only or _offline()
    advice = _advice(repository, source)
    try:
        folder = huggingface_hub.snapshot_download(
            repository,
            revision=revision,
            cache_dir=cache_dir,
            allow_patterns=_PATTERNS,
            local_files_only=offline,
        )
    except (GatedRepoError, RepositoryNotFoundError) as error:
        raise SourceNotFound(
            f"there is no file or folder {source}, and the hub shows no "
            f"repository {repository} to you: check the spelling, or log in "
            "with `hf auth login` if it is private or gated."
        ) from error
    except (RevisionNotFoundError, HFValidationError) as error:
        raise SourceNotFound(f"{source}: {error}") from error
    except (LocalEntryNotFoundError, OfflineModeIsEnabled) as error:
        why = "downloads are switched off" if offline else "no connection"
        raise SourceNotFound(
            f"{repository} is not in the cache and cannot be had ({why}). "
            + advice
        ) from error
    except (TransportError, ConnectionError) as error:
        raise SourceNotFound(f"{repository}: {error}. {advice}") from error
    return Path(folder)


def hub_id(source: str) -> tuple[str | None, str | None]:
    """Read a hub id and a revision out of what a user wrote.

    >>> hub_id("emotion2vec/emotion2vec_base@main")
    ('emotion2vec/emotion2vec_base', 'main')
    >>> hub_id("iic/emotion2vec_plus_base")
    ('emotion2vec/emotion2vec_plus_base', None)
    >>> hub_id("/no/such/file.pt")
    (None, None)
    """
    known = known_checkpoint([source])
    if known is not None:
        return known.hub_id, None
    match = _HUB_ID.fullmatch(source)
    if match is None or source.startswith("."):
        return None, None
    return match[1], match[2]


def _offline() -> bool:
    value = os.environ.get("HF_HUB_OFFLINE", "").lower()
    return value not in ("", "0", "false", "no", "off")


def _advice(repository: str, source: str | Path) -> str:
    looks_local = "" if "/" not in str(source) else f" (if {source} was meant "
    if looks_local:
        looks_local += "as a path: nothing is there)"
    return (
        "Connect and unset HF_HUB_OFFLINE, or download it elsewhere with "
        f"`hf download {repository}` and give the folder{looks_local}."
    )
