"""A phrase of a reply as words to say, with the way back from every word to the reply.

Knows no sound; what is said of a number is `reading`'s business, what is markup is `markup`'s.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from assistant.speaking.markup import FRACTIONS, Traced, without_markup
from assistant.speaking.reading import Tongue, read, tongue

HAN = r"\u3400-\u9fff\uf900-\ufaff\u3040-\u30ff"
_HAN = re.compile(f"[{HAN}]")
_LETTER = rf"[^\W\d_{HAN}{FRACTIONS}⁰¹²³⁴⁵⁶⁷⁸⁹]"
_WORD = re.compile(rf"{_LETTER}(?:{_LETTER}|[\u0300-\u036f]|['’-](?={_LETTER}))*")
_PAUSES = {
    ".": ".", "!": "!", "?": "?", ",": ",", ";": ";", ":": ":", "…": ",", "–": ",", "—": ",", "(": ",", ")": ",",
    "。": "。", "！": "！", "？": "？", "，": "，", "；": "；", "：": "：", "、": "、", "（": "，", "）": "，",
}  # fmt: skip
_ENGLISH = str.maketrans("。！？，；：、", ".!?,;:,")
_CHINESE = str.maketrans(".!?,;:", "。！？，；：")
_STRENGTH = ",，、:：;；.。!！?？"
_PRONOUNCEABLE = re.compile(
    "(?:[BCDFGHJKLMNPQRSTVWXZ]?|[BCFGPS]L|[BCDFGPTW]R|S[CHKMNPQTW]|[CGPRTW]H|DW|TW|KN|PS|QU|S[CPT]R|SPL|SC[HR]|THR|SHR|CHR)"
    "[AEIOUY]"
)
"""a word can begin like this"""
_SPELLED = frozenset(
    "AI API APP ATM AKA ASAP CEO DIY DNA EAN EEG EU FAQ GPU CPU HIV IBM ID IEC IP IQ ISO ISBN IT LED MRI NASA NATO OCR "
    "OK PIN RAM ROM SIM TV UFO UI UK UN UNESCO UPC URL US USA USB UV VAT VIP WHO AAA AA CE UHT IOS EXIF JPEG IEEE ADHD "
    "AED BBA UAE EUR USD AUD IPA IPO MIDI ECG".split()
)
"""letters that are said one by one although they have a vowel, and acronyms that are words: both keep their case"""
_COMMON = frozenset(
    "THE AND FOR NEW RED BIG OIL TEA USE NOT ALL ANY ARE BUT CAN DAY EAT EGG END EXP FAT FIT FUN GET HAM HOT ICE JAM "
    "KEY LOW MAY MIX NET NO NOW NUT OAT OFF ON OF OLD ONE OUT OWN PAY PER PET RAW RYE SEA SET SIX SKY SOY SUN TAX TEN "
    "TO TOP TOY TWO UP VAN WAY WET YES YOU ZIP AS AT BE BY DO GO IF IN IS ME MY OR SO WE BOX BAR BAG CAP "
    "CUP DRY".split()
)


@dataclass(frozen=True, slots=True)
class Spoken:
    """`text` is for the voice; empty where there is nothing to say.

    `marks` has one (spoken_end, source_end) for each spoken word: once the word that ends at `spoken_end` of `text` has
    begun to sound, the source counts as heard up to `source_end`. A Chinese character counts as a word. Of a token that
    takes several words ("3 kg") all but the last leave the source where the token before ended. `spoken_end` rises,
    `source_end` never falls, the last is the length of the source.
    """

    text: str
    marks: tuple[tuple[int, int], ...] = ()

    def part(self, begin: int, end: int) -> Spoken:
        """What is said from character `begin` of the text up to `end`, as far as words end there."""
        marks = tuple((spoken - begin, source) for spoken, source in self.marks if begin < spoken <= end)
        return Spoken(self.text[begin:end], marks)


@dataclass(slots=True)
class _Token:
    """What is said of `plain[begin:end]`, and the pause after it."""

    words: list[str]
    begin: int
    end: int
    pause: str = ""


def speakable(text: str, language: str) -> Spoken:
    """The words to say for a phrase of Markdown in English (every other language counts as such) or Chinese.

    Emoji and markup are dropped, code is kept as its words, a link as its text. English output has no digits; Chinese
    output none either, but for what a voice cannot say anyway. Source positions count characters of `text`.
    """
    say = tongue(language)
    plain = without_markup(text)
    tokens = _tokens(plain.text, say)
    if not tokens:
        return Spoken("")
    chinese = say.DOT != "dot"
    spoken, marks, source_end = "", list[tuple[int, int]](), 0
    for token, after in zip(tokens, [*tokens[1:], None], strict=True):
        token_end = len(text) if after is None else _boundary(text, _end(plain, token), plain.at[after.begin])
        pause = token.pause.translate(_CHINESE if chinese and _HAN.match(token.words[-1][-1]) else _ENGLISH)
        token_end = max(token_end, source_end)
        for number, word in enumerate(token.words):
            if len(word) > 1 and _HAN.match(word[-2]):
                word = word.translate(_CHINESE)
            last = number == len(token.words) - 1
            spoken += (" " if _spaced(spoken, word) else "") + word
            if last and not spoken.endswith(tuple(_STRENGTH)):
                spoken += pause
            if last:
                source_end = token_end
            marks.append((len(spoken), source_end))
    return Spoken(spoken, tuple(marks))


def _tokens(text: str, say: Tongue) -> list[_Token]:
    tokens: list[_Token] = []
    loud = len(re.findall(r"\b[A-Z]{2,}\b", text)) > 1 or not any(c.islower() for c in text)
    at = 0
    while at < len(text):
        if text[at].isspace():
            at += 1
        elif (said := read(text, at, say)) is not None:
            words, end = said
            tokens.append(_Token(_split(words), at, end))
            at = end
        elif _HAN.match(text[at]):
            tokens.append(_Token([text[at]], at, at + 1))
            at += 1
        elif (word := _WORD.match(text, at)) is not None:
            tokens.append(_Token([_said(word[0], loud)], at, word.end()))
            at = word.end()
        else:
            if tokens:
                tokens[-1].pause = _stronger(tokens[-1].pause, _pause(text, at, say))
            at += 1
    return tokens


def _pause(text: str, at: int, say: Tongue) -> str:
    c, before, after = text[at], text[at - 1 : at], text[at + 1 : at + 2]
    if c == "." and before.isalnum() and after.islower() and after.isascii():
        return ""
    if c in "-–—" and (before.isspace() or c == "—") and (after.isspace() or c == "—" or not after):
        return ","
    if c in "-–/":
        return ""
    if c in "()（）" and not text[at + 1 :].strip():
        return ""
    if c == "." and (before == "." or after == "."):
        return ","
    return _PAUSES.get(c, "")


def _stronger(one: str, other: str) -> str:
    return max(one, other, key=lambda pause: _STRENGTH.find(pause) if pause else -1)


def _split(words: str) -> list[str]:
    """Words and Chinese characters, each with the punctuation after it."""
    return re.findall(rf"[{HAN}][^\s\w]*|[^\s{HAN}]+", words)


def _spaced(spoken: str, word: str) -> bool:
    """Whether a word needs a space before it: not between Chinese characters."""
    return bool(spoken) and not (_HAN.match(word) and (_HAN.match(spoken[-1]) or spoken[-1] in "。！？，；：、"))


def _said(word: str, loud: bool) -> str:
    """A word as a voice should get it: shouted ones in small letters, unless they are spelled or an acronym."""
    word = word.replace("’", "'")
    if not (len(word) > 1 and word.isupper() and word.isascii()):
        return word
    return "-".join(part.lower() if _shouted(part, loud) else part for part in word.split("-"))


def _shouted(word: str, loud: bool) -> bool:
    letters = word.replace("'", "")
    if letters in _SPELLED or not _PRONOUNCEABLE.match(letters):
        return False
    return letters in _COMMON or len(letters) > 3 or (loud and len(letters) == 3)


def _end(plain: Traced, token: _Token) -> int:
    """Where in the source a token ends."""
    return plain.at[token.end - 1] + 1


def _boundary(source: str, end: int, begin: int) -> int:
    """Where between two tokens the first one's share of the source ends: what follows the last line break or space
    belongs to the next token (an opening quote), everything before to the one before.
    """
    gap = source[end:begin]
    if "\n" in gap:
        return end + gap.rindex("\n") + 1
    spaces = [at for at, c in enumerate(gap) if c.isspace()]
    return end + spaces[-1] + 1 if spaces else max(begin, end)
