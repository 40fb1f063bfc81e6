"""Features of events from the plan, back to the plan, and the default set for pairs of account and group."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from typing import Any, get_args

from foreproof.core.section import Section
from foreproof.errors import LawError, PlanError
from foreproof.features.calendar import CutoffCalendar
from foreproof.features.cells import Where
from foreproof.features.declare import Feature, check_law
from foreproof.features.encoders import Rate, parse_rate
from foreproof.features.events import EVENT_STATS, Against, EventStat, Over, Share, Trend, Versus
from foreproof.features.learned import Affinity, AffinityPart
from foreproof.features.ledger import Events
from foreproof.features.rhythm import Decay, Recency, RecencyForm, Rhythm, RhythmPart, Tenure
from foreproof.features.statics import Static
from foreproof.features.viewed import Coming, ComingPart, CoPurchase, Custom

Made = list[Feature]


def parse_event_features(sections: Sequence[Section], *, horizon: int) -> tuple[Feature, ...]:
    """Features of a plan's list of mappings, each named by its kind: over, against, share, trend, recency, tenure, rhythm, decay,
    rate, copurchase, affinity, coming, cutoff, static or custom. Raises PlanError for an unknown one, LawError for a lag below 0.
    """
    found: list[Feature] = []
    for section in sections:
        kind = next((name for name in KINDS if name in section), None)
        if kind is None:
            raise PlanError(section.path, found=", ".join(section) or "nothing", wanted=f"one of {', '.join(KINDS)}")
        made = KINDS[kind](section)
        section.done()
        for feature in made:
            check_law(feature, horizon)
        found += [feature for feature in made if feature not in found]
    return tuple(found)


def event_default(
    lines: str, value: str, account: str, group: str, *, horizon: int, product: str = ""
) -> tuple[Feature, ...]:
    """What is known to tell who buys where: the pair's, the account's and the group's windows, rhythm, rates and lifts.

    lines: the table of purchases. value: its column of money. horizon: steps that are predicted; windows are whole numbers
    of it, up to half a year or four horizons, and of 30 steps where it is 60 or more. product: the column of what is bought,
    finer than the group: with it how many products were met, and the learned affinity of account and group, which needs the
    extra `propensity`. The month of the cutoff is not among them: seen in one year alone it says how long ago, and no season.
    """
    pair, one, all_of = Events(lines), Events(lines, (account,)), Events(lines, (group,))
    short, long = horizon, max(4 * horizon, min(182, 6 * horizon))
    near = (30,) if horizon >= 60 else ()
    windows = (*near, short, 2 * horizon, long)
    found: Made = [
        *(Over("sum", pair, value, window) for window in windows),
        *(Over("active", pair, "", window) for window in (*windows, None)),
        *(Over("sum", one, value, window) for window in windows),
        *(Over("active", one, "", window) for window in windows),
        *(Over("distinct", one, group, window) for window in windows),
        *(Over("distinct", all_of, account, window) for window in (*near, short, long)),
        Against("ratio", "active", pair, short, long),
        Against("difference", "sum", one, short, short, value, 0, short),
        Share(pair, long, (account,), value),
        Trend(one, long, 2, value),
        *(Recency(of, form) for of in (pair, one) for form in ("log", "inverse")),
        Rhythm("interval", pair),
        Rhythm("due", pair),
        Rhythm("hazard", one),
        Tenure(one),
        Tenure(Events(lines, ())),  # how long the table goes back: before it, a repeat pair looks like whitespace
        *(Decay(pair, float(life)) for life in (short, 3 * horizon)),
        Decay(one, float(2 * horizon), value),
        *(Rate(pair, account, group, window) for window in (*near, short, long)),
        CoPurchase(lines, account, group, long),
    ]
    if product:
        found += [
            *(Over("distinct", one, product, window) for window in (short, long)),
            Over("distinct", pair, product, long),
            *(Affinity(part, lines, account, group, product, long) for part in get_args(AffinityPart)),
        ]
    return tuple(found)


def entry_of(feature: Feature) -> dict[str, Any]:
    """A feature as a mapping of the plan; `parse_event_features` reads it back as an equal value."""
    match feature:
        case Over(stat=stat):
            return _entry({"over": stat}, feature, but=("stat", "window")) | {"window": feature.window or "life"}
        case Against(kind=kind):
            return _entry({"against": kind}, feature, but=("kind",))
        case Share():
            return _entry({"share": True}, feature)
        case Trend():
            return _entry({"trend": True}, feature)
        case Recency(form=form):
            return _entry({"recency": form}, feature, but=("form",))
        case Tenure():
            return _entry({"tenure": True}, feature)
        case Rhythm(part=part):
            return _entry({"rhythm": part}, feature, but=("part",))
        case Decay(half_life=half_life):
            return _entry({"decay": half_life}, feature, but=("half_life",))
        case Rate(item=item):
            return _entry({"rate": item}, feature, but=("item",))
        case CoPurchase(item=item):
            return _entry({"copurchase": item}, feature, but=("item",))
        case Affinity(part=part):
            return _entry({"affinity": part}, feature, but=("part",))
        case Coming(part=part):
            return _entry({"coming": part}, feature, but=("part",))
        case CutoffCalendar(part=part):
            return {"cutoff": part}
        case Static(table=table, column=column):
            return {"static": f"{table}.{column}"}
        case Custom(function=function):
            return _entry({"custom": function}, feature, but=("function",))
    raise PlanError(f"feature {feature.name}", found=type(feature).__name__, wanted="a feature of events")


def _entry(first: dict[str, Any], feature: Any, *, but: tuple[str, ...] = ()) -> dict[str, Any]:
    """The other fields, where they are not the default."""
    found = dict(first)
    column = getattr(feature, "column", "")
    for one in fields(feature):
        value = getattr(feature, one.name)
        if one.name in ("of", "column", *but) or value == one.default:
            continue
        found[one.name] = list(value) if isinstance(value, tuple) else value
    of = getattr(feature, "of", None)
    if isinstance(of, Events):
        found["of"] = f"{of.table}.{column}" if column else of.table
        found |= {"along": list(of.along)} if of.along is not None else {}
        found |= {"where": {name: list(values) for name, values in of.keep}} if of.keep else {}
        found |= {"exclude": {name: list(values) for name, values in of.drop}} if of.drop else {}
    return found


def _read(section: Section) -> tuple[Events, str]:
    """`of: table` or `of: table.column`, with `along`, `where` and `exclude`."""
    table, _, column = section.text("of").partition(".")
    along = section.texts("along") if "along" in section else None
    keep, drop = (_where(section, name) for name in ("where", "exclude"))
    return Events(table, along, keep, drop), column


def _where(section: Section, name: str) -> Where:
    inner = section.section(name, default={})
    return tuple((column, inner.texts(column)) for column in inner)


def _words(section: Section, name: str, among: tuple[str, ...]) -> list[Any]:
    values = section.texts(name)
    for value in values:
        if value not in among:
            raise PlanError(f"{section.path}.{name}", found=repr(value), wanted=f"one of {', '.join(among)}")
    return list(values)


def _windows(section: Section, name: str = "window") -> list[int]:
    values = section.numbers(name)
    if not values or any(value != int(value) for value in values):
        raise PlanError(f"{section.path}.{name}", found=str(list(values)), wanted="whole numbers of steps")
    return [int(value) for value in values]


def _lag(section: Section) -> int:
    """A lag below 0 is the law's business, so it is not refused here."""
    return section.whole("lag", default=0, low=-(10**9))


def _over(section: Section) -> Made:
    of, column = _read(section)
    stats: list[EventStat] = _words(section, "over", EVENT_STATS)
    windows: list[int | None] = [None] if section.raw("window", default="life") == "life" else [*_windows(section)]
    lag = _lag(section)
    rows = ("count", "active")
    return [Over(stat, of, "" if stat in rows else column, window, lag) for stat in stats for window in windows]


def _against(section: Section) -> Made:
    of, column = _read(section)
    kinds: list[Versus] = _words(section, "against", get_args(Versus))
    stat: Any = section.choice("stat", ("sum", "count", "active", "mean", "distinct"))
    window, base = section.whole("window", low=1), section.whole("base", low=1)
    lag, base_lag = _lag(section), section.whole("base_lag", default=0)
    return [Against(kind, stat, of, window, base, column, lag, base_lag) for kind in kinds]


def _share(section: Section) -> Made:
    of, column = _read(section)
    section.flag("share")
    within, lag = section.texts("within", default=()), _lag(section)
    return [Share(of, window, within, column, lag) for window in _windows(section)]


def _trend(section: Section) -> Made:
    of, column = _read(section)
    section.flag("trend")
    parts, lag = section.whole("parts", default=4), _lag(section)
    return [Trend(of, window, parts, column, lag) for window in _windows(section)]


def _recency(section: Section) -> Made:
    (of, _), lag = _read(section), _lag(section)
    forms: list[RecencyForm] = _words(section, "recency", get_args(RecencyForm))
    return [Recency(of, form, lag) for form in forms]


def _tenure(section: Section) -> Made:
    (of, _), lag = _read(section), _lag(section)
    section.flag("tenure")
    return [Tenure(of, tuple(_windows(section, "edges")) if "edges" in section else (), lag)]


def _rhythm(section: Section) -> Made:
    (of, _), lag = _read(section), _lag(section)
    parts: list[RhythmPart] = _words(section, "rhythm", get_args(RhythmPart))
    return [Rhythm(part, of, lag) for part in parts]


def _decay(section: Section) -> Made:
    (of, column), lag = _read(section), _lag(section)
    return [Decay(of, float(life), column, lag) for life in section.numbers("decay")]


def _rate(section: Section) -> Made:
    of, _ = _read(section)
    return [*parse_rate(section, of)]


def _copurchase(section: Section) -> Made:
    item, unit, table, lag = (*(section.text(name) for name in ("copurchase", "unit", "table")), _lag(section))
    return [CoPurchase(table, unit, item, window, lag) for window in _windows(section)]


def _affinity(section: Section) -> Made:
    parts: list[AffinityPart] = _words(section, "affinity", get_args(AffinityPart))
    table, unit, item, product = (section.text(name) for name in ("table", "unit", "item", "product"))
    windows: list[int | None] = [None] if section.raw("window", default="life") == "life" else [*_windows(section)]
    plain = Affinity(parts[0], table, unit, item, product, lag=_lag(section))
    fitted = replace(
        plain,
        factors=section.whole("factors", default=plain.factors, low=1, high=1024),
        ridge=section.number("ridge", default=plain.ridge, low=1e-6),
        alpha=section.number("alpha", default=plain.alpha, low=1e-6),
        least=section.whole("least", default=plain.least, low=1),
        size=section.whole("size", default=plain.size, low=1, high=1024),
        seed=section.whole("seed", default=plain.seed, low=0),
    )
    return [replace(fitted, part=part, window=window) for part in parts for window in windows]


def _coming(section: Section) -> Made:
    parts: list[ComingPart] = _words(section, "coming", get_args(ComingPart))
    table = section.text("table")
    return [Coming(part, table, within) for part in parts for within in _windows(section, "within")]


def _cutoff(section: Section) -> Made:
    parts = _words(section, "cutoff", ("weekday", "day", "day_of_year", "week", "month", "quarter", "year"))
    return [CutoffCalendar(part) for part in parts]


def _static(section: Section) -> Made:
    table, _, column = section.text("static").partition(".")
    if not column:
        raise PlanError(f"{section.path}.static", found=table, wanted="table.column")
    return [Static(table, column)]


def _custom(section: Section) -> Made:
    function = section.text("custom")
    if ":" not in function:
        raise PlanError(f"{section.path}.custom", found=function, wanted="package.module:function")
    window = section.whole("window", low=1) if "window" in section else None
    return [Custom(function, section.text("family", default="custom"), window, _lag(section))]


KINDS: dict[str, Callable[[Section], Made]] = {
    "over": _over,
    "against": _against,
    "share": _share,
    "trend": _trend,
    "recency": _recency,
    "tenure": _tenure,
    "rhythm": _rhythm,
    "decay": _decay,
    "rate": _rate,
    "copurchase": _copurchase,
    "affinity": _affinity,
    "coming": _coming,
    "cutoff": _cutoff,
    "static": _static,
    "custom": _custom,
}
"""What a plan's mapping may be named by; forecasts take them too, see `parse_features`."""


def refuse_near(features: Sequence[Feature], *, nearest: int, horizon: int) -> None:
    """Raise LawError for a feature that reads nearer to the cutoff than an embargo of so many steps."""
    for feature in features:
        near = feature.meta(horizon).nearness
        if near is not None and near < nearest:
            raise LawError(
                f"feature {feature.name}",
                found=f"facts {near} steps before the cutoff",
                wanted=f"none nearer than the embargo of {nearest} steps",
                fix=f"give it lag: {nearest}",
            )


__all__ = ["KINDS", "entry_of", "event_default", "parse_event_features", "refuse_near"]
