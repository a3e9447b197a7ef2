"""Marks of a turn -> its stages, which add up to voice-to-voice; pure.

Each stage is its mark minus the latest mark before it, never below 0: work that was done ahead (behind a closed gate,
while the user still spoke) costs nothing where it would have been waited for.
"""

from __future__ import annotations

from dataclasses import dataclass

STAGES = ("endpoint", "recognise", "see", "think", "speak", "output")


@dataclass(slots=True)
class Marks:
    """When each stage of a turn was done, in seconds of the audio clock; None: not there yet, or not needed."""

    voice_ended_s: float
    endpoint_s: float | None = None
    """the turn was judged to be over"""
    recognise_s: float | None = None
    """the final words were known"""
    see_s: float | None = None
    """what the answer needs was seen"""
    think_s: float | None = None
    """the first phrase was thought"""
    speak_s: float | None = None
    """its sound was made"""
    output_s: float | None = None
    """its first sample sounded"""


def stages_ms(marks: Marks) -> dict[str, float]:
    """Milliseconds per stage (`endpoint_ms`, …, rounded to 0.1), which add up to `output_s - voice_ended_s`."""
    reached_s = marks.voice_ended_s
    stages: dict[str, float] = {}
    for stage in STAGES:
        mark_s: float | None = getattr(marks, f"{stage}_s")
        stages[f"{stage}_ms"] = round(1000 * max(0.0, (mark_s or 0.0) - reached_s), 1)
        reached_s = max(reached_s, mark_s or 0.0)
    return stages
