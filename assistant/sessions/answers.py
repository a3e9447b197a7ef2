"""What the scripted mind answers in scenes: sentences about nothing in particular, drawn from what is handed in.

Knows no scene.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from assistant.speaking import ReplyText, speakable


def answer(rng: np.random.Generator, words: int) -> str:
    """Sentences with at least so many words."""
    sentences = _sentences()
    chosen: list[str] = []
    while sum(len(s.split()) for s in chosen) < words:
        chosen += [sentences[i] for i in rng.permutation(len(sentences))]
    count = next(n for n in range(1, len(chosen) + 1) if sum(len(s.split()) for s in chosen[:n]) >= words)
    return " ".join(chosen[:count])


def phrases_of_answers() -> list[str]:
    """All that a voice is given to say in answers, in a fixed order: each sentence as the first, the second and any
    later phrase, as those are cut differently.
    """
    sentences = _sentences()
    whole = next(s for s in sentences if len(_phrases(s)) == 1)
    spoken = (p for s in sentences for before in ("", f"{whole} ", f"{whole} {whole} ") for p in _phrases(before + s))
    return list(dict.fromkeys(spoken))


def _phrases(reply: str) -> list[str]:
    text = ReplyText()
    spans = text.feed(reply) + text.finish()
    spoken = (speakable(reply[span.begin : span.end], "en").text for span in spans)
    return [each for each in spoken if each]


def _sentences() -> list[str]:
    return (Path(__file__).parent / "assets" / "answers.txt").read_text(encoding="utf-8").splitlines()
