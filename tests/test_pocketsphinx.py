"""The built-in recogniser on the demo's questions: words, times, and what a segment may and may not be used for."""

import asyncio
import csv
import re
import tempfile
from collections.abc import Sequence
from itertools import pairwise

import jiwer
import numpy as np
import pytest

from assistant import interrupting, pacing
from assistant.backends.files import read_sound
from assistant.backends.pocketsphinx import PocketSphinx, Segment
from assistant.demo import script
from assistant.errors import EngineError
from assistant.events import HEARING_RATE_HZ, Block, Samples, Words, join_words
from assistant.interrupting import is_stop
from assistant.sessions.interjections import interjections
from assistant.transcribing import Transcriber
from assistant.workers import Worker

WINDOW = 512


@pytest.fixture(scope="module")
def recogniser() -> PocketSphinx:
    return PocketSphinx()


@pytest.fixture(scope="module")
def clips() -> list[tuple[str, Samples]]:
    """What is said in the demo, each with 0.3 s of the room before and after, as a segment has it."""
    demo = script()
    sound = read_sound(demo.sound)

    def clip(began_s: float, ended_s: float) -> Samples:
        return sound[round((began_s - 0.3) * HEARING_RATE_HZ) : round((ended_s + 0.3) * HEARING_RATE_HZ)]

    return [(q.text, clip(q.began_s, q.ended_s)) for q in demo.questions]


def feed(recogniser: PocketSphinx, segment: Segment, pcm: Samples, window: int = WINDOW) -> list[Words]:
    pieces = [recogniser.feed(segment, pcm[at : at + window]) for at in range(0, len(pcm), window)]
    return [words for words in pieces if words is not None]


def transcribe(recogniser: PocketSphinx, pcm: Samples, window: int = WINDOW) -> Words:
    segment = recogniser.start("en")
    feed(recogniser, segment, pcm, window)
    return recogniser.finish(segment)


def test_words_come_plain_in_order_with_times_inside_the_segment(recogniser, clips):
    for text, pcm in clips:
        words = transcribe(recogniser, pcm)
        assert words.text == text == " ".join(w.text for w in words.words)
        assert re.fullmatch(r"[a-z' ]+", words.text)
        times = [at for w in words.words for at in (w.began_s, w.ended_s)]
        assert times == sorted(times)
        assert 0.15 < times[0] < 0.6 and times[-1] == pytest.approx(len(pcm) / HEARING_RATE_HZ - 0.3, abs=0.2)
        assert all(0 <= w.p <= 1 for w in words.words)


def test_it_tells_where_a_sentence_may_end(recogniser, clips):
    whole, begun = [], []
    for text, pcm in clips:
        words = text.split()
        whole.append(recogniser.ends_p(words))
        begun += [recogniser.ends_p(words[:count]) for count in range(1, len(words))]
        assert transcribe(recogniser, pcm).ends_p == whole[-1]
    assert all(0 < p < 1 for p in whole) and np.median(whole) > 2 * np.median(begun)
    assert recogniser.ends_p(["put", "it", "on", "the"]) < 0.01
    assert transcribe(recogniser, np.zeros(8000, np.float32)).ends_p is None


def test_partial_words_grow_while_somebody_speaks(recogniser, clips):
    text, pcm = max(clips, key=lambda clip: len(clip[1]))
    segment = recogniser.start("en")
    partial = feed(recogniser, segment, pcm)
    recogniser.finish(segment)
    assert len(partial) >= 2
    assert all(before.text != after.text for before, after in pairwise(partial))
    assert len(partial[0].words) < len(partial[-1].words) <= len(text.split()) + 1
    assert all(0 <= w.began_s <= w.ended_s <= len(pcm) / HEARING_RATE_HZ for words in partial for w in words.words)


@pytest.mark.parametrize("window", [160, 1000, 10**6])
def test_the_words_do_not_depend_on_how_the_sound_is_cut(recogniser, clips, window):
    for _, pcm in clips[:2]:
        assert transcribe(recogniser, pcm, window) == transcribe(recogniser, pcm)


@pytest.mark.parametrize("gain", [0.05, 2.0])
def test_the_words_do_not_depend_on_the_microphones_level(recogniser, clips, gain):
    heard = [(text, transcribe(recogniser, pcm * np.float32(gain)).text) for text, pcm in clips[:4]]
    assert sum(said == got for said, got in heard) >= len(heard) - 1


def test_nothing_is_carried_from_one_segment_to_the_next(recogniser, clips):
    _, pcm = clips[0]
    alone = transcribe(PocketSphinx(), pcm)
    noise = np.random.default_rng(1).normal(0, 0.3, 40_000).astype(np.float32)
    transcribe(recogniser, noise)
    assert transcribe(recogniser, pcm) == alone


@pytest.mark.parametrize("heard_s", [0.3, 1.2])
def test_a_dropped_segment_does_not_trouble_the_next(recogniser, clips, heard_s):
    _, pcm = clips[0]
    alone = transcribe(recogniser, pcm)
    feed(recogniser, recogniser.start("en"), pcm[: round(heard_s * HEARING_RATE_HZ)])
    assert transcribe(recogniser, pcm) == alone


def test_a_segment_that_is_over_takes_no_more(recogniser, clips):
    _, pcm = clips[0]
    finished = recogniser.start("en")
    feed(recogniser, finished, pcm)
    recogniser.finish(finished)
    for misuse in (lambda: recogniser.feed(finished, pcm), lambda: recogniser.finish(finished)):
        with pytest.raises(EngineError, match="one that was finished; start a new one"):
            misuse()


def test_a_segment_that_lost_the_decoder_says_so_and_the_other_goes_on(recogniser, clips):
    (_, one), (text, other) = clips[0], clips[3]
    first, second = recogniser.start("en"), recogniser.start("auto")
    feed(recogniser, first, one)
    feed(recogniser, second, other)
    with pytest.raises(EngineError, match="given up for a later one; start a new one"):
        recogniser.finish(first)
    assert recogniser.finish(second).text == text


@pytest.mark.parametrize("samples", [0, 1, 100, 1600])
def test_next_to_no_sound_is_no_word(recogniser, samples):
    segment = recogniser.start("en")
    if samples:
        assert recogniser.feed(segment, np.zeros(samples, np.float32)) is None
    assert recogniser.finish(segment) == Words("", (), "en")


@pytest.mark.parametrize("seconds", [0.5, 3.0])
def test_digital_silence_is_no_word(recogniser, seconds):
    assert transcribe(recogniser, np.zeros(round(seconds * HEARING_RATE_HZ), np.float32)).text == ""


def test_sound_beyond_full_scale_is_clipped_not_wrapped(recogniser, clips):
    _, pcm = clips[0]
    loud = pcm * np.float32(1.5 / np.abs(pcm).max())
    assert transcribe(recogniser, loud) == transcribe(recogniser, np.clip(loud, -1, 1))


def test_chinese_is_refused_in_one_line(recogniser):
    with pytest.raises(EngineError, match=r"^wanted to hear 'zh', pocketsphinx knows en only; use "):
        recogniser.start("zh")


def test_without_the_second_pass_the_demo_is_understood_too(clips):
    quick = PocketSphinx(fwdflat=False)
    assert [transcribe(quick, pcm).text for _, pcm in clips] == [text for text, _ in clips]


def test_it_says_nothing_on_stderr_and_leaves_no_file(clips, capfd, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    transcribe(PocketSphinx(), clips[0][1])
    assert capfd.readouterr() == ("", "")
    assert not list(tmp_path.iterdir())


def test_a_long_voice_is_cut_at_quiet_moments_and_keeps_its_words(recogniser, clips):
    voice = np.concatenate([pcm[round(0.25 * HEARING_RATE_HZ) : -round(0.25 * HEARING_RATE_HZ)] for _, pcm in clips])
    blocks = [Block(at / HEARING_RATE_HZ, voice[at : at + WINDOW]) for at in range(0, len(voice), WINDOW)]

    async def main():
        worker = Worker("recogniser")
        worker.model = recogniser
        transcriber = Transcriber(worker, "en", lambda words: None)
        transcriber.begin()
        for block in blocks:
            transcriber.feed(block)
            await asyncio.sleep(0)
        transcriber.close()
        return [await segment for segment in transcriber.segments]

    parts = pacing.run(main(), fast=True)
    assert len(voice) / HEARING_RATE_HZ > 1.5 * recogniser.longest_s
    assert len(parts) >= len(voice) / HEARING_RATE_HZ / recogniser.longest_s
    assert all(p.words[-1].ended_s - p.words[0].began_s <= recogniser.longest_s + 0.1 for p in parts)
    words = join_words(parts)
    times = [t for w in words.words for t in (w.began_s, w.ended_s)]
    assert all(earlier <= later + 0.2 for earlier, later in pairwise(times))
    assert jiwer.wer(" ".join(text for text, _ in clips), words.text) < 0.15


def test_real_recordings_are_heard_about_as_well_as_it_says(recogniser, shared):
    with (shared / "data/speech/transcripts.tsv").open(encoding="utf-8", newline="") as lines:
        rows = [row for row in csv.DictReader(lines, delimiter="\t") if row["lang"] == "en"]
    rows = [row for row in rows if float(row["seconds"]) < 2]
    said = [re.sub(r"[^a-z ]", "", row["transcript"].lower()) for row in rows]
    heard = [transcribe(recogniser, read_sound(shared / "data/speech" / row["file"])).text for row in rows]
    assert len(rows) > 5
    assert jiwer.wer(said, heard) < 0.45


# ---------------------------------------------------------------- a phrase after all


def in_noise(pcm: Samples, seed: int) -> Samples:
    """A voice with silence around it as a segment has it, in a little noise."""
    noise = np.random.default_rng(seed).normal(0, 4e-3, len(pcm) + 8000)
    return (np.pad(pcm, (4800, 3200)) + noise).astype(np.float32)


def after_all(recogniser: PocketSphinx, pcm: Samples, phrases: Sequence[str]) -> tuple[Words, str | None]:
    segment = recogniser.start("en")
    feed(recogniser, segment, pcm)
    return recogniser.finish(segment), recogniser.spot(segment, phrases)


def test_a_misheard_stop_is_a_stop_after_all(recogniser):
    stops = [each for each in interjections() if each.kind == "stop"]
    heard = [after_all(recogniser, in_noise(each.pcm, n), interrupting.interjections()) for n, each in enumerate(stops)]
    at_first = sum(is_stop(words) for words, _ in heard)
    in_the_end = sum(is_stop(words) or is_stop(Words(found or "")) for words, found in heard)
    assert in_the_end >= 0.7 * len(stops) and in_the_end > at_first


def test_what_was_heard_surely_stays_and_so_does_what_is_no_phrase(recogniser, clips):
    for text, pcm in clips:
        words, found = after_all(recogniser, pcm, interrupting.interjections())
        assert (words.text, found) == (text, None)


def test_phrases_that_the_dictionary_lacks_are_left_out(recogniser):
    stop = next(each for each in interjections() if each.text == "stop it please")
    found = [after_all(recogniser, in_noise(stop.pcm, n), ("qwrtz it", "stop it please"))[1] for n in range(6)]
    assert set(found) <= {None, "stop it please"} and "stop it please" in found
    assert after_all(recogniser, in_noise(stop.pcm, 0), ("qwrtz",))[1] is None


def test_a_segment_whose_successor_is_being_heard_is_not_asked_about_again(recogniser, clips):
    stop = next(each for each in interjections() if each.text == "stop it please")
    first = recogniser.start("en")
    feed(recogniser, first, in_noise(stop.pcm, 1))
    recogniser.finish(first)
    second = recogniser.start("en")
    feed(recogniser, second, clips[0][1])
    assert recogniser.spot(first, interrupting.interjections()) is None
    assert recogniser.finish(second).text == clips[0][0]
