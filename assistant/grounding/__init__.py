"""Grounding: what was seen and said, against a question; which evidence answers it, or that nothing does.

`ground` reads the question, types and ranks the evidence, computes comparisons, and hands the mind the context and, for
a mind that cannot be trusted to choose, a grammar of the sentences that are true. Pure but for the prompt files; knows
no engine.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from assistant.events import Exchange, Gaze, Glimpse
from assistant.grounding import lexicon, naming, objects, wording
from assistant.grounding.carriers import carrying
from assistant.grounding.colouring import coloured, seen_any
from assistant.grounding.comparing import Compared, Side, compare
from assistant.grounding.evidence import NAME_LABEL, Evidence, is_question, seen, told
from assistant.grounding.questions import MEMORIES, SUMS, Question, read
from assistant.grounding.ranking import (
    LEAST,
    RIVAL,
    STRONG,
    Ranked,
    Shown,
    at_moment,
    rank,
    shown,
    sided,
    title,
    within_reach,
)
from assistant.grounding.remembering import Found, Memory, remember
from assistant.grounding.words import best_likeness, concept, is_chinese, plain, tokens, word_set

evidence_of = seen

__all__ = [
    "Evidence",
    "Grounds",
    "asks_about_now",
    "asks_to_see",
    "evidence_of",
    "forgetting",
    "ground",
    "meant",
    "unread",
]

OTHER_COLOUR = 0.45
"""What a thing counts that has not the colour the question speaks of."""
PERSONAL = frozenset("colour describe thing name title place lines role".split())
"""What sight answers by showing anything at all: no answer to what was asked about the talk."""
TOLD = 24
"""glimpses that the context tells of, the newest"""
ELSEWHERE = 0.8
"""What was heard or said counts less than what is seen, where the question does not ask for it."""


@dataclass(frozen=True, slots=True)
class Grounds:
    """What a reply may rest on.

    kind: evidence, comparison, refusal or chat. winners: what answers. sentences: the replies that are true, the best
    first; empty for chat. why: one line for the log. context: all that was found, for a mind that answers freely.
    grammar: GBNF that admits only `sentences`; None for chat.
    """

    kind: str
    winners: tuple[Evidence, ...]
    sentences: tuple[str, ...]
    why: str
    context: str
    grammar: str | None


def ground(
    question: str,
    glimpses: Sequence[Glimpse],
    exchanges: Sequence[Exchange],
    now_s: float,
    language: str = "en",
    gaze: Gaze | None = None,
    pointed: Sequence[int] = (),
) -> Grounds:
    """Decide what answers a question.

    glimpses: in any order; those nobody looked at yet count for nothing. exchanges: oldest first. now_s: seconds of the
    audio clock. language: en or zh, of the reply. gaze: what was looked at last. pointed: ids of the glimpses that the
    words point at one after the other, empty where that is one, or none. KeyError if a prompt file is missing.
    """
    asked = read(question)
    if asked.chat:
        return _small_talk(question, "", language)
    known = sorted(glimpses, key=lambda g: (g.at_s, g.id))
    sight = [(glimpse, seen(glimpse)) for glimpse in known if glimpse.findings is not None]
    context = wording.context(sight[-TOLD:], now_s, language)
    things = shown(sight)
    in_view = bool(things) and known[-1].id in things[-1].glimpses
    memory = Memory(known, sight, things, in_view, gaze, now_s)
    if asked.comparing is not None and not asked.talk:
        return _compared(asked, things, pointed, context, language)
    if asked.wording in MEMORIES:
        found = remember(asked, memory, language)
        if found is None:
            name = "refusal.unseen" if asked.wording in ("sighting", "when_seen", "whereabouts") else "refusal.sight"
            return _refused(name, f"{asked.wording}: nothing fits", context, language)
        return _grounded(asked, found, context)
    if asked.carrier and sight:
        found = _carried(asked, memory, language)
        if found is None:
            return _refused("refusal.unseen", f"no {asked.carrier} was seen", context, language)
        return _grounded(asked, found, context)
    found = _talked(asked, exchanges, language) if asked.talk else None
    if not asked.talk or asked.wording not in PERSONAL:
        found = found or _seen(asked, memory, exchanges, language)
    if found is not None:
        return _grounded(asked, found, context)
    if not sight and not asked.pointing and not asked.talk:
        return Grounds("chat", (), (), "chat: nothing has been seen and nothing is pointed at", context, None)
    unknown = asked.wording == "colour" and seen_any(memory)
    name = "refusal.said" if asked.talk else "refusal.which" if unknown else "refusal.sight"
    return _refused(name, f"{asked.wording}: nothing fits", context, language)


def _grounded(asked: Question, found: Found, context: str) -> Grounds:
    best, choices = found
    what = f"'{best[0].evidence.text}' scores {best[0].score:.2f}" if best else "from memory"
    return Grounds(
        "evidence", tuple(r.evidence for r in best), choices, f"{asked.wording}: {what}", context,
        wording.grammar(choices),
    )  # fmt: skip


def asks_to_see(question: str, language: str = "en") -> bool:
    """Whether what was said may need what the camera shows: anything but small talk and questions about the talk."""
    asked = read(question)
    return not asked.chat and not asked.talk and asked.wording not in ("light", "gaze")


def asks_about_now(question: str) -> bool:
    """Whether what was said is about what is in view now, if it is about anything that can be seen."""
    asked = read(question)
    return not asked.past and asked.wording not in MEMORIES


def meant(question: Question, glimpses: Sequence[Glimpse], now_s: float) -> frozenset[int]:
    """The glimpses of the thing that a question about the past says when it was shown: the first, the one before the
    bottle, the one of five minutes ago; empty where it does not say, or nothing was there.
    """
    if not question.past:
        return frozenset()
    known = sorted(glimpses, key=lambda g: (g.at_s, g.id))
    things = shown([(glimpse, seen(glimpse)) for glimpse in known if glimpse.findings])
    in_view = bool(things) and known[-1].id in things[-1].glimpses
    at = at_moment(question, things, now_s, in_view)
    return frozenset(at[0][0].glimpses) if at else frozenset()


def forgetting(said: str, language: str = "en") -> tuple[str, str]:
    """Whether it is asked to forget something (that, or all; empty: neither), and what is answered."""
    words = plain(said).strip(" .?!。？！,，")
    scope = next(
        (s for s, name in (("all", "forget_all"), ("that", "forget")) if lexicon.pattern(name).search(words)), ""
    )
    return scope, wording.frames("grounds.forgotten", language)[0] if scope else ""


def unread(language: str = "en") -> Grounds:
    """What is said where a picture was not read in time."""
    return _refused("refusal.unread", "not read in time", "", language)


def _small_talk(question: str, context: str, language: str) -> Grounds:
    """What needs neither sight nor memory: a fact that is told is noted, what nobody here can know or do is refused,
    and the rest is free.
    """
    words = plain(question).strip(" .?!。？！,，")
    for name in ("beyond", "action"):
        if lexicon.pattern(name).search(words):
            return _refused(f"refusal.{name}", f"{name} this room", context, language)
    said = told([Exchange(0.0, question, "", "", cut=False)])
    fact = next((e for e in said if e.kind == "fact" and e.sense == "said"), None)
    if fact is None and not lexicon.pattern("tells").search(words):
        return Grounds("chat", (), (), "chat: neither sight nor talk is asked for", context, None)
    name = "noted" if fact is None else "met" if fact.beside[0].startswith("name") else "told"
    slots = {"x": str(fact.value), "label": plain(fact.beside[0])} if fact else {}
    if name == "met":
        slots["x"] = slots["x"].title()
    choices = wording.sentences(f"grounds.{name}", language, slots)
    winners = (fact,) if fact else ()
    return Grounds("evidence", winners, choices, f"{name}: a fact is told", context, wording.grammar(choices))


def _refused(name: str, why: str, context: str, language: str) -> Grounds:
    choices = wording.sentences(name, language, {})
    return Grounds("refusal", (), choices, f"refusal: {why}", context, wording.grammar(choices))


# ---------------------------------------------------------------- from sight


def _seen(asked: Question, memory: Memory, exchanges: Sequence[Exchange], language: str) -> Found | None:
    """The answer out of what is and was in view; of what was, with how long ago that is."""
    found = _from_sight(asked, memory, exchanges, language)
    if found is None or not asked.past or not found[0] or found[0][0].evidence.sense != "sight":
        return found
    if asked.wording in ("describe", "thing"):
        return found
    return found[0], wording.then(found[1], _ago(found[0][0].evidence, memory, language), language)


def _carried(asked: Question, memory: Memory, language: str) -> Found | None:
    """What is or was on the thing that a question about what was names: of one that is gone, with how long ago."""
    at = at_moment(asked, memory.things, memory.now_s, memory.in_view)
    thing = carrying(asked.carrier, [thing for thing, _ in at])
    if thing is None:
        return None
    here = memory.in_view and thing is memory.things[-1]
    sight = [(glimpse, evidence) for glimpse, evidence in memory.sight if glimpse.id in thing.glimpses]
    alone = replace(memory, things=(thing,), sight=sight, in_view=here)
    if here:
        return _seen(replace(asked, moment="any"), alone, (), language)
    return _seen(replace(asked, wording="lines", kinds={"block": 1.0}, moment="earlier"), alone, (), language)


def _ago(evidence: Evidence, memory: Memory, language: str) -> str:
    """How long ago the thing was last in view that a piece of evidence is of."""
    ended_s = [t.ended_s for t in memory.things if evidence.origin in t.glimpses]
    ended_s += [g.ended_s for g in memory.glimpses if g.id == evidence.origin]
    return wording.ago(memory.now_s - (ended_s[0] if ended_s else memory.now_s), language)


def _from_sight(asked: Question, memory: Memory, exchanges: Sequence[Exchange], language: str) -> Found | None:
    if asked.past and asked.wording in ("describe", "thing"):
        return _described(asked, memory, language)
    view, size = _view(asked, memory)
    if (named := objects.answered(asked, view, size, language)) is not None:
        return [Ranked(e, e.score) for e in named[0]], named[1]
    if asked.wording == "colour":
        return coloured(asked, memory, language)
    if asked.wording in ("describe", "thing"):
        return _described(asked, memory, language)
    ranked: list[Ranked] = []
    unnamed = not any(a.weight >= STRONG for a in asked.asked)
    for thing, recency in at_moment(asked, memory.things, memory.now_s, memory.in_view):
        if asked.colours and not _has_colour(asked, thing):
            recency *= OTHER_COLOUR
        if not within_reach(asked, thing, recency):
            continue
        ranked += sided(asked, rank(asked, thing.evidence, thing.words, recency))
        if unnamed and any(r.score >= LEAST for r in ranked):
            break  # 'how much is it' is about the newest thing that has an answer
    if asked.moment == "any" and not asked.past and asked.wording != "lines":
        ranked += _from_talk(asked, exchanges)
    ranked = _in_language(asked, sorted(ranked, key=lambda r: -r.score), language)
    if ranked and ranked[0].score >= LEAST:
        return [ranked[0]], _worded(asked, ranked[0].evidence, language)
    looked = any(e.kind == "object" for _, evidence in memory.sight for e in evidence)
    if looked and view and (none := objects.missing(asked, view, language)):
        return [Ranked(Evidence("count", Decimal(0), "0", origin=view[0].origin), 1.0)], none
    return None


def _view(asked: Question, memory: Memory) -> tuple[tuple[Evidence, ...], tuple[int, int] | None]:
    """The evidence of the one picture that a question is about, and its height and width where they are known."""
    evidence = memory.sight[-1][1] if memory.sight else ()
    if asked.past:
        at = at_moment(asked, memory.things, memory.now_s, memory.in_view)
        evidence = at[0][0].evidence if at else ()
    newest = max((e.origin for e in evidence), default=0)
    size = next((g.size for g in memory.glimpses if g.id == newest), None)
    return tuple(e for e in evidence if e.origin == newest), size


def _has_colour(asked: Question, thing: Shown) -> bool:
    colours = {e.text for e in thing.evidence if e.kind == "colour"}
    return bool(colours & asked.colours) or not colours


def _in_language(asked: Question, ranked: list[Ranked], language: str) -> list[Ranked]:
    """Signs in two languages say the same twice: take the one that is spoken, where it is about as good."""
    if asked.wording not in ("place", "title", "company", "order") or not ranked:
        return ranked
    rivals = [r for r in ranked if RIVAL * r.score >= ranked[0].score]
    near = [r for r in rivals if is_chinese(r.evidence.text) == (language == "zh")]
    return near[:1] + ranked if near else ranked


def _from_talk(asked: Question, exchanges: Sequence[Exchange]) -> list[Ranked]:
    """Values out of what was said and heard; only those that a content word of the question names."""
    evidence = [e for e in told(exchanges) if e.kind not in ("block", "sentence")]
    strong = [a.word for a in asked.asked if a.weight >= STRONG]
    evidence = [e for e in evidence if strong and any(best_likeness(w, word_set(e.line)) >= 0.8 for w in strong)]
    return rank(asked, evidence, frozenset(), ELSEWHERE)


def _worded(asked: Question, evidence: Evidence, language: str) -> tuple[str, ...]:
    """The sentences for a piece of evidence; its label is said only if the question asked for it, in its language."""
    words = word_set(evidence.beside[0]) if evidence.beside else frozenset[str]()
    asked_for = any(best_likeness(a.word, words) >= 0.6 for a in asked.asked if a.weight > 0)
    label = wording.label(evidence) if asked_for else ""
    if is_chinese(label) != (language == "zh"):
        label = ""
    label = label.removesuffix("date").strip() if asked.wording == "date" else label
    plural = label.endswith("s") and not label.endswith("ss")
    wordy = plural or evidence.kind == "time"
    slots = {"x": evidence.text, "named": label, "label": "" if wordy else label, "line": evidence.line}
    return wording.sentences(f"grounds.{_frames_for(asked, evidence, bool(label))}", language, slots)


def _frames_for(asked: Question, evidence: Evidence, labelled: bool) -> str:
    if asked.wording in ("price", "weight"):
        says_so = {"price": "money", "weight": "amount"}[asked.wording] == evidence.kind
        sum_of_it = labelled and any(concept(w) in SUMS | {"weight"} for w in tokens(evidence.beside[0]))
        return asked.wording if says_so and not sum_of_it else "value"
    if asked.wording == "date" and evidence.kind == "time":
        return "value"
    return _FRAMES.get(asked.wording, "value")


_FRAMES = {
    "lines": "lines", "word": "lines", "order": "lines", "date": "date", "name": "name", "role": "role",
    "place": "name", "title": "name", "company": "name", "whether": "whether",
}  # fmt: skip


def _described(asked: Question, memory: Memory, language: str) -> Found | None:
    """What there is to be told of a picture: what a detector named, what is written, else the colours.

    Of what was in view before, what it was called, and how long ago.
    """
    at, sight = at_moment(asked, memory.things, memory.now_s, memory.in_view), memory.sight
    newest = sight[-1][1] if sight and not asked.past else ()
    evidence = at[0][0].evidence if at and (not newest or any(e.kind in ("line", "object") for e in newest)) else newest
    named = objects.main_things(evidence) if asked.wording == "thing" else [e for e in evidence if e.kind == "object"]
    block = next((e for e in evidence if e.kind == "block"), None)
    winners = [*named, *([block] if block else [])]
    if not winners:
        return None
    name = title(Shown(tuple(evidence), frozenset())) if asked.wording == "thing" or asked.past else ""
    text = name or (block.text if block else "")
    joined = naming.summed([e.text for e in named], language)
    found = [Ranked(e, e.score) for e in winners]
    if asked.past and at:
        slots = {"x": wording.listed([*([joined] if joined else []), *([text] if text else [])], language)}
        slots["ago"] = wording.ago(memory.now_s - at[0][0].ended_s, language)
        return found, wording.sentences("grounds.showed", language, slots)
    slots = {"objects": joined, "text": text}
    return found, wording.sentences("grounds.describe", language, slots)


# ---------------------------------------------------------------- from the talk


def _talked(asked: Question, exchanges: Sequence[Exchange], language: str) -> Found | None:
    """What was said, asked or heard: word by word where nothing narrower is asked, else the fact that fits."""
    evidence = told(exchanges)
    words = [a for a in asked.asked if a.weight >= STRONG]
    if asked.talk == "asked":
        evidence = tuple(e for e in evidence if e.sense == "said" and e.kind == "block" and is_question(e.text))
        return _one(asked, evidence, words, "grounds.asked", language)
    if asked.talk == "heard":
        blocks = tuple(e for e in evidence if e.sense == "heard" and e.kind in ("block", "sentence"))
        if not words:
            return _one(asked, tuple(e for e in blocks if e.kind == "block"), words, "grounds.heard", language)
        values = [e for e in evidence if e.sense == "heard" and e.kind not in ("block", "sentence")]
        ranked = rank(asked, values, frozenset())
        if ranked and ranked[0].score >= LEAST:
            return [ranked[0]], _worded(asked, ranked[0].evidence, language)
        return _one(asked, tuple(e for e in blocks if e.kind == "sentence"), words, "grounds.heard", language)
    said = tuple(e for e in evidence if e.sense == "said")
    if not words:
        return _one(asked, tuple(e for e in said if e.kind == "block"), words, "grounds.said", language)
    ranked = [r for r in rank(asked, said, frozenset()) if r.score >= LEAST]
    ranked.sort(key=lambda r: (-round(r.score, 1), r.evidence.kind != "fact", -r.evidence.origin))
    if not ranked:
        return None
    best = ranked[0].evidence
    if best.kind == "fact":
        return [ranked[0]], wording.sentences("grounds.fact", language, _fact(best, language))
    return [ranked[0]], wording.sentences("grounds.said", language, {"x": best.text})


def _fact(fact: Evidence, language: str) -> dict[str, str]:
    label = plain(fact.beside[0])
    if label == NAME_LABEL:
        label = label.split()[language == "zh"]
    if is_chinese(label) != (language == "zh"):
        label = ""
    is_name = any(concept(word) == "name" for word in tokens(label))
    return {"x": fact.text.title() if is_name and fact.text.islower() else fact.text, "label": label}


def _one(
    asked: Question, evidence: Sequence[Evidence], words: Sequence[object], frame: str, language: str
) -> Found | None:
    """The first or the last of what was said; where words are asked for, only what has them."""
    if words:
        evidence = [r.evidence for r in rank(replace(asked, kinds={e.kind: 1.0 for e in evidence}), evidence, frozenset()) if r.score >= LEAST]  # fmt: skip  # noqa: E501
        evidence = evidence[:1]
    if not evidence:
        return None
    chosen = evidence[0] if asked.order == "first" else evidence[-1]
    return [Ranked(chosen, 1.0)], wording.sentences(frame, language, {"x": chosen.text})


# ---------------------------------------------------------------- comparisons


def _compared(asked: Question, things: Sequence[Shown], pointed: Sequence[int], context: str, language: str) -> Grounds:
    outcome = compare(asked, things, pointed)
    if outcome is None or asked.comparing is None:
        return _refused("refusal.comparison", "no two values to compare", context, language)
    slots = {
        "does": wording.table("grounds.comparatives", asked.comparing.word, language),
        "most": wording.table("grounds.superlatives", asked.comparing.word, language),
        "winner": _called(outcome.winner, language),
        "low": outcome.winner.evidence.text,
        "high": outcome.other.evidence.text,
        "difference": outcome.difference,
    }
    choices = wording.sentences(_comparison_frames(asked, outcome), language, slots)
    why = f"comparison: {asked.comparing.word}: {slots['low']} against {slots['high']}"
    winners = (outcome.winner.evidence, outcome.other.evidence)
    return Grounds("comparison", winners, choices, why, context, wording.grammar(choices))


def _comparison_frames(asked: Question, outcome: Compared) -> str:
    assert asked.comparing is not None
    if outcome.among > 2 and asked.comparing.superlative and asked.comparing.form == "which":
        return "grounds.compare.most"
    if outcome.equal:
        return "grounds.compare.equal"
    if asked.comparing.form == "difference":
        return "grounds.compare.difference"
    if asked.comparing.form == "whether":
        return "grounds.compare.yes" if outcome.winner is outcome.asked else "grounds.compare.no"
    return "grounds.compare.which"


def _called(side: Side, language: str) -> str:
    """What a side is called: by its place in the order of showing, else by its own name."""
    if side.place is None:
        return side.name
    ordinals = wording.frames("grounds.ordinals", language)
    return ordinals[side.place] if side.place < len(ordinals) else side.name
