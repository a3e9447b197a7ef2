"""How well pictures are answered about: `assistant eval seeing`.

Every question is asked by every way of fusing, and the evidence is judged apart from the mind: does what was sent hold
the answer? Besides: questions that a picture cannot answer, captions against references, and whether 'this' finds the
view that was there when it was said. Knows the seams, and no engine but the default eyes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from assistant.backends import Mind, load
from assistant.events import Word, Words
from assistant.fusing import MODES, pointings
from assistant.grounding.questions import read
from assistant.grounding.words import is_chinese, tokens
from assistant.prompting import prompt
from assistant.sessions.answering import Answered, aimed_s, answer, captioned, found_in, modes, refuses, sends
from assistant.sessions.corpora import Asked, Captioned, Corpus, Scene, language_of, read_corpus
from assistant.sessions.scoring import bleu_4, cider_d, contains
from assistant.sessions.viewing import Senses, Viewer, watched

KIND = "read"
"""The kind of questions that the built-in eyes can answer, and that refusals are measured on."""
OPEN_QUESTIONS = frozenset({"lines", "describe", "thing"})
"""'What does it say' is answered by any text: asked of a picture with text it is never unanswerable."""
WORD_S = 0.3
"""how long a word of a scene takes to say"""


def evaluate_seeing(
    path: Path, senses: Senses | None = None, mind: Mind | None = None, most: int | None = None
) -> dict[str, Any]:
    """Ask all that a folder holds (`corpora` has the formats); `most`: no more than so many of each.

    Without a `mind` the best of the sentences that grounding admits is the answer; with one, it words the answer. Keys
    of the result, rates from 0 to 1 and None where there is nothing to measure:
    `modes` -> way of fusing -> {`accuracy` (an accepted answer occurs), `context_recall` (it occurs in what a mind that
    answers freely is sent as text), `vqa` (of VQA's corpus), `by_kind` and `by_language` (the same of each), `n`, `ms`
    (median of looking and answering)};
    `views` -> way of fusing -> {`hold` (an answer is in what was found in the views that it sends), `sent` (how many
    these are, the mean)}, over the `n` questions of which any view holds it;
    `ocr_recall` (of the `read` questions, in the text that was read), `false_refusals` (of the same),
    `refused_unanswerable` and `unanswerable` (the same asked of all pictures that do not answer them: rate, number);
    `captions` -> {`cider_d`, `bleu_4`, `n`}; `frame_choice` -> {`inside`, `n`}; `left_out` (their pictures are not
    there); `failures`. Raises SourceError where there is nothing to ask or a picture cannot be read.
    """
    corpus = read_corpus(path, most)
    senses = senses or Senses(load("eyes", "ocr"))
    viewer = Viewer(senses)
    answered = {
        mode: [answer(asked, viewer.view(asked.file, asked.at_s), mode, senses, mind) for asked in corpus.questions]
        for mode in modes(mind)
    }
    described = _described(corpus.captions, viewer, senses, mind)
    pointed = [(scene, _points(scene)) for scene in corpus.scenes]
    return {
        "modes": {mode: _table(of) for mode, of in answered.items()} if corpus.questions else {},
        "views": _views(corpus.questions, viewer, senses),
        **_reading(corpus, answered["auto"], viewer),
        "captions": _captions(corpus.captions, described),
        "frame_choice": {"inside": _share([inside for _, (inside, _) in pointed]), "n": len(pointed)},
        "left_out": corpus.left_out,
        "failures": [*_wrong(answered), *_missed(pointed)],
    }


# ---------------------------------------------------------------- questions


def _table(answered: Sequence[Answered]) -> dict[str, Any]:
    kinds = sorted({a.asked.kind for a in answered})
    languages = sorted({a.asked.language for a in answered})
    return {
        **_rates(answered),
        "by_kind": {kind: _rates([a for a in answered if a.asked.kind == kind]) for kind in kinds},
        "by_language": {tongue: _rates([a for a in answered if a.asked.language == tongue]) for tongue in languages},
        "ms": round(float(np.median([a.ms for a in answered])), 1) if answered else None,
    }


def _rates(answered: Sequence[Answered]) -> dict[str, Any]:
    people = [a.vqa for a in answered if a.vqa is not None]
    return {
        "accuracy": _share([a.right for a in answered]),
        "context_recall": _share([a.recalled for a in answered if a.recalled is not None]),
        **({"vqa": round(sum(people) / len(people), 3)} if people else {}),
        "n": len(answered),
    }


def _views(questions: Sequence[Asked], viewer: Viewer, senses: Senses) -> dict[str, Any]:
    """Which way of fusing sends the view that is asked about; each of the four, whatever the mind."""
    seen = [(asked, viewer.view(asked.file, asked.at_s)) for asked in questions]
    held = [(asked, view) for asked, view in seen if found_in(asked, view.glimpses, view.now_s)]
    report: dict[str, Any] = {"n": len(held)}
    for mode in MODES if held else ():
        sent = [sends(asked, view, mode, senses) for asked, view in held]
        mean = round(sum(count for _, count in sent) / len(sent), 2)
        report[mode] = {"hold": _share([holds for holds, _ in sent]), "sent": mean}
    return report


def _reading(corpus: Corpus, answered: Sequence[Answered], viewer: Viewer) -> dict[str, Any]:
    """What becomes of the `read` questions, and of asking them of pictures that do not answer them."""
    reading = [a for a in answered if a.asked.kind == KIND]
    elsewhere = [refuses(asked, viewer.view(other.file)) for asked, other in _unanswerable(corpus.questions, viewer)]
    return {
        "ocr_recall": _share([contains(_text(a.asked, viewer), a.asked.answers) for a in reading]),
        "false_refusals": _share([a.refused for a in reading]),
        "refused_unanswerable": _share(elsewhere),
        "unanswerable": len(elsewhere),
    }


def _text(asked: Asked, viewer: Viewer) -> str:
    return "\n".join(glimpse.text for glimpse in viewer.view(asked.file, asked.at_s).glimpses)


def _unanswerable(questions: Sequence[Asked], viewer: Viewer) -> Iterator[tuple[Asked, Asked]]:
    """Each question of kind `read` with every other picture whose text holds none of its answers."""
    pictures = {asked.file: asked for asked in questions if asked.at_s is None}
    for asked in questions:
        if asked.kind != KIND:
            continue
        is_open = read(asked.question).wording in OPEN_QUESTIONS
        for file, other in pictures.items():
            text = _text(other, viewer)
            if file != asked.file and not contains(text, asked.answers) and not (is_open and text):
                yield asked, other


# ---------------------------------------------------------------- captions


def _described(captions: Sequence[Captioned], viewer: Viewer, senses: Senses, mind: Mind | None) -> list[str]:
    languages = [language_of(item.references[0]) for item in captions]
    return [
        captioned(viewer.view(item.file), prompt("describe", tongue), senses, mind)
        for item, tongue in zip(captions, languages, strict=True)
    ]


def _captions(captions: Sequence[Captioned], described: Sequence[str]) -> dict[str, Any]:
    if not captions:
        return {"cider_d": None, "bleu_4": None, "n": 0}
    references = [item.references for item in captions]
    scores = {"cider_d": cider_d(described, references), "bleu_4": bleu_4(described, references)}
    return {**{name: round(score, 3) for name, score in scores.items()}, "n": len(captions)}


# ---------------------------------------------------------------- scenes


def _points(scene: Scene) -> tuple[bool, float | None]:
    """Whether the view that the words point at is one of those meant, and when it was seen.

    As in a talk, it is chosen before any sense has looked: by time, sharpness and stillness alone.
    """
    said = timed(scene)
    ended_s = max(scene.this_at_s, said.words[-1].ended_s if said.words else 0.0)
    at_s = aimed_s(said, watched(scene.file, ended_s)[0], ended_s)
    return at_s is not None and scene.from_s <= at_s <= scene.to_s, at_s


def timed(scene: Scene) -> Words:
    """What is said in a scene, word by word, evenly, with the middle of the last pointing word at `this_at_s`."""
    language = language_of(scene.said)
    parts = tokens(scene.said) if is_chinese(scene.said) else scene.said.split()
    words = tuple(Word(part, i * WORD_S, (i + 1) * WORD_S) for i, part in enumerate(parts))
    pointed = pointings(Words(scene.said, words, language))
    return Words(scene.said, words, language).shifted(scene.this_at_s - (pointed[-1].at_s if pointed else 0.0))


# ---------------------------------------------------------------- what went wrong


def _wrong(answered: dict[str, list[Answered]]) -> list[dict[str, Any]]:
    """Each question that some way of fusing answered wrongly, with the answers and the evidence."""
    found: list[dict[str, Any]] = []
    for each in zip(*answered.values(), strict=True):
        got = dict(zip(answered, each, strict=True))
        wrong = [mode for mode, a in got.items() if not a.right]
        if wrong:
            one = got["auto"] if "auto" in wrong else got[wrong[0]]
            at = {"at_s": one.asked.at_s} if one.asked.at_s is not None else {}
            found.append(
                {"file": one.asked.file.name, **at, "kind": one.asked.kind, "question": one.asked.question,
                 "accepted": list(one.asked.answers), "modes": wrong, "answer": one.answer, "why": one.why,
                 "evidence": one.context}
            )  # fmt: skip
    return found


def _missed(pointed: Sequence[tuple[Scene, tuple[bool, float | None]]]) -> list[dict[str, Any]]:
    return [
        {"file": scene.file.name, "said": scene.said, "wanted_s": [scene.from_s, scene.to_s], "chosen_s": at_s}
        for scene, (inside, at_s) in pointed
        if not inside
    ]


def _share(of: Sequence[bool]) -> float | None:
    return round(sum(of) / len(of), 3) if of else None
