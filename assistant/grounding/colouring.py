"""What colour something has: the thing that is named, the one that stands out, or what is around it.

Without a detector nobody knows which part of a picture is the dog: its colour is told only where it is plain what is
meant. Knows no engine.
"""

from __future__ import annotations

from collections.abc import Sequence

from assistant.events import Box
from assistant.grounding import lexicon, naming, objects, wording
from assistant.grounding.evidence import Evidence
from assistant.grounding.questions import Question
from assistant.grounding.ranking import NAMED, STRONG, Ranked, at_moment
from assistant.grounding.remembering import Found, Memory
from assistant.grounding.words import best_likeness, plain, word_set

SECOND_COLOUR = 0.6
"""A colour with less than this share of the main one's is not named beside it."""
SUBJECT_SHARE = 0.1
"""of the picture that its subject takes up at least"""


def coloured(asked: Question, memory: Memory, language: str) -> Found | None:
    """The main colours: of the thing that is named or stands out, or of the picture where its background is asked for;
    None where there are none, or it cannot be told which thing is meant.
    """
    view = _view(asked, memory)
    things = [t.box for t in objects.meant(asked, view)]
    if mine := [e for e in view if e.kind == "colour" and e.box is not None and e.box == next(iter(things), None)]:
        return _in_colours(mine, language)
    boxes = {e.box for e in view if e.kind == "object"}
    colours = [e for e in view if e.kind == "colour" and (e.box is None or e.box not in boxes)]
    around = any(a.word in lexicon.words("around") for a in asked.asked)
    whole, thing = [c for c in colours if c.box is None], [c for c in colours if c.box is not None]
    sizes = [g.size for g in memory.glimpses if colours and g.id == colours[0].origin]
    if not around and not _is_plain(asked, view, thing, sizes[0] if sizes else None):
        return None
    chosen = (whole or thing) if around else (thing or whole)
    return _in_colours(chosen, language) if chosen else None


def seen_any(memory: Memory) -> bool:
    """Whether any colour was seen: then it is the thing that is not known."""
    return any(e.kind == "colour" for _, evidence in memory.sight for e in evidence)


def _view(asked: Question, memory: Memory) -> list[Evidence]:
    """The evidence of the view whose colours are asked for."""
    if asked.past:
        things = at_moment(asked, memory.things, memory.now_s, memory.in_view)
        return [e for thing, _ in things for e in thing.evidence]
    readings = [evidence for _, evidence in memory.sight if any(e.kind == "colour" for e in evidence)]
    return list(readings[-1]) if readings else []


def _is_plain(
    asked: Question, view: Sequence[Evidence], thing: Sequence[Evidence], size: tuple[int, int] | None
) -> bool:
    """Whether it is plain what is meant: nothing is named, or when it was shown is said, or its name is written on it,
    or there is one thing that stands out, and no part of it is asked for.
    """
    text = plain(asked.text)
    names = [a.word for a in asked.asked if a.weight >= STRONG] + [m.word for m in naming.mentioned(text)]
    if asked.past or not names:
        return True
    written = frozenset[str]().union(*(word_set(e.text) for e in view if e.kind in ("line", "code")))
    if any(best_likeness(name, written) >= NAMED for name in names):
        return True
    return not lexicon.pattern("part").search(text) and any(_is_subject(e.box, size) for e in thing[:1])


def _is_subject(box: Box | None, size: tuple[int, int] | None) -> bool:
    """Whether a box is plainly what a picture is of: not small, and in the middle third of it both ways."""
    if box is None or size is None:
        return False
    wide, high = (box[2] - box[0]) / size[1], (box[3] - box[1]) / size[0]
    across, down = (box[0] + box[2]) / (2 * size[1]), (box[1] + box[3]) / (2 * size[0])
    return wide * high >= SUBJECT_SHARE and all(1 / 3 <= middle <= 2 / 3 for middle in (across, down))


def _in_colours(chosen: Sequence[Evidence], language: str) -> Found:
    """The first of the colours, and the second where it is about as large."""
    chosen = [c for c in chosen if c.score >= SECOND_COLOUR * chosen[0].score][:2]
    joined = wording.listed([wording.colour(c.text, language) for c in chosen], language)
    return [Ranked(c, c.score) for c in chosen], wording.sentences("grounds.colour", language, {"x": joined})
