"""What the README tells people to type works."""

import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from assistant.config import load_config

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```sh\n(.*?)```", README, re.S)
COMMANDS = [
    *sorted(set(re.findall(r"`assistant ((?:demo|hear|look|say|devices)\b)", README))),
    *("run", "doctor", "config show", "config check", "eval hearing", "eval seeing", "bench turns", "bench engines"),
    *(f"models {what}" for what in ("list", "pull", "verify", "where", "remove")),
]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_with_an_example(command):
    assert command.split()[-1] in README
    done = subprocess.run(
        [sys.executable, "-m", "assistant", *command.split(), "--help"], capture_output=True, text=True, check=True
    )
    assert "Example: assistant" in done.stdout


def test_the_two_commands_install_what_this_project_declares():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    demo, tests = (next(b for b in BLOCKS if end in b).strip() for end in ("assistant demo", "pytest"))
    assert "\n" not in demo and "\n" not in tests
    extras = re.findall(r"\.\[(\w+)\]", tests)
    assert extras == ["dev"] and "dev" in project["optional-dependencies"]
    assert "assistant" in project["scripts"]


def test_the_configuration_it_shows_is_accepted():
    sets = re.findall(r"--set ([a-z_.]+=[^\s`]+)", README)
    assert sets
    config = load_config(sets=sets, environ={"ASSISTANT_TURN__END_S": "0.7"})
    assert config.turn.end_s == 0.7


def test_its_talk_over_files_happens(first_question, tmp_path):
    """The README's own line, with the demo's first question and picture under the names it uses."""
    from assistant.demo import script

    demo = script()
    question = demo.questions[0]
    (tmp_path / "question.wav").write_bytes(first_question.read_bytes())
    (tmp_path / "photo.jpg").write_bytes(demo.pictures[0][1].read_bytes())
    line = next(line for block in BLOCKS for line in block.splitlines() if "--microphone question.wav" in line)
    command = [sys.executable, "-m", *shlex.split(line)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert f"you: {question.text}" in done.stdout
    assert all(expected in done.stdout for expected in question.expected)
    assert (tmp_path / "answer.wav").stat().st_size > 10_000
    assert '"exchange"' in (tmp_path / "events.jsonl").read_text(encoding="utf-8")
