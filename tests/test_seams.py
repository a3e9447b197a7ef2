"""What each seam promises, asked of every engine of its slot: the fakes, the built-in ones, and tiny named ones.

`ENGINES` of the package is the list: an engine that is not made here fails the first test.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import tiny_models
from PIL import Image as Pillow
from PIL import ImageDraw
from test_minds import MINDS

from assistant.backends import (
    ENGINES,
    Decodes,
    Encoder,
    EndOfTurn,
    Eyes,
    Recogniser,
    Stop,
    Streams,
    Voice,
    VoiceActivity,
    load,
)
from assistant.errors import EngineError, WeightsError
from assistant.events import HEARING_RATE_HZ, Finding, Image, Samples, Words
from assistant.guards import doubt

RATE = HEARING_RATE_HZ

Make = Callable[[], dict[str, Any]]
"""the options that an engine is loaded with"""


def never() -> bool:
    return False


class Made:
    """Engines, each loaded once, by slot and name; the name's part behind a dash tells two of an engine apart."""

    def __init__(self, folder: Path, request: pytest.FixtureRequest):
        self._folder = folder
        self._request = request
        self._engines: dict[str, Any] = {}

    def __call__(self, slot: str, name: str) -> Any:
        key = f"{slot}-{name}"
        if key not in self._engines:
            try:
                self._engines[key] = load(slot, name.split("-")[0], **self._options(key))
            except WeightsError as reason:
                pytest.skip(f"needs the weights of {name}: {reason}")
        return self._engines[key]

    def _options(self, key: str) -> dict[str, Any]:
        place = self._folder / key

        def shared(path: str) -> str:
            return str(self._request.getfixturevalue("shared") / path)

        makers: dict[str, Make] = {
            "recogniser-whisper-fixture": lambda: {"model": shared("weights/whisper_fixture/whisper_fixture.pt")},
            "recogniser-whisper-random": lambda: {"model": str(tiny_models.random_whisper(place / "model.pt"))},
            "voice-coqui": lambda: {"model": str(tiny_models.random_voice(place))},
            "voice-coqui-xtts": lambda: {
                "model": str(tiny_models.random_xtts(place)),
                "accept_licence": True,
                "seed": 0,
            },
            "voice-kokoro": lambda: {"folder": str(tiny_models.random_kokoro(place))},
            "eyes-ocr": lambda: {"threads": 1},
            "eyes-scripted": lambda: {"lines": ["FRESH MILK"]},
            "detector-onnx-yolox": lambda: {"model": shared("weights/detector/yolox_nano_416.onnx")},
            "detector-onnx-fastestdet": lambda: {"model": shared("weights/detector/fastestdet_352.onnx")},
            "detector-transformers": lambda: {
                "model": str(tiny_models.random_detector(place, "d_fine")),
                "least_score": 0.0,
            },
            "detector-scripted": lambda: {"labels": ["cup", "dog"]},
            "encoder-siglip": lambda: {"model": str(tiny_models.random_encoder(place, "siglip"))},
            "encoder-clip-values": lambda: {"model": str(tiny_models.random_encoder(place, "clip"))},
            "encoder-clip-crops": lambda: {
                "model": str(tiny_models.random_encoder(place, "clip")),
                "regions": "crops",
            },
        }
        return makers.get(key, dict)()

    def close(self) -> None:
        for engine in self._engines.values():
            getattr(engine, "close", lambda: None)()
        self._engines.clear()
        gc.collect()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[Made]:
    engines = Made(tmp_path_factory.mktemp("engines"), request)
    yield engines
    engines.close()


ACTIVITIES = ["scripted", "silero"]
ENDPOINTING = ["scripted", "smart_turn", "words"]
RECOGNISERS = ["scripted", "pocketsphinx", "whisper-fixture", "whisper-random"]
EYES = ["scripted", "ocr"]
DETECTORS = ["scripted", "onnx-yolox", "onnx-fastestdet", "transformers"]
ENCODERS = ["scripted", "siglip", "clip-values", "clip-crops"]
VOICES = ["scripted", "espeak", "coqui", "kokoro"]
STREAMING = ["coqui", "coqui-xtts"]


def test_every_engine_is_asked() -> None:
    asked = {
        "activity": ACTIVITIES,
        "endpointing": ENDPOINTING,
        "recogniser": RECOGNISERS,
        "mind": MINDS,
        "eyes": EYES,
        "detector": DETECTORS,
        "encoder": ENCODERS,
        "voice": VOICES,
    }
    assert {slot: set(engines) for slot, engines in ENGINES.items()} == {
        slot: {name.split("-")[0] for name in names} for slot, names in asked.items()
    }


def recording(shared: Path, name: str) -> Samples:
    return np.asarray(soundfile.read(shared / f"data/speech/{name}.flac", dtype="float32")[0], np.float32)


# ---------------------------------------------------------------- voice activity


@pytest.mark.parametrize("name", ACTIVITIES)
def test_voice_activity_hears_voices_and_keeps_its_state_outside(made: Made, shared: Path, name: str) -> None:
    ear: VoiceActivity = made("activity", name)
    pcm = recording(shared, "en_jfk")
    windows = [pcm[i : i + ear.window] for i in range(0, 3 * RATE, ear.window)]

    def listen(state: Any) -> list[float]:
        heard = list[float]()
        for window in windows:
            state, p = ear.voice(state, window)
            heard.append(p)
        return heard

    first = listen(ear.start())
    assert all(isinstance(p, float) and 0 <= p <= 1 for p in first)
    assert max(first) > 0.5
    _, silence = ear.voice(ear.start(), np.zeros(ear.window, np.float32))
    assert silence < 0.5
    assert listen(ear.start()) == first


# ---------------------------------------------------------------- the end of a turn


@pytest.mark.parametrize("name", ENDPOINTING)
def test_the_end_of_a_turn_is_a_probability_of_sound_of_any_length(made: Made, shared: Path, name: str) -> None:
    engine: EndOfTurn = made("endpointing", name)
    pcm = recording(shared, "en_jfk")
    for sound in (pcm, pcm[: 3 * RATE], pcm[:100], np.zeros(0, np.float32), np.zeros(RATE, np.float32)):
        p = engine.over(sound)
        assert p is None or (isinstance(p, float) and 0 <= p <= 1)
        assert engine.over(sound) == p
    assert (engine.over(pcm) is None) == (name == "words")


# ---------------------------------------------------------------- recognisers


def hear(engine: Recogniser | Decodes, pcm: Samples, language: str = "auto") -> Words:
    if isinstance(engine, Decodes):
        hypothesis = engine.decode(pcm, language, "", never)
        assert type(hypothesis.mean_logp) is type(hypothesis.no_speech_p) is float
        return hypothesis.words if doubt(hypothesis) is None else Words("", (), hypothesis.words.language)
    segment = engine.start(language)
    for i in range(0, len(pcm), RATE // 100):
        partial = engine.feed(segment, pcm[i : i + RATE // 100])
        assert partial is None or isinstance(partial, Words)
    return engine.finish(segment)


@pytest.mark.parametrize("name", RECOGNISERS)
def test_a_recording_becomes_words_with_times_inside_it(made: Made, shared: Path, name: str) -> None:
    engine: Recogniser | Decodes = made("recogniser", name)
    pcm = recording(shared, "en_lamp")
    words = hear(engine, pcm)
    assert words.language in engine.languages
    times = [t for w in words.words for t in (w.began_s, w.ended_s)]
    assert times == sorted(times)
    assert all(type(t) is float and 0 <= t <= len(pcm) / RATE + 0.05 for t in times)
    assert all(type(w.p) is float and 0 <= w.p <= 1 for w in words.words)
    assert all(w.text == w.text.strip() != "" for w in words.words)
    if name in ("pocketsphinx", "whisper-fixture"):
        assert "room" in words.text
        assert words.words


@pytest.mark.parametrize("name", RECOGNISERS)
def test_segments_know_nothing_of_each_other(made: Made, shared: Path, name: str) -> None:
    engine: Recogniser | Decodes = made("recogniser", name)
    pcm = recording(shared, "en_what_time")
    once = hear(engine, pcm, "en")
    hear(engine, np.random.default_rng(0).normal(0, 0.05, RATE).astype(np.float32), "en")
    assert hear(engine, pcm, "en").text == once.text


@pytest.mark.parametrize("name", RECOGNISERS)
def test_no_sound_and_silence_are_heard_without_complaint(made: Made, name: str) -> None:
    engine: Recogniser | Decodes = made("recogniser", name)
    for seconds in (0.0, 0.02, 1.0):
        words = hear(engine, np.zeros(int(seconds * RATE), np.float32), engine.languages[0])
        if name in ("pocketsphinx", "whisper-fixture"):
            assert words.text == "", f"{seconds} s of silence"


@pytest.mark.parametrize("name", RECOGNISERS)
def test_a_recogniser_tells_its_languages_and_refuses_others(made: Made, name: str) -> None:
    engine: Recogniser | Decodes = made("recogniser", name)
    assert isinstance(engine.languages, tuple)
    assert "en" in engine.languages
    if name != "scripted":
        with pytest.raises(EngineError, match="wanted to hear 'tlh'"):
            hear(engine, np.zeros(RATE, np.float32), "tlh")


# ---------------------------------------------------------------- eyes


def label(text: str) -> Image:
    canvas = Pillow.new("RGB", (320, 120), "white")
    ImageDraw.Draw(canvas).text((20, 30), text, fill="black", font_size=44)
    return np.asarray(canvas, np.uint8)


@pytest.mark.parametrize("name", EYES)
def test_eyes_find_what_is_to_be_read(made: Made, name: str) -> None:
    eyes: Eyes = made("eyes", name)
    findings = eyes.look(label("FRESH MILK"))
    assert all(isinstance(finding, Finding) and 0 <= finding.score <= 1 for finding in findings)
    assert any(finding.kind == "text" and "MILK" in finding.text for finding in findings)
    for left, top, right, bottom in (finding.box for finding in findings if finding.box):
        assert 0 <= left < right <= 320
        assert 0 <= top < bottom <= 120
    assert isinstance(eyes.look(np.zeros((120, 160, 3), np.uint8)), tuple)


@pytest.mark.parametrize("name", DETECTORS)
def test_detectors_name_and_place_things(made: Made, name: str) -> None:
    detector: Eyes = made("detector", name)
    picture = np.random.default_rng(0).integers(0, 256, (120, 320, 3), dtype=np.uint8)
    found = detector.look(picture)
    assert isinstance(found, tuple) and detector.look(picture) == found
    assert all(f.kind in ("object", "colour") and f.text and 0 <= f.score <= 1 and f.box for f in found)
    assert {f.box for f in found if f.kind == "colour"} <= {f.box for f in found if f.kind == "object"}
    for left, top, right, bottom in (f.box for f in found if f.box):
        assert 0 <= left < right <= 320
        assert 0 <= top < bottom <= 120


# ---------------------------------------------------------------- encoders


@pytest.mark.parametrize("name", ENCODERS)
def test_pictures_their_parts_and_texts_are_vectors_of_one_space(made: Made, name: str) -> None:
    encoder: Encoder = made("encoder", name)
    picture = label("FRESH MILK")
    parts = encoder.embed_regions(picture, [(0, 0, 160, 120), (10, 10, 30, 30)])
    vectors = [encoder.embed_image(picture), encoder.embed_text("fresh milk"), *parts]
    assert len({v.shape for v in vectors}) == 1 and {v.dtype.name for v in vectors} == {"float32"}
    assert [float(np.linalg.norm(v)) for v in vectors] == pytest.approx([1.0] * 4, abs=1e-5)
    assert encoder.embed_regions(picture, []).shape == (0, len(vectors[0]))


# ---------------------------------------------------------------- voices

CLAUSE = "Turn on the lamp in the living room."


@pytest.mark.parametrize("name", VOICES)
def test_text_becomes_sound_with_marks_in_order(made: Made, name: str) -> None:
    voice: Voice = made("voice", name)
    assert isinstance(voice.languages, tuple)
    speech = voice.synthesise(CLAUSE, "en", never)
    assert speech.rate_hz >= 8000
    assert speech.pcm.dtype == np.float32
    assert speech.pcm.ndim == 1
    assert np.isfinite(speech.pcm).all()
    assert 0.01 < np.abs(speech.pcm).max() <= 1
    characters, samples = ([mark[i] for mark in speech.marks] for i in (0, 1))
    assert characters == sorted(characters)
    assert samples == sorted(samples)
    assert all(0 <= c <= len(CLAUSE) for c in characters)
    assert all(0 <= s <= len(speech.pcm) for s in samples)


@pytest.mark.parametrize("name", VOICES)
def test_no_text_is_no_sound_and_more_is_longer(made: Made, name: str) -> None:
    voice: Voice = made("voice", name)
    lengths = [len(voice.synthesise(text, "en", never).pcm) for text in ("", "Lamp.", CLAUSE)]
    assert lengths[0] == 0
    assert 0 < lengths[1] < lengths[2]


@pytest.mark.parametrize("name", STREAMING)
def test_a_voice_that_streams_says_all_of_the_text_piece_by_piece(made: Made, name: str) -> None:
    voice: Streams = made("voice", name)
    assert isinstance(voice, Streams)
    said = 0
    for end, speech in voice.stream(CLAUSE, "en", never):
        assert said <= end <= len(CLAUSE) and speech.pcm.dtype == np.float32 and np.isfinite(speech.pcm).all()
        assert all(0 <= c <= end - said and 0 <= s <= len(speech.pcm) for c, s in speech.marks)
        said = end
    assert said == len(CLAUSE)
    assert list(voice.stream("", "en", never)) == []
    assert list(voice.stream(CLAUSE, "en", lambda: True)) == []


@pytest.mark.parametrize("name", [name for name in VOICES if name != "scripted"])
def test_a_voice_that_is_stopped_says_less(made: Made, name: str) -> None:
    voice: Voice = made("voice", name)
    text = " ".join([CLAUSE] * 6)
    whole = len(voice.synthesise(text, "en", never).pcm)
    stop: Stop = lambda: True  # noqa: E731
    assert len(voice.synthesise(text, "en", stop).pcm) < whole / 2
    assert len(voice.synthesise(text, "en", never).pcm) > whole / 2


@pytest.mark.parametrize("name", [name for name in VOICES if name != "scripted"])
def test_a_voice_refuses_languages_it_does_not_speak(made: Made, name: str) -> None:
    voice: Voice = made("voice", name)
    with pytest.raises(EngineError, match="'tlh'"):
        voice.synthesise("nuqneH", "tlh", never)
