"""What is not written as words, read as words: numbers, amounts, dates, times, addresses, signs.

One rule a kind of token, tried in order at one place of a text; how a kind is said is the language's business
(`english`, `chinese`). Knows no markup.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from typing import Protocol, cast

from assistant.speaking import chinese, english
from assistant.speaking.markup import FRACTIONS


class Tongue(Protocol):
    """A language's module: constants and functions as documented in `english`."""

    POINT: str
    DOT: str
    AT: str
    SLASH: str
    DASH: str
    UNDERSCORE: str
    PER: str
    NUMBER: str
    ABOUT: str
    VERSION: str
    SYMBOLS: dict[str, str]
    ABBREVIATIONS: dict[str, str]

    digits: Callable[[str], str]
    cardinal: Callable[[str], str]
    number: Callable[[str], str]
    ordinal: Callable[[str], str]
    year: Callable[[str], str]
    maybe_year: Callable[[str], str]
    decade: Callable[[str], str]
    date: Callable[..., str]
    time: Callable[[int, int, int | None, str], str]
    money: Callable[..., str]
    percent: Callable[..., str]
    two: Callable[[str], str | None]
    unit: Callable[[str, str], str]
    unit_name: Callable[[str], str]
    fraction: Callable[[str, str], str]
    mixed: Callable[[str, str, str], str]
    span: Callable[[str, str], str]
    ratio: Callable[[str, str], str]


def tongue(language: str) -> Tongue:
    """The language's way to say things; English for every language but Chinese."""
    return cast(Tongue, chinese if language.lower().startswith(("zh", "cmn")) else english)


Match = re.Match[str]
Rule = tuple[re.Pattern[str], Callable[[Match, Tongue], str | None]]

_N = r"(?:\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?)(?!\d)"
_SIGN = r"(?:(?<![A-Za-z0-9_)\]%])[-−+])?"
_DASH = "[-–—~～−]"
_UNIT = "|".join(sorted(map(re.escape, english.UNITS), key=len, reverse=True))
_UNIT_END = r"(?![A-Za-z0-9_²³])"
_MONTH = (
    r"(?P<month>Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|Sept?(?:ember)?|"
    r"Oct(?:ober)?|Nov(?:ember)?|Dec(?:ember)?)\b\.?"
)
_DAY = r"(?P<day>0?[1-9]|[12]\d|3[01])"
_YEAR = r"(?P<year>1[0-9]\d\d|20\d\d)(?!\d)"
_HALF = r"(?:\s?(?P<half>[AaPp])(?:\.\s?[Mm]\.?|[Mm])(?![A-Za-z]))"
_SCALE = r"(?:\s?(?P<scale>million|billion|trillion|thousand|bn|[kKmM]|万|亿)(?![A-Za-z]))?"
_CURRENCIES = {
    "US$": "$", "USD": "$", "$": "$", "dollars": "$", "dollar": "$", "美元": "$", "EUR": "€", "€": "€", "euros": "€",
    "euro": "€", "欧元": "€", "GBP": "£", "£": "£", "英镑": "£", "¥": "¥", "￥": "¥", "CNY": "¥", "RMB": "¥",
    "yuan": "¥", "元": "¥", "块钱": "¥", "₹": "₹",
}  # fmt: skip
_BEFORE = r"US\$|[$€£¥￥₹]|(?:USD|EUR|GBP|CNY|RMB)\s"
_AFTER = r"USD|EUR|GBP|CNY|RMB|dollars?|euros?|yuan|€|£|美元|欧元|英镑|元|块钱"
_URL = r"[^\s<>，。）)\]\"'“”‘’]"
_TLD = "com|org|net|edu|gov|io|ai|dev|app|info|cn|uk|de|fr|eu|us|ca|au|jp|tv|me|co"


def spelled(text: str, say: Tongue) -> str:
    """An address, part by part: letters as they are, digits as numbers, signs by name."""
    names = {".": say.DOT, "/": say.SLASH, "-": say.DASH, "_": say.UNDERSCORE, "@": say.AT, ":": "", "+": "plus"}
    parts = re.findall(r"\d+|[^\W\d_]+|[./_@:+-]", text)
    said = [_short_number(part, say) if part.isdigit() else names.get(part, part) for part in parts]
    return " ".join(part for part in said if part)


def _short_number(written: str, say: Tongue) -> str:
    return say.cardinal(written) if len(written) <= 3 else say.digits(written)


def _address(match: Match, say: Tongue) -> str:
    rest = match["rest"] or ""
    path = re.sub(r"[?#].*", "", rest).rstrip("/")
    return spelled(match["host"] + path, say)


def _abbreviation(match: Match, say: Tongue) -> str | None:
    said = say.ABBREVIATIONS.get(match[0].lower())
    return f"{said}." if said and match[0].lower() == "etc." and not match.string[match.end() :].strip() else said


def _date(match: Match, say: Tongue) -> str | None:
    parts = match.groupdict()
    month, day = int(parts["month"]), int(parts["day"] or 1)
    if 12 < month <= 31 and day <= 12 and "either" in parts:
        month, day = day, month
    if not (1 <= month <= 12 and 1 <= day <= 31):
        return None
    year = parts["year"]
    return say.date("20" + year if len(year) == 2 else year, month, str(day) if parts["day"] else "")


def _named_date(match: Match, say: Tongue) -> str | None:
    month = "janfebmaraprmayjunjulaugsepoctnovdec".index(match["month"][:3].lower()) // 3 + 1
    day, year = match.groupdict().get("day"), match.groupdict().get("year")
    first = bool(day) and match.start("day") < match.start("month")
    return say.date(year or "", month, str(int(day)) if day else "", day_first=first)


def _time(match: Match, say: Tongue) -> str | None:
    parts = match.groupdict()
    hour, minute, second = int(parts["hour"]), int(parts.get("minute") or 0), parts.get("second")
    half = (parts.get("half") or "").lower()
    if hour > (12 if half else 24):
        return None
    return say.time(hour, minute, int(second) if second else None, half) + _stop(match)


def _stop(match: Match) -> str:
    """A full stop that is the sentence's too: `at 2:30 p.m. Then …`."""
    rest = match.string[match.end() :]
    return "." if match[0].endswith(".") and (not rest.strip() or re.match(r"\s+[A-Z]", rest)) else ""


def _money(match: Match, say: Tongue) -> str:
    currency = _CURRENCIES[match["currency"].strip()]
    minus = say.number("-0").replace(say.cardinal("0"), "") if match["sign"] else ""
    return minus + say.money(_pointed(match["amount"]).replace(",", ""), currency, match["scale"] or "")


def _pointed(amount: str) -> str:
    """An amount with a decimal comma (3,5 kg) written with a point."""
    return amount.replace(",", ".") if re.fullmatch(r"\d+,\d\d?", amount) else amount


def _version(match: Match, say: Tongue) -> str:
    parts = match["n"].split(".")
    point = say.DOT if len(parts) == 4 else say.POINT
    return f"{say.VERSION if match['v'] else ''} {f' {point} '.join(_short_number(part, say) for part in parts)}"


def _digits(match: Match, say: Tongue) -> str | None:
    groups = re.findall(r"\d+", match[0])
    if not 7 <= sum(map(len, groups)) <= 19 and len(groups) > 1:
        return None
    plus = say.SYMBOLS["+"] + " " if match[0].startswith("+") else ""
    return plus + ", ".join(map(say.digits, groups))


def _to(match: Match, say: Tongue) -> str | None:
    """A dash between two numbers, but not one inside a code (L23-0457, 978-3-16)."""
    before, after = match.string[: match.start()].rstrip(), match.string[match.end() :]
    code = re.search(r"[A-Za-z]\d+$|\d-\d+$", before) or re.match(r"0\d+(?!:)|\d+-\d|\d+[A-Z]", after)
    return None if code else say.span("", "").strip()


def _vulgar(match: Match, say: Tongue) -> str:
    upper, _, lower = unicodedata.normalize("NFKC", match["part"]).partition("⁄")
    return say.mixed(match["whole"], upper, lower) if match["whole"] else say.fraction(upper, lower)


def _fraction(match: Match, say: Tongue) -> str:
    if match["whole"]:
        return say.mixed(match["whole"], match["upper"], match["lower"])
    return say.fraction(match["upper"], match["lower"])


def _initials(match: Match, say: Tongue) -> str:
    return " ".join(re.findall("[A-Za-z]", match[0])) + _stop(match)


def _symbol(match: Match, say: Tongue) -> str | None:
    return say.SYMBOLS.get(match[0]) or None


def _rule(pattern: str, read: Callable[[Match, Tongue], str | None], flags: int = 0) -> Rule:
    return re.compile(pattern, flags), read


_WORD_RULES: tuple[Rule, ...] = (
    _rule(
        rf"(?:https?://|ftp://|mailto:)(?:www\.)?(?P<host>(?:(?![/?#]){_URL})*[^\W_])(?P<rest>[/?#]{_URL}*[^\W_]|/)?",
        _address,
    ),
    _rule(r"[\w.+-]+@[\w-]+(?:\.[\w-]*\w)+", lambda m, say: spelled(m[0], say)),
    _rule(
        rf"(?:www\.)?(?P<host>[a-zA-Z0-9-]+(?:\.[a-zA-Z0-9-]+)*\.(?:{_TLD}))\b(?!\.\w)(?P<rest>/(?:{_URL}*[^\W_])?)?",
        _address,
    ),
    _rule(
        r"(?<![\w.])(?:e\.g\.|i\.e\.|a\.k\.a\.|etc\.|vs\.|mrs?\.|dr\.|prof\.|approx\.|incl\.|wt\.|w/o?(?=\s)|exp(?=\W{0,2}\d))",
        _abbreviation,
        re.IGNORECASE,
    ),
    _rule(rf"{_MONTH}\s{_DAY}(?:st|nd|rd|th)?\b(?![:.]\d)(?:,?\s{_YEAR})?", _named_date),
    _rule(rf"{_MONTH}\s{_YEAR}", _named_date),
    _rule(rf"(?P<sign>)(?P<currency>{_BEFORE})\s?(?P<amount>{_N}){_SCALE}", _money),
    _rule(r"(?<!\w)(?P<v>[vV])(?P<n>\d+(?:\.\d+)*)(?!\w)", _version),
    _rule(r"(?<![\w.])[A-Za-z](?:\.[A-Za-z])+\.(?!\w)", _initials),
)  # fmt: skip
_NUMBER_RULES: tuple[Rule, ...] = (
    _rule(r"(?<!\w)\.\d+(?!\w)", lambda m, say: say.number("0" + m[0])),
    _rule(r"(?P<n>(?:1[1-9]|20)\d0|(?:(?<=the )|(?<='))[1-9]0)s\b", lambda m, say: say.decade(m["n"])),
    _rule(r"(?P<year>\d{4})[-/.](?P<month>0?[1-9]|1[0-2])[-/.](?P<day>0?[1-9]|[12]\d|3[01])(?:T(?=\d)|(?!\d))", _date),
    _rule(
        r"(?P<day>0?[1-9]|[12]\d|3[01])(?P<either>[/.])(?P<month>\d\d?)[/.](?P<year>20\d\d|19\d\d|\d\d)(?![\d.]?\d)",
        _date,
    ),
    _rule(r"(?P<year>20\d\d|19\d\d)-(?P<month>0[1-9]|1[0-2])(?P<day>)(?![-\d])", _date),
    _rule(r"(?P<day>)(?P<month>0?[1-9]|1[0-2])/(?P<year>20\d\d)(?![/\d])", _date),
    _rule(rf"{_DAY}(?:st|nd|rd|th)?\s(?:of\s)?{_MONTH}(?:,?\s{_YEAR})?", _named_date),
    _rule(rf"(?P<hour>[01]?\d|2[0-4]):(?P<minute>[0-5]\d)(?::(?P<second>[0-5]\d))?(?![\d:]){_HALF}?", _time),
    _rule(rf"(?P<hour>0?[1-9]|1[0-2]){_HALF}", _time),
    _rule(rf"(?P<amount>{_SIGN}{_N})(?P<gap>\s?)%", lambda m, say: say.percent(m["amount"])),
    _rule(rf"(?P<low>{_N})\s?{_DASH}\s?(?P<high>{_N})\s?%", lambda m, say: say.percent(m["low"], m["high"])),
    _rule(rf"(?P<sign>)(?P<amount>{_N}|\d+,\d\d(?!\d)){_SCALE}\s?(?P<currency>{_AFTER})(?![A-Za-z])", _money),
    _rule(
        rf"(?P<amount>{_SIGN}{_N}|\d+,\d\d?)[ \xa0-]?(?P<unit>{_UNIT}){_UNIT_END}",
        lambda m, say: say.unit(_pointed(m["amount"]), m["unit"]),
    ),
    _rule(r"\+\(?\d{1,4}\)?(?:[ .-]?\(?\d{1,8}\)?){1,6}(?!\w)", _digits),
    _rule(r"\(?\d{2,5}\)?(?:[ .-]\d{2,5}){2,}(?!\w)", _digits),
    _rule(r"\d{1,7}(?:-\d{1,7}){2,}(?!\w)|(?:(?<=[Cc]all )|(?<=[Dd]ial )|(?<=打))\d{3,6}(?!\w)", _digits),
    _rule(r"\d{3}[.-]\d{4}(?!\w)|\(\d{3}\)\s?\d{3}-\d{4}(?!\w)", _digits),
    _rule(r"(?P<v>)(?P<n>\d+(?:\.\d+){2,})(?!\d)", _version),
    _rule(rf"(?P<whole>\d+)?\s?(?P<part>[{FRACTIONS}])", _vulgar),
    _rule(r"(?:(?P<whole>\d{1,3})\s)?(?P<upper>[1-9]\d{0,2})/(?P<lower>[1-9]\d{0,2})(?![\d/])", _fraction),
    _rule(r"(?P<a>\d{1,4}):(?P<b>\d{1,4})(?![\d:])", lambda m, say: say.ratio(m["a"], m["b"])),
    _rule(r"(?P<n>\d[\d,]*)(?:st|nd|rd|th)\b", lambda m, say: say.ordinal(m["n"].replace(",", ""))),
    _rule(r"(?P<n>\d{4})(?=年)", lambda m, say: say.year(m["n"])),
    _rule(r"2(?=(?P<of>[^\W\d_a-zA-Z]))", lambda m, say: say.two(m["of"])),
    _rule(r"(?<=[A-Za-z])\d{3,}", lambda m, say: say.digits(m[0])),
    _rule(r"\d{7,}(?<!000)", lambda m, say: say.digits(m[0])),
    _rule(r"(?:19|20)\d\d(?!\d|[.,]\d)", lambda m, say: say.maybe_year(m[0])),
    _rule(
        r"(?:(?<=\b[Ii]n )|(?<=\b[Ss]ince )|(?<=\byear ))1[0-8]\d\d(?!\d|[.,]\d)",
        lambda m, say: say.maybe_year(m[0]),
    ),
    _rule(_SIGN + _N, lambda m, say: say.number(m[0])),
    _rule(r"\d+", lambda m, say: say.cardinal(m[0])),
)  # fmt: skip
_SIGN_RULES: tuple[Rule, ...] = (
    _rule(rf"(?P<sign>(?<!\w)[-−])?(?P<currency>{_BEFORE})\s?(?P<amount>{_N}){_SCALE}", _money),
    _rule(
        r"(?:(?<=[\d%°])|(?<=[\d%°] )|(?<=\d[ap]m)|(?<=\d [ap]m))[-–—~～−]\s?(?=[\d$€£¥])",
        _to,
    ),
    _rule(r"[#№]\s?(?=\d)", lambda m, say: say.NUMBER),
    _rule(r"~\s?(?=\d)", lambda m, say: say.ABOUT),
    _rule(r"[-=]+>|→", lambda m, say: say.SYMBOLS["→"]),
    _rule(
        rf"(?<=[\w€$£¥%²³])/(?=\s?(?:\d+\s?)?(?:(?:{_UNIT}){_UNIT_END}|(?:day|week|month|year|person)\b))",
        lambda m, say: say.PER,
    ),
    _rule(r"(?<=[^\W_])\.(?=[a-z])", lambda m, say: say.DOT),
    _rule(r"(?<=[\w\s)])[*^](?=[\s\d(])|(?<=\d)[*](?=\w)", _symbol),
    _rule(r"[+=<>×÷±≈≤≥≠&@°%‰−√∞²³$€£¥￥₹¢]", _symbol),
)  # fmt: skip
_AFTER_PER = re.compile(rf"(?<=/)(?P<unit>{_UNIT}){_UNIT_END}")


def read(text: str, at: int, say: Tongue) -> tuple[str, int] | None:
    """What begins at `at` in words, and where it ends; None where it is words already, or nothing to be said."""
    c = text[at]
    if per := _AFTER_PER.match(text, at):
        return say.unit_name(per["unit"]), per.end()
    for rules in _rules_for(c):
        for pattern, reader in rules:
            match = pattern.match(text, at)
            if match is not None and match.end() > at and (said := reader(match, say)):
                return said, match.end()
    return None


def _rules_for(c: str) -> tuple[tuple[Rule, ...], ...]:
    if c.isdecimal():
        return _WORD_RULES, _NUMBER_RULES
    if c in FRACTIONS:
        return (_NUMBER_RULES,)
    if c.isalpha():
        return (_WORD_RULES,) if c.isascii() else ()
    return _NUMBER_RULES, _SIGN_RULES
