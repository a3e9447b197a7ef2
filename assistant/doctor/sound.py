"""What the doctor hears: the microphone, the loudspeaker, and the echo path between them.

Listens for two seconds, then plays chirps and listens for them. The judgements are pure; `examine` opens the devices
that the configuration names.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from assistant.backends import Microphone, Speaker, VoiceActivity
from assistant.doctor.echo_path import CHIRP_S, EchoPath, chirp, measure
from assistant.doctor.finding import Finding, failed
from assistant.errors import AssistantError, DeviceError
from assistant.events import HEARING_RATE_HZ, Block, Phrase, Samples
from assistant.pacing import Clock
from assistant.soundcheck import ADVICE, CUT_SHARE, QUIET_DB, RAIL, VOICE_P, ZERO, decibels

if TYPE_CHECKING:
    from assistant.config import Config

LISTEN_S, SETTLE_S = 2.0, 0.5
"""listened to, after a moment in which a card that was just opened may crackle"""
STARTING_S = 8.0
"""a sound card may take so long to its first sound"""
BEFORE_S, AFTER_S = 0.3, 1.0
"""heard before the chirp is to sound, and after it: no echo takes longer"""
CHIRPS = 3
"""on a busy machine a sound card's times were seen to be wrong by 10 ms for a moment"""
LATEST_S = 0.5
"""WebRTC's canceller takes no later echo (it was measured to cope with 450 ms)"""
LOUDEST_DB = 6.0
"""measured: it copes with an echo as loud as the user; one this much louder than what is played is driven too far"""
VOICED_S = 0.5
"""speech by which its level can be told"""


# ---------------------------------------------------------------- judgements


def microphone_finding(name: str, pcm: Samples, p_voice: Sequence[float] = (), window: int = 512) -> Finding:
    """What two seconds of a microphone's sound (16 kHz) say of it. `p_voice`: the probability of speech, window by
    window; only where somebody speaks can it be told whether it is too quiet.
    """
    peak = float(np.abs(pcm).max(initial=0.0))
    level_db = decibels(float(np.square(pcm).mean()) if len(pcm) else 0.0)
    found = f"'{name}': {level_db:.0f} dBFS, peak {decibels(peak**2):.0f} dBFS"
    if peak < ZERO:
        return Finding("microphone", False, f"'{name}' gives nothing, not even noise", ADVICE["muted"])
    whole = pcm[: len(pcm) // window * window].reshape(-1, window)
    if ((np.abs(whole) >= RAIL).mean(axis=1) > CUT_SHARE).any():
        return Finding("microphone", False, f"{found}; too loud, peaks are cut off", ADVICE["loud"])
    voiced = [part for part, p in zip(whole, p_voice, strict=False) if p >= VOICE_P]
    speech_db = decibels(float(np.square(voiced).mean())) if voiced else 0.0
    if len(voiced) * window >= VOICED_S * HEARING_RATE_HZ and speech_db < QUIET_DB:
        return Finding("microphone", False, f"{found}; speech comes in at {speech_db:.0f} dBFS only", ADVICE["quiet"])
    return Finding("microphone", True, found)


def echo_finding(path: EchoPath | None, known_s: float) -> Finding:
    """Whether the canceller copes with an echo. `known_s`: how much later than the chirp was given to the card it was
    to sound, and how much earlier than it came in it was heard, as far as the devices know; the canceller must wait for
    that too.
    """
    if path is None:
        advice = "if you heard no chirp, turn the loudspeaker up"
        return Finding(
            "echo path", True, "no echo comes back: headphones, or a loudspeaker that is turned down", advice
        )
    delay_s = max(0.0, path.delay_s + known_s)
    found = f"an echo comes back after {1000 * delay_s:.0f} ms at {path.coupling_db:+.0f} dB"
    if delay_s > LATEST_S:
        advice = "use a loudspeaker with a cable, or --set echo.mode=half_duplex, which cannot be interrupted"
        return Finding("echo path", False, f"{found}, too late for the canceller ({1000 * LATEST_S:.0f} ms)", advice)
    if path.coupling_db > LOUDEST_DB:
        return Finding("echo path", False, f"{found}, too loud for it", "turn the loudspeaker or the microphone down")
    return Finding("echo path", True, f"{found}; the canceller copes")


# ---------------------------------------------------------------- measuring


class Listening:
    """What a microphone hears, block by block, from when it was opened."""

    def __init__(self, microphone: Microphone) -> None:
        self._microphone = microphone
        self._blocks: list[Block] = []
        self._came = asyncio.Event()
        self._task = asyncio.create_task(self._listen())

    @property
    def in_room(self) -> bool:
        """Our loudspeaker may be heard in it: it is no recording."""
        return getattr(self._microphone, "in_room", True)

    @property
    def delay_s(self) -> float:
        """How long ago the newest sound began when it came, as far as the microphone knows."""
        return getattr(self._microphone, "delay_s", 0.0)

    async def until(self, at_s: float, within_s: float) -> None:
        """Wait until that moment was heard. Raises DeviceError where it is not within so many seconds."""
        try:
            async with asyncio.timeout(within_s):
                while not self._blocks or self._blocks[-1].end_s < at_s:
                    if self._task.done():
                        self._task.result()
                        raise DeviceError("wanted to listen, the microphone ended; choose another with --microphone")
                    self._came.clear()
                    await self._came.wait()
        except TimeoutError:
            raise DeviceError(
                f"wanted to listen, nothing came from the microphone for {within_s:.0f} s; plug it in again, or choose "
                "another with --microphone"
            ) from None

    def between(self, begin_s: float, end_s: float) -> Samples:
        """What was heard from one moment to another, at 16 kHz."""
        pcm = np.concatenate([np.zeros(0, np.float32), *(block.pcm for block in self._blocks)])
        return pcm[max(0, round(begin_s * HEARING_RATE_HZ)) : max(0, round(end_s * HEARING_RATE_HZ))]

    async def close(self) -> None:
        """Let the microphone go."""
        self._microphone.close()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _listen(self) -> None:
        try:
            async for block in self._microphone.blocks():
                self._blocks.append(block)
                self._came.set()
        finally:
            self._came.set()


async def play_chirp(speaker: Speaker) -> float:
    """Play the chirp to its end; when it was to begin (seconds). Raises DeviceError."""
    began_s = await speaker.play(Phrase("", chirp(), HEARING_RATE_HZ, ()))
    await speaker.drain()
    speaker.stop()
    return began_s


async def measure_echo(listening: Listening, speaker: Speaker, clock: Clock) -> EchoPath | None:
    """Play chirps and find them in what is heard: the medians; None where most do not come back. Raises DeviceError."""
    found: list[EchoPath] = []
    for _ in range(CHIRPS):
        await clock.until(clock.now_s() + BEFORE_S)
        began_s = await play_chirp(speaker)
        await listening.until(began_s + CHIRP_S + AFTER_S, STARTING_S)
        path = measure(listening.between(began_s - BEFORE_S, began_s + CHIRP_S + AFTER_S), BEFORE_S)
        found += [path] if path is not None else []
    if 2 * len(found) <= CHIRPS:
        return None
    return EchoPath(median(path.delay_s for path in found), median(path.coupling_db for path in found))


async def examine(config: Config, activity: VoiceActivity | None = None) -> list[Finding]:
    """Microphone, loudspeaker and echo path; what cannot be had is told, and the others are looked at all the same.

    `activity`: who tells speech, by which the microphone's level is judged. Raises nothing of ours.
    """
    from assistant.backends.devices import open_microphone

    clock, findings = Clock(), list[Finding]()
    listening: Listening | None = None
    async with AsyncExitStack() as closing:
        if config.microphone.source == "none":
            findings.append(Finding("microphone", True, "none is wanted"))
        else:
            try:
                microphone = open_microphone(config.microphone.source, clock)
                listening = Listening(microphone)
                closing.push_async_callback(listening.close)
                await listening.until(SETTLE_S + LISTEN_S, STARTING_S)
                pcm = listening.between(SETTLE_S, SETTLE_S + LISTEN_S)
                name = str(getattr(microphone, "name", config.microphone.source))
                findings.append(microphone_finding(name, pcm, voices(pcm, activity)))
            except AssistantError as error:
                findings.append(failed("microphone", error))
                listening = None
        clock.start()
        findings += await _loudspeaker(config.speaker.sink, listening, clock)
    return findings


async def _loudspeaker(sink: str, listening: Listening | None, clock: Clock) -> list[Finding]:
    """The loudspeaker, and the echo path where a microphone beside it listens."""
    from assistant.backends.devices import open_speaker

    if sink == "none" or sink.lower().endswith(".wav"):
        return [Finding("loudspeaker", True, f"'{sink}' is wanted, nothing was played")]
    speaker: Any = None
    try:
        speaker = open_speaker(sink, clock)
        if listening is None or not listening.in_room:
            await play_chirp(speaker)
            return [_played(speaker), Finding("echo path", True, "not measured: no microphone beside the loudspeaker")]
        path = await measure_echo(listening, speaker, clock)
        return [_played(speaker), echo_finding(path, speaker.delay_s + listening.delay_s)]
    except AssistantError as error:
        return [failed("loudspeaker", error)]
    finally:
        if speaker is not None:
            speaker.close()


def _played(speaker: Any) -> Finding:
    return Finding("loudspeaker", True, f"'{speaker.name}': a chirp was played at {speaker.rate_hz} Hz")


def voices(pcm: Samples, activity: VoiceActivity | None) -> list[float]:
    """The probability of speech in every whole window of sound; empty where nobody can tell."""
    if activity is None:
        return []
    state, found = activity.start(), list[float]()
    for begin in range(0, len(pcm) - activity.window + 1, activity.window):
        state, p_voice = activity.voice(state, pcm[begin : begin + activity.window])
        found.append(p_voice)
    return found
