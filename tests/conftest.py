"""What tests share: where the recordings lie. A test that needs them skips, with the reason, where they are not."""

import os
from collections.abc import Iterator
from pathlib import Path

import pulse
import pytest
import soundfile

from assistant.privacy import keep_quiet

keep_quiet()  # also where a test makes an engine itself
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


@pytest.fixture(scope="module")
def card(tmp_path_factory: pytest.TempPathFactory) -> Iterator[pulse.PulseAudio]:
    """A sound card of software; skips with the reason where the machine lacks what it takes."""
    with pulse.pulse_audio(tmp_path_factory.mktemp("pulse")) as server:
        yield server


@pytest.fixture(scope="session")
def first_question(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's first question, about its first picture, as a file of its own."""
    from assistant.demo import script

    demo = script()
    asked = demo.questions[0]
    pcm, rate_hz = soundfile.read(demo.sound)
    path = tmp_path_factory.mktemp("question") / "question.wav"
    soundfile.write(path, pcm[int((asked.began_s - 0.3) * rate_hz) : int((asked.ended_s + 0.3) * rate_hz)], rate_hz)
    return path
