"""`assistant look`: questions about pictures and videos, and descriptions of them, with the evidence.

The pictures are what a camera would have seen: each is a view, a second after the one before, and a video is watched as
a camera is; the last view is the one that is asked about. Knows the seams, and no engine.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from assistant.backends import Encoder, Eyes, Mind
from assistant.backends.pictures import open_files
from assistant.events import Frame, Glimpse, Words
from assistant.fusing import Focus, Fusion, aim, choose_mode, focus, fuse, looked_again, patches, wants_reading
from assistant.grounding.questions import read
from assistant.grounding.words import is_chinese
from assistant.prompting import compose, prompt
from assistant.seeing import keep, thin

LOOK_S = 0.25
"""how often a video is looked at, as a camera is"""
APART_S = 1.0
"""between two pictures, and after a video"""
LONGEST_S = 3600.0
"""of a video"""


@dataclass(frozen=True, slots=True)
class Senses:
    """What looks and what answers."""

    eyes: Eyes
    mind: Mind
    detector: Eyes | None = None
    encoder: Encoder | None = None


@dataclass(frozen=True, slots=True)
class Looked:
    """What came of a question: the answer, how sight and words were brought together, and all glimpses with what was
    found in them.
    """

    answer: str
    fusion: Fusion
    glimpses: tuple[Glimpse, ...]

    @property
    def evidence(self) -> list[dict[str, Any]]:
        """Every finding with its glimpse, as the contract has it."""
        focused = self.fusion.focus.first if self.fusion.focus is not None else None
        shown = [focused if focused is not None and g.id == focused.id else g for g in self.glimpses]
        return [
            {
                "glimpse": g.id, "at_s": round(g.at_s, 3), "text": f.text, "labels": [f.kind], "crop": f.box,
                "score": round(f.score, 3),
            }
            for g in shown
            for f in g.findings or ()
        ]  # fmt: skip


def watch(paths: Sequence[Path]) -> list[Glimpse]:
    """The glimpses of pictures and videos, one after the other, not looked into. Raises SourceError."""
    glimpses: list[Glimpse] = []
    begin_s = 0.0
    for path in paths:
        ended_s = begin_s
        for frame in frames(path, begin_s):
            glimpses, _ = keep(glimpses, frame, "asked")
            glimpses, ended_s = thin(glimpses, frame.at_s), frame.at_s
        begin_s = ended_s + APART_S
    return glimpses


def frames(path: Path, begin_s: float) -> Iterable[Frame]:
    """A picture once, or what a video shows every LOOK_S, stamped from `begin_s` on. Raises SourceError."""
    camera, newest_s, step = open_files(path, APART_S), -1.0, 0
    try:
        while (at_s := step * LOOK_S) <= LONGEST_S:
            now = camera.frame(at_s)
            if now is None or (step and at_s > max(newest_s, now.at_s) + APART_S):
                return
            if now.at_s > newest_s:
                yield Frame(begin_s + at_s, now.image)
            newest_s, step = max(newest_s, now.at_s), step + 1
    finally:
        camera.close()


def answer(
    glimpses: Sequence[Glimpse],
    question: str,
    senses: Senses,
    *,
    mode: str,
    language: str,
    budget_tokens: int,
    most: int = 4,
) -> Looked:
    """Ask a question about what was seen; the last glimpse is in view."""
    mind = senses.mind
    chosen, why = choose_mode(mode, mind.sees, question)
    now_s = glimpses[-1].ended_s + 0.01
    if wants_reading(chosen, mind.sees):
        glimpses = [_looked_into(g, senses) for g in glimpses]
    current = aim(Words(question), glimpses, now_s).glimpse
    vectors = _vectors(question, current, chosen, senses)
    focused = focus(question, current, glimpses, mode=chosen, why=why, now_s=now_s, most=most, **vectors)
    focused = looked_again(focused, senses.eyes.look)
    fusion = fuse(
        question, current, glimpses, (), mode=mode, mind_sees=mind.sees, mind_free=mind.free, now_s=now_s,
        language=language, focused=focused, room=budget_tokens // 2, count=mind.count,
    )  # fmt: skip
    messages = compose(
        question, (), language=language, seen=fusion.context, images=fusion.images, free=mind.free,
        budget_tokens=budget_tokens, count=mind.count,
    )  # fmt: skip
    sentences = fusion.sentences
    told = sentences[0] if len(sentences) == 1 else "".join(mind.reply(messages, lambda: False, fusion.grammar))
    return Looked(told.strip(), fusion, tuple(glimpses))


def describe(glimpses: Sequence[Glimpse], senses: Senses, *, mode: str, language: str, budget_tokens: int) -> Looked:
    """Describe what is in view."""
    return answer(
        glimpses, prompt("describe", language), senses, mode=mode, language=language, budget_tokens=budget_tokens
    )


def language_of(text: str, wanted: str) -> str:
    """The language a question is answered in: the one that is wanted, with `auto` its own."""
    return wanted if wanted != "auto" else "zh" if is_chinese(text) else "en"


def draw(looked: Looked, path: Path) -> None:
    """Draw what was looked at, and why, into a picture file. Raises OutputError."""
    from assistant.backends import drawing

    focused = looked.fusion.focus
    shown = _shown(looked, focused)
    if shown is None or shown.image is None:
        shown = looked.glimpses[-1]
    assert shown.image is not None
    winners = looked.fusion.grounds.winners if looked.fusion.grounds is not None else ()
    found = focused.coattended if focused is not None else None
    weight = next((a.weight for a in focused.attended if a.glimpse.id == shown.id), None) if focused else None
    caption = [f"{looked.fusion.mode}: {looked.fusion.why}", looked.answer]
    if weight is not None and looked.fusion.mode == "attention":
        caption.insert(1, f"picture {shown.id} at {shown.at_s:.1f} s has {weight:.0%} of the attention")
    if found is not None:
        seen = [f"{word} {share:.2f}" for word, share in zip(found.words, found.visible, strict=True)]
        caption.insert(1, "words in view: " + ", ".join(seen))
    image = drawing.draw(
        shown.image,
        shown.findings or (),
        answers=[e.box for e in winners if e.box is not None and e.origin == shown.id],
        crop=focused.crop if focused is not None else None,
        heat=[(p.box, a) for p, a in zip(found.patches, found.attention, strict=True)] if found is not None else (),
        caption="\n".join(caption),
    )
    drawing.save(image, path)


def _shown(looked: Looked, focused: Focus | None) -> Glimpse | None:
    """The glimpse that the answer is from: that of its evidence, else the one that fits best."""
    winners = looked.fusion.grounds.winners if looked.fusion.grounds is not None else ()
    first = focused.first if focused is not None else None
    for evidence in winners:
        if evidence.sense == "sight" and (first is None or looked.fusion.mode == "late"):
            return next((g for g in looked.glimpses if g.id == evidence.origin), None)
    return first


def _looked_into(glimpse: Glimpse, senses: Senses) -> Glimpse:
    if glimpse.image is None or glimpse.findings is not None:
        return glimpse
    things = senses.detector.look(glimpse.image) if senses.detector is not None else ()
    features = senses.encoder.embed_image(glimpse.image) if senses.encoder is not None else None
    return replace(glimpse, findings=(*senses.eyes.look(glimpse.image), *things), features=features)


def _vectors(question: str, current: Glimpse | None, mode: str, senses: Senses) -> dict[str, Any]:
    """The question's, its words' and the patches' vectors, where there is an encoder and the mode wants them."""
    encoder = senses.encoder
    if encoder is None:
        return {}
    if mode == "attention":
        return {"vector": encoder.embed_text(question)}
    names = [a.word for a in read(question).asked if a.weight > 0]
    if mode != "co-attention" or current is None or current.image is None or not names:
        return {}
    boxes = [patch.box for patch in patches(current, *current.image.shape[:2])]
    told = np.array([encoder.embed_text(name) for name in names], np.float32)
    return {"words": names, "vectors": told, "features": encoder.embed_regions(current.image, boxes)}
