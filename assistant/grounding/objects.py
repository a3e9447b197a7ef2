"""Answers from what a detector found: which things there are, how many, where, and whether there is one.

Only for questions that name a thing or a kind of things, or ask for whatever there is. That something was not found is
an answer only where a detector has looked, and only of things it knows. Knows no engine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import hypot

from assistant.events import Box
from assistant.grounding import lexicon, naming, wording
from assistant.grounding.evidence import Evidence
from assistant.grounding.questions import Question, read
from assistant.grounding.ranking import STRONG
from assistant.grounding.words import is_chinese, plain, tokens

NEAR = 0.04
"""Two things are together whose boxes are no further apart, as a share of what all things take up."""
OPEN = frozenset({"thing", "describe", "open"})
"""Wordings of questions for whatever there is."""
PERSON = "person"
SURE = 0.5
"""a detector's score below which what it says is told with a doubt"""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked of things. form: count, whether, where or name. names: the things it is about, empty for any. word:
    what they are called in the question. beside: the things that they are asked for by. held: in somebody's hands.
    """

    form: str
    names: frozenset[str]
    word: str
    beside: frozenset[str] = frozenset()
    held: bool = False


def wanted(asked: Question) -> Wanted | None:
    """What a question asks of things; None where it asks for something else."""
    text = plain(asked.text)
    found = naming.mentioned(text)
    if asked.colours and read(_without(text, found)).colours:  # a detector tells no colours
        return None
    others = _others(text, found)
    heads = [m for m in found if m not in others]
    beside = frozenset[str]().union(*(m.names for m in others))
    if lexicon.object_pattern("held").search(text) and asked.wording in OPEN and not any(m.is_kind for m in heads):
        return Wanted("name", frozenset(), "thing", held=True)
    if heads:
        form = _form(asked, text, heads[0])
        return Wanted(form, heads[0].names, heads[0].called, beside) if form else None
    if others and asked.wording in OPEN and not _more(asked, text, found):
        return Wanted("name", frozenset(), "thing", beside)
    return None


def _others(text: str, found: Sequence[naming.Mention]) -> list[naming.Mention]:
    """The things that another one is asked for by: 'on the table', 桌子上."""
    relation = lexicon.object_pattern("beside").search(text)
    if relation is None:
        return []
    if is_chinese(text):
        return [m for m in found if m.at < relation.start()][-1:]
    return [m for m in found if m.at > relation.start()]


def _form(asked: Question, text: str, head: naming.Mention) -> str:
    """How a question asks for the thing that it names; empty where for something about it."""
    if asked.wording == "count" or lexicon.object_pattern("count").search(text):
        return "count"
    if lexicon.object_pattern("whether").search(text):
        return "whether"
    if asked.wording == "place":
        return "where"
    return "name" if head.is_kind and asked.wording in OPEN else ""


def _without(text: str, found: Sequence[naming.Mention]) -> str:
    """A question without the things that it mentions."""
    for mention in found:
        text = text.replace(mention.word, " ", 1)
    return text


def _more(asked: Question, text: str, found: Sequence[naming.Mention]) -> bool:
    """Whether a question asks for something that is named, but is none of the things that are known."""
    if is_chinese(text):
        return _unknown(asked, found)
    before = text[: min(m.at for m in found)]
    return any(word not in lexicon.words("stop") for word in tokens(before))


def _unknown(asked: Question, found: Sequence[naming.Mention]) -> bool:
    """Whether a question has content words that stand for no known thing: sugar, in spoons of sugar."""
    known = " ".join(m.word for m in found)
    return any(a.weight >= STRONG and a.word not in known for a in asked.asked)


# ---------------------------------------------------------------- answers

Answer = tuple[list[Evidence], tuple[str, ...]]


def answered(asked: Question, seen: Sequence[Evidence], size: tuple[int, int] | None, language: str) -> Answer | None:
    """What was found that answers, and the sentences that say so; None where nothing was found that does.

    seen: the evidence of the view that the question is about; size: its height and width in pixels, where known.
    """
    want = wanted(asked)
    if want is None:
        return None
    things = _fitting(want, asked, [e for e in seen if e.kind == "object"])
    if not things:
        return None
    names = [e.text for e in things]
    slots = {"things": naming.summed(names, language)}
    if want.form == "where":
        said = _where(things, size, language)
        return (things, said) if said else None
    if want.form == "count":
        name = things[0].text if len(want.names) == 1 else want.word
        slots = {"things": naming.counted(name, len(things), language, exact=True)}
        if len(want.names) != 1:
            slots["each"] = naming.summed(names, language)
    return things, wording.sentences(f"grounds.things{_manner(want, things)}", language, slots)


def _manner(want: Wanted, things: Sequence[Evidence]) -> str:
    if max(e.score for e in things) < SURE:
        return ".unsure"
    return ".yes" if want.form == "whether" else ""


def meant(asked: Question, seen: Sequence[Evidence]) -> list[Evidence]:
    """The things that a question about something of theirs is about ('what colour is the cup on the left'): those that
    it names, surest first.
    """
    text = plain(asked.text)
    found = naming.mentioned(text)
    others = _others(text, found)
    names = frozenset[str]().union(*(m.names for m in found if m not in others))
    return _on_side(asked, [e for e in seen if e.kind == "object" and e.text in names])


def missing(asked: Question, seen: Sequence[Evidence], language: str) -> tuple[str, ...]:
    """The sentences for a thing that was looked for and not found, with what there is of its kind instead; empty where
    the question asks for no such thing.
    """
    want = wanted(asked)
    if want is None or want.form == "name" or not want.names or want.beside:
        return ()
    if _unknown(asked, naming.mentioned(asked.text)):
        return ()
    name = want.word if len(want.names) > 1 else next(iter(want.names))
    kinds = frozenset[str]().union(*(lexicon.called()[name].kinds for name in want.names))
    alike = [e.text for e in seen if e.kind == "object" and any(e.text in naming.names_of(kind) for kind in kinds)]
    slots = {"things": naming.counted(name, 0, language), "instead": naming.summed(alike, language)}
    return wording.sentences("grounds.things.no" if want.form == "whether" else "grounds.things.none", language, slots)


def _fitting(want: Wanted, asked: Question, things: Sequence[Evidence]) -> list[Evidence]:
    """The things that are asked for, the most fitting first."""
    found = [e for e in things if not want.names or e.text in want.names]
    if want.held:
        holders = [e for e in things if e.text == PERSON]
        found = [e for e in found if e.text != PERSON and e.text not in lexicon.grounds()]
        return _together(found, holders) if holders else found[:1]
    if not want.names:
        found = [e for e in found if e.text not in want.beside]
    if want.beside and (anchors := [e for e in things if e.text in want.beside]):
        found = _together(found, anchors)
    elif want.beside - lexicon.grounds():  # what things stand on may go unseen, or fill the picture
        return []
    return _on_side(asked, found)


def _together(things: Sequence[Evidence], anchors: Sequence[Evidence]) -> list[Evidence]:
    """Those that touch or nearly touch one of the anchors, the nearest first."""
    boxes = [e.box for e in (*things, *anchors) if e.box]
    if not boxes:
        return []
    across = max(b[2] for b in boxes) - min(b[0] for b in boxes)
    down = max(b[3] for b in boxes) - min(b[1] for b in boxes)
    gaps = [(min(_gap(t.box, a.box) for a in anchors if a.box), t) for t in things if t.box]
    near = [(gap, t) for gap, t in gaps if gap <= NEAR * hypot(across, down)]
    return [t for _, t in sorted(near, key=lambda pair: (pair[0], -pair[1].score))]


def _gap(one: Box | None, other: Box | None) -> float:
    """How far apart two boxes are in pixels; below 0, how deep one is in the other."""
    if one is None or other is None:
        return float("inf")
    across = max(one[0], other[0]) - min(one[2], other[2])
    down = max(one[1], other[1]) - min(one[3], other[3])
    return hypot(max(0.0, across), max(0.0, down)) if max(across, down) > 0 else max(across, down)


def _on_side(asked: Question, things: Sequence[Evidence]) -> list[Evidence]:
    """Of several, those on the side that is asked for."""
    boxes = [e.box for e in things if e.box]
    if len(boxes) < 2:
        return list(things)
    found = list(things)
    for axis, direction in asked.places:
        middle = sum(b[axis] + b[axis + 2] for b in boxes) / len(boxes)
        found = [e for e in found if e.box and (e.box[axis] + e.box[axis + 2] - middle) * direction > 0]
    return found


def _where(things: Sequence[Evidence], size: tuple[int, int] | None, language: str) -> tuple[str, ...]:
    frame = wording.frames("grounds.things.at", language)[0]
    each = [
        frame.format(thing=naming.counted(e.text, 1, language), place=wording.table("grounds.places", key, language))
        for e in things
        if (key := place(e.box, size))
    ]
    return wording.sentences("grounds.things", language, {"things": wording.listed(each, language)})


def place(box: Box | None, size: tuple[int, int] | None) -> str:
    """Where in a picture of `size` a box lies, by thirds: `left`, `top right`, `middle`; empty if that is not known."""
    if box is None or size is None:
        return ""
    across, down = (box[0] + box[2]) / (2 * size[1]), (box[1] + box[3]) / (2 * size[0])
    column = "left" if across < 1 / 3 else "right" if across > 2 / 3 else ""
    row = "top" if down < 1 / 3 else "bottom" if down > 2 / 3 else ""
    return f"{row} {column}".strip() or "middle"


def main_things(seen: Sequence[Evidence]) -> list[Evidence]:
    """What a picture shows above all: its things but for what they stand on and who holds them, largest and surest
    first; those too where there is nothing else.
    """
    things = [e for e in seen if e.kind == "object"]
    found = [e for e in things if e.text not in lexicon.grounds() and e.text != PERSON]
    found = found or [e for e in things if e.text == PERSON] or things
    return sorted(found, key=lambda e: -e.score * _area(e.box) ** 0.25)


def _area(box: Box | None) -> float:
    return (box[2] - box[0]) * (box[3] - box[1]) if box else 1.0
