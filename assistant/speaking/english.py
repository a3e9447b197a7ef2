"""How numbers, amounts, dates and times are said in English.

Every function takes what was written, as strings of digits, and returns words without digits. Knows nothing of where
they stand in a text.
"""

from __future__ import annotations

from typing import Final

POINT, DOT, AT, SLASH, DASH, UNDERSCORE, PER, NUMBER = (
    "point", "dot", "at", "slash", "dash", "underscore", "per", "number",
)  # fmt: skip
MINUS, ABOUT, VERSION = "minus", "about", "version"
SYMBOLS: Final = {
    "+": "plus", "=": "equals", "<": "less than", ">": "greater than", "×": "times", "*": "times", "÷": "divided by",
    "±": "plus or minus", "≈": "about", "≤": "at most", "≥": "at least", "≠": "is not", "→": "to", "&": "and",
    "@": "at", "°": "degrees", "%": "percent", "‰": "per mille", "№": "number", "#": "number", "−": "minus",
    "√": "root of", "∞": "infinity", "²": "squared", "³": "cubed", "^": "to the power of", "/": "",
    "$": "dollars", "€": "euros", "£": "pounds", "¥": "yuan", "￥": "yuan", "₹": "rupees", "¢": "cents",
}  # fmt: skip
_MONEY: Final = {
    "$": ("dollar", "dollars", "cent", "cents"), "€": ("euro", "euros", "cent", "cents"),
    "£": ("pound", "pounds", "penny", "pence"), "¥": ("yuan", "yuan", "", ""), "₹": ("rupee", "rupees", "", ""),
}  # fmt: skip
_SCALES: Final = {
    "k": "thousand", "m": "million", "bn": "billion", "万": "ten thousand", "亿": "hundred million",
}  # fmt: skip
_UNITS: Final = {
    "kg": "kilogram", "g": "gram", "mg": "milligram", "µg": "microgram", "μg": "microgram", "mcg": "microgram",
    "lb": "pound", "lbs": "pound", "oz": "ounce", "fl oz": "fluid ounce", "t": "ton", "km": "kilometer", "m": "meter",
    "cm": "centimeter", "mm": "millimeter", "µm": "micrometer", "nm": "nanometer", "mi": "mile", "ft": "foot",
    "yd": "yard", "l": "liter", "L": "liter", "ml": "milliliter", "mL": "milliliter", "dl": "deciliter",
    "cl": "centiliter", "kcal": "kilocalorie", "cal": "calorie", "kJ": "kilojoule", "J": "joule", "W": "watt",
    "kW": "kilowatt", "kWh": "kilowatt hour", "Wh": "watt hour", "V": "volt", "mV": "millivolt", "A": "ampere",
    "mA": "milliampere", "mAh": "milliampere hour", "Hz": "hertz", "kHz": "kilohertz", "MHz": "megahertz",
    "GHz": "gigahertz", "kB": "kilobyte", "KB": "kilobyte", "MB": "megabyte", "GB": "gigabyte", "TB": "terabyte",
    "°C": "degree Celsius", "℃": "degree Celsius", "°F": "degree Fahrenheit", "℉": "degree Fahrenheit",
    "°": "degree", "km/h": "kilometer per hour", "kmh": "kilometer per hour", "kph": "kilometer per hour",
    "mph": "mile per hour", "m/s": "meter per second", "s": "second", "sec": "second", "ms": "millisecond",
    "min": "minute", "mins": "minute", "h": "hour", "hr": "hour", "hrs": "hour", "m²": "square meter",
    "m2": "square meter", "km²": "square kilometer", "cm²": "square centimeter", "m³": "cubic meter",
    "m3": "cubic meter", "cm³": "cubic centimeter", "Pa": "pascal", "hPa": "hectopascal", "kPa": "kilopascal",
    "bar": "bar", "psi": "P S I", "dB": "decibel", "px": "pixel", "pcs": "piece", "tbsp": "tablespoon",
    "tsp": "teaspoon", "ppm": "part per million", "公斤": "kilogram", "克": "gram", "毫升": "milliliter",
}  # fmt: skip
UNITS: Final = tuple(_UNITS)
_SAME: Final = ("hertz", "kilohertz", "megahertz", "gigahertz", "P S I")
_PARTS: Final = {2: ("half", "halves"), 4: ("quarter", "quarters")}
ABBREVIATIONS: Final = {
    "e.g.": "for example", "i.e.": "that is", "etc.": "et cetera", "vs.": "versus", "mr.": "mister",
    "mrs.": "missus", "dr.": "doctor", "prof.": "professor", "approx.": "approximately", "incl.": "including",
    "wt.": "weight", "w/o": "without", "w/": "with", "exp": "expires", "a.k.a.": "also known as",
}  # fmt: skip
_MONTHS: Final = (
    "January February March April May June July August September October November December".split()
)  # fmt: skip


_ONES: Final = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
).split()
_TENS: Final = "  twenty thirty forty fifty sixty seventy eighty ninety".split(" ")
_THOUSANDS: Final = ((10**12, "trillion"), (10**9, "billion"), (10**6, "million"), (1000, "thousand"))
_PLACES: Final = {
    "one": "first", "two": "second", "three": "third", "five": "fifth", "eight": "eighth", "nine": "ninth",
    "twelve": "twelfth",
}  # fmt: skip


def _words(number: int) -> str:
    """0 and more, as the British say it: one hundred and one."""
    if number < 20:
        return _ONES[number]
    if number < 100:
        return _TENS[number // 10] + (f"-{_ONES[number % 10]}" if number % 10 else "")
    if number < 1000:
        return f"{_ONES[number // 100]} hundred" + (f" and {_words(number % 100)}" if number % 100 else "")
    for size, name in _THOUSANDS:
        if number >= size:
            rest = number % size
            return f"{_words(number // size)} {name}" + (f" {'and ' * (rest < 100)}{_words(rest)}" if rest else "")
    raise AssertionError(number)


def digits(written: str) -> str:
    """Digit by digit."""
    return " ".join(_words(int(c)) for c in written)


def cardinal(written: str) -> str:
    """A whole number; digit by digit where it begins with a zero or is longer than fifteen digits."""
    if len(written) > 15 or (len(written) > 1 and written.startswith("0")):
        return digits(written)
    return _words(int(written))


def number(written: str) -> str:
    """A whole number or a decimal, with its sign; commas between thousands are allowed."""
    written = written.replace(",", "")
    if written[:1] in "+-−":
        return f"{'plus' if written[0] == '+' else MINUS} {number(written[1:])}"
    whole, _, part = written.partition(".")
    return f"{cardinal(whole or '0')} {POINT} {digits(part)}" if part else cardinal(whole)


def ordinal(written: str) -> str:
    """Its place: first, second."""
    if len(written) > 15:
        return digits(written)
    said = _words(int(written))
    start = max(said.rfind(" "), said.rfind("-")) + 1
    last = said[start:]
    return said[:start] + (_PLACES.get(last) or (f"{last[:-1]}ieth" if last.endswith("y") else f"{last}th"))


def year(written: str) -> str:
    """A year of four digits: nineteen ninety, nineteen oh five, two thousand and five."""
    number = int(written)
    century, rest = divmod(number, 100)
    if century % 10 == 0 and rest < 10:
        return _words(number)
    return f"{_words(century)} {_words(rest) if rest > 9 else f'oh {_words(rest)}' if rest else 'hundred'}"


def maybe_year(written: str) -> str:
    """Four digits that are more often a year than not, 1900 to 2099."""
    return year(written)


def decade(written: str) -> str:
    """The years from this one on: 1990 is `nineteen nineties`."""
    said = year(written) if len(written) == 4 else cardinal(written)
    return said[:-1] + "ies" if said.endswith("y") else said + "s"


def date(year_: str, month: int, day: str, *, day_first: bool = False) -> str:
    """A date; `year_` or `day` may be empty."""
    name = _MONTHS[month - 1]
    on = (f"the {ordinal(day)} of {name}" if day_first else f"{name} {ordinal(day)}") if day else name
    if not year_:
        return on
    return f"{on}, {year(year_)}" if day else f"{on} {year(year_)}"


def time(hour: int, minute: int, second: int | None, half: str) -> str:
    """A time of day; `half` is a, p or empty."""
    after = {"a": " a m", "p": " p m", "": ""}[half]
    if minute == 0 and second is None:
        if hour == 0 and not half:
            return "midnight"
        said = cardinal(str(hour))
        return said + (after or (" o'clock" if hour <= 12 else " hundred"))
    said = f"{'zero' if hour == 0 else cardinal(str(hour))} {'oh ' if 0 < minute < 10 else ''}"
    said += cardinal(str(minute)) if minute else "hundred" if second is None else "oh oh"
    return said + (f" and {counted(str(second), 'second')}" if second is not None else "") + after


def money(amount: str, currency: str, scale: str = "") -> str:
    """An amount of money; `currency` is a sign of `_MONEY`."""
    one, many, cent, cents = _MONEY[currency]
    if scale:
        return f"{number(amount)} {_SCALES.get(scale.lower(), scale.lower())} {many}"
    whole, _, part = amount.replace(",", "").partition(".")
    if not cent or len(part) not in (0, 2):
        return f"{number(amount)} {many}"
    said = [f"{cardinal(whole)} {one if whole == '1' else many}"] if int(whole) or not int(part or "0") else []
    if int(part or "0"):
        said.append(f"{cardinal(part.lstrip('0'))} {cent if int(part) == 1 else cents}")
    return " and ".join(said)


def percent(amount: str, to: str = "") -> str:
    """A percentage, or a range of them."""
    return f"{span(number(amount), number(to)) if to else number(amount)} percent"


def counted(amount: str, name: str) -> str:
    """An amount of something that has a plural."""
    return f"{number(amount)} {name if amount == '1' else _plural(name)}"


def two(measure: str) -> str | None:
    """Two of something, where a language has a word of its own for it."""
    del measure


def unit(amount: str, symbol: str) -> str:
    """An amount with a unit of `UNITS`."""
    return counted(amount, _UNITS[symbol])


def unit_name(symbol: str) -> str:
    """A unit alone, as in `per kilogram`."""
    return _UNITS[symbol]


def _plural(name: str) -> str:
    head, *rest = name.split(" ")
    if name in _SAME:
        return name
    if head in ("square", "cubic", "fluid", "kilowatt", "watt", "milliampere") and rest:
        return f"{head} {_plural(' '.join(rest))}"
    return " ".join(["feet" if head == "foot" else f"{head}s", *rest])


def fraction(upper: str, lower: str) -> str:
    """A fraction, `three quarters`, or a mark, `eight out of ten`."""
    a, b = int(upper), int(lower)
    if b in (10, 100) and 0 < a <= b:
        return f"{cardinal(upper)} out of {cardinal(lower)}"
    if (a, b) == (24, 7):
        return "twenty-four seven"
    if not 0 < a < b or b > 20:
        return f"{cardinal(upper)} over {cardinal(lower)}"
    one, many = _PARTS.get(b, (ordinal(lower), ordinal(lower) + "s"))
    return f"{cardinal(upper)} {one if a == 1 else many}"


def mixed(whole: str, upper: str, lower: str) -> str:
    """A whole number and a fraction."""
    return f"{cardinal(whole)} and {fraction(upper, lower)}"


def span(low: str, high: str) -> str:
    """From one to the other; both already words."""
    return f"{low} to {high}"


def ratio(a: str, b: str) -> str:
    """A ratio, as 3:1."""
    return f"{cardinal(a)} to {cardinal(b)}"
