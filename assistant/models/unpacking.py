"""Taking a zip of a model apart: its files, without the folder around them all, in the place where they will lie."""

from __future__ import annotations

import json
import shutil
import zipfile
import zlib
from pathlib import Path, PurePosixPath
from typing import Any

from assistant.errors import WeightsError
from assistant.models.manifest import inside


def unpack(archive: Path, folder: Path) -> None:
    """Write the files of a zip into a folder, and leave out a folder that all of them are in.

    Raises WeightsError, whose message is the reason alone, where it is damaged or wants to write elsewhere; OSError
    where it cannot be written.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            files = [member for member in opened.infolist() if not member.is_dir()]
            common = {member.filename.partition("/")[0] for member in files}
            around = f"{common.pop()}/" if len(common) == 1 and all("/" in one.filename for one in files) else ""
            for member in files:
                name = member.filename.removeprefix(around)
                if not inside(name):
                    raise WeightsError(f"its zip wants to write '{member.filename}'")
                path = folder / name
                path.parent.mkdir(parents=True, exist_ok=True)
                with opened.open(member) as source, path.open("wb") as into:
                    shutil.copyfileobj(source, into, 1 << 20)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise WeightsError("its zip is damaged") from error
    if not files:
        raise WeightsError("its zip is empty")


def settle(folder: Path, home: Path) -> None:
    """Make the paths in a model's config.json those of its own files in `home`, where the folder will lie.

    Coqui's releases name files, such as the list of speakers, by where they lay on the machine that trained them.
    A configuration that is no plain JSON is left to its engine.
    """
    config = folder / "config.json"
    if not config.is_file():
        return
    names = {path.name for path in folder.iterdir()} - {config.name}

    def settled(value: Any) -> Any:
        match value:
            case dict():
                return {key: settled(one) for key, one in value.items()}
            case list():
                return [settled(one) for one in value]
            case str() if (name := PurePosixPath(value).name) in names:
                return str(home / name)
        return value

    try:
        told = json.loads(config.read_text(encoding="utf-8"))
    except ValueError:
        return
    if (new := settled(told)) != told:
        config.write_text(json.dumps(new, indent=1), encoding="utf-8")
