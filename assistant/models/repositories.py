"""The files of a repository on the Hugging Face hub, or on a mirror of it that `HF_ENDPOINT` names.

The hub's own library fetches into a cache of its own and checks the size of what arrives alone; here each file is
checked against what the hub says of it: the SHA-256 of a large one, git's name of a small one. Knows nothing of what is
done with the files. Source: https://huggingface.co/docs/hub/api
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from assistant.errors import WeightsError
from assistant.models.catalogue import Hub
from assistant.models.downloading import reason
from assistant.models.manifest import inside

if TYPE_CHECKING:
    import httpx

HUB = "https://huggingface.co"


@dataclass(frozen=True, slots=True)
class Offered:
    """A file that somebody offers. What is not known of it is empty, or 0; `blob` is git's name of its content."""

    path: str
    url: str
    size_bytes: int = 0
    sha256: str = ""
    blob: str = ""


def endpoint() -> str:
    """The address of the hub, or of the mirror that stands in for it."""
    return (os.environ.get("HF_ENDPOINT") or HUB).rstrip("/")


def offered(source: Hub, client: httpx.Client) -> tuple[str, list[Offered]]:
    """The commit that a revision stands for, and the files of it that are wanted.

    Raises WeightsError, whose message is the reason alone, where the hub cannot be asked or lacks them.
    """
    import httpx

    page = f"{endpoint()}/api/models/{source.repository}/revision/{quote(source.revision, safe='')}"
    try:
        answer = client.get(page, params={"blobs": "true"})
        answer.raise_for_status()
        told = answer.json()
        commit, siblings = str(told["sha"]), [_offer(source, str(told["sha"]), one) for one in told["siblings"]]
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise WeightsError(reason(error)) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise WeightsError("answers with something else than a repository") from error
    for pattern in source.files:
        if "*" not in pattern and not any(one.path == pattern for one in siblings):
            raise WeightsError(f"has no {pattern}")
    files = [one for one in siblings if wanted(one.path, source.files)]
    if not files:
        raise WeightsError(f"has none of {', '.join(source.files)}")
    return commit, files


def wanted(path: str, patterns: tuple[str, ...]) -> bool:
    """Whether a file is one of those patterns; one without a slash means the top folder alone."""
    return any(fnmatchcase(path, pattern) and path.count("/") == pattern.count("/") for pattern in patterns)


def _offer(source: Hub, commit: str, told: dict[str, Any]) -> Offered:
    path, large = told["rfilename"], told.get("lfs") or {}
    if not inside(path):
        raise ValueError(path)
    url = f"{endpoint()}/{source.repository}/resolve/{commit}/{quote(path)}"
    size_bytes = int(large.get("size") or told.get("size") or 0)
    return Offered(path, url, size_bytes, large.get("sha256") or "", "" if large else told.get("blobId") or "")
