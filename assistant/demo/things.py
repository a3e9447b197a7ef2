"""What the demo shows: two groceries with made-up labels, at random from a seed. Knows no picture and no question."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from random import Random

PRODUCTS: tuple[tuple[str, str, str, str], ...] = (
    ("OAT MILK", "carton", "ml", "FAT"),
    ("APPLE JUICE", "carton", "ml", "FRUIT"),
    ("PEAR NECTAR", "carton", "ml", "FRUIT"),
    ("TOMATO SOUP", "tin", "ml", "TOMATO"),
    ("COCONUT CREAM", "tin", "ml", "FAT"),
    ("SWEET CORN", "tin", "g", "SALT"),
    ("KIDNEY BEANS", "tin", "g", "PROTEIN"),
    ("PLUM JAM", "jar", "g", "FRUIT"),
    ("ALMOND BUTTER", "jar", "g", "ALMONDS"),
    ("OLIVE PASTE", "jar", "g", "OLIVES"),
    ("COCOA POWDER", "bag", "g", "COCOA"),
    ("BREAD FLOUR", "bag", "g", "PROTEIN"),
    ("GREEN LENTILS", "bag", "g", "PROTEIN"),
)
"""name, shape, unit of what is in it, and what its percentage is of"""
COLOURS: dict[str, tuple[int, int, int]] = {
    "red": (196, 38, 40),
    "orange": (240, 128, 24),
    "yellow": (244, 204, 40),
    "green": (44, 140, 66),
    "blue": (36, 84, 176),
    "purple": (118, 52, 150),
}
"""Clear shades, red, green and blue, 0 to 255."""
PRICES = ("${:.2f}", "EUR {:.2f}", "{:.2f} EUR")
"""The font that comes with Pillow has no other sign of money."""
DATES = ("%d %b %Y", "%d.%m.%Y", "%Y-%m-%d")
AMOUNTS = {"ml": (250, 330, 500, 750), "g": (200, 250, 400, 500, 750)}
PERCENTS = {"FAT": (1, 9), "SALT": (1, 3), "PROTEIN": (8, 26)}
OTHER_PERCENTS = (35, 98)
SOON = date(2027, 1, 1)
"""No date on a label is earlier."""


@dataclass(frozen=True, slots=True)
class Style:
    """How a shop prints its labels: the price, whether with a caption, and dates."""

    price: str
    captioned: bool
    date: str


@dataclass(frozen=True, slots=True)
class Thing:
    """A thing and the facts on its label. cost: of any currency. share: percent of what `of` says."""

    name: str
    shape: str
    colour: str
    cost: Decimal
    size: int
    unit: str
    share: int
    of: str
    expires: date
    style: Style

    @property
    def price(self) -> str:
        """As printed, without caption."""
        return self.style.price.format(self.cost)

    @property
    def amount(self) -> str:
        """As printed: the weight or the volume."""
        return f"{self.size} {self.unit}"

    @property
    def percent(self) -> str:
        """As printed."""
        return f"{self.share}%"

    @property
    def best_before(self) -> str:
        """As printed."""
        return self.expires.strftime(self.style.date).upper()


def invent(random: Random) -> tuple[Thing, Thing]:
    """Two things of one shop that differ in name, colour, price, date and size."""
    products = random.sample(PRODUCTS, 2)
    colours = random.sample(sorted(COLOURS), 2)
    costs = random.sample(range(89, 990, 10), 2)
    days = random.sample(range(20, 700), 2)
    style = Style(random.choice(PRICES), random.random() < 0.5, random.choice(DATES))
    things: list[Thing] = []
    for (name, shape, unit, of), colour, cost, day in zip(products, colours, costs, days, strict=True):
        size = random.choice([size for size in AMOUNTS[unit] if all(size != other.size for other in things)])
        share = random.randint(*PERCENTS.get(of, OTHER_PERCENTS))
        expires = SOON + timedelta(day)
        things.append(Thing(name, shape, colour, Decimal(cost) / 100, size, unit, share, of, expires, style))
    return things[0], things[1]
