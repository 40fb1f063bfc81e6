"""Tables for tests of features: sales with late rows, corrections and tombstones; plans ahead; products that change."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl
from hypothesis import strategies as st

from foreproof.core.clock import INSTANT, Moment
from foreproof.core.contract import BATCH, DELETED, HAPPENED, KNOWN, Column, Contract, Known, Stamp
from foreproof.core.grid import Grid, parse_grid
from foreproof.core.view import Database, Table, View
from foreproof.features import (
    Affinity,
    Against,
    Age,
    Ahead,
    Calendar,
    Coming,
    CoPurchase,
    Custom,
    CutoffCalendar,
    Decay,
    Difference,
    Events,
    Feature,
    Holiday,
    Lag,
    Over,
    Rate,
    Ratio,
    Reading,
    Recency,
    Rhythm,
    Rolling,
    SeasonalLag,
    SeasonalRolling,
    Share,
    Static,
    Tenure,
    Trend,
)  # fmt: skip
from foreproof.features.learned import AffinityPart

HORIZON = 3
AFFINITY: tuple[AffinityPart, ...] = ("score", "cosine", "coverage")
DAY = 24
GRIDS = {
    "integer": Grid("integer", unit="step"),
    "pairs": Grid("integer", every=2, unit="step"),
    "days": parse_grid("1d", zone="America/New_York"),
    "weeks": parse_grid("1w", zone="Europe/Berlin", week_end=5),
    "hours": parse_grid("6h"),
}

SALES = [
    Column("id", "integer"), Column("store", "text"), Column("sku", "text"), Column("units", "decimal", decimals=1),
    Column("price", "real", nullable=True), Column("promo", "flag"),
]  # fmt: skip
PLANS = [
    Column("id", "integer"), Column("sku", "text"), Column("display", "integer"), Column("depth", "real", nullable=True),
]  # fmt: skip
PRODUCTS = [
    Column("id", "integer"), Column("sku", "text"), Column("department", "text", nullable=True),
    Column("size", "decimal", decimals=2, nullable=True),
]  # fmt: skip
WEATHER = [Column("id", "integer"), Column("heat", "integer")]
TYPES = {"integer": pl.Int64, "decimal": pl.Int64, "text": pl.String, "real": pl.Float64, "flag": pl.Boolean}


@dataclass(frozen=True)
class World:
    """A database, its grid, and cutoffs (grid points)."""

    grid: Grid
    database: Database
    cutoffs: tuple[Moment, ...]

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """What hypothesis shows of a failing case: rows, not contracts."""
        rows = {name: table.rows.rows() for name, table in self.database.tables.items() if table.rows.height}
        printer.text(f"World({self.grid.describe()}, {rows}, {[str(cutoff) for cutoff in self.cutoffs]})")


def table(
    name: str, columns: Sequence[Column], rows: Sequence[dict[str, Any]], *, integer: bool, ahead: bool = False
) -> Table:
    """A table of rows that hold every column, `_happened`, `_known`, `_batch`, `_deleted`; its key is `id`."""
    clock = pl.Int64() if integer else INSTANT
    schema = {column.name: TYPES[column.type] for column in columns}
    schema |= {HAPPENED: clock, KNOWN: clock, BATCH: pl.Int64, DELETED: pl.Boolean}
    stamp = Stamp("at", period="integer" if integer else "")
    contract = Contract(name, ("id",), stamp, Known("column", "known_at"), tuple(columns), ahead=ahead)
    return Table(contract, pl.DataFrame([{k: row[k] for k in schema} for row in rows], schema=schema, orient="row"))


def clock_of(grid: Grid) -> Callable[[int], Moment]:
    """Small numbers as moments: integer steps, or hours after a Friday before the clocks change."""
    if grid.integer:
        return lambda number: number
    return lambda number: datetime(2024, 3, 1, 9, tzinfo=UTC) + timedelta(hours=number)


def row(at: Moment, known: Moment, batch: int = 1, deleted: bool = False, **values: Any) -> dict[str, Any]:
    """A stored row."""
    return {**values, HAPPENED: at, KNOWN: known, BATCH: batch, DELETED: deleted}


def database_of(grid: Grid, **rows: Sequence[dict[str, Any]]) -> Database:
    """Sales, plans (ahead), products and weather (ahead, one for all) from their rows."""
    tables = {
        "sales": table("sales", SALES, rows.get("sales", ()), integer=grid.integer),
        "plans": table("plans", PLANS, rows.get("plans", ()), integer=grid.integer, ahead=True),
        "products": table("products", PRODUCTS, rows.get("products", ()), integer=grid.integer),
        "weather": table("weather", WEATHER, rows.get("weather", ()), integer=grid.integer, ahead=True),
    }
    return Database(tables)


@st.composite
def worlds(draw: st.DrawFn, *, grids: Sequence[str] = tuple(GRIDS)) -> World:
    """Random tables: a few ids with up to three versions each, which may move a fact to another series or time."""
    grid = GRIDS[draw(st.sampled_from(grids))]
    unit = 1 if grid.integer else DAY * 7 if grid.unit == "w" else DAY if grid.kind == "calendar" else 6
    clock = clock_of(grid)
    moments = st.integers(0, 7).flatmap(lambda step: st.integers(0, unit - 1).map(lambda part: step * unit + part))
    delays = st.sampled_from([0, 0, 0, 1, unit, 2 * unit, 2 * unit + 1, 5 * unit])

    def versions(values: st.SearchStrategy[dict[str, Any]], *, ahead: bool, most: int) -> list[dict[str, Any]]:
        out = []
        for number in range(draw(st.sampled_from([0, most // 2, most, most, most]))):
            before = 0
            for batch in range(draw(st.sampled_from([1, 1, 1, 2, 3]))):
                at, delay = draw(moments), draw(delays)
                known = at - delay if ahead else at + delay
                # a version is known later than the one it supersedes, or in the same instant by a later batch
                known = max(known, before) if batch else known
                before = known
                dead = batch > 0 and draw(st.integers(0, 4)) == 0
                out.append(row(clock(at), clock(known), batch, dead, id=number, **draw(values)))
        return draw(st.permutations(out)) if out else out

    floats = st.one_of(st.none(), st.floats(-100, 100, allow_nan=False).map(lambda x: round(x, 3)))
    sku = st.sampled_from(["a", "a", "a", "b", "ä"])
    sales = st.fixed_dictionaries(
        {
            "store": st.sampled_from(["n", "n", "s"]),
            "sku": sku,
            "units": st.integers(-20, 90),
            "price": floats,
            "promo": st.booleans(),
        }
    )
    plans = st.fixed_dictionaries({"sku": sku, "display": st.integers(-3, 9), "depth": floats})
    products = st.fixed_dictionaries(
        {
            "sku": sku,
            "department": st.sampled_from([None, "food", "fuel"]),
            "size": st.one_of(st.none(), st.integers(0, 999)),
        }
    )
    weather = st.fixed_dictionaries({"heat": st.integers(-9, 9)})
    database = database_of(
        grid,
        sales=versions(sales, ahead=False, most=14),
        plans=versions(plans, ahead=True, most=6),
        products=versions(products, ahead=False, most=4),
        weather=versions(weather, ahead=True, most=3),
    )
    steps = draw(st.lists(st.integers(1, 11), min_size=2, max_size=4, unique=True))
    return World(grid, database, tuple(grid.add(clock(0), step) for step in steps))


def sold(view: View) -> pl.DataFrame:
    """A user's own feature: the visible rows of an article."""
    return view["sales"].group_by("sku", maintain_order=True).agg(pl.len().alias("value"))


def twice(view: View) -> pl.DataFrame:
    """A feature that gives an article two values."""
    return pl.DataFrame({"sku": ["a", "a"], "value": [1.0, 2.0]})


def nothing(view: View) -> None:
    """A feature that forgets to return."""


def event_features(along: tuple[str, ...] | None = ()) -> tuple[Feature, ...]:
    """Each feature of events, of exact and of real columns, of the entity's own and of a coarser name."""
    sold, of_all = Events("sales"), Events("sales", along)
    some = Events("sales", keep=(("store", ("n",)),), drop=(("promo", ("true",)),))
    return (
        *(Over(stat, sold, window=4) for stat in ("count", "active")),
        *(Over(stat, sold, "units", 4) for stat in ("sum", "mean", "min", "max", "distinct")),
        *(Over(stat, sold, "price", 5, 2) for stat in ("sum", "mean", "min", "max", "distinct")),
        *(Over(stat, sold, column) for stat, column in (("count", ""), ("active", ""), ("distinct", "store"))),
        *(Over(stat, sold, "price") for stat in ("sum", "last", "min")),
        *(Over(stat, sold, "units", None, 1) for stat in ("sum", "last", "max")),
        Over("sum", some, "units", 6), Over("active", of_all, "", 3), Over("distinct", of_all, "promo", 3),
        Over("sum", Events("plans"), "display", 3), Over("sum", sold, "promo", 4),
        Against("ratio", "sum", sold, 2, 6, "units"), Against("difference", "count", sold, 2, 2, base_lag=2),
        Against("ratio", "mean", sold, 3, 3, "price", 0, 3), Against("difference", "distinct", sold, 2, 5, "sku", 1, 1),
        Share(sold, 4, along or (), "units"), Share(sold, 3, along or (), "", 1),
        Trend(sold, 6, 3, "units"), Trend(sold, 4, 2, "", 1), Trend(sold, 4, 4, "price"),
        *(Recency(sold, form) for form in ("steps", "log", "inverse")), Recency(of_all, lag=2), Recency(sold, "inverse", 1),
        Tenure(sold), Tenure(sold, (2, 5)), Tenure(of_all, lag=1),
        *(Rhythm(part, sold) for part in ("interval", "due", "hazard")), Rhythm("due", sold, 2),
        Rate(sold, "store", "sku", 4), Rate(sold, "store", "sku", 3, 1, prior=0.0), Rate(sold, "id", "sku", 5, by=("store",)),
        Coming("until", "plans", 4), Coming("count", "plans", 3), Coming("count", "weather", 5), Custom("feature_tables:sold"),
        CoPurchase("sales", "store", "sku", 6), CoPurchase("sales", "store", "sku", 4, 1),
        *(Affinity(p, "sales", "store", "sku", "units", 6, 1, ridge=0.5, alpha=2.5, factors=2, least=2) for p in AFFINITY),
        Affinity("score", "sales", "store", "sku", "promo", ridge=0.5, factors=3, least=1, size=2, seed=5),
        Decay(sold, 2.0), Decay(sold, 1.5, "units"), Decay(sold, 3.0, "price", 1), Decay(of_all, 2.0, "units"),
    )  # fmt: skip


def every_feature(grid: Grid) -> tuple[Feature, ...]:
    """Each kind of feature on each anchor, by each statistic, of y and of other tables' columns."""
    price = Reading("sales", "price", "mean", "missing")
    carried = Reading("sales", "price", "last", "carry")
    shown = Reading("plans", "display", "sum", "zero")
    count = Reading("plans", "", "count", "zero")
    features: list[Feature] = [
        Lag(0), Lag(2), Lag(3, "target"), Lag(1, of=price), Lag(0, of=carried), Lag(2, of=shown), Lag(5, of=carried),
        SeasonalLag(2), SeasonalLag(2, 3), SeasonalLag(3, 2), SeasonalLag(1), SeasonalLag(4, of=price),
        *(Rolling(stat, 3) for stat in ("mean", "sum", "std", "min", "max", "nonzero")),
        *(Rolling(stat, 4, 2) for stat in ("mean", "sum", "std", "min", "max", "nonzero")),
        *(Rolling(stat, 5, 4, "target") for stat in ("mean", "sum", "std", "min", "max", "nonzero")),
        *(Rolling(stat, None) for stat in ("mean", "sum", "std", "min", "max", "nonzero")),
        Rolling("mean", None, 3, "target"), Rolling("mean", 4, of=price), Rolling("std", 6, of=price),
        Rolling("sum", 4, 1, of=shown), Rolling("max", 3, of=carried), Rolling("sum", 3, 3, "target", count),
        SeasonalRolling("mean", 2, 3), SeasonalRolling("std", 3, 3), SeasonalRolling("max", 2, 2, price),
        Difference(0, 1), Difference(1, 3), Difference(3, 2, "target"), Difference(0, 2, of=price),
        Ratio(2, 5), Ratio(1, 3, 1), Ratio(2, 4, 3, "target"), Ratio(2, 3, of=price),
        Age(), Calendar("phase", 2), Calendar("phase", 5), Calendar("trend"),
        Static("products", "department"), Static("products", "size"), Static("weather", "heat"), Static("sales", "promo"),
        *(Ahead("plans", "display", how) for how in ("sum", "mean", "last", "min", "max", "count")),
        *(Ahead("plans", "depth", how) for how in ("sum", "mean", "last", "min", "max")),
        Ahead("plans", "", "count"), Ahead("plans", "display", "sum", 1), Ahead("plans", "display", "max", -2),
        Ahead("weather", "heat", "mean"),
    ]  # fmt: skip
    # those that name the columns of pairs have laws of their own
    kinds = {type(feature): feature for feature in event_features()}
    pairs = (Rate, CoPurchase, Affinity, Custom)
    features += [
        *(feature for kind, feature in kinds.items() if kind not in pairs),
        Over("sum", Events("sales"), "units", 4),
        Over("distinct", Events("sales"), "store"),
    ]
    if not grid.integer:
        features += [CutoffCalendar("month"), CutoffCalendar("day_of_year"), CutoffCalendar("weekday")]
        parts = ("weekday", "day", "day_of_year", "week", "month", "quarter", "year", "hour")
        features += [Calendar(part) for part in parts]
        features += [Holiday("IE", part, within=9) for part in ("is", "to_next", "since_last", "name")]
        features.append(Holiday("DE", "is", "BY"))
    return tuple(features)
