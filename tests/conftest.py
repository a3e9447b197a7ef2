"""What tests share: where the recordings lie. A test that needs them skips, with the reason, where they are not."""

import os
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder with real recordings, photographs and small weights (`ASSISTANT_SHARED`, default `../shared`)."""
    named = os.environ.get("ASSISTANT_SHARED")
    folder = Path(named) if named else HERE.parent.parent / "shared"
    if named and not folder.is_dir():
        pytest.fail(f"ASSISTANT_SHARED names '{named}', which is no folder; unset it or correct it")
    if not folder.is_dir():
        pytest.skip("needs the shared recordings: set ASSISTANT_SHARED")
    return folder
