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
from huggingface_hub.utils import WeakFileLock

from speechbrain_e2v.files.atomic import replace_text
from speechbrain_e2v.files.digest import file_sha256
from speechbrain_e2v.files.download import Download, fetch
from speechbrain_e2v.published.known_checkpoints import (
    KNOWN,
    known_checkpoint,
)

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
    """Find a model's file or folder, downloading it if need be.

    The source is a path, a hub id ``owner/name`` or ``owner/name@revision``,
    or the name of a known checkpoint (``data2vec2-base``,
    ``emotion2vec_plus_base``). Downloads go to huggingface_hub's cache, resume
    where they stopped and happen once; ``HF_HUB_OFFLINE=1`` in the environment
    forbids them. Raises SourceNotFound.

    >>> folder = getfixture("tmp_path")
    >>> resolve(folder) == folder
    True
    """
    path = Path(source).expanduser()
    if path.exists():
        return path
    offline = local_files_only or _offline()
    known = known_checkpoint([str(source)])
    if known is not None and known.url is not None:
        return _file_of(known.name, known.url, offline, cache_dir)
    return _snapshot_of(str(source), offline, cache_dir)


def _snapshot_of(
    source: str, offline: bool, cache_dir: str | Path | None
) -> Path:
    repository, revision = hub_id(source)
    if repository is None:
        raise SourceNotFound(
            f"there is no file or folder {source}, and it is no hub id "
            "(owner/name) and no known name ("
            f"{', '.join(known.name for known in KNOWN)}): check the path."
        )
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


def _file_of(
    name: str, url: str, offline: bool, cache_dir: str | Path | None
) -> Path:
    folder = huggingface_hub.cached_assets_path(
        "speechbrain_e2v", "checkpoints", name, assets_dir=cache_dir
    )
    path = folder / url.rpartition("/")[2]
    if not path.is_file() and offline:
        raise SourceNotFound(
            f"{name} is not in the cache and downloads are switched off. "
            f"Connect and unset HF_HUB_OFFLINE, or download {url} elsewhere "
            f"and put it into {folder}."
        )
    # Processes of one training ask at once: one fetches, the others wait.
    with WeakFileLock(folder / ".lock"):
        if not path.is_file():
            try:
                fetch(Download(url, path.name, room=1), folder)
            except ValueError as error:
                raise SourceNotFound(str(error)) from error
        _remember_digest(path)
    return path


def _remember_digest(path: Path) -> None:
    """Keep a download's SHA-256, and compare it each time it is used."""
    found, record = file_sha256(path), _record_of(path)
    if not record.is_file():
        replace_text(record, f"{found}\n")
    expected = record.read_text("utf-8").strip()
    if found != expected:
        raise ValueError(
            f"{path} is not what was downloaded: its SHA-256 is {found}, "
            f"{record.name} says {expected}. Delete both and run again."
        )


def _record_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")


def origin_of(weights_file: Path) -> dict[str, str]:
    """Tell of a downloaded file which one it is: revision or digest."""
    folder = weights_file.parent
    if folder.parent.name == "snapshots":  # of huggingface_hub's cache
        return {"source_revision": folder.name}
    record = _record_of(weights_file)
    if record.is_file():
        return {"source_sha256": record.read_text("utf-8").strip()}
    return {}


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
