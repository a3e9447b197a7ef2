"""How numbers, amounts, dates and times are said in Mandarin, in simplified characters.

The same functions as in `english`. Knows nothing of where they stand in a text.
"""

from __future__ import annotations

from typing import Final

POINT, DOT, AT, SLASH, DASH, UNDERSCORE, PER, NUMBER = "点", "点", "艾特", "斜杠", "杠", "下划线", "每", "号"
MINUS, ABOUT, VERSION = "负", "约", "版本"
SYMBOLS: Final = {
    "+": "加", "=": "等于", "<": "小于", ">": "大于", "×": "乘", "*": "乘", "÷": "除以", "±": "正负", "≈": "约等于",
    "≤": "小于等于", "≥": "大于等于", "≠": "不等于", "→": "到", "&": "和", "@": "艾特", "°": "度", "%": "百分号",
    "‰": "千分号", "№": "第", "#": "井号", "−": "减", "√": "根号", "∞": "无穷大", "²": "平方", "³": "立方",
    "^": "的次方", "/": "", "$": "美元", "€": "欧元", "£": "英镑", "¥": "元", "￥": "元", "₹": "卢比", "¢": "美分",
}  # fmt: skip
_MONEY: Final = {"$": "美元", "€": "欧元", "£": "英镑", "¥": "元", "₹": "卢比"}
_SCALES: Final = {"k": "千", "thousand": "千", "m": "百万", "million": "百万", "bn": "十亿", "billion": "十亿"}
_UNITS: Final = {
    "kg": "公斤", "g": "克", "mg": "毫克", "µg": "微克", "μg": "微克", "mcg": "微克", "lb": "磅", "lbs": "磅",
    "oz": "盎司", "fl oz": "液量盎司", "t": "吨", "km": "公里", "m": "米", "cm": "厘米", "mm": "毫米", "µm": "微米",
    "nm": "纳米", "mi": "英里", "ft": "英尺", "yd": "码", "l": "升", "L": "升", "ml": "毫升", "mL": "毫升",
    "dl": "分升", "cl": "厘升", "kcal": "千卡", "cal": "卡", "kJ": "千焦", "J": "焦耳", "W": "瓦", "kW": "千瓦",
    "kWh": "千瓦时", "Wh": "瓦时", "V": "伏", "mV": "毫伏", "A": "安", "mA": "毫安", "mAh": "毫安时", "Hz": "赫兹",
    "kHz": "千赫", "MHz": "兆赫", "GHz": "吉赫", "kB": "千字节", "KB": "千字节", "MB": "兆字节", "GB": "吉字节",
    "TB": "太字节", "°C": "摄氏度", "℃": "摄氏度", "°F": "华氏度", "℉": "华氏度", "°": "度", "km/h": "公里每小时",
    "kmh": "公里每小时", "kph": "公里每小时", "mph": "英里每小时", "m/s": "米每秒", "s": "秒", "sec": "秒",
    "ms": "毫秒", "min": "分钟", "mins": "分钟", "h": "小时", "hr": "小时", "hrs": "小时", "m²": "平方米",
    "m2": "平方米", "km²": "平方公里", "cm²": "平方厘米", "m³": "立方米", "m3": "立方米", "cm³": "立方厘米",
    "Pa": "帕", "hPa": "百帕", "kPa": "千帕", "bar": "巴", "psi": "磅每平方英寸", "dB": "分贝", "px": "像素",
    "pcs": "个", "tbsp": "汤匙", "tsp": "茶匙", "ppm": "百万分之一", "公斤": "公斤", "克": "克", "毫升": "毫升",
}  # fmt: skip
UNITS: Final = tuple(_UNITS)
ABBREVIATIONS: Final[dict[str, str]] = {}
_MEASURES: Final = "个只杯瓶块张位次种件条本台辆碗片包袋盒支点份人天元岁"
_DIGITS: Final = "零一二三四五六七八九"
_PLACES: Final = ("", "十", "百", "千")


def digits(written: str) -> str:
    """Digit by digit."""
    return "".join(_DIGITS[int(c)] for c in written)


def cardinal(written: str) -> str:
    """A whole number; digit by digit where it begins with a zero or is longer than fifteen digits."""
    if len(written) > 15 or (len(written) > 1 and written.startswith("0")):
        return digits(written)
    if not int(written):
        return _DIGITS[0]
    said = _grouped(int(written))
    return said.removeprefix("一") if said.startswith("一十") else said


def _grouped(number: int) -> str:
    """1 and more: in hundreds of millions, in ten thousands, and the rest."""
    for size, name in ((10**8, "亿"), (10**4, "万")):
        if number >= size:
            rest = number % size
            gap = "零" if 0 < rest < size // 10 else ""
            return _grouped(number // size) + name + gap + (_grouped(rest) if rest else "")
    return _thousands(number)


def _thousands(number: int) -> str:
    """1 to 9999."""
    said, gap = "", False
    for place in reversed(range(4)):
        digit = number // 10**place % 10
        if digit:
            said += ("零" if gap else "") + _DIGITS[digit] + _PLACES[place]
            gap = False
        else:
            gap = bool(said)
    return said


def number(written: str) -> str:
    """A whole number or a decimal, with its sign; commas between thousands are allowed."""
    written = written.replace(",", "")
    if written[:1] in "+-−":
        return ("正" if written[0] == "+" else MINUS) + number(written[1:])
    whole, _, part = written.partition(".")
    return cardinal(whole or "0") + (POINT + digits(part) if part else "")


def ordinal(written: str) -> str:
    """Its place."""
    return "第" + cardinal(written)


def year(written: str) -> str:
    """A year, digit by digit."""
    return digits(written)


def maybe_year(written: str) -> str:
    """Four digits that may be a year: in Chinese a year says so, this is a number."""
    return number(written)


def decade(written: str) -> str:
    """The years from this one on."""
    return f"{cardinal(written[-2:]) if int(written[-2:]) else digits(written)}年代"


def date(year_: str, month: int, day: str, *, day_first: bool = False) -> str:
    """A date; `year_` or `day` may be empty. Chinese has one order only."""
    del day_first
    said = f"{digits(year_)}年" if year_ else ""
    return said + f"{cardinal(str(month))}月" + (f"{cardinal(str(int(day)))}日" if day else "")


def time(hour: int, minute: int, second: int | None, half: str) -> str:
    """A time of day; `half` is a, p or empty."""
    said = {"a": "上午", "p": "下午", "": ""}[half] + _measured(str(hour)) + "点"
    if minute or second is not None:
        said += ("零" if 0 < minute < 10 else "") + cardinal(str(minute)) + "分"
    return said + (f"{cardinal(str(second))}秒" if second is not None else "")


def _measured(amount: str) -> str:
    """An amount before a measure word: two is 两."""
    return "两" if amount == "2" else number(amount)


def money(amount: str, currency: str, scale: str = "") -> str:
    """An amount of money; `currency` is a sign of `_MONEY`."""
    whole, _, part = amount.partition(".")
    kept = f"{whole}.{part.rstrip('0')}" if part.strip("0") else whole
    return _measured(kept) + _SCALES.get(scale.lower(), scale) + _MONEY[currency]


def percent(amount: str, to: str = "") -> str:
    """A percentage, or a range of them."""
    return "百分之" + (span(number(amount), number(to)) if to else number(amount))


def two(measure: str) -> str | None:
    """Two of something, where a language has a word of its own for it."""
    return "两" if measure in _MEASURES else None


def unit(amount: str, symbol: str) -> str:
    """An amount with a unit of `UNITS`."""
    name = _UNITS[symbol]
    if symbol in ("°C", "℃", "°F", "℉") and amount[:1] in "-−":
        return f"零下{number(amount[1:])}{name}"
    return _measured(amount) + name


def unit_name(symbol: str) -> str:
    """A unit alone."""
    return _UNITS[symbol]


def fraction(upper: str, lower: str) -> str:
    """A fraction."""
    return f"{cardinal(lower)}分之{cardinal(upper)}"


def mixed(whole: str, upper: str, lower: str) -> str:
    """A whole number and a fraction."""
    return f"{cardinal(whole)}又{fraction(upper, lower)}"


def span(low: str, high: str) -> str:
    """From one to the other; both already words."""
    return f"{low}到{high}"


def ratio(a: str, b: str) -> str:
    """A ratio, as 3:1."""
    return f"{cardinal(a)}比{cardinal(b)}"
