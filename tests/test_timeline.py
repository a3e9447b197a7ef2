"""Holding a voice back and going on: what sounds, and what counts as heard, whenever it happens."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.backends.timeline import FADE_S, TimeLine, resampled
from assistant.events import Mark, Phrase
from assistant.speaking import heard

RATE_HZ = 1000
WORDS = ("one ", "two ", "three ", "four")
ONSETS = (0, 100, 200, 300)
LENGTH = 400


def phrase(begin=0, rate_hz=RATE_HZ):
    """Four words of 100 samples each; the sound is the number of the sample, so that its place can be read off."""
    ends = np.cumsum([len(word) for word in WORDS])
    marks = tuple(Mark(begin + int(end), onset + 1) for end, onset in zip(ends, ONSETS, strict=True))
    pcm = (np.arange(1, LENGTH + 1) / (2 * LENGTH)).astype(np.float32)
    return Phrase("".join(WORDS), pcm, rate_hz, marks)


def put(line, *phrases, at=0):
    for each in phrases:
        line, _ = line.put(each, resampled(each.pcm, each.rate_hz, line.rate_hz), at)
    return line


def test_a_held_voice_is_silent_and_goes_on_with_the_word_it_was_in():
    line = put(TimeLine(RATE_HZ), phrase()).hold(250)
    fade = round(FADE_S * RATE_HZ)
    assert not line.render(250 + fade, 2000).any()
    line = line.go_on(1000)
    sound = line.render(1000, 1200)
    assert sound[fade] == pytest.approx((200 + fade + 1) / (2 * LENGTH))
    assert line.end == 1200
    assert not line.render(1200, 1300).any()


def test_what_waited_behind_the_held_phrase_follows_it():
    first, second = phrase(), phrase(begin=20)
    line = put(TimeLine(RATE_HZ), first, second).hold(310).go_on(1000)
    assert [p.samples for p in line.played(1099)] == [399, 0]
    assert [p.samples for p in line.played(1150)] == [400, 50]
    assert [p.phrase for p in line.played(1150)] == [first, second]


def test_ducking_ends_when_the_voice_goes_on():
    line = put(TimeLine(RATE_HZ), phrase()).to_gain(0.1, 50).hold(150).go_on(500)
    assert line.render(530, 531)[0] == pytest.approx((100 + 30 + 1) / (2 * LENGTH))


def test_stopping_what_is_held_leaves_nothing():
    line = put(TimeLine(RATE_HZ), phrase()).hold(150)
    assert [p.samples for p in line.played(900)] == [150]
    line = line.stop(900)
    assert line.held is None and not line.render(900, 2000).any() and line.go_on(1000).end == 0


@given(st.lists(st.tuples(st.integers(1, 300), st.integers(1, 50)), max_size=8), st.integers(0, 3000))
def test_whatever_is_held_and_resumed_what_was_heard_is_what_began(stretches, at):
    reply = "".join(WORDS) + " " + "".join(WORDS)
    line = put(TimeLine(RATE_HZ), phrase(), phrase(begin=len("".join(WORDS)) + 1))
    rendered, now = [], 0
    for sounding, silent in stretches:
        rendered.append(line.render(now, now + sounding))
        now += sounding
        line = line.hold(now)
        rendered.append(line.render(now, now + silent))
        now += silent
        line = line.go_on(now)
    rendered.append(line.render(now, now + at + 1))
    now += at + 1
    said = heard(line.played(now), reply)
    assert reply.startswith(said)
    for one, before in zip(line.played(now), line.played(now - 1), strict=True):
        assert one.samples - before.samples in (0, 1)
    loud = np.concatenate(rendered)
    if said == reply:  # the last word sounded
        assert loud.max() > 300 / (2 * LENGTH)
    if (loud > 0.26).sum() == 0:  # nothing behind the first two words ever sounded
        assert len(said) <= len("one two three ")


def test_a_voice_of_another_rate_goes_on_at_the_same_word():
    line = put(TimeLine(RATE_HZ), phrase(rate_hz=500)).hold(450).go_on(2000)
    assert line.end == 2400
    assert line.played(2400)[0].samples == LENGTH
