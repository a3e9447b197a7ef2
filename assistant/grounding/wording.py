"""Evidence into words: sentence frames from the prompt files, a grammar that admits nothing else, and the context.

Every word comes from `prompts/grounds.*`, `prompts/frames*` or `prompts/refusal.*` or was read or heard.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence

from assistant.events import Glimpse
from assistant.grounding import lexicon
from assistant.grounding.evidence import Evidence
from assistant.prompting import prompt

LONGEST_QUOTE = 420
"""characters of text that are read out; half a minute of speech"""
_SLOT = re.compile(r"\{(\w+)\}")


def frames(name: str, language: str) -> tuple[str, ...]:
    """The sentence frames of a prompt file, one a line. KeyError if there is no such file."""
    return tuple(line.strip() for line in prompt(name, language).splitlines() if line.strip())


def table(name: str, key: str, language: str) -> str:
    """The text behind `key =` in a prompt file; empty where it has none."""
    rows = (line.partition("=") for line in frames(name, language))
    return {left.strip(): text.strip() for left, _, text in rows}.get(key, "")


def ago(seconds: float, language: str) -> str:
    """How long ago something was, as people say it: to ten seconds, a minute, an hour."""
    if seconds < 4:
        key, n = "now", 0
    elif seconds < 55:
        key, n = "seconds", round(seconds / 10) * 10 if seconds >= 10 else round(seconds)
    elif seconds < 3570:
        key, n = "minutes", round(seconds / 60)
    else:
        key, n = "hours", round(seconds / 3600)
    return _filled(table("grounds.ago", key.removesuffix("s") if n == 1 else key, language), {"n": str(n)})


def then(choices: Sequence[str], past: str, language: str) -> tuple[str, ...]:
    """The same sentences about what was: `past` says how long ago."""
    frame = frames("grounds.then", language)[0]
    return tuple(_filled(frame, {"sentence": choice.rstrip(".。"), "ago": past}) for choice in choices)


def colour(name: str, language: str) -> str:
    """What a finding's colour is called."""
    return dict(zip(lexicon.colours(), frames("grounds.colours", language), strict=True)).get(name, name)


def filled(choices: Sequence[str], slots: Mapping[str, str]) -> tuple[str, ...]:
    """Those of some frames that have all their slots, filled."""
    return tuple(_filled(f, slots) for f in choices if f and set(_SLOT.findall(f)) <= slots.keys())


def sentences(name: str, language: str, slots: Mapping[str, str]) -> tuple[str, ...]:
    """All frames of a file whose slots are filled; those that name what is asked for come first."""
    filled = {key: spoken(text) for key, text in slots.items() if text.strip()}
    fitting = [f for f in frames(name, language) if set(_SLOT.findall(f)) <= filled.keys()]
    fitting.sort(key=lambda f: ("{label}" not in f, "{named}" not in f))
    texts = (_filled(f, filled) for f in fitting)
    ended = (re.sub(r"(?<=[!?…！？])[.。]$", "", text) for text in texts)
    return tuple(dict.fromkeys(text[:1].upper() + text[1:] for text in ended))


def listed(items: Sequence[str], language: str) -> str:
    """Things in one breath: 'a, b and c'."""
    if len(items) < 2:
        return "".join(items)
    comma = "、" if language == "zh" else ", "
    return _filled(frames("grounds.and", language)[0], {"a": comma.join(items[:-1]), "b": items[-1]})


def spoken(text: str) -> str:
    """Read text as a reply may hold it: one line, nothing that is no character, no mark doubled by the frame's own."""
    text = "".join(c for c in text if unicodedata.category(c) not in ("Cc", "Cs", "Cf", "Co", "Cn") or c in "\n\t")
    text = " ".join(text.split())
    if len(text) > LONGEST_QUOTE:
        text = text[:LONGEST_QUOTE].rsplit(" ", 1)[0] + " …"
    return text.rstrip(".,;:。，；： ")


def grammar(choices: Sequence[str]) -> str:
    """GBNF (llama.cpp's grammar notation) that admits exactly the given sentences."""
    return "root ::= " + " | ".join(f'"{_escaped(choice)}"' for choice in choices)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "\\r").replace("\t", "\\t")


def label(evidence: Evidence) -> str:
    """What a value is called, as it is said inside a sentence: the first of what stands beside it, if it is short."""
    text = evidence.beside[0] if evidence.beside else ""
    text = re.sub(r"[\s:.\-*]+$", "", text).strip()
    if not 1 < len(text) <= 40 or len(text.split()) > 5 or not re.search(r"\w", text):
        return ""
    words = text.split()
    return " ".join(w if any(c.isdigit() for c in w) else w.lower() for w in words)


def context(sight: Sequence[tuple[Glimpse, tuple[Evidence, ...]]], now_s: float, language: str) -> str:
    """Everything that was found, as text with score and age, oldest picture first, for the mind's context."""
    heading, text_line, other = frames("grounds.context", language)
    lines: list[str] = []
    for glimpse, evidence in sight:
        items = [e for e in evidence if e.kind in ("paragraph", "code", "object", "colour")]
        if items:
            ago = f"{max(0.0, now_s - glimpse.at_s):.0f}"
            lines.append(_filled(heading, {"id": str(glimpse.id), "ago": ago}))
        for e in items:
            slots = {"kind": e.kind, "x": e.text, "score": f"{e.score:.2f}"}
            lines.append(_filled(text_line if e.kind == "paragraph" else other, slots))
    return "\n".join(lines)


def _filled(frame: str, slots: Mapping[str, str]) -> str:
    return _SLOT.sub(lambda m: slots[m[1]], frame)
