"""Voices that sound before they are done: pieces add up to the whole, and what was heard stays exact across them.

Weights are random: the sound means nothing, and all that is shown holds for any weights of the same shape.
"""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import tiny_models
from hypothesis import given
from hypothesis import strategies as st

from assistant.backends import Speech, Stop, Streams
from assistant.backends.coqui import Coqui
from assistant.backends.vits import FIRST, Vits, reach, stretches, text_ends, word_begins
from assistant.backends.xtts import said_by
from assistant.errors import ConfigError, EngineError, WeightsError
from assistant.events import Phrase, Played
from assistant.replying import voiced
from assistant.speaking import heard, make_phrase, speakable
from assistant.workers import Worker

SENTENCE = "Hello there, this is a sentence of some length, and it goes on until it is over."


def never() -> bool:
    return False


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.random_voice(tmp_path_factory.mktemp("voice"))


@pytest.fixture(scope="module")
def seeded(folder: Path) -> Coqui:
    return Coqui(str(folder), seed=1)


# ---------------------------------------------------------------- VITS in windows


def test_windows_of_a_vits_are_the_whole(seeded: Coqui) -> None:
    whole = seeded.synthesise(SENTENCE, "en", never)
    pieces = list(seeded.stream(SENTENCE, "en", never))
    assert len(pieces) > 2
    assert np.abs(np.concatenate([speech.pcm for _, speech in pieces]) - whole.pcm).max() < 1e-5
    ends = [end for end, _ in pieces]
    assert ends == sorted(ends) and ends[-1] == len(SENTENCE)
    assert all(SENTENCE[end : end + 1] in ("", " ") for end in ends), "a piece is of whole words"


def test_marks_of_the_pieces_are_the_marks_of_the_whole(seeded: Coqui) -> None:
    said = played = 0
    marks = list[tuple[int, int]]()
    for end, speech in seeded.stream(SENTENCE, "en", never):
        assert all(0 < char <= end - said and 0 < sample <= len(speech.pcm) for char, sample in speech.marks)
        marks += [(said + char, played + sample) for char, sample in speech.marks]
        said, played = end, played + len(speech.pcm)
    assert tuple(marks) == seeded.synthesise(SENTENCE, "en", never).marks


def test_the_first_piece_is_a_small_part_of_the_work(seeded: Coqui) -> None:
    pieces = [len(speech.pcm) for _, speech in seeded.stream(SENTENCE, "en", never)]
    assert pieces[0] < sum(pieces) / 3


def test_a_voice_without_windows_speaks_in_one_piece(folder: Path) -> None:
    (end, speech), *rest = Coqui(str(folder), seed=1, windows=False).stream(SENTENCE, "en", never)
    assert not rest and end == len(SENTENCE) and len(speech.marks) == len(SENTENCE.split())


def test_words_that_cannot_be_told_apart_come_in_pieces_all_the_same(seeded: Coqui) -> None:
    text = "this & that & all of the other things & so on & so on"
    pieces = list(seeded.stream(text, "en", never))
    ends = [end for end, _ in pieces]
    assert len(pieces) > 1 and ends == sorted(ends) and ends[-1] == len(text)
    assert all(speech.marks == () for _, speech in pieces)


@pytest.mark.parametrize("asks", [1, 9, 40])
def test_a_stream_stops_when_nobody_wants_it(seeded: Coqui, asks: int) -> None:
    asked = list[int]()

    def stop() -> bool:
        asked.append(1)
        return len(asked) >= asks

    list(seeded.stream(SENTENCE, "en", stop))
    assert len(asked) == asks
    assert list(seeded.stream("…", "en", never)) == []


@pytest.fixture(scope="module")
def decoder() -> Any:
    """A HiFi-GAN of the shape that VITS has, with random weights."""
    import torch

    from assistant.backends.no_torchaudio import stand_in

    with stand_in():
        from TTS.vocoder.models.hifigan_generator import HifiganGenerator

    torch.manual_seed(0)
    torch.set_num_threads(1)
    dilations, kernels = [[1, 3, 5]] * 3, [3, 7, 11]
    return HifiganGenerator(192, 1, "1", dilations, kernels, [16, 16, 4, 4], 512, [8, 8, 2, 2], 0, 0, False, False)


def test_a_decoder_of_the_real_shape_makes_the_same_sound_in_windows(decoder: Any) -> None:
    import torch

    model = Vits.__new__(Vits)  # its decoder alone
    model._decoder, model._reach = decoder, reach(decoder)
    z = torch.randn(1, 192, 60)
    with torch.no_grad():
        whole = decoder(z)[0, 0].numpy()
        windows = [model._decode(z, None, begin, end) for begin, end in ((0, 24), (24, 31), (31, 60))]
    assert np.abs(np.concatenate(windows) - whole).max() < 1e-5


def test_a_decoder_listens_as_far_as_is_reckoned_and_hardly_less(decoder: Any) -> None:
    import copy

    import torch

    exact = copy.deepcopy(decoder).double()  # what comes from afar is too faint for fewer bits
    z = torch.randn(1, 192, 2 * reach(decoder) + 9, dtype=torch.float64)
    middle = z.shape[-1] // 2
    louder = z.clone()
    louder[:, :, middle] += 10
    with torch.no_grad():
        changed = torch.nonzero(exact(z)[0, 0] != exact(louder)[0, 0]).flatten() // 256
    assert 0 <= int(changed[0]) - (middle - reach(decoder)) <= 2
    assert 0 <= middle + reach(decoder) - int(changed[-1]) <= 2


@given(st.lists(st.integers(1, 90), min_size=1, max_size=60), st.integers(1, 90))
def test_stretches_tile_the_words_and_are_short_at_first(lasts: list[int], last: int) -> None:
    begins = [sum(lasts[:k]) for k in range(len(lasts))]
    frames = begins[-1] + last
    cuts = list(stretches(begins, frames))
    assert cuts[-1] == (len(begins), frames)
    assert [word for word, _ in cuts] == sorted({word for word, _ in cuts})
    assert all(begins[word] == end for word, end in cuts[:-1])
    assert len(cuts) == 1 or FIRST <= cuts[0][1] < FIRST + max(lasts)


@given(st.lists(st.integers(0, 400), max_size=12), st.integers(0, 100))
def test_where_a_heard_word_ends_in_the_text_never_falls(begins: list[int], tail: int) -> None:
    text = "one, two three 4 five; six"
    begins = sorted(begins)
    exact, ends = text_ends(text, begins, (begins[-1] if begins else 0) + tail)
    assert exact == (len(begins) == 6)
    assert ends == sorted(ends) and set(ends) <= {4, 8, 14, 16, 22, 26}
    assert not exact or ends == [4, 8, 14, 16, 22, 26]


def test_words_begin_behind_spaces_at_their_first_letter() -> None:
    assert list(word_begins(list("_a_b_ _c"), [1] * 8, "_")) == [1, 7]


# ---------------------------------------------------------------- what was heard of pieces


class PiecewiseVoice:
    """A fake voice: every letter is 10 samples of sound, and words come in pieces of so many."""

    languages = ("en",)

    def __init__(self, words: int) -> None:
        self._words = words

    def synthesise(self, text: str, language: str, stop: Stop) -> Speech:
        return self._speech(text)

    def stream(self, text: str, language: str, stop: Stop) -> Iterator[tuple[int, Speech]]:
        ends = [at for at, c in enumerate(text) if c == " "] + [len(text)]
        cuts = [*ends[self._words - 1 :: self._words]]
        begin = 0
        for end in cuts if cuts and cuts[-1] == len(text) else [*cuts, len(text)]:
            yield end, self._speech(text[begin:end])
            begin = end

    @staticmethod
    def _speech(text: str) -> Speech:
        pcm = np.concatenate([np.full(10, 0.0 if c == " " else 0.5, np.float32) for c in text])
        marks = [(at, 10 * at) for at, c in enumerate(text) if c == " " and at]
        return Speech(pcm, 1000, (*marks, (len(text), len(pcm))))


def phrases(voice: Any, reply: str, begin: int = 0) -> list[Phrase]:
    async def collect() -> list[Phrase]:
        worker = await Worker.start("voice", lambda: voice)
        try:
            return [phrase async for phrase in voiced(worker, begin, speakable(reply[begin:], "en"), "en")]
        finally:
            worker.close()

    return asyncio.run(collect())


@given(st.integers(1, 5), st.integers(0, 700))
def test_what_was_heard_is_the_same_in_pieces_as_in_one(words: int, samples: int) -> None:
    reply = "It costs 3 kg of **gold**, and that is all there is."
    voice = PiecewiseVoice(words)
    spoken = speakable(reply, "en")
    whole = make_phrase(0, spoken, voice.synthesise(spoken.text, "en", never))
    pieces = phrases(voice, reply)
    assert "".join(piece.text for piece in pieces) == spoken.text
    left, played = samples, list[Played]()
    for piece in pieces:
        played.append(Played(piece, min(left, len(piece.pcm))))
        left -= played[-1].samples
    assert heard(played, reply) == heard([Played(whole, min(samples, len(whole.pcm)))], reply)


def test_only_a_voice_that_streams_is_asked_to(seeded: Coqui) -> None:
    class Plain:
        """A fake voice that speaks in one piece."""

        languages = ("en",)

        def synthesise(self, text: str, language: str, stop: Stop) -> Speech:
            return PiecewiseVoice._speech(text)

    assert isinstance(seeded, Streams) and not isinstance(Plain(), Streams)
    assert len(phrases(Plain(), "one two three")) == 1
    assert len(phrases(PiecewiseVoice(1), "one two three")) == 3


def test_a_reply_spoken_by_a_vits_is_heard_word_by_word(folder: Path) -> None:
    reply = "Well: " + SENTENCE
    pieces = phrases(Coqui(str(folder), seed=1), reply, begin=6)
    assert len(pieces) > 2
    for count in range(1, len(pieces) + 1):
        played = [Played(piece, len(piece.pcm)) for piece in pieces[:count]]
        said = "".join(piece.text for piece in pieces[:count])
        assert heard(played, reply).split() == ("Well: " + said).split()


# ---------------------------------------------------------------- XTTS


@pytest.fixture(scope="module")
def xtts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_models.random_xtts(tmp_path_factory.mktemp("xtts"))


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("sample") / "voice.wav"
    soundfile.write(file, np.random.default_rng(0).normal(0, 0.1, 22_050 * 2), 22_050)
    return file


def test_xtts_speaks_piece_by_piece(xtts: Path) -> None:
    voice = Coqui(str(xtts), speaker="Ben", accept_licence=True, seed=1)
    assert set(voice.languages) == {"en", "zh"}
    pieces = list(voice.stream(SENTENCE, "en", never))
    assert len(pieces) > 1 and pieces[-1][0] == len(SENTENCE)
    assert [end for end, _ in pieces] == sorted(end for end, _ in pieces)
    assert all(speech.rate_hz == 24_000 and np.isfinite(speech.pcm).all() for _, speech in pieces)


def test_xtts_takes_the_voice_of_a_recording(xtts: Path, sample: Path) -> None:
    import torch

    voices = [
        Coqui(str(xtts), accept_licence=True, **chosen)._speaks._voice[1]  # type: ignore[arg-type, union-attr]
        for chosen in ({"voice_sample": str(sample)}, {"speaker": "Ben"}, {})
    ]
    assert voices[0].shape == voices[1].shape
    assert not torch.equal(voices[0], voices[1]) and not torch.equal(voices[1], voices[2])


@pytest.mark.parametrize(("content", "found"), [(None, "no file"), (b"no sound", "three seconds or more")])
def test_a_recording_that_cannot_be_used_is_told_so(
    xtts: Path, tmp_path: Path, content: bytes | None, found: str
) -> None:
    file = tmp_path / "voice.wav"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigError, match=found):
        Coqui(str(xtts), accept_licence=True, voice_sample=str(file))


def test_without_its_licence_accepted_xtts_is_not_loaded(xtts: Path) -> None:
    with pytest.raises(WeightsError, match=r"no commercial use.*accept_licence = true"):
        Coqui(str(xtts), speaker="Ben")


def test_a_speaker_nearly_right_is_corrected(xtts: Path) -> None:
    with pytest.raises(ConfigError, match="got 'Bem'; did you mean 'Ben'"):
        Coqui(str(xtts), speaker="Bem", accept_licence=True)


def test_chinese_without_its_reader_is_told_what_to_install(xtts: Path) -> None:
    voice = Coqui(str(xtts), accept_licence=True)
    try:
        import pypinyin  # type: ignore[import-not-found]  # noqa: F401
    except ImportError:
        with pytest.raises(EngineError, match=r"pypinyin.*install what it names"):
            voice.synthesise("你好", "zh", never)
    else:
        assert len(voice.synthesise("你好", "zh", never).pcm) > 0


@given(st.floats(0, 30), st.floats(0, 5))
def test_what_was_surely_said_grows_with_time_and_ends_at_a_word(seconds: float, more: float) -> None:
    text = "Seven cups, 两杯茶 and more"
    end = said_by(text, seconds)
    assert 0 <= end <= said_by(text, seconds + more) <= len(text)
    assert end == 0 or not text[end - 1].isspace()
    assert said_by(text, 0) == 0 and said_by(text, 60) == len(text)
