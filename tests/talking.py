"""A whole conversation on the scripted fakes, in virtual time: what the tests of the loop stand on."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from assistant import pacing
from assistant.backends.scripted import (
    RecordingSpeaker,
    ScriptedActivity,
    ScriptedCamera,
    ScriptedEndOfTurn,
    ScriptedEyes,
    ScriptedMicrophone,
    ScriptedMind,
    ScriptedRecogniser,
    ScriptedVoice,
)
from assistant.conversation import Devices, Models, Rules, Talk, converse
from assistant.eventlog import EventLog
from assistant.events import Conversation, Exchange
from assistant.pacing import Clock
from assistant.seeing import Sight
from assistant.transcribing import Transcriber
from assistant.workers import Worker


@dataclass
class Held:
    """What came of a conversation."""

    events: list[dict[str, Any]]
    speaker: RecordingSpeaker
    mind: Any
    voice: Any
    talk: Talk
    microphone: Any
    error: BaseException | None = None

    @property
    def exchanges(self) -> list[Exchange]:
        return self.talk.conversation.exchanges

    def all(self, type: str) -> list[dict[str, Any]]:
        return [e for e in self.events if e["type"] == type]

    def record(self, what: str) -> list[float]:
        return [s.at_s for s in self.speaker.record if s.what == what]


@dataclass
class Scene:
    """What happens: when the user speaks (from, to), what is recognised, what the mind says, what work costs."""

    spans: Sequence[tuple[float, float]]
    texts: Sequence[str] = ("one two three",)
    replies: Sequence[Any] = ("A short answer to that.",)
    costs: dict[str, float] = field(default_factory=dict)
    rules: Rules = field(default_factory=Rules)
    seconds: float | None = None
    pictures: Sequence[Any] = ()
    lines: Sequence[str] = ()
    eyes: Any = None
    camera: Any = None
    album: Any = None
    detector: Any = None
    encoder: Any = None
    mind: Any = None
    recogniser: Any = None
    voice: Any = None
    speaker: Any = RecordingSpeaker
    microphone: Any = ScriptedMicrophone
    cancel_at_s: float | None = None
    block_s: float = 0.032


async def hold(scene: Scene) -> Held:
    """Hold the conversation on the running loop; an error or a cancellation is kept, not raised."""
    clock, events, conversation = Clock(), [], Conversation()
    log = EventLog(clock, events.append)
    costs = scene.costs
    mind = await Worker.start("mind", lambda: scene.mind or ScriptedMind(scene.replies), costs)
    voice = await Worker.start("voice", lambda: scene.voice or ScriptedVoice(), costs)
    eyes = await Worker.start("eyes", lambda: scene.eyes or ScriptedEyes(scene.lines), costs)
    extra = {
        name: await Worker.start(name, lambda name=name: getattr(scene, name), costs)
        for name in ("album", "detector", "encoder")
        if getattr(scene, name) is not None
    }
    endpointing = await Worker.start("endpointing", lambda: ScriptedEndOfTurn(), costs)
    recogniser = await Worker.start("recogniser", lambda: scene.recogniser or ScriptedRecogniser(scene.texts), costs)
    transcriber = Transcriber(
        recogniser, scene.rules.language, lambda w: log.emit("words", text=w.text, final=False, language=w.language)
    )
    camera = scene.camera or ScriptedCamera(scene.pictures)
    speaker = scene.speaker(clock)
    microphone = scene.microphone(clock, scene.spans, scene.seconds, scene.block_s)
    talk = Talk(
        Devices(microphone, camera, speaker),
        Models(ScriptedActivity(), endpointing, transcriber, mind, voice, eyes),
        scene.rules,
        conversation,
        clock,
        log,
        Sight(
            camera,
            eyes,
            conversation,
            clock,
            log,
            senses=[extra["detector"]] if "detector" in extra else [],
            encoder=extra.get("encoder"),
            album=extra.get("album"),
            memory=scene.rules.memory,
        ),
    )
    held = Held(events, speaker, mind.model, voice.model, talk, microphone)
    talking = asyncio.create_task(converse(talk))
    if scene.cancel_at_s is not None:
        await asyncio.wait({talking}, timeout=scene.cancel_at_s)
        talking.cancel()
    await asyncio.wait({talking})
    held.error = asyncio.CancelledError() if talking.cancelled() else talking.exception()
    for worker in (mind, voice, eyes, recogniser, *extra.values()):
        worker.close()
    return held


def talk_through(spans: Sequence[tuple[float, float]], *args: Any, fast: bool = True, **scene: Any) -> Held:
    """Hold a conversation in virtual time and return what came of it; an unexpected error is raised."""
    held = pacing.run(hold(Scene(spans, *args, **scene)), fast=fast)
    if held.error is not None and not isinstance(held.error, asyncio.CancelledError) and "fails" not in scene:
        raise held.error
    return held
