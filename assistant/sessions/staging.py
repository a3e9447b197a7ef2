"""Plays scenes: the real conversation over simulated devices, and what came of it.

In virtual time a scene is the same whatever the machine, given the costs of work; at the speed of sound it takes as
long as it takes. `python -m assistant.sessions.staging KIND SEED DB` plays one and prints what happened. Knows no
measure.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from assistant import pacing
from assistant.backends import Camera, Speech, Stop, Voice
from assistant.backends.pictures import PictureCamera
from assistant.backends.scripted import ScriptedMind
from assistant.choosing import Choice
from assistant.echo import EchoFreeMicrophone
from assistant.eventlog import Event
from assistant.hiring import Engines, load_engines
from assistant.pacing import Clock, Costs
from assistant.running import talk_over
from assistant.sessions.answers import phrases_of_answers
from assistant.sessions.loudspeaker import RoomSpeaker
from assistant.sessions.microphone import Heard, RoomMicrophone
from assistant.sessions.scenes import Scene
from assistant.talk import Devices
from assistant.workers import Worker

if TYPE_CHECKING:
    from assistant.config import Config

PATIENCE_S = 180.0
"""the last answer may take that long"""
MIND = Choice("scripted", "long answers on demand, at the real mind's costs")


@dataclass(frozen=True, slots=True, eq=False)
class Played:
    """What came of a scene: its events, what was heard in the room, the loudspeaker with all it sounded, and what the
    engines of the replies cost (processor seconds; in virtual time by the cost table). `origin_s` is the zero of its
    times on the event loop's clock.
    """

    scene: Scene
    events: tuple[Event, ...]
    heard: tuple[Heard, ...]
    speaker: RoomSpeaker
    busy_s: float = 0.0
    origin_s: float = 0.0

    def all(self, *types: str) -> list[Event]:
        """The events of these types, in order."""
        return [event for event in self.events if event["type"] in types]


class Repertoire:
    """A voice that says a text exactly as it said it before.

    espeak-ng never does: its state goes on from text to text, a phrase comes out a few milliseconds longer or shorter,
    and all that follows is another conversation.
    """

    def __init__(self, voice: Voice) -> None:
        self.languages = voice.languages
        self._voice = voice
        self._known: dict[tuple[str, str], Speech] = {}

    def synthesise(self, text: str, language: str, stop: Stop) -> Speech:
        """The text as it was said first."""
        if (text, language) not in self._known:
            self._known[text, language] = self._voice.synthesise(text, language, lambda: False)
        return self._known[text, language]

    def rehearse(self, texts: Iterable[str]) -> None:
        """Say texts in their order once, so that what is said later does not depend on what is said when."""
        for text in texts:
            self.synthesise(text, "en", lambda: False)


@dataclass(eq=False, slots=True)
class Stage:
    """Engines that are loaded once and play one scene after the other, none of which knows of another."""

    config: Config
    engines: Engines
    costs: Costs = field(default_factory=dict)

    def play(self, scene: Scene) -> Played:
        """Play a scene in virtual time with a scripted mind. Raises AssistantError."""
        mind = ScriptedMind(scene.replies)
        return pacing.run(perform(self.config, fresh(self.engines, self.costs, mind), scene), fast=True)


def fresh(engines: Engines, costs: Costs, mind: Any = None) -> Engines:
    """The same models on new workers, and another mind if one is given: nothing is left of an earlier scene."""

    def worker(old: Worker[Any], model: Any) -> Worker[Any]:
        new: Worker[Any] = Worker(old.name, costs)
        new.model = model
        return new

    new = {old.name: worker(old, old.model) for old in workers(engines)}
    if mind is not None:
        new["mind"] = worker(engines.mind, mind)
    chosen = {**engines.chosen, "mind": MIND} if mind is not None else engines.chosen
    return replace(engines, **new, chosen=chosen)


def workers(engines: Engines) -> list[Worker[Any]]:
    """The workers of all slots that have one."""
    slots = (getattr(engines, slot.name) for slot in fields(engines))
    return [slot for slot in slots if isinstance(slot, Worker)]


async def perform(config: Config, engines: Engines, scene: Scene, camera: Camera | None = None) -> Played:
    """Hold the talk of a scene on the running loop, the microphone behind the same echo canceller as a live one.

    A talk that goes on for PATIENCE_S after its microphone has ended is ended, and that is a trouble of its own.
    """
    events: list[Event] = []
    room: list[tuple[RoomMicrophone, RoomSpeaker, Clock]] = []

    def open_devices(clock: Clock) -> Devices:
        speaker = RoomSpeaker(clock, scene.room.drift_ppm)
        microphone = RoomMicrophone(
            clock,
            scene.room,
            speaker,
            scene.sounds,
            scene.background,
            seconds=scene.seconds,
            after_s=scene.after_s,
            limit_s=scene.limit_s,
        )
        room.append((microphone, speaker, clock))
        return Devices(EchoFreeMicrophone(microphone, speaker), camera or PictureCamera([]), speaker)

    before_s = engines.mind.busy_s + engines.voice.busy_s + engines.eyes.busy_s
    try:
        async with asyncio.timeout(scene.limit_s + PATIENCE_S):
            await talk_over(config, engines, open_devices, (events.append,))
    except TimeoutError:
        ended = {"where": "talk", "message": "did not end by itself", "kept_going": False}
        events.append({"at_s": events[-1]["at_s"], "type": "trouble", **ended})
    microphone, speaker, clock = room[0]
    busy_s = engines.mind.busy_s + engines.voice.busy_s + engines.eyes.busy_s - before_s
    origin_s = asyncio.get_running_loop().time() - clock.now_s()
    return Played(scene, tuple(events), microphone.heard, speaker, busy_s, origin_s)


def set_stage(config: Config, costs: Costs | None = None) -> Stage:
    """Load what plays scenes in virtual time: every engine of the configuration but mind and eyes.

    In a process of its own it always comes to the same; in one where the voice has spoken before, to nearly the same.
    """
    unused = {slot: getattr(config, slot).model_copy(update={"engine": "scripted"}) for slot in ("mind", "eyes")}
    engines = pacing.run(load_engines(config.model_copy(update=unused)), fast=True)
    voice = Repertoire(engines.voice.model)
    voice.rehearse(phrases_of_answers())
    engines.voice.model = voice
    return Stage(config, engines, costs or {})


def main(kind: str = "interruption", seed: str = "0", coupling_db: str = "-10") -> None:
    """Play one scene on the configured engines and print its events and what the loudspeaker was told, one a line."""
    from assistant.config import load_config
    from assistant.sessions.recordings import read_corpus, shared_corpus
    from assistant.sessions.scenes import draw

    stage = set_stage(load_config(None, ()))
    coupling = None if coupling_db == "none" else float(coupling_db)
    scene = draw(read_corpus(shared_corpus()), kind, np.random.default_rng(int(seed)), coupling_db=coupling)
    played = stage.play(scene)
    sounds: list[Mapping[str, Any]] = [
        {"at_s": round(h.began_s, 2), "type": f"({h.sound.kind})", "until_s": round(h.ended_s, 2), "text": h.sound.text}
        for h in played.heard
    ]
    told = [
        {
            "at_s": round(t.at / played.speaker.rate_hz, 3),
            "type": f"({t.what})",
            "text": t.phrase.text if t.phrase else "",
        }
        for t in played.speaker.told
    ]
    events = [e for e in played.events if e["type"] != "words" or e["final"]]
    for line in sorted([*events, *sounds, *told], key=lambda e: e["at_s"]):
        sys.stdout.write(json.dumps(line, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:4])
