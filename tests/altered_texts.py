"""Explanations that were true and are not any more: one number, sign, date or name is changed so that the meaning changes."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np

from foreproof.explain.facts import Facts

Alter = Callable[[str, Facts, np.random.Generator], str | None]
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_NUMBER = re.compile(r"(?<![\w-])\d[\d,]*(?:\.\d+)?(?![\w-])")
_TURNED = {"higher": "lower", "lower": "higher", "unchanged": "higher"}


def number(text: str, facts: Facts, rng: np.random.Generator) -> str | None:
    """One digit of one number that is no date and no name; a number of another value."""
    names = [m.span() for m in re.finditer(r'"[^"]*"', text)] + [m.span() for m in _DATE.finditer(text)]
    found = [m for m in _NUMBER.finditer(text) if not any(a <= m.start() < b for a, b in names)]
    if not found:
        return None
    chosen = found[rng.integers(len(found))]
    old = chosen.group()
    while True:
        how = rng.integers(4)
        if how == 0:
            places = [i for i, c in enumerate(old) if c.isdigit()]
            at = places[rng.integers(len(places))]
            new = f"{old[:at]}{rng.integers(10)}{old[at + 1 :]}"
        elif how == 1:
            new = f"{rng.integers(1, 10)}{old}"
        elif how == 2:
            others = [re.sub(r"[^\d.,]", "", str(f.value))[:6] for f in facts.items if not isinstance(f.value, str)]
            new = others[rng.integers(len(others))].strip(".,") or "7"
        else:
            new = f"{float(old.replace(',', '')) * 10:,.0f}"
        if re.fullmatch(r"[\d,]*\d(?:\.\d+)?", new) and float(new.replace(",", "")) != float(old.replace(",", "")):
            return text[: chosen.start()] + new + text[chosen.end() :]


def sign(text: str, facts: Facts, rng: np.random.Generator) -> str | None:
    """A direction turned round, or a minus before a value that has none."""
    if words := re.findall(r"\b(higher|lower|unchanged)\b", text):
        word = words[rng.integers(len(words))]
        return re.sub(rf"\b{word}\b", _TURNED[word], text, count=1)
    values = list(re.finditer(r"(?<=is )-?\d", text))
    if not values:
        return None
    at = values[rng.integers(len(values))]
    value = re.match(r"-?[\d,.]*\d", text[at.start() :])
    if value is None or not float(value.group().replace(",", "")):
        return None  # minus nothing is nothing
    new = at.group()[1:] if at.group().startswith("-") else f"-{at.group()}"
    return text[: at.start()] + new + text[at.end() :]


def date(text: str, facts: Facts, rng: np.random.Generator) -> str | None:
    """One day, month or year of a date."""
    found = list(_DATE.finditer(text))
    if not found:
        return None
    chosen = found[rng.integers(len(found))]
    year, month, day = (int(part) for part in chosen.group().split("-"))
    match rng.integers(3):
        case 0:
            year += int(rng.integers(1, 5))
        case 1:
            month = month % 12 + 1
        case _:
            day = day % 28 + 1
    return f"{text[: chosen.start()]}{year:04d}-{month:02d}-{day:02d}{text[chosen.end() :]}"


def name(text: str, facts: Facts, rng: np.random.Generator) -> str | None:
    """The name of another, or a name that nobody has."""
    found = re.findall(r'"([^"]*)"', text)
    if not found:
        return None
    old = found[rng.integers(len(found))]
    others = [one for one in (*facts.subjects, f"{old} B", "chocolate", old[:-1]) if one != old and one]
    new = others[rng.integers(len(others))]
    return text.replace(f'"{old}"', f'"{new}"', 1)


KINDS: dict[str, Alter] = {"number": number, "sign": sign, "date": date, "name": name}
