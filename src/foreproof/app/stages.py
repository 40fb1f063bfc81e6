"""The stages of a run, in order. Each takes what came before and gives back values; nothing is saved here but facts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import polars as pl

from foreproof.adapters.rehearse import rehearse
from foreproof.app.again import repeater
from foreproof.app.live import live_rows, live_runs
from foreproof.app.mapping import check_groups
from foreproof.app.project import Project
from foreproof.core.clean import clean
from foreproof.core.clock import Moment, ticks
from foreproof.core.contract import Contract
from foreproof.core.decide import Decisions
from foreproof.core.ports import Progress
from foreproof.core.preflight import Finding, Subject, preflight, refusal
from foreproof.core.preflight_batches import many_batches, one_batch
from foreproof.core.table import parse
from foreproof.core.trial import Built, Repeat, Verdict
from foreproof.core.view import Database, Table
from foreproof.engine.backtest import Scored, backtest
from foreproof.engine.build import builder
from foreproof.engine.challenger import Challenged
from foreproof.engine.cutoff import latest_cutoff
from foreproof.engine.decide import Decided, Replayed, decide, origins, replay_decisions
from foreproof.engine.diagnose import Diagnosis, diagnose
from foreproof.engine.folds import Folded
from foreproof.engine.judge import JudgedPairs
from foreproof.engine.line import Bench, ladder
from foreproof.engine.pairs import PairServed
from foreproof.engine.past_lists import Recalled, ReplayedLists
from foreproof.engine.prove import Beside, prove
from foreproof.engine.serve import Served
from foreproof.engine.shortlist import Listed
from foreproof.errors import BadInput, ForeproofError


@dataclass(frozen=True, slots=True)
class Read:
    """One batch that was read: its table and name, which source gave it, and what a reader of the run should know."""

    table: str
    batch: str
    source: str
    note: str = ""
    cleaned: pl.DataFrame = field(default_factory=pl.DataFrame)


@dataclass(frozen=True)
class Work:
    """What a run has made so far; a stage returns a fuller one."""

    project: Project
    progress: Progress
    tables: Mapping[str, tuple[tuple[str, Table], ...]] = field(default_factory=dict)
    reads: tuple[Read, ...] = ()
    findings: tuple[Finding, ...] = ()
    problems: tuple[ForeproofError, ...] = ()
    loads: tuple[Mapping[str, object], ...] = ()
    database: Database | None = None
    data: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, int] = field(default_factory=dict)
    cutoff: Moment | None = None
    origins: tuple[Moment, ...] = ()
    built: Built | None = None
    final: Built | None = None
    served: Mapping[Moment, Served] = field(default_factory=dict)
    scored: Scored | None = None
    diagnosis: Diagnosis | None = None
    verdicts: tuple[Verdict, ...] = ()
    looks: int = 0
    live: tuple[str, ...] = ()
    decisions: Decisions | None = None
    decided: Decided | None = None
    replayed: Replayed | None = None
    chances: Mapping[Moment, PairServed] = field(default_factory=dict)
    judged: JudgedPairs | None = None
    lists: ReplayedLists | None = None
    listed: Listed | None = None
    recalled: Recalled | None = None
    challenged: Challenged | None = None
    folds: Folded | None = None

    @property
    def cleaning(self) -> pl.DataFrame:
        """What each rule did to each batch: `table`, `batch`, and the columns of `core.clean`'s report."""
        parts = [
            read.cleaned.select(pl.lit(read.table).alias("table"), pl.lit(read.batch).alias("batch"), pl.all())
            for read in self.reads
            if read.cleaned.height
        ]
        return pl.concat(parts) if parts else pl.DataFrame()

    @property
    def bench(self) -> Bench:
        """Where the work of this run is done."""
        return Bench(self.project.steps, self.project.settings.workers, self.progress, self.project.learned)


def check(work: Work) -> Work:
    """Read every batch of every source, hold it against its contract, and look for what would make a forecast wrong."""
    project = work.project
    tables: dict[str, tuple[tuple[str, Table], ...]] = {}
    reads: list[Read] = []
    findings: list[Finding] = []
    problems: list[ForeproofError] = []
    sourced = [contract for contract in project.contracts if contract.name in project.sources]
    work.progress.stage("check", len(sourced))
    for contract in sourced:
        try:
            batches, told, found = _check_table(project, contract)
        except BadInput as error:
            problems.append(error)
            findings.append(replace(refusal(error, contract.name), found=f"{error.subject}: {error.found}"))
        else:
            tables[contract.name] = batches
            reads += told
            findings += found
        work.progress.advance(1)
    grouped, refused = check_groups(project, {name: [one for _, one in found] for name, found in tables.items()})
    findings, problems = [*findings, *grouped], [*problems, *refused]
    return replace(work, tables=tables, reads=tuple(reads), findings=tuple(findings), problems=tuple(problems))


def _check_table(
    project: Project, contract: Contract
) -> tuple[tuple[tuple[str, Table], ...], list[Read], list[Finding]]:
    """The batches of one table, parsed; raw rows are let go of one batch at a time. Raises BadInput at the first bad one."""
    source, series = project.sources[contract.name], project.science.task.series
    now = None if contract.integer else project.settings.now()
    stored = project.lake.version(contract.name) is not None
    existing = project.lake.table(contract) if stored else None
    batches: list[tuple[str, Table]] = []
    reads: list[Read] = []
    alone: list[Finding] = []
    first: Subject | None = None
    for batch in source.batches(project.reading(contract)):
        with _naming(batch.name):
            cleaned = clean(batch.frame, project.cleaning.get(contract.name, ()))
            table = parse(contract, cleaned.rows, now=now)
        batches.append((batch.name, table))
        told = batch.source or source.describe()
        reads.append(Read(contract.name, batch.name, told, batch.note, cleaned.report))
        look = Subject(table, cleaned.rows, now, existing=existing)
        if contract.name == series.table:
            # A group that rules give is no column of the raw rows.
            by = tuple(name for name in series.by if name in table.rows.columns)
            look = replace(look, grid=series.grid, entity=by, value=series.value)
        if first is None:
            first = look
            continue
        if len(batches) == 2:
            alone += one_batch(first, batches[0][0])
            first = replace(first, raw=first.raw.clear())
        alone += one_batch(look, batch.name)
    if first is None:
        return (), reads, []
    found = preflight(first) if len(batches) == 1 else [*alone, *many_batches(first, [table for _, table in batches])]
    return tuple(batches), reads, found


@contextmanager
def _naming(batch: str) -> Iterator[None]:
    """A refused batch says its name."""
    try:
        yield
    except BadInput as error:
        error.subject = f"{error.subject} ({batch})"
        raise


def load(work: Work) -> Work:
    """Write each table's batches into the lake, in order; a batch that is there already changes nothing.

    A batch that broke its contract, or would break a rule of the lake after those before it, is refused here, before
    anything of any table is written.
    """
    work = store(work)
    lake = work.project.lake
    contracts = work.project.contracts
    missing = [contract.name for contract in contracts if lake.version(contract.name) is None]
    if missing:
        raise BadInput(f"tables.{missing[0]}", found="no data", wanted="a source or a loaded batch", fix="add sources:")
    database = work.project.database()
    data = {contract.name: lake.data_digest(contract.name) for contract in contracts}
    versions = {name: version for name in data if (version := lake.version(name)) is not None}
    return replace(work, database=database, data=data, versions=versions)


def store(work: Work) -> Work:
    """Write what was checked, all of it or nothing; `loads` says what came of each batch."""
    if work.problems:
        raise work.problems[0]
    _rehearse(work)
    work.progress.stage("load", len(work.reads))
    loads = []
    tables = [table for batches in work.tables.values() for _, table in batches]
    for read, table in zip(work.reads, tables, strict=True):
        loaded = work.project.lake.load(table, source=read.batch)
        loads.append(
            {
                "table": read.table,
                "name": read.batch,
                "source": read.source,
                "note": read.note,
                "batch": loaded.batch,
                "digest": loaded.digest,
                "added": loaded.added,
                "superseding": loaded.superseding,
                "unchanged": loaded.unchanged,
                "already_loaded": loaded.already_loaded,
                "version": loaded.version,
            }
        )
        work.progress.advance(1)
    return replace(work, loads=tuple(loads))


def _rehearse(work: Work) -> None:
    for batches in work.tables.values():
        if not batches:
            continue
        steps = rehearse(work.project.lake, [table for _, table in batches])
        for name, _ in batches:
            with _naming(name):
                next(steps)


def features(work: Work) -> Work:
    """Settle the cutoff and compile features for it: what would be served, as known then."""
    plan, database = work.project.forecast, database_of(work)
    cutoff = latest_cutoff(plan, database)
    line = ladder(plan, cutoff, plan.backtest.origins + 1)
    build = builder(plan, work.bench)
    final = build(database, (cutoff,), plan.plan.seed)
    return replace(work, cutoff=cutoff, origins=tuple(line[:-1]), final=final)


def train(work: Work) -> Work:
    """Fit every model at every cutoff that is served or calibrates."""
    plan = work.project.forecast
    built = builder(plan, work.bench)(database_of(work), (*work.origins, cutoff_of(work)), plan.plan.seed)
    return replace(work, built=built, served=built.forecasts.detail)


def score(work: Work) -> Work:
    """Judge the past origins: scores, coverage, and whether the gain could be chance, and where the error comes from."""
    past = origins(work.served, before=cutoff_of(work))
    plan, judged = work.project.forecast, before_final(work)
    scored = backtest(plan, database_of(work), judged, past)
    return replace(work, scored=scored, diagnosis=diagnose(plan, scored, judged))


def gauntlet(work: Work) -> Work:
    """Every check beside its planted fault, over the judged origins."""
    plan = work.project.forecast
    work = looked(work)
    build, beside = builder(plan, work.bench), beside_of(work)
    verdicts = prove(plan, database_of(work), work.origins, build, progress=work.progress, beside=beside)
    return replace(work, verdicts=tuple(verdicts))


def looked(work: Work) -> Work:
    """The work with what earlier runs say of its cutoffs: how often they were looked at, and which runs were scored live there.

    A repeat takes what the run had counted.
    """
    if work.looks:
        return work
    return replace(work, looks=looks_of(work), live=live_runs(work.project, work.origins))


def beside_of(work: Work) -> Beside:
    """What a proof has beside the pipeline: another process, the log's loads, the looks, and rows that were scored live."""
    scored = live_rows(work.project, work.live)
    return Beside(repeat_of(work), looks=work.looks, loaded=loaded_of(work), scored=scored)


def loaded_of(work: Work) -> dict[str, dict[int, int]]:
    """By table, the ticks at which the lake's log says that each batch was loaded."""
    lake, found = work.project.lake, {}
    for contract in work.project.contracts:
        loads = lake.batches(contract.name).select("batch", pl.col("loaded_at").to_physical())
        found[contract.name] = dict(loads.iter_rows())
    return found


def looks_of(work: Work) -> int:
    """How often the outcomes of these cutoffs were looked at: by other plans on the same data that were judged, and now."""
    own = work.project.plan.digest
    plans = {
        str(one.manifest["plan"])
        for one in work.project.catalog.runs()
        if one.manifest.get("data") == dict(work.data) and one.manifest.get("scores")
    }
    return 1 + len(plans - {own})


def repeat_of(work: Work) -> Repeat | None:
    """Another process that builds the last judged origin from the lake, where the check that asks for it runs."""
    if work.project.science.proof.why_not("repetition") or not work.origins:
        return None
    return repeater(work.project, work.origins[-1], work.versions)


def order(work: Work) -> Work:
    """What to order now, and what the policy would have cost at the past origins."""
    plan = work.project.forecast
    if plan.ordering is None:
        return work
    cutoff = cutoff_of(work)
    past = origins(work.served, before=cutoff)
    served, view = work.served[cutoff], database_of(work).as_of(cutoff)
    decided = decide(plan.ordering, served, view)
    replayed = replay_decisions(plan, before_final(work), past, view=view, seed=plan.plan.seed)
    return replace(work, decisions=decided.orders, decided=decided, replayed=replayed)


def before_final(work: Work) -> Built:
    """The build without the final cutoff: what happened after it is not read."""
    if work.built is None:
        raise BadInput("run", found="nothing trained", wanted="the stages in order")
    before = pl.col("cutoff").to_physical() < ticks(cutoff_of(work))
    built, made = work.built, work.built.forecasts
    forecasts = replace(
        made,
        predictions=made.predictions.filter(before),
        baseline=made.baseline.filter(before),
        manifest=made.manifest.filter(before),
    )
    return Built(
        built.entities.filter(before), built.rows.filter(before), built.labels.filter(before), lambda: forecasts
    )


def database_of(work: Work) -> Database:
    """The loaded facts; BadInput before they are."""
    if work.database is None:
        raise BadInput("run", found="nothing loaded", wanted="the stages in order", fix="foreproof load")
    return work.database


def cutoff_of(work: Work) -> Moment:
    """The cutoff that is served; BadInput before it is settled."""
    if work.cutoff is None:
        raise BadInput("run", found="no cutoff", wanted="the stages in order", fix="foreproof features")
    return work.cutoff


FORECAST: Mapping[str, Callable[[Work], Work]] = {
    "check": check,
    "load": load,
    "features": features,
    "train": train,
    "backtest": score,
    "prove": gauntlet,
    "predict": lambda work: work,
    "decide": order,
}

STAGES = tuple(FORECAST)

__all__ = [
    "FORECAST",
    "STAGES",
    "Read",
    "Work",
    "before_final",
    "beside_of",
    "check",
    "cutoff_of",
    "database_of",
    "load",
    "loaded_of",
    "looked",
    "looks_of",
    "repeat_of",
    "store",
]
