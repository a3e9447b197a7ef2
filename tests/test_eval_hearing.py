"""Hearing recordings and measuring it, on the built-in recogniser."""

import shutil

import numpy as np
import pytest
import soundfile

from assistant.backends.pocketsphinx import PocketSphinx
from assistant.backends.silero import Silero
from assistant.demo import script
from assistant.errors import SourceError
from assistant.sessions.hearing import evaluate_hearing, hear_file


@pytest.fixture(scope="module")
def ears():
    return PocketSphinx(), Silero()


def test_the_demos_questions_are_heard_word_for_word_with_their_times(ears):
    demo = script()
    words = hear_file(demo.sound, ears[0], ears[1], "en")
    assert words.text == " ".join(question.text for question in demo.questions)
    began = [w.began_s for w in words.words]
    assert began == sorted(began)
    assert began[0] == pytest.approx(demo.questions[0].began_s, abs=0.3)


def test_errors_are_counted_and_what_cannot_be_read_is_told(ears, tmp_path):
    demo = script()
    pcm, rate_hz = soundfile.read(demo.sound)
    for i, q in enumerate(demo.questions[:2]):
        clip = pcm[int((q.began_s - 0.3) * rate_hz) : int((q.ended_s + 0.3) * rate_hz)]
        soundfile.write(tmp_path / f"{i}.wav", clip, rate_hz)
    wrong = demo.questions[1].text.split()
    wrong[-1] = "elephants"
    table = ["file\tlang\ttranscript", f"0.wav\ten\t{demo.questions[0].text.title()}?", f"1.wav\ten\t{' '.join(wrong)}"]
    table += ["gone.wav\ten\tnever", "zh.wav\tzh\t你好"]
    (tmp_path / "transcripts.tsv").write_text("\n".join(table) + "\n", encoding="utf-8")
    (tmp_path / "nonspeech").mkdir()
    soundfile.write(tmp_path / "nonspeech" / "silence.wav", np.zeros(16000), 16000)
    (tmp_path / "nonspeech" / "list.tsv").write_text("file\twhat\nsilence.wav\tsilence\nlost.wav\tnothing\n")
    report = evaluate_hearing(tmp_path, *ears)
    total = sum(len(q.text.split()) for q in demo.questions[:2])
    assert report["wer"] == pytest.approx(1 / total, abs=1e-3)
    assert (report["n"], report["left_out"], report["invented"]) == (2, 1, [])
    assert [failure["file"] for failure in report["failures"]] == ["gone.wav", "nonspeech/lost.wav"]
    assert report["final_latency_ms"] > 0


@pytest.mark.parametrize(
    "table", [None, "", "a\tb\n1\t2\n", "file\ttranscript\na.wav\n", "file\ttranscript\na.wav\t\n"]
)
def test_a_folder_without_a_usable_table_is_told(ears, tmp_path, table):
    if table is not None:
        (tmp_path / "transcripts.tsv").write_text(table)
    with pytest.raises(SourceError, match=r"transcripts\.tsv"):
        evaluate_hearing(tmp_path, *ears)


def test_word_error_on_real_recordings_is_as_the_readme_says(ears, shared, tmp_path):
    folder = tmp_path / "speech"
    folder.mkdir()
    rows = (shared / "data/speech/transcripts.tsv").read_text(encoding="utf-8").splitlines()
    kept = [row for row in rows[1:] if "\ten\t" in row][:10]
    for row in kept:
        name = row.split("\t")[0]
        shutil.copy(shared / "data/speech" / name, folder / name)
    (folder / "transcripts.tsv").write_text("\n".join([rows[0], *kept]) + "\n", encoding="utf-8")
    report = evaluate_hearing(folder, *ears)
    assert report["n"] == 10 and not report["failures"]
    assert 0 <= report["wer"] < 0.5
