"""A mind through `transformers`: a vision-language model that is shown the frames, or a text-only one that is not.

Generation runs in a thread of its own while a reply is read, and looks at `stop` before every layer: inside a prefill
too. Knows nothing of caches kept from turn to turn, of quantised weights or of grammars (its minds answer freely).
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator, Sequence
from inspect import signature
from types import SimpleNamespace
from typing import Any

from assistant.backends import Message, Stop, hub
from assistant.errors import EngineError, WeightsError
from assistant.events import Image

CONTEXT_TOKENS = 4096
"""For the rare configuration that does not tell its own."""


class Transformers:
    """The `Mind` seam. `model` is a folder or a name on the hub; whether it sees is read from its configuration.

    `temperature` 0 takes the likeliest token, `seed` makes a warmer one repeatable. Pictures are shrunk to `image_px`
    on their longer side. A name is fetched on first use unless `offline`; what is here is used without asking the hub.
    Raises WeightsError where weights are missing or damaged.
    """

    free = True

    def __init__(
        self,
        model: str = "HuggingFaceTB/SmolVLM2-500M-Video-Instruct",
        device: str = "auto",
        max_tokens: int = 256,
        temperature: float = 0.0,
        seed: int | None = None,
        image_px: int = 768,
        offline: bool = False,
        threads: int = 1,
    ) -> None:
        import torch

        torch.set_num_threads(threads)  # token by token, two threads on two busy cores are three times slower than one
        self.sees, self._model, self._processor = hub.have(
            "mind", model, lambda name: _load(name, device), offline=offline
        )
        self._tokenizer = getattr(self._processor, "tokenizer", self._processor)
        if not getattr(self._processor, "chat_template", None):
            raise WeightsError(f"wanted a model to talk with, '{model}' has no chat template; take an -Instruct model")
        marks = sorted(filter(None, self._tokenizer.get_added_vocab()), key=len, reverse=True)
        # broken up in what was said or read, which could pose as a message or as a picture with them
        self._marks = re.compile("|".join(map(re.escape, marks)) or "(?!)")
        text = self._model.config.get_text_config()
        self.context_tokens: int = getattr(text, "max_position_embeddings", None) or CONTEXT_TOKENS
        self._max_tokens, self._temperature, self._image_px = max_tokens, temperature, image_px
        self._seed = seed
        self._stop: Stop = lambda: False
        _before_layers(self._model, self._ask)

    def count(self, text: str) -> int:
        """How many tokens a text takes."""
        return len(self._tokenizer(text, add_special_tokens=False).input_ids)

    def reply(self, messages: Sequence[Message], stop: Stop, grammar: str | None = None) -> Iterator[str]:
        """The reply, piece by piece, words at a time.

        Raises EngineError for a prompt that leaves no room to answer, and for pictures where it does not see.
        """
        from transformers import TextIteratorStreamer

        if stop():
            return
        inputs = self._encode(messages)
        closed = threading.Event()
        self._stop = lambda: closed.is_set() or stop()
        streamer = TextIteratorStreamer(self._tokenizer, skip_prompt=True, skip_special_tokens=True)
        failures: list[BaseException] = []
        work = threading.Thread(target=self._generate, args=(inputs, streamer, failures), name="assistant-generate")
        work.start()
        try:
            for piece in streamer:
                if stop():
                    return
                if piece:
                    yield piece
        finally:
            closed.set()
            work.join()
        if failures:
            raise EngineError(f"wanted a reply, got '{hub.line(failures[0])}'; try a smaller model") from failures[0]

    def _generate(self, inputs: dict[str, Any], streamer: Any, failures: list[BaseException]) -> None:
        import torch

        if self._seed is not None:
            torch.manual_seed(self._seed)
        warm = {"do_sample": True, "temperature": self._temperature} if self._temperature > 0 else {"do_sample": False}
        pad = self._tokenizer.pad_token_id
        room = self.context_tokens - inputs["input_ids"].shape[1]
        try:
            self._model.generate(
                **inputs,
                **warm,
                streamer=streamer,
                stopping_criteria=[self._ask_per_token],
                max_new_tokens=min(self._max_tokens, room),
                pad_token_id=self._tokenizer.eos_token_id if pad is None else pad,
            )
        except _Stopped:
            pass
        except BaseException as error:  # it belongs to whoever reads the reply, not to this thread
            failures.append(error)
        finally:
            streamer.end()

    def _ask(self) -> None:
        if self._stop():
            raise _Stopped

    def _ask_per_token(self, tokens: Any, scores: Any, **rest: Any) -> Any:
        import torch

        self._ask()
        return torch.zeros(len(tokens), dtype=torch.bool, device=tokens.device)

    def _encode(self, messages: Sequence[Message]) -> dict[str, Any]:
        """Token ids, mask and pictures as tensors on the model's device."""
        from jinja2 import TemplateError

        chat = [{"role": m.role, "content": self._content(m)} for m in messages]
        try:
            encoded = self._processor.apply_chat_template(
                chat, add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt"
            )
        except (TemplateError, ValueError, TypeError, IndexError) as error:
            raise EngineError(
                f"wanted a chat the model's template takes, got '{hub.line(error)}'; shorten it"
            ) from error
        length = encoded["input_ids"].shape[1]
        if length >= self.context_tokens:
            raise EngineError(f"wanted a prompt below {self.context_tokens} tokens, got {length}; shorten it")
        device, dtype = self._model.device, self._model.dtype
        return {name: t.to(device, dtype if t.is_floating_point() else t.dtype) for name, t in encoded.items()}

    def _content(self, message: Message) -> Any:
        text = self._marks.sub(lambda found: f"{found[0][0]} {found[0][1:]}", message.text)
        if self.sees:
            pictures = [{"type": "image", "image": self._picture(image)} for image in message.images]
            return [*pictures, {"type": "text", "text": text}]
        if message.images:
            raise EngineError("wanted messages of text, got pictures, which this mind cannot see; choose one that sees")
        return text

    def _picture(self, image: Image) -> Any:
        from PIL import Image as Pillow

        picture = Pillow.fromarray(image)
        picture.thumbnail((self._image_px, self._image_px))
        return picture


class _Stopped(Exception):
    """Nobody wants the rest."""


def _before_layers(model: Any, ask: Callable[[], None]) -> None:
    """Call `ask` before every layer of the model, of its text and of its vision part."""
    from transformers.modeling_layers import GradientCheckpointingLayer

    for module in model.modules():
        if isinstance(module, GradientCheckpointingLayer):  # what all its layers are made from
            module.register_forward_pre_hook(lambda *_: ask())


# ---------------------------------------------------------------- weights


def _load(model: str, device: str) -> tuple[bool, Any, Any]:
    """Whether it sees, the model, and its processor (a tokenizer where it does not see), from what is here."""
    import transformers
    from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES

    config = transformers.AutoConfig.from_pretrained(model, local_files_only=True)
    sees = config.model_type in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES
    kind: Any = transformers.AutoModelForImageTextToText if sees else transformers.AutoModelForCausalLM
    loaded = hub.weights(kind, model, device)
    if sees:
        return sees, loaded, _processor(model, config.model_type)
    return sees, loaded, transformers.AutoTokenizer.from_pretrained(model, local_files_only=True)


def _processor(model: str, family: str) -> Any:
    """A family's processor; without torchvision, one that takes pictures but no videos.

    Processors with a video part need torchvision for that part alone, and refuse to be made without it.
    """
    import transformers
    from transformers.models.auto.processing_auto import PROCESSOR_MAPPING_NAMES  # type: ignore[attr-defined]
    from transformers.utils.import_utils import is_torchvision_available

    base = getattr(transformers, str(PROCESSOR_MAPPING_NAMES[family]))
    if is_torchvision_available() or "video_processor" not in base.get_attributes():
        return transformers.AutoProcessor.from_pretrained(model, local_files_only=True)

    def check(self: Any, name: str, part: Any) -> Any:
        if name == "video_processor" and part is None:
            return None
        return base.check_argument_for_proper_class(self, name, part)

    settings, _ = base.get_processor_dict(model, local_files_only=True)
    parts = base.get_attributes()
    own = {name: settings[name] for name in signature(base).parameters if name in settings and name not in parts}
    tokenizer = transformers.AutoTokenizer.from_pretrained(model, local_files_only=True)
    own.setdefault("chat_template", tokenizer.chat_template)
    made = type(base.__name__, (base,), {"check_argument_for_proper_class": check})(
        image_processor=transformers.AutoImageProcessor.from_pretrained(model, local_files_only=True),
        tokenizer=tokenizer,
        video_processor=None,
        **own,
    )
    if family == "smolvlm":  # its chat template asks these of the video part, for pictures as well
        made.video_processor = SimpleNamespace(num_frames=1, fps=1)
    return made
