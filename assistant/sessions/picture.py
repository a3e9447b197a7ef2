"""The picture of `assistant bench turns`: how latencies are spread, and cut-offs against latency. Knows the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from assistant.errors import OutputError

WIDTH_IN, HEIGHT_IN, DPI = 10.0, 4.2, 120
BIN_MS = 50.0


def draw(path: Path, latencies_ms: Sequence[float], report: Mapping[str, Any]) -> None:
    """Write a PNG (or what the file's ending says). Raises OutputError."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(WIDTH_IN, HEIGHT_IN), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    spread, cutoffs = figure.subplots(1, 2)
    _spread(spread, latencies_ms, report["voice_to_voice_ms"])
    _curve(cutoffs, report["curve"])
    try:
        figure.savefig(path)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise OutputError(f"wanted to draw {path}, {why}; choose another --picture, such as turns.png") from error


def _spread(axes: Any, latencies_ms: Sequence[float], voice_to_voice: Mapping[str, Any]) -> None:
    axes.set_title(f"voice to voice, {len(latencies_ms)} turns at real pace", fontsize=10)
    axes.set_xlabel("ms from the end of the speech to the first sound")
    axes.set_ylabel("share of turns")
    if not latencies_ms:
        return
    values = np.sort(latencies_ms)
    bins = np.arange(0, values[-1] + 2 * BIN_MS, BIN_MS)
    axes.hist(values, bins, weights=np.full(len(values), 1 / len(values)), color="#9ecae1")
    axes.step(
        [0, *values, bins[-1]], [0, *np.arange(1, len(values) + 1) / len(values), 1], where="post", color="#08519c"
    )
    for name, style in (("median", "-"), ("p95", "--")):
        value = voice_to_voice[name]
        axes.axvline(value, color="#a50f15", linestyle=style, label=f"{name} {value:.0f} ms")
    axes.set_ylim(0, 1.02)
    axes.set_xlim(0, bins[-1])
    axes.legend(loc="lower right", fontsize=9)


def _curve(axes: Any, curve: Sequence[Mapping[str, Any]]) -> None:
    axes.set_title("cut off while still speaking", fontsize=10)
    axes.set_xlabel("median voice to voice, ms (waits scaled)")
    axes.set_ylabel("share of turns")
    axes.set_ylim(bottom=0)
    if not curve:
        return
    x = [point["voice_to_voice_ms"] for point in curve]
    axes.fill_between(x, *zip(*(point["interval"] for point in curve), strict=True), color="#c7e9c0", label="95 %")
    axes.plot(x, [point["false_cutoffs"] for point in curve], color="#006d2c", marker=".")
    for point in curve:
        if point["scale"] == 1.0:
            axes.plot(point["voice_to_voice_ms"], point["false_cutoffs"], "o", color="#a50f15", label="as it is")
    axes.legend(loc="upper right", fontsize=9)
