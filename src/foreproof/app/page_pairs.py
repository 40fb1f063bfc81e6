"""The page of a propensity run: the list first, then whether past lists would have been right, and what each limit costs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from foreproof.app import plots_pairs
from foreproof.app.page_base import html_table, tile, write_html, write_plots
from foreproof.app.page_list import limits_part, list_part, past_part
from foreproof.app.stages import Work
from foreproof.core.run import Run
from foreproof.engine.judge import EVERY, OURS
from foreproof.workloads.propensity import WHITESPACE

_METRICS = ("auc", "pr_auc", "lift10", "capture10", "brier", "log_loss", "calibration_mae")


def write_pairs_page(
    run: Run, work: Work, tables: Mapping[str, pl.DataFrame], folder: Path, *, head: Mapping[str, Any]
) -> None:
    """`index.html`, and each plot as PNG under `plots/`."""
    drawn = write_plots(_figures(work, tables), folder)
    parts = {
        **list_part(work, tables, drawn),
        **_judged_part(work, tables, drawn),
        **past_part(work, tables),
        **limits_part(work, tables),
        **_chances_part(work, tables),
        **_groups_part(work, tables),
    }
    write_html("pairs.html", run, work, {"tiles": _tiles(work), **parts}, folder, head=head)


def _figures(work: Work, tables: Mapping[str, pl.DataFrame]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if "reliability" in tables:
        found["reliability"] = plots_pairs.reliability(tables["reliability"])
    if "pair_scores" in tables:
        ours = pl.col("who") == OURS, pl.col("metric") == "calibration_mae", pl.col("cutoff") != EVERY
        off = tables["pair_scores"].filter(*ours)
        if off.height:
            found["calibration_by_month"] = plots_pairs.calibration_by_month(off)
    if "reliability_by_month" in tables:
        white = tables["reliability_by_month"].filter(pl.col("segment") == WHITESPACE)
        found["reliability_by_month"] = plots_pairs.reliability_by_month(white)
    if "gains" in tables:
        found["gains"] = plots_pairs.gains(tables["gains"])
    if "list_replay" in tables and tables["list_replay"].height:
        found["list_replay"] = plots_pairs.replayed_lists(tables["list_replay"], currency=_money(work))
    if "list" in tables:
        found["list_by_group"] = plots_pairs.by_group(tables["list"], work.project.propensity.task.group)
    return found


def _tiles(work: Work) -> list[dict[str, str]]:
    tiles = []
    if work.listed is not None:
        rows = work.listed.chosen.rows
        expected, buyers = float(rows["expected"].sum()), float(rows["p"].sum())
        note = f"of {work.listed.beliefs.height:,} pairs that never bought; {buyers:,.0f} expected to buy"
        tiles.append(tile("On the list", f"{rows.height:,}", note))
        tiles.append(
            tile("Expected", f"{expected:,.0f} {_money(work)}", "p x worth over the list, before any effect of a call")
        )
    if work.lists is not None:
        gain = work.lists.gain.filter(pl.col("against") == "popularity", pl.col("what") == "money")
        if gain.height:
            row = gain.row(0, named=True)
            note = f"{_money(work)} more than lists by popularity, 95% interval {row['low']:,.0f} to {row['high']:,.0f}"
            tiles.append(tile("Caught in the replay", f"{row['value']:,.0f}", note))
    if work.judged is not None:
        scores = work.judged.scores.filter(
            pl.col("cutoff") == EVERY, pl.col("segment") == WHITESPACE, pl.col("who") == OURS
        )
        named = {row["metric"]: row for row in scores.iter_rows(named=True)}
        if "capture10" in named:
            row, base = named["capture10"], work.judged.value("capture10", who="base")
            note = f"in the best tenth of pairs, {row['low']:.0%} to {row['high']:.0%}; base rates {base:.0%}"
            tiles.append(tile("Buyers caught (whitespace)", f"{row['value']:.0%}", note))
        if "calibration_mae" in named:
            row = named["calibration_mae"]
            tiles.append(
                tile(
                    "Chances are off by",
                    f"{row['value']:.3f}",
                    f"mean of ten bins, {row['low']:.3f} to {row['high']:.3f}",
                )
            )
    return tiles


def _judged_part(work: Work, tables: Mapping[str, pl.DataFrame], drawn: Mapping[str, str]) -> dict[str, Any]:
    if work.judged is None:
        return {"judged_note": "No past cutoff was judged.", "judged_charts": [], "score_table": ""}
    grid = work.project.propensity.task.series.grid
    places = ", ".join(grid.say(origin) for origin in work.origins)
    captions = {
        "list_replay": "What the pairs on each list bought in the steps after it.",
        "gains": "Buyers caught, calling the most likely first.",
        "reliability": "Said against seen; bars are exact 95% intervals.",
        "reliability_by_month": "Said against seen at each past cutoff, whitespace pairs.",
        "calibration_by_month": "Calibration error at each past cutoff.",
    }
    own = work.judged.scores.filter(pl.col("cutoff") == EVERY).pivot("metric", index=["segment", "who"], values="value")
    order = [name for name in _METRICS if name in own.columns]
    return {
        "judged_note": f"At each past cutoff ({places}) all of it was run on what was known then, and judged by what followed.",
        "judged_charts": [{"svg": drawn[name], "caption": words} for name, words in captions.items() if name in drawn],
        "score_table": html_table(own.select("segment", "who", *order).sort("segment", "who")),
    }


def _chances_part(work: Work, tables: Mapping[str, pl.DataFrame]) -> dict[str, Any]:
    note = "Members are blended and calibrated on what they had said at earlier cutoffs, once it had settled."
    if work.cutoff is None or "calibrators" not in tables:
        return {"chances_note": note, "calibrators_table": "", "flags_table": "", "choices_table": ""}
    last = tables["calibrators"].filter(pl.col("cutoff") == pl.col("cutoff").max()).drop("cutoff")
    flags = tables.get("base_rates", pl.DataFrame())
    wrong = flags.filter(pl.col("flag") != "").height if flags.height else 0
    note += " A calibrator that was worse than none forward in time is refused."
    note += f" {wrong} base rates are flagged." if wrong else ""
    return {
        "chances_note": note,
        "calibrators_table": html_table(last),
        "choices_table": html_table(
            tables["choices"].filter(pl.col("cutoff") == pl.col("cutoff").max()).drop("cutoff")
        ),
        "challenger_note": work.challenged.words if work.challenged is not None else "",
        "challenger_table": html_table(tables["challenger"]) if "challenger" in tables else "",
        "folds_note": _folds_words(work),
        "crossed_table": html_table(tables["cross_validated"]) if "cross_validated" in tables else "",
        "flags_table": html_table(flags) if flags.height else "",
    }


def _groups_part(work: Work, tables: Mapping[str, pl.DataFrame]) -> dict[str, Any]:
    """What the rules of product groups hold, where the plan has rules."""
    terms = work.project.propensity.task.mapping
    if terms is None or "mapping" not in tables:
        return {"groups_table": "", "groups_note": ""}
    note = f"Each purchase has the group that the rules of {terms.table} gave it when it happened, as known at each cutoff; "
    return {"groups_table": html_table(tables["mapping"]), "groups_note": f"{note}here, at the last one."}


def _folds_words(work: Work) -> str:
    if work.folds is None:
        return ""
    made = work.folds.manifest
    return (
        f"Accounts are cut into {made['folds']} folds (seed {made['seed']}, purge {made['purge_days']}): tables/folds.csv and "
        f"folds.json. In {made['splits']} splits no account was on both sides, and every training label had settled."
    )


def _money(work: Work) -> str:
    return work.project.propensity.worth.currency


__all__ = ["write_pairs_page"]
