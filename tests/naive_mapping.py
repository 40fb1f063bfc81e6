"""Slow twins for mappings: one item, one rule, one moment at a time, with `re` and `fnmatch`."""

from __future__ import annotations

import fnmatch
import re
from typing import Any

Row = dict[str, Any]
FOREVER = 2**62


class Overlap(Exception):
    """Rules of one rank that name different groups."""


def matches(rule: Row, thing: Row, on: str) -> bool:
    """Whether a rule is about an item, whenever."""
    if rule["division"] is not None and rule["division"] != thing.get("division"):
        return False
    if rule["sku"] is not None:
        return bool(rule["sku"] == thing["item"])
    text = thing[on]
    if text is None:
        return False
    if rule["pattern"].startswith("re:"):
        return re.fullmatch(rule["pattern"][3:], text) is not None
    return fnmatch.fnmatchcase(text, rule["pattern"])


def rank(rule: Row) -> tuple[bool, int, int]:
    """What decides: an exact item, the priority, the length of the pattern."""
    exact = rule["sku"] is not None
    return exact, rule["priority"] or 0, 0 if exact else len(rule["pattern"].removeprefix("re:"))


def visible(rules: list[Row], key: list[str], cutoff: int) -> list[Row]:
    """The version of each key with the largest known <= cutoff (ties: the later batch), if it is no tombstone."""
    latest: dict[tuple[Any, ...], Row] = {}
    for rule in rules:
        if rule["_known"] <= cutoff:
            name = tuple(rule[column] for column in key)
            old = latest.get(name)
            if old is None or (old["_known"], old["_batch"]) < (rule["_known"], rule["_batch"]):
                latest[name] = rule
    return [rule for rule in latest.values() if not rule["_deleted"]]


def group_of(thing: Row, day: int, rules: list[Row], on: str) -> str | None:
    """The group of one item on one day by visible rules."""
    best: list[Row] = []
    for rule in rules:
        valid = rule["_happened"] <= day and (rule["valid_to"] is None or day < rule["valid_to"])
        if not valid or not matches(rule, thing, on):
            continue
        if not best or rank(rule) > rank(best[0]):
            best = [rule]
        elif rank(rule) == rank(best[0]):
            best.append(rule)
    groups = {rule["group"] for rule in best}
    if len(groups) > 1:
        raise Overlap
    return groups.pop() if groups else None


def map_facts(facts: list[Row], rules: list[Row], *, cutoff: int, key: list[str], on: str) -> list[tuple[int, Any]]:
    """(number of the fact, its group) at a cutoff; facts carry `n`, `_known`, `_until`."""
    seen = visible(rules, key, cutoff)
    return [
        (fact["n"], group_of(fact, fact["_happened"], seen, on))
        for fact in facts
        if fact["_known"] <= cutoff < fact["_until"]
    ]


def group_status(thing: Row, day: int, rules: list[Row], on: str) -> str | None:
    """The group, None, or "overlap"."""
    try:
        return group_of(thing, day, rules, on)
    except Overlap:
        return "overlap"
