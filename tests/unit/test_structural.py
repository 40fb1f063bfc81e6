"""The structural checks, one leak at a time: each is found, named, and told apart from what only looks like it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from foreproof.core.contract import Column, Contract, Known, Stamp
from foreproof.core.cuts import Cuts
from foreproof.core.run import verdict_status
from foreproof.core.section import Section
from foreproof.core.trial import Built, Forecasts, Trial, Verdict, explained, proven
from foreproof.core.view import Database, Table
from foreproof.engine.prove import remembered
from foreproof.errors import BadInput, ForeproofError, PlanError
from foreproof.gauntlet import (
    Duplicates,
    FutureScramble,
    Intervals,
    Overlap,
    Rebuild,
    Repetition,
    Replay,
    SamePopulation,
    Serving,
    leaks,
)
from foreproof.gauntlet.duplicates import same_series
from foreproof.gauntlet.inflation import inflation
from foreproof.gauntlet.intervals import apart, without_periods
from foreproof.gauntlet.limits import Proof
from foreproof.gauntlet.registry import REGISTRY, names_of, suite
from foreproof.gauntlet.same import digests, first_difference
from foreproof.gauntlet.scramble import DROPPED, NOISE, ORDER, TWICE, scrambled
from foreproof.gauntlet.settings import parse_proof
from toy_trial import CONTRACT, CUTOFFS, TRIAL, H, build

KNOWN, HAPPENED, BATCH, DELETED = "_known", "_happened", "_batch", "_deleted"
ROWS = TRIAL.database["sales"].rows


def feature(value: Callable[[pl.DataFrame, int], float]) -> Trial:
    """The toy pipeline with a feature made from all rows that the database holds."""

    def made(db: Database, cutoffs: Sequence[int], seed: int) -> Built:
        built = build(db, cutoffs, seed)
        values = pl.DataFrame({"cutoff": list(cutoffs), "x": [float(value(db["sales"].rows, c)) for c in cutoffs]})
        return replace(built, rows=built.rows.join(values, on="cutoff", maintain_order="left"))

    return TRIAL.with_build(made)


def altered(change: Callable[[Built], Built]) -> Trial:
    return TRIAL.with_build(lambda db, cutoffs, seed: change(build(db, cutoffs, seed)))


def forecasting(change: Callable[[Forecasts], Forecasts]) -> Trial:
    return altered(lambda built: replace(built, forecast=lambda: change(built.forecasts)))


def with_rows(rows: pl.DataFrame) -> Database:
    return Database({"sales": Table(CONTRACT, rows)})


def later(rows: pl.DataFrame, cutoff: int) -> pl.DataFrame:
    return rows.filter(pl.col(KNOWN) > cutoff)


def judged(check: object, trial: Trial) -> Verdict:
    return explained(check, trial, check(trial))  # type: ignore[arg-type, operator, no-any-return]


# Future scramble ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "ways"),
    [
        (lambda rows, c: later(rows, c)["y"].sort().sum(), [NOISE, TWICE, DROPPED]),
        (lambda rows, c: later(rows, c).height, [TWICE, DROPPED]),
        (lambda rows, c: rows["y"][0], [ORDER]),
    ],
    ids=["values", "counts", "order"],
)
def test_each_way_of_scrambling_finds_its_own_leak(
    value: Callable[[pl.DataFrame, int], float], ways: list[str]
) -> None:
    verdict = judged(FutureScramble(), feature(value))
    assert verdict.outcome == "failed"
    assert verdict.evidence["column"] == "x"
    assert set(verdict.evidence["ways"]) >= set(ways)
    assert (ORDER in verdict.evidence["ways"]) == (ORDER in ways)


def test_scrambling_leaves_what_was_known_and_is_the_same_for_one_seed() -> None:
    mixed = scrambled(TRIAL.database, 60, seed=1)["sales"].rows
    order = ["sku", HAPPENED, BATCH]
    assert mixed.filter(pl.col(KNOWN) <= 60).sort(order).equals(ROWS.filter(pl.col(KNOWN) <= 60).sort(order))
    after = later(mixed, 60)
    assert after.height == 2 * later(ROWS, 60).height
    assert after.select("sku", HAPPENED).unique().height == later(ROWS, 60).height
    assert not set(after["y"].to_list()) & set(later(ROWS, 60)["y"].to_list())
    assert mixed.equals(scrambled(TRIAL.database, 60, seed=1)["sales"].rows)
    assert not mixed.equals(scrambled(TRIAL.database, 60, seed=2)["sales"].rows)


def test_every_cutoff_is_scrambled_when_the_plan_says_so() -> None:
    only_late = feature(lambda rows, c: later(rows, c)["y"].sum() > 1e9 if c < 78 else rows["y"][0])
    assert FutureScramble()(only_late).outcome == "passed"
    assert FutureScramble(cutoffs=4)(only_late).evidence["cutoff"] == "78"


# Rebuild: since when it knew ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lead", [1, 3, 7])
def test_the_rebuild_says_up_to_when_a_leak_knew(lead: int) -> None:
    ahead = feature(lambda rows, c: rows.filter(pl.col(HAPPENED).is_between(c + 1, c + lead))["y"].sum())
    verdict = judged(Rebuild(), ahead)
    assert verdict.evidence["knew"] == str(60 + lead)
    assert verdict.evidence["column"] == "x"
    assert verdict.evidence["row"]["cutoff"] == "60"
    assert verdict.words.endswith(f"x knew rows up to {60 + lead}")


def test_a_population_of_survivors_is_dated_too() -> None:
    def survivors(db: Database, cutoffs: Sequence[int], seed: int) -> Built:
        built = build(db, cutoffs, seed)
        alive = db["sales"].rows.filter((pl.col(HAPPENED) == 75) | (pl.col("sku") > "s02"))["sku"].unique()
        keep = pl.col("sku").is_in(alive.implode()) if alive.len() else pl.lit(True)
        return replace(built, entities=built.entities.filter(keep), rows=built.rows.filter(keep))

    verdict = judged(Rebuild(), TRIAL.with_build(survivors))
    assert verdict.evidence["part"] == "population"
    assert verdict.evidence["knew"] == "75"
    assert verdict.evidence["row"] == {"sku": "s00", "cutoff": "60"}


# Replay and its inflation ---------------------------------------------------------------------------------------------


def corrected(known: int = 70) -> Database:
    """Rows of step 55 corrected at `known`, one row deleted there."""
    old = ROWS.filter(pl.col(HAPPENED) == 55)
    at = [pl.lit(known, dtype=pl.Int64).alias(KNOWN), pl.lit(2, dtype=pl.Int64).alias(BATCH)]
    fixed = old.with_columns(pl.col("y") + 9, *at)
    return with_rows(pl.concat([ROWS, fixed]))


def test_an_honest_pipeline_replays_through_corrections_and_hides_old_versions() -> None:
    verdict = judged(Replay(), replace(TRIAL, database=corrected()))
    assert verdict.outcome == "passed"
    assert verdict.evidence["hidden"] == 12 * 2  # superseded at the cutoffs 72 and 78
    found = verdict.evidence["inflation"]
    assert (found["metric"], found["estimate"], found["low"], found["high"]) == ("1 - wape", 0.0, 0.0, 0.0)
    assert "replay inflation of 1 - wape 0.0000" in verdict.words


def test_a_pipeline_that_overwrites_history_does_not_replay() -> None:
    def newest(db: Database, cutoffs: Sequence[int], seed: int) -> Built:
        rows = (
            db["sales"]
            .rows.sort(KNOWN)
            .unique(["sku", HAPPENED], keep="last")
            .with_columns(pl.col(HAPPENED).alias(KNOWN))
        )
        return build(with_rows(rows), cutoffs, seed)

    verdict = Replay()(replace(TRIAL, database=corrected(), build=newest))
    assert verdict.outcome == "failed"
    assert verdict.evidence["cutoff"] == "60"


def test_a_pipeline_that_needs_versions_out_of_force_does_not_replay() -> None:
    def versions(rows: pl.DataFrame, cutoff: int) -> float:
        return rows.filter((pl.col(HAPPENED) == 55) & (pl.col(KNOWN) <= cutoff)).height

    trial = replace(feature(versions), database=corrected())
    assert Rebuild()(trial).outcome == "passed"
    assert Replay()(trial).evidence["cutoff"] == "72"


def test_a_flattering_forecast_has_an_inflation_above_zero() -> None:
    def told(db: Database, cutoffs: Sequence[int], seed: int) -> Built:
        built = build(db, cutoffs, seed)
        truth = db["sales"].rows.select("sku", pl.col(HAPPENED).alias("at"), pl.col("y").alias("z"))

        def said() -> Forecasts:
            made = built.forecasts
            near = made.predictions.with_columns((pl.col("cutoff") + pl.col("step")).alias("at")).join(
                truth, on=["sku", "at"], how="left", maintain_order="left"
            )
            mixed = pl.when(pl.col("z").is_null()).then("value").otherwise(0.5 * pl.col("value") + 0.5 * pl.col("z"))
            return replace(made, predictions=near.with_columns(mixed.alias("value")).drop("z", "at"))

        return replace(built, forecast=said)

    found = inflation(TRIAL.with_build(told))
    honest = TRIAL.run()
    pairs = honest.forecasts.predictions.filter(pl.col("level").is_null()).join(
        honest.labels, on=["sku", "cutoff", "step"]
    )
    errors = float((pairs["value"] - pairs["y"]).abs().sum()) / float(pairs["y"].abs().sum())
    assert found is not None
    assert found.estimate == pytest.approx(0.5 * errors)  # half of the error is read off the truth
    assert found.low is not None
    assert found.high is not None
    assert 0.0 < found.low < found.estimate < found.high
    assert found.clusters == 12


def test_the_inflation_of_chances_is_a_difference_of_auc() -> None:
    rng = np.random.default_rng(2)
    noise = dict(zip(range(1, H + 1), rng.normal(size=H), strict=True))

    def chances(flatter: bool) -> Callable[[Database, Sequence[int], int], Built]:
        def made(db: Database, cutoffs: Sequence[int], seed: int) -> Built:
            built = build(db, cutoffs, seed)
            knows = flatter and len(cutoffs) > 1
            labels = built.labels.with_columns((pl.col("y") > 20).cast(pl.Float64).alias("y"))
            p = pl.col("y") * (3.0 if knows else 1.0) + pl.col("step").replace_strict(noise)
            said = labels.with_columns(
                (1.0 / (1.0 + (-p).exp())).alias("value"), pl.lit(None, dtype=pl.Float64).alias("level")
            )
            if labels.is_empty():
                blind = built.rows.with_columns(
                    pl.lit(0.5).alias("value"), pl.lit(None, dtype=pl.Float64).alias("level")
                )
                said = blind
            points = said.select("sku", "cutoff", "step", "level", "value")
            return replace(built, labels=labels, forecast=lambda: Forecasts(points, points, built.forecasts.manifest))

        return made

    found = inflation(replace(TRIAL, kind="chance", build=chances(flatter=True)))
    assert found is not None
    assert found.metric == "auc"
    assert found.low is not None
    assert found.low > 0.0


def test_one_series_alone_has_an_inflation_without_an_interval() -> None:
    one = replace(TRIAL, database=with_rows(ROWS.filter(pl.col("sku") == "s00")), cutoffs=(60,))
    off = one.with_build(lambda db, c, s: _shifted(build(db, c, s), db["sales"].rows.height))
    found = inflation(off)
    assert found is not None
    assert (found.low, found.high, found.clusters) == (None, None, 1)


def _shifted(built: Built, size: int) -> Built:
    made = built.forecasts
    return replace(
        built, forecast=lambda: replace(made, predictions=made.predictions.with_columns(pl.col("value") + size))
    )


# Population -----------------------------------------------------------------------------------------------------------


def test_entities_that_drop_out_of_labels_or_predictions_are_named() -> None:
    gone = ~((pl.col("sku") == "s03") & (pl.col("cutoff") == 66))
    unlabelled = SamePopulation()(altered(lambda built: replace(built, labels=built.labels.filter(gone))))
    assert unlabelled.evidence["row"] == {"sku": "s03", "cutoff": "66"}
    assert "not with a label" in unlabelled.words
    silent = forecasting(lambda said: replace(said, predictions=said.predictions.filter(gone)))
    assert "asked about and not predicted" in SamePopulation()(silent).words
    cold = forecasting(
        lambda said: replace(
            said,
            predictions=pl.concat(
                [said.predictions, said.predictions.head(1).with_columns(pl.lit("new").alias("sku"))]
            ),
        )
    )
    assert SamePopulation()(cold).outcome == "passed"
    extra = SamePopulation()(altered(lambda built: replace(built, entities=built.entities.filter(gone))))
    assert "with features and not asked about" in extra.words


def test_a_cutoff_without_any_label_yet_is_no_fault() -> None:
    censored = altered(lambda built: replace(built, labels=built.labels.filter(pl.col("cutoff") < 78)))
    assert SamePopulation()(censored).outcome == "passed"


# Intervals ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (pl.col("target") - pl.col("step"), "at or before their cutoff"),
        (pl.col("target") + 1, "another target"),
    ],
    ids=["cutoff day", "a step late"],
)
def test_labels_outside_their_interval_are_found(change: pl.Expr, words: str) -> None:
    verdict = Intervals()(
        altered(lambda built: replace(built, labels=built.labels.with_columns(change.alias("target"))))
    )
    assert verdict.outcome == "failed"
    assert words in verdict.words


def test_a_step_beyond_the_horizon_and_a_wrong_settling_time_are_found() -> None:
    assert "step outside" in Intervals()(replace(TRIAL, horizon=H - 1)).words
    early = forecasting(lambda said: replace(said, manifest=said.manifest.with_columns(pl.col("settled") - 1)))
    assert "settle at another time" in Intervals()(early).words
    assert "settle at another time" in Intervals()(replace(TRIAL, delay=2)).words


def test_a_feature_declared_to_read_past_the_cutoff_is_found() -> None:
    assert Intervals()(replace(TRIAL, nearness={"lag_6": 6, "holiday": None})).outcome == "passed"
    assert Intervals()(replace(TRIAL, nearness={"lag_6": 6, "next": -1})).evidence["column"] == "next"


def test_a_label_that_counts_the_cutoffs_own_period_is_found_though_its_target_says_otherwise() -> None:
    def from_the_day(db: Database, cutoffs: Sequence[int], seed: int) -> Built:
        built = build(db, cutoffs, seed)
        own = db["sales"].rows.select("sku", pl.col(HAPPENED).alias("cutoff"), pl.col("y").alias("own"))
        labels = built.labels.join(own, on=["sku", "cutoff"], how="left", maintain_order="left")
        return replace(built, labels=labels.with_columns(pl.col("y") + pl.col("own").fill_null(0.0)).drop("own"))

    trial = TRIAL.with_build(from_the_day)
    verdict = Intervals()(trial)
    assert verdict.outcome == "failed"
    assert "read the cutoff's own period" in verdict.words
    assert Intervals()(replace(trial, carried=True)).outcome == "passed"  # a carried label may


@pytest.mark.parametrize("late", CUTOFFS)
def test_the_own_period_of_every_cutoff_is_tried(late: int) -> None:
    def from_one_day(db: Database, cutoffs: Sequence[int], seed: int) -> Built:
        built = build(db, cutoffs, seed)
        own = db["sales"].rows.filter(pl.col(HAPPENED) == late).select("sku", pl.col("y").alias("own"))
        labels = built.labels.join(own, on="sku", how="left", maintain_order="left")
        counted = pl.col("y") + pl.when(pl.col("cutoff") == late).then(pl.col("own")).fill_null(0.0)
        return replace(built, labels=labels.with_columns(counted.alias("y")).drop("own"))

    verdict = Intervals()(TRIAL.with_build(from_one_day))
    assert (verdict.outcome, verdict.evidence["cutoff"]) == ("failed", str(late))


def test_cutoffs_are_tried_together_where_no_own_period_lies_in_anothers_label() -> None:
    assert apart(TRIAL, CUTOFFS) == [[60, 72], [66, 78]]
    assert apart(TRIAL, (60, 67, 74)) == [[60, 67, 74]]
    assert apart(TRIAL, (62, 60, 61)) == [[60], [61], [62]]


def test_nothing_is_proven_without_a_label() -> None:
    none = altered(lambda built: replace(built, labels=built.labels.clear()))
    assert Intervals()(none).outcome == "not proven"


def test_a_fact_that_a_correction_moved_into_the_cutoffs_own_period_stays_as_it_is() -> None:
    moved = (
        tickets()
        .filter(pl.col("id") == "n29")
        .with_columns(
            pl.lit(20, dtype=pl.Int64).alias(HAPPENED),
            pl.lit(2, dtype=pl.Int64).alias(BATCH),
            pl.lit(29, dtype=pl.Int64).alias(KNOWN),
        )
    )
    trial = replace(TRIAL, database=Database({"tickets": Table(TICKETS, pl.concat([tickets(), moved]))}))
    left = without_periods(trial.database, trial, [20])["tickets"].rows
    assert left["id"].to_list() == [f"n{i}" for i in range(30) if i != 20] + ["n29"]


def test_where_too_little_is_left_the_own_period_is_not_judged() -> None:
    def strict(db: Database, cutoffs: Sequence[int], seed: int) -> Built:
        if db["sales"].rows[HAPPENED].n_unique() < ROWS[HAPPENED].n_unique():
            raise BadInput("population", found="nobody", wanted="somebody")
        return build(db, cutoffs, seed)

    verdict = Intervals()(TRIAL.with_build(strict))
    assert verdict.outcome == "passed"
    assert "is not known: population: nobody" in verdict.words
    check = proven(Intervals(), TRIAL.with_build(strict))
    assert check.outcome == "not proven"


def test_a_planted_fault_that_cannot_be_tried_is_not_caught() -> None:
    def thin(db: Database, cutoffs: Sequence[int], seed: int) -> Built:
        if db["sales"].rows.filter(pl.col(KNOWN) <= min(cutoffs)).height < 60 * 12:
            raise BadInput("history", found="too little", wanted="more")
        return build(db, cutoffs, seed)

    verdict = proven(Replay(), TRIAL.with_build(thin))
    assert (verdict.outcome, verdict.control_caught) == ("not proven", False)
    assert "could not be tried: history: too little" in verdict.words


# Overlap --------------------------------------------------------------------------------------------------------------


def folded(rows: list[tuple[str, int, str]]) -> Trial:
    folds = pl.DataFrame(rows, schema=["sku", "fold", "role"], orient="row")
    return forecasting(lambda said: replace(said, folds=folds))


def test_entities_on_both_sides_of_one_fold_are_found_and_of_two_folds_are_not() -> None:
    apart = folded([("a", 1, "learn"), ("b", 1, "judge"), ("b", 2, "learn"), ("a", 2, "judge")])
    verdict = proven(Overlap(), apart)
    assert (verdict.outcome, verdict.evidence["folds"]) == ("passed", 2)
    both = Overlap()(folded([("a", 1, "learn"), ("a", 1, "judge"), ("b", 1, "judge")]))
    assert (both.outcome, both.evidence["row"]) == ("failed", {"fold": "1", "sku": "a"})


def test_an_example_that_is_judged_is_found_and_silence_proves_nothing() -> None:
    def own(said: Forecasts) -> Forecasts:
        used = said.manifest.with_columns(pl.col("cutoff").alias("example"))
        return replace(said, manifest=pl.concat([said.manifest, used.head(1)]))

    assert Overlap()(forecasting(own)).evidence["rows"] == 1
    silent = forecasting(lambda said: replace(said, manifest=said.manifest.clear()))
    assert Overlap()(silent).outcome == "not proven"


# Duplicates -----------------------------------------------------------------------------------------------------------

TICKETS = Contract(
    "tickets",
    ("id",),
    Stamp("t", period="integer"),
    Known("same_as_happened"),
    (Column("id", "text"), Column("sku", "text"), Column("y", "real")),
)


def tickets(count: int = 30) -> pl.DataFrame:
    rng = np.random.default_rng(4)
    rows = [(f"n{i}", f"s{i % 3}", float(rng.normal()), i, i, 1, False) for i in range(count)]
    return pl.DataFrame(rows, schema=["id", "sku", "y", HAPPENED, KNOWN, BATCH, DELETED], orient="row")


def counted(contract: Contract, rows: pl.DataFrame) -> Verdict:
    tables = {**TRIAL.database.tables, contract.name: Table(contract, rows)}
    return Duplicates()(replace(TRIAL, database=Database(tables)))


def test_a_batch_loaded_again_under_new_ids_is_counted() -> None:
    again = tickets().with_columns(("m" + pl.col("id")).alias("id"), pl.lit(2, dtype=pl.Int64).alias(BATCH))
    verdict = counted(TICKETS, pl.concat([tickets(), again]))
    assert (verdict.outcome, verdict.figure) == ("failed", 30.0)
    assert "loaded again under other keys" in verdict.words
    assert verdict.evidence["first"]["tickets: rows of a batch loaded again under other keys"]["id"] == "mn0"
    changed = again.with_columns(pl.when(pl.col("id") == "mn7").then(0.0).otherwise("y").alias("y"))
    assert counted(TICKETS, pl.concat([tickets(), changed])).outcome == "passed"


def test_a_table_without_a_key_that_was_loaded_twice_is_counted() -> None:
    loose = replace(TICKETS, key=())
    rows = tickets().with_columns(pl.lit(1, dtype=pl.Int64).alias("_occurrence"))
    again = rows.with_columns(pl.lit(2, dtype=pl.Int64).alias("_occurrence"), pl.lit(2, dtype=pl.Int64).alias(BATCH))
    assert counted(loose, pl.concat([rows, again])).figure == 30.0


def test_a_correction_that_was_taken_back_is_no_duplicate() -> None:
    def version(change: float, batch: int) -> pl.DataFrame:
        at = [pl.lit(batch, dtype=pl.Int64).alias(BATCH), (pl.col(KNOWN) + batch).alias(KNOWN)]
        return tickets().with_columns(pl.col("y") + change, *at)

    rows = pl.concat([tickets(), version(1.0, 2), version(0.0, 3)])
    assert counted(TICKETS, rows).outcome == "passed"


def test_one_series_under_two_names_is_a_warning() -> None:
    twin = ROWS.filter(pl.col("sku") == "s01").with_columns(pl.lit("other").alias("sku"))
    trial = replace(TRIAL, database=with_rows(pl.concat([ROWS, twin])))
    verdict = Duplicates()(trial)
    assert verdict.outcome == "passed"
    assert "other = s01" in verdict.warning
    assert Duplicates()(TRIAL).warning == ""
    still = ROWS.with_columns(pl.lit(1.0).alias("y"))
    assert same_series(Table(CONTRACT, still), ("sku",)) == []  # nothing happens in any of them


# Repetition -----------------------------------------------------------------------------------------------------------


def test_another_process_is_asked_and_believed_bit_by_bit() -> None:
    ours = digests(TRIAL.run(), 78, entity=("sku",))
    same = Repetition()(replace(TRIAL, repeat=lambda: ours))
    assert (same.outcome, same.warning, same.evidence["process"]) == ("passed", "", True)
    other = Repetition()(replace(TRIAL, repeat=lambda: {**ours, "features": "0"}))
    assert (other.outcome, other.evidence["part"]) == ("failed", "features")
    assert Repetition()(replace(TRIAL, repeat=dict)).outcome == "failed"
    assert "not tried in another process" in Repetition()(TRIAL).warning


def test_another_process_that_fails_proves_nothing() -> None:
    def broken() -> dict[str, str]:
        raise ForeproofError("repetition", found="another process that ended with: killed", wanted="digests")

    verdict = Repetition()(replace(TRIAL, repeat=broken))
    assert (verdict.outcome, "killed" in verdict.words) == ("not proven", True)


def test_a_draw_without_a_seed_is_not_repeated() -> None:
    rng = np.random.default_rng()
    assert Repetition()(feature(lambda rows, c: float(rng.normal()))).evidence["column"] == "x"


# Serving --------------------------------------------------------------------------------------------------------------


def alone(shift: float) -> Callable[[Database, int], Callable[[pl.DataFrame], pl.DataFrame]]:
    def opened(db: Database, cutoff: int) -> Callable[[pl.DataFrame], pl.DataFrame]:
        rows = build(db, (cutoff,), 1).rows.with_columns(pl.col("lag_12") + shift)
        return lambda asked: rows.join(asked, on="sku", how="semi")

    return opened


def test_single_entities_are_served_as_they_were_trained() -> None:
    fine = Serving()(replace(TRIAL, live=alone(0.0)))
    assert (fine.outcome, fine.evidence["entities"]) == ("passed", 2)
    off = Serving()(replace(TRIAL, live=alone(1e-12)))
    assert (off.outcome, off.evidence["column"], off.evidence["row"]["sku"]) == ("failed", "lag_12", "s00")


def test_rows_scored_live_are_held_against_the_report() -> None:
    live = TRIAL.run().rows.filter(pl.col("cutoff") == 72).select("sku", "cutoff", "step", "lag_6").head(7)
    fine = Serving()(replace(TRIAL, scored=live))
    assert (fine.outcome, fine.evidence["scored"]) == ("passed", 7)
    off = Serving()(replace(TRIAL, scored=live.with_columns(pl.col("lag_6").round(1))))
    assert (off.outcome, off.evidence["cutoff"]) == ("failed", "72")
    stranger = live.with_columns(pl.lit("unknown").alias("sku"))
    assert Serving()(replace(TRIAL, scored=stranger)).outcome == "failed"


# The list of checks ---------------------------------------------------------------------------------------------------


def section(**values: object) -> Section:
    return Section(values, path="proof")


def test_a_check_that_is_off_is_in_the_proof_as_not_proven() -> None:
    limits = parse_proof(section(off=["overlap"], scrambles=3), kind="quantity")
    made = suite(limits, "quantity")
    assert [one.name for one in made] == list(names_of("quantity"))
    (left,) = [one for one in made if isinstance(one, Verdict)]
    assert (left.name, left.outcome, left.tier, left.control_caught) == ("overlap", "not proven", "structural", None)
    assert verdict_status([left, Verdict("rebuild", "passed", 0.0, 0.0, "")]) == "not proven"
    scramble = next(one for one in made if one.name == "future scramble")
    assert isinstance(scramble, FutureScramble)
    assert scramble.cutoffs == 3


def test_only_the_named_checks_run() -> None:
    made = suite(parse_proof(section(only=["gap law"]), kind="chance"), "chance")
    assert [one.name for one in made if not isinstance(one, Verdict)] == ["gap law"]


def test_limits_of_another_kind_of_label_and_unknown_checks_are_refused() -> None:
    with pytest.raises(PlanError, match="calibration"):
        parse_proof(section(calibration=0.1), kind="quantity")
    with pytest.raises(PlanError, match=r"proof\.off.*rebild"):
        parse_proof(section(off=["rebild"]), kind="quantity")
    with pytest.raises(PlanError, match="coverage"):
        parse_proof(section(only=["coverage"]), kind="chance")


def test_every_check_bears_the_name_and_tier_of_its_entry_and_has_a_planted_fault() -> None:
    for name, entry in REGISTRY.items():
        check = entry.make(Proof())
        assert check.name == name
        assert check.control.__doc__
        assert entry.tier in ("structural", "statistical")


# What the checks share ------------------------------------------------------------------------------------------------


def test_cuts_are_made_once_and_builds_of_them_are_remembered() -> None:
    made: list[int] = []

    def counting(db: Database, cutoffs: Sequence[int], seed: int) -> Built:
        made.append(len(cutoffs))
        return build(db, cutoffs, seed)

    cuts = Cuts(TRIAL.database)
    trial = replace(TRIAL, build=remembered(counting, keeps=cuts.owns), cuts=cuts)
    checks = [Rebuild(), Replay(), FutureScramble(), SamePopulation(), Serving(), Overlap()]
    assert {proven(check, trial).outcome for check in checks} == {"passed"}
    # One whole build, one at each cutoff, one scrambled; of the planted faults only the overwritten history costs a build.
    assert sorted(made) == [1] * (len(CUTOFFS) + 2) + [len(CUTOFFS)]
    assert trial.truncated(60) is trial.truncated(60)
    assert trial.viewed(60) is trial.truncated(60)  # nothing is hidden
    assert not cuts.owns(TRIAL.database.truncate(60))


def test_cuts_of_another_database_are_of_no_use() -> None:
    cuts = Cuts(TRIAL.database)
    other = replace(TRIAL, database=corrected(), cuts=cuts)
    assert other.truncated(72)["sales"].rows.height == TRIAL.truncated(72)["sales"].rows.height + 12
    assert other.viewed(72)["sales"].rows.height == TRIAL.truncated(72)["sales"].rows.height


def test_a_lone_row_is_named_on_either_side() -> None:
    whole = TRIAL.run()
    less = replace(whole, entities=whole.entities.filter(pl.col("sku") != "s05"))
    for builds, side in (((whole, less), "all"), ((less, whole), "truncated")):
        found = first_difference(builds, 60, entity=("sku",))
        assert found is not None
        assert found["row"] == {"sku": "s05", "cutoff": "60"}
        assert f"only on {side} data" in found["words"]


def test_planted_faults_are_documented_and_listed() -> None:
    assert all(getattr(leaks, name).__doc__ for name in leaks.__all__)
