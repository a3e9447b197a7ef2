"""`assistant bench turns` from end to end: small, on scripted engines, in virtual time; and its picture."""

import json
import time

import numpy as np
import pytest
from PIL import Image as Pictures
from typer.testing import CliRunner

from assistant import pacing
from assistant.commands import app
from assistant.config import load_config
from assistant.errors import EngineError, OutputError
from assistant.events import Frame
from assistant.hiring import load_engines
from assistant.running import read_costs
from assistant.seeing import keep
from assistant.sessions import idling
from assistant.sessions.counting import count
from assistant.sessions.latency import hold_talks
from assistant.sessions.picture import draw
from assistant.sessions.recordings import read_corpus
from assistant.sessions.scenes import quiet_talk
from assistant.sessions.viewing import frames

SCRIPTED = [f"{slot}.engine=scripted" for slot in ("recogniser", "mind", "eyes", "voice", "endpointing")]
CONTRACT = {
    *("machine", "engines", "voice_to_voice_ms", "overhead_ms", "stages_ms", "false_cutoffs", "curve"),
    *("missed_turns", "duck_ms", "stop_ms", "false_interruptions_per_hour", "interruption_wer"),
    *("false_ducks_per_hour", "missed_interruptions", "history_violations", "self_talk_loops", "wasted_speculation"),
    "cpu_s",
}


def bench(*options):
    sets = [word for key in SCRIPTED for word in ("--set", key)]
    return CliRunner().invoke(app, ["bench", "turns", *sets, *options], catch_exceptions=True)


def test_scenes_are_counted_and_reported(tmp_path, monkeypatch):
    monkeypatch.delenv("ASSISTANT_SHARED", raising=False)
    (tmp_path / "costs.json").write_text('{"mind.reply.first": 0.1}')
    files = ["--picture", str(tmp_path / "turns.png"), "--costs", str(tmp_path / "costs.json")]
    done = bench("--turns", "0", "--scenes", "3", "--json", *files)
    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    assert set(report) >= CONTRACT
    assert report["scenes"]["n"] == 3
    assert report["false_cutoffs"]["n"] == 3
    assert report["false_cutoffs"]["interval"][0] <= report["false_cutoffs"]["per_turn"]
    assert report["false_interruptions_per_hour"]["echo"] is not None
    assert report["missed_interruptions"]["n"] == 2
    assert (report["history_violations"], report["self_talk_loops"], report["troubles"]) == (0, 0, [])
    assert report["history_words"] > 100
    assert report["costs"] == {"mind.reply.first": 0.1}
    assert report["counted_with"]["mind"].startswith("scripted")
    with Pictures.open(tmp_path / "turns.png") as picture:
        assert picture.width > 600
    assert "3 of 3 scenes" in done.stderr


def test_scenes_without_known_costs_are_not_counted(tmp_path):
    done = bench("--turns", "0", "--scenes", "3")
    assert str(done.exception).startswith("wanted what work costs") and "--costs" in str(done.exception)
    (tmp_path / "earlier.json").write_text('{"costs": {"mind.reply.first": 0.2}, "seed": 0}')
    assert read_costs(tmp_path / "earlier.json") == {"mind.reply.first": 0.2}


@pytest.mark.parametrize(
    ("table", "wanted"),
    [(None, "transcripts.tsv"), ("file\ttranscript\nmissing.wav\tone two\n", "missing.wav")],
)
def test_a_corpus_that_cannot_be_used_is_told_in_one_line(tmp_path, table, wanted):
    if table is not None:
        (tmp_path / "transcripts.tsv").write_text(table)
    done = bench("--corpus", str(tmp_path))
    assert done.exit_code != 0
    assert str(done.exception).startswith("wanted ")
    assert wanted in str(done.exception)
    assert "\n" not in str(done.exception)


def test_talks_give_latencies_and_what_an_answer_waited_for():
    config = load_config(None, SCRIPTED, {})
    corpus = read_corpus(None)

    async def main():
        engines = await load_engines(config, {"recogniser.finish": 0.05, "mind.reply.first": 1.0})
        try:
            return await hold_talks(config, engines, [quiet_talk(corpus, 0, 0)], None)
        finally:
            engines.close()

    latencies = pacing.run(main(), fast=True)
    values = latencies.voice_to_voice_ms
    assert len(values) == len(latencies.stages) == len(latencies.overheads) >= 2
    assert all(config.turn.pause_s * 1000 < value < 2500 for value in values)
    # the first sound of a hum is heard at once, so that what was waited for is all there is
    assert all(0 <= overhead.gate_ms < 40 for overhead in latencies.overheads)
    assert all(overhead.lead_in_ms < 10 for overhead in latencies.overheads)


def test_a_scene_is_the_same_in_whichever_process_it_is_played():
    config = load_config(None, SCRIPTED, {})
    corpus = read_corpus(None)
    one, two = (count(config, corpus, 2, {"mind.reply.first": 0.1}, processes=n) for n in (1, 2))
    assert one == two
    assert [outcome.number for outcome in one] == [0, 1]


def test_what_goes_wrong_in_a_process_is_told():
    corpus = read_corpus(None)
    with pytest.raises(EngineError, match="wanted"):
        count(load_config(None, [*SCRIPTED[1:], "assistant.language=zh"], {}), corpus, 1, {})


def test_a_picture_is_drawn_of_whatever_there_is(tmp_path):
    empty = {"voice_to_voice_ms": {"median": None, "p95": None, "n": 0}, "curve": []}
    point = {"scale": 1.0, "voice_to_voice_ms": 500.0, "false_cutoffs": 0.1, "interval": [0.05, 0.2]}
    some = {"voice_to_voice_ms": {"median": 500.0, "p95": 800.0, "n": 3}, "curve": [point]}
    draw(tmp_path / "empty.png", [], empty)
    draw(tmp_path / "some.png", [450.0, 500.0, 800.0], some)
    pixels = [np.asarray(Pictures.open(tmp_path / name).convert("L")) for name in ("empty.png", "some.png")]
    assert (pixels[1] < 128).sum() > (pixels[0] < 128).sum() > 0
    with pytest.raises(OutputError, match="choose another --picture"):
        draw(tmp_path / "no" / "where.png", [], empty)
    with pytest.raises(OutputError, match="choose another --picture"):
        draw(tmp_path / "turns.nothing", [], empty)


def test_watching_a_webcam_in_which_nothing_happens_costs_little(tmp_path):
    """Under a fifth of a core: what 720p at 30 Hz costs to drain, to make pictures of and to judge."""
    picture = np.kron(np.random.default_rng(0).integers(0, 255, (9, 16, 3)), np.ones((40, 40, 1))).astype(np.uint8)
    path = idling.film(tmp_path / "still.avi", picture, 3.0)
    used_s, glimpses, views = time.process_time(), [], 0
    for at_s, image in frames(path, 3.0):
        glimpses, _ = keep(glimpses, Frame(at_s, image), now_s=at_s)
        views += 1
    share = (time.process_time() - used_s) / 3.0
    assert image.shape == (720, 1280, 3) and views == 13 and len(glimpses) == 1
    assert share < 0.2
    with pytest.raises(OutputError, match=r"wanted to write the film .*nowhere.still\.avi"):
        idling.film(tmp_path / "nowhere" / "still.avi", picture, 1.0)
