"""A mind through `transformers`: a vision-language model that is shown the frames, or a text-only one that is not.

A reply is a plain generator: read what is new in the prompt (`reading.py`), then choose token by token. Knows nothing
of grammars (its minds answer freely), of templates and pictures (`chat.py`, `picturing.py`) and of caches.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from assistant.backends import Message, Stop, hub
from assistant.backends.chat import Chat, Prompt
from assistant.backends.picturing import Pictures, processor_of
from assistant.backends.reading import Reader, Stopped
from assistant.backends.sampling import Detokeniser, Sampling
from assistant.errors import ConfigError, EngineError, WeightsError
from assistant.speaking.thinking import SpokenOnly, is_tag

CONTEXT_TOKENS = 4096
"""For the rare configuration that does not tell its own."""
THINKING_TOKENS = 1024
"""A model that reasons for longer before it says a word is no partner in a talk."""
QUANTISED = ("none", "4bit")
DTYPES = ("auto", "bfloat16", "float16", "float32")


class Transformers:
    """The `Mind` seam. `model` is a folder or a name on the hub; whether it sees is read from its configuration.

    `device` auto spreads it over the GPUs there are (accelerate), `dtype` auto takes what is quickest there. `quantise`
    4bit needs bitsandbytes. `adapter` is the folder of a LoRA adapter, and needs peft. `temperature` 0 takes the
    likeliest token; `seed` makes a warmer reply repeatable; see `Sampling`. Pictures are shrunk to `image_px` on their
    longer side and to `image_tokens`. Tokens of reasoning are neither told nor counted in `max_tokens`. A name is
    fetched on first use unless `offline`; what is here is used without asking the hub.
    Raises WeightsError where weights are missing, damaged or of an unknown kind, ConfigError for options that are out
    of range or that the model cannot keep, EngineError where a library is missing.
    """

    free = True

    def __init__(
        self,
        model: str = "HuggingFaceTB/SmolVLM2-500M-Video-Instruct",
        device: str = "auto",
        dtype: str = "auto",
        quantise: str = "none",
        adapter: str = "",
        max_tokens: int = 256,
        temperature: float = 0.0,
        top_p: float = 1.0,
        top_k: int = 0,
        min_p: float = 0.0,
        repetition_penalty: float = 1.0,
        seed: int | None = None,
        image_px: int = 768,
        image_tokens: int = 512,
        offline: bool = False,
        threads: int = 1,
    ) -> None:
        import torch

        for name, value, known in (("quantise", quantise, QUANTISED), ("dtype", dtype, DTYPES)):
            if value not in known:
                raise ConfigError(f"wanted mind.transformers.{name} to be one of {', '.join(known)}, got '{value}'")
        self._sampling = Sampling(temperature, top_p, top_k, min_p, repetition_penalty, seed)
        torch.set_num_threads(threads)  # token by token, two threads on two busy cores are three times slower than one
        dtype = hub.quickest_dtype(device) if dtype == "auto" else dtype
        self.sees, loaded, processor = hub.have(
            "mind", model, lambda name: _load(name, device, dtype, quantise), offline=offline
        )
        if not getattr(processor, "chat_template", None):
            raise WeightsError(f"wanted a model to talk with, '{model}' has no chat template; take an -Instruct model")
        if adapter:
            from assistant.backends.adapters import adapted

            loaded = adapted(loaded, model, adapter, merge=quantise == "none")
        place: int = getattr(loaded.config, "image_token_id", -1) if self.sees else -1
        pictures = Pictures(processor, place, image_px, image_tokens) if self.sees else None
        self._model, self._chat, self._reader = loaded, Chat(processor, place, pictures), Reader(loaded)
        self._tokenizer = self._chat.tokenizer
        self._ends, self._silent = _control_tokens(loaded, self._tokenizer)
        text = loaded.config.get_text_config()
        self.context_tokens: int = getattr(text, "max_position_embeddings", None) or CONTEXT_TOKENS
        self._max_tokens = max_tokens
        with hub.quiet(), self._failing(_Asked(lambda: False)):  # what it remarks once should not stand in the talk
            prompt = self._prompt([Message("user", "Hello.")])
            self._reader.read(prompt, len(prompt.ids), lambda: False)
            self._reader.go_on(prompt.ids[0])
        self._reader.forget()

    def count(self, text: str) -> int:
        """How many tokens a text takes."""
        return len(self._tokenizer(text, add_special_tokens=False).input_ids)

    def prefill(self, messages: Sequence[Message], stop: Stop) -> None:
        """Read messages ahead, so that a reply to messages that begin with them starts sooner.

        A last message of the user's without words is one whose words are still to come: its pictures are read.
        Ends soon after `stop` is true, and what was read until then is kept. Raises like `reply`.
        """
        to_come = not messages or messages[-1].role != "user"
        messages = [*messages, Message("user", "")] if to_come else messages
        prompt = self._prompt(messages)
        whole = len(prompt.ids)
        end = whole if messages[-1].text else max((at for at in prompt.seams if at < whole), default=whole)
        asked = _Asked(stop)
        with self._failing(asked):
            self._reader.read(prompt, end, asked)

    def reply(self, messages: Sequence[Message], stop: Stop, grammar: str | None = None) -> Iterator[str]:
        """The reply, piece by piece, without the reasoning that some models do first.

        Ends soon after `stop` is true, also while the prompt is still being read, and as soon as it is closed. Raises
        EngineError for a prompt that leaves no room to answer, for pictures where it does not see, for reasoning
        without an end, and where the model fails.
        """
        if stop():
            return
        prompt = self._prompt(messages)
        spoken = SpokenOnly(starts_thinking=prompt.thinks)
        text = Detokeniser(self._tokenizer.decode)
        told, held, thought = 0, 0, 0
        for token in self._tokens(prompt, stop):
            hidden = spoken.hidden
            piece = "" if token in self._silent else spoken.feed(text.feed(token))
            if hidden or spoken.hidden:
                told, held, thought = told - held, 0, thought + 1  # what was held back was the beginning of a tag
            else:
                told, held = told + 1, held + 1
            if piece:
                held = 0
                yield piece
            if told >= self._max_tokens:
                return
            if thought >= THINKING_TOKENS:
                raise EngineError(f"wanted a reply, got {thought} tokens of reasoning; take a model that does without")
        if not stop() and (piece := spoken.feed(text.finish()) + spoken.finish()):
            yield piece

    def _tokens(self, prompt: Prompt, stop: Stop) -> Iterator[int]:
        """The tokens of a reply, until it ends, the context is full or nobody wants the rest."""
        choose = self._sampling.begin(self._model.device)
        asked = _Asked(stop)
        with self._failing(asked):
            logits = self._reader.read(prompt, len(prompt.ids), asked)
            mine, said = self._reader.reads, list[int]()
            while len(prompt.ids) + len(said) < self.context_tokens:
                if asked():
                    raise Stopped
                if self._reader.reads != mine:  # another reply was begun before this one was closed: it is dropped
                    return
                token = choose(logits, said)
                if token in self._ends:
                    return
                yield token
                said.append(token)
                logits = self._reader.go_on(token)

    def _prompt(self, messages: Sequence[Message]) -> Prompt:
        prompt = self._chat.prompt(messages)
        if len(prompt.ids) >= self.context_tokens:
            raise EngineError(f"wanted a prompt below {self.context_tokens} tokens, got {len(prompt.ids)}; shorten it")
        return prompt

    @contextmanager
    def _failing(self, asked: _Asked) -> Iterator[None]:
        """What fails inside ends as an EngineError, and with nothing kept that it may have spoilt. What `stop` itself
        raised is raised as it is.
        """
        import torch

        try:
            yield
        except Stopped:
            if asked.error is not None:
                raise asked.error from None
        except (RuntimeError, ValueError, IndexError, TypeError) as error:
            self._reader.forget()
            if isinstance(error, torch.OutOfMemoryError):
                torch.cuda.empty_cache()
                cure = "take a smaller model, fewer mind.transformers.image_tokens, or quantise to 4bit"
                raise EngineError(f"wanted a reply, got a full {self._model.device}; {cure}") from error
            raise EngineError(f"wanted a reply, got '{hub.line(error)}'; try another model") from error


class _Asked:
    """A `stop` that means yes where it fails; its error is kept, or it would pass for one of the model's."""

    def __init__(self, stop: Stop) -> None:
        self._stop = stop
        self.error: BaseException | None = None

    def __call__(self) -> bool:
        try:
            return self._stop()
        except BaseException as error:  # it belongs to whoever gave the stop, and is raised to them
            self.error = error
            return True


def _control_tokens(model: Any, tokenizer: Any) -> tuple[set[int], set[int]]:
    """The tokens that end a reply, and those that say nothing: all control tokens but the tags of reasoning."""
    ends = model.generation_config.eos_token_id
    ends = {*(ends if isinstance(ends, list) else [ends]), tokenizer.eos_token_id} - {None}
    added = tokenizer.added_tokens_decoder
    return ends, {token for token, of in added.items() if of.special and not is_tag(of.content)}


def _load(model: str, device: str, dtype: str, quantise: str) -> tuple[bool, Any, Any]:
    """Whether it sees, the model, and its processor (a tokenizer where it does not see), from what is here."""
    import transformers
    from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES

    config = transformers.AutoConfig.from_pretrained(model, local_files_only=True)
    sees = config.model_type in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES
    kind: Any = transformers.AutoModelForImageTextToText if sees else transformers.AutoModelForCausalLM
    loaded = hub.weights(kind, model, device, dtype, quantise)
    if sees:
        return sees, loaded, processor_of(model, config.model_type)
    return sees, loaded, transformers.AutoTokenizer.from_pretrained(model, local_files_only=True)
