"""A mind on a server: any that speaks OpenAI's chat completions, on this machine, in the next room or far away.

vLLM, SGLang, llama.cpp's server and Ollama do. It is the way past one machine, and to many talks at a time: vLLM
batches them, and its automatic prefix caching (`vllm serve MODEL --enable-prefix-caching`) reads the beginning of a
prompt, which is the same from turn to turn, only once; `prefill = true` has it read while the user still speaks. Keys
come from the environment alone and are never told. Knows no connection (`remote` does) and no form of messages
(`wire`).
"""

from __future__ import annotations

import os
import re
import weakref
from collections.abc import Iterator, Sequence
from typing import Any, Literal
from urllib.parse import urlsplit

from assistant.backends import Message, Stop
from assistant.backends.remote import Remote, Request, is_near, is_private
from assistant.backends.responses import Failure
from assistant.backends.wire import chat
from assistant.errors import ConfigError, EngineError

KEY = "OPENAI_API_KEY"
CONTEXT_TOKENS = 4096
"""for a server that does not tell"""
LOADING_S = 120.0
"""how long the first answer may take: some servers read the weights only then (Ollama)"""
CHARACTERS_A_TOKEN = 3
"""English takes 3.3 to 4.7 characters a token by SmolLM2's tokenizer, short texts down to 2 (measured on `prompts`)"""
EVENTS_A_TOKEN, EVENTS_BESIDE = 2, 16
"""a server that sends more pieces than this is none that keeps to `max_tokens`, and is left"""


class OpenAI:
    """The `Mind` seam over HTTP. It asks the server one word when it is loaded, so that what is wrong is told then.

    `base_url` mostly ends in `/v1`; with `offline` only `localhost` and private addresses are taken. `model` "" is the
    first that the server offers. `sees` "auto" goes by what the server tells, and else by whether it takes a picture.
    `context_tokens` 0 is what the server tells, and 4096 where it tells none. The key is the value of the environment's
    variable `key_env`, if there is one. `patience_s`: how long the server may be silent; a connection that fails, or an
    answer that it is busy, is tried again before that, until the first word has come. `prefill`: have it read ahead, by
    requests for one word; of use with prefix caching only, and paid for where requests are. `extra` is added to every
    request, as `{chat_template_kwargs = {enable_thinking = false}}`.
    `note` says in a few words what it is.
    Raises ConfigError for a bad address, EngineError where the server cannot be used.
    """

    free = True

    def __init__(
        self,
        base_url: str = "http://127.0.0.1:8000/v1",
        model: str = "",
        sees: bool | Literal["auto"] = "auto",
        context_tokens: int = 0,
        key_env: str = KEY,
        prefill: bool = False,
        patience_s: float = 20.0,
        temperature: float = 0.0,
        image_px: int = 768,
        extra: dict[str, Any] | None = None,
        max_tokens: int = 256,
        seed: int = 0,
        offline: bool = False,
    ) -> None:
        self._base_url = _address(base_url, offline=offline)
        self._key = _key(key_env, self._base_url)
        self._prefills, self._patience_s, self._image_px = prefill, patience_s, image_px
        self._max_tokens = max_tokens
        self._settings = {"temperature": temperature, "seed": seed, **(extra or {})}
        self._limit = "max_tokens"
        self._remote = Remote(self._base_url, self._key)
        self._finalizer = weakref.finalize(self, self._remote.close)
        try:
            about = {} if model and context_tokens else self._about(model)
            self.model: str = model or about["id"]
            self.context_tokens: int = context_tokens or _context(about)
            self.sees: bool = self._try_out(_sees(about) if sees == "auto" else sees)
            self.note = f"{self.model} at {self._base_url}, takes {'' if self.sees else 'no '}pictures"
        except BaseException:
            self.close()
            raise

    def count(self, text: str) -> int:
        """How many tokens a text takes, by estimate: no server tells the same way. Rather more than there are: a third
        of its characters, and one for each that is not ASCII.
        """
        simple = sum(character.isascii() for character in text)
        return -(-simple // CHARACTERS_A_TOKEN) + len(text) - simple

    def reply(self, messages: Sequence[Message], stop: Stop, grammar: str | None = None) -> Iterator[str]:
        """The reply, piece by piece, without reasoning that the server sends apart. `grammar` is not looked at.

        Ends within 50 ms of `stop` being true or when it is closed, whatever the server does, and leaves it then.
        Raises EngineError for pictures where it does not see, and where the server fails: in the middle of a reply too.
        """
        if not self.sees and any(message.images for message in messages):
            raise EngineError(
                f"wanted messages of text for the mind '{self.model}', got pictures, which it cannot see; choose a "
                "mind that sees, or set sees = true if it does"
            )
        yield from self._ask(messages, stop, self._max_tokens, self._patience_s)

    def prefill(self, messages: Sequence[Message], stop: Stop = lambda: False) -> None:
        """Have the server read messages ahead, where that is wanted. Raises like `reply`."""
        if self._prefills:
            for _ in self._ask(messages, stop, 1, self._patience_s):
                pass

    def close(self) -> None:
        """Leave the server; may be called twice."""
        self._finalizer()

    def _ask(self, messages: Sequence[Message], stop: Stop, tokens: int, patience_s: float) -> Iterator[str]:
        if not self._finalizer.alive:
            raise EngineError(f"wanted the mind '{self.model}', got one that is closed; load it anew")
        if stop():
            return
        body = {"model": self.model, "messages": chat(messages, self._image_px), "stream": True}
        body |= {**self._settings, self._limit: tokens}
        most = EVENTS_A_TOKEN * tokens + EVENTS_BESIDE
        try:
            yield from self._remote.reply(Request(body, patience_s, most), stop)
        except Failure as failure:
            raise self._error("a reply", failure) from failure

    def _error(self, wanted: str, failure: Failure) -> EngineError:
        """What a user is told; no server has the key told in it."""
        reason, cure = failure.reason, failure.cure
        if _is_too_long(failure):
            cure = "lower budget_tokens of [mind], or start it with a longer context"
        error = EngineError(f"wanted {wanted} of the server at {self._base_url}, got {reason}; {cure}")
        return EngineError(str(error).replace(self._key, "***")) if self._key else error

    # ---------------------------------------------------------------- trying it out

    def _about(self, model: str) -> dict[str, Any]:
        """What the server tells of a model ("": of its first)."""
        try:
            models = self._remote.models(self._patience_s)
        except Failure as failure:
            raise self._error("the models", failure) from failure
        named = [about for about in models if model in ("", about["id"])]
        if not named and not model:
            raise EngineError(f"wanted a model of the server at {self._base_url}, got none; have it load one")
        return named[0] if named else {}

    def _try_out(self, sees: bool | None) -> bool:
        """Have it say a word, shown a picture where it may see, and leave out what it refuses; whether it sees."""
        import numpy as np

        picture = () if sees is False else (np.full((64, 64, 3), 128, np.uint8),)
        while True:
            try:
                for _ in self._ask([Message("user", "Hello!", picture)], lambda: False, 1, LOADING_S):
                    pass
                return bool(picture)
            except EngineError as error:
                failure = error.__cause__
                assert isinstance(failure, Failure)
                if self._leave_out(failure):
                    continue
                if sees is not None or failure.status in (0, 401, 403, 404, 429):
                    raise
                picture, sees = (), False

    def _leave_out(self, failure: Failure) -> bool:
        """Leave out of all requests what the server says it does not take; whether it said so."""
        refused = failure.error.get("param")
        if failure.error.get("code") not in ("unsupported_parameter", "unsupported_value"):
            return False
        if refused == self._limit == "max_tokens":
            self._limit = "max_completion_tokens"
            return True
        return isinstance(refused, str) and self._settings.pop(refused, None) is not None


# ---------------------------------------------------------------- what is set, what is told


def _address(base_url: str, *, offline: bool) -> str:
    """A base address as it is used. Raises ConfigError where it is none, holds a password or leads away offline."""
    if re.search("[@?#]", base_url):
        raise ConfigError(
            "[mind.openai] base_url wanted an address without a password or a query, got one with; "
            "set the key in the environment (key_env)"
        )
    try:
        parts = urlsplit(base_url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise ConfigError(
            f"[mind.openai] base_url wanted an address as http://127.0.0.1:8000/v1, got '{base_url}'; correct it"
        )
    if offline and not is_private(base_url):
        raise ConfigError(
            f"[mind.openai] base_url wanted localhost or a private address with --offline, got '{base_url}'; "
            "write its number, as in http://192.168.1.20:8000/v1, or leave --offline out"
        )
    return base_url.rstrip("/") + "/"


def _key(variable: str, base_url: str) -> str | None:
    """The key in the environment; no error tells it, nor what only looks like one."""
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", variable):
        raise ConfigError(
            "[mind.openai] key_env wanted the name of a variable of the environment, got something else (a key?); "
            f"keep the key in the environment, as {KEY}"
        )
    key = os.environ.get(variable, "").strip()
    if not key and variable != KEY:
        raise ConfigError(f"wanted a key in the environment's {variable}, got none; set it")
    if not key.isascii() or not key.isprintable():
        raise ConfigError(f"wanted a key in the environment's {variable}, got one with odd characters; correct it")
    if key and urlsplit(base_url).scheme == "http" and not is_near(base_url):
        raise ConfigError(
            f"wanted https to send the key in {variable} over the internet, got base_url '{base_url}'; "
            "correct it, or unset the variable"
        )
    return key or None


def _context(about: dict[str, Any]) -> int:
    """How long a prompt and its reply may be: vLLM, SGLang; gateways; llama.cpp."""
    meta = about.get("meta")
    told = (about.get("max_model_len"), about.get("context_length"), meta.get("n_ctx") if isinstance(meta, dict) else 0)
    return next((tokens for tokens in told if isinstance(tokens, int) and tokens > 0), CONTEXT_TOKENS)


def _sees(about: dict[str, Any]) -> bool | None:
    """Whether the server says that a model takes pictures; None where it does not say."""
    match about.get("architecture"):
        case {"input_modalities": [*kinds]}:
            return "image" in kinds
        case _:
            return None


def _is_too_long(failure: Failure) -> bool:
    """Whether the messages did not fit: llama.cpp's type, OpenAI's code, vLLM's words."""
    kinds = (failure.error.get("type"), failure.error.get("code"))
    known = any(kind in ("exceed_context_size_error", "context_length_exceeded") for kind in kinds)
    return known or (failure.status == 400 and "context length" in failure.reason)
