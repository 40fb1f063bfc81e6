"""Every statistical check passes an honest pipeline and catches its planted fault; the arithmetic equals plain loops."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import numpy as np
import polars as pl
import pytest
from scipy import stats

import naive_gauntlet
from foreproof.core.clock import BEGINNING, Moment
from foreproof.core.compare import coverage_interval
from foreproof.core.grid import Grid, parse_grid
from foreproof.core.trial import Built, Check, Kind, Trial, Verdict, proven
from foreproof.core.view import Database, Table
from foreproof.engine.prove import remembered
from foreproof.errors import BadInput
from foreproof.gauntlet.adjacency import Adjacency
from foreproof.gauntlet.arrival import ArrivalLag, delayed
from foreproof.gauntlet.base_rate import BaseRate
from foreproof.gauntlet.cliff import Cliff
from foreproof.gauntlet.coverage import exact_p
from foreproof.gauntlet.drift import ExpectedRealised, FeatureDrift, ks
from foreproof.gauntlet.embargo import Embargo
from foreproof.gauntlet.holm import finalised
from foreproof.gauntlet.leaks import planted
from foreproof.gauntlet.looks import Looks
from foreproof.gauntlet.permutation import Permutation, exchangeable, null_scores
from foreproof.gauntlet.probe import (
    coefficients,
    cutoffs_of,
    drawn,
    forward,
    forward_folds,
    frame_of,
    mixed_folds,
    panel_of,
    told,
)
from foreproof.gauntlet.safe_ablation import SafeAblation
from foreproof.gauntlet.scored import Score, placements, scored
from foreproof.gauntlet.shifted import curve
from foreproof.gauntlet.single_feature import SingleFeature
from foreproof.gauntlet.stability import Stability
from foreproof.gauntlet.statistical import STATISTICAL, names_for
from honest_pipelines import chance_trial, quantity_trial

KINDS: tuple[Kind, ...] = ("chance", "quantity")


@cache
def honest(kind: Kind) -> Trial:
    trial = chance_trial(5, accounts=220) if kind == "chance" else quantity_trial(5)
    return trial.with_build(remembered(trial.build))


def made(name: str) -> Check:
    return STATISTICAL[name](permutations=199) if name == "permutation" else STATISTICAL[name]()


@pytest.mark.parametrize(("kind", "name"), [(k, n) for k in KINDS for n in names_for(k, declared=True)])
def test_an_honest_pipeline_passes_and_the_planted_fault_is_caught(kind: Kind, name: str) -> None:
    verdict = proven(made(name), honest(kind))
    assert verdict.control_caught, verdict.words
    assert verdict.outcome == "passed", verdict.words
    assert verdict.tier == "statistical"
    assert verdict.name == name


@pytest.mark.parametrize("name", ["single feature", "stability", "base rate"])
def test_without_its_planted_fault_a_check_proves_nothing(name: str) -> None:
    class Blind:
        """The check with its fault cut out."""

        name = "blind"

        @property
        def control(self) -> object:
            return lambda trial: trial

        def __call__(self, trial: Trial) -> Verdict:
            return made(name)(trial)

    assert proven(Blind(), honest("chance")).outcome == "not proven"  # type: ignore[arg-type]


def test_the_feature_that_is_the_label_is_named() -> None:
    verdict = SingleFeature()(planted.copied(honest("chance")))
    assert verdict.outcome == "failed"
    assert verdict.evidence["feature"] == planted.PLANTED
    assert FeatureDrift()(planted.rescaled(honest("quantity"))).evidence["feature"] == planted.PLANTED
    assert Stability()(planted.turned(honest("quantity"))).evidence["feature"] == planted.PLANTED
    features = Adjacency()(planted.copied(honest("chance"))).evidence["features"]
    assert features[0]["feature"] == planted.PLANTED
    assert not features[0]["declared"]


def test_one_series_has_no_entities_to_draw_and_says_so() -> None:
    alone = replace(honest("quantity"), entity=())
    for check in (SingleFeature(), Permutation(), FeatureDrift(), Looks()):
        assert check(alone).outcome == "not applicable"


def test_a_feature_that_only_counts_time_has_not_drifted_and_one_that_jumps_has() -> None:
    whole = honest("quantity")

    def build(database: Database, cutoffs: Sequence[Moment], seed: int) -> Built:
        built = whole.build(database, cutoffs, seed)
        at = pl.col("cutoff").to_physical().cast(pl.Float64)
        # an age: as old as the clock says, and a few steps more or less by entity
        older = pl.col(whole.entity[0]).hash(7).mod(5).cast(pl.Float64)
        jump = pl.when(at == at.max()).then(at * 2.0 + older).otherwise(older)
        return replace(built, rows=built.rows.with_columns((at + older).alias("age"), jump.alias("jump")))

    verdict = FeatureDrift()(whole.with_build(build))
    assert "age" in verdict.evidence["calendar"]
    assert "jump" not in verdict.evidence["calendar"]
    assert verdict.evidence["feature"] == "jump"


def test_a_hold_out_without_rows_is_not_applicable_and_no_crash() -> None:
    whole = honest("quantity")

    def build(database: Database, cutoffs: Sequence[Moment], seed: int) -> Built:
        built = whole.build(database, cutoffs, seed)
        return replace(built, rows=built.rows.clear(), labels=built.labels.clear())

    for check in (FeatureDrift(), ExpectedRealised()):
        verdict = check(whole.with_build(build))
        assert (verdict.outcome, "0 entities" in verdict.words) == ("not applicable", True)


def test_a_look_ahead_of_two_weeks_is_a_cliff_at_two_weeks() -> None:
    verdict = Cliff()(planted.look_ahead(14)(honest("chance")))
    assert verdict.outcome == "failed"
    assert verdict.evidence["steps"] == 14


def test_rows_that_know_the_future_on_purpose_score_above_those_of_the_cutoff() -> None:
    scores = curve(honest("chance"), (0, -7, 7))
    assert scores[-7].value > scores[0].value > scores[7].value - 0.01


def test_a_safe_build_of_the_same_features_loses_nothing() -> None:
    trial = replace(honest("chance"), safe=honest("chance").build)
    verdict = SafeAblation()(trial)
    assert verdict.figure == 0.0
    assert verdict.evidence["loss"]["high"] == 0.0


def test_nothing_declared_few_entities_and_a_quantity_where_a_chance_is_wanted_prove_nothing() -> None:
    silent = replace(honest("chance"), nearness={})
    assert SafeAblation()(silent).outcome == Adjacency()(silent).outcome == "not applicable"
    assert "nearness" in SafeAblation()(silent).words
    assert Embargo()(honest("quantity")).outcome == "not applicable"
    few = quantity_trial(1, series=6)
    assert SingleFeature()(few).outcome == Permutation()(few).outcome == "not applicable"
    one = replace(honest("chance"), cutoffs=honest("chance").cutoffs[:1], build=_from(honest("chance")))
    assert SingleFeature()(one).outcome == "not applicable"


def _from(trial: Trial):
    """The pipeline without a history before its first cutoff."""

    def build(database: Database, cutoffs: Sequence[int], seed: int) -> Built:
        if min(cutoffs) < trial.cutoffs[0]:
            raise BadInput("history", found="nothing", wanted="something")
        return trial.build(database, cutoffs, seed)

    return build


def test_a_base_rate_out_of_bounds_fails_and_a_cutoff_without_labels_is_a_warning() -> None:
    assert BaseRate(high=0.001)(honest("chance")).outcome == "failed"
    later = replace(honest("chance"), cutoffs=(*honest("chance").cutoffs, 419))
    verdict = BaseRate()(later)
    assert verdict.outcome == "passed"
    assert "not judged" in verdict.warning


def test_a_gain_that_survives_one_look_need_not_survive_a_million() -> None:
    assert Looks()(honest("quantity")).outcome == "passed"
    p = Looks()(honest("quantity")).evidence["p_raw"]
    many = Looks(looks=int(0.06 / p) + 1)(honest("quantity"))
    assert many.outcome == "failed"
    assert "before the looks" in many.warning
    assert Looks(looks=0)(honest("chance")).outcome == "not applicable"


# One rate for a whole proof -------------------------------------------------------------------------------------------


def alarm(p: float | None, *, caught: bool = True, outcome: str = "passed") -> Verdict:
    return Verdict("x", outcome, p, 0.1, "words", tier="statistical", p=p, control_caught=caught)  # type: ignore[arg-type]


def test_alarms_fail_by_their_p_after_holm_and_by_nothing_else() -> None:
    exact = Verdict("rebuild", "failed", 1.0, 0.0, "a row", control_caught=True)
    claim = alarm(None, outcome="failed")
    done = finalised([exact, alarm(0.02), alarm(0.001), alarm(0.3, caught=False), claim, alarm(0.9)], alpha=0.05)
    assert [one.outcome for one in done] == ["failed", "passed", "failed", "not proven", "failed", "passed"]
    assert done[1].evidence["p_holm"] == pytest.approx(0.06)
    assert done[2].evidence["p_holm"] == pytest.approx(0.004)
    assert done[0] is exact
    assert done[4] is claim
    # Alone, a p of .02 is below 5%; among three others it was not.
    assert finalised([alarm(0.02)])[0].outcome == "failed"
    assert finalised([]) == []


@pytest.mark.parametrize("kind", KINDS)
def test_honest_pipelines_raise_no_alarm(kind: Kind) -> None:
    quick = [name for name in names_for(kind, declared=True) if name not in ("permutation", "cliff", "looks")]
    for seed in (11, 12, 13):
        trial = chance_trial(seed, accounts=80) if kind == "chance" else quantity_trial(seed, series=20)
        trial = trial.with_build(remembered(trial.build))
        verdicts = finalised([made(name)(trial) for name in quick])
        assert [one.words for one in verdicts if one.outcome == "failed"] == []


# The probe ------------------------------------------------------------------------------------------------------------


def test_no_fold_learns_from_a_label_that_had_not_settled() -> None:
    for kind in KINDS:
        panel = panel_of(honest(kind))
        for fold in forward_folds(panel):
            cutoff = panel.cutoffs[panel.time[fold.test[0]]]
            assert (panel.settled[fold.train] <= cutoff).all()
            assert (panel.time[fold.train] < panel.time[fold.test[0]]).all()


@pytest.mark.parametrize("kind", KINDS)
def test_mixed_folds_score_each_row_once_from_as_many_rows_of_other_entities_and_of_all_times(kind: Kind) -> None:
    panel = panel_of(honest(kind))
    ahead = forward_folds(panel)
    folds = mixed_folds(panel, ahead, seed=1)
    rows = np.sort(np.concatenate([fold.test for fold in ahead]))
    assert np.array_equal(np.sort(np.concatenate([fold.test for fold in folds])), rows)
    assert all(np.intersect1d(panel.entity[fold.train], panel.entity[fold.test]).size == 0 for fold in folds)
    most = {int(panel.time[fold.test[0]]): fold.train.size for fold in ahead}
    assert all(fold.train.size <= most[int(panel.time[fold.test[0]])] for fold in folds)
    assert any((panel.time[fold.train] > panel.time[fold.test[0]]).any() for fold in folds)


def test_events_of_a_handful_of_accounts_near_the_cutoff_are_not_judged() -> None:
    trial = honest("chance")
    few = trial.run().rows["a"].unique().sort()[:8]

    def build(database: Database, cutoffs: Sequence[Moment], seed: int) -> Built:
        built = trial.build(database, cutoffs, seed)
        later = built.labels["cutoff"].is_in(list(trial.cutoffs)).not_()
        # Where the labels are those of some steps later, everybody but a few has the same one: no event was near the cutoff.
        moved = built.labels.with_columns(
            pl.when(later & ~pl.col("a").is_in(few.implode())).then(1.0).otherwise(pl.col("y")).alias("y")
        )
        return replace(built, labels=moved, forecast=lambda: built.forecasts)

    verdict = Embargo()(trial.with_build(build))
    assert verdict.outcome == "not applicable"
    assert "at least 10 of each" in verdict.words


def test_a_score_that_rests_on_few_entities_is_less_sure() -> None:
    score = Score(0.2, np.array([0.03, -0.03, 0.02, -0.02] * 25) / 2)
    assert score.p_above(0.05, entities=100) == pytest.approx(score.p_above(0.05))
    assert score.p_above(0.05, entities=6) > score.p_above(0.05, entities=12) > score.p_above(0.05)


def test_earlier_cutoffs_are_built_where_none_had_settled() -> None:
    trial = honest("chance")
    near = replace(trial, cutoffs=(350, 357, 364))
    assert cutoffs_of(near)[-3:] == (350, 357, 364)
    assert cutoffs_of(near)[0] == 350 - 5 * 7
    assert cutoffs_of(trial) == trial.cutoffs


def test_row_order_changes_nothing_and_entities_are_drawn_whole() -> None:
    trial = honest("chance")

    def shuffled(database: Database, cutoffs: Sequence[int], seed: int) -> Built:
        built = trial.build(database, cutoffs, seed)
        return replace(
            built,
            rows=built.rows.sample(fraction=1.0, shuffle=True, seed=4),
            labels=built.labels.sample(fraction=1.0, shuffle=True, seed=5),
        )

    assert forward(panel_of(trial.with_build(shuffled))).value == forward(panel_of(trial)).value
    frame = frame_of(trial)
    part = drawn(frame, "a", most=1000, seed=3)
    assert 0 < part.height <= 1000
    assert part.join(frame, on="a", how="anti").height == 0
    assert frame.filter(pl.col("a").is_in(part["a"].unique().implode())).height == part.height
    assert panel_of(trial, frame, most=1000).whole == frame.height


def test_the_level_of_a_series_is_no_signal_and_its_later_rows_tell_its_early_ones_nothing() -> None:
    panel = panel_of(honest("quantity"))
    frame = frame_of(honest("quantity"))
    changed = frame.with_columns(
        pl.when(pl.col("cutoff") == frame["cutoff"].max()).then(0.0).otherwise("last").alias("last")
    )
    scaled = panel_of(
        honest("quantity"), frame.with_columns(pl.col("y", "last", "week", "mean", "season", "old") * 7.0)
    )
    assert np.allclose(panel.x, scaled.x)
    assert np.allclose(panel.y, scaled.y)
    sign = np.sign(panel_of(honest("quantity"), changed).x[:, 0]) * np.sign(panel.x[:, 0])
    assert (sign[panel.time == 0] >= 0).all()


def test_a_null_is_the_mean_beside_a_flag() -> None:
    panel = panel_of(honest("chance"))
    assert panel.owner.count("age") == 2
    value, flag = (panel.x[:, k] for k, name in enumerate(panel.owner) if name == "age")
    assert set(np.unique(np.round(flag[panel.time == 0], 9)).tolist()).__len__() == 2
    assert value.std() > 0


# Arithmetic against plain loops ---------------------------------------------------------------------------------------


def test_auc_and_its_influence_equal_pairs_counted_one_by_one() -> None:
    rng = np.random.default_rng(2)
    y = (rng.random(60) < 0.3).astype(float)
    said = np.round(rng.normal(size=60) + y, 1)
    entity, one = rng.integers(12, size=60), np.zeros(60, dtype=np.int64)
    score = scored("chance", y, said, entity=entity, stratum=one, entities=12)
    assert score.value == pytest.approx(naive_gauntlet.auc(y.tolist(), said.tolist(), [1.0] * 60))
    assert score.influence.sum() == pytest.approx(0.0, abs=1e-12)
    # The influence is the slope of the score in an entity's weight.
    for k in range(12):
        weight = np.where(entity == k, 1.0 + 1e-6, 1.0)
        slope = (naive_gauntlet.auc(y.tolist(), said.tolist(), weight.tolist()) - score.value) / 1e-6
        assert score.influence[k] == pytest.approx(slope, abs=1e-5)
    order = np.argsort(said, kind="stable")
    assert placements(y[order] > 0.5, said[order])[0] == pytest.approx(score.value)


def test_correlation_and_its_influence_equal_numpy_on_weighted_rows() -> None:
    rng = np.random.default_rng(3)
    y, entity = rng.normal(size=80), rng.integers(9, size=80)
    said = y + rng.normal(size=80)
    y, said = y - y.mean(), said - said.mean()
    score = scored("quantity", y, said, entity=entity, stratum=np.zeros(80, dtype=np.int64), entities=9)
    assert score.value == pytest.approx(np.corrcoef(y, said)[0, 1])
    for k in range(9):
        w = np.where(entity == k, 1.0 + 1e-6, 1.0)
        r = (w * y * said).sum() / np.sqrt((w * y * y).sum() * (w * said * said).sum())
        assert score.influence[k] == pytest.approx((r - score.value) / 1e-6, abs=1e-5)


def test_strata_are_scored_apart_so_a_busy_month_is_no_skill() -> None:
    y = np.array([0.0, 1, 1, 1, 0, 0, 0, 1])
    month = np.array([1, 1, 1, 1, 0, 0, 0, 0])
    said = month.astype(float)
    assert scored("chance", y, said, entity=np.arange(8), stratum=month, entities=8).value == 0.5
    assert scored("quantity", y, said, entity=np.arange(8), stratum=month, entities=8).value == 0.0
    with pytest.raises(BadInput, match="both outcomes"):
        scored("chance", np.zeros(8), said, entity=np.arange(8), stratum=month, entities=8)


def test_bands_hold_the_truth_as_often_as_they_say() -> None:
    rng = np.random.default_rng(8)
    held = 0
    for _ in range(200):
        level = np.repeat(rng.normal(size=40), 5)
        y = (rng.random(200) < 0.4).astype(float)
        said = level + rng.normal(size=200)
        entity = np.repeat(np.arange(40), 5)
        band = scored("chance", y, said, entity=entity, stratum=np.zeros(200, dtype=np.int64), entities=40).band()
        held += band.low <= 0.5 <= band.high
    assert 180 <= held <= 199


def test_p_is_students_tail_and_stretched_scales_keep_the_order() -> None:
    score = Score(0.7, np.linspace(-0.02, 0.02, 30))
    assert score.p_above(0.6) == pytest.approx(stats.t.sf((0.7 - 0.6) / score.error, 29), rel=1e-6)
    assert score.log_odds().value == pytest.approx(np.log(0.7 / 0.3))
    assert score.fisher().value == pytest.approx(np.arctanh(0.7))
    assert (score - score).p_above(0.0) == 1.0
    assert (score - score).p_above(-0.1) == 0.0


def test_coefficients_equal_the_augmented_least_squares() -> None:
    panel = panel_of(honest("quantity"))
    rows = np.arange(0, panel.y.size, 2)
    ours = coefficients(panel, rows, panel.y)
    theirs = naive_gauntlet.ridge(panel.x[rows], panel.y[rows] - panel.y[rows].mean(), 0.02)
    assert np.allclose(ours, theirs, atol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_a_permuted_score_is_that_of_a_refit_on_the_exchanged_labels(kind: Kind) -> None:
    trial = honest(kind)
    panel = panel_of(trial, most=1500)
    folds = forward_folds(panel)
    null, moved = null_scores(panel, trial.entity, folds, rounds=3, seed=9)
    assert moved == 1.0
    rng = np.random.default_rng(9)
    blocks = exchangeable(panel, trial.entity)
    for found in null:
        y = panel.y.copy()
        for block in blocks:
            y[block.ravel()] = panel.y[block[rng.permutation(block.shape[0])].ravel()]
        again = replace(panel, y=y)
        assert found == pytest.approx(again.score(told(again, folds)).value, abs=2e-3)


def test_exchanged_labels_stay_with_their_entity_cutoff_and_slot() -> None:
    trial = honest("chance")
    panel = panel_of(trial)
    blocks = exchangeable(panel, trial.entity)
    assert sum(block.size for block in blocks) == panel.y.size
    for block in blocks:
        rows = panel.index[block.ravel()].with_columns(
            pl.Series("row", np.repeat(np.arange(len(block)), block.shape[1]))
        )
        assert rows["cutoff"].n_unique() == 1
        assert (rows.group_by("row").agg(pl.col("a").n_unique())["a"] == 1).all()
        assert (rows.group_by("row").agg(pl.col("g").sort().str.join(",").alias("g"))["g"].n_unique()) == 1


def test_the_distance_of_two_samples_equals_scipys() -> None:
    rng = np.random.default_rng(4)
    values = np.round(rng.normal(size=300), 1)
    last = rng.random(300) < 0.3
    values[last] += 0.4
    score = ks(values, last, rng.integers(20, size=300), 20)
    assert score.value == pytest.approx(stats.ks_2samp(values[last], values[~last]).statistic)
    assert score.influence.sum() == pytest.approx(0.0, abs=1e-12)


def test_psi_equals_the_textbooks_sum() -> None:
    evidence = ExpectedRealised()(honest("chance"))
    bins = evidence.evidence["bins"]
    expected, realised = ([one[side] for one in bins] for side in ("expected", "realised"))
    assert evidence.figure == pytest.approx(naive_gauntlet.psi(expected, realised), rel=1e-6)


def test_late_rows_are_known_later_and_nothing_else_of_them_changes() -> None:
    late = delayed(honest("quantity").database, Grid("integer"), 3)["demand"].rows
    rows = honest("quantity").database["demand"].rows
    assert (late["_known"] - rows["_known"] == 3).all()
    assert late.drop("_known").equals(rows.drop("_known"))
    table = honest("quantity").database["demand"]
    ahead = Database({"plans": Table(replace(table.contract, ahead=True), rows)})
    assert delayed(ahead, Grid("integer"), 3)["plans"].rows.equals(rows)
    constant = Database({"c": Table(table.contract, rows.with_columns(pl.lit(BEGINNING).alias("_known")))})
    assert delayed(constant, Grid("integer"), 3)["c"].rows["_known"].unique().to_list() == [BEGINNING]
    day = parse_grid("1d", zone="Europe/Berlin")
    stamps = pl.Series("_known", ["2024-03-30T12:00:00"]).str.to_datetime("%FT%T", time_unit="us", time_zone="UTC")
    dated = Database({"d": Table(table.contract, pl.DataFrame({"_known": stamps, "_happened": stamps}))})
    moved = delayed(dated, day, 1)["d"].rows["_known"]
    # The clocks went forward on that night, so the next local day is 23 hours away.
    assert (moved - stamps).dt.total_hours().to_list() == [23]
    assert ArrivalLag(lags=(1,))(honest("quantity")).evidence["lag"] == 1


def test_the_p_of_a_coverage_is_where_its_exact_interval_lets_go() -> None:
    rng = np.random.default_rng(6)
    hits = (rng.random(200) < 0.82).astype(float)
    series = np.repeat(np.arange(40), 5)
    p = exact_p(hits, (series,), nominal=0.9)
    inside = coverage_interval(hits, clusters=(series,), confidence=1.0 - p * 0.99)
    outside = coverage_interval(hits, clusters=(series,), confidence=1.0 - p * 1.01)
    assert inside.low <= 0.9 <= inside.high
    assert not outside.low <= 0.9 <= outside.high
