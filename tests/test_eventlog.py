"""The event log: order, held drafts, and a file that cannot be written."""

import json
from pathlib import Path

import pytest

from assistant import pacing
from assistant.errors import OutputError
from assistant.eventlog import EventFile, EventLog, HeldLog
from assistant.pacing import Clock


def test_a_drafts_events_come_out_when_its_gate_opens_and_never_before():
    async def main():
        clock, events = Clock(), []
        clock.start()
        log = EventLog(clock, events.append)
        held, dropped = HeldLog(log), HeldLog(log)
        held.emit("words", text="a")
        dropped.emit("words", text="b")
        await clock.until(1.0)
        log.emit("utterance")
        held.open()
        held.emit("phrase", text="c")
        return events

    events = pacing.run(main(), fast=True)
    assert [(e["type"], e.get("text"), e["at_s"]) for e in events] == [
        ("utterance", None, 1.0),
        ("words", "a", 1.0),
        ("phrase", "c", 1.0),
    ]


def test_lines_are_flushed_as_they_happen(tmp_path):
    file = EventFile(tmp_path / "events.jsonl")
    file({"at_s": 0.0, "type": "ready", "text": "灯"})
    assert json.loads((tmp_path / "events.jsonl").read_text(encoding="utf-8"))["text"] == "灯"
    file.close()


def test_a_full_disk_ends_the_file_and_not_the_talk():
    if not Path("/dev/full").exists():
        pytest.skip("needs /dev/full")
    file = EventFile(Path("/dev/full"))
    file({"at_s": 0.0, "type": "ready"})
    file({"at_s": 0.1, "type": "onset"})
    file.close()
    assert isinstance(file.failure, OutputError) and "/dev/full" in str(file.failure)


def test_a_place_that_cannot_be_written_is_told_before_the_talk(tmp_path):
    with pytest.raises(OutputError, match="nowhere"):
        EventFile(tmp_path / "nowhere" / "events.jsonl")
