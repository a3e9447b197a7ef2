"""A mind on llama.cpp, by `xllamacpp`: any GGUF file, and by default the very small one that a wheel carries.

With a projector beside the model it sees. Knows nothing of conversations (messages in, text out), nor how the engine is
kept to itself (`llama_cpp`).
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from assistant.backends import Message, Stop
from assistant.backends.cores import free_threads
from assistant.backends.gguf import PROJECTOR, Header, read_header
from assistant.backends.llama_cpp import Engine, Refusal
from assistant.backends.projector import check_projector
from assistant.backends.wire import chat
from assistant.errors import EngineError, WeightsError
from assistant.models import StoreSettings, catalogue, fetch

BUILT_IN = "smollm2-135m-instruct-q4_1"

COUNTS_KEPT = 2048

FREE_PARAMETERS = 300_000_000
"""From so many weights on a model is trusted to answer freely. The built-in one (135 million) wanders, whatever it is
shown, and needs code to decide what answers; the next larger of its kind have 360 million.
"""


class Llama:
    """A mind on llama.cpp. `model` is a name of the catalogue or the path of a `.gguf` file.

    `mmproj`, a name or a path too, is the model's projector; with one it sees pictures, at most `image_px` a side, and
    is stopped between the parts that some families cut one into (SmolVLM), not in the middle of a part.
    `free`: whether it is trusted to answer freely from evidence; "auto" trusts a model of 300 million weights and more.
    `context_tokens` holds the prompt and the reply. `threads` 0 leaves one core to hearing and speaking, which run at
    the same time: with as many threads as cores, other work on them made it 2 to 20 times slower (measured).
    `temperature` 0 is greedy, and with a `seed` above it the same calls in the same order get the same replies.
    `max_tokens` ends a reply. `note` says in a few words how it runs.
    Raises WeightsError where the model is missing or cannot be read, EngineError where the engine cannot be had.
    """

    def __init__(
        self,
        model: str = BUILT_IN,
        mmproj: str = "",
        free: bool | Literal["auto"] = "auto",
        context_tokens: int = 2048,
        threads: int = 0,
        temperature: float = 0.0,
        max_tokens: int = 256,
        seed: int = 0,
        image_px: int = 768,
        store: StoreSettings | None = None,
    ) -> None:
        self.model = model
        self.sees = bool(mmproj)
        self.context_tokens = context_tokens
        self._image_px = image_px
        self._sampling = {"temperature": temperature, "seed": seed, "max_tokens": max_tokens}
        self._counts: dict[str, int] = {}
        path, header = _weights(model, store, projector=False)
        projector = None
        if mmproj:
            projector, sight = _weights(mmproj, store, projector=True)
            check_projector(sight, header, projector)
        self.free = header.parameters >= FREE_PARAMETERS if free == "auto" else free
        count, self.note = (threads, f"threads as set: {threads}") if threads else free_threads()
        self._engine: Engine | None = Engine(path, projector, context_tokens, count)
        self._finalizer = weakref.finalize(self, self._engine.close)

    @property
    def read_tokens(self) -> tuple[int, int]:
        """Of the prompt that was read last: how many tokens were kept from the one before, and how many there are."""
        return self._running().read_tokens

    def count(self, text: str) -> int:
        """How many tokens a text takes, exactly; about a millisecond. May be called while a reply is under way."""
        if text not in self._counts:
            if len(self._counts) >= COUNTS_KEPT:
                self._counts.clear()
            self._counts[text] = self._running().count(text)
        return self._counts[text]

    def reply(self, messages: Sequence[Message], stop: Stop, grammar: str | None = None) -> Iterator[str]:
        """The reply, piece by piece, without the reasoning that some models do first. `grammar` is GBNF.

        Ends soon after `stop` is true or when it is closed, also while the prompt is still being read. The prompt's
        beginning is not read again if the last one began the same way. Raises EngineError where messages are too long
        for the context or hold pictures, where the grammar is none, and where the engine fails.
        """
        request = {**self._request(messages), **({"grammar": grammar} if grammar else {})}
        yield from self._generate(request, stop)

    def prefill(self, messages: Sequence[Message], stop: Stop = lambda: False) -> None:
        """Read messages ahead, so that a reply to messages that begin with them starts sooner. Raises like `reply`."""
        for _ in self._generate({**self._request(messages), "max_tokens": 0}, stop):
            pass

    def close(self) -> None:
        """End a reply that is under way and free the memory; may be called twice."""
        self._engine = None
        self._finalizer()

    def _running(self) -> Engine:
        if self._engine is None:
            raise EngineError(f"wanted the mind '{self.model}', got one that is closed; load it anew")
        return self._engine

    def _request(self, messages: Sequence[Message]) -> dict[str, Any]:
        if not self.sees and any(message.images for message in messages):
            raise EngineError(
                f"wanted messages of text for the mind '{self.model}', got pictures, which it cannot see; name its "
                "projector as mmproj, or choose a mind that sees"
            )
        return {
            **self._sampling,
            "messages": chat(messages, self._image_px),
            "chat_template_kwargs": {"enable_thinking": False},
            "cache_prompt": True,
            "stream": True,
            "return_progress": True,  # or nothing is heard from the engine before the whole prompt has been read
        }

    def _generate(self, request: dict[str, Any], stop: Stop) -> Iterator[str]:
        engine = self._running()
        if stop():
            return
        generation = engine.begin(request, stop)
        try:
            while (piece := generation.pieces.get()) is not None and not stop():
                if isinstance(piece, BaseException):
                    raise self._failure(piece) from piece
                yield piece
        finally:
            generation.dropped.set()

    def _failure(self, error: BaseException) -> BaseException:
        """What a reader is told: our own errors and those of `stop` as they are, the engine's with the mind's name."""
        if not isinstance(error, Refusal):
            return error
        said = error.said
        if said.get("type") == "exceed_context_size_error":
            return EngineError(
                f"wanted messages of at most {said.get('n_ctx')} tokens for the mind '{self.model}', got "
                f"{said.get('n_prompt_tokens')}; shorten them or raise its context_tokens"
            )
        if "grammar" in str(said.get("message")):
            return EngineError(f"wanted a grammar in GBNF, got one that cannot be read ({said['message']}); correct it")
        return EngineError(f"wanted a reply of the mind '{self.model}', got '{said.get('message')}'; load it anew")


def _weights(model: str, store: StoreSettings | None, *, projector: bool) -> tuple[Path, Header]:
    """The file of a model, or of a projector, and what it says of itself."""
    path = Path(model).expanduser()
    if model in catalogue() or not model.endswith(".gguf"):
        path = fetch(model, store)
    elif not path.is_file():
        raise WeightsError(f"wanted a model for llama.cpp, got no file '{path}'; correct its path")
    header = read_header(path)
    if (header.architecture == PROJECTOR) != projector:
        wanted, got = ("a projector (mmproj)", "a model") if projector else ("a model", "a projector (mmproj)")
        raise WeightsError(f"wanted {wanted} for llama.cpp, got {got} in '{path}'; name it as the other option")
    if projector and not header.keys.get("clip.has_vision_encoder"):
        raise WeightsError(f"wanted a projector for pictures, got one for something else in '{path}'; take the model's")
    return path, header
