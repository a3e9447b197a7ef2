"""What a sound over the assistant's voice was, by its words and its length."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from assistant.events import Word, Words
from assistant.interrupting import judge

DECIDE_S = 0.7


def verdict(text, voice_s=0.4, over=True):
    judged = judge(Words(text), voice_s, over=over, decide_s=DECIDE_S)
    return judged.verdict if judged else None


@pytest.mark.parametrize(
    "text", ["yeah", "Mm-hmm.", "uh huh", "okay okay", "Oh, I see.", "yes of course", "嗯", "对对", "好的，明白。"]
)
def test_who_only_listens_does_not_interrupt(text):
    assert verdict(text) == "backchannel"
    assert verdict(text, 1.5) == "backchannel"


@pytest.mark.parametrize(
    "text", ["stop", "Stop!", "no wait", "okay stop talking please", "wait a minute", "停", "好了，别说了", "等一下"]
)
def test_stop_is_stop(text):
    assert verdict(text) == "stop"


@pytest.mark.parametrize(
    "text",
    ["no", "what", "why", "how much is it", "stop the music in the kitchen", "wait for me where", "yes but not now",
     "the red one", "unstoppable", "okay what time is it", "不是这个", "停车场在哪里", "好的那多少钱"],
)  # fmt: skip
def test_whatever_means_something_interrupts(text):
    assert verdict(text) == "interruption"


@pytest.mark.parametrize("text", ["", "the", "uh", "in the", "...", "那个"])
def test_a_cough_is_noise_whatever_little_words_are_made_of_it(text):
    assert verdict(text, 0.3) == "noise"


def test_words_that_a_recogniser_hardly_believes_are_noise_if_they_were_short():
    unsure = Words("show up", (Word("show", 0, 0.2, 0.04), Word("up", 0.2, 0.3, 0.04)))
    assert [judge(unsure, s, over=True, decide_s=DECIDE_S).verdict for s in (0.3, 1.0)] == ["noise", "interruption"]  # type: ignore[union-attr]


def test_length_decides_while_the_voice_goes_on():
    assert verdict("", 0.5, over=False) is None
    assert verdict("", 0.9, over=False) == "interruption"
    assert verdict("how much", 0.9, over=False) == "interruption"
    assert verdict("yeah", 0.9, over=False) is None


@given(st.text(max_size=30), st.floats(0, 5))
def test_a_voice_that_is_over_is_always_judged(text, voice_s):
    assert verdict(text, voice_s) in ("interruption", "stop", "backchannel", "noise")
