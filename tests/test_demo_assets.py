"""The demo's own sounds and pictures: they are what the scripts make, and the built-in recogniser hears every word."""

import shutil
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest
import soundfile

from assistant.backends.files import read_sound
from assistant.backends.pictures import read_picture
from assistant.backends.pocketsphinx import PocketSphinx
from assistant.backends.silero import Silero
from assistant.demo import ASSETS, SEED, DemoScript, mix, script
from assistant.demo import draw as drawing
from assistant.demo.draw import draw
from assistant.demo.speak import ANSWER_S, flite, pictures, speak
from assistant.errors import OutputError, SourceError
from assistant.events import HEARING_RATE_HZ, Block, Onset, Pause, Samples
from assistant.hearing import Ear, TurnTaking, listen

CELL = 16
"""pixels: FreeType's versions differ in the grey of a letter's edge, and hardly in the mean of a cell"""


@pytest.fixture(scope="module")
def demo() -> DemoScript:
    return script()


def cells(image: np.ndarray) -> np.ndarray:
    height, width = image.shape[0] // CELL, image.shape[1] // CELL
    return image.astype(float).reshape(height, CELL, width, CELL, 3).mean((1, 3))


def at(sound: Samples, began_s: float, ended_s: float) -> Samples:
    return sound[round(began_s * HEARING_RATE_HZ) : round(ended_s * HEARING_RATE_HZ)]


def turns(sound: Samples) -> Iterator[tuple[float, float]]:
    """Where Silero and turn-taking hear a turn begin and end, in seconds."""
    activity, rules, ear = Silero(), TurnTaking(), Ear()
    state, began_s = activity.start(), 0.0
    for begin in range(0, len(sound) - activity.window + 1, activity.window):
        window = Block(begin / HEARING_RATE_HZ, sound[begin : begin + activity.window])
        state, p_voice = activity.voice(state, window.pcm)
        ear, events = listen(ear, window, p_voice, rules)
        for event in events:
            if isinstance(event, Onset):
                began_s = event.voice_s
            elif isinstance(event, Pause):
                yield began_s, event.voice_s


def transcript(recogniser: PocketSphinx, sound: Samples, piece: int) -> str:
    segment = recogniser.start("en")
    for begin in range(0, len(sound), piece):
        recogniser.feed(segment, sound[begin : begin + piece])
    return recogniser.finish(segment).text


# ---------------------------------------------------------------- what comes with the package


def test_the_pictures_are_those_that_draw_makes(demo):
    drawn = draw(SEED).pictures
    assert len(demo.pictures) == len(drawn)
    for (_, path), picture in zip(demo.pictures, drawn, strict=True):
        shipped = read_picture(path)
        assert shipped.shape == picture.shape
        assert np.abs(cells(shipped) - cells(picture)).max() < 8


def test_another_price_is_told_from_the_shipped_picture(demo):
    before, after = (draw(seed).pictures[0] for seed in (SEED, SEED + 1))
    assert np.abs(cells(before) - cells(after)).max() > 30


def test_drawing_again_writes_the_same_files(tmp_path):
    drawing.main(tmp_path / "one")
    drawing.main(tmp_path / "two")
    names = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert names == sorted(path.name for path in ASSETS.glob("*.png"))
    assert all((tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes() for name in names)


def test_the_script_asks_what_draw_writes(demo):
    lines = draw(SEED).lines
    assert [(q.text, q.expected, q.kind) for q in demo.questions] == [(ln.text, ln.expected, ln.kind) for ln in lines]
    for line, question in zip(lines, demo.questions, strict=True):
        shown = [path for at_s, path in demo.pictures if at_s <= question.began_s - 2]
        assert shown[-1].name == f"picture{line.thing + 1}.png"


def test_the_talk_has_every_kind_of_turn_and_is_short(demo):
    assert {q.kind for q in demo.questions} == {"tell", "read", "compare", "recall", "refuse"}
    assert soundfile.info(demo.sound).duration < 50
    assert sum(path.stat().st_size for path in ASSETS.iterdir()) < 1_000_000


def test_the_sound_is_at_the_level_of_speech_in_a_quiet_room(demo):
    info = soundfile.info(demo.sound)
    assert (info.samplerate, info.channels, info.format, info.subtype) == (HEARING_RATE_HZ, 1, "FLAC", "PCM_16")
    sound = read_sound(demo.sound)
    assert 0.1 < np.abs(sound).max() < 0.9
    gaps = [(0.0, demo.questions[0].began_s)]
    gaps += [(question.ended_s, after.began_s) for question, after in pairwise(demo.questions)]
    for (began_s, ended_s), question in zip(gaps, demo.questions, strict=True):
        assert ended_s - began_s >= 3
        noise, voice = at(sound, began_s + 0.1, ended_s - 0.1), at(sound, question.began_s, question.ended_s)
        assert 30 < 20 * np.log10(voice.std() / noise.std()) < 55
        assert noise.std() > 0


def test_the_built_in_engines_hear_every_turn_and_every_word(demo):
    sound, recogniser = read_sound(demo.sound), PocketSphinx()
    found = list(turns(sound))
    assert len(found) == len(demo.questions)
    for (began_s, ended_s), question in zip(found, demo.questions, strict=True):
        assert began_s == pytest.approx(question.began_s, abs=0.15)
        assert ended_s == pytest.approx(question.ended_s, abs=0.15)
        for piece in (512, 14_400):  # as it comes, and in pieces of 0.9 s where the machine is busy
            assert transcript(recogniser, at(sound, began_s - 0.3, ended_s + 0.2), piece) == question.text


def test_a_damaged_or_missing_script_is_one_line(tmp_path):
    with pytest.raises(SourceError, match=r"^wanted the demo's script in .*; install assistant again$"):
        script(tmp_path)
    (tmp_path / "script.json").write_text('{"sound": "x.flac", "pictures": [[0, "a.png"]]}')
    with pytest.raises(SourceError, match=r"got ''questions''; install"):
        script(tmp_path)


# ---------------------------------------------------------------- spoken again


@pytest.mark.skipif(shutil.which("flite") is None, reason="needs flite, which only spoke the demo's questions")
def test_speaking_again_makes_the_same_recording(demo):
    scene = draw(SEED)
    track, questions = speak(scene, SEED)
    assert questions == demo.questions
    assert pictures(scene, questions) == [(at_s, path.name) for at_s, path in demo.pictures]
    shipped = read_sound(demo.sound)
    assert len(track) == len(shipped)
    assert np.abs(track - shipped).max() < 1e-4


@pytest.mark.skipif(shutil.which("flite") is None, reason="needs flite, which only spoke the demo's questions")
def test_other_seeds_leave_room_for_their_answers():
    for seed in (3, 4):
        scene = draw(seed)
        track, questions = speak(scene, seed)
        for question, after in pairwise(questions):
            assert after.began_s - question.ended_s >= ANSWER_S[question.kind] - 0.02
        for line, question in zip(scene.lines, questions, strict=True):
            voice, clip = at(track, question.began_s, question.ended_s), flite(line.text)
            assert np.corrcoef(voice[: len(clip)], clip[: len(voice)])[0, 1] > 0.99


# ---------------------------------------------------------------- both sides in one file


def tone(path, hz, seconds, rate_hz):
    t = np.arange(round(seconds * rate_hz)) / rate_hz
    soundfile.write(path, 0.5 * np.sin(2 * np.pi * hz * t), rate_hz)
    return path


def frequency_hz(pcm, rate_hz):
    return float(np.argmax(np.abs(np.fft.rfft(pcm))) * rate_hz / len(pcm))


@pytest.mark.parametrize("user_s, assistant_s", [(1.0, 1.5), (1.5, 1.0)])
def test_mix_puts_the_user_left_and_the_assistant_right(tmp_path, user_s, assistant_s):
    user = tone(tmp_path / "user.flac", 300, user_s, 16_000)
    assistant = tone(tmp_path / "reply.wav", 800, assistant_s, 24_000)
    mix(user, assistant, tmp_path / "conversation.wav")
    both, rate_hz = soundfile.read(tmp_path / "conversation.wav")
    info = soundfile.info(tmp_path / "conversation.wav")
    assert (info.channels, info.subtype, rate_hz) == (2, "PCM_16", 24_000)
    assert len(both) == 1.5 * rate_hz
    assert frequency_hz(both[:rate_hz, 0], rate_hz) == 300
    assert frequency_hz(both[:rate_hz, 1], rate_hz) == 800
    shorter = 0 if user_s < assistant_s else 1
    assert not both[rate_hz + 50 :, shorter].any()
    assert np.abs(both[rate_hz + 50 :, 1 - shorter]).max() > 0.4


def test_mix_keeps_the_time_of_both_sides(tmp_path):
    clicks = {}
    for name, rate_hz, at_s in (("user", 16_000, 0.25), ("reply", 24_000, 0.75)):
        pcm = np.zeros(rate_hz, np.float32)
        pcm[round(at_s * rate_hz)] = 0.9
        soundfile.write(tmp_path / f"{name}.wav", pcm, rate_hz)
        clicks[name] = at_s
    mix(tmp_path / "user.wav", tmp_path / "reply.wav", tmp_path / "out.wav")
    both, rate_hz = soundfile.read(tmp_path / "out.wav")
    for side, at_s in enumerate(clicks.values()):
        assert np.argmax(np.abs(both[:, side])) / rate_hz == pytest.approx(at_s, abs=0.001)


def test_mix_of_a_talk_that_ended_at_once_keeps_the_user(tmp_path):
    user = tone(tmp_path / "user.wav", 300, 0.5, 16_000)
    soundfile.write(tmp_path / "reply.wav", np.zeros(0), 24_000)
    mix(user, tmp_path / "reply.wav", tmp_path / "out.wav")
    both, rate_hz = soundfile.read(tmp_path / "out.wav")
    assert len(both) == rate_hz / 2 and not both[:, 1].any() and both[:, 0].any()


def test_mix_says_which_file_it_cannot_read_or_write(tmp_path):
    user = tone(tmp_path / "user.wav", 300, 0.1, 16_000)
    with pytest.raises(SourceError, match=r"^wanted the sound file .*none\.wav, got "):
        mix(user, tmp_path / "none.wav", tmp_path / "out.wav")
    (tmp_path / "noise.wav").write_bytes(b"no sound")
    with pytest.raises(SourceError, match=r"^wanted the sound file .*noise\.wav, got "):
        mix(tmp_path / "noise.wav", user, tmp_path / "out.wav")
    with pytest.raises(OutputError, match=r"^wanted to write .*; choose another folder$"):
        mix(user, user, tmp_path / "nowhere" / "out.wav")
