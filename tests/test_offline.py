"""With the network off everything runs, and nothing is even tried: the built-in set, and larger engines."""

from __future__ import annotations

import json
from pathlib import Path

import offline
import pytest
import soundfile
import tiny_models

from assistant.demo import script
from assistant.models import locate


def nothing_tried(done: offline.Watched) -> None:
    assert done.code == 0, done.out
    assert done.tried == []
    if done.counted is not None:
        assert len(done.counted) == 7 and not any(done.counted.values()), done.counted


def logged(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "events.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def carried() -> None:
    """What wheels carry is here: it is got once, before the network goes."""
    if locate("smollm2-135m-instruct-q4_1") is None or locate("smart-turn-v3.2") is None:
        pytest.skip("needs the built-in mind")


# ---------------------------------------------------------------- the watch itself


@pytest.mark.parametrize(
    "attempt",
    [
        "import socket; socket.create_connection(('192.0.2.1', 80), 1)",
        "import socket; socket.getaddrinfo('example.org', 80)",
        "import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('192.0.2.1', 53))",
        "import urllib.request; urllib.request.urlopen('http://example.org', timeout=1)",
    ],
)
def test_what_python_tries_is_seen_and_refused(tmp_path, attempt):
    done = offline.watched(tmp_path / "watch", "-c", attempt)
    assert done.code != 0 and "the network is off" in done.out
    assert len(done.tried) >= 1


@pytest.mark.skipif(not offline.namespaces(), reason="this machine has no network namespaces for its users")
def test_what_is_tried_behind_pythons_back_is_counted(tmp_path):
    code = (
        "import ctypes, socket, struct\n"
        "libc, s = ctypes.CDLL(None), socket.socket(socket.AF_INET, socket.SOCK_STREAM)\n"
        "to = struct.pack('=HH4s8x', socket.AF_INET, socket.htons(80), socket.inet_aton('192.0.2.1'))\n"
        "assert libc.connect(s.fileno(), to, len(to)) == -1\n"
    )
    done = offline.watched(tmp_path / "watch", "-c", code)
    assert done.code == 0, done.out
    assert done.tried == [] and done.counted is not None and done.counted["Ip.OutNoRoutes"] == 1


def test_unix_sockets_are_not_the_network(tmp_path):
    code = "import socket\na, b = socket.socketpair()\na.sendall(b'x')\nassert b.recv(1) == b'x'"
    nothing_tried(offline.watched(tmp_path / "watch", "-c", code))


# ---------------------------------------------------------------- whole talks


def test_the_whole_demo_runs_with_the_network_off(carried, tmp_path):
    done = offline.watched(tmp_path / "watch", "assistant", "demo", "--out", str(tmp_path / "out"))
    nothing_tried(done)
    events = logged(tmp_path / "out")
    heard = " ".join(event["said"] for event in events if event["type"] == "exchange" and event["heard"])
    assert any(question.text in heard for question in script().questions)
    assert not [event for event in events if event["type"] == "trouble"]


@pytest.fixture(scope="module")
def question(shared, tmp_path_factory) -> Path:
    """A recording that Whisper's fixture knows, with silence after it."""
    import numpy as np

    from assistant.backends.files import read_sound

    pcm = read_sound(shared / "data/speech/en_weather_like.flac")
    path = tmp_path_factory.mktemp("question") / "question.wav"
    soundfile.write(path, np.concatenate([np.zeros(8_000, np.float32), pcm, np.zeros(16_000, np.float32)]), 16_000)
    return path


def test_whisper_and_a_tiers_models_talk_with_the_network_off(carried, shared, question, tmp_path):
    """Whisper (the fixture) by its path, the others as the tier has them in the store: random weights under the real
    ones' names. Without --offline, as a user starts it.
    """
    store = tmp_path / "models"
    store.mkdir()
    for name in ("smollm2-135m-instruct-q4_1", "smart-turn-v3.2"):
        found = locate(name)
        assert found is not None
        (store / name).symlink_to(found.parent)
    tiny_models.random_seeing_mind(store / "smolvlm2-500m", "smolvlm")
    tiny_models.random_voice(store / "coqui-vits-ljspeech")
    whisper = shared / "weights/whisper_fixture/whisper_fixture.pt"
    sets = [f"models.folder={store}", f"recogniser.whisper.model={whisper}", "recogniser.engine=whisper"]
    sets += ["assistant.tier=cpu", "assistant.language=en", "mind.max_reply_tokens=24"]
    words = ["--pace", "fast", "--microphone", str(question), "--speaker", str(tmp_path / "reply.wav")]
    words += ["--camera", str(shared / "data/images/dog_deck.jpg"), "--events", str(tmp_path / "events.jsonl")]
    options = [word for one in sets for word in ("--set", one)]
    nothing_tried(offline.watched(tmp_path / "watch", "assistant", "run", *words, *options))
    events = logged(tmp_path)
    engines = next(event for event in events if event["type"] == "ready")["engines"]
    assert engines["recogniser"]["name"] == "whisper"
    assert (engines["mind"]["model"], engines["voice"]["model"]) == ("smolvlm2-500m", "coqui-vits-ljspeech")
    assert [event["said"] for event in events if event["type"] == "exchange"] != []
