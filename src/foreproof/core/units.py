"""Units in words."""

from __future__ import annotations


def per_total(unit: str) -> str:
    """The unit of a sum over steps.

    >>> per_total("units a day"), per_total("euros per week"), per_total("items")
    ('units', 'euros', 'items')
    """
    for mark in (" a ", " an ", " per ", "/"):
        unit = unit.split(mark)[0]
    return unit.strip()


__all__ = ["per_total"]
