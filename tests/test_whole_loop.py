"""The whole program on real engines and files: sound and pictures in, a time line and an event log out."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

from assistant.backends.files import read_sound
from assistant.config import load_config
from assistant.running import run_session

RATE_HZ = 16_000


def track(path: Path, clips: list[Path], gap_s: float, lead_s: float = 0.6) -> list[tuple[float, float]]:
    """Write the clips one after the other, a gap of silence behind each; where they lie, in seconds."""
    parts, spans, at_s = [np.zeros(int(lead_s * RATE_HZ), np.float32)], [], lead_s
    for clip in clips:
        pcm = read_sound(clip)
        spans.append((at_s, at_s + len(pcm) / RATE_HZ))
        parts += [pcm, np.zeros(int(gap_s * RATE_HZ), np.float32)]
        at_s = spans[-1][1] + gap_s
    soundfile.write(path, np.concatenate(parts), RATE_HZ)
    return spans


def talk(tmp_path: Path, sound: Path, camera: Path | str, *sets: str, pace: str = "fast"):
    """Run over files; the events, and the time line with its rate."""
    config = load_config(
        sets=(
            f"microphone.source={sound}",
            f"camera.source={camera}",
            f"speaker.sink={tmp_path / 'reply.wav'}",
            *sets,
        ),
        environ={},
    )
    run_session(config, pace=pace, events_path=tmp_path / "events.jsonl")
    events = [json.loads(line) for line in (tmp_path / "events.jsonl").read_text(encoding="utf-8").splitlines()]
    return events, soundfile.read(tmp_path / "reply.wav", dtype="float32")


def of(events, type):
    return [e for e in events if e["type"] == type]


def whisper(shared: Path) -> tuple[str, ...]:
    fixture = shared / "weights" / "whisper_fixture" / "whisper_fixture.pt"
    return "recogniser.engine=whisper", f"recogniser.whisper.model={fixture}"


def test_the_named_engines_hold_a_talk(shared, tmp_path):
    """Whisper (a fixture that knows these clips by heart), a random vision-language model, a random VITS."""
    import tiny_models

    clips = [shared / "data/speech" / f"{name}.flac" for name in ("en_weather_like", "en_what_time")]
    spans = track(tmp_path / "said.wav", clips, 12.0)
    mind = tiny_models.random_seeing_mind(tmp_path / "mind", "smolvlm")
    voice = tiny_models.random_voice(tmp_path / "voice")
    events, (reply, rate_hz) = talk(
        tmp_path,
        tmp_path / "said.wav",
        shared / "data/images/dog_deck.jpg",
        *whisper(shared),
        "mind.engine=transformers",
        f"mind.transformers.model={mind}",
        "mind.max_reply_tokens=24",
        "voice.engine=coqui",
        f"voice.coqui.model={voice}",
        "assistant.language=en",
    )
    assert not of(events, "trouble")
    finals = [e["text"].strip(" .?!").lower() for e in of(events, "words") if e["final"]]
    assert finals == ["what's the weather like", "what time is it"]
    assert [e["mode"] for e in of(events, "fusion")] == ["early", "early"]
    assert all(e["glimpses"] for e in of(events, "fusion"))
    exchanges = of(events, "exchange")
    assert [e["said"].strip(" .?!").lower() for e in exchanges] == finals
    for exchange, (_, ended_s) in zip(exchanges, spans, strict=True):
        assert exchange["generated"].startswith(exchange["heard"]) and exchange["heard"]
        begin = int(ended_s * rate_hz)
        assert np.abs(reply[begin : begin + 5 * rate_hz]).max() > 0.001


@pytest.mark.parametrize("family", ["smolvlm", "qwen3_vl", "gemma3", "lfm2_vl"])
def test_a_seeing_mind_that_is_interrupted_goes_on_as_one_that_keeps_nothing(shared, tmp_path, monkeypatch, family):
    """What it kept from turn to turn, and read ahead, changes no word of a reply; most of it is not read again."""
    import tiny_models

    from assistant.backends.reading import Reader
    from assistant.backends.transformers import Transformers

    replies: list[tuple[list, list[str]]] = []
    read: list[int] = []
    reply, forward = Transformers.reply, Reader._forward

    def recorded(mind, messages, stop, grammar=None):
        replies.append((list(messages), []))
        for piece in reply(mind, messages, stop, grammar):
            replies[-1][1].append(piece)
            yield piece

    def counted(reader, read_before, ids, more):
        read.append(len(ids))
        return forward(reader, read_before, ids, more)

    monkeypatch.setattr(Transformers, "reply", recorded)
    monkeypatch.setattr(Reader, "_forward", counted)
    clips = [shared / "data/speech" / f"{name}.flac" for name in ("en_weather_like", "en_what_time", "en_brooklyn")]
    track(tmp_path / "said.wav", clips, 1.5)
    model = tiny_models.random_seeing_mind(tmp_path / "mind", family)
    events, _ = talk(
        tmp_path,
        tmp_path / "said.wav",
        shared / "data/images/dog_deck.jpg",
        *whisper(shared),
        "mind.engine=transformers",
        f"mind.transformers.model={model}",
        "mind.transformers.dtype=float32",
        "mind.max_reply_tokens=80",
        "assistant.language=en",
    )
    assert not of(events, "trouble")
    order = " ".join(e["type"] for e in events if e["type"] in ("playing", "speaking", "exchange"))
    assert "playing speaking exchange" in order, "nobody interrupted"
    monkeypatch.undo()
    fresh = Transformers(str(model), dtype="float32", max_tokens=80)
    asked = 0
    for messages, pieces in replies:
        fresh._reader.forget()
        asked += len(fresh._prompt(messages).ids)
        assert "".join(fresh.reply(messages, lambda: False)).startswith("".join(pieces).rstrip())
    assert sum(n for n in read if n > 1) < asked


def test_a_sensible_talk_with_whispers_fixture_and_the_built_in_mind(shared, tmp_path):
    """A fixture hears (it knows these clips by heart), the built-in mind and voice answer in words of the language."""
    clips = [shared / "data/speech" / f"{name}.flac" for name in ("en_weather_like", "en_what_time", "en_brooklyn")]
    spans = track(tmp_path / "said.wav", clips, 12.0)
    events, (reply, rate_hz) = talk(tmp_path, tmp_path / "said.wav", "none", *whisper(shared))
    assert not of(events, "trouble")
    exchanges = of(events, "exchange")
    assert len(exchanges) == 3
    for exchange, (_, ended_s) in zip(exchanges, spans, strict=True):
        words = exchange["heard"].split()
        assert len(words) >= 2 and sum(w.strip(".,!?'\"").isascii() for w in words) == len(words)
        assert exchange["heard"] == exchange["generated"]
        begin = int(ended_s * rate_hz)
        assert np.abs(reply[begin : begin + 2 * rate_hz]).max() > 0.05
    assert exchanges[0]["said"] != exchanges[1]["said"]


def test_the_built_in_engines_read_a_sign_that_is_held_up(first_question, tmp_path):
    from assistant.demo import script

    demo = script()
    question = demo.questions[0]
    shown = [path for at_s, path in demo.pictures if at_s <= question.began_s][-1]
    events, _ = talk(tmp_path, first_question, shown)
    (exchange,) = of(events, "exchange")
    assert all(expected.lower() in exchange["heard"].lower() for expected in question.expected)


def test_the_same_files_and_costs_give_the_same_events_and_sound(shared, tmp_path):
    """In two processes, as a user runs it: espeak-ng's own noise goes on from phrase to phrase within one."""
    clips = [shared / "data/speech" / f"{name}.flac" for name in ("en_weather_like", "en_lamp")]
    track(tmp_path / "said.wav", clips, 8.0)
    (tmp_path / "costs.json").write_text('{"mind.reply.first": 0.08, "mind.reply.next": 0.02, "eyes.look": 0.4}')
    command = [sys.executable, "-m", "assistant", "run", "--pace", "fast", "--costs", str(tmp_path / "costs.json")]
    command += ["--microphone", str(tmp_path / "said.wav"), "--camera", str(shared / "data/images/gallery_sign.jpg")]
    runs = []
    for i in range(2):
        wav, log = tmp_path / f"{i}.wav", tmp_path / f"{i}.jsonl"
        subprocess.run([*command, "--speaker", str(wav), "--events", str(log)], check=True, capture_output=True)
        runs.append((log.read_text(encoding="utf-8"), wav.read_bytes()))
    assert '"exchange"' in runs[0][0]
    assert runs[0] == runs[1]
