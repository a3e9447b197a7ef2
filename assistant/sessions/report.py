"""From what came of talks and scenes to the figures of `assistant bench turns`, each with its 95 % interval. Pure.

The contract names the keys; `intervals` holds the bounds of each figure under its own name. Knows no sound.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from assistant.sessions.intervals import Interval, bootstrap, poisson_rate, wilson
from assistant.sessions.latency import Latencies
from assistant.sessions.outcomes import Outcome, Over, Turn

COUPLINGS: dict[str, float | None] = {"none": None, "-10dB": -10.0, "0dB": 0.0}
SCALES = (0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.2, 1.4, 1.7, 2.0, 2.5, 3.0)
"""of the curve: each wait is made so many times as long"""
OWN_SPEECH = {"echo": "own speech, echo", "noise": "own speech, noise"}


@dataclass(slots=True)
class Figures:
    """Figures under their names, and the bounds of each."""

    values: dict[str, Any] = field(default_factory=dict[str, Any])
    intervals: dict[str, Any] = field(default_factory=dict[str, Any])

    def share(self, name: str, hits: int, n: int) -> float | None:
        """A share of n; None of none."""
        self.intervals[name] = _rounded(wilson(hits, n))
        return round(hits / n, 4) if n else None

    def rate(self, name: str, count: int, exposure: float) -> float | None:
        """Events per unit of exposure; None without any."""
        self.intervals[name] = _rounded(poisson_rate(count, exposure)) if exposure else None
        return round(count / exposure, 2) if exposure else None

    def spread(self, name: str, values: Sequence[float]) -> dict[str, Any]:
        """Median and 95th percentile."""
        self.intervals[f"{name}.median"] = _rounded(bootstrap(values, np.median), 1)
        self.intervals[f"{name}.p95"] = _rounded(bootstrap(values, _p95), 1)
        if not values:
            return {"median": None, "p95": None, "n": 0}
        median, p95 = float(np.median(values)), float(np.quantile(values, 0.95))
        return {"median": round(median, 1), "p95": round(p95, 1), "n": len(values)}


def figures(latencies: Latencies, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """The keys of the contract that talks (at the speed of sound) and scenes (in virtual time) give."""
    f = Figures()
    turns = [turn for o in outcomes if o.kind == "turns" for turn in o.turns]
    over = [each for o in outcomes for each in o.over]
    interruptions = [each for each in over if each.kind == "interruption"]
    echoed = {
        label: [o for o in interruptions if o.coupling_db == coupling_db] for label, coupling_db in COUPLINGS.items()
    }
    return {
        "voice_to_voice_ms": f.spread("voice_to_voice_ms", latencies.voice_to_voice_ms),
        "overhead_ms": _overhead(f, latencies),
        "stages_ms": _medians(latencies.stages),
        "false_cutoffs": _cutoffs(f, turns),
        "false_cutoffs_at_real_pace": _cutoffs(f, _turns(latencies.outcomes), "false_cutoffs_at_real_pace"),
        "curve": curve(turns),
        "missed_turns": {
            "rate": f.share("missed_turns", sum(not turn.answered for turn in turns), len(turns)),
            "n": len(turns),
        },
        "duck_ms": {
            label: _reached(f, f"duck_ms.{label}", [o.ducked_s for o in those]) for label, those in echoed.items()
        },
        "stop_ms": {
            label: _reached(f, f"stop_ms.{label}", [o.silent_s for o in those]) for label, those in echoed.items()
        },
        **_own_speech(f, outcomes),
        "missed_interruptions": {
            "rate": f.share("missed_interruptions", sum(not o.ended for o in interruptions), len(interruptions)),
            "n": len(interruptions),
            "quiet": f.share("missed_interruptions.quiet", *_missed(o for o in interruptions if not o.noisy)),
            "noisy": f.share("missed_interruptions.noisy", *_missed(o for o in interruptions if o.noisy)),
        },
        "interruption_wer": word_error([(o.text, o.recognised) for o in interruptions if o.ended]),
        "over_a_reply": {kind: _sounds_over(f, kind, over) for kind in ("backchannel", "cough", "knock", "stop")},
        "history_violations": sum(len(o.remembered.kept) + len(o.remembered.dropped) for o in outcomes),
        "history_words": sum(o.remembered.words for o in outcomes),
        "self_talk_loops": sum(o.self_talk for o in outcomes),
        "answers_to_noise": sum(o.to_noise for o in outcomes),
        **_speculation(f, outcomes),
        "cpu_s": round(latencies.cpu_s, 2),
        "talk_s": round(latencies.seconds, 1),
        "scenes": {"n": len(outcomes), "hours": round(sum(o.seconds for o in outcomes) / 3600, 2)},
        "troubles": sorted({trouble for o in (*latencies.outcomes, *outcomes) for trouble in o.troubles}),
        "remarkable": list(remarkable(outcomes)),
        "intervals": f.intervals,
    }


# ---------------------------------------------------------------- turns


def curve(turns: Sequence[Turn], scales: Sequence[float] = SCALES) -> list[dict[str, Any]]:
    """Cut-offs against latency: what would have come, had each wait been so many times as long.

    A turn is cut off where a silence in it outlasts its wait. The latency changes by as much as the last wait: what is
    worked on behind the gate hides in a longer wait, and shows in a shorter one, so that it is a little too low where
    the scale is below 1, and too high above.
    """
    points: list[dict[str, Any]] = []
    judged = [turn for turn in turns if turn.silences]
    for scale in scales:
        cut = sum(
            any(s.lasted_s is not None and scale * s.wait_s < s.lasted_s for s in turn.silences) for turn in judged
        )
        latencies = [
            1000 * (turn.voice_to_voice_s + (scale - 1) * turn.silences[-1].wait_s)
            for turn in judged
            if turn.voice_to_voice_s is not None and turn.silences[-1].lasted_s is None
        ]
        if latencies:
            points.append(
                {
                    "scale": scale,
                    "voice_to_voice_ms": round(float(np.median(latencies)), 1),
                    "false_cutoffs": round(cut / len(judged), 4),
                    "interval": _rounded(wilson(cut, len(judged))),
                }
            )
    return points


def _cutoffs(f: Figures, turns: Sequence[Turn], name: str = "false_cutoffs") -> dict[str, Any]:
    quiet, noisy = ([t for t in turns if t.noisy is noise] for noise in (False, True))
    cut, pauses = sum(t.cut_off for t in turns), sum(t.pauses for t in turns)
    return {
        "per_turn": f.share(f"{name}.per_turn", cut, len(turns)),
        "per_pause": f.share(f"{name}.per_pause", sum(t.cut_pauses for t in turns), pauses),
        "n": len(turns),
        "interval": f.intervals[f"{name}.per_turn"],
        "pauses": pauses,
        "quiet": f.share(f"{name}.quiet", sum(t.cut_off for t in quiet), len(quiet)),
        "noisy": f.share(f"{name}.noisy", sum(t.cut_off for t in noisy), len(noisy)),
    }


def _overhead(f: Figures, latencies: Latencies) -> dict[str, Any]:
    parts = {part: _median([getattr(o, f"{part}_ms") for o in latencies.overheads]) for part in ("gate", "lead_in")}
    return {**f.spread("overhead_ms", [o.total_ms for o in latencies.overheads]), **parts}


def _turns(outcomes: Iterable[Outcome]) -> list[Turn]:
    return [turn for outcome in outcomes for turn in outcome.turns]


# ---------------------------------------------------------------- over a reply, and alone


def _reached(f: Figures, name: str, seconds: Sequence[float | None]) -> dict[str, Any]:
    """Median and 95th percentile in milliseconds; who was never reached counts as longer than all others."""
    reached = [1000 * s for s in seconds if s is not None]
    return {**f.spread(name, reached), "never": len(seconds) - len(reached)}


def _own_speech(f: Figures, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    table: dict[str, dict[str, Any]] = {
        "false_interruptions_per_hour": {},
        "false_holds_per_hour": {},
        "own_speech_hours": {},
    }
    ducks, all_hours = 0, 0.0
    for label, kind in OWN_SPEECH.items():
        alone = [o.alone for o in outcomes if o.kind == kind]
        hours = sum(a.seconds for a in alone) / 3600
        ducks, all_hours = ducks + sum(a.ducks for a in alone), all_hours + hours
        table["own_speech_hours"][label] = round(hours, 3)
        for name, count in (("interruptions", sum(a.stops for a in alone)), ("holds", sum(a.holds for a in alone))):
            key = f"false_{name}_per_hour"
            table[key][label] = f.rate(f"{key}.{label}", count, hours)
    return {**table, "false_ducks_per_hour": f.rate("false_ducks_per_hour", ducks, all_hours)}


def _sounds_over(f: Figures, kind: str, over: Sequence[Over]) -> dict[str, Any]:
    those = [o for o in over if o.kind == kind]
    return {
        "n": len(those),
        "ended": f.share(f"over_a_reply.{kind}.ended", sum(o.ended for o in those), len(those)),
        "held": f.share(f"over_a_reply.{kind}.held", sum(o.held for o in those), len(those)),
        "answered": f.share(f"over_a_reply.{kind}.answered", sum(o.answered for o in those), len(those)),
    }


def _missed(those: Iterable[Over]) -> tuple[int, int]:
    ended = [o.ended for o in those]
    return len(ended) - sum(ended), len(ended)


def word_error(pairs: Sequence[tuple[str, str]]) -> float | None:
    """Word error of what was recognised, (said, recognised), English normalised as Whisper's authors do."""
    import jiwer
    from whisper.normalizers import EnglishTextNormalizer

    english = EnglishTextNormalizer()
    said = [(english(wanted), english(got)) for wanted, got in pairs]
    said = [(wanted, got) for wanted, got in said if wanted]
    return round(jiwer.wer([w for w, _ in said], [g for _, g in said]), 4) if said else None


# ---------------------------------------------------------------- the rest


def _speculation(f: Figures, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    drafts, dropped = sum(o.drafts for o in outcomes), sum(o.dropped for o in outcomes)
    busy_s, wasted_s = sum(o.busy_s for o in outcomes), sum(o.wasted_s for o in outcomes)
    return {
        "wasted_speculation": f.share("wasted_speculation", dropped, drafts),
        "speculation": {
            "drafts": drafts,
            "dropped": dropped,
            "wasted_cpu_s": round(wasted_s, 2),
            "of_cpu_s": round(busy_s, 2),
        },
    }


def remarkable(outcomes: Iterable[Outcome]) -> Iterable[str]:
    """One line for each thing that must not happen: words wrongly kept or dropped, answers to oneself, troubles."""
    for outcome in outcomes:
        where = f"scene {outcome.number} ({outcome.kind})"
        for text in outcome.remembered.kept:
            yield f"{where}: kept, but not heard: …{text[-40:]}"
        for text in outcome.remembered.dropped:
            yield f"{where}: heard, but not kept: …{text[-40:]}"
        if outcome.self_talk:
            yield f"{where}: answered itself {outcome.self_talk} times"
        for trouble in outcome.troubles:
            yield f"{where}: {trouble}"


def _medians(stages: Sequence[dict[str, float]]) -> dict[str, float | None]:
    return {key: _median([stage[key] for stage in stages]) for key in (stages[0] if stages else {})}


def _median(values: Sequence[float]) -> float | None:
    return round(float(np.median(values)), 1) if values else None


def _p95(values: np.ndarray, axis: int) -> np.ndarray:
    return np.quantile(values, 0.95, axis=axis)


def _rounded(interval: Interval | None, digits: int = 4) -> list[float] | None:
    return [round(bound, digits) for bound in interval] if interval is not None else None
