"""How a fact is told: the one place where numbers, names, dates and directions become text."""

from __future__ import annotations

import hashlib
import re

from foreproof.explain.facts import WHOLE, Direction, Fact

FIELDS = ("value", "size", "direction", "subject", "what", "period", "against")
"""What a placeholder may ask of a fact; `{f1}` is `{f1.value}`."""
_SAID: dict[Direction, str] = {"up": "higher", "down": "lower", "level": "unchanged"}
_LONGEST = 80


def told(fact: Fact, field: str) -> str:
    """One field of a fact as text, empty where the fact has none."""
    match field:
        case "value":
            return _value(fact, signed=fact.signed)
        case "size":
            return _value(fact, signed=False)
        case "direction":
            return _SAID[fact.direction] if fact.direction and fact.signed else ""
        case "subject":
            return "the whole run" if fact.subject == WHOLE else quoted(fact.subject)
        case "what":
            return clean(fact.what)
        case "period":
            return clean(fact.period)
        case "against":
            return clean(fact.against)
        case _:
            return ""


def quoted(name: str) -> str:
    """A name out of the data, in quotes: whatever it says, it is a name."""
    return f'"{clean(name)}"'


def clean(text: str) -> str:
    """Printable text on one line, without braces and double quotes; a long one is cut and told apart by its digest."""
    plain = re.sub(r"\s+", " ", "".join(c if c.isprintable() else " " for c in text)).strip()
    plain = plain.translate({ord("{"): "(", ord("}"): ")", ord('"'): "'"})
    if len(plain) <= _LONGEST:
        return plain
    return f"{plain[: _LONGEST - 10]}... {hashlib.sha256(text.encode('utf-8', 'replace')).hexdigest()[:6]}"


def number(value: float, unit: str, *, money: bool = False) -> str:
    """A number without its sign, with thousands and its unit; `%` of a share, two decimals for money."""
    size = abs(value)
    if unit == "%":
        share = 100.0 * size
        return f"{share:,.2f}%" if share < 1.0 else f"{share:,.1f}%"
    if unit == "ratio":
        return f"{size:,.3f}"
    if unit == "times":
        return f"{size:,.2f} times"
    return f"{size:,.2f} {unit}".strip() if money else f"{_plain(size)} {unit}".strip()


def _plain(size: float) -> str:
    if size == int(size):
        return f"{size:,.0f}"
    if size >= 1000.0:
        return f"{size:,.0f}"
    if size >= 100.0:
        return f"{size:,.1f}"
    return f"{size:,.2f}" if size >= 1.0 else f"{size:.3g}" if size >= 1e-4 else f"{size:.4f}"


def _value(fact: Fact, *, signed: bool) -> str:
    if isinstance(fact.value, str):
        return clean(fact.value)
    text = number(fact.value, clean(fact.unit), money=fact.kind == "money")
    if not any(c in "123456789" for c in text.split(" ")[0]):
        return text
    if fact.value < 0 and (signed or not fact.signed):
        return f"-{text}"
    return f"+{text}" if signed else text


__all__ = ["FIELDS", "clean", "number", "quoted", "told"]
