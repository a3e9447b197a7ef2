"""Talks at the speed of sound with every engine of the configuration: how long answers take, and what work costs.

Latency is read off the sound, end-pointing included. What the workers note tells the costs of work, by which scenes are
then played in virtual time, and how much of a latency was no model's work. Knows no engine's inside.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from assistant.backends.pictures import PictureCamera
from assistant.eventlog import Event
from assistant.events import Image
from assistant.hiring import Engines
from assistant.pacing import Costs
from assistant.sessions.outcomes import Outcome, outcome, until_s
from assistant.sessions.scenes import Scene
from assistant.sessions.staging import Played, fresh, perform, workers

if TYPE_CHECKING:
    from assistant.config import Config

PIECEMEAL = ("recogniser.feed",)
"""work that comes in pieces of which only some cost anything: the mean tells, not the median"""
CRITICAL = ("recogniser.feed", "recogniser.finish", "endpointing.", "mind.reply", "voice.")
"""costs that an answer waits for; reading ahead is none"""
SEEING = "eyes."
"""and this one where it waited for the picture"""


@dataclass(frozen=True, slots=True)
class Noted:
    """A piece of work: its entry in the cost table, and when it began and was done, in seconds of the talk."""

    cost: str
    began_s: float
    ended_s: float


@dataclass(frozen=True, slots=True)
class Overhead:
    """Where a latency goes that is neither waiting for the turn to end nor a model's work, in milliseconds.

    `total`: from when the silence was long enough (or the true end of the speech, if that is later) to the first
    audible sample, less the time in which a model was at work that this answer waited for. In it are `gate` (from then
    until the gate opened) and `lead_in` (silence that the voice's sound begins with).
    """

    total_ms: float
    gate_ms: float
    lead_in_ms: float


@dataclass(slots=True)
class Latencies:
    """What talks at the speed of sound have shown."""

    outcomes: list[Outcome] = field(default_factory=list[Outcome])
    stages: list[dict[str, float]] = field(default_factory=list[dict[str, float]])
    overheads: list[Overhead] = field(default_factory=list[Overhead])
    spent: dict[str, list[float]] = field(default_factory=dict[str, list[float]])
    cpu_s: float = 0.0
    seconds: float = 0.0

    @property
    def voice_to_voice_ms(self) -> list[float]:
        """Of every turn that was answered and not cut off."""
        turns = (turn for outcome in self.outcomes for turn in outcome.turns)
        return [1000 * turn.voice_to_voice_s for turn in turns if turn.voice_to_voice_s is not None]

    @property
    def costs(self) -> Costs:
        """What each kind of work costs in seconds: the median, or the mean of what is PIECEMEAL."""
        return {
            cost: round((statistics.fmean if cost in PIECEMEAL else statistics.median)(spent), 5)
            for cost, spent in sorted(self.spent.items())
            if not cost.endswith(".load")
        }


async def hold_talks(
    config: Config,
    engines: Engines,
    scenes: Iterable[Scene],
    picture: Image | None,
    tell: Callable[[str], None] = lambda _: None,
) -> Latencies:
    """Hold the talks one after the other, a picture in view all the time."""
    latencies = Latencies()
    used_s = time.process_time()
    for scene in scenes:
        played, work = await _observed(config, engines, scene, picture)
        _take(latencies, played, work, config.turn.end_s)
        values = latencies.voice_to_voice_ms
        tell(f"{scene.name}: {len(values)} latencies, median {statistics.median(values or [0]):.0f} ms")
    latencies.cpu_s = time.process_time() - used_s
    return latencies


async def _observed(
    config: Config, engines: Engines, scene: Scene, picture: Image | None
) -> tuple[Played, list[Noted]]:
    """A talk, and the work that was done for it."""
    noted: list[Noted] = []
    own = fresh(engines, {})
    for worker in workers(own):
        worker.note = lambda cost, began_s, ended_s: noted.append(Noted(cost, began_s, ended_s))
    played = await perform(config, own, scene, PictureCamera([(0.0, picture)] if picture is not None else []))
    for worker in workers(own):
        worker.close()
    zero_s = played.origin_s
    return played, [Noted(n.cost, n.began_s - zero_s, n.ended_s - zero_s) for n in noted]


def _take(latencies: Latencies, played: Played, work: Sequence[Noted], end_s: float) -> None:
    latencies.outcomes.append(outcome(played, end_s))
    latencies.seconds += played.events[-1]["at_s"]
    for noted in work:
        latencies.spent.setdefault(noted.cost, []).append(noted.ended_s - noted.began_s)
    said = [heard for heard in played.heard if heard.sound.kind == "turn"]
    for heard, turn in zip(said, latencies.outcomes[-1].turns, strict=True):
        answers = [e for e in played.all("turn") if heard.ended_s <= e["at_s"] < until_s(played, heard)]
        if turn.voice_to_voice_s is None or not answers:
            continue
        latencies.stages.append(answers[0]["stages"])
        first_s = heard.ended_s + turn.voice_to_voice_s
        latencies.overheads.append(overhead(played.events, answers[0], heard.ended_s, first_s, work, end_s))


def overhead(
    events: Sequence[Event], answer: Event, ended_s: float, first_s: float, work: Sequence[Noted], end_s: float
) -> Overhead:
    """The overhead of an answer (its `turn` event) to speech that truly ended at `ended_s`, audible from `first_s` on.

    `end_s` is the silence that was waited for where the log does not say.
    """
    before = [e for e in events if e["at_s"] <= answer["at_s"]]
    gate = next(e for e in reversed(before) if e["type"] == "utterance")
    told = [e["wait_s"] for e in before if e.get("wait_s") is not None and e["at_s"] >= gate["ended_s"]]
    due_s = max(ended_s, gate["ended_s"] + (told[-1] if told else end_s))
    critical = (*CRITICAL, SEEING) if answer["stages"]["see_ms"] > 0 else CRITICAL
    spans = [(w.began_s, w.ended_s) for w in work if w.cost.startswith(critical)]
    sample_s = next((e["first_sample_s"] for e in reversed(before) if e["type"] == "playing"), first_s)
    return Overhead(
        1000 * (first_s - due_s - covered_s(spans, due_s, first_s)),
        1000 * max(0.0, gate["at_s"] - due_s),
        1000 * max(0.0, first_s - sample_s),
    )


def covered_s(spans: Iterable[tuple[float, float]], from_s: float, to_s: float) -> float:
    """How much of a stretch of time lies in any of the spans."""
    covered, reached_s = 0.0, from_s
    for began_s, ended_s in sorted(spans):
        began_s, ended_s = max(began_s, reached_s), min(ended_s, to_s)
        if ended_s > began_s:
            covered += ended_s - began_s
            reached_s = ended_s
    return covered
