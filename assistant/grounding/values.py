"""Typed values in a line of read text: dates, times, money, amounts, percentages, codes, numbers.

Survives what text recognition does to them: 'O' for 0, words glued to numbers, full-width signs. A value keeps the text
as it was read; its typed form is for comparing. Knows neither layout nor questions.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from functools import lru_cache

Typed = Decimal | date | str


@dataclass(frozen=True, slots=True)
class Value:
    """A value at characters `start` to `end` of a repaired line. `unit` is a currency sign or the unit as written;
    `text` is how it was read, repaired.
    """

    kind: str
    value: Typed
    unit: str
    text: str
    start: int
    end: int


_FAMILIES = {
    "mass": "mg .001 g 1 gr 1 gram 1 grams 1 kg 1000 kilo 1000 kilos 1000 kilogram 1000 kilograms 1000 oz 28.3495 "
    "ounce 28.3495 ounces 28.3495 lb 453.592 lbs 453.592 pounds 453.592 µg .000001 mcg .000001 毫克 .001 克 1 "
    "千克 1000 公斤 1000 斤 500 吨 1000000 milligrams .001",
    "volume": "ml 1 cl 10 dl 100 l 1000 litre 1000 litres 1000 liter 1000 liters 1000 milliliters 1 millilitres 1 "
    "floz 29.5735 pint 568 pints 568 gal 3785 毫升 1 升 1000",
    "length": "mm 1 cm 10 m 1000 km 1000000 inch 25.4 inches 25.4 in 25.4 ft 304.8 feet 304.8 mile 1609344 "
    "miles 1609344 metres 1000 meters 1000 毫米 1 厘米 10 米 1000 公里 1000000 千米 1000000",
    "energy": "kcal 4.184 cal .004184 calories 4.184 kj 1 千焦 1 千卡 4.184 大卡 4.184 kwh 3600 wh 3.6",
    "power": "w 1 kw 1000 mw .001 watt 1 watts 1 瓦 1",
    "voltage": "v 1 volt 1 volts 1 kv 1000 mv .001 伏 1",
    "charge": "mah 1 ah 1000 毫安 1",
    "data": "kb .001 mb 1 gb 1000 tb 1000000",
    "frequency": "hz 1 khz 1000 mhz 1000000 ghz 1000000000",
    "speed": "km/h 1 kmh 1 mph 1.609 m/s 3.6",
    "temperature": "°c 1 ℃ 1 °f 1 ℉ 1 摄氏度 1",
    "duration": "s 1 sec 1 secs 1 second 1 seconds 1 min 60 mins 60 minute 60 minutes 60 h 3600 hr 3600 hrs 3600 "
    "hour 3600 hours 3600 day 86400 days 86400 week 604800 weeks 604800 month 2629800 months 2629800 year 31557600 "
    "years 31557600 秒 1 分钟 60 小时 3600 天 86400 个月 2629800",
    "pieces": "pcs 1 pc 1 piece 1 pieces 1 tablets 1 tablet 1 capsules 1 bar 1 bars 1 sheets 1 bags 1 slices 1 slice 1 "
    "cups 1 cup 1 servings 1 tbsp 1 tsp 1 rolls 1 pack 1 片 1 粒 1 个 1 包 1 支 1 件 1 只 1 袋 1 瓶 1 罐 1 盒 1 条 1",
}


def _units() -> dict[str, tuple[str, Decimal]]:
    pairs = ((family, table.split()) for family, table in _FAMILIES.items())
    return {
        unit: (family, Decimal(size))
        for family, words in pairs
        for unit, size in zip(words[::2], words[1::2], strict=True)
    }


UNITS = _units()
"""unit, lower case -> what it measures, and its size in that family's base unit"""
_UNIT = "|".join(sorted((re.escape(u) for u in UNITS), key=len, reverse=True))
_NUMBER = r"\d{1,3}(?:[,  ]\d{3})+(?:\.\d+)?|\d+(?:[.,]\d+)?"
_SIGN = "[$€£¥₹₩]|us\\$|usd|eur|gbp|cny|rmb|chf|jpy|hk\\$"
_WORD = "dollars?|euros?|pounds? sterling|yuan|cents?|usd|eur|gbp|cny|rmb|chf|元|块钱|块|€|£|¥|欧元|美元|英镑"
_MONTHS: tuple[str, ...] = tuple("jan feb mar apr may jun jul aug sep oct nov dec".split())
_MONTH = r"(?P<month>jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?"
_YEAR = r"(?P<year>(?:19|20)\d\d|\d\d)"


def repair(line: str) -> str:
    """A read line with its numbers put right: one width, 'O' and 'l' among digits, words parted from numbers."""
    line = unicodedata.normalize("NFKC", line)
    line = re.sub(r"(?<![A-Za-z0-9.])[Oo](?= ?(?:mg|g|kg|ml|kcal|kj|%)(?![A-Za-z]))", "0", line)
    line = re.sub(r"(?<=\d)[Oo](?=[\d.,%]|\b)|(?<=\d[.,])[Oo]|(?<![A-Za-z])[Oo](?=[.,]\d)", "0", line)
    line = re.sub(r"(?<=\d)[lI](?=[\d.,])|(?<=\d[.,])[lI](?=\d|\b)", "1", line)
    line = re.sub(r"(?<=[A-Za-z][a-z]{2})(?=\d)|(?<=[A-Z]{4})(?=\d+(?:[.,]\d\d)?\b)", " ", line)
    line = re.sub(r"(?<=\d)(?=[A-Z][a-z]{3})", " ", line)
    line = re.sub(r"(?<=\d)(?: ([.,])|([.,]) )(?=\d\d(?! ?[:/.\d]))", r"\1\2", line)
    return " ".join(line.split())


def number(text: str) -> Decimal | None:
    """A number as written in either convention ('1,299.00', '1.299,00', '2,99'); None where it is none."""
    text = re.sub(r"[  ]", "", text)
    if "," in text and "." in text:
        text = text.replace("," if text.rfind(".") > text.rfind(",") else ".", "")
    if "," in text:
        text = text.replace(",", "" if re.fullmatch(r"\d{1,3}(,\d{3})+", text) else ".")
    try:
        return Decimal(text)
    except InvalidOperation:
        return None


def _day(year: str | None, month: str, day: str | None) -> date | None:
    with suppress(ValueError):
        months = int(month) if month.isdigit() else 1 + _MONTHS.index(month[:3].lower())
        years = int(year) if year else 1
        return date(years + 2000 if year and years < 100 else years, months, int(day) if day else 1)
    return None


def _from_digits(found: re.Match[str]) -> date | None:
    """Three numbers: a year in front, else day and month in the order that is possible; '/' means month first."""
    first, second, third = found["a"], found["b"], found["c"]
    if len(first) == 4:
        return _day(first, second, third)
    american = found["between"] == "/" or int(second) > 12
    month, day = (first, second) if american else (second, first)
    return _day(third, month, day) or _day(third, day, month)


def _from_words(found: re.Match[str]) -> date | None:
    parts = found.groupdict()
    return _day(parts.get("year"), parts["month"], parts.get("day"))


def _money(found: re.Match[str]) -> Decimal | None:
    return number(found["number"])


def _percent(found: re.Match[str]) -> Decimal | None:
    return number(found["number"] or found["chinese"])


def _written(found: re.Match[str]) -> str:
    return found[0]


Reading = Callable[[re.Match[str]], "Typed | None"]

_SOURCES: list[tuple[str, str, Reading]] = [
    ("web", r"\b(?:https?://|www\.)\S+|\b[a-z0-9-]+\.(?:com|org|net|cn|de|uk|io|eu)(?:/\S*)?\b(?!@)", _written),
    ("email", r"[\w.+-]+@[\w-]+\.[\w.]+\w", _written),
    ("date", r"(?<![\d.])(?P<a>\d{4}|\d{1,2})(?P<between>[/.-])(?P<b>\d{1,2})(?P=between)(?P<c>\d{4}|\d{2})(?![\d/])",
     _from_digits),
    ("date", r"(?P<year>\d{4}) ?年 ?(?P<month>\d{1,2}) ?月(?: ?(?P<day>\d{1,2}) ?[日号])?", _from_words),
    ("date", r"(?P<month>\d{1,2}) ?月 ?(?P<day>\d{1,2}) ?[日号]", _from_words),
    ("date", rf"(?<!\d)(?P<day>\d{{1,2}})(?:st|nd|rd|th)?[ .,/-]{{0,2}}{_MONTH}[ .,/-]{{0,2}}{_YEAR}(?!\d)",
     _from_words),
    ("date", rf"\b{_MONTH} ?(?P<day>\d{{1,2}})(?:st|nd|rd|th)?,? ?(?P<year>(?:19|20)\d\d)(?!\d)", _from_words),
    ("date", rf"\b{_MONTH}[ .,/-]{{0,2}}(?P<year>(?:19|20)\d\d)(?!\d)", _from_words),
    ("date", rf"(?<!\d)(?P<day>\d{{1,2}})(?:st|nd|rd|th)? ?(?:of )?{_MONTH}(?![a-z])", _from_words),
    ("date", rf"\b{_MONTH} (?P<day>\d{{1,2}})(?:st|nd|rd|th)?(?!\d|[.,]\d)", _from_words),
    ("date", r"(?<![\d/.])(?P<month>0?[1-9]|1[0-2])/(?P<year>20\d\d)(?![\d/])", _from_words),
    ("time", r"(?<![\d:])\d{1,2}[:.]\d{2} ?(?:-|–|to|until) ?\d{1,2}[:.]\d{2}(?!\d)", _written),
    ("time", r"(?<![\d:])\d{1,2}:\d{2}(?::\d{2})?(?: ?[ap]\.?m\b\.?)?(?![\d:])|\b\d{1,2} ?[ap]m\b|"
     r"\d{1,2}点(?:\d{1,2}分|半)?", _written),
    ("percent", rf"(?<![\d.])(?P<number>{_NUMBER}) ?(?:%|percent\b|per cent\b)|"
     r"百分之(?P<chinese>\d+)", _percent),
    ("money", rf"(?:{_SIGN}) ?(?P<number>{_NUMBER})(?![\d])", _money),
    ("money", rf"(?<![\d.])(?P<number>{_NUMBER}) ?(?:{_WORD})(?![a-z])", _money),
    ("amount", rf"(?<![\d.])(?P<number>{_NUMBER}) ?(?P<unit>{_UNIT})(?![a-z])", _money),
    ("phone", r"(?<!\w)\+?\(?\d[\d() -]{5,}[- )]\d[\d-]*\d(?!\w)|"
     r"(?<!\w)\+\d{8,}|(?<!\w)(?:1\d{10}|0\d{9,10})(?!\w)", _written),
    ("money", r"(?<![\d.,-])(?P<number>\d{1,3}(?:,\d{3})+\.\d{2}|\d+[.,]\d{2})(?![\d.,%]|\w)", _money),
    ("code", r"(?<!\w)(?=[A-Z0-9-]*\d)(?=[A-Z0-9-]*[A-Z])[A-Z0-9]+(?:-[A-Z0-9]+)*(?!\w)", _written),
    ("phone", r"(?<![\w.,-])(?:\d{3}[ -])?\d{3}-\d{4}(?![\w-])", _written),
    ("year", r"(?<![\w.,-])(?:1[4-9]|20)\d\d ?[-–] ?(?:(?:1[4-9]|20)\d\d|\d\d)(?![\w-])", _written),
    ("number", r"(?<![\w.,])\d+(?:[-/]\d+)+(?!\w)", _written),
    ("number", rf"(?<![\w.,])(?P<number>{_NUMBER})(?![\w]|[.,]\d)", _money),
]  # fmt: skip
"""Kinds of values with their patterns, most telling first; what one has taken no later one gets."""
PATTERNS = [(kind, re.compile(pattern, re.IGNORECASE), reading) for kind, pattern, reading in _SOURCES]


def _unit(kind: str, found: re.Match[str]) -> str:
    if kind == "amount":
        return found["unit"].lower()
    if kind == "money":
        return re.sub(r"[\d.,  ]", "", found[0]).lower()
    return "%" if kind == "percent" else ""


@lru_cache(maxsize=16_384)
def values(line: str) -> tuple[Value, ...]:
    """The values of a repaired line, from left to right; none overlaps another. The same line is read once."""
    taken: list[tuple[int, int]] = []
    found: list[Value] = []
    for kind, pattern, reading in PATTERNS:
        for match in pattern.finditer(line):
            if any(match.start() < end and start < match.end() for start, end in taken):
                continue
            value = reading(match)
            if value is None:
                continue
            if kind == "code" and not _is_code(match[0]):
                continue
            taken.append(match.span())
            found.append(Value(kind, value, _unit(kind, match), match[0].strip(), *match.span()))
    return tuple(sorted(found, key=lambda v: v.start))


def _is_code(text: str) -> bool:
    """Letters and digits that somebody issued: at least four signs, or a name with a number ('PS4', 'A320')."""
    return len(text) >= 4 or re.fullmatch(r"[A-Z]{1,3}\d{1,3}", text) is not None


def measure(kind: str, unit: str) -> str:
    """What may be compared with what: values of one measure."""
    return UNITS[unit][0] if kind == "amount" and unit in UNITS else kind


def base(kind: str, value: Typed, unit: str) -> Decimal | date | None:
    """A value in the base unit of its measure, for comparing; None where it has no order."""
    if isinstance(value, str):
        return None
    if kind == "amount" and isinstance(value, Decimal) and unit in UNITS:
        return value * UNITS[unit][1]
    return value
