"""The built-in voice: what it says, when it says it, and what it makes of bad input."""

import shutil
import subprocess
import sys
import threading
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assistant.backends import Speech, load
from assistant.backends.espeak import Espeak
from assistant.errors import ConfigError, EngineError
from assistant.events import Played
from assistant.speaking import heard, make_phrase, say, speakable

ENGLISH = [
    "Hello there, this is a test of the voice.",
    "The label on the bottle says that it weighs three kilograms, of which most is water.",
    "don't we'll it's the dog's well-known bone, and so on",
    "USB and NASA sent it to the U S A",
]
CHINESE = ["你好，我是你的助手。", "今天天气很好，我们去公园吧", "三公斤苹果和 iPhone 手机"]
ALL = [(text, "en") for text in ENGLISH] + [(text, "zh") for text in CHINESE]


@pytest.fixture(scope="module")
def voice() -> Espeak:
    return Espeak()


def never() -> bool:
    return False


def rms(pcm: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(pcm)))) if len(pcm) else 0.0


@pytest.mark.parametrize(("text", "language"), ALL)
def test_it_speaks_clean_sound_at_a_natural_speed(voice: Espeak, text: str, language: str):
    speech = voice.synthesise(text, language, never)
    assert (speech.rate_hz, speech.pcm.dtype) == (22_050, np.float32)
    assert 0.05 < rms(speech.pcm)
    assert np.max(np.abs(speech.pcm)) < 0.97, "not clipped"
    assert abs(np.mean(speech.pcm)) < 0.01, "no offset"
    syllables = len(text) if language == "zh" else len(text.split()) * 1.5
    assert 2 < syllables / (len(speech.pcm) / speech.rate_hz) < 7


@pytest.mark.parametrize(("text", "language"), ALL)
def test_every_word_has_a_mark_and_the_marks_rise(voice: Espeak, text: str, language: str):
    speech = voice.synthesise(text, language, never)
    spoken = speakable(text, language)
    assert len(speech.marks) == len(spoken.marks)
    assert all(a[0] < b[0] and a[1] < b[1] for a, b in pairwise(speech.marks))
    assert all(text[end - 1].isalnum() or text[end - 1] in ",." for end, _ in speech.marks)
    assert speech.marks[-1][1] == len(speech.pcm)
    onsets = [mark.sample for mark in make_phrase(0, spoken, speech).marks]
    last = speech.pcm[onsets[-1] : onsets[-1] + 4410]
    assert rms(last) > 0.2 * rms(speech.pcm), "the last word sounds at its mark"


@pytest.mark.parametrize(("before", "after"), [("One two three four,", "five six."), ("一二三四，", "五六。")])
def test_the_mark_after_a_pause_is_where_the_voice_comes_back(voice: Espeak, before: str, after: str):
    language = "zh" if before.startswith("一") else "en"
    spoken = speakable(f"{before} {after}", language)
    speech = voice.synthesise(spoken.text, language, never)
    words = 4
    onset = make_phrase(0, spoken, speech).marks[words].sample
    quiet = speech.pcm[onset - 2000 : onset - 200]
    assert np.max(np.abs(quiet)) < 0.01, "the pause belongs to the word before"
    assert rms(speech.pcm[onset : onset + 4000]) > 0.05


def test_a_word_takes_as_long_as_its_marks_say(voice: Espeak):
    """The same sentence with one word much longer differs in that word's share only."""
    short = voice.synthesise("I see a cat on the mat", "en", never)
    long = voice.synthesise("I see a hippopotamus on the mat", "en", never)
    share = [np.diff([0, *(s for _, s in speech.marks)]) for speech in (short, long)]
    assert share[1][3] > 1.8 * share[0][3]
    others = [i for i in range(len(share[0])) if i != 3]
    assert np.allclose(share[0][others], share[1][others], rtol=0.3, atol=600)


def test_silence_at_the_ends_is_short(voice: Espeak):
    for text in ("The end", "Six of them", "too late"):
        pcm = voice.synthesise(text, "en", never).pcm
        loud = np.flatnonzero(np.abs(pcm) > 0.003)
        assert loud[0] <= 0.006 * 22_050
        assert len(pcm) - loud[-1] < 0.03 * 22_050
    pauses = []
    for text in ("That is it", "That is it,", "That is it."):
        pcm = voice.synthesise(text, "en", never).pcm
        pauses.append(len(pcm) - np.flatnonzero(np.abs(pcm) > 0.003)[-1])
    assert pauses[0] < pauses[1] < pauses[2] < 0.5 * 22_050


@pytest.mark.parametrize("text", ["", "   ", "\n\t", "\x00", "\ud800", "\x00\ud800 "])
def test_nothing_to_say_is_no_sound(voice: Espeak, text: str):
    speech = voice.synthesise(text, "en", never)
    assert len(speech.pcm) == 0
    assert speech.marks == ()


@pytest.mark.parametrize("text", ["one\x00two", "one \ud800 two", "one \udc80\x1btwo"])
def test_what_cannot_be_text_does_not_end_it(voice: Espeak, text: str):
    speech = voice.synthesise(text, "en", never)
    assert len(speech.marks) == 2
    assert speech.marks[-1][0] == len(text)


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("<break time='9s'/> hello", "hello"),
        ("[[h@l'oU]]", "hello"),
        ("<speak>hello</speak>", "hello"),
        ("a & b < c", "a"),
    ],
)
def test_markup_is_spoken_and_not_obeyed(voice: Espeak, text: str, plain: str):
    length = len(voice.synthesise(text, "en", never).pcm)
    assert len(voice.synthesise(plain, "en", never).pcm) < length < 6 * 22_050


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=60), st.sampled_from(["en", "zh"]))
def test_any_text_gives_finite_sound_and_marks_within_it(text: str, language: str):
    speech = Espeak().synthesise(text, language, never)
    assert np.all(np.isfinite(speech.pcm))
    assert all(0 <= s <= len(speech.pcm) and 0 < c <= len(text) for c, s in speech.marks)
    assert all(a[0] < b[0] and a[1] <= b[1] for a, b in pairwise(speech.marks))


def test_stop_ends_it_early(voice: Espeak):
    asked = 0

    def soon() -> bool:
        nonlocal asked
        asked += 1
        return asked > 3

    whole = voice.synthesise("word " * 200, "en", never)
    part = voice.synthesise("word " * 200, "en", soon)
    assert len(part.pcm) < 0.05 * len(whole.pcm)
    assert len(voice.synthesise(ENGLISH[0], "en", never).pcm) > 22_050, "and the next one is whole again"


def test_an_error_while_it_speaks_comes_out(voice: Espeak):
    def broken() -> bool:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        voice.synthesise(ENGLISH[0], "en", broken)
    assert voice.synthesise(ENGLISH[0], "en", never).marks


def test_two_of_them_on_two_threads_keep_their_options():
    slow, fast = Espeak(speed=100), Espeak(speed=300)
    results: dict[str, list[int]] = {"slow": [], "fast": []}

    def work(name: str, voice: Espeak) -> None:
        results[name] = [len(voice.synthesise(ENGLISH[0], "en", never).pcm) for _ in range(10)]

    threads = [threading.Thread(target=work, args=pair) for pair in (("slow", slow), ("fast", fast))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert min(results["slow"]) > 1.8 * max(results["fast"])


def test_options_are_heard(voice: Espeak):
    quiet = Espeak(volume=20).synthesise(ENGLISH[0], "en", never)
    usual = voice.synthesise(ENGLISH[0], "en", never)
    assert rms(quiet.pcm) < 0.6 * rms(usual.pcm)

    def pitch_hz(speech: Speech) -> float:
        """The median over 40 ms frames of where their autocorrelation peaks between 60 and 400 Hz."""
        frames = speech.pcm[: len(speech.pcm) // 882 * 882].reshape(-1, 882)
        voiced = [frame for frame in frames if rms(frame) > rms(speech.pcm)]
        lags = [55 + int(np.argmax(np.correlate(frame, frame, "full")[881 + 55 : 881 + 367])) for frame in voiced]
        return speech.rate_hz / float(np.median(lags))

    assert pitch_hz(Espeak(pitch=90).synthesise(ENGLISH[0], "en", never)) > 1.15 * pitch_hz(
        Espeak(pitch=10).synthesise(ENGLISH[0], "en", never)
    )


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"english": "klingon-xx"}, "klingon-xx"),
        ({"speed": 1000}, "speed from 80 to 450, got 1000"),
        ({"pitch": -1}, "pitch from 0 to 99"),
        ({"volume": 101}, "volume from 0 to 100"),
    ],
)
def test_a_wrong_option_is_named(options: dict[str, object], said: str):
    with pytest.raises(EngineError, match=said):
        load("voice", "espeak", **options)


def test_an_unknown_option_or_language_is_named(voice: Espeak):
    with pytest.raises(ConfigError, match="did you mean 'speed'"):
        load("voice", "espeak", spede=100)
    with pytest.raises(EngineError, match="en or zh, got 'tlh'"):
        voice.synthesise("hello", "tlh", never)


def test_it_works_from_a_folder_with_a_long_name(tmp_path):
    import espeakng_loader

    home = tmp_path / ("long" * 20) / ("name" * 20)
    shutil.copytree(espeakng_loader.__path__[0], home / "espeakng_loader")
    script = (
        "from assistant.backends.espeak import Espeak; import espeakng_loader;"
        "print(espeakng_loader.__file__, len(Espeak().synthesise('hello', 'en', lambda: False).pcm))"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script], env={"PYTHONPATH": str(home)}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(str(home))
    assert int(done.stdout.split()[-1]) > 5000


def test_what_was_heard_of_a_real_reply_grows_word_by_word(voice: Espeak):
    reply = "It says **FRESH MILK**, 3 kg of it, for $3.49. You said: “two of the big ones”! 😀"
    spoken = speakable(reply, "en")
    phrase = make_phrase(0, spoken, voice.synthesise(spoken.text, "en", never))
    steps = [heard([Played(phrase, samples)], reply) for samples in range(0, len(phrase.pcm), 100)]
    distinct = list(dict.fromkeys(steps))
    assert distinct[0] == ""
    assert distinct[1:4] == ["It ", "It says ", "It says **FRESH "]
    assert any(text.endswith("**, 3 kg ") for text in distinct)
    assert not any(text.rstrip().endswith(("3", "$3", "$3.")) for text in distinct)
    assert distinct[-1] == reply


def test_say_joins_the_phrases_of_a_text(voice: Espeak):
    pcm, rate_hz = say("Hello there. It costs $3.49, which is **cheap**.", "en", voice)
    assert rate_hz == 22_050
    assert 2 < len(pcm) / rate_hz < 7
    assert 0.05 < rms(pcm) and np.max(np.abs(pcm)) < 0.97
    assert abs(np.mean(pcm)) < 0.01
