"""One question through one way of fusing: the answer, and whether what was sent to the mind holds it.

The same steps as a turn (`looking`), without time: nothing waits and nothing is out of time. Knows the seams, and no
engine.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from assistant.backends import Mind
from assistant.events import Glimpse, Matrix, Words
from assistant.fusing import MODES, Focus, Fusion, aim, choose_mode, focus, fuse, late, looked_again, patches
from assistant.grounding.questions import read
from assistant.prompting import compose
from assistant.sessions.corpora import Asked, language_of
from assistant.sessions.scoring import contains, vqa_accuracy
from assistant.sessions.viewing import Senses, View

BUDGET_TOKENS = 600


@dataclass(frozen=True, slots=True)
class Answered:
    """What came of a question by one way of fusing.

    mode: the way that was taken. answer: what the mind said, or without a mind the best of the sentences that grounding
    admits. context: what a mind that answers freely is sent as text. pictures: how many pictures it is sent. refused:
    grounding found nothing. ms: looking and answering together.
    """

    asked: Asked
    mode: str
    why: str
    answer: str
    context: str
    pictures: int
    refused: bool
    ms: float

    @property
    def right(self) -> bool:
        """One of the accepted answers occurs in it."""
        return contains(self.answer, self.asked.answers)

    @property
    def recalled(self) -> bool | None:
        """Whether the context holds an accepted answer; None where only pictures were sent, which code cannot judge."""
        return None if self.pictures and not self.context else contains(self.context, self.asked.answers)

    @property
    def vqa(self) -> float | None:
        """VQA accuracy, 0 to 1; None where the corpus is none of VQA's."""
        return vqa_accuracy(self.answer, self.asked.people) if self.asked.people else None


def modes(mind: Mind | None) -> tuple[str, ...]:
    """The ways that can be measured with a mind (None: only what the evidence allows), and `auto`."""
    sees = mind is not None and mind.sees
    return (*(mode for mode in MODES if choose_mode(mode, sees)[0] == mode), "auto")


def answer(asked: Asked, view: View, mode: str, senses: Senses, mind: Mind | None = None) -> Answered:
    """Ask one question about what was seen."""
    began = time.perf_counter()
    sees, free = (mind.sees, mind.free) if mind is not None else (False, False)
    chosen, why = choose_mode(mode, sees, asked.question)
    current = aim(Words(asked.question), view.glimpses, view.now_s).glimpse
    focused = _focused(asked.question, current, view, chosen, why, senses)

    def fused(mind_free: bool) -> Fusion:
        return fuse(
            asked.question, current, view.glimpses, (), mode=mode, mind_sees=sees, mind_free=mind_free,
            now_s=view.now_s, language=asked.language, focused=focused,
        )  # fmt: skip

    sent = fused(True)
    held = sent if free else fused(False)
    said = held.sentences[0] if held.sentences else ""
    if mind is not None:
        said = _told(asked, held, mind)
    ms = view.ms + 1000 * (time.perf_counter() - began)
    refused = held.grounds is not None and held.grounds.kind == "refusal"
    return Answered(asked, chosen, held.why, said, sent.context, len(sent.images), refused, ms)


def _told(asked: Asked, fusion: Fusion, mind: Mind) -> str:
    """What a mind makes of it."""
    messages = compose(
        asked.question, (), language=asked.language, free=mind.free, seen=fusion.context, images=fusion.images,
        budget_tokens=BUDGET_TOKENS, count=mind.count,
    )  # fmt: skip
    return "".join(mind.reply(messages, lambda: False, fusion.grammar))


def sends(asked: Asked, view: View, mode: str, senses: Senses) -> tuple[bool, int]:
    """Whether an answer is in what was found in the views that a way of fusing sends, as pictures or in words, and how
    many views these are; no mind is asked, and none has to see.
    """
    current = aim(Words(asked.question), view.glimpses, view.now_s).glimpse
    sent = [a.glimpse for a in _focus(asked.question, current, view, mode, "", senses).attended]
    return found_in(asked, sent, view.now_s), len(sent)


def found_in(asked: Asked, glimpses: Sequence[Glimpse], now_s: float) -> bool:
    """Whether an answer is in what was found in any of the glimpses, in words."""
    return any(contains(late.whole(glimpse, now_s, asked.language), asked.answers) for glimpse in glimpses)


def _focused(question: str, current: Glimpse | None, view: View, mode: str, why: str, senses: Senses) -> Focus:
    """Where the question looks, with the part that is meant looked at again."""
    focused = _focus(question, current, view, mode, why, senses)
    return looked_again(focused, senses.look) if focused.crop is not None else focused


def _focus(question: str, current: Glimpse | None, view: View, mode: str, why: str, senses: Senses) -> Focus:
    vectors: dict[str, Any] = {}
    if senses.encoder is not None and mode == "attention":
        vectors = {"vector": senses.encoder.embed_text(question)}
    if senses.encoder is not None and mode == "co-attention" and current is not None and current.image is not None:
        names = [a.word for a in read(question).asked if a.weight > 0]
        boxes = [patch.box for patch in patches(current, *current.image.shape[:2])]
        vectors = _vectors(names, senses, current, boxes)
    return focus(question, current, view.glimpses, mode=mode, why=why, now_s=view.now_s, **vectors)


def _vectors(names: Sequence[str], senses: Senses, current: Glimpse, boxes: Sequence[Any]) -> dict[str, Any]:
    if not names or senses.encoder is None or current.image is None:
        return {}
    words: Matrix = np.array([senses.encoder.embed_text(name) for name in names], np.float32)
    return {"words": names, "vectors": words, "features": senses.encoder.embed_regions(current.image, boxes)}


def captioned(view: View, describe: str, senses: Senses, mind: Mind | None) -> str:
    """A picture described: what a mind says of it, or the best sentence that the evidence allows."""
    return answer(Asked(Path(), describe, (), language_of(describe)), view, "auto", senses, mind).answer


def refuses(asked: Asked, view: View) -> bool:
    """Whether grounding refuses a question about a view that does not answer it."""
    fusion = fuse(
        asked.question, view.glimpses[-1], view.glimpses, (), mode="late", mind_sees=False, mind_free=False,
        now_s=view.now_s, language=asked.language,
    )  # fmt: skip
    return fusion.grounds is not None and fusion.grounds.kind == "refusal"


def aimed_s(said: Words, glimpses: Sequence[Glimpse], ended_s: float) -> float | None:
    """When what the words point at was seen, in seconds of the glimpses' time; None where nothing was."""
    gaze = aim(said, glimpses, ended_s).gaze
    return gaze.at_s if gaze is not None else None
