"""The echo of the assistant's own voice is taken out of what the microphone hears."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.backends import Microphone
from assistant.backends.devices import without_echo
from assistant.backends.files import FileMicrophone, SilentSpeaker, read_sound, resampled
from assistant.backends.scripted import ScriptedRecogniser
from assistant.echo import EchoCanceller, EchoFreeMicrophone, Headphones, own_voice
from assistant.events import HEARING_RATE_HZ, Block, Phrase, Samples, Word, Words
from assistant.hearing import windows
from assistant.pacing import Clock, run
from assistant.transcribing import Transcriber, joined
from assistant.workers import Worker

RATE_HZ = 16_000


def babble(seconds: float, seed: int) -> Samples:
    """Noise with the rhythm and the slope of speech, peak 0.5."""
    rng = np.random.default_rng(seed)
    noise = np.convolve(rng.standard_normal(round(seconds * RATE_HZ)), 0.7 ** np.arange(30), "same")
    syllables = np.repeat(rng.uniform(0, 1, round(seconds * 5) + 1) ** 2, RATE_HZ // 5)[: len(noise)]
    pcm = noise * np.convolve(syllables, np.ones(400) / 400, "same")
    return (0.5 * pcm / np.abs(pcm).max()).astype(np.float32)


def real(shared: Path, name: str) -> Samples:
    pcm = read_sound(shared / "data" / "speech" / name)
    return 0.5 * pcm / np.abs(pcm).max()


def echo(played: Samples, delay_s: float = 0.08, seed: int = 5) -> Samples:
    """What a microphone hears of a loudspeaker in a living room (reverberation 0.3 s), a little noise added."""
    rng = np.random.default_rng(seed)
    length = round(0.25 * RATE_HZ)
    room = rng.standard_normal(length) * 10 ** (-3 * np.arange(length) / (0.3 * RATE_HZ))
    room[0] = 8.0
    heard = np.convolve(np.tanh(played), np.concatenate([np.zeros(round(delay_s * RATE_HZ)), room]))[: len(played)]
    heard *= np.abs(played).max() / np.abs(heard).max()
    return (heard + 10 ** (-65 / 20) * rng.standard_normal(len(heard))).astype(np.float32)


def whole(pcm: Samples) -> Samples:
    return pcm[: len(pcm) // 160 * 160]


def cancel(heard: Samples, played: Samples, rate_hz: int = RATE_HZ, lump: int = 1) -> Samples:
    """Run the canceller frame by frame; what was played comes in lumps of so many frames, early."""
    canceller = EchoCanceller(rate_hz)
    step, out = rate_hz // 100, []
    for i, frame in enumerate(whole(heard).reshape(-1, 160)):
        reference = played[i * step : (i + lump) * step] if i % lump == 0 else played[:0]
        out.append(canceller.cancel(frame, reference))
    return np.concatenate(out)


def db(pcm: Samples) -> float:
    return float(10 * np.log10(np.mean(np.square(pcm, dtype=np.float64)) + 1e-12))


def settled(pcm: Samples) -> Samples:
    return pcm[3 * RATE_HZ :]


@pytest.mark.parametrize("delay_s", [0.02, 0.12, 0.3])
@pytest.mark.parametrize(("rate_hz", "lump"), [(16_000, 1), (48_000, 4), (44_100, 1)])
def test_20_db_of_the_echo_are_gone_after_3_s(delay_s: float, rate_hz: int, lump: int) -> None:
    played = babble(8.0, seed=3)
    heard = echo(played, delay_s)
    clean = cancel(heard, resampled(played, RATE_HZ, rate_hz), rate_hz, lump)
    assert len(clean) == len(whole(heard))
    assert db(settled(whole(heard))) - db(settled(clean)) > 20


@pytest.mark.parametrize("name", ["en_jfk.flac", "en_lj2.flac", "zh_kejiguan.flac"])
def test_20_db_of_a_real_voice_are_gone_after_3_s(shared: Path, name: str) -> None:
    played = np.tile(real(shared, name), 4)[: 8 * RATE_HZ]
    heard = echo(played)
    assert db(settled(heard)) - db(settled(cancel(heard, played))) > 20


def test_where_nothing_is_played_nothing_is_taken_away(shared: Path) -> None:
    voice = whole(real(shared, "en_jfk.flac"))
    clean = cancel(voice, np.zeros(len(voice), np.float32))
    assert db(clean) == pytest.approx(db(voice), abs=2)
    lag = int(np.argmax(np.correlate(clean[RATE_HZ:], voice[RATE_HZ : 4 * RATE_HZ], "valid")[:400]))
    both = np.corrcoef(clean[RATE_HZ + lag : 4 * RATE_HZ + lag], voice[RATE_HZ : 4 * RATE_HZ])
    assert both[0, 1] > 0.85  # the high-pass filter turns phases


def test_only_whole_frames_are_taken() -> None:
    with pytest.raises(ValueError, match="160"):
        EchoCanceller().cancel(np.zeros(150, np.float32), np.zeros(0, np.float32))


@pytest.mark.parametrize("gap_s", [0.15, 0.5, 1.76])
@pytest.mark.parametrize("away", ["loudspeaker", "microphone"])
def test_a_card_that_was_away_brings_no_echo_back(gap_s: float, away: str) -> None:
    """The loudspeaker goes on where it was; of the microphone's gap all comes at once: silence, and what was given."""
    before, gap = 5 * RATE_HZ, round(gap_s * RATE_HZ)
    voice = babble(9.0, seed=3)
    if away == "loudspeaker":
        played = np.concatenate([voice[:before], np.zeros(gap, np.float32), voice[before:]])
        given = [played[i : i + 160] for i in range(0, before, 160)] + [played[:0]] * (gap // 160)
        given += [played[i : i + 160] for i in range(before + gap, len(played), 160)]
        heard = echo(played)
    else:
        heard = echo(voice)
        heard[before : before + gap] = 0
        given = [voice[i : i + 160] for i in range(0, before, 160)] + [voice[before : before + gap]]
        given += [voice[:0]] * (gap // 160 - 1) + [voice[i : i + 160] for i in range(before + gap, len(voice), 160)]
    canceller, heard = EchoCanceller(), whole(heard)
    clean = np.concatenate([canceller.cancel(h, g) for h, g in zip(heard.reshape(-1, 160), given, strict=False)])
    after = before + gap
    for begin_s, end_s, least in ((0.0, 0.3, 3), (0.3, 1.0, 6), (1.0, 2.0, 20)):
        span = slice(after + round(begin_s * RATE_HZ), after + round(end_s * RATE_HZ))
        assert db(heard[span]) - db(clean[span]) > least


@pytest.mark.parametrize("delay_s", [0.08, 0.4])
def test_a_delay_that_is_known_is_a_head_start_and_does_no_harm(delay_s: float) -> None:
    def left(known: bool, seed: int) -> float:
        """What is left of the echo in its first second, in dB, after the microphone has been listening for 3 s."""
        played = np.concatenate([np.zeros(3 * RATE_HZ, np.float32), babble(2.0, seed)])
        canceller = EchoCanceller()
        if known:
            canceller.expect(delay_s)
        parts = zip(whole(echo(played, delay_s, seed + 10)).reshape(-1, 160), played.reshape(-1, 160), strict=True)
        return db(np.concatenate([canceller.cancel(h, p) for h, p in parts])[3 * RATE_HZ : 4 * RATE_HZ])

    gains = [left(False, seed) - left(True, seed) for seed in (3, 4, 6)]
    assert min(gains) > -2
    assert delay_s < 0.4 or np.mean(gains) > 3


def test_a_delay_of_any_length_can_be_told() -> None:
    canceller = EchoCanceller()
    for delay_s in (-1.0, 0.0, 0.03, 0.5, 0.6, 20.0):
        canceller.expect(delay_s)
    assert len(canceller.cancel(np.zeros(160, np.float32), np.zeros(160, np.float32))) == 160


class _Room(SilentSpeaker):
    """A loudspeaker whose sound can be heard: it plays a time line in the clock's time, and tells what it gave."""

    delay_s = 0.03

    def __init__(self, clock: Clock, delay_s: float = 0.08):
        super().__init__(clock)
        self._path = round(delay_s * self.rate_hz)
        self._at = 0

    def _sound(self, phrase: Phrase) -> Samples:
        return resampled(phrase.pcm, phrase.rate_hz, self.rate_hz)

    def given(self) -> Samples:
        begin, self._at = self._at, max(self._at, self._sounded())
        return self._line.render(begin, self._at)

    def at(self, block: Block) -> Samples:
        """What of it arrives at the microphone during a block."""
        begin = round(block.at_s * self.rate_hz) - self._path
        return resampled(self._line.render(begin, begin + self.rate_hz // 100), self.rate_hz, RATE_HZ)


class _InRoom(FileMicrophone):
    """A microphone that hears a recording and the loudspeaker beside it."""

    in_room = True

    def __init__(self, pcm: Samples, clock: Clock, room: _Room):
        super().__init__(pcm, clock)
        self._room = room

    async def blocks(self) -> AsyncIterator[Block]:
        async for block in super().blocks():
            yield Block(block.at_s, block.pcm + self._room.at(block))


def listen(mode: str, said: Samples, played: Samples, seconds: float) -> tuple[Microphone, list[Block]]:
    """What is heard in a room where something is played from 0.5 s on."""

    async def main() -> tuple[Microphone, list[Block]]:
        clock = Clock()
        clock.start()
        room = _Room(clock)
        microphone = without_echo(_InRoom(said, clock, room), room, mode)
        await room.play(Phrase("", np.concatenate([np.zeros(RATE_HZ // 2, np.float32), played]), RATE_HZ, ()))
        blocks: list[Block] = []
        async for block in microphone.blocks():
            blocks.append(block)
            if block.end_s >= seconds:
                microphone.close()
        return microphone, blocks

    return run(main(), fast=True)


def pcm_of(blocks: list[Block]) -> Samples:
    return np.concatenate([block.pcm for block in blocks])


def test_a_simulated_loudspeaker_is_taken_out_and_the_raw_sound_is_kept() -> None:
    played = babble(8.0, seed=4)
    silence = np.zeros(RATE_HZ, np.float32)
    microphone, blocks = listen("cancel", silence, played, 8.0)
    assert isinstance(microphone, EchoFreeMicrophone) and microphone.delay_s == pytest.approx(0.03)
    _, untouched = listen("none", silence, played, 8.0)
    assert np.allclose([b.at_s for b in blocks], np.arange(800) / 100)
    assert all(b.raw is None for b in untouched)
    raw = np.concatenate([b.raw for b in blocks if b.raw is not None])
    assert np.array_equal(raw, pcm_of(untouched))
    assert db(settled(raw)) - db(settled(pcm_of(blocks))) > 20


def test_half_duplex_is_deaf_while_it_speaks_and_a_little_longer() -> None:
    said = babble(4.0, seed=1)
    _, blocks = listen("half_duplex", said, babble(1.0, seed=2), 4.0)
    heard = pcm_of(blocks)
    assert not heard[: round(1.69 * RATE_HZ)].any()
    assert np.array_equal(heard[round(1.71 * RATE_HZ) : 4 * RATE_HZ], said[round(1.71 * RATE_HZ) :])


def test_windows_regroup_the_raw_sound_with_the_rest() -> None:
    class Two(FileMicrophone):
        async def blocks(self) -> AsyncIterator[Block]:
            async for block in super().blocks():
                yield Block(block.at_s, block.pcm, raw=-block.pcm if block.at_s >= 1 else None)

    async def main() -> list[Block]:
        microphone = Two(babble(2.0, seed=8), Clock())
        found: list[Block] = []
        async for window in windows(microphone, 512, lambda _: None):
            found.append(window)
            if microphone.over:
                microphone.close()
        return found

    found = run(main(), fast=True)
    assert all(w.raw is None for w in found if w.end_s <= 1.0)
    for window in found:
        if window.at_s > 1.02:
            assert window.raw is not None and np.array_equal(window.raw, -window.pcm)


@pytest.mark.parametrize("raw", [False, True])
def test_the_recogniser_gets_what_the_configuration_says(raw: bool) -> None:
    class Keeping(ScriptedRecogniser):
        fed: ClassVar[list[Samples]] = []

        def feed(self, segment: Any, pcm: Samples) -> Words | None:
            self.fed.append(pcm)
            return super().feed(segment, pcm)

    async def main() -> None:
        worker = await Worker.start("recogniser", Keeping)
        transcriber = Transcriber(worker, "auto", lambda _: None, raw=raw)
        one = np.ones(4000, np.float32)
        transcriber.feed(Block(0.0, one))
        transcriber.feed(Block(0.25, one, raw=2 * one))
        transcriber.close()
        await joined(transcriber.segments)
        worker.close()

    Keeping.fed.clear()
    run(main(), fast=True)
    assert np.concatenate(Keeping.fed).sum() == (12_000 if raw else 8_000)


def test_files_hear_no_echo_and_are_left_alone() -> None:
    async def main() -> None:
        clock = Clock()
        microphone = FileMicrophone(np.zeros(160, np.float32), clock)
        assert without_echo(microphone, SilentSpeaker(clock)) is microphone
        assert without_echo(microphone, _Room(clock)) is microphone
        heard = _InRoom(np.zeros(160, np.float32), clock, _Room(clock))
        assert without_echo(heard, SilentSpeaker(clock)) is heard
        assert without_echo(heard, _Room(clock), "none") is heard

    asyncio.run(main())


# ---------------------------------------------------------------- the second net


def said(text: str, at_s: float = 10.0, step_s: float = 0.3) -> tuple[Word, ...]:
    """Words one after the other; Chinese counts as one word, as recognisers have it."""
    return tuple(Word(w, at_s + i * step_s, at_s + (i + 1) * step_s) for i, w in enumerate(text.split()))


OWN = said("It costs two dollars and nine cents.")
ECHO, USER = (1.0, 0.01), (1.0, 0.8)


@pytest.mark.parametrize(
    ("words", "energies", "own"),
    [
        (said("it costs two dollars", 10.1), ECHO, True),
        (said("IT COSTS two!"), ECHO, True),
        (said("it costs two dollars", 10.1), USER, False),  # somebody repeats us
        (said("it costs two dollars", 10.1), (1.0, 0.1), False),
        (said("it costs"), ECHO, False),
        (said("two costs it"), ECHO, False),  # not in order
        (said("it costs two dollars", 10.6), ECHO, False),  # at another time
        (said("please stop talking now"), ECHO, False),
        (said("oh it lost costs um two", 9.9, 0.2), ECHO, True),  # misheard in between
        ((), ECHO, False),
        (said("it costs two dollars"), (0.0, 0.0), False),
    ],
)
def test_a_transcript_is_ours_only_if_words_and_energy_say_so(
    words: tuple[Word, ...], energies: tuple[float, float], own: bool
) -> None:
    assert own_voice(Words(" ".join(w.text for w in words), words), OWN, *energies) is own


def test_chinese_is_compared_character_by_character() -> None:
    own = said("这 个 要 二 十 块 钱。", step_s=0.2)
    heard = Words("这个要二十块", (Word("这个要", 10.0, 10.6), Word("二十块", 10.6, 11.2)), "zh")
    assert own_voice(heard, own, *ECHO)
    assert not own_voice(heard, own, *USER)
    assert not own_voice(Words("那天我去", (Word("那天我去", 10.0, 10.8),), "zh"), own, *ECHO)


@given(st.lists(st.sampled_from("it costs two dollars stop wait no".split()), max_size=12), st.floats(0, 0.099))
def test_fewer_than_three_common_words_are_never_ours(texts: list[str], left: float) -> None:
    words = said(" ".join(texts))
    common = sum(min(texts.count(t), 1) for t in "it costs two dollars".split())
    if own_voice(Words(" ".join(texts), words), OWN, 1.0, left):
        assert common >= 3


@pytest.mark.parametrize("name", ["en_jfk.flac", "en_lj2.flac", "zh_kejiguan.flac"])
def test_the_energy_tells_an_echo_from_somebody_who_repeats_it(shared: Path, name: str) -> None:
    """The voice goes on and nobody speaks; or it stops 0.6 s after somebody began who says the same, half as loud."""
    voice = np.tile(real(shared, name), 6)[: 8 * RATE_HZ]
    begin, stop, end = 4 * RATE_HZ, round(4.6 * RATE_HZ), round(5.6 * RATE_HZ)
    stopped = np.where(np.arange(len(voice)) < stop, voice, 0).astype(np.float32)
    user = np.zeros_like(voice)
    user[begin:] = 0.5 * resampled(voice, RATE_HZ, round(0.94 * RATE_HZ))[: len(voice) - begin]
    for played, beside, ours in ((voice, 0 * user, True), (stopped, user, False)):
        heard = whole(echo(played) + beside)
        energies = [float(np.square(pcm[begin:end]).sum()) for pcm in (heard, cancel(heard, played))]
        assert own_voice(Words("it costs two dollars", OWN[:4]), OWN, energies[0], energies[1]) is ours


def headphones_after(*stretches: tuple[float, float, float]) -> bool:
    """Whether headphones are on after stretches of (seconds, the microphone's level, the loudspeaker's)."""
    heard = Headphones()
    for seconds, level, voice in stretches:
        for _ in range(round(seconds * 100)):
            heard.heard(level, voice)
    return heard.on


def test_a_room_that_stays_as_quiet_as_it_was_hears_no_loudspeaker() -> None:
    quiet, voice = (1.0, 0.001, 0.0), (0.6, 0.001, 0.1)
    assert headphones_after(quiet, voice)
    assert not headphones_after(quiet, (0.6, 0.002, 0.1)), "an echo"
    assert not headphones_after(quiet, (0.6, 0.001, 0.02)), "so soft a voice might not be heard back either"
    assert not headphones_after((1.0, 0.02, 0.0), (0.6, 0.02, 0.1)), "nor might any in so loud a room"
    assert not headphones_after((0.3, 0.001, 0.0), voice), "nothing is known of the room yet"
    assert headphones_after(quiet, voice, (0.4, 0.1, 0.1)), "somebody speaks over the voice"
    assert not headphones_after(quiet, voice, (2.0, 0.1, 0.1)), "they were pulled out"


@pytest.mark.parametrize("coupling_db", [0, -10, -20, -30])
def test_an_echo_however_faint_is_never_taken_for_headphones(shared: Path, coupling_db: int) -> None:
    given = np.concatenate(
        [np.zeros(RATE_HZ, np.float32), *(real(shared, name) for name in ("en_jfk.flac", "en_libri1995.flac"))]
    )
    came_back = 10 ** (coupling_db / 20) * echo(given) + np.random.default_rng(1).normal(0, 5e-4, len(given))
    heard = Headphones()
    for at in range(0, len(given) - 160, 160):
        level, out = (float(np.sqrt(np.square(pcm[at : at + 160]).mean())) for pcm in (came_back, given))
        heard.heard(level, out)
        assert not heard.on, f"{at / RATE_HZ:.2f} s"


def test_with_headphones_what_is_heard_is_left_as_it_is() -> None:
    class Room:
        rate_hz = HEARING_RATE_HZ

        def given(self) -> Samples:
            return (0.3 * np.sin(np.arange(160))).astype(np.float32) if at[0] >= 1 else np.zeros(160, np.float32)

    random, at = np.random.default_rng(0), [0.0]
    microphone = EchoFreeMicrophone(FileMicrophone(np.zeros(160, np.float32), Clock()), Room())
    for i in range(180):
        at[0] = i / 100
        pcm = random.normal(0, 0.001, 160).astype(np.float32)
        block = microphone._passed(Block(at[0], pcm))
    assert block.pcm is pcm and microphone.settled
