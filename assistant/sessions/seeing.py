"""How well pictures are answered about: questions with accepted answers, and the same where nothing answers.

A folder holds pictures and `qa.jsonl`, one JSON object a line: `image`, `question`, `answers` (one of which must occur
in a right reply), `lang`, `kind`. Knows the seams, and no engine but the default eyes.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from assistant.backends import Eyes, Mind, load
from assistant.backends.pictures import read_picture
from assistant.errors import SourceError
from assistant.events import Glimpse
from assistant.fusing import fuse
from assistant.grounding import Grounds, ground
from assistant.grounding.words import plain
from assistant.prompting import compose

KIND = "read"
"""The kind of questions that the built-in eyes can answer, and that refusals are measured on."""
OPEN_QUESTIONS = frozenset({"lines", "describe", "thing"})
"""'What does it say' is answered by any text: asked of a picture with text it is never unanswerable."""
BUDGET_TOKENS = 600


@dataclass(frozen=True, slots=True)
class Asked:
    """A question about a picture and the words of which one must occur in a right answer."""

    image: str
    question: str
    answers: tuple[str, ...]
    language: str
    kind: str


@dataclass(frozen=True, slots=True)
class Answered:
    """What came of a question."""

    asked: Asked
    grounds: Grounds
    answer: str
    ms: float

    @property
    def right(self) -> bool:
        """One of the accepted answers occurs in it."""
        return contains(self.answer, self.asked.answers)


def contains(text: str, answers: Sequence[str]) -> bool:
    """Whether one of the accepted answers occurs in a text; case and white space do not count; '5' is not in 0.52."""
    text = plain(text)
    for answer in map(plain, answers):
        pattern = rf"(?<![\d.,]){re.escape(answer)}(?!\d|[.,]\d)" if answer.isdigit() else re.escape(answer)
        if re.search(pattern, text):
            return True
    return False


def evaluate_seeing(folder: Path, eyes: Eyes | None = None, mind: Mind | None = None) -> dict[str, Any]:
    """Answer every question of `folder` and the `read` ones of pictures that cannot answer them.

    Without a `mind` the best of the sentences that grounding admits is the answer; with one, it words the answer. Keys
    of the result: `modes` -> `late` -> {`accuracy` (of all kinds), `context_recall` (an accepted answer occurs in what
    the mind is given), `by_kind` -> {`accuracy`, `context_recall`, `n`}, `n`, `ms` (median a picture and question)},
    `ocr_recall` (of the `read` questions), `false_refusals` and `refused_unanswerable` (rates, of the `read`
    questions), `unanswerable` (how many were asked), `failures` (the `read` questions answered wrongly). Raises
    SourceError where the folder has no readable `qa.jsonl` or a picture cannot be read.
    """
    questions = read_questions(folder)
    look = (eyes or load("eyes", "ocr")).look
    glimpses: dict[str, Glimpse] = {}
    looked_ms: dict[str, float] = {}
    for name in sorted({q.image for q in questions}):
        picture = read_picture(folder / name)
        began = time.perf_counter()
        glimpses[name] = Glimpse(1, 0.0, picture, look(picture))
        looked_ms[name] = 1000 * (time.perf_counter() - began)
    answered = [_answer(q, glimpses[q.image], mind, looked_ms[q.image]) for q in questions]
    reading = [a for a in answered if a.asked.kind == KIND]
    elsewhere = [ground(q.question, [g], [], 0.0, q.language) for q, g in _unanswerable(questions, glimpses)]
    text = {name: glimpse.text for name, glimpse in glimpses.items()}
    return {
        "modes": {
            "late": {
                **_rates(answered),
                "by_kind": {kind: _rates([a for a in answered if a.asked.kind == kind]) for kind in _kinds(questions)},
                "ms": round(float(np.median([a.ms for a in answered])), 1) if answered else None,
            }
        },
        "ocr_recall": _share([contains(text[a.asked.image], a.asked.answers) for a in reading]),
        "false_refusals": _share([a.grounds.kind == "refusal" for a in reading]),
        "refused_unanswerable": _share([grounds.kind == "refusal" for grounds in elsewhere]),
        "unanswerable": len(elsewhere),
        "failures": [
            {"image": a.asked.image, "question": a.asked.question, "answer": a.answer, "why": a.grounds.why}
            for a in reading
            if not a.right
        ],
    }


def read_questions(folder: Path) -> list[Asked]:
    """The questions of a folder. Raises SourceError with file and line where one is not what it should be."""
    file = folder / "qa.jsonl"
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(
            f"wanted questions in {file}, got '{error}'; name a folder with qa.jsonl and its pictures"
        ) from error
    found: list[Asked] = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            found.append(
                Asked(
                    row["image"],
                    row["question"],
                    tuple(row["answers"]),
                    row.get("lang", "en"),
                    row.get("kind", "other"),
                )
            )
        except (ValueError, KeyError, TypeError) as error:
            wanted = "wanted an object with image, question and answers"
            raise SourceError(f"{file}, line {number}: {wanted}, got {error!r}; correct the line") from error
    return found


def _answer(asked: Asked, glimpse: Glimpse, mind: Mind | None, looked_ms: float) -> Answered:
    began = time.perf_counter()
    grounds = ground(asked.question, [glimpse], [], 0.0, asked.language)
    answer = grounds.sentences[0] if grounds.sentences else ""
    if mind is not None:
        fusion = fuse(
            asked.question, glimpse, [glimpse], (), mode="late", mind_sees=mind.sees, mind_free=mind.free, now_s=0.0,
            language=asked.language,
        )  # fmt: skip
        messages = compose(
            asked.question, (), language=asked.language, free=mind.free, seen=fusion.context,
            budget_tokens=BUDGET_TOKENS, count=mind.count,
        )  # fmt: skip
        answer = "".join(mind.reply(messages, lambda: False, fusion.grammar))
    return Answered(asked, grounds, answer, looked_ms + 1000 * (time.perf_counter() - began))


def _unanswerable(questions: Sequence[Asked], glimpses: dict[str, Glimpse]) -> Iterator[tuple[Asked, Glimpse]]:
    """Each question of kind `read` with every other picture whose text holds none of its answers."""
    from assistant.grounding.questions import read

    for asked in questions:
        if asked.kind != KIND:
            continue
        is_open = read(asked.question).wording in OPEN_QUESTIONS
        for name, glimpse in glimpses.items():
            text = glimpse.text
            if name != asked.image and not contains(text, asked.answers) and not (is_open and text):
                yield asked, glimpse


def _kinds(questions: Sequence[Asked]) -> list[str]:
    return sorted({q.kind for q in questions})


def _rates(answered: Sequence[Answered]) -> dict[str, Any]:
    return {
        "accuracy": _share([a.right for a in answered]),
        "context_recall": _share([contains(a.grounds.context, a.asked.answers) for a in answered]),
        "n": len(answered),
    }


def _share(of: Sequence[bool]) -> float | None:
    return round(sum(of) / len(of), 3) if of else None
