"""From a model's logits to text: which token comes next, and what a growing row of tokens says.

Knows nothing of models and chats.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from assistant.errors import ConfigError, EngineError

_UNFINISHED = "\ufffd"
"""what a decoder makes of bytes that are no character, or not yet"""
RANGES: dict[str, tuple[float, float]] = {
    "temperature": (0, 10),
    "top_p": (0, 1),
    "top_k": (0, 1e6),
    "min_p": (0, 1),
    "repetition_penalty": (0.1, 10),
}


@dataclass(frozen=True, slots=True)
class Sampling:
    """How tokens are chosen. `temperature` 0 takes the likeliest, whatever the others say.

    `top_k` 0, `top_p` 1 and `min_p` 0 leave all tokens in. `repetition_penalty` above 1 makes those less likely that
    the reply has already (Keskar et al. 2019, arXiv:1909.05858); the prompt's words stay as likely as they are.
    Raises ConfigError for values out of range.
    """

    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    seed: int | None = None

    def __post_init__(self) -> None:
        for name, (least, most) in RANGES.items():
            if not least <= (value := getattr(self, name)) <= most:
                raise ConfigError(
                    f"wanted mind.transformers.{name} from {least:g} to {most:g}, got {value}; correct it"
                )

    def begin(self, device: Any) -> Callable[[Any, list[int]], int]:
        """What chooses the tokens of one reply: the next one, from logits [1, vocabulary] and the reply so far.

        It raises EngineError for logits that are no numbers.
        """
        import torch
        from transformers.generation import logits_process as of

        warmers: list[Any] = []
        if self.temperature > 0:
            warmers.append(of.TemperatureLogitsWarper(self.temperature))
            warmers += [of.TopKLogitsWarper(self.top_k)] if self.top_k else []
            warmers += [of.TopPLogitsWarper(self.top_p)] if self.top_p < 1 else []
            warmers += [of.MinPLogitsWarper(self.min_p)] if self.min_p else []
        if self.repetition_penalty != 1:
            warmers.insert(0, of.RepetitionPenaltyLogitsProcessor(self.repetition_penalty))
        chance = torch.Generator(device=device)
        if self.seed is None:
            chance.seed()
        else:
            chance.manual_seed(self.seed)

        def choose(logits: Any, said: list[int]) -> int:
            scores = logits.float()
            if scores.isnan().any():
                raise EngineError("wanted a next word, got numbers that are none; take other weights or another dtype")
            so_far = torch.tensor([said], dtype=torch.long, device=scores.device)
            for warmer in warmers:
                scores = warmer(so_far, scores)
            if self.temperature == 0:
                return int(scores.argmax())
            return int(torch.multinomial(scores.softmax(-1), 1, generator=chance))

        return choose


class Detokeniser:
    """Tokens to text while they come. A character whose bytes have not all come is withheld.

    `decode` turns tokens into text. Those of the last text that ended well are decoded again with what follows: some
    decoders drop the space in front of a first word, or spoil whole characters beside unfinished ones.
    """

    def __init__(self, decode: Callable[[list[int]], str]) -> None:
        self._decode = decode
        self._tokens: list[int] = []
        self._settled = 0
        self._told = ""

    def feed(self, token: int) -> str:
        """What is certain after one more token, perhaps nothing."""
        self._tokens.append(token)
        text = self._decode(self._tokens)
        certain = text.rstrip(_UNFINISHED)
        new = certain[len(self._told) :] if certain.startswith(self._told) else ""
        self._told += new
        if new and certain == text:
            self._tokens = self._tokens[self._settled :]
            self._settled = len(self._tokens)
            self._told = self._decode(self._tokens)
        return new

    def finish(self) -> str:
        """No more tokens come; the rest, with marks for characters that never became whole."""
        text = self._decode(self._tokens)
        return text[len(self._told) :] if text.startswith(self._told) else ""
