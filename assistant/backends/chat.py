"""A chat as a model of the transformers library reads it: token ids, with pictures in their places.

Renders a model's own template. Knows nothing of weights and caches.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from assistant.backends import Message, hub
from assistant.backends.picturing import Pictures, Shown
from assistant.errors import EngineError
from assistant.speaking.thinking import left_open

_OTHER_WORDS = "\ue000"
"""words that nobody says: where a prompt with them parts from another, the words of the last message begin"""


@dataclass(frozen=True, slots=True, eq=False)
class Prompt:
    """What a model reads. `spans`: from which token up to which one a picture stands; they are read in one go.

    `keys` are the ids, but within a picture its key: two prompts say the same as far as their keys are the same.
    `seams`, rising, are where a later prompt is likely to part from this one; the last is its length.
    `thinks`: it ends inside the model's thinking.
    """

    ids: tuple[int, ...]
    keys: tuple[int, ...]
    spans: tuple[tuple[int, int, Shown], ...]
    seams: tuple[int, ...]
    thinks: bool

    def steps(self, begin: int, end: int, size: int) -> Iterator[tuple[int, int]]:
        """From where to where to read at a time: at most `size` tokens, or a whole picture, never over a seam."""
        pictures = {first: last for first, last, _ in self.spans}
        edges = sorted({*pictures, *pictures.values(), *self.seams, end})
        while begin < end:
            edge = next(at for at in edges if at > begin)
            edge = edge if begin in pictures else min(edge, begin + size)
            yield begin, edge
            begin = edge

    def outside(self, at: int) -> int:
        """`at`, or where the picture that it lies in begins."""
        return next((first for first, last, _ in self.spans if first < at < last), at)


def shared(some: Sequence[int], others: Sequence[int]) -> int:
    """How long two sequences are the same."""
    return next((i for i, (a, b) in enumerate(zip(some, others, strict=False)) if a != b), min(len(some), len(others)))


class Chat:
    """What turns messages into prompts for one model; `pictures` is None for one that does not see."""

    def __init__(self, processor: Any, place: int, pictures: Pictures | None) -> None:
        self._place, self._pictures = place, pictures
        self.tokenizer = getattr(processor, "tokenizer", processor)
        marks = sorted(filter(None, self.tokenizer.get_added_vocab()), key=len, reverse=True)
        # broken up in what was said or read, which could pose as a message or as a picture with them
        self._marks = re.compile("|".join(map(re.escape, marks)) or "(?!)")
        bos = self.tokenizer.bos_token
        adds = getattr(processor, "text_kwargs", {}).get("add_special_tokens", True) if pictures is not None else False
        template = processor.chat_template
        self._template = template.get("default") if isinstance(template, dict) else template
        self._adds = lambda text: adds and not (bos and text.startswith(bos))

    def prompt(self, messages: Sequence[Message]) -> Prompt:
        """The prompt that asks for a reply to the messages.

        Raises EngineError where the template does not take them, and for pictures where the model does not see.
        """
        text, shown = self._rendered(messages)
        ids = self._ids(text)
        spans = self._spans(ids, shown)
        keys = list(ids)
        for begin, end, picture in spans:
            keys[begin:end] = [picture.key] * (end - begin)
        other, _ = self._rendered([*messages[:-1], replace(messages[-1], text=_OTHER_WORDS, images=())])
        words = shared(keys, self._ids(other))
        seams = sorted({words, len(ids), *(end for _, end, _ in spans[-1:] if end > words)})
        return Prompt(tuple(ids), tuple(keys), spans, tuple(seams), left_open(text))

    def _rendered(self, messages: Sequence[Message]) -> tuple[str, list[Shown]]:
        from jinja2 import TemplateError

        shown: list[Shown] = []
        chat = [{"role": m.role, "content": self._content(m, shown)} for m in messages]
        try:
            text = self.tokenizer.apply_chat_template(
                chat, chat_template=self._template, add_generation_prompt=True, tokenize=False, enable_thinking=False
            )
        except (TemplateError, ValueError, TypeError, IndexError, KeyError) as error:
            raise EngineError(
                f"wanted a chat the model's template takes, got '{hub.line(error)}'; shorten it"
            ) from error
        if self._pictures is None:
            return text, shown
        first, *parts = text.split(self._pictures.mark)
        if len(parts) != len(shown):
            raise EngineError(
                f"wanted {len(shown)} pictures in the chat, got a template that shows {len(parts)}; take another model"
            )
        return first + "".join(picture.text + part for picture, part in zip(shown, parts, strict=True)), shown

    def _content(self, message: Message, shown: list[Shown]) -> Any:
        text = self._marks.sub(lambda found: f"{found[0][0]} {found[0][1:]}", message.text)
        if self._pictures is not None:
            shown += map(self._pictures.shown, message.images)
            return [*({"type": "image"} for _ in message.images), {"type": "text", "text": text}]
        if message.images:
            raise EngineError("wanted messages of text, got pictures, which this mind cannot see; choose one that sees")
        return text

    def _ids(self, text: str) -> list[int]:
        return self.tokenizer(text, add_special_tokens=self._adds(text)).input_ids

    def _spans(self, ids: list[int], shown: list[Shown]) -> tuple[tuple[int, int, Shown], ...]:
        places = [at for at, token in enumerate(ids) if token == self._place]
        if len(places) != sum(picture.places for picture in shown):
            raise EngineError(
                f"wanted {sum(picture.places for picture in shown)} places for pictures in the prompt, got "
                f"{len(places)}; take another model"
            )
        spans, at = [], 0
        for picture in shown:
            spans.append((places[at], places[at + picture.places - 1] + 1, picture))
            at += picture.places
        return tuple(spans)
