"""A first propensity plan from a user's file of purchases: who, what and how much are named, the rest is read off."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path

from foreproof.app.guess import (
    decimals_of,
    flow,
    happened_of,
    key_of,
    numbers_of,
    read_file,
    source_settings,
    stamp_of,
    word,
)
from foreproof.errors import BadInput


def guess_pairs(path: Path, *, account: str, group: str, value: str, now: datetime, url: str = "") -> str:
    """The text of a commented foreproof.yaml for a file with a date, an account, a group and a number.

    url: how the plan names the file, else its path. Raises SourceError for a file that cannot be read, BadInput for a column
    that is not there, no number, or no dates.
    """
    source, raw = read_file(path)
    for name in (account, group, value):
        if name not in raw.columns:
            raise BadInput(str(path), found=f"no column {name!r}", wanted=f"one of {', '.join(raw.columns)}")
    stamp = stamp_of(raw.drop(account, group, value), str(path))
    numbers = numbers_of(raw[value])
    if numbers is None:
        raise BadInput(f"{path}: {value}", found="no numbers", wanted="the money of a purchase")
    if stamp.integer:
        raise BadInput(f"{path}: {stamp.column}", found="whole steps", wanted="dates of purchases")
    decimals = decimals_of(raw[value], numbers)
    repeats = bool(raw.select(account, group, stamp.column).is_duplicated().any())
    days = int((stamp.ticks.max() - stamp.ticks.min()) * (7 if stamp.every == "1w" else 1)) + 1
    horizon = 28 if days >= 300 else max(7, days // 12)
    origins = max(1, min(4, days // horizon - 6))
    table = re.sub(r"\W+", "_", path.stem).strip("_").lower() or "purchases"
    low = "low: 0, " if float(numbers.min() or 0) >= 0 else ""  # type: ignore[arg-type]
    many = f"{raw.height} rows, {raw[account].n_unique()} accounts, {raw[group].n_unique()} groups, {days} days"
    lines = [
        f"# Written by `foreproof new propensity` on {now:%Y-%m-%d}: {many}.",
        "# Lines marked GUESS were read off the file. Mend what is wrong; docs/propensity.md explains every setting.",
        "schema: 1",
        f"name: {word(path.stem)}",
        "workload: propensity",
        "seed: 1",
        "",
        "sources:",
        f"  {table}: {flow(source_settings(source, url or str(path)))}    # GUESS: how the file is written",
        "",
        "tables:",
        f"  {table}:",
        f"    key: {key_of((account, group), stamp, repeats)}    # GUESS: what names a purchase; [] where a row is its own key",
        f"    happened: {flow(happened_of(stamp))}    # GUESS: when it took place",
        "    known: same_as_happened    # GUESS: readable at once; name a column or a delay if it is not",
        "    zone: UTC    # GUESS: whose days these are",
        "    columns:",
        f"      {word(account)}: text",
        f"      {word(group)}: text",
        f"      {word(value)}: {{type: decimal, decimals: {decimals}, {low}unit: {word(value)}}}",
        "",
        "pairs:",
        f"  table: {table}",
        f"  account: {word(account)}",
        f"  group: {word(group)}",
        f"  value: {word(value)}",
        f"  active: {3 * horizon}    # GUESS: accounts with a purchase in so many days are asked about",
        f"  owned: {3 * horizon}    # GUESS: a pair without a purchase in so many days is whitespace",
        "",
        f"horizon: {horizon}    # GUESS: days in which a purchase counts",
        f"backtest: {{origins: {origins}, calibrations: 3, examples: 4}}    # as many as the history allows",
        "",
        "worth: {margin: 1.0, reach: 1.0, currency: money}    # what is kept of a purchase, and how many a call reaches",
        "list: {top: 0.01, per_account: 2}    # how many pairs can be called",
    ]
    return "\n".join(lines) + "\n"


__all__ = ["guess_pairs"]
