"""Scores of answers and captions: the accepted answer contained, VQA accuracy, BLEU-4 and CIDEr-D. Pure.

The two measures of captions are short, and the packages that have them bring a hundred megabytes of Java for others: so
they are here, and are tested against figures of such a package. Knows no model and no file.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from math import exp, log

from assistant.grounding.words import is_chinese, plain

LONGEST = 4
"""words of the longest n-gram that captions are compared by"""
SIGMA = 6.0
"""of the Gaussian by which CIDEr-D lowers the score of captions that are longer or shorter than their reference"""
AGREEING = 3
"""people who gave an answer make it fully right in VQA"""


# ---------------------------------------------------------------- answers


def contains(text: str, answers: Sequence[str]) -> bool:
    """Whether one of the accepted answers occurs in a text; case and white space do not count; '5' is not in 0.52."""
    text = plain(text)
    for answer in map(plain, answers):
        pattern = rf"(?<![\d.,]){re.escape(answer)}(?!\d|[.,]\d)" if answer.isdigit() else re.escape(answer)
        if re.search(pattern, text):
            return True
    return False


_DIGITS = {word: str(i) for i, word in enumerate("zero one two three four five six seven eight nine ten".split())}
_DIGITS["none"] = "0"
_ARTICLES = frozenset({"a", "an", "the"})


def vqa_words(answer: str) -> str:
    """An answer as VQA compares it: lower case, without articles and marks, numbers to ten in digits.

    After https://visualqa.org/evaluation.html. Its list of contractions without an apostrophe (dont) is left out:
    apostrophes are taken out of both sides instead.
    """
    text = plain(answer).replace("'", "")
    text = re.sub(r"(?<=\d),(?=\d)", "", text)  # the comma of 1,000, and the point of 2.5
    text = re.sub(r"(?!(?<=\d)\.(?=\d))[^\w\s:]", " ", text)
    return " ".join(_DIGITS.get(word, word) for word in text.split() if word not in _ARTICLES)


def vqa_accuracy(answer: str, people: Sequence[str]) -> float:
    """VQA accuracy, 0 to 1: min(agreeing / 3, 1), averaged over leaving out each of the (ten) people once.

    Antol et al. 2015, https://arxiv.org/abs/1505.00468; as the official evaluation does it. The answer has to be one
    word or phrase, as theirs are: a sentence that contains it is none. 0 where nobody was asked.
    """
    if not people:
        return 0.0
    given, theirs = vqa_words(answer), [vqa_words(p) for p in people]
    agreeing = theirs.count(given)
    each = [min(1.0, (agreeing - (one == given)) / AGREEING) for one in theirs]
    return sum(each) / len(each)


# ---------------------------------------------------------------- captions


def caption_words(caption: str) -> list[str]:
    """A caption in words: lower case, marks dropped; Chinese in characters.

    COCO's own evaluation cuts with the Penn Treebank's rules, which differ in clitics (dog's) and hyphens.
    """
    text = plain(caption)
    if is_chinese(text):
        return re.findall(r"[a-z0-9]+|[\u3400-\u9fff]", text)
    return re.findall(r"[^\W_]+(?:['’-][^\W_]+)*", text)


Grams = Counter[tuple[str, ...]]


def _grams(words: Sequence[str], n: int) -> Grams:
    return Counter(tuple(words[i : i + n]) for i in range(len(words) - n + 1))


def bleu_4(captions: Sequence[str], references: Sequence[Sequence[str]]) -> float:
    """BLEU-4 of a corpus, 0 to 1: the geometric mean of the clipped precisions of 1- to 4-grams, times the brevity
    penalty against the references of nearest length. 0 where no 4-gram fits.

    Papineni et al. 2002, https://aclanthology.org/P02-1040; without smoothing, as COCO's.
    """
    right, all_of_them = [0] * LONGEST, [0] * LONGEST
    length = wanted = 0
    for caption, refs in zip(captions, references, strict=True):
        words, theirs = caption_words(caption), [caption_words(r) for r in refs]
        length += len(words)
        wanted += min((abs(len(r) - len(words)), len(r)) for r in theirs)[1]
        for n in range(LONGEST):
            found = _grams(words, n + 1)
            most = Grams()
            for ref in theirs:
                most |= _grams(ref, n + 1)
            right[n] += (found & most).total()
            all_of_them[n] += found.total()
    if not all(right):
        return 0.0
    precision = sum(log(r / a) for r, a in zip(right, all_of_them, strict=True)) / LONGEST
    return exp(precision + min(0.0, 1 - wanted / length))


def cider_d(captions: Sequence[str], references: Sequence[Sequence[str]]) -> float:
    """CIDEr-D of a corpus, 0 to 10: the cosine of the n-grams of a caption and each of its references, weighted by how
    rare they are in the references of the corpus, clipped, and lowered where the lengths differ.

    Vedantam et al. 2015, https://arxiv.org/abs/1411.5726, as COCO's evaluation does it: there a length is the number
    of 2-grams, and the weights come from this corpus, so that of a single picture it is 0.
    """
    if not captions:
        return 0.0
    cut = [[caption_words(r) for r in refs] for refs in references]
    rare = [Grams() for _ in range(LONGEST)]
    for refs in cut:
        for n in range(LONGEST):
            rare[n].update({gram for ref in refs for gram in _grams(ref, n + 1)})
    total = 0.0
    for caption, refs in zip(captions, cut, strict=True):
        words = caption_words(caption)
        each = [_likeness(words, ref, rare, len(captions)) for ref in refs]
        total += sum(each) / len(each)
    return 10 * total / len(captions)


def _likeness(words: Sequence[str], ref: Sequence[str], rare: Sequence[Grams], pictures: int) -> float:
    """The mean of CIDEr-D's cosine over n, 0 to 1."""
    found = 0.0
    for n in range(LONGEST):
        one, other = _weighted(words, n, rare, pictures), _weighted(ref, n, rare, pictures)
        norms = _norm(one) * _norm(other)
        if norms > 0:
            found += (
                sum(min(weight, other.get(gram, 0.0)) * other.get(gram, 0.0) for gram, weight in one.items()) / norms
            )
    longer = max(0, len(words) - 1) - max(0, len(ref) - 1)
    return found / LONGEST * exp(-(longer**2) / (2 * SIGMA**2))


def _weighted(words: Sequence[str], n: int, rare: Sequence[Grams], pictures: int) -> dict[tuple[str, ...], float]:
    grams = _grams(words, n + 1)
    return {gram: count * log(pictures / max(1, rare[n][gram])) for gram, count in grams.items()}


def _norm(weights: dict[tuple[str, ...], float]) -> float:
    return sum(w * w for w in weights.values()) ** 0.5
