"""Late fusion: what each sense decided, as text with score and age, for a mind's context. Pure.

Every sense names what it found and how sure it is (decision-level fusion: Kittler et al., On combining classifiers,
1998); where two disagree about the same place or the same number, both stand there and are marked. Old views shrink to
a line, and what does not fit the room is left out, the oldest first: the context never overflows. Knows no engine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from assistant.events import Box, Finding, Glimpse
from assistant.fusing.likeness import as_text, trigram_cosine
from assistant.grounding import naming, wording
from assistant.grounding.evidence import Evidence, seen
from assistant.grounding.words import plain, terms

WHOLE = 2
"""so many of the newest views are told in full"""
SAME_PLACE = 0.5
"""two boxes that share so much of their union are of one place"""
SAME_TEXT = 0.6
"""readings of one line that are less alike contradict each other"""
NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
FEW = 6
"""words that say nothing yet: they are the heading's"""
SHORT = 80
"""characters of an old view's line"""

Count = Callable[[str], int]


def context(
    glimpses: Sequence[Glimpse], now_s: float, language: str, *, room: int = 400, count: Count = lambda t: len(t) // 3
) -> str:
    """What was found in the glimpses, oldest first, in at most `room` tokens as `count` counts them.

    The newest come first in the room: two in full, the others in a line each.
    """
    parts: list[str] = []
    left = room
    for place, glimpse in enumerate(sorted(glimpses, key=lambda g: -g.ended_s)):
        told = whole(glimpse, now_s, language) if place < WHOLE else shrunk(glimpse, now_s, language)
        if not told:
            continue
        told = _fitting(told, left, count) or _cut(shrunk(glimpse, now_s, language), left, count)
        if not told:
            break
        left -= count(told) + 1
        parts.append(told)
    return "\n".join(reversed(parts))


def whole(glimpse: Glimpse, now_s: float, language: str) -> str:
    """A view in full: its text, codes, things, colours and caption with their scores, and what contradicts itself."""
    evidence = [e for e in seen(glimpse) if e.kind in ("paragraph", "code", "object", "colour", "caption")]
    if not evidence:
        return ""
    lines = [_heading(glimpse, now_s, language), *(_line(e, language) for e in _grouped(evidence, language))]
    frame = wording.frames("grounds.disagree", language)
    for one, other in disagreements(glimpse.findings or ()):
        slots = {"a": one.text, "kind_a": one.kind, "score_a": f"{one.score:.2f}"}
        slots |= {"b": other.text, "kind_b": other.kind, "score_b": f"{other.score:.2f}"}
        lines += wording.filled(frame, slots)
    return "\n".join(lines)


def shrunk(glimpse: Glimpse, now_s: float, language: str) -> str:
    """A view in a line: its caption, else what is in it and its first words."""
    evidence = seen(glimpse)
    objects = list(dict.fromkeys(e.text for e in evidence if e.kind == "object"))
    block = next((e.text for e in evidence if e.kind == "block"), "")
    told = glimpse.caption or ", ".join([*objects, *([block] if block else [])])
    if not told:
        return ""
    told = told if len(told) <= SHORT else told[:SHORT].rsplit(" ", 1)[0] + " …"
    return f"{_heading(glimpse, now_s, language)} {told}"


def disagreements(findings: Sequence[Finding]) -> tuple[tuple[Finding, Finding], ...]:
    """Pairs of findings of which only one can be right: other words, or another name, in the same place; a caption that
    counts other than the detector did. Surer first.
    """
    found: list[tuple[Finding, Finding]] = []
    for i, one in enumerate(findings):
        for other in findings[i + 1 :]:
            if one.kind == other.kind and one.kind in ("text", "object") and one.box and other.box:
                if overlap(one.box, other.box) >= SAME_PLACE and not _says_the_same(one, other):
                    found.append((one, other) if one.score >= other.score else (other, one))
    captions = [f for f in findings if f.kind == "caption"]
    for caption in captions:
        found += [(counted, caption) for counted in _miscounted(caption, findings)]
    return tuple(found)


def overlap(one: Box, other: Box) -> float:
    """Intersection over union of two boxes, 0 to 1."""
    wide = min(one[2], other[2]) - max(one[0], other[0])
    high = min(one[3], other[3]) - max(one[1], other[1])
    if wide <= 0 or high <= 0:
        return 0.0
    areas = (one[2] - one[0]) * (one[3] - one[1]) + (other[2] - other[0]) * (other[3] - other[1])
    return wide * high / (areas - wide * high)


def _says_the_same(one: Finding, other: Finding) -> bool:
    if plain(one.text) == plain(other.text):
        return True
    return one.kind == "text" and trigram_cosine(as_text(one.text), as_text(other.text)) >= SAME_TEXT


def _miscounted(caption: Finding, findings: Sequence[Finding]) -> Iterable[Finding]:
    """Things that a caption counts other than the detector did, as one finding each."""
    words = plain(caption.text).split()
    for at, word in enumerate(words):
        said = int(word) if word.isdecimal() else NUMBERS.index(word) if word in NUMBERS else None
        near = terms(" ".join(words[at + 1 : at + 3]))
        same = [f for f in findings if f.kind == "object" and terms(f.text) & near]
        if said is not None and same and said != len(same):
            yield Finding("object", f"{len(same)} {same[0].text}", min(f.score for f in same))


def _heading(glimpse: Glimpse, now_s: float, language: str) -> str:
    heading = wording.frames("grounds.context", language)[0]
    return wording.filled((heading,), {"id": str(glimpse.id), "ago": f"{max(0.0, now_s - glimpse.ended_s):.0f}"})[0]


def _line(evidence: Evidence, language: str) -> str:
    _, text, other = wording.frames("grounds.context", language)
    frame = text if evidence.kind == "paragraph" else other
    return wording.filled((frame,), {"kind": evidence.kind, "x": evidence.text, "score": f"{evidence.score:.2f}"})[0]


def _grouped(evidence: Sequence[Evidence], language: str) -> list[Evidence]:
    """Things of one name counted, colours with the thing that has them, in the language of the reply."""
    found: list[Evidence] = []
    things = [e for e in evidence if e.kind == "object"]
    names = list(dict.fromkeys(e.text for e in things))
    of_box = {e.box: e.text for e in things if e.box}
    for e in evidence:
        if e.kind == "colour":
            of = naming.called(of_box[e.box], language) if e.box in of_box else ""
            found.append(replace(e, text=" ".join(filter(None, (wording.colour(e.text, language), of)))))
        elif e.kind != "object":
            found.append(e)
        elif e.text in names:
            names.remove(e.text)
            of_it = [o for o in things if o.text == e.text]
            text = naming.counted(e.text, len(of_it), language, exact=True)
            found.append(replace(e, text=text, score=min(o.score for o in of_it)))
    return found


def _fitting(text: str, room: int, count: Count) -> str:
    """As many of the first lines as fit; none where that is the heading alone."""
    lines = text.split("\n")
    whole = len(lines) == 1
    while lines and count("\n".join(lines)) > room:
        lines.pop()
    return "\n".join(lines) if whole or len(lines) > 1 else ""


def _cut(text: str, room: int, count: Count) -> str:
    """As many of the first words as fit; none where those are hardly any."""
    words = text.split(" ")
    while len(words) > FEW and count(" ".join(words)) > room:
        words.pop()
    return " ".join(words) if len(words) > FEW else ""
