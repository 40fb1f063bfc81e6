"""The list on the page of a propensity run: whom to call, what past lists caught, what limits cost, and who is left out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from foreproof.app.page_base import html_table
from foreproof.app.stages import Work
from foreproof.engine.judge import OURS
from foreproof.engine.list_scenarios import ALL
from foreproof.engine.words import unit_of

_SHOWN, _MORE = 200, 100
_SHARES = ("chance", "precision", "capture", "value capture", "share of list", "share of accounts", "yield")
_NAMES = {
    "p": "chance",
    "value_capture": "value capture",
    "share": "share of list",
    "of_accounts": "share of accounts",
    "contacted": "days since contact",
    "found_by": "found by",
    "drivers": "what sets it apart in its group",
    "ranked_by": "ranked by",
    "low": "95% from",
    "high": "to",
    "least": "worst past list",
    "most": "best past list",
}
_PARTS = ("precision", "capture", "value_capture")
_WORDS = {
    "pairs": "pairs called",
    "buyers": "buyers caught",
    "precision": "of those called, bought",
    "capture": "of all buyers, called",
    "value_capture": "of all their money, caught",
    "revenue": "revenue",
    "margin": "margin",
}


def list_part(work: Work, tables: Mapping[str, pl.DataFrame], drawn: Mapping[str, str]) -> dict[str, Any]:
    """The list itself, how to read it, and what is wrong with it."""
    if work.listed is None or work.cutoff is None:
        note = "The plan has no <code>list</code> section: add a capacity for whom to call."
        empty = {"list_table": "", "list_rest": "", "list_charts": [], "list_warnings": [], "ranked_note": ""}
        return {"list_note": note if work.cutoff else "No list was made.", **empty}
    plan, rows = work.project.propensity, tables["list"].sort("rank")
    unit, money = unit_of(plan.task.series.grid), plan.worth.currency
    at = plan.task.series.grid.say(work.cutoff)
    note = (
        f"Call from the top. A line is a {plan.task.account} that has bought nothing in the {plan.task.group} for "
        f"{plan.task.owned} {unit}, as known at the end of {at}. Chance: of a purchase there within {plan.task.horizon} "
        f"{unit}. Worth: what such a buyer usually leaves, in {money}. Expected: chance x worth. Odds x 2: twice the odds "
        "that its group usually has."
    )
    extra = [name for name in ("rep", "region", "contacted", "shadow", "found_by") if name in rows.columns]
    shown = ["rank", *plan.task.entity, "p", "worth", "expected", "segment", *extra, "badge", "drivers"]
    rest = f"The first {_SHOWN} of {rows.height}. " if rows.height > _SHOWN else ""
    charts = [{"svg": drawn["list_by_group"], "caption": "The list by group."}] if "list_by_group" in drawn else []
    return {
        "list_note": note,
        "list_table": table_of(rows.head(_SHOWN).select(shown)),
        "list_rest": rest
        + "All of it, with every reason in words (because), is in tables/list.csv and tables/list.parquet.",
        "list_charts": charts,
        "list_warnings": _warnings(work, tables),
        "ranked_note": f"Ranked {work.recalled.ranking.why}." if work.recalled is not None else "",
    }


def past_part(work: Work, tables: Mapping[str, pl.DataFrame]) -> dict[str, Any]:
    """What past lists caught, longer and shorter ones, and what it took to be on each."""
    replayed = tables.get("list_replay", pl.DataFrame())
    scenarios = tables.get("list_scenarios", pl.DataFrame())
    found: dict[str, Any] = {
        "replay_table": table_of(_summed(replayed, _more(work))) if replayed.height else "",
        "replay_each": table_of(replayed) if replayed.height else "",
        "scenario_table": "",
        "scenario_groups": "",
        "scenario_spread": "",
        "gains_table": table_of(tables["list_gains"]) if "list_gains" in tables else "",
        "threshold_note": _threshold_words(work, tables),
        "threshold_table": table_of(tables["list_thresholds"]) if "list_thresholds" in tables else "",
    }
    if scenarios.height:
        group = work.project.propensity.task.group
        rolled = scenarios.filter(pl.col(group) == ALL, pl.col("value").is_not_null()).drop(group)
        found["scenario_table"] = html_table(_scenario_table(rolled))
        found["scenario_spread"] = table_of(rolled)
        wide = scenarios.filter(pl.col(group) != ALL).pivot("metric", index=["scenario", group], values="value")
        found["scenario_groups"] = table_of(wide)
    return found


def limits_part(work: Work, tables: Mapping[str, pl.DataFrame]) -> dict[str, Any]:
    """What each limit costs, whom it pushed out, and how the list is spread."""
    prices = tables.get("list_prices", pl.DataFrame())
    binding = prices.filter(pl.col("price") > 0).sort("price", descending=True) if prices.height else prices
    shadow = tables.get("list_shadow", pl.DataFrame())
    found: dict[str, Any] = {
        "prices_table": html_table(_named_prices(binding)) if binding.height else "",
        "idle_limits": ", ".join(prices.filter(pl.col("price") <= 0)["limit"]) if prices.height else "",
        "shadow_note": _shadow_words(shadow),
    }
    parts = {
        "swaps": "list_swaps", "curve": "list_curve", "fair": "list_fairness", "moves": "list_moves",
        "balance": "list_balance",
    }  # fmt: skip
    for name, table in parts.items():
        frame = tables.get(table, pl.DataFrame())
        found[f"{name}_table"] = table_of(frame.head(_MORE)) if frame.height else ""
    jaccard = work.listed.jaccard if work.listed is not None else None
    moves = tables.get("list_moves", pl.DataFrame())
    came = moves.filter(pl.col("move") == "came").height if moves.height else 0
    left = moves.height - came
    found["moves_note"] = (
        ""
        if jaccard is None
        else f"Against the list of the cutoff before: {came} came, {left} left, overlap {jaccard:.0%} (Jaccard)"
    )
    return found


def table_of(frame: pl.DataFrame) -> str:
    """A table with the names that its readers use, shares in percent."""
    named = frame.rename({old: new for old, new in _NAMES.items() if old in frame.columns})
    return html_table(named, percent=_SHARES)


def _warnings(work: Work, tables: Mapping[str, pl.DataFrame]) -> list[str]:
    told = [] if work.listed is None else list(work.listed.warnings)
    limits = tables.get("list_thresholds", pl.DataFrame())
    if limits.height and limits["stands"][-1] == "outside":
        told.append("what it takes to be on this list lies outside of what past lists took: see thresholds")
    rows = tables["list"]
    guessed = rows.filter(pl.col("badge") == "heuristic").height
    if guessed:
        told.append(f"{guessed} of {rows.height} lines go by a base rate, for want of buyers to learn from (badge)")
    if work.recalled is not None and work.recalled.ranking.error is not None and work.recalled.ranking.by == "capture":
        told.append("chances were too far off to be multiplied with money, so the list goes by chance alone")
    return told


def _summed(replayed: pl.DataFrame, more: pl.DataFrame) -> pl.DataFrame:
    """Each kind of list over all past cutoffs; the last list has one cutoff less."""
    sums = replayed.group_by("who", maintain_order=True).agg(
        pl.len().alias("lists"), pl.col("pairs", "buyers", "money", "margin").sum()
    )
    found = sums.with_columns((pl.col("buyers") / pl.col("pairs")).alias("precision"))
    shown = found.sort(pl.col("who") != OURS, -pl.col("money")).select(
        "who", "lists", "pairs", "buyers", "precision", "money", "margin"
    )
    joined = shown.join(more, on="who", how="left", maintain_order="left")
    return joined.with_columns(pl.col(name).fill_null("") for name in more.columns if name != "who")


def _more(work: Work) -> pl.DataFrame:
    """By who, in words, how many more buyers and how much more money our lists caught, with 95% intervals."""
    if work.lists is None:
        return pl.DataFrame(schema={"who": pl.String})
    currency = work.project.propensity.worth.currency
    columns = {"y": "ours: more buyers", "money": f"ours: more {currency}"}
    rows: dict[str, dict[str, str]] = {}
    for row in work.lists.gain.filter(pl.col("what").is_in(list(columns))).iter_rows(named=True):
        said = f"{row['value']:+,.0f} ({row['low']:+,.0f} to {row['high']:+,.0f})"
        rows.setdefault(row["against"], {})[columns[row["what"]]] = said
    schema = dict.fromkeys(("who", *columns.values()), pl.String())
    return pl.DataFrame([{"who": who, **said} for who, said in rows.items()], schema=schema)


def _threshold_words(work: Work, tables: Mapping[str, pl.DataFrame]) -> str:
    limits = tables.get("list_thresholds", pl.DataFrame())
    if not limits.height:
        return ""
    last, before = limits.row(limits.height - 1, named=True), limits.head(limits.height - 1)
    alike = before.filter(pl.col("ranked_by") == last["ranked_by"])["least"].drop_nulls()
    what = work.project.propensity.worth.currency if last["ranked_by"] == "value" else "chance"
    said = f"The last line of this list has an expected {last['least']:.3g} {what}"
    if not alike.len():
        return f"{said}; no past list went by the same measure."
    low, high = float(alike.min()), float(alike.max())  # type: ignore[arg-type]
    return f"{said}; of past lists {low:.3g} to {high:.3g}: it lies {last['stands']} of that."


def _scenario_table(rows: pl.DataFrame) -> pl.DataFrame:
    """One line a scenario: each figure with its interval."""
    found = []
    for (name,), part in rows.group_by(["scenario"], maintain_order=True):
        line: dict[str, Any] = {"capacity": str(name)}
        for row in part.iter_rows(named=True):
            said = f"{row['value']:.1%}" if row["metric"] in _PARTS else f"{row['value']:,.0f}"
            if row["low"] is not None and row["high"] is not None:
                ends = [f"{row[end]:.1%}" if row["metric"] in _PARTS else f"{row[end]:,.0f}" for end in ("low", "high")]
                said += f" ({ends[0]} to {ends[1]})"
            line[_WORDS[row["metric"]]] = said
        found.append({"capacity": line["capacity"], **{word: line[word] for word in _WORDS.values() if word in line}})
    return pl.DataFrame(found)


def _named_prices(prices: pl.DataFrame) -> pl.DataFrame:
    return prices.select(
        "limit",
        pl.col("low").alias("at least"),
        pl.col("high").alias("at most"),
        "used",
        pl.col("price").alias("costs"),
        pl.col("marginal").alias("one more would add"),
    )


def _shadow_words(shadow: pl.DataFrame) -> str:
    if not shadow.height:
        return ""
    said = [f"{row['overlap']:.0%} of the first {row['pairs']}" for row in shadow.iter_rows(named=True)]
    return f"The challenger's own list under the same limits has {', '.join(said)}; its chance stands in column shadow."


__all__ = ["limits_part", "list_part", "past_part", "table_of"]
