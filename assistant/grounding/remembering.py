"""What only somebody can answer who has been watching: when, where and whether something was seen, whether it was dark,
how two things differ, and what was looked at last and why.

Every answer about the past says how long ago that was. Knows no engine; every word comes from the prompt files.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from assistant.events import Gaze, Glimpse
from assistant.grounding import lexicon, naming, objects, wording
from assistant.grounding.evidence import Evidence
from assistant.grounding.questions import Question
from assistant.grounding.ranking import LEAST, NAMED, Ranked, Shown, at_moment, rank, title
from assistant.grounding.words import best_likeness

Found = tuple[list[Ranked], tuple[str, ...]]

BRIGHT = 0.2
DARK = 0.1
"""mean brightness, 0 to 1, that is bright or dark where nothing else was seen to compare it with"""
LIT = 2.0
"""a light that is switched makes so many times a difference, or more"""
CONTRASTED = ("title", "money", "amount", "percent", "date")
"""what two things are told apart by, in this order"""


@dataclass(frozen=True, slots=True)
class Memory:
    """What there is to remember: all glimpses, oldest first, those that were looked into with their evidence, the
    things shown, whether the newest is still in view, the last gaze, and now, in seconds of the audio clock.
    """

    glimpses: Sequence[Glimpse]
    sight: Sequence[tuple[Glimpse, tuple[Evidence, ...]]]
    things: Sequence[Shown]
    in_view: bool
    gaze: Gaze | None
    now_s: float


def remember(asked: Question, memory: Memory, language: str) -> Found | None:
    """The answer to a question with one of the wordings MEMORIES; None where nothing fits."""
    match asked.wording:
        case "gaze":
            return _gaze(memory, language)
        case "light":
            return _light(asked, memory, language)
        case "contrast":
            return _contrast(asked, memory, language)
        case _:
            return _sighting(asked, memory, language)


def _gaze(memory: Memory, language: str) -> Found | None:
    if memory.gaze is None:
        return None
    of = next((e for g, evidence in memory.sight if g.id == memory.gaze.glimpse for e in evidence), None)
    slots = {"ago": wording.ago(memory.now_s - memory.gaze.at_s, language), "word": memory.gaze.word}
    frame = wording.table("grounds.gaze", memory.gaze.reason, language)
    return _answer([of] if of else [], wording.filled((frame,), slots))


# ---------------------------------------------------------------- light


def _light(asked: Question, memory: Memory, language: str) -> Found | None:
    """Bright or dark, against the range that was seen where a light was switched in it, else by itself."""
    glimpses = [g for g in memory.glimpses if g.at_s <= memory.now_s - (asked.ago_s or 0.0)]
    if not glimpses:
        return None
    then = glimpses[-1]
    levels = [g.light for g in memory.glimpses]
    low, high = min(levels) + 0.01, max(levels) + 0.01
    if high / low >= LIT:
        state = "bright" if then.light + 0.01 >= (low * high) ** 0.5 else "dark"
    elif then.light >= BRIGHT or then.light <= DARK:
        state = "bright" if then.light >= BRIGHT else "dark"
    else:
        return None
    asks_dark = lexicon.pattern("dark").search(asked.text.casefold()) is not None
    verdict = "yes" if (state == "dark") == asks_dark else "no"
    key = f"{verdict}.{state}.{'now' if asked.ago_s is None else 'then'}"
    slots = {"ago": wording.ago(asked.ago_s or 0.0, language)}
    evidence = Evidence("light", state, state, score=then.light, origin=then.id)
    return _answer([evidence], wording.filled((wording.table("grounds.light", key, language),), slots))


# ---------------------------------------------------------------- sightings


def _sighting(asked: Question, memory: Memory, language: str) -> Found | None:
    """The newest thing that has what is named, and when it was last in view."""
    names = [a for a in asked.asked if a.weight > 0]
    things = at_moment(asked, memory.things, memory.now_s, memory.in_view) if asked.past and asked.ago_s else ()
    among = [thing for thing, _ in things] or list(reversed(memory.things))
    called = frozenset[str]().union(*(m.names for m in naming.mentioned(asked.text)))
    for thing in among if names else ():
        best = _named(asked, called, thing)
        if best is not None:
            slots = {
                "x": naming.counted(best.text, 1, language) if best.kind == "object" else best.text,
                "ago": wording.ago(memory.now_s - thing.ended_s, language),
            }
            if asked.wording == "whereabouts":
                size = next((g.size for g in memory.glimpses if g.id == best.origin), None)
                slots["place"] = wording.table("grounds.places", objects.place(best.box, size), language)
            choices = wording.sentences(f"grounds.{asked.wording}", language, slots)
            return _answer([best], choices)
    return None


def _named(asked: Question, called: frozenset[str], thing: Shown) -> Evidence | None:
    """What of a thing the question names: a detector's name for it (one of `called`), else what is written on it."""
    best = next((e for e in thing.evidence if e.kind == "object" and e.text in called), None)
    if best is not None or max((best_likeness(a.word, thing.words) for a in asked.asked), default=0.0) < NAMED:
        return best
    ranked = rank(asked, [e for e in thing.evidence if e.kind in asked.kinds], frozenset())
    return ranked[0].evidence if ranked and ranked[0].score >= LEAST else None


# ---------------------------------------------------------------- two things


def _contrast(asked: Question, memory: Memory, language: str) -> Found | None:
    """The newest thing beside the one that is named, by what both say of themselves."""
    if len(memory.things) < 2:
        return None
    here = memory.things[-1]
    other = next((thing for thing, _ in at_moment(asked, memory.things, memory.now_s, memory.in_view)), None)
    if other is None or other is here or not (asked.past or asked.relation):
        other = memory.things[-2]
    told, others = _told(here, memory), _told(other, memory)
    differing = [k for k in (*CONTRASTED, "colour") if k in told and k in others and told[k].text != others[k].text][:3]
    if differing[:1] == ["title"] and told["title"].kind == "object":
        differing = [k for k in differing if k != "colour"]  # 'a cup and brown' is no sentence
    if not differing:
        same = [_text(told[k], language) for k in CONTRASTED if k in told and k in others][:3]
        return _answer(
            [told[k] for k in CONTRASTED if k in told and k in others],
            wording.sentences("grounds.contrast.same", language, {"a": _list(same, language)}),
        )
    ordinals = wording.frames("grounds.ordinals", language)
    at = memory.things.index(other)
    slots = {
        "a_name": ordinals[at] if at < len(ordinals) else wording.ago(memory.now_s - other.ended_s, language),
        "b_name": wording.frames("grounds.this", language)[0],
        "a": _list([_text(others[k], language) for k in differing], language),
        "b": _list([_text(told[k], language) for k in differing], language),
    }
    slots["b_name"] = slots["b_name"][:1].upper() + slots["b_name"][1:]
    choices = wording.sentences("grounds.contrast", language, slots)
    return _answer([e for k in differing for e in (others[k], told[k])], choices)


def _told(thing: Shown, memory: Memory) -> dict[str, Evidence]:
    """The best evidence of each kind that tells things apart."""
    found: dict[str, Evidence] = {}
    of = [e for g, evidence in memory.sight if g.id in thing.glimpses for e in evidence if e.kind == "colour" and e.box]
    for evidence in (*thing.evidence, *of):
        if evidence.kind in (*CONTRASTED, "colour"):
            found.setdefault(evidence.kind, evidence)
    found.pop("title", None)
    named = next((e for e in thing.evidence if e.kind == "title" and e.text == title(thing)), None)
    named = named or next(iter(objects.main_things(thing.evidence)), None)
    return found | ({"title": named} if named else {})


def _text(evidence: Evidence, language: str) -> str:
    if evidence.kind == "object":
        return naming.counted(evidence.text, 1, language)
    return wording.colour(evidence.text, language) if evidence.kind == "colour" else evidence.text


def _list(texts: Sequence[str], language: str) -> str:
    return wording.listed(texts, language)


def _answer(evidence: Sequence[Evidence], choices: tuple[str, ...]) -> Found | None:
    return ([Ranked(e, 1.0) for e in evidence], choices) if choices else None
