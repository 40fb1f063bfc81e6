"""Order quantities for the API: many items in one frame, or series of a published forecast."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from operator import attrgetter
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
import polars as pl
from pydantic import BaseModel, ConfigDict, Field

from foreproof.app.api.published import Published
from foreproof.app.api.shapes import plain
from foreproof.errors import BadInput, NotFound

Floats = npt.NDArray[np.float64]
Amount = Annotated[float, Field(ge=-1e12, le=1e12, allow_inf_nan=False)]
"""Money or units; beyond a million millions it is a slip, and sums of it would have no digits left."""
_ANSWER = ("id", "quantity", "order_up_to", "level", "target", "expected_cost", "because")
_ID, _CUTOFF = "id", "cutoff"
_DECIDED = ("order", "order_up_to", "ratio", "target", "expected_cost", "because")
_RENAMED = dict(zip(_DECIDED, _ANSWER[1:], strict=True))
_MONEY = ("salvage", "goodwill", "holding")
_DEFAULTS = {"pack": 1.0, "minimum": 0.0, "on_hand": 0.0, "on_order": 0.0, **dict.fromkeys(_MONEY, 0.0)}
_JOIN = " / "
_GIVEN = ("short", "over", "price", "cost", *_MONEY, "on_hand", "on_order", "pack", "minimum")
_TERMS = attrgetter(*_GIVEN)


class Costs(BaseModel):
    """What a unit short and a unit over cost, or what they follow from; how orders come; what is there already."""

    model_config = ConfigDict(extra="forbid")
    short: Amount | None = Field(None, ge=0.0, description="money per unit short")
    over: Amount | None = Field(None, ge=0.0, description="money per unit left over")
    price: Amount | None = Field(None, description="money per unit: short = price - cost + goodwill")
    cost: Amount | None = Field(None, description="money per unit: over = cost - salvage + holding")
    salvage: Amount | None = Field(None, description="what a leftover unit still brings")
    goodwill: Amount | None = Field(None, description="what a customer sent away costs beyond the margin")
    holding: Amount | None = Field(None, description="what keeping a leftover unit costs")
    on_hand: Amount | None = Field(None, description="units; negative: owed to customers")
    on_order: Amount | None = Field(None, ge=0.0, description="units")
    pack: Amount | None = Field(None, ge=1e-6, description="units of a pack")
    minimum: Amount | None = Field(None, ge=0.0, description="the smallest order that is accepted, units")


class Item(Costs):
    """One item: quantiles of the demand over the window that the order has to last for, by level; and its own terms."""

    id: str = Field(min_length=1, max_length=500)
    quantiles: dict[str, Amount] = Field(min_length=1, max_length=199)


def order_items(items: Sequence[Item], costs: Costs | None) -> list[dict[str, Any]]:
    """One order an item, in the order given: those with the same levels are decided on together.

    Raises BadInput for an id that comes twice, levels or quantiles that are none, and items without costs.
    """
    # A third of a second, which a service that never decides does not spend.
    from foreproof.core.decide import Beliefs
    from foreproof.decisions.newsvendor import orders_of

    _once([item.id for item in items])
    groups: dict[tuple[str, ...], list[Item]] = {}
    for item in items:
        groups.setdefault(tuple(item.quantiles), []).append(item)
    answers: dict[str, dict[str, Any]] = {}
    for texts, some in groups.items():
        levels, values = _quantiles(texts, some)
        keys = pl.DataFrame({_ID: pl.Series([item.id for item in some], dtype=pl.String)})
        keys = keys.with_columns(pl.lit(0, dtype=pl.Int64).alias(_CUTOFF))
        terms = _terms(some, costs)
        on_hand, on_order = terms.pop("on_hand"), terms.pop("on_order")
        rows = orders_of(Beliefs(keys, levels, values), terms, on_hand, on_order).rows
        found = rows.select(_ID, *_DECIDED).rename(_RENAMED).rows(named=True)
        answers.update((row[_ID], row) for row in found)
    return [answers[item.id] for item in items]


def order_series(published: Published, series: Sequence[str], costs: Costs | None) -> tuple[list[dict[str, Any]], str]:
    """One order a series of the published forecast, and by which policy: the plan's, or a newsvendor under other costs.

    Costs that are given stand in the place of the plan's; stock that is not given is the published one.
    Raises NotFound for series that are not there, BadInput.
    """
    _once(series)
    names, orders = series_rows(published, "orders", series)
    if costs is None:
        answers = [_answer(row, name) for name, row in zip(names, plain(orders), strict=True)]
        return answers, "as published"
    _, window = series_rows(published, "order_window", series)
    entity = _entity(window)
    beliefs = dict(
        window.with_columns(_named(entity)).group_by(_ID, maintain_order=True).agg("level", "value").rows_by_key(_ID)
    )
    position = dict(zip(names, (orders["order_up_to"] - orders["order"]).to_list(), strict=True))
    items = []
    for name in names:
        ((levels, values),) = beliefs[name]
        own = costs.model_dump(exclude_none=True)
        if "on_hand" not in own:
            own |= {"on_hand": position[name], "on_order": own.get("on_order", 0.0)}
        quantiles = dict(zip(map(repr, levels), values, strict=True))
        items.append(Item(id=name, quantiles=quantiles, **own))
    return order_items(items, None), "newsvendor"


def series_rows(published: Published, table: str, series: Sequence[str] | None) -> tuple[list[str], pl.DataFrame]:
    """The rows of some series of a table, in the order asked (all of them for None), with the name of each row's series.

    Raises NotFound for a series or a table that is not there.
    """
    frame = published.table(table)
    if "cutoff" in frame.columns:
        frame = frame.filter(pl.col("cutoff") == pl.col("cutoff").max())
    entity = _entity(frame)
    named = frame.with_columns(_named(entity))
    if series is not None:
        place = {name: at for at, name in enumerate(dict.fromkeys(series))}
        known = set(named[_ID].unique().to_list())
        unknown = [name for name in place if name not in known]
        if unknown:
            raise NotFound(
                f"series {unknown[0]}",
                found=f"not in run {published.run}" + (f", nor {len(unknown) - 1} others" if unknown[1:] else ""),
                wanted=f"entity values joined by {_JOIN!r}, such as {sorted(known)[0]}"
                if known
                else "a published series",
                fix="GET /api/v1/forecasts lists them",
            )
        at = pl.col(_ID).replace_strict(place, return_dtype=pl.Int64)
        named = named.filter(pl.col(_ID).is_in(list(place))).sort(at, maintain_order=True)
    return named[_ID].to_list(), named.drop(_ID)


def _entity(frame: pl.DataFrame) -> list[str]:
    """The columns before the cutoff: what names a series."""
    return frame.columns[: frame.columns.index("cutoff")]


def _named(entity: Sequence[str]) -> pl.Expr:
    """The name of a series; that of the only one is empty for the run and `series` for people."""
    if not entity:
        return pl.lit("series").alias(_ID)
    return pl.concat_str([pl.col(name).cast(pl.String) for name in entity], separator=_JOIN).alias(_ID)


def _terms(items: Sequence[Item], costs: Costs | None) -> dict[str, Floats]:
    """Short, over, pack, minimum, on_hand, on_order of each item: its own, else those of all, else the default.

    Raises BadInput where costs are lacking or negative.
    """
    given = _given(items, costs)
    for name, default in _DEFAULTS.items():
        given[name] = np.where(np.isnan(given[name]), default, given[name])
    short = given["price"] - given["cost"] + given["goodwill"]
    over = given["cost"] - given["salvage"] + given["holding"]
    found = {
        "short": np.where(np.isnan(given["short"]), short, given["short"]),
        "over": np.where(np.isnan(given["over"]), over, given["over"]),
        **{name: given[name] for name in ("pack", "minimum", "on_hand", "on_order")},
    }
    for name in ("short", "over"):
        wrong = np.flatnonzero(~(found[name] >= 0.0))
        if wrong.size:
            value = found[name][wrong[0]]
            raise BadInput(
                f"item {items[wrong[0]].id}: {name}",
                found="nothing to tell it from" if np.isnan(value) else f"{value:g}",
                wanted="0 or more money per unit",
                fix="give short and over, or price and cost",
            )
    return found


def _given(items: Sequence[Item], costs: Costs | None) -> dict[str, Floats]:
    """What each item, else all of them, says of every term; NaN where nobody does."""
    shared = (None,) * len(_GIVEN) if costs is None else _TERMS(costs)
    found = {}
    for name, other, said in zip(_GIVEN, shared, zip(*map(_TERMS, items), strict=True), strict=True):
        default = np.nan if other is None else float(other)
        if said.count(None) == len(said):  # most terms of most batches
            found[name] = np.full(len(said), default)
        else:
            column = np.array(said, dtype=np.float64)  # a None becomes NaN
            found[name] = np.where(np.isnan(column), default, column)
    return found


def _quantiles(texts: Sequence[str], items: Sequence[Item]) -> tuple[Floats, Floats]:
    """Levels, rising, and a row of values an item. Raises BadInput for what is no quantile, by the item's name."""
    try:
        levels = np.array([float(text) for text in texts])
    except ValueError:
        raise BadInput(
            f"item {items[0].id}: quantiles", found=f"{list(texts)}", wanted="levels such as 0.1, 0.5, 0.9"
        ) from None
    order = np.argsort(levels, kind="stable")
    levels = levels[order]
    if not (levels[0] > 0.0 and levels[-1] < 1.0 and np.all(np.diff(levels) > 0.0)):
        raise BadInput(
            f"item {items[0].id}: quantiles", found=f"{list(texts)}", wanted="different levels strictly between 0 and 1"
        )
    said = chain.from_iterable(item.quantiles.values() for item in items)
    values = np.fromiter(said, dtype=np.float64).reshape(len(items), -1)[:, order]
    falling = np.flatnonzero(np.any(np.diff(values, axis=1) < 0.0, axis=1))
    if falling.size:
        raise BadInput(
            f"item {items[falling[0]].id}: quantiles",
            found="a value below that of a lower level",
            wanted="values that never fall from level to level",
            fix="sort the quantiles",
        )
    return levels, values


def _once(names: Sequence[str]) -> None:
    if len(set(names)) < len(names):
        seen: set[str] = set()
        twice = next(name for name in names if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise BadInput(
            "recommend_qty", found=f"{twice} twice", wanted="each item once", fix="add their demands up first"
        )


def _answer(row: Mapping[str, Any], name: str) -> dict[str, Any]:
    level = row.get("ratio", row.get("cycle_service"))
    target = row.get("target", row.get("reorder_point"))
    # A policy of a plugin says what it orders and why; the rest is its own business.
    values = (name, row["order"], row.get("order_up_to"), level, target, row.get("expected_cost"), row["because"])
    return dict(zip(_ANSWER, values, strict=True))


__all__ = ["Costs", "Item", "order_items", "order_series", "series_rows"]
