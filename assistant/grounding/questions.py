"""Reading a question: which kinds of evidence would answer it, which words must fit, and about when it asks.

English and Chinese, by patterns and word lists; recognised speech comes without capitals and often without marks. Knows
no evidence.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from assistant.grounding.words import CARRIERS, STOP_WORDS, concept, is_chinese, plain, stem, tokens

Kinds = dict[str, float]


@dataclass(frozen=True, slots=True)
class Asked:
    """A word the evidence must fit: plain, with its weight, 0 to 1."""

    word: str
    weight: float


@dataclass(frozen=True, slots=True)
class Comparing:
    """A comparison: of which kinds of values, of which measures (empty: any), whether the high or the low one wins, the
    word to answer with, and whether it asks which, whether (yes or no) or by how much.
    """

    kinds: Kinds
    measures: frozenset[str]
    high: bool
    word: str
    form: str
    superlative: bool


@dataclass(frozen=True, slots=True)
class Question:
    """A question as read.

    wording: which sentence frames answer it. kinds: evidence kind -> how well it would answer, 0 to 1. asked: its content
    words. moment: now, first, second, third, previous or any. talk: said or heard where it asks about the talk, else
    empty. order: for questions about the talk, first or last. pointing: it points at what is seen.
    """

    text: str
    wording: str
    kinds: Kinds
    asked: tuple[Asked, ...]
    moment: str = "any"
    talk: str = ""
    order: str = "last"
    pointing: bool = False
    chat: bool = False
    comparing: Comparing | None = None
    colours: frozenset[str] = frozenset()
    places: tuple[tuple[int, int], ...] = ()


# ---------------------------------------------------------------- kinds

_VALUE: Kinds = {"amount": 0.9, "number": 0.9, "percent": 0.85, "money": 0.85, "code": 0.75, "date": 0.7, "time": 0.7}
_NAME: Kinds = {"name": 1.0, "field": 0.9, "fact": 1.0}

RULES: list[tuple[str, str, Kinds]] = [
    # wording, pattern, kinds
    ("lines", r"\bread\b(?! (about|on)\b)|\b(what|which|anything) .*\b(say|says|said|written|writing|printed|read|text)\b|"
     r"\bwhat'?s (written|printed)\b|\bis it about\b|\bnote about\b|\bspell (it|that) out\b|念|读|写[了着的]*(什么|啥)|写的[是]?(什么|啥)|什么字|说[了的]?什么|上面有什么字",
     {"block": 1.0}),
    ("colour", r"\bcolou?rs?\b|颜色|什么色", {"colour": 1.0}),
    ("percent", r"\bper ?cent(age)?\b|%|\bhow far (along|is|has)\b|\bprogress\b|\bhow (full|charged|complete)\b|\bbattery\b|"
     r"百分之|进度|多少电|电量", {"percent": 1.0, "field": 0.5}),
    ("date", r"\bbest before\b|\buse by\b|\bsell by\b|\bexpir\w+|\bexpir\b|\bwhat (is |was )?(the )?(date|day)\b|\bwhich (date|day)\b|\bdate\b|"
     r"\bgo(es)? (off|bad)\b|哪天|日期|几月几|几号|保质期|有效期|到期|过期", {"date": 1.0, "year": 0.6}),
    ("time", r"\bwhat time\b|\bwhat hour|\bopening (hours|times)\b|\bhow late\b|几点|营业时间|时间", {"time": 1.0}),
    ("date", r"^when\b|\bwhat year\b|\bwhich year\b|\bsince when\b|什么时候|何时|哪年|哪一年", {"date": 1.0, "year": 0.9, "time": 0.7}),
    ("weight", r"\bhow heavy\b|\bweighs?\b|\bweight\b|多重|重量|净重|净含量|毛重", {"amount": 1.0}),
    ("price", r"\bhow much (does|do|did|will|would) .*\bcosts?\b|\bhow much (do|does|did|will|would|should|must) .*\b(pay|owe)\b|\bprices?\b|\bcosts?\b|\bhow expensive\b|"
     r"\bhow much (is|was|are|were|for) (it|this|that|these|those|one)\b|多少钱|价格|售价|价钱|几块|怎么卖", {"money": 1.0}),
    ("amount", r"\bhow much .*\b(in|inside|contain\w*|have|has|there)\b|含量|含有多少|有多少", {"amount": 1.0, "percent": 0.85, "number": 0.7}),
    ("value", r"\bhow much\b|\bamount\b", {"money": 1.0, "amount": 0.9, "number": 0.8, "percent": 0.8}),
    ("phone", r"\b(phone|telephone|mobile|fax|hotline)\b|\bcall\b|电话|手机|热线", {"phone": 1.0, "number": 0.5}),
    ("email", r"\be-?mail\b|邮箱|邮件", {"email": 1.0}),
    ("web", r"\bweb ?(site|page|address)\b|\burl\b|\blink\b|网址|网站", {"web": 1.0, "code": 0.7}),
    ("code", r"\b(qr|bar) ?code\b|二维码|条形码|条码", {"code": 1.0}),
    ("count", r"\bhow many\b|几[个只顶瓶本张位条辆杯盒]|多少[个只顶瓶本张位条辆杯盒]", {"count": 1.0, "number": 0.95, "amount": 0.85, "percent": 0.6}),
    ("amount", r"\bhow (big|large|long|tall|wide|high|thick|deep|strong|fast|hot|warm|cold)\b|\bvolume\b|\bcapacity\b|\bsize\b|多大|多长|多高|多宽|容量|尺寸|规格|度数",
     {"amount": 1.0, "field": 0.9, "percent": 0.7, "number": 0.5}),
    ("code", r"\b(number|no|code|id|serial|model|version|password|pin)\b(?! of (calories|people|things))|编号|号码|密码|型号|单号|代码|几号|多少号",
     {"code": 1.0, "number": 1.0, "phone": 0.7, "field": 0.6, "amount": 0.4}),
    ("place", r"\b(what|which) (road|street|avenue|square|station|place|town|park|bridge|airport)\b|\b(name|called) .*\b(road|street|avenue|lane|square|station|park|bridge)\b|"
     r"\b(road|street|station) .*\b(name|called)\b|^where\b|什么路|哪条路|什么街|哪条街|路名|街名|什么站|哪个站|哪站|什么地方|在哪", {"place": 1.0, "field": 0.8}),
    ("company", r"\b(company|airlines?|airways|firm|bank|shop|store|restaurant|cafe|hotel|manufacturer|maker)\b|公司|航空|银行|酒店|商店|餐厅|厂家|厂商|品牌|哪家", {"company": 1.0, "field": 0.85, "title": 0.6}),
    ("role", r"\bwhat (was|is|were|are) (she|he|they|his job|her job)\b|\b(what) .*\b(job|profession|occupation|work as|do for a living)\b|\bwho (was|is) (she|he)\b|职业|做什么的|是干什么的|什么身份",
     {"role": 1.0, "field": 0.8}),
    ("name", r"\bwho\b|\bwhose\b|\bwhos\b|\b(person|man|woman|author|cashier|customer)'?s? name\b|\bmy name\b|\bam i called\b|谁|姓名|叫什么名字|什么名字", _NAME),
    ("title", r"\bnames?\b|\bcalled\b|\btitle\b|\bbrand\b|\b(what|which) (product|device|machine|phone|console|computer|model|flavou?r|brand)\b|名字|名称|标题|叫什么|牌子|什么产品|什么设备",
     {"title": 0.9, "field": 0.9, "code": 0.75, "name": 0.75, "place": 0.7, "company": 0.8}),
    ("order", r"\bwhat (should|must|can|do|shall|may) (i|we|you|one)\b.*\b(do|here|next)\b|\bam i (allowed|supposed)\b|\binstructions?\b|\bhow (do|should) i\b|该怎么做|应该做|怎么做|要我做|该做什么",
     {"order": 1.0}),
    ("describe", r"\bdescribe\b|\bwhat (do|can|did) you (see|read)\b|\bwhat (else )?(is|was|'?s) (this|that|it|shown|there|here|on|in)\b|\bwhat'?s (this|that|here|in front|on|in)\b|\bwhat (are|were) (these|those|they)\b|"
     r"\bwhat am i (holding|showing)\b|\bwhat did i (show|hold)\b|\bcan you see\b|看到(了)?什么|看见(了)?什么|这是什么|那是什么|是什么|有什么|描述", {"describe": 1.0}),
    ("whether", r"^(is|are|does|do|did|was|were|has|have)\b.*\b(there|it|this|that|contain\w*)\b|有没有|是不是|含不含|吗$", {"line": 1.0}),
    ("word", r"\b(what|which) (word|letter)s?\b|什么单词|哪个词", {"title": 1.0, "line": 0.8}),
    ("open", r"^(what|which)\b|哪|什么|多少", {**_VALUE, "field": 1.0, "line": 0.7}),
]  # fmt: skip
"""What is asked for, most telling first; a question is read by the first rule that fits."""

SUMS = frozenset("total subtotal tax tip discount deposit change price".split())
SUM_KINDS: Kinds = {"money": 1.0, "number": 0.6, "amount": 0.45, "percent": 0.5}
_GENERIC = frozenset(
    """price weight volume date time name title number code colour color colours colors percent percentage cost amount
    company brand road street place size phone email website web progress page far along full complete heavy expensive pay owe
    total_ word say described describe call called product model make kind picture day year hour hours job profession
    shown show first second third last previous earlier before later ago answer told""".split()
)
"""Words that say what kind of evidence is wanted; where the evidence names it too, so much the better."""

COLOUR_WORDS = {
    "black": "black 黑", "white": "white 白", "grey": "grey gray silver 灰 银", "red": "red 红", "orange": "orange 橙 橘",
    "yellow": "yellow gold golden 黄 金色", "green": "green 绿", "blue": "blue 蓝", "purple": "purple violet 紫",
    "pink": "pink 粉", "brown": "brown 棕 褐", "beige": "beige cream 米色",
}  # fmt: skip

# ---------------------------------------------------------------- talk, time, chat

_SAID = re.compile(
    r"\bwhat (did|was|have) i\b.*\b(say|said|tell|told|ask|asked|saying|asking|mention\w*)\b|\b(i|we) (said|told|asked|mentioned)\b|"
    r"\bmy (?!(hand|left|right|desk|table|picture|screen|note|receipt|bottle|packet|cup|label|shirt|jacket)\b)\w+|\bdo i (?!(do|need|have to|use|open|get|owe|pay)\b)|\bam i (?!(holding|showing|looking|supposed|allowed|seeing|wearing)\b)|\bwhere (do|did|am) i\b|"
    r"我(说|问|讲|告诉)|我(的)?(名字|叫什么|姓名)|我叫|我最?(喜欢|住)"
)
_ASKS = re.compile(
    r"\b(what|what's|whats|who|who's|whos|whose|which|where|when|why|how)\b|^(and |so |then )?(is|are|was|were|does|do|did|can|could|has|have|will|would|am|should|must|may)\b|"
    r"^(please |now )?(read|tell|show|describe|say|repeat|spell|give|compare|name|find|look|list)\b|^(and |what about |how about )?(the|this|that|its)( \w+){1,3}$|"
    r"[什哪谁几吗呢么]|多少|多重|多大|多长|念|读|比|描述|是不是|有没有|再说|重复|颜色$|价格$"
)
"""What a question or a request has; anything else tells something, and is answered as talk."""
_HEARD = re.compile(
    r"\b(did|have|had) you (just )?(say|said|tell|told|answer\w*|mention\w*|read)\b|\byou (just )?(said|told|answered|mentioned)\b|"
    r"\b(say|repeat) (that|it) again\b|\brepeat (that|it|yourself|your answer|please)\b|\bwhat was (that|your (last )?answer)\b|^(pardon|sorry what)\b|"
    r"你(刚才|刚刚|之前)?(说|回答|告诉)|再说一遍|重复一遍|重说"
)
_ASKING = re.compile(r"\bi (just )?ask|\bdid i ask|\bmy (last |first )?question|我问|问题")
_CHAT = re.compile(
    r"^(hello|hi|hey|good (morning|evening|afternoon|night)|thanks?( you)?|thank you|bye|goodbye|okay|ok|yes|no|sure|please|nice|great|cool|wow)\b|"
    r"\bhow are you\b|\bwho are you\b|\bwhat('s| is) your name\b|\b(a|another) (joke|story|poem|song|riddle)\b|\b(sing|joke|rhyme)\b|\bwhat can you do\b|"
    r"\b(capital|president|king|queen|population|inventor|meaning|definition|history|founder) of\b|\bwho (invented|discovered|won)\b|"
    r"\bweather\b|\bwhat time is it\b|\bwhat('s| is) the time( now)?$|\bwhat day is (it|today)\b|\btoday's date\b|\bwhat('s| is) (the )?(date|day) today\b|"
    r"\b(plus|minus|times|divided by)\b|\bdefine\b|\bexplain\b|^why\b|^(tell|teach) me (about|something|how)\b|\bwhat (is|are) (an?|the difference)\b|"
    r"\b(remind|set|turn|switch|play|go|start|move) \w+|^how (do|does|did|can|could|would) (?!(i|you see|this|that|it cost|it weigh)\b)|\bdo you (like|know|think|have|speak|want)\b|"
    r"你好|谢谢|再见|你是谁|你叫什么|讲个|笑话|故事|唱|天气|现在几点|今天(几号|星期)|首都|总统|为什么|解释|等于几|早上好|晚上好"
)
_POINTING = re.compile(
    r"\b(this|that|these|those|here|it|its|see|saw|show\w*|look\w*|holding|picture|photo|camera|image|label|sign|receipt|screen|note|plaque|page|package|packet|packag\w*|bottle|box|"
    r"display|poster|card|ticket|written|printed|read|says?)\b|这|那|图|照片|看|牌|标签|收据|小票|屏幕|纸|上面|写|手里|包装|瓶|盒"
)
_ORDINAL = {
    "first": r"\bfirst\b|第一|最先|最开始",
    "second": r"\bsecond (one|thing|object|picture|label|product|item|bottle|box|packet)\b|\bthe second\b|第二",
    "third": r"\bthird\b|第三",
    "previous": r"\b(previous|before that|before this|earlier|the last (one|thing|object|picture|label|product)|the other( one)?|last time|a (moment|minute|while) ago|just now|"
    r"did i (show|hold)|you saw|did you see|have you seen|was (shown|there) before)\b|\b(one|thing|picture|label|object) before\b|\bbefore$|之前|刚才|刚刚|上一个|前一个|上次|另一个|先前",
}  # fmt: skip
_NOW = re.compile(r"\b(now|this|current\w*)\b|这|现在")

COMPARATIVES: list[tuple[str, str, bool, Kinds, str]] = [
    # word to answer with, pattern, the high one wins, kinds, measure ("" any)
    ("cheaper", r"\bcheap(er|est)\b|\b(less|least) expensive\b|\bcosts? (less|the least)\b|\bbetter (price|deal|value)\b|便宜|价格低", False, {"money": 1.0}, "money"),
    ("more expensive", r"\b(more|most) expensive\b|\b(dear|pric|costli)(er|est|ier|iest)\b|\bcostl?i?er\b|\bcosts? (more|the most)\b|更贵|最贵|哪个贵|[个种件]贵|比.*贵", True, {"money": 1.0}, "money"),
    ("heavier", r"\bheav(ier|iest)\b|\bweighs? (more|the most)\b|[更最]重|个重|比.*重", True, {"amount": 1.0}, "mass"),
    ("lighter", r"\blight(er|est)\b|\bweighs? (less|the least)\b|[更最]轻|个轻|比.*轻", False, {"amount": 1.0}, "mass"),
    ("bigger", r"\b(bigg|larg|great)(er|est)\b|\b(contains?|holds?) (more|the most)$|[更最]大|[更最]多|个大|个多", True, {"amount": 1.0}, "size"),
    ("smaller", r"\bsmall(er|est)\b|\b(contains?|holds?) (less|the least)$|[更最]小|[更最]少|个小|个少", False, {"amount": 1.0}, "size"),
    ("longer", r"\b(long|tall|wid|high)(er|est)\b(?= (one|box|rope|cable|board|stick)|$)|[更最]长|[更最]高", True, {"amount": 1.0}, "length"),
    ("older", r"\b(old|earli)(er|est)\b|\b(expires?|expir\w*|goes? (off|bad)|runs? out) (first|sooner|earlier|earliest|before)\b|\b(first|sooner|earlier) to expire\b|(先|早|更早|最早)(过期|到期)|更旧|更早", False, {"date": 1.0, "year": 0.8}, "date"),
    ("newer", r"\b(new|fresh|lat)(er|est)\b|\b(expires?|keeps?|lasts?|good) (last|later|latest|longer|longest)\b|\b(last|later) to expire\b|(晚|更晚|最晚|后)(过期|到期)|更新鲜|更晚", True, {"date": 1.0, "year": 0.8}, "date"),
    ("more", r"\b(more|most|higher|highest|stronger|strongest|fuller|richer)\b|更高|最高|更多|最多", True, {"amount": 1.0, "percent": 1.0, "number": 0.9, "money": 0.6, "count": 0.8}, ""),
    ("less", r"\b(less|least|fewer|fewest|lower|lowest|weaker|weakest)\b|更低|最低|更少|最少", False, {"amount": 1.0, "percent": 1.0, "number": 0.9, "money": 0.6, "count": 0.8}, ""),
]  # fmt: skip
_EXPIRES = {"older": "expires first", "newer": "expires later"}


def read(text: str) -> Question:
    """Read a question. Never fails: what fits nothing is chat."""
    asked_text = plain(text).strip(" .?!。？！,，")
    wording, kinds = _kinds(asked_text)
    talk, order = _talk(asked_text)
    if talk == "said":
        kinds = {"fact": 1.0, "sentence": 0.85}
    moment = _moment(asked_text, talk)
    comparing = _comparing(asked_text)
    pointing = bool(_POINTING.search(asked_text))
    chat = bool(_CHAT.search(asked_text)) and not (talk or comparing)
    asked = _asked(asked_text, comparing, personal=talk == "said")
    chat = chat or not _ASKS.search(asked_text) or (not wording and comparing is None and not talk)
    colours = frozenset(c for c, words in COLOUR_WORDS.items() if _mentions(asked_text, words))
    return Question(
        text, wording, kinds, asked, moment, talk, order, pointing, chat, comparing, colours if wording != "colour" else frozenset(),
        tuple(at for word, at in PLACES.items() if any(at) and _mentions(asked_text, word)),
    )  # fmt: skip


def _mentions(text: str, words: str) -> bool:
    return any(re.search(rf"\b{w}\b", text) if w.isascii() else w in text for w in words.split())


def _kinds(text: str) -> tuple[str, Kinds]:
    for wording, pattern, kinds in RULES:
        if re.search(pattern, text):
            sums = wording in ("open", "value") and any(concept(word) in SUMS for word in tokens(text))
            return ("value", SUM_KINDS) if sums else (wording, kinds)
    return "", {}


def _talk(text: str) -> tuple[str, str]:
    """Whether it asks about the talk: what the user said, asked, or heard; and about its first or its last."""
    order = "first" if re.search(r"\bfirst\b|第一|最先", text) else "last"
    if _HEARD.search(text):
        return "heard", order
    if _SAID.search(text):
        return ("asked" if _ASKING.search(text) else "said"), order
    return "", order


def _moment(text: str, talk: str) -> str:
    if talk:
        return "any"
    text = re.sub(r"\bexpires? first\b|\bbest before\b|\bfirst to expire\b|先过期|此日期前", "", text)
    for moment, pattern in _ORDINAL.items():
        if re.search(pattern, text):
            return moment
    return "now" if _NOW.search(text) else "any"


def _comparing(text: str) -> Comparing | None:
    asks = re.search(r"\b(which|what|who|is|are|was|does|do|than|how much|or)\b|哪|比|还是|最|更", text)
    if not asks:
        return None
    for word, pattern, high, kinds, measure in COMPARATIVES:
        if not re.search(pattern, text):
            continue
        if word in ("more", "less") and not re.search(
            r"\bthan\b|\b(which|what|who)( \w+)? (has|have|contains?|is|had|gives)\b|哪|比|最", text
        ):
            continue
        superlative = bool(re.search(r"\w(est)\b|\b(most|least)\b|最", text))
        measures = {"": frozenset[str](), "size": frozenset({"mass", "volume", "length", "pieces", "data"})}
        word = _EXPIRES.get(word, word) if re.search(r"expir|go(es)? (off|bad)|过期|到期", text) else word
        return Comparing(kinds, measures.get(measure, frozenset({measure})), high, word, _form(text), superlative)
    return None


def _form(text: str) -> str:
    if re.search(r"\bhow much\b|\bby how\b|多少|差", text):
        return "difference"
    return (
        "whether"
        if re.match(r"(is|are|was|does|do|so is|and is)\b", text) and " or " not in text or text.endswith("吗")
        else "which"
    )


def _asked(text: str, comparing: Comparing | None, *, personal: bool) -> tuple[Asked, ...]:
    """The content words with their weights: what the thing is called weighs much, what it stands on hardly anything."""
    if comparing is not None:
        for _, pattern, *_ in COMPARATIVES:
            text = re.sub(pattern, " ", text)
    if is_chinese(text):
        text = _CHINESE_FILLER.sub(" ", text)
    found: dict[str, Asked] = {}
    for word in tokens(text):
        if (
            word in (_TALK_STOP_WORDS if personal else STOP_WORDS)
            or word in PLACES
            or (len(word) == 1 and word.isascii() and not word.isdigit())
        ):
            continue
        weight = 1.0
        if personal:
            pass
        elif word in CARRIERS or stem(word) in CARRIERS:
            weight = 0.0
        elif word in _GENERIC or (concept(word) or stem(word)) in _GENERIC:
            weight = 0.12
        elif concept(word) in LABELS:
            weight = 0.35
        elif any(_mentions(word, words) for words in COLOUR_WORDS.values()):
            weight = 0.0
        elif re.search(rf"\b(this|that|these|those) (\w+ )?{re.escape(word)}\b", text):
            weight = 0.15
        found.setdefault(word, Asked(word, weight))
    return tuple(found.values())


_TALK_STOP_WORDS = STOP_WORDS - frozenset("like want have old long".split()) | frozenset(
    "say said tell told mention mentioned ask asked talk talked first last earlier before again about remember".split()
)
PLACES = {
    "left": (0, -1), "right": (0, 1), "top": (1, -1), "upper": (1, -1), "bottom": (1, 1), "lower": (1, 1),
    "左": (0, -1), "右": (0, 1), "side": (0, 0),
}  # fmt: skip
"""Where in the picture: the axis (0 across, 1 down) and the direction."""
LABELS = frozenset("bestbefore made".split())
"""What a date may be labelled with, and often is not."""

_CHINESE_FILLER = re.compile(
    "请问|请|告诉我|帮我|一下|什么|哪个|哪家|哪条|哪天|哪里|哪|多少钱|多少|几个|怎么|是不是|有没有|这个|那个|这|那|这些|上面|上写|写的|写了|写着|写|上|里面|里|"
    "多|颜色|的是|是|的|了|吗|呢|有|在|我|你|它|他|她|和|与|跟|比|还是|第一个|第二个|第一|第二|刚才|之前|现在|说|问|看到|看见|念|读|纸条|牌子|飞机|图|到|叫|名字|什么时候|几"
)
