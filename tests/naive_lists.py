"""The slow twin of past lists: loops over pairs, counted by hand."""

from __future__ import annotations

from typing import Any

Row = dict[str, Any]


def scenario(outcomes: list[Row], listed: set[tuple[Any, str, str]], group: str) -> dict[str, float | None]:
    """What lists caught over all cutoffs. outcomes: account, group, cutoff, y, money, margin; listed: cutoff, account, group."""
    rows = [r for r in outcomes if group in ("all", r["group"])]
    on = [r for r in rows if (r["cutoff"], r["account"], r["group"]) in listed]
    lists = len({r["cutoff"] for r in outcomes})
    bought, money = sum(r["y"] for r in rows), sum(r["money"] for r in rows)
    return {
        "pairs": len(on) / lists,
        "buyers": sum(r["y"] for r in on) / lists,
        "precision": sum(r["y"] for r in on) / len(on) if on else None,
        "capture": sum(r["y"] for r in on) / bought if bought else None,
        "value_capture": sum(r["money"] for r in on) / money if money else None,
        "revenue": sum(r["money"] for r in on) / lists,
        "margin": sum(r["margin"] for r in on) / lists,
    }


def valid(rows: list[Row], account: str, cutoff: Any, day: Any) -> set[str]:
    """The segments that an account has at a cutoff: the versions known there, then rows that began and have not ended."""
    versions: dict[Any, Row] = {}
    for row in sorted(rows, key=lambda r: r["known"]):
        if row["known"] <= cutoff:
            versions[row["account"], row["since"]] = row
    mine = [r for r in versions.values() if r["account"] == account and r["since"] <= cutoff]
    return {r["segment"] for r in mine if r["to"] is None or r["to"] > day}
