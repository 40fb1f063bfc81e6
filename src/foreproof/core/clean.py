"""Raw rows made clean by declared rules, before a contract judges them: one line in the plan a rule, one line in the
report.

A rule sees raw rows and nothing else: not the clock, not the lake, not other batches. What it cannot read for certain
it refuses, with the row, instead of guessing.

Returns are not taken off the sales that they belong to. That would change what an old day looked like with what was
learned weeks later: a leak that no backtest would notice. A return is dropped, kept, or kept as a negative fact of its
own day (`adjust`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import polars as pl

from foreproof.core.section import Section
from foreproof.errors import BadInput, PlanError

Frame = pl.DataFrame
Treat = Literal["drop", "keep", "adjust"]
Keep = Literal["first", "last"]
_ROW = "_row"
_SPACE = r"[\s\u00a0\u2007\u202f]+"
_NUMBER = r"^[-+]?(\d+|\d{1,3}(%s\d{3})+)(%s\d+)?$"
_MARKS = {
    "1,234.5": (",", r"\."),
    "1.234,5": (r"\.", ","),
    "1 234,5": (" ", ","),
    "1234.5": ("", r"\."),
    "1234,5": ("", ","),
}


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: the words of the plan, and what it does to a frame with a column `_row` (1-based, the header not counted)."""

    words: str
    run: Callable[[Frame], Frame]


@dataclass(frozen=True, slots=True)
class Cleaned:
    """The rows, and a report: `rule`, `rows_in`, `rows_out`, `changed` (cells), `example` (one before and after)."""

    rows: Frame
    report: Frame


_REPORT = {"rule": pl.String, "rows_in": pl.Int64, "rows_out": pl.Int64, "changed": pl.Int64, "example": pl.String}


def clean(frame: Frame, rules: Sequence[Rule]) -> Cleaned:
    """Apply the rules in order. Raises BadInput where one meets what it cannot read."""
    rows = frame.with_row_index(_ROW, offset=1)
    report = []
    for rule in rules:
        after = rule.run(rows)
        report.append((rule.words, rows.height, after.height, *_changes(rows, after)))
        rows = after
    return Cleaned(rows.drop(_ROW), pl.DataFrame(report, schema=_REPORT, orient="row"))


def parse_rules(sections: Sequence[Section]) -> tuple[Rule, ...]:
    """The rules of `sources.TABLE.clean`, each a mapping of one name to its settings. Raises PlanError."""
    return tuple(_rule(section) for section in sections)


def _rule(section: Section) -> Rule:
    names = list(section)
    if len(names) != 1 or names[0] not in RULES:
        known = ", ".join(RULES)
        raise PlanError(section.path, found=f"{', '.join(names) or 'nothing'}", wanted=f"one rule: {known}")
    name = names[0]
    run = RULES[name](section)
    section.done()
    return Rule(f"{name} {_shown(section.raw(name))}", run)


def _rename(section: Section) -> Callable[[Frame], Frame]:
    names = {old: new for new, old in _texts(section.section("rename")).items()}
    return lambda frame: _with(frame, list(names), "rename").rename(names)


def _trim(section: Section) -> Callable[[Frame], Frame]:
    columns = section.texts("trim")
    text = pl.col(columns).str.replace_all(_SPACE, " ").str.strip_chars()
    return lambda frame: _text(frame, columns, "trim").with_columns(text)


def _case(section: Section) -> Callable[[Frame], Frame]:
    inner = section.section("case")
    upper, lower = inner.texts("upper", default=()), inner.texts("lower", default=())
    inner.done()
    columns = [*upper, *lower]
    changes = [*(pl.col(n).str.to_uppercase() for n in upper), *(pl.col(n).str.to_lowercase() for n in lower)]
    return lambda frame: _text(frame, columns, "case").with_columns(changes)


def _map(section: Section) -> Callable[[Frame], Frame]:
    inner = section.section("map")
    tables = {name: _texts(inner.section(name)) for name in inner}
    changes = [pl.col(name).replace(list(table), list(table.values())) for name, table in tables.items()]
    return lambda frame: _text(frame, list(tables), "map").with_columns(changes)


def _number(section: Section) -> Callable[[Frame], Frame]:
    inner = section.section("number")
    columns, form = inner.texts("columns"), inner.choice("form", tuple(_MARKS), default="1,234.5")
    suffix, other = inner.texts("suffix", default=()), inner.choice("else", ("refuse", "empty"), default="refuse")
    inner.done()
    thousands, decimal = _MARKS[form]
    pattern = _NUMBER % (thousands or r"\x00", decimal)

    def run(frame: Frame) -> Frame:
        for name in columns:
            text = pl.col(name).str.replace_all(_SPACE, " ").str.strip_chars()
            for end in suffix:
                text = text.str.strip_suffix(end).str.strip_chars_end()
            plain = text.str.replace_all(thousands, "") if thousands else text
            found = pl.when(text.str.contains(pattern)).then(plain.str.replace(decimal, "."))
            empty = text.str.len_chars() == 0
            frame = _text(frame, [name], "number").with_columns(found.alias("_number"), text.alias("_said"))
            bad = frame.filter(pl.col("_number").is_null() & pl.col(name).is_not_null() & ~empty.fill_null(True))
            if bad.height and other == "refuse":
                fix = "name a suffix, choose another form, or set else: empty"
                raise _refused(name, bad, f"a number such as {form}", fix)
            frame = frame.with_columns(pl.col("_number").alias(name)).drop("_number", "_said")
        return frame

    return run


def _fill(section: Section) -> Callable[[Frame], Frame]:
    values = _texts(section.section("fill"))
    return lambda frame: _with(frame, list(values), "fill").with_columns(
        pl.col(name).fill_null(pl.lit(value).cast(frame.schema[name])) for name, value in values.items()
    )


def _unit(section: Section) -> Callable[[Frame], Frame]:
    inner = section.section("unit")
    column, by = inner.text("column"), inner.text("by")
    factors = {name: float(inner.section("factors").number(name)) for name in inner.section("factors")}
    inner.raw("factors")
    inner.done()

    def run(frame: Frame) -> Frame:
        frame = _with(frame, [column, by], "unit")
        factor = pl.col(by).replace_strict(factors, default=None, return_dtype=pl.Float64)
        number = pl.col(column).cast(pl.Float64, strict=False)
        marked = frame.with_columns(factor.alias("_factor"), number.alias("_number"))
        unknown = marked.filter(pl.col("_factor").is_null() & pl.col(column).is_not_null())
        if unknown.height:
            raise _refused(by, unknown, f"one of {', '.join(factors)}", "add its factor")
        bad = marked.filter(pl.col("_number").is_null() & pl.col(column).is_not_null())
        if bad.height:
            raise _refused(column, bad, "a number", "put a number rule before this one")
        # Whole results stay whole: as text, as a file would have them.
        result = (pl.col("_number") * pl.col("_factor")).round(9)
        text = pl.when(result == result.round(0)).then(result.cast(pl.Int64, strict=False).cast(pl.String))
        named = text.otherwise(result.cast(pl.String)).alias(column)
        return marked.with_columns(named).drop("_factor", "_number")

    return run


def _drop(section: Section) -> Callable[[Frame], Frame]:
    inner = section.section("drop")
    tests = [_test(name, inner.section_or_text(name)) for name in inner]
    columns = list(inner)
    return lambda frame: _with(frame, columns, "drop").filter(~pl.any_horizontal(tests).fill_null(False))


def _test(name: str, said: Section | str) -> pl.Expr:
    """What a drop rule takes out: a value, or is, matches, below, above, empty."""
    column = pl.col(name)
    if isinstance(said, str):
        return column.cast(pl.String) == said
    number = column.cast(pl.Float64, strict=False)
    tests = []
    if "is" in said:
        tests.append(column.cast(pl.String).is_in(list(said.texts("is"))))
    if "matches" in said:
        pattern = said.text("matches")
        try:
            re.compile(pattern)
        except re.error as error:
            raise PlanError(f"{said.path}.matches", found=f"{pattern!r} ({error})", wanted="a pattern") from None
        tests.append(column.cast(pl.String).str.contains(pattern))
    if "below" in said:
        tests.append(number < said.number("below"))
    if "above" in said:
        tests.append(number > said.number("above"))
    if said.flag("empty", default=False):
        tests.append(column.is_null() | (column.cast(pl.String).str.strip_chars() == ""))
    said.done()
    if not tests:
        raise PlanError(said.path, found="no test", wanted="is, matches, below, above or empty")
    return pl.any_horizontal(tests)


def _deduplicate(section: Section) -> Callable[[Frame], Frame]:
    inner = section.section("deduplicate")
    by, keep = inner.texts("by", default=()), inner.choice("keep", get_args(Keep), default="first")
    inner.done()

    which: Keep = "last" if keep == "last" else "first"

    def run(frame: Frame) -> Frame:
        columns = list(by) or [name for name in frame.columns if name != _ROW]
        return _with(frame, columns, "deduplicate").unique(columns, keep=which, maintain_order=True)

    return run


def _returns(section: Section) -> Callable[[Frame], Frame]:
    inner = section.section("returns")
    amount, treat = inner.text("amount"), inner.choice("treat", get_args(Treat), default="adjust")
    column, prefix = inner.text("column", default=""), inner.text("prefix", default="")
    inner.done()
    if bool(column) != bool(prefix):
        raise PlanError(
            inner.path, found="one of column and prefix", wanted="both, or neither: then a return is below 0"
        )

    def run(frame: Frame) -> Frame:
        frame = _with(frame, [amount, *([column] if column else [])], "returns")
        number = pl.col(amount).cast(pl.Float64, strict=False)
        returned = pl.col(column).cast(pl.String).str.starts_with(prefix) if column else number < 0
        returned = returned.fill_null(False)
        match treat:
            case "drop":
                return frame.filter(~returned)
            case "keep":
                return frame
            case _:
                # A return counts against its own day, whatever sign the source gives it.
                plain = pl.col(amount).cast(pl.String).str.strip_prefix("+")
                minus = pl.when(plain.str.starts_with("-")).then(plain).otherwise(pl.lit("-") + plain)
                return frame.with_columns(
                    pl.when(returned).then(minus).otherwise(pl.col(amount).cast(pl.String)).alias(amount)
                )

    return run


def _align(section: Section) -> Callable[[Frame], Frame]:
    inner = section.section("align")
    column, to = inner.text("column"), inner.choice("to", ("1h", "1d", "1w", "1mo", "1q", "1y"))
    form = inner.text("form", default="%Y-%m-%d")
    inner.done()
    unit = {"1h": "1h", "1d": "1d", "1w": "1w", "1mo": "1mo", "1q": "1q", "1y": "1y"}[to]

    def run(frame: Frame) -> Frame:
        frame = _with(frame, [column], "align")
        typed = frame[column].dtype.is_temporal()
        stamp = pl.col(column).cast(pl.Datetime("us")) if typed else pl.col(column).str.to_datetime(form, strict=False)
        marked = frame.with_columns(stamp.alias("_stamp"))
        bad = marked.filter(pl.col("_stamp").is_null() & pl.col(column).is_not_null())
        if bad.height:
            raise _refused(column, bad, f"a stamp written {form}", "set form:")
        start = pl.col("_stamp").dt.truncate(unit)
        return marked.with_columns((start if typed else start.dt.strftime(form)).alias(column)).drop("_stamp")

    return run


RULES: Mapping[str, Callable[[Section], Callable[[Frame], Frame]]] = {
    "rename": _rename,
    "trim": _trim,
    "case": _case,
    "map": _map,
    "number": _number,
    "fill": _fill,
    "unit": _unit,
    "drop": _drop,
    "deduplicate": _deduplicate,
    "returns": _returns,
    "align": _align,
}
"""Every rule, by the name that plans use."""


def _texts(section: Section) -> dict[str, str]:
    return {name: str(section.raw(name)) for name in section}


def _with(frame: Frame, columns: Sequence[str], rule: str) -> Frame:
    missing = [name for name in columns if name not in frame.columns]
    if missing:
        have = ", ".join(name for name in frame.columns if name != _ROW)
        raise BadInput(
            f"clean: {rule}", found=f"columns {have}", wanted=", ".join(missing), fix="mend the rule's columns"
        )
    return frame


def _text(frame: Frame, columns: Sequence[str], rule: str) -> Frame:
    """The frame with those columns as text, which rules about text want."""
    return _with(frame, columns, rule).with_columns(pl.col(columns).cast(pl.String))


def _refused(column: str, bad: Frame, wanted: str, fix: str) -> BadInput:
    row, value = bad.select(_ROW, column).row(0)
    found = f"{value!r} in row {row}" + (f" and {bad.height - 1} others" if bad.height > 1 else "")
    return BadInput(f"clean: {column}", found=found, wanted=wanted, fix=fix)


def _changes(before: Frame, after: Frame) -> tuple[int, str]:
    """Cells that differ in the rows that are left, and one of them (or of the rows that went) in words."""
    kept = before.join(after.select(_ROW), on=_ROW, how="semi", maintain_order="left")
    later = kept.select(_ROW).join(after, on=_ROW, how="left", maintain_order="left")
    changed, example = 0, ""
    for name in (one for one in before.columns if one in after.columns and one != _ROW):
        old, new = kept[name].cast(pl.String), later[name].cast(pl.String)
        differs = old.ne_missing(new)
        count = int(differs.sum())
        if count and not example:
            place = int(differs.arg_true()[0])
            example = f"row {kept[_ROW][place]}: {name} {old[place]!r} -> {new[place]!r}"
        changed += count
    if not example and after.height < before.height:
        gone = before.join(after.select(_ROW), on=_ROW, how="anti", maintain_order="left")
        example = f"row {gone[_ROW][0]} left out"
    return changed, example


def _shown(value: Any) -> str:
    match value:
        case Mapping():
            return "{" + ", ".join(f"{name}: {_shown(item)}" for name, item in value.items()) + "}"
        case list() | tuple():
            return "[" + ", ".join(map(_shown, value)) + "]"
        case _:
            return str(value)


__all__ = ["RULES", "Cleaned", "Rule", "clean", "parse_rules"]
