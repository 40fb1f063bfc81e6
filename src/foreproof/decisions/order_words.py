"""Why the newsvendor orders what it orders, in words."""

from __future__ import annotations

from collections.abc import Mapping

from foreproof.core.decide import Floats

_SAID = (
    "short", "over", "ratio", "target", "on_hand", "on_order", "need", "pack", "minimum", "order", "expected_cost", "other",
    "other_cost",
)  # fmt: skip

_SMALL, _LARGE = 1e-3, 100.0
"""Between them a number is said with four digits of its fraction."""


def reasons(facts: Mapping[str, Floats], *, edges: tuple[float, float], counted: bool) -> list[str]:
    """Each decision of the newsvendor in words and numbers, in the order in which it was made.

    facts: n numbers each of the actions, terms and stock, `need` (units), `other` and `other_cost` (the order not taken).
    edges: the lowest and the highest level of the belief. counted: whether stock was given.
    """
    # By columns: of ten thousand decisions most costs, packs and stocks are the same few numbers, and are said once.
    numbers = [facts[name].tolist() for name in _SAID]
    rows = zip(zip(*numbers, strict=True), zip(*map(_texts, numbers), strict=True), strict=True)
    return [_because(row, text, edges, counted) for row, text in rows]


def _because(row: tuple[float, ...], text: tuple[str, ...], edges: tuple[float, float], counted: bool) -> str:
    """One decision; `row` and `text` in the order of `_SAID`."""
    short, _, ratio, _, _, _, need, _, minimum, order, _, other, _ = row
    n_short, n_over, n_ratio, n_target, on_hand, on_order, n_need, pack, least, n_order, cost, n_other, other_cost = (
        text
    )
    said = f"A unit short costs {n_short} and a unit over {n_over}: critical ratio {n_ratio}."
    if short == 0.0:
        return f"{said} Being short costs nothing, so nothing is ordered."
    low, high = edges
    if low <= ratio <= high:
        said = f"{said} Demand stays at or below {n_target} with that probability."
    else:
        where, edge = ("below the lowest", low) if ratio < low else ("above the highest", high)
        said = (
            f"{said} That lies {where} level of the belief, {_text(edge)}, so the quantile of {_text(edge)}, {n_target}, "
            "stands in: the true optimum is not known from these levels."
        )
    stock = f"{on_hand} on hand and {on_order} on order" if counted else "No stock was given, so 0 on hand"
    if need <= 0.0:
        return f"{said} {stock}: the need is covered, order nothing."
    said = f"{said} {stock}: {n_need} needed."
    if order != other:
        at_least = f", at least {least}" if minimum > 0.0 else ""
        said = (
            f"{said} In packs of {pack}{at_least}: {n_order} (expected cost {cost}) against {n_other} ({other_cost})."
        )
    return f"{said} Order {n_order}." if order > 0.0 else f"{said} Order nothing."


def _texts(values: list[float]) -> list[str]:
    """Each number for reading; where most are equal to another, each is written once."""
    different = set(values)
    if 2 * len(different) < len(values):
        known = {value: _text(value) for value in different}
        return [known[value] for value in values]
    # Those of usual size in one call: of ten thousand orders the numbers are most of the work.
    usual = [_SMALL <= value < _LARGE for value in values]
    some = [value for value, is_usual in zip(values, usual, strict=True) if is_usual]
    written = iter((("%.4f\n" * len(some)) % tuple(some)).splitlines())
    return [
        next(written).rstrip("0").rstrip(".") if is_usual else _text(value)
        for value, is_usual in zip(values, usual, strict=True)
    ]


def _text(value: float) -> str:
    """A number for reading: thousands apart, four digits of a fraction at most."""
    size = abs(value)
    if _SMALL <= size < _LARGE:
        return f"{value:.4f}".rstrip("0").rstrip(".")
    if _LARGE <= size < 1e15:
        return f"{value:,.2f}".rstrip("0").rstrip(".")
    return f"{value:.4g}"


__all__ = ["reasons"]
