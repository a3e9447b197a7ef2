"""A model of the transformers library that remembers what it has read, so that only what is new in a prompt is read.

What was read lies in a cache of the library's. Full attention can be cut back to any token. A sliding window and
recurrent states cannot, so they are copied at the seams of a prompt, and going back means taking the last copy before
the place and reading on from there. Either way the logits are those of a fresh read. Knows nothing of messages.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from inspect import signature
from typing import Any

from assistant.backends import Stop, layers
from assistant.backends.chat import Prompt, shared
from assistant.backends.picturing import Shown

CPU_CHUNK_TOKENS, GPU_CHUNK_TOKENS = 64, 256
"""Tokens per step. `stop` is asked before every layer too, but a layer takes a step at a time."""
MARKS = 4
"""copies of what cannot be cut back, per prompt"""
PROMPTS = 2
"""prompts that are remembered: the talk's, and another one (a picture described in between)"""
ALIKE = 16
"""A prompt that shares fewer tokens with a remembered one is another prompt; templates begin alike."""
FEATURES = 4
"""pictures whose features are kept: the same one is asked about turn after turn"""


class Stopped(Exception):
    """Nobody wants the rest."""


@dataclass(frozen=True, slots=True, eq=False)
class _Mark:
    """A place to go back to: how many tokens had been read, what cannot be cut back, and the logits after them."""

    length: int
    layers: Sequence[Any]
    logits: Any = None


@dataclass(slots=True, eq=False)
class _Read:
    """A prompt that was read, with the reply that followed it."""

    cache: Any
    keys: list[int] = field(default_factory=list)
    marks: list[_Mark] = field(default_factory=list)


class Reader:
    """One model and the prompts that it has read. Not thread-safe: whoever owns it calls from one thread."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._takes = frozenset(signature(model.forward).parameters)
        self._positions_of = getattr(getattr(model, "model", None), "get_rope_index", None)
        self._chunk = CPU_CHUNK_TOKENS if model.device.type == "cpu" else GPU_CHUNK_TOKENS
        self._asked: Stop = lambda: False
        self._features: dict[int, Any] = {}
        self._prompts: list[_Read] = []
        self._next_position: Any = None
        self.reads = 0
        """how often something was read: a reply can go on only while nothing else was"""
        _before_layers(model, self)

    def forget(self) -> None:
        """Drop everything that was read; the memory goes with it."""
        self._prompts.clear()
        self._features.clear()

    def read(self, prompt: Prompt, end: int, stop: Stop) -> Any:
        """Read a prompt up to token `end`; returns the logits of what follows, [1, vocabulary].

        Raises Stopped once `stop` is true, which is asked before every layer; what was read until then is kept.
        """
        self.reads += 1
        read = self._likest(prompt.keys[:end])
        logits = self._rewind(read, prompt, end)
        if logits is not None:
            self._place(prompt)
            return logits
        positions = self._place(prompt)
        self._asked = stop
        try:
            for begin, to in prompt.steps(len(read.keys), end, self._chunk):
                if stop():
                    raise Stopped
                logits = self._step(read, prompt, begin, to, positions)
                if to in prompt.seams or to == end:
                    read.marks = [*read.marks[1 - MARKS :], _Mark(to, layers.copied(read.cache), logits)]
        finally:
            self._asked = lambda: False
        return logits

    def go_on(self, token: int) -> Any:
        """Read one more token, of the reply to the prompt that was read last; returns the logits of what follows."""
        read = self._prompts[-1]
        position: dict[str, Any] = {}
        if self._next_position is not None:
            position = {"position_ids": self._next_position}
            self._next_position = self._next_position + 1
        logits = self._forward(read, [token], position)
        read.keys.append(token)
        return logits

    # ---------------------------------------------------------------- going back

    def _likest(self, keys: Sequence[int]) -> _Read:
        """The remembered prompt that begins most like this one, or a new one; it becomes the newest."""
        best = max(self._prompts, key=lambda read: shared(read.keys, keys), default=None)
        if best is not None and shared(best.keys, keys) >= min(ALIKE, len(best.keys)):
            self._prompts.remove(best)
        else:
            best = _Read(self._empty())
            self._prompts = self._prompts[-(PROMPTS - 1) :]
        self._prompts.append(best)
        return best

    def _rewind(self, read: _Read, prompt: Prompt, end: int) -> Any:
        """Go back to where a prompt parts from what was read; returns the logits where all of it was."""
        alike = shared(read.keys, prompt.keys[:end])
        read.marks = [mark for mark in read.marks if mark.length <= alike]
        if alike == end and read.marks and read.marks[-1].length == end:
            self._back(read, read.marks[-1])
            return read.marks[-1].logits
        alike = prompt.outside(min(alike, end - 1))  # the last token is read again for the logits after it
        if alike < len(read.keys):
            if layers.can_be_cut(read.cache):
                self._back(read, _Mark(alike, layers.ALL_CUT))
            else:
                begin = _Mark(0, self._empty().layers)
                self._back(read, [begin, *(mark for mark in read.marks if mark.length <= alike)][-1])
        return None

    def _empty(self) -> Any:
        from transformers import DynamicCache

        return DynamicCache(config=self._model.config)

    def _back(self, read: _Read, mark: _Mark) -> None:
        layers.back(read.cache, mark.layers, mark.length)
        del read.keys[mark.length :]

    # ---------------------------------------------------------------- one step

    def _step(self, read: _Read, prompt: Prompt, begin: int, end: int, positions: Any) -> Any:
        """Read some tokens of a prompt; if that fails, or is stopped, it is as if they had not been begun."""
        before = _Mark(begin, layers.copied(read.cache))
        try:
            more = self._seen(prompt, begin, end)
            if positions is not None:
                more["position_ids"] = positions[..., begin:end]
            logits = self._forward(read, prompt.ids[begin:end], more)
        except BaseException:
            self._back(read, before)
            raise
        read.keys += prompt.keys[begin:end]
        return logits

    def _forward(self, read: _Read, ids: Sequence[int], more: dict[str, Any]) -> Any:
        import torch

        if "logits_to_keep" in self._takes:
            more["logits_to_keep"] = 1
        tokens = torch.tensor([ids], device=self._model.device)
        with torch.inference_mode():
            made = self._model(input_ids=tokens, past_key_values=read.cache, use_cache=True, **more)
        return made.logits[:, -1]

    def _place(self, prompt: Prompt) -> Any:
        """Positions [3, 1, tokens] of a family that gives pictures rows and columns, and where a reply goes on.

        The model would keep the difference to plain counting by itself, one for all prompts: here it follows from the
        prompt each time.
        """
        import torch

        self._next_position = None
        if self._positions_of is None:
            return None
        ids = torch.tensor([prompt.ids])
        kinds = torch.zeros_like(ids, dtype=torch.int)
        for begin, end, _ in prompt.spans:
            kinds[0, begin:end] = 1
        grids = [shown.tensors["image_grid_thw"] for _, _, shown in prompt.spans]
        with torch.inference_mode():
            positions, _ = self._positions_of(
                input_ids=ids, image_grid_thw=torch.cat(grids) if grids else None, mm_token_type_ids=kinds
            )
        positions = positions.to(self._model.device)
        self._next_position = (positions.max() + 1).expand(3, 1, 1)
        return positions

    def _seen(self, prompt: Prompt, begin: int, end: int) -> dict[str, Any]:
        """What the model wants to know of the picture that it reads now; nothing for text."""
        import torch

        shown = next((shown for first, last, shown in prompt.spans if (first, last) == (begin, end)), None)
        if shown is None:
            return {}
        more = self._features_of(shown)
        if "token_type_ids" in self._takes:  # a family whose picture tokens look at one another both ways
            kinds = torch.zeros(1, end, dtype=torch.int, device=self._model.device)  # counted from the prompt's begin
            kinds[0, begin:] = 1
            more["token_type_ids"] = kinds
        return more

    def _features_of(self, shown: Shown) -> dict[str, Any]:
        """The picture through the vision part, or its pixels for a model that takes nothing else."""
        import torch

        device, dtype = self._model.device, self._model.dtype
        given = {
            name: tensor.to(device, dtype if tensor.is_floating_point() else tensor.dtype)
            for name, tensor in shown.tensors.items()
            if shown.key not in self._features
        }
        if "mm_encoder_outputs" not in self._takes:
            return given
        if shown.key not in self._features:
            look = self._model.get_image_features
            takes = signature(look).parameters
            with torch.inference_mode():
                made = look(**{name: tensor for name, tensor in given.items() if name in takes}, return_dict=True)
            self._features[shown.key] = made
            if len(self._features) > FEATURES:
                del self._features[next(iter(self._features))]
        return {"mm_encoder_outputs": {"image": self._features[shown.key]}}

    def ask(self) -> None:
        """Raise Stopped if the prompt that is being read is wanted no more."""
        if self._asked():
            raise Stopped


def _before_layers(model: Any, reader: Reader) -> None:
    """Have the reader ask before every layer of the model, of its text and of its vision part."""
    from transformers.modeling_layers import GradientCheckpointingLayer

    for module in model.modules():
        if isinstance(module, GradientCheckpointingLayer):  # what all its layers are made from
            module.register_forward_pre_hook(lambda *_: reader.ask())
