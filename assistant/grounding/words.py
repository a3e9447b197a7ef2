"""Words as they are compared: stems, synonyms in both languages, and likeness that survives misread letters.

A term is what a word stands for: a concept of the table, else the word's stem; Chinese without a concept becomes pairs of
characters. Knows no question and no picture.
"""

from __future__ import annotations

import re
import unicodedata
from difflib import SequenceMatcher
from functools import cache

CONCEPTS = """
total: total totals sum due payable 总计 合计 总额 总价 总共 总金额 应付 实付 一共
subtotal: subtotal 小计
tax: tax taxes vat gst hst 税 税额 税费
tip: tip gratuity 小费
discount: discount discounts off save savings saving 折扣 优惠 折
deposit: deposit pfand 押金
change: change 找零
cash: cash 现金
card: card visa mastercard debit credit 银行卡
price: price prices priced cost costs costing fare fee 价格 价钱 售价 单价 价
weight: weight weights weigh weighs weighing heavy mass net 重量 净重 净含量 毛重 重
volume: volume capacity 容量 体积
length: length long 长度 长
width: width wide 宽度 宽
height: height tall high 高度 身高
sodium: sodium 钠
salt: salt 盐
sugar: sugar sugars 糖 糖分
fat: fat fats 脂肪
saturated: saturated saturates 饱和
protein: protein proteins 蛋白质 蛋白
carbohydrate: carbohydrate carbohydrates carbs carb 碳水化合物 碳水
fibre: fibre fiber 纤维
cholesterol: cholesterol 胆固醇
calories: calories calorie kcal energy 热量 能量 卡路里
serving: serving servings portion portions serve 份量 每份
vitamin: vitamin vitamins 维生素
alcohol: alcohol alc abv 酒精 酒精度
cocoa: cocoa cacao 可可
ingredients: ingredients ingredient contains contain 配料 成分
bestbefore: bestbefore expiry expire expires expired expiring expiration exp bbe bb 保质期 有效期 到期 过期 保质
made: mfg mfd manufactured produced production packed 生产日期 生产
date: date dated day 日期
time: time 时间
open: open opens opening 营业 开门 开放
close: close closes closing closed 关门 打烊
depart: depart departs departure departing leaves leave 出发 发车
arrive: arrive arrives arrival arriving 到达
boarding: boarding board 登机
phone: phone telephone tel mobile hotline fax 电话 手机 热线
order: order 订单 单号
invoice: invoice bill 发票 账单
table: table 桌号
cashier: cashier clerk server served operator teller waiter 收银员 收银
customer: customer client guest 顾客 客户
name: name names named called 名字 名称 姓名
title: title titled 标题
author: author writer written wrote 作者
road: road rd street avenue ave lane boulevard blvd 路 街 大道 大街
gate: gate 登机口
seat: seat 座位 座
flight: flight 航班
platform: platform track 站台 月台
train: train 列车 车次
bus: bus 公交 巴士
line: line route 线 号线
room: room 房间 房号 室
floor: floor storey 楼 楼层
exit: exit 出口
entrance: entrance entry 入口
station: station 车站 站
battery: battery 电量 电池
update: update updating updated updates 更新
download: download downloading downloaded 下载
progress: progress 进度
install: install installing installed installation 安装
address: address 地址
email: email 邮箱 邮件
website: website web url site 网址 网站
speed: speed 限速 速度
temperature: temperature temp 温度 气温
size: size sizes 尺寸 规格 尺码
quantity: quantity qty amount 数量
brand: brand manufacturer maker 品牌 厂商 厂家
company: company firm business 公司 企业
airline: airline airlines airways 航空 航空公司
model: model 型号
version: version 版本
serial: serial 序列号
password: password passcode pin 密码 验证码
wifi: wifi network ssid 无线
code: code 代码 编码
number: number no nr num 号码 编号 号
points: points score 分数 得分
score: result
north: north n 北
south: south s 南
east: east e 东
west: west w 西
left: left 左
right: right 右
milk: milk 牛奶
tea: tea 茶
coffee: coffee 咖啡
water: water 水
juice: juice 果汁
bread: bread 面包
rice: rice 米 大米
beer: beer 啤酒
wine: wine 葡萄酒
chocolate: chocolate 巧克力
cheese: cheese 奶酪
honey: honey 蜂蜜
oil: oil 油
flour: flour 面粉
egg: egg eggs 鸡蛋
butter: butter 黄油
apple: apple apples 苹果
banana: banana bananas 香蕉
voltage: voltage volts volt 电压
power: power watts watt wattage 功率
"""
"""Ordinary words of packages, receipts, signs and screens: `concept: the words that stand for it`."""

_PHRASES = {
    r"\bbest[ -]?(before|by)\b|\b(use|sell|consume|eat)[ -]?by\b|此日期前\S*|\bgo(es)? (off|bad)\b": "bestbefore",
    r"\bsub[ -]?total\b": "subtotal",
    r"\bgrand[ -]?total\b|\bamount[ -](due|payable)\b": "total",
    r"\bwi[ -]fi\b": "wifi",
    r"\be-mail\b": "email",
    r"\bmade (on|in)\b(?= *\d)": "mfg",
    r"\bfull name\b": "name",
    r"(?<=\w)'s\b": "",
}

STOP_WORDS = frozenset(
    """a an the this that these those it its is are was were be been being am do does did done doing has have had having
    i me my mine you your yours he him his she her hers we us our they them their of on in at to for from with by about
    into onto over under near next beside up down out off and or but not no if then than as so too very just also
    what whats which who whom whose when where why how much many far old long one ones thing things there here now please
    can could would will shall should may might must tell show say says said read see seen look looking give get got let
    know think want like ok okay hey hi well um uh again still yet ever all any some each every both other another
    written writing printed shown displayed stand stands mean means exactly does's kind sort type currently there's
    let's holding hold held look looks use used using going come comes make makes around side""".split()
)
CARRIERS = frozenset(
    """receipt label sign note notes paper plaque screen display package packet pack box bottle can jar carton tin bag
    picture photo image page book card ticket sticker poster board product item items object thing stuff container
    document letter text word words line writing message handwriting handwritten view camera front back top bottom
    device machine food drink bar cup mug plate shelf tag menu list wall door shop store bill cap shirt hat sheet
    information info details number numbers 纸条 牌子 标签 收据 小票 屏幕 包装 盒子 瓶子 图片 照片 商品 产品 东西 物品 上面 里面 这里
    这个 那个 纸 飞机 车 墙""".split()
)
"""What evidence stands on: naming it says little about which evidence is meant."""

_CJK = "\u3400-\u4dbf\u4e00-\u9fff"
_TOKEN = re.compile(rf"[a-z]+(?:'[a-z]+)?|\d+|[{_CJK}]+")


@cache
def _tables() -> tuple[dict[str, str], dict[str, str]]:
    latin: dict[str, str] = {}
    chinese: dict[str, str] = {}
    for row in CONCEPTS.strip().splitlines():
        concept, _, words = row.partition(":")
        for word in words.split():
            (latin if word.isascii() else chinese)[word] = concept
    return latin, chinese


def plain(text: str) -> str:
    """Lower case, one kind of width and of quote, single spaces: how texts are compared."""
    text = unicodedata.normalize("NFKC", text).replace("’", "'").replace("`", "'").casefold()
    return " ".join(text.split())


def is_chinese(text: str) -> bool:
    """Whether any Chinese character is in it."""
    return re.search(f"[{_CJK}]", text) is not None


def stem(word: str) -> str:
    """An English word without its commonest endings; enough for matching, not a linguist's stem."""
    word = word.removesuffix("'s").removesuffix("'")
    for ending, instead in (("ies", "y"), ("sses", "ss"), ("ing", ""), ("ed", ""), ("es", ""), ("s", "")):
        if word.endswith(ending) and len(word) - len(ending) >= 3 and not word.endswith("ss"):
            word = word[: -len(ending)] + instead
            break
    return word[:-1] if len(word) > 4 and word.endswith("e") else word


def concept(word: str) -> str | None:
    """The concept of the table a plain word stands for, None where it has none."""
    latin, chinese = _tables()
    return latin.get(word) or chinese.get(word)


def term(word: str) -> str:
    """What a plain word stands for."""
    return concept(word) or stem(word)


def tokens(text: str) -> list[str]:
    """The plain words of a text in order; Chinese is cut at the words of the table, the rest into pairs of characters."""
    text = plain(text)
    for pattern, word in _PHRASES.items():
        text = re.sub(pattern, word, text)
    found: list[str] = []
    for token in _TOKEN.findall(text):
        found += _cut_chinese(token) if is_chinese(token) else [token]
    return found


def _cut_chinese(run: str) -> list[str]:
    _, chinese = _tables()
    found: list[str] = []
    loose = ""
    at = 0
    while at < len(run):
        word = next((run[at : at + n] for n in (6, 5, 4, 3, 2, 1) if run[at : at + n] in chinese), "")
        if word and len(word) == min(len(word), len(run) - at):
            found += [*_pairs(loose), word]
            loose, at = "", at + len(word)
        else:
            loose, at = loose + run[at], at + 1
    return found + _pairs(loose)


def _pairs(run: str) -> list[str]:
    return [run[i : i + 2] for i in range(len(run) - 1)] if len(run) > 1 else [run] if run else []


def terms(text: str) -> frozenset[str]:
    """What the words of a text stand for."""
    return frozenset(term(token) for token in tokens(text))


@cache
def likeness(asked: str, read: str) -> float:
    """How well a read word fits an asked one, 0 to 1; both plain words.

    1: they stand for the same. Below: misread letters, words glued together, a word cut by the picture's edge. A read
    word that is known as something else never fits: 'subtotal' is not a misread 'total'.
    """
    if term(asked) == term(read):
        return 1.0
    if concept(read) or min(len(asked), len(read)) < 4 or is_chinese(asked + read):
        return 0.0
    if asked in read and len(asked) >= 4:
        return 0.8
    if read in asked and len(read) >= 0.6 * len(asked):
        return 0.6
    alike = SequenceMatcher(None, asked, read, autojunk=False).ratio()
    return 0.85 if alike >= 0.82 else 0.0


def best_likeness(asked: str, among: frozenset[str]) -> float:
    """The likeness of the best fitting of several plain words."""
    return max((likeness(asked, word) for word in among), default=0.0)
