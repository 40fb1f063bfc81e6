"""Which rule decides, over which time: matching rules as rectangles of validity and knowledge, cut where any begins or ends.

A rule version is valid over [start, end) and known over [since, until). In each cell of the two clocks the rules of the
largest rank decide; where these name different groups the cell is an overlap.
"""

from __future__ import annotations

import polars as pl

from foreproof.core.clock import BEGINNING, FOREVER
from foreproof.core.contract import UNTIL
from foreproof.core.mapping_rules import END, GROUP, LABEL, RANK, RULE, SINCE, START, THING
from foreproof.errors import BadInput

OTHER, OTHER_GROUP, ROW, DAY = "_other", "_other_group", "_row", "_day"
_CELL = [THING, START, SINCE]
_SAID = [GROUP, LABEL, OTHER, OTHER_GROUP]


def timeline(pairs: pl.DataFrame, read: pl.DataFrame) -> pl.DataFrame:
    """What is said of each thing: `_thing`, [`_start`, `_end`), [`_since`, `_until`), `_group`, `_label`, `_other`, sorted.

    pairs: `_thing`, `_rule` that match at whatever time. Cells do not intersect, and where any rule is valid they cover
    all of knowledge: `_group` and `_label` are null where none is known yet. `_other` and `_other_group` are null but in an
    overlap, where they are the rule and the group that disagree. Rules of one rank that agree are told by the first label.
    """
    rules = read.select(RULE, GROUP, LABEL, RANK, START, END, SINCE, UNTIL)
    matched = pairs.join(rules, on=RULE, how="inner")
    spans = _cut(matched, [THING], START, END)
    valid = (
        matched.rename({START: "_a", END: "_b"})
        .join(spans, on=THING, how="inner")
        .filter((pl.col("_a") <= pl.col(START)) & (pl.col(END) <= pl.col("_b")))
        .drop("_a", "_b")
    )
    always = valid.select(THING, START, END).unique().with_columns(_whole(SINCE, BEGINNING), _whole(UNTIL, FOREVER))
    ends = pl.concat([valid.select(THING, START, END, SINCE, UNTIL), always])
    cells = _cut(ends, [THING, START, END], SINCE, UNTIL)
    known = (
        valid.rename({SINCE: "_a", UNTIL: "_b"})
        .join(cells, on=[THING, START, END], how="inner")
        .filter((pl.col("_a") <= pl.col(SINCE)) & (pl.col(UNTIL) <= pl.col("_b")))
    )
    said = cells.join(_decided(known), on=_CELL, how="left")
    return _merged(said.sort(_CELL))


def without_overlaps(line: pl.DataFrame) -> pl.DataFrame:
    """The timeline with nothing said where rules disagree."""
    clear = pl.when(pl.col(OTHER).is_null())
    return _merged(line.with_columns(clear.then(pl.col(name)).alias(name) for name in _SAID))


def facts_through(facts: pl.DataFrame, line: pl.DataFrame) -> pl.DataFrame:
    """The pieces of each fact: `_row`, `_since`, `_until`, `_group`, `_label`, `_other`, `_other_group`; sorted by the first two.

    facts: `_row`, `_thing`, `_day`, `_since`, `_until`. The pieces of a fact are disjoint and together [since, until).
    """
    spans = line.select(THING, START, END).unique().sort(START)
    placed = facts.sort(DAY).join_asof(
        spans, left_on=DAY, right_on=START, by=THING, strategy="backward", check_sortedness=False
    )
    inside = pl.when(pl.col(DAY) < pl.col(END)).then(pl.col(START)).alias(START)
    pieces = placed.with_columns(inside).join(
        line.drop(END).rename({SINCE: "_a", UNTIL: "_b"}), on=[THING, START], how="left"
    )
    return (
        pieces.with_columns(
            pl.max_horizontal(SINCE, pl.col("_a").fill_null(BEGINNING)).alias(SINCE),
            pl.min_horizontal(UNTIL, pl.col("_b").fill_null(FOREVER)).alias(UNTIL),
        )
        .filter(pl.col(SINCE) < pl.col(UNTIL))
        .select(ROW, SINCE, UNTIL, *_SAID)
        .sort(ROW, SINCE)
    )


def refuse_overlaps(pieces: pl.DataFrame, *, table: str) -> None:
    """Raise BadInput where rules of one rank disagree, naming the first pair and how many there are."""
    pairs = pieces.filter(pl.col(OTHER).is_not_null()).select(_SAID).unique().sort(LABEL, OTHER, GROUP)
    if pairs.height:
        group, one, other, other_group = pairs.row(0)
        raise BadInput(
            table,
            found=f"{pairs.height} pairs of rules of one rank that overlap "
            f"(first: {one!r} for {group}, {other!r} for {other_group})",
            wanted="one group an item at a time",
            fix="give one of them a priority, an end (valid_to), or name the item exactly",
        )


def _cut(rows: pl.DataFrame, by: list[str], low: str, high: str) -> pl.DataFrame:
    """The pieces [low, high) between all borders of the rows of each key."""
    borders = pl.concat([rows.select(*by, low), rows.select(*by, pl.col(high).alias(low))]).unique().sort(*by, low)
    following = pl.col(low).shift(-1)
    same = pl.all_horizontal([pl.col(name) == pl.col(name).shift(-1) for name in by])
    return borders.with_columns(pl.when(same).then(following).alias(high)).drop_nulls(high)


def _decided(known: pl.DataFrame) -> pl.DataFrame:
    """The rule of the largest rank in each cell; most cells have one, and only the others are looked at twice."""
    top = known.filter(pl.col(RANK) == pl.col(RANK).max().over(_CELL)).select(*_CELL, GROUP, LABEL)
    several = pl.len().over(_CELL) > 1
    nobody = [pl.lit(None, dtype=pl.String).alias(name) for name in (OTHER, OTHER_GROUP)]
    alone = top.filter(~several).with_columns(nobody)
    mixed = top.filter(several)
    if mixed.is_empty():
        return alone
    differs = pl.col(GROUP) != pl.col(GROUP).first()
    judged = (
        mixed.sort(*_CELL, LABEL, GROUP)
        .group_by(_CELL, maintain_order=True)
        .agg(
            pl.col(GROUP).first().alias("_first"),
            pl.col(LABEL).first(),
            pl.col(LABEL).filter(differs).first().alias(OTHER),
            pl.col(GROUP).filter(differs).first().alias(OTHER_GROUP),
        )
    )
    return pl.concat([alone, judged.select(*_CELL, pl.col("_first").alias(GROUP), LABEL, OTHER, OTHER_GROUP)])


def _merged(said: pl.DataFrame) -> pl.DataFrame:
    """Cells that follow each other in knowledge and say the same, as one."""
    same = [pl.col(name).eq_missing(pl.col(name).shift()) for name in (THING, START, *_SAID)]
    run = (~pl.all_horizontal(same)).cum_sum().alias("_run")
    return (
        said.with_columns(run)
        .group_by("_run", maintain_order=True)
        .agg(pl.col(THING, START, END, SINCE).first(), pl.col(UNTIL).last(), pl.col(_SAID).first())
        .drop("_run")
    )


def _whole(name: str, value: int) -> pl.Expr:
    return pl.lit(value, dtype=pl.Int64).alias(name)


__all__ = ["DAY", "OTHER", "OTHER_GROUP", "ROW", "facts_through", "refuse_overlaps", "timeline", "without_overlaps"]
