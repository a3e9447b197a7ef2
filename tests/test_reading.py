"""What a model has read is kept and gone back to exactly: random tiny models of every family, against a fresh read.

Tiny random weights say nothing, but their logits differ in the fifth digit where a position, a window or a recurrent
state is wrong; a kept prompt and a fresh one differ in the seventh.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import tiny_models

from assistant.backends import Message
from assistant.backends.reading import FEATURES, MARKS, PROMPTS, Stopped
from assistant.backends.transformers import Transformers
from assistant.errors import EngineError
from assistant.events import Image

SYSTEM = Message("system", "Be brief. You are shown pictures, and asked what is in them.")
HELLO = [SYSTEM, Message("user", "Hello, can you see?")]
TALK = [*HELLO, Message("assistant", "Yes.")]
FAMILIES = tuple(tiny_models.PICTURE_MARKS)


def never() -> bool:
    return False


def picture(seed: int, height: int = 48, width: int = 64) -> Image:
    return np.random.default_rng(seed).integers(0, 255, (height, width, 3), dtype=np.uint8)


def asked(words: str, *seeds: int) -> Message:
    return Message("user", words, tuple(map(picture, seeds)))


@pytest.fixture(scope="module")
def minds(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], tuple[Transformers, Transformers]]:
    """Two minds on the same weights: one that keeps what it read, and one that is made to forget."""
    root = tmp_path_factory.mktemp("minds")
    made: dict[str, tuple[Transformers, Transformers]] = {}

    def pair(family: str) -> tuple[Transformers, Transformers]:
        if family not in made:
            folder = str(tiny_models.random_seeing_mind(root / family, family))
            made[family] = Transformers(folder, dtype="float32"), Transformers(folder, dtype="float32")
        for mind in made[family]:
            mind._reader.forget()
        return made[family]

    return pair


def logits(mind: Transformers, messages: list[Message]) -> Any:
    prompt = mind._prompt(messages)
    return mind._reader.read(prompt, len(prompt.ids), never).clone()


def fresh(mind: Transformers, messages: list[Message]) -> Any:
    mind._reader.forget()
    return logits(mind, messages)


def same(some: Any, others: Any) -> bool:
    return float((some - others).abs().max()) < 1e-6


@contextmanager
def counted(mind: Transformers) -> Iterator[dict[str, int]]:
    """How many tokens the model read, and how many pictures its vision part looked at."""
    counts = {"tokens": 0, "pictures": 0}

    def read(module: Any, args: Any, kwargs: dict[str, Any]) -> None:
        counts["tokens"] += kwargs["input_ids"].shape[1]

    def looked(*_: Any) -> None:
        counts["pictures"] += 1

    sight = ("visual", "vision_model", "vision_tower")
    eye = next(part for name, part in mind._model.named_modules() if name.endswith(sight))
    hooks = mind._model.register_forward_pre_hook(read, with_kwargs=True), eye.register_forward_pre_hook(looked)
    try:
        yield counts
    finally:
        for hook in hooks:
            hook.remove()


# ---------------------------------------------------------------- as the library reads it


@pytest.mark.parametrize("family", FAMILIES)
def test_a_chat_is_read_as_the_library_reads_it_in_one_go(minds: Any, family: str) -> None:
    import torch
    from PIL import Image as Pillow

    mind, _ = minds(family)
    messages = [*TALK, asked("What is this?", 1), Message("assistant", "Noise."), asked("Sure? " * 12)]
    chat = [
        {
            "role": m.role,
            "content": [
                *({"type": "image", "image": Pillow.fromarray(image)} for image in m.images),
                {"type": "text", "text": m.text},
            ],
        }
        for m in messages
    ]
    whole = mind._chat._pictures._processor.apply_chat_template(
        chat, add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt"
    )
    assert list(mind._prompt(messages).ids) == whole["input_ids"][0].tolist()
    with torch.inference_mode():
        theirs = mind._model(**whole, use_cache=False).logits[:, -1]
    assert same(logits(mind, messages), theirs)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_reply_goes_on_where_the_prompt_ended(minds: Any, family: str) -> None:
    mind, other = minds(family)
    prompt = mind._prompt([*TALK, asked("What is this?", 1)])
    mind._reader.read(prompt, len(prompt.ids), never)
    tokens = tuple(b"a dot")
    for token in tokens:
        after = mind._reader.go_on(token)
    longer = replace(prompt, ids=prompt.ids + tokens, keys=prompt.keys + tokens)
    assert same(after, other._reader.read(longer, len(longer.ids), never))


# ---------------------------------------------------------------- kept from turn to turn


@pytest.mark.parametrize("family", FAMILIES)
def test_three_turns_with_a_new_picture_in_the_second_read_only_what_is_new(minds: Any, family: str) -> None:
    mind, other = minds(family)
    turns = [asked("What is this?", 1), asked("And this?", 2), asked("Which is larger?")]
    talk = list(TALK)
    for turn, pictures in zip(turns, (1, 1, 0), strict=True):
        before = len(mind._reader._prompts[-1].keys) if mind._reader._prompts else 0
        talk.append(turn)
        with counted(mind) as counts:
            kept = logits(mind, talk)
        assert same(kept, fresh(other, talk))
        assert counts["pictures"] == pictures
        assert counts["tokens"] <= len(mind._prompt(talk).ids) - before + 1
        talk.append(Message("assistant", "Noise."))


@pytest.mark.parametrize("family", FAMILIES)
def test_after_an_interruption_the_next_turn_is_as_if_fresh(minds: Any, family: str) -> None:
    mind, other = minds(family)
    question = [*TALK, asked("What is this?", 1)]
    prompt = mind._prompt(question)
    mind._reader.read(prompt, len(prompt.ids), never)
    for token in b"It is a very long story that nobody wants to hear":  # longer than the window
        mind._reader.go_on(token)
    heard = [*question, Message("assistant", "It is a very …")]
    with counted(mind) as counts:
        kept = logits(mind, [*heard, asked("Stop!")])
    assert same(kept, fresh(other, [*heard, asked("Stop!")]))
    assert counts["pictures"] == 0
    assert counts["tokens"] <= len(mind._prompt([*heard, asked("Stop!")]).ids) - len(prompt.ids) + 1


@pytest.mark.parametrize("family", FAMILIES)
def test_a_history_without_its_pictures_is_read_from_where_they_stood(minds: Any, family: str) -> None:
    mind, other = minds(family)
    list(mind.reply([*TALK, asked("What is this?", 1)], never))
    following = [*TALK, asked("What is this?"), Message("assistant", "Noise."), asked("And now?", 1)]
    begin = mind._prompt([*TALK, asked("x", 1)]).seams[0]
    with counted(mind) as counts:
        kept = logits(mind, following)
    assert same(kept, fresh(other, following))
    assert counts["pictures"] == 0  # the same one as before: its features are still there
    assert counts["tokens"] == len(mind._prompt(following).ids) - begin


# ---------------------------------------------------------------- read ahead


@pytest.mark.parametrize("family", FAMILIES)
def test_what_was_read_ahead_is_not_read_again_whatever_the_words_are(minds: Any, family: str) -> None:
    mind, other = minds(family)
    mind.prefill(TALK, never)
    mind.prefill([*TALK, asked("", 1)], never)
    for words in ("What is", "What is this?", "Wait"):
        turn = [*TALK, asked(words, 1)]
        with counted(mind) as counts:
            kept = logits(mind, turn)
        assert same(kept, fresh(other, turn))
        assert counts["pictures"] == 0
        assert counts["tokens"] < 30
    with counted(mind) as counts:
        assert same(logits(mind, [*TALK, asked("Wait", 1)]), kept)
    assert counts["tokens"] == 0


@pytest.mark.parametrize("family", FAMILIES)
def test_reading_can_be_stopped_before_every_layer_and_taken_up_again(minds: Any, family: str) -> None:
    mind, other = minds(family)
    turn = [*TALK, asked("What is this?", 1)]
    prompt = mind._prompt(turn)
    whole = fresh(other, turn)
    stopped = 0
    for most in range(1, 60, 3):
        left = [most]

        def stop(left: list[int] = left) -> bool:
            left[0] -= 1
            return left[0] < 0

        mind._reader.forget()
        try:
            mind._reader.read(prompt, len(prompt.ids), stop)
        except Stopped:
            stopped += 1
        assert same(mind._reader.read(prompt, len(prompt.ids), never), whole)
    assert stopped >= 4


def test_a_stop_is_asked_for_at_every_step_of_a_prompt(minds: Any) -> None:
    mind, _ = minds("smolvlm")
    asks: list[int] = []
    with counted(mind) as counts:
        mind.prefill([*TALK, asked("word " * 200)], lambda: len(asks) > 20 or asks.append(1))  # type: ignore[func-returns-value]
    assert 0 < counts["tokens"] < 700


# ---------------------------------------------------------------- bounds


def test_another_prompt_in_between_does_not_cost_the_talk_what_it_read(minds: Any) -> None:
    mind, other = minds("lfm2_vl")
    logits(mind, [*TALK, asked("What is this?", 1)])
    aside = [Message("user", "Describe the picture in one sentence.", (picture(3),))]
    assert same(logits(mind, aside), fresh(other, aside))
    following = [*TALK, asked("What is this?", 1), Message("assistant", "Noise."), asked("Sure?")]
    with counted(mind) as counts:
        assert same(logits(mind, following), fresh(other, following))
    assert counts["tokens"] < 50


@pytest.mark.parametrize("family", ["smolvlm", "lfm2_vl", "gemma3"])
def test_late_in_a_long_talk_a_change_of_mind_costs_as_little(minds: Any, family: str) -> None:
    mind, other = minds(family)
    talk = list(TALK)
    for turn in range(6):
        talk += [asked("And this?", turn), Message("assistant", "Noise.")]
        logits(mind, [*talk, asked("", 9)])
    with counted(mind) as counts:
        kept = logits(mind, [*talk, asked("Wait", 9)])
    assert same(kept, fresh(other, [*talk, asked("Wait", 9)]))
    assert counts["pictures"] == 0
    assert counts["tokens"] < 20


@pytest.mark.parametrize("family", ["smolvlm", "lfm2_vl", "gemma3"])
def test_what_is_kept_stays_bounded(minds: Any, family: str) -> None:
    mind, _ = minds(family)
    talk = list(TALK)
    for turn in range(8):
        talk += [asked("And this?", turn), Message("assistant", "Noise.")]
        logits(mind, [*talk, asked("?")])
        logits(mind, [Message("user", f"{turn} is another prompt of its own")])
    assert len(mind._reader._prompts) <= PROMPTS
    assert all(len(read.marks) <= MARKS for read in mind._reader._prompts)
    assert len(mind._reader._features) <= FEATURES


def test_a_reply_that_another_one_overtook_ends(minds: Any) -> None:
    mind, _ = minds("smolvlm")
    first = mind.reply([*TALK, asked("Count.")], never)
    assert next(first)
    list(mind.reply([*TALK, asked("Wait.")], never))
    with counted(mind) as counts:
        list(first)
    assert counts["tokens"] <= 1


# ---------------------------------------------------------------- failing


def test_a_full_memory_ends_the_reply_and_drops_what_was_kept(minds: Any) -> None:
    import torch

    mind, other = minds("qwen3_vl")
    turn = [*TALK, asked("What is this?", 1)]
    reply = mind.reply(turn, never)
    next(reply)

    def full(*_: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB")

    hook = mind._model.register_forward_pre_hook(full)
    try:
        with pytest.raises(EngineError, match="wanted a reply, got a full cpu; take a smaller model"):
            list(reply)
        assert mind._reader._prompts == []
        with pytest.raises(EngineError, match="full cpu"):
            mind.prefill(turn, never)
    finally:
        hook.remove()
    assert same(logits(mind, turn), fresh(other, turn))
