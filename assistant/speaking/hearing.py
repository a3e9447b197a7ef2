"""What was heard of a reply, from what was played of it; and a voice's sound as a phrase that can tell.

A word is heard once its sound has begun. Knows values only: loudspeakers report how much they played.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from assistant.backends import Speech, Voice
from assistant.errors import AssistantError
from assistant.events import Mark, Phrase, Played, Samples, Word
from assistant.speaking.phrases import Phrases
from assistant.speaking.speakable import HAN, Spoken, speakable

QUIET = 0.01
"""of a sound's peak: what is below, at its ends, is no voice (-40 dB)"""
PAUSE_CHARS = 3
"""a comma takes about as long as three letters"""
HAN_CHARS = 3
"""and so does a Chinese character"""

_WORDS = re.compile(rf"[{HAN}][^\s\w]*|[^\s{HAN}]+")


def make_phrase(begin: int, spoken: Spoken, speech: Speech) -> Phrase:
    """A voice's sound as a phrase of a reply, `begin` being where its source begins in the reply.

    Once `sample` samples of it have been played, the reply counts as heard up to `source_end`: a mark lies one sample
    behind the onset of its word. The onset is the first sample that is not quiet from where the voice says the word
    before has ended. Where it does not say, that place is estimated: the sound between the nearest two known places (at
    most from the first to the last sample that is not quiet) is shared out by letters, a Chinese character or a pause
    taking as much as three.
    """
    onsets = _onsets(spoken, speech)
    marks = tuple(
        Mark(begin + source_end, min(onset + 1, len(speech.pcm)))
        for (_, source_end), onset in zip(spoken.marks, onsets, strict=True)
    )
    return Phrase(spoken.text, speech.pcm, speech.rate_hz, marks)


def _onsets(spoken: Spoken, speech: Speech) -> list[int]:
    """The sample at which each word begins; never falling."""
    loud = np.flatnonzero(np.abs(speech.pcm) > QUIET * np.max(np.abs(speech.pcm), initial=0.0))
    first, last = (int(loud[0]), int(loud[-1]) + 1) if len(loud) else (0, len(speech.pcm))
    effort = np.concatenate([[0], np.cumsum([_effort(c) for c in spoken.text])])
    known = [(0, first), *((c, s) for c, s in speech.marks if first < s and c < len(spoken.text))]
    known.append((len(spoken.text), max(last, known[-1][1])))
    onsets: list[int] = []
    word_end = latest = 0
    for spoken_end, _ in spoken.marks:
        begin = spoken_end - len(spoken.text[word_end:spoken_end].lstrip())
        told = [s for c, s in known[1:-1] if _letters_end(spoken.text, word_end) <= c <= begin]
        onset = told[-1] if told and onsets else _estimated(begin, known, effort)
        sounds = np.searchsorted(loud, onset)  # a pause before the word is not the word
        latest = max(latest, int(loud[sounds]) if sounds < len(loud) else onset)
        onsets.append(latest)
        word_end = spoken_end
    return onsets


def _estimated(char: int, known: list[tuple[int, int]], effort: np.ndarray) -> int:
    """When the voice comes to a character, between the two known places around it."""
    before = max((place for place in known if place[0] <= char), key=lambda place: place[0])
    after = min((place for place in known if place[0] > char), key=lambda place: place[0])
    whole = effort[after[0]] - effort[before[0]]
    share = (effort[char] - effort[before[0]]) / whole if whole else 0.0
    return round(before[1] + share * (after[1] - before[1]))


def _letters_end(text: str, end: int) -> int:
    """The end of the word that ends at `end`, without its punctuation."""
    while end > 0 and not text[end - 1].isalnum():
        end -= 1
    return end


def _effort(c: str) -> int:
    if not c.isalnum():
        return 0 if c.isspace() or c in "'-" else PAUSE_CHARS
    return 1 if c < "\u3040" else HAN_CHARS


def heard(played: Sequence[Played], generated: str) -> str:
    """What was heard of a reply: a prefix of `generated` up to the last word whose sound had begun.

    `played` is in the order of playing; the first phrase that was not played to its end is the last that counts. What
    follows the last word and cannot be spoken (markup, emoji) counts as heard with it.
    """
    end = 0
    for each in played:
        for mark in each.phrase.marks:
            if 0 < mark.sample <= each.samples:
                end = max(end, mark.source_end)
        if each.samples < len(each.phrase.pcm):
            break
    if end and not speakable(generated[end:], "en").text:
        end = len(generated)
    return generated[:end]


def sounded(phrase: Phrase, first_s: float, samples: int | None = None) -> tuple[Word, ...]:
    """The words of a phrase with the session's times, its first sample having sounded at `first_s`.

    A word begins where its mark lies and ends where the next begins. `samples`: only the words that had begun when so
    many samples of the phrase had been played (default: all of them).
    """
    spoken = _WORDS.findall(phrase.text)
    begins = [mark.sample - 1 for mark in phrase.marks]
    ends = [*begins[1:], len(phrase.pcm)]
    limit = len(phrase.pcm) if samples is None else samples
    return tuple(
        Word(text, first_s + begin / phrase.rate_hz, first_s + min(end, limit) / phrase.rate_hz)
        for text, begin, end in zip(spoken, begins, ends, strict=False)
        if begin < limit
    )


def say(text: str, language: str, voice: Voice) -> tuple[Samples, int]:
    """A text spoken: its sound and the sound's rate in Hz.

    Raises AssistantError where there is no word in it, and what the voice raises.
    """
    phrases = Phrases()
    spans = phrases.feed(text.strip()) + phrases.finish()
    texts = [speakable(phrases.text[span.begin : span.end], language).text for span in spans]
    speeches = [voice.synthesise(spoken, language, lambda: False) for spoken in texts if spoken]
    if not speeches:
        raise AssistantError(f"wanted a text to say, got no word in '{text[:40]}'; write some")
    return np.concatenate([speech.pcm for speech in speeches]), speeches[0].rate_hz
