"""Where this machine gets its packages from: what pip and uv have been told, read without needing either of them.

Follows pip's own rules (https://pip.pypa.io/en/stable/topics/configuration/): an environment variable wins over the
configuration files, and of these the virtual environment's over the user's over the machine's. Knows nothing of
weights and opens no connection.
"""

from __future__ import annotations

import configparser
import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from assistant.errors import ConfigError

PYPI = "https://pypi.org/simple/"


@dataclass(frozen=True, slots=True)
class Places:
    """`links` are folders, wheels and pages with links to wheels; `indexes` are roots of simple indexes (PEP 503).

    Both are tried in order, the links first. `certificates` is a bundle of authorities, None for the usual ones.
    """

    links: tuple[str, ...]
    indexes: tuple[str, ...]
    certificates: str | None = None
    proxy: str | None = None


def places(wheels: Iterable[str] = (), index: str | None = None) -> Places:
    """Where packages come from: `wheels` before any other links, `index` instead of any other index.

    Raises ConfigError where a configuration file of pip cannot be read.
    """
    told = _pip_files()
    env = os.environ

    def pip(option: str) -> str:
        return env.get("PIP_" + option.upper().replace("-", "_")) or told.get(option, "")

    links = [*wheels, *pip("find-links").split(), *env.get("UV_FIND_LINKS", "").replace(",", " ").split()]
    indexes: list[str] = []
    if index:
        indexes = [index]
    elif pip("no-index").lower() not in ("1", "true", "yes", "on"):
        first = env.get("PIP_INDEX_URL") or env.get("UV_DEFAULT_INDEX") or env.get("UV_INDEX_URL")
        more = f"{env.get('UV_INDEX', '')} {env.get('UV_EXTRA_INDEX_URL', '')} {pip('extra-index-url')}"
        indexes = [first or told.get("index-url") or PYPI, *more.split()]
    named = env.get("SSL_CERT_FILE") or env.get("REQUESTS_CA_BUNDLE") or env.get("CURL_CA_BUNDLE")
    return Places(
        links=tuple(dict.fromkeys(links)),
        indexes=tuple(dict.fromkeys(_unnamed(url) for url in indexes)),
        certificates=pip("cert") or named or None,
        proxy=pip("proxy") or None,
    )


def _unnamed(url: str) -> str:
    """The address of an index that uv may have been given as `name=url`: the name ends before the scheme."""
    name, equals, rest = url.partition("=")
    return rest if equals and "/" not in name else url


def _pip_files() -> dict[str, str]:
    """What pip's configuration files say: option -> value, later files over earlier ones."""
    told: dict[str, str] = {}
    for path in config_files():
        if not path.is_file():
            continue
        parser = configparser.RawConfigParser()
        try:
            parser.read_string(path.read_text(encoding="utf-8"), str(path))
        except (OSError, UnicodeDecodeError, configparser.Error) as error:
            reason = " ".join(str(error).split())
            raise ConfigError(f"wanted a readable configuration of pip, got {path}: {reason}; correct it") from error
        for section in ("global", "install", "download"):
            if parser.has_section(section):
                told |= {key.lower().replace("_", "-"): value for key, value in parser.items(section)}
    return told


def config_files() -> list[Path]:
    """The files that pip would read, whether they exist or not, the strongest last.

    `PIP_CONFIG_FILE` takes the place of the user's own files, and as the null device switches all of them off.
    """
    import platformdirs

    named = os.environ.get("PIP_CONFIG_FILE")
    if named == os.devnull:
        return []
    name = "pip.ini" if sys.platform == "win32" else "pip.conf"
    shared = platformdirs.site_config_dir("pip", appauthor=False, multipath=True).split(os.pathsep)
    folders = [Path(folder) for folder in shared]
    if sys.platform not in ("win32", "darwin"):
        folders.append(Path("/etc"))
    if not (named and Path(named).exists()):
        home = Path.home()
        folders.append(home / ("pip" if sys.platform == "win32" else ".pip"))
        if sys.platform == "darwin":
            folders.append(home / ".config" / "pip")
        folders.append(Path(platformdirs.user_config_dir("pip", appauthor=False, roaming=True)))
    folders.append(Path(sys.prefix))
    return [folder / name for folder in folders] + ([Path(named)] if named else [])


def shown(url: str) -> str:
    """The URL as a message may show it: without the name and the password in it."""
    parts = urlsplit(url)
    if "@" not in parts.netloc:
        return url
    return urlunsplit(parts._replace(netloc="***@" + parts.netloc.rpartition("@")[2]))
