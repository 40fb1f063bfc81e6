"""Audit a stranger's pipeline: run the checks on it, and say which feature knew what, in which row, from which date on.

The date is found by bisection over truncation: the value on all data is there from the moment of some row on, and without
that row it is another one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import polars as pl

from foreproof.core.clock import Moment, ticks
from foreproof.core.predict import CUTOFF, STEP
from foreproof.core.trial import Check, Leak, Trial, Verdict, proven
from foreproof.core.view import Database
from foreproof.engine.audit_text import audit_html, audit_text
from foreproof.engine.beside import Accompanied, label_trial, witness_of
from foreproof.engine.frames import Given, given, later, moment_of, spread
from foreproof.engine.prove import remembered
from foreproof.engine.strangers import NUMBER, Stranger, stranger_of
from foreproof.errors import BadInput
from foreproof.gauntlet import AsLogged, Duplicates, GapLaw, Overlap, Rebuild
from foreproof.gauntlet.starts import Starts

_SHOWN = 20
"""Features whose date is looked for; the others are named."""


@dataclass(frozen=True, slots=True)
class Found:
    """A feature that knew what came after the cutoff.

    row: the first row that shows it, by column. on_all, on_past: its value with and without the later rows. knew: the moment of
    the row from which on it has the value of all data; empty where two runs on the same rows differ. table: where that row
    stands, if there are several. rows: how many rows of the cutoff differ.
    """

    feature: str
    row: Mapping[str, str]
    cutoff: str
    on_all: str
    on_past: str
    knew: str
    table: str
    rows: int

    @property
    def words(self) -> str:
        """One sentence."""
        where = ", ".join(f"{name} {value}" for name, value in self.row.items())
        seen = (
            f"{self.feature}: {self.on_all} on all data, {self.on_past} without what came after {self.cutoff} ({where})"
        )
        if not self.knew:
            return f"{seen}; two runs on the same rows differ, so give it a seed before anything else"
        return (
            f"{seen}; it knew a row of {self.knew}{f' in {self.table}' if self.table else ''}; {self.rows} rows differ"
        )


@dataclass(frozen=True, slots=True)
class Audit:
    """What an audit found: verdicts as a proof has them, and the features that looked ahead.

    rows: compared, over all cutoffs. features: their names. cutoffs: in words.
    """

    verdicts: tuple[Verdict, ...]
    found: tuple[Found, ...]
    rows: int
    features: tuple[str, ...]
    cutoffs: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """Whether every check passed and caught its planted fault."""
        return all(verdict.outcome == "passed" for verdict in self.verdicts)

    @property
    def text(self) -> str:
        """The report as plain text."""
        return audit_text(self)

    @property
    def html(self) -> str:
        """The report as one page that needs nothing else."""
        return audit_html(self)


@dataclass(frozen=True, slots=True)
class Plain:
    """A check that explains nothing: what an audit has to say of a failure, it finds out by itself, feature by feature."""

    check: Check

    @property
    def name(self) -> str:
        """The check's name."""
        return self.check.name

    @property
    def control(self) -> Leak:
        """The check's planted fault."""
        return self.check.control

    def __call__(self, trial: Trial) -> Verdict:
        """The check's verdict."""
        return self.check(trial)


def audit(
    build: Any,
    tables: Any,
    cutoffs: Sequence[Any] | None = None,
    *,
    time: str = "",
    entity: str | Sequence[str] = (),
    checks: Sequence[Check] | None = None,
) -> Audit:
    """Put a pipeline of yours through the checks of honesty.

    build: `fn(frames, cutoff)` with features by entity, `fn(frame)` with features by row, an MLForecast, or what `by_cutoff`,
    `by_row`, `learner` and `beside` make. tables: a frame (polars or pandas), or frames (or `Dated` frames) by name. cutoffs:
    dates, instants or steps; without any, some are chosen over the history and within its gaps. time: the column that says when
    a row happened; entity: the columns that name whose it is. checks: instead of the usual ones (`suite`).

    Raises BadInput for what cannot be read; what the function itself raises comes through.
    """
    facts = given(tables, time=time, entity=entity)
    chosen = _cutoffs(facts, cutoffs)
    stranger = stranger_of(build)
    trial = stranger.trial(facts, chosen)
    trial = trial.with_build(remembered(trial.build))
    labels = stranger.labels if isinstance(stranger, Accompanied) else None
    if isinstance(stranger, Accompanied) and stranger.logged is not None:
        trial = replace(trial, witness=witness_of(facts, stranger.logged, time=time, entity=entity))
    whole = trial.run()
    # The fault of `duplicates` doubles the tables, which a pipeline may refuse to read: its own rows are judged as they are.
    as_it_is = trial.with_build(lambda database, cutoffs, seed: whole)
    asked = suite(stranger) if checks is None else checks

    def of(check: Check) -> Trial:
        if isinstance(check, Starts) and labels is not None:
            return label_trial(facts, chosen, labels)
        return as_it_is if isinstance(check, Duplicates) else trial

    verdicts = [proven(Plain(check), of(check)) for check in asked]
    failed = next(
        (v for v in verdicts if v.outcome == "failed" and v.evidence.get("part") in ("population", "features")), None
    )
    found = look_ahead(facts, trial, str(failed.evidence["cutoff"])) if failed else ()
    named = [name for name in whole.rows.columns if name not in (*trial.entity, CUTOFF, STEP)]
    return Audit(tuple(verdicts), found, whole.rows.height, tuple(named), tuple(facts.words(c) for c in trial.cutoffs))


def suite(stranger: Stranger) -> tuple[Check, ...]:
    """The checks that a stranger can pass: truncation, duplicates; of what says what it learned from, gap law and overlap.

    Of one with labels beside it also where these start, of one with its tables as first loaded whether it reads them.
    """
    known = stranger if isinstance(stranger, Accompanied) else None
    return (
        Rebuild(),
        *((GapLaw(), Overlap()) if stranger.learns else ()),
        *((Starts(),) if known and known.labels else ()),
        Duplicates(),
        *((AsLogged(),) if known and known.logged is not None else ()),
    )


def look_ahead(facts: Given, trial: Trial, cutoff: str) -> tuple[Found, ...]:
    """Every feature that differs at the cutoff (as the check named it), with its first row and the date it knew."""
    at = next(c for c in trial.cutoffs if str(c) == cutoff)
    keys = [*trial.entity, CUTOFF, STEP]
    whole = trial.run().rows.filter(pl.col(CUTOFF).to_physical() == ticks(at))
    cut = trial.build(trial.database.truncate(at), (at,), trial.seed).rows
    pairs = whole.join(cut, on=keys, how="full", suffix="_past", coalesce=True).sort(keys)
    features = [name for name in whole.columns if name not in keys and f"{name}_past" in pairs.columns]
    differing = [(n, pairs.filter(~pl.col(n).eq_missing(pl.col(f"{n}_past")))) for n in features]
    found = []
    built = _truncated(trial, at)
    for name, rows in [(n, rows) for n, rows in differing if rows.height][:_SHOWN]:
        first = rows.row(0, named=True)
        row = {key: first[key] for key in trial.entity}

        def value(database: Database, row: Mapping[str, Any] = row, name: str = name) -> Any:
            made = built(database)
            here = (
                made.filter([pl.col(key) == value for key, value in row.items()])
                if name in made.columns
                else made.clear()
            )
            return here[name][0] if here.height else None

        knew, table = _knew(facts, trial, at, value, first[name])
        said = {key.removesuffix("_"): text for key, text in row.items() if (key, text) != (NUMBER, "1")}
        found.append(
            Found(
                name, said, facts.words(at), str(first[name]), str(first[f"{name}_past"]),
                facts.words(knew) if knew is not None else "", table, rows.height,
            )
        )  # fmt: skip
    return tuple(found)


def _truncated(trial: Trial, at: Moment) -> Callable[[Database], pl.DataFrame]:
    """The rows of a cutoff on a database; the same database is not built twice."""
    kept: dict[int, tuple[Database, pl.DataFrame]] = {}

    def rows(database: Database) -> pl.DataFrame:
        if id(database) not in kept:
            kept[id(database)] = (database, trial.build(database, (at,), trial.seed).rows)
        return kept[id(database)][1]

    return rows


def _knew(
    facts: Given, trial: Trial, at: Moment, value: Callable[[Database], Any], wanted: Any
) -> tuple[Moment | None, str]:
    """The earliest moment up to which the tables must reach for the value of all data, and the table of that row."""
    moments = later(facts, at)
    cuts: dict[Moment, Database] = {}

    def reached(place: int) -> bool:
        moment = moments[place]
        cuts.setdefault(moment, _cut(trial, moment))
        return _same(value(cuts[moment]), wanted)

    low, high = 0, len(moments) - 1
    if not moments or not reached(high):
        return None, ""
    while low < high:
        middle = (low + high) // 2
        if reached(middle):
            high = middle
        else:
            low = middle + 1
    moment = moments[low]
    if len(trial.database.tables) == 1:
        return moment, ""
    before = trial.database.truncate(at)
    for name, table in cuts[moment].tables.items():
        if _same(value(Database({**before.tables, name: table})), wanted):
            return moment, name
    return moment, ""


def _cut(trial: Trial, moment: Moment) -> Database:
    # One database a moment, kept by the trial: features that knew the same rows share their builds.
    return trial.database.truncate(moment)


def _same(one: Any, other: Any) -> bool:
    return bool(one == other or (one != one and other != other) or (one is None and other is None))


def _cutoffs(facts: Given, cutoffs: Sequence[Any] | None) -> tuple[Moment, ...]:
    if cutoffs is None:
        return spread(facts)
    zone = facts.shapes[facts.dated].zone
    made = sorted({moment_of(cutoff, zone=zone) for cutoff in cutoffs}, key=ticks)
    first, last = facts.clock[0], facts.clock[-1]
    integer = isinstance(first, int)
    if not made or any(isinstance(cutoff, int) != integer for cutoff in made):
        wanted = "integer steps" if integer else "dates or instants"
        raise BadInput("cutoffs", found=f"{list(cutoffs)}", wanted=f"{wanted}, as the tables have")
    outside = [c for c in made if not ticks(first) <= ticks(c) < ticks(last)]
    if outside:
        raise BadInput(
            "cutoffs",
            found=f"{facts.words(outside[0])}",
            wanted=f"moments within the history, [{facts.words(first)}, {facts.words(last)})",
            fix="a cutoff with nothing before it or nothing after it shows nothing",
        )
    return tuple(made)


__all__ = ["Audit", "Found", "Plain", "audit", "look_ahead", "suite"]
