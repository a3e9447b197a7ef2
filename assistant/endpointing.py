"""How long a silence must last before a turn is over: less where it is plainly over, more where it sounds unfinished.

What is known at a pause becomes odds that the speaker is done: how it sounded, what the words say, how often this
speaker pauses. `judge` then waits as long as pays: each moment costs the time of whoever is done, and cutting off
whoever is not has a price, which falls as the silence outlasts the pauses people make. Pure; knows no engine and no
clock. The words that it goes by are in `endpointing.toml`.
"""

from __future__ import annotations

import math
import re
import tomllib
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from assistant.events import Words

PAUSE_S, SPREAD = 0.5, math.log(2) / 1.2816
"""Pauses inside turns are log-normal: median 0.5 s, 90th percentile 1.0 s, so that the logarithm spreads by 0.54."""
PAUSES_PER_TURN = 0.25
"""one turn in four has a pause"""

TAIL_S = 0.1
"""How much of the pause belongs to the sound that is judged. Smart Turn takes silence for an end: over 38 recordings
and 204 of their beginnings, cut at words, it ranks whole before cut in 77 % of pairs with 0.1 s of it, in 73 % with
0.2 s, in 61 % with 0.6 s.
"""
SOUND_WEIGHT, SOUND_NEUTRAL = 0.35, 0.6
"""What the sound says, in log odds: a third of what Smart Turn says, from where it tells nothing. Taken at its word it
would be wrong too often (a logistic fit to these recordings, speaker by speaker left out).
"""
ENDING_WEIGHT, ENDING_NEUTRAL = 0.6, 0.1
"""The same for the probability of a sentence's end in a language model. PocketSphinx's trigrams rank 63 questions as
they are written before their beginnings in 88 % of pairs, but the recordings as it hears them only in 66 %.
"""
HANGING, QUESTION, WHOLE, SHORT = -1.0, 0.7, 1.0, 0.8
"""Log odds of words that cannot end a turn, of a question, of a turn that is complete as it stands, and (times the
logarithm of its words by four) of one with fewer than four words.
"""
FULL_WORDS = 4
OPEN = (",", "，", "、", "-", "—", "…", "..")
"""how a text is punctuated that goes on, by recognisers that punctuate"""

KEPT = 0.95
"""What a turn leaves of what was known of the speaker before: the last twenty turns count."""
PRIOR_TURNS, PRIOR_PAUSES = 8, 4
"""What people in general count for beside what this speaker does."""
FLUENT_S, USUAL_S = 0.3, 0.59
"""Shorter silences belong to fluent speech and are not counted; the geometric mean of people's longer ones."""
SLOWEST, QUICKEST = 2.0, 0.7
MOST_PER_TURN, LEAST_PER_TURN = 2.0, 0.05
"""How far a speaker can move the waits."""
GOES_ON_S = 1.0
"""Who speaks so soon after their turn was taken for ended had not ended it."""


# ---------------------------------------------------------------- values


@dataclass(frozen=True, slots=True)
class Waiting:
    """The rules, in seconds of silence since the voice ended. `pause_s` and `end_s` stand above the other two."""

    pause_s: float = 0.2
    """a pause begins to be judged; no wait is shorter"""
    end_s: float = 0.5
    """the wait where nothing is known; all others follow it"""
    min_wait_s: float = 0.35
    """the wait where a turn is plainly over"""
    max_wait_s: float = 2.0
    """the longest wait, for a turn that is plainly unfinished"""

    @property
    def shortest_s(self) -> float:
        """The least that is ever waited."""
        return max(self.pause_s, min(self.min_wait_s, self.end_s))

    @property
    def longest_s(self) -> float:
        """The most that is ever waited."""
        return max(self.max_wait_s, self.end_s, self.pause_s)


@dataclass(frozen=True, slots=True)
class Wait:
    """How much silence ends the turn, counted from the end of the voice, and why so much."""

    seconds: float
    why: str


@dataclass(frozen=True, slots=True)
class Pauses:
    """How a speaker pauses inside turns, as far as it was heard; older turns count less. The update is pure."""

    turns: float = 0.0
    count: float = 0.0
    logs: float = 0.0
    """the sum of ln(silence / what is usual) over the pauses that count"""

    def resumed(self, silence_s: float) -> Pauses:
        """The speaker went on after this much silence, without having been answered."""
        if silence_s < FLUENT_S:
            return self
        return replace(self, count=self.count + 1, logs=self.logs + math.log(silence_s / USUAL_S))

    def ended(self) -> Pauses:
        """A turn ended."""
        return Pauses(KEPT * self.turns + 1, KEPT * self.count, KEPT * self.logs)

    def cut_off(self, silence_s: float) -> Pauses:
        """The turn that was taken for ended went on after this much silence (see `went_on`)."""
        return replace(self, turns=max(0.0, self.turns - 1)).resumed(silence_s)

    @property
    def pace(self) -> float:
        """How long the speaker's pauses are, 1 being what is usual; within bounds, and 1 before any was heard."""
        return min(SLOWEST, max(QUICKEST, math.exp(self.logs / (self.count + PRIOR_PAUSES))))

    @property
    def per_turn(self) -> float:
        """How many pauses the speaker makes a turn; within bounds."""
        made = (self.count + PAUSES_PER_TURN * PRIOR_TURNS) / (self.turns + PRIOR_TURNS)
        return min(MOST_PER_TURN, max(LEAST_PER_TURN, made))


def went_on(ended_s: float, onset_s: float) -> bool:
    """Whether a voice that sets in at `onset_s` belongs to the turn that was taken for ended at `ended_s` (the moment
    of that decision, not of the last word).
    """
    return 0 <= onset_s - ended_s <= GOES_ON_S


# ---------------------------------------------------------------- the judgement


def undecided(rules: Waiting) -> Wait:
    """The wait while the sound or the words are still being looked at: nothing can be answered yet anyway."""
    return Wait(rules.longest_s, "not judged yet")


def judge(p_over: float | None, words: Words | None, pauses: Pauses, rules: Waiting) -> Wait:
    """How much silence ends this turn.

    `p_over` is an `EndOfTurn` engine's probability (0 to 1), given the turn so far and `TAIL_S` of the pause; `words`
    are all words of the turn. None where there is nothing to be had. Within the bounds of `rules`, in steps of 10 ms.
    """
    reasons = [*_sound(p_over), *(_words(words) if words is not None else ())]
    if not reasons:
        seconds = min(rules.longest_s, max(rules.shortest_s, rules.end_s * pauses.pace))
        return Wait(seconds, "nothing is known")
    odds = math.exp(sum(weight for weight, _ in reasons)) / pauses.per_turn
    return Wait(best_wait_s(odds, pauses.pace, rules), ", ".join(why for _, why in reasons))


def best_wait_s(odds: float, pace: float, rules: Waiting) -> float:
    """The wait that costs least, where the odds are that the speaker is done and pauses last `pace` times the usual.

    A turn that is over costs its wait. One that is not costs a price if the pause outlasts the wait; the price is such
    that with people's usual odds and pauses `rules.end_s` is best.
    """
    over = odds / (1 + odds)
    price_s = rules.end_s * SPREAD * math.sqrt(2 * math.pi) / PAUSES_PER_TURN
    median_s = pace * rules.end_s  # scaled with end_s, so that all waits are

    def cost(wait_s: float) -> float:
        outlasts = 0.5 * math.erfc(math.log(wait_s / median_s) / (SPREAD * math.sqrt(2)))
        return over * wait_s + (1 - over) * price_s * outlasts

    steps = int(100 * (rules.longest_s - rules.shortest_s) + 1e-6)
    return min((round(rules.shortest_s + step / 100, 6) for step in range(steps + 1)), key=cost)


def _sound(p_over: float | None) -> list[tuple[float, str]]:
    if p_over is None:
        return []
    p = min(0.98, max(0.02, p_over))
    weight = SOUND_WEIGHT * (_logit(p) - _logit(SOUND_NEUTRAL))
    return [(weight, f"sounds {'over' if weight > 0 else 'unfinished'} ({p_over:.2f})")]


def _words(words: Words) -> list[tuple[float, str]]:
    """Log odds that the words make a whole turn, each with its reason. None where nothing is said."""
    known = lexicon("zh" if words.language == "zh" else "en")
    text = words.text.strip().lower()
    said = known.unit.findall(text.replace("’", "'"))
    if not said:
        return []
    line = known.space.join(said)
    reasons: list[tuple[float, str]] = []
    if words.ends_p is not None:
        weight = ENDING_WEIGHT * min(1.2, max(-2.0, math.log(max(1e-9, words.ends_p) / ENDING_NEUTRAL)))
        reasons.append((weight, f"words {'can' if weight > 0 else 'seldom'} end so ({words.ends_p:.2f})"))
    if known.whole.fullmatch(line):
        return [*reasons, (WHOLE, "complete as it is")]
    asks = known.question.search(line) is not None and (known.ends_questions or len(said) >= FULL_WORDS)
    if known.hanging.search(line) or text.endswith(OPEN):
        alone = words.ends_p is None  # a model of language would have said the same, and is not there
        reasons.append(((2 if alone else 1) * HANGING, f"unfinished after '{said[-1]}'"))
    elif asks or text.endswith(("?", "？")):
        return [*reasons, (QUESTION, "a question")]
    if len(said) < FULL_WORDS:
        reasons.append((SHORT * math.log(len(said) / FULL_WORDS), "short"))
    return reasons


@dataclass(frozen=True, slots=True)
class Lexicon:
    """The words of a language, as `endpointing.toml` has them.

    `space` stands between words; `ends_questions`: a question shows at its end, not only at its beginning.
    """

    space: str
    ends_questions: bool
    unit: re.Pattern[str]
    hanging: re.Pattern[str]
    whole: re.Pattern[str]
    question: re.Pattern[str]


@cache
def lexicon(language: str) -> Lexicon:
    """The words of `language`, en or zh; the file is read once."""
    table = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))[language]
    hanging, whole, question = ("|".join(table[key].split()) for key in ("hanging", "whole", "question"))
    chinese = language == "zh"
    return Lexicon(
        space="" if chinese else " ",
        ends_questions=chinese,
        unit=re.compile(table["unit"]),
        hanging=re.compile(f"(?:{hanging})$" if chinese else f"(?:^| )(?:{hanging})$"),
        whole=re.compile(whole),
        question=re.compile(f"(?:{question})$" if chinese else f"^(?:{question}) "),
    )


def _logit(p: float) -> float:
    return math.log(p / (1 - p))
