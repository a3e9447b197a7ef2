"""Evidence: what glimpses and the talk so far hold, typed, with what stands beside it, its score and its age.

Knows no question: it takes out everything that might answer one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from assistant.events import Box, Exchange, Finding, Glimpse
from assistant.grounding import layout
from assistant.grounding.layout import Line
from assistant.grounding.lexicon import words as listed
from assistant.grounding.values import Typed, repair, values
from assistant.grounding.words import concept, is_chinese, plain, tokens


@dataclass(frozen=True, slots=True)
class Evidence:
    """One thing that may answer.

    kind: date, time, money, amount, percent, number, phone, code, email, web, name, role, place, company, order (what a
    sign tells one to do), field (text that a label names), title, line,
    paragraph, block (all text), colour, object, count,
    sentence. value: typed, for comparing; text: as read. beside: what labels it. line: the whole line. score 0 to 1.
    size: height as a share of the picture's tallest line. sense: sight, said (by the user) or heard (from the
    assistant). origin: the glimpse's id or the exchange's index.
    """

    kind: str
    value: Typed
    text: str
    unit: str = ""
    beside: tuple[str, ...] = ()
    line: str = ""
    score: float = 1.0
    size: float = 1.0
    sense: str = "sight"
    origin: int = 0
    box: Box | None = None


# ---------------------------------------------------------------- sight


def seen(glimpse: Glimpse) -> tuple[Evidence, ...]:
    """All evidence of a glimpse; none of one that has not been looked at. The same findings are read once."""
    return _evidence(glimpse.id, glimpse.findings or ())


def words_of(glimpse: Glimpse) -> frozenset[str]:
    """The plain words of what stands in a glimpse and of what its things are called; none where nothing in it is a
    thing.
    """
    return _words(glimpse.findings or ())


@lru_cache(maxsize=1024)
def _words(findings: tuple[Finding, ...]) -> frozenset[str]:
    told = [e.text for e in _typed(findings) if e.kind in ("line", "code", "object")]
    return frozenset(word for text in told for word in tokens(text))


@lru_cache(maxsize=2048)
def _evidence(origin: int, findings: tuple[Finding, ...]) -> tuple[Evidence, ...]:
    return tuple(replace(e, origin=origin) for e in _typed(findings))


@lru_cache(maxsize=2048)
def _typed(findings: tuple[Finding, ...]) -> tuple[Evidence, ...]:
    """All evidence of what was found in some glimpse."""
    texts = [f for f in findings if f.kind == "text"]
    tallest = max((_letter_height(f.box) for f in texts if f.box), default=1.0) or 1.0
    lines = [_line(f, tallest) for f in texts]
    lines = [line for row in layout.rows(lines) for line in row if line.text]
    found = [e for line in lines for e in _of_line(line, lines)]
    if lines:
        parts = paragraphs(lines)
        sure = sum(line.score for line in lines) / len(lines)
        found += [Evidence("paragraph", part, part, line=part, score=sure) for part in parts]
        block = block_text(parts)
        found.append(Evidence("block", block, block, line=block, score=sure))
    for finding in findings:
        if finding.kind in ("code", "colour", "object", "caption"):
            name = finding.text if finding.kind == "object" else ""
            found.append(
                Evidence(finding.kind, finding.text, finding.text, line=name, score=finding.score, box=finding.box)
            )
    return tuple(found)


def _line(finding: Finding, tallest: float) -> Line:
    text = reading_order(repair(finding.text))
    size = _letter_height(finding.box) / tallest if finding.box else 1.0
    return Line(text, finding.score, finding.box, size, is_measured(text))


def is_measured(line: str) -> bool:
    """Whether a line holds a value that cannot be part of a name, as a number or a code can."""
    return any(value.kind not in ("number", "code") for value in values(line))


def _letter_height(box: Box) -> float:
    """The shorter side: some lines run from bottom to top."""
    return min(box[2] - box[0], box[3] - box[1])


def paragraphs(lines: Sequence[Line]) -> list[str]:
    """The lines as they are read: rows from top to bottom, a sentence that runs over several put together."""
    found: list[str] = []
    for row in layout.rows(lines):
        text = " ".join(line.text for line in row)
        if found and (text[:1].islower() or found[-1][-1] in ",-"):
            found[-1] += " " + text
        else:
            found.append(text)
    return found


def block_text(parts: Sequence[str]) -> str:
    """Paragraphs in one, with a comma where none of them ends in a mark."""
    comma = "，" if parts and is_chinese(parts[0]) else ", "
    return "".join(p + ("" if p is parts[-1] else " " if p[-1] in ".,;:!?。，；：！？…" else comma) for p in parts)


def reading_order(line: str) -> str:
    """A Chinese line as it is meant: liveries and old signboards run from right to left."""
    if not is_chinese(line) or len(line) < 3 or any(word in line for word in listed("signs")):
        return line
    turned = line[::-1]
    return turned if any(word in turned for word in listed("signs")) else line


def _of_line(line: Line, lines: Sequence[Line]) -> Iterable[Evidence]:
    """The evidence of one line: the line, its values, its field, and what kinds of name it may be."""
    base = Evidence("line", line.text, line.text, line=line.text, score=line.score, size=line.size, box=line.box)
    found = values(line.text)
    rest = line.text
    for value in reversed(found):
        rest = rest[: value.start] + "  " + rest[value.end :]
    has_label = sum(c.isalpha() for c in rest) >= 2 or is_chinese(rest)
    around = layout.labels(line, lines)
    yield replace(base, beside=around)
    for value in found:
        near = (_label_of(line.text, value.start, rest), *around[:1]) if has_label else around
        yield replace(
            base, kind=value.kind, value=value.value, text=value.text, unit=value.unit, beside=tuple(filter(None, near))
        )
    yield from _fields(base, around, bool(found) and not has_label)
    yield from _names(base, around)


def _label_of(text: str, start: int, rest: str) -> str:
    """The words of a line that name a value in it: those before it, else all that is not value."""
    before = re.sub(r"[\d.,:;()*-]+$", "", text[:start].strip()).strip()
    return before if sum(c.isalpha() for c in before) >= 2 or is_chinese(before) else " ".join(rest.split())


def _fields(base: Evidence, around: Sequence[str], bare: bool) -> Iterable[Evidence]:
    """Text that a label names: 'Cashier: Eric H', or a value's line right of or below its label."""
    label, colon, text = base.text.partition(":")
    if colon and text.strip() and (is_chinese(label) or sum(c.isalpha() for c in label) >= 2):
        yield replace(base, kind="field", value=text.strip(), text=text.strip(), beside=(label.strip(),))
        yield from _names(replace(base, text=text.strip()), (label.strip(),))
    elif not bare:
        for label in around[:1]:
            if label.endswith(":") or any(map(concept, tokens(label))):
                yield replace(base, kind="field", beside=(label.rstrip(": "),))


def _names(base: Evidence, around: Sequence[str]) -> Iterable[Evidence]:
    text = base.text.strip(" .,:;!?-*()[]\"'")
    words = text.split()
    base = replace(base, value=text, text=text, beside=tuple(around))
    if _is_person(words):
        yield replace(base, kind="name")
    by = re.search(r"\b(?:by|By|BY) (.+)$", text)
    if by and _is_person(by[1].split()):
        yield replace(base, kind="name", value=by[1], text=by[1], beside=("author",))
    last = plain(words[-1]) if words else ""
    if words and not any(c.isdigit() for c in text) and (last in listed("roles") or last.endswith(ROLE_ENDINGS)):
        if len(words) <= 4:
            yield replace(base, kind="role")
    if _ends_like(text, listed("places")):
        yield replace(base, kind="place")
    if _ends_like(text, listed("companies")):
        yield replace(base, kind="company")
    if words and (plain(words[0]) in listed("imperatives") or re.search("(?i)please|请|禁止|勿|小心|注意", text)):
        yield replace(base, kind="order")
    if any(c.isalpha() for c in text) and base.size > 0.3 and len(words) <= LONGEST_TITLE and not is_measured(text):
        yield replace(base, kind="title")


def _is_person(words: Sequence[str]) -> bool:
    """Capitalised words none of which is an ordinary one; in Chinese a surname with one to three characters."""
    if is_chinese("".join(words)):
        return len(words) == 1 and 2 <= len(words[0]) <= 4 and words[0][0] in listed("surnames")
    if not 1 <= len(words) <= 4 or not all(re.fullmatch(r"[^\W\d_][\w'’-]*\.?", w) and w[0].isupper() for w in words):
        return False
    bare = [plain(w.strip(".")) for w in words]
    ordinary = listed("ordinary")
    return not any(w in ordinary or w.removesuffix("s") in ordinary for w in bare) and any(len(w) > 2 for w in bare)


def _ends_like(text: str, endings: frozenset[str]) -> bool:
    if is_chinese(text):
        return any(not e.isascii() and e in text for e in endings)
    return any(plain(w.strip(".,")) in endings for w in text.split()[1:])


# ---------------------------------------------------------------- the talk so far

_SENTENCE = re.compile(r"[^.!?。！？]+(?:\.(?=\d)[^.!?。！？]+)*[.!?。！？]*")
_FACT = re.compile(
    r"\bmy (?P<label>[\w ]+?) (?:is|are|was|'s) (?P<value>.+)$|我的?(?P<zh>\w+?)[是叫](?P<text>.+)$", re.IGNORECASE
)
LONGEST_TITLE = 6
"""words"""
ROLE_ENDINGS = ("ologist", "ographer", "ician", "wright")
_NAME = re.compile(
    r"\b(?:call me|i am called|the name is|(?:i am|i'm)(?= (?-i:[A-Z])))\s+(?P<name>[A-Za-z]+)|我叫(?P<zh>\w+)",
    re.IGNORECASE,
)
NAME_LABEL = "name 名字"
_QUESTION = re.compile(
    r"^(what|who|whose|which|where|when|why|how|is|are|was|does|do|did|can|could|would|will|read|tell|show)\b", re.I
)


def told(exchanges: Sequence[Exchange]) -> tuple[Evidence, ...]:
    """All evidence of the talk: what the user said, sentence by sentence, and what the user heard."""
    found: list[Evidence] = []
    for index, exchange in enumerate(exchanges):
        for sense, text in (("said", exchange.said), ("heard", exchange.heard)):
            if text.strip():
                whole = Evidence("block", text, text.strip(), line=text, sense=sense, origin=index)
                found += [whole, *_of_speech(whole)]
    return tuple(found)


def is_question(text: str) -> bool:
    """Whether something said asks rather than tells."""
    return bool(_QUESTION.match(text.strip())) or text.strip().endswith(("?", "？", "吗", "呢"))


def _of_speech(whole: Evidence) -> Iterable[Evidence]:
    for match in _SENTENCE.finditer(whole.text):
        sentence = match[0].strip()
        if not sentence or (whole.sense == "said" and is_question(sentence)):
            continue
        base = replace(whole, kind="sentence", value=sentence, text=sentence, line=sentence)
        yield base
        for value in values(repair(sentence)):
            label = " ".join(tokens(sentence[: sentence.find(value.text)] if value.text in sentence else sentence))
            yield replace(
                base, kind=value.kind, value=value.value, text=value.text, unit=value.unit, beside=(label, sentence)
            )
        if whole.sense == "said":
            yield from _facts(base)


def _facts(base: Evidence) -> Iterable[Evidence]:
    text = base.text.rstrip(".!?。！？ ")
    fact = _FACT.search(text)
    if fact:
        label, value = fact["label"] or fact["zh"], fact["value"] or fact["text"]
        yield replace(base, kind="fact", value=value, text=value, beside=(label,))
    name = None if fact else _NAME.search(text)
    if name:
        value = name["name"] or name["zh"]
        yield replace(base, kind="fact", value=value, text=value, beside=(NAME_LABEL,))
