"""A leak of the zoo that is planted into a plan turns the verdict red, and the verdict names the feature or the rule."""

from __future__ import annotations

import random as chance
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from project import PLAN, csv, make, manifests, rows
from typer.testing import CliRunner, Result

from foreproof.app.cli import app
from foreproof.app.progress import Silent
from foreproof.app.project import open_project
from foreproof.app.stages import Work, database_of
from foreproof.app.stages_pairs import pipeline
from foreproof.core.trial import Build, Kind, Verdict
from foreproof.core.view import Database
from foreproof.engine.build import builder
from foreproof.engine.pairs import pair_builder
from foreproof.engine.prove import prove, remembered
from foreproof.errors import BadInput, PlanError
from foreproof.gauntlet.leaks.zoo import Zoo, plantable

pytestmark = pytest.mark.e2e

SMALL = PLAN.replace("models: [seasonal_naive, theta]", "models: [seasonal_naive]").replace(
    "origins: 4, calibrations: 2", "origins: 2, calibrations: 1"
)
CHECKS = ("rebuild", "gap law", "duplicates")
PAIRS = """
schema: 1
name: calls
workload: propensity
seed: 3
sources:
  lines: {url: lines.csv}
tables:
  lines:
    key: [customer, kind, date]
    happened: date
    known: same_as_happened
    columns: {customer: text, kind: text, amount: {type: decimal, decimals: 2, low: 0}}
pairs: {table: lines, account: customer, group: kind, value: amount, active: 42, owned: 42}
horizon: 14
models: [logistic]
features: [{recency: log, of: lines}, {over: sum, window: [14, 42], of: lines.amount}]
backtest: {origins: 1, calibrations: 1, examples: 2}
"""
EXACT = ("gap law", "overlap", "intervals", "duplicates", "as logged", "same population", "rebuild")
"""The exact checks of which the zoo says one at least for each leak, the cheapest first."""
NAMED = {
    "random_folds": "examples had not settled",
    "no_purge": "examples had not settled",
    "entity_in_train_and_test": "are learned from and judged in one fold",
    "calibrated_on_the_test": "examples had not settled",
    "stacked_in_sample": "examples had not settled",
    "label_from_the_cutoff_day": "read the cutoff's own period",
    "duplicated_panel_rows": "counted twice: rows",
    "a_batch_loaded_twice": "counted twice: {facts}: versions that repeat the one before",
    "look_ahead_30_days": "activity_30: ",
    "look_ahead_7_days": "activity_7: ",
    "look_ahead_1_day": "activity_1: ",
    "look_ahead_hours": "today: ",
    "target_encoding_on_all_data": "group_rate: ",
    "target_encoding_in_sample": "entity_rate: ",
    "scaling_on_all_data": "scaled_activity: ",
    "affinity_on_all_data": "affinity: ",
    "later_returns_netted": "net_value: ",
    "centred_window": "rolling_7: ",
    "back_filled_gaps": "last_value: ",
    "late_corrections": "features at cutoff",
    "promotion_decided_later": "promotion_ahead: ",
    "target_by_another_name": "{facts}.outcome_code of {entity}",
    "restated_history": "{facts}.{measure} of {entity}",
    "dimension_of_today": "size: ",
    "tier_of_today": "tiers.tier of {entity}",
    "survivors_only": "the population at cutoff",
    "still_there": "the population at cutoff",
    "largest_of_all_time": "the population at cutoff",
    "ids_merged_later": "the log holds a row that the pipeline does not read",
    "late_rows_as_on_time": "by the log, since 2024-01-01 as the pipeline reads it",
}
"""What the verdict on each leak has to say: the planted feature, the column that is read, or the rule that is broken."""


def shop(folder: Path, plan: str = SMALL) -> Path:
    return make(folder, plan=plan, data=csv(rows(items=3, days=100)))


def proven(folder: Path, *words: str) -> Result:
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("FOREPROOF_WORKERS", "1")
        return CliRunner().invoke(app, ["prove", *words, "-C", str(folder)])


def verdicts(folder: Path) -> Mapping[str, Mapping[str, Any]]:
    (manifest,) = manifests(folder)
    return {one["name"]: one for one in manifest["verdicts"]}


def test_a_feature_that_knows_is_planted_by_the_plan_and_named_by_the_verdict(tmp_path: Path) -> None:
    lines = f"proof: {{plant: look_ahead_7_days, only: [{', '.join(CHECKS)}]}}\n"
    folder = shop(tmp_path / "shop", SMALL + lines)
    done = proven(folder)
    assert done.exit_code == 1, done.output
    found = verdicts(folder)
    assert [found[name]["outcome"] for name in CHECKS] == ["failed", "passed", "passed"]
    assert "activity_7" in found["rebuild"]["words"]
    (manifest,) = manifests(folder)
    assert (manifest["planted"], manifest["status"]) == ("look_ahead_7_days", "failed")


def test_a_rule_that_is_broken_is_planted_from_the_command_line(tmp_path: Path) -> None:
    folder = shop(tmp_path / "shop")
    done = proven(folder, "--plant", "no_purge", "--only", "gap law")
    assert done.exit_code == 1, done.output
    assert verdicts(folder)["gap law"]["outcome"] == "failed"
    assert "not settled" in verdicts(folder)["gap law"]["words"]


def test_a_leak_of_another_workload_is_refused_and_nothing_is_proven(tmp_path: Path) -> None:
    done = proven(shop(tmp_path / "shop"), "--plant", "adjusted_prices", "--only", "gap law")
    assert isinstance(done.exception, PlanError)
    assert "proof.plant" in str(done.exception)
    assert manifests(tmp_path / "shop") == []


# Every leak of the zoo ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Shop:
    """A small project that is loaded, with its pipeline; what is built of its own facts is built once."""

    plan: Any
    work: Work
    build: Build
    facts: Mapping[str, str]

    def planted(self, name: str, check: str) -> Verdict:
        plan = replace(self.plan, proof=replace(self.plan.proof, plant=name, only=(check,)))
        database = database_of(self.work)
        verdicts = prove(plan, database, self.work.origins, self.build, progress=Silent())
        return next(one for one in verdicts if one.name == check)


def opened(folder: Path, facts: Mapping[str, str]) -> Shop:
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("FOREPROOF_WORKERS", "1")
        work = Work(open_project(folder), Silent())
        for stage in ("check", "load", "features"):
            work = pipeline(work.project)[stage](work)
    propensity = work.project.plan.workload == "propensity"
    plan: Any = work.project.propensity if propensity else work.project.forecast
    made: Callable[..., Build] = pair_builder if propensity else builder
    whole = database_of(work)

    def own(database: Database) -> bool:
        return database is whole

    return Shop(plan, work, remembered(made(plan, work.bench), keeps=own), facts)


def uneven(items: int = 4, days: int = 100) -> list[tuple[str, date, int]]:
    """One item pauses for the week before a cutoff, and the smallest grows large in the last days: gaps and ranks that change."""
    start = date(2024, 1, 1)
    return [
        (item, day, 9000 if item == "item 0" and day > start + timedelta(days=92) else units)
        for item, day, units in rows(items=items, days=days)
        if not (item == "item 3" and 80 < (day - start).days < 93)
    ]


def calls(customers: int = 24, days: int = 120) -> Iterator[str]:
    """Customers with a rhythm of their own; some grow large after the cutoff."""
    drawn, start = chance.Random(5), date(2024, 1, 1)
    yield "customer,kind,date,amount"
    for c in range(customers):
        often = drawn.uniform(0.05, 0.3)
        for day in range(days):
            for kind in ("bread", "cheese"):
                if drawn.random() < often:
                    large = 50 if c < 6 and day > days - 14 else 1
                    yield f"c{c:02d},{kind},{start + timedelta(days=day)},{large * drawn.uniform(1, 20):.2f}"


@pytest.fixture(scope="module")
def shops(tmp_path_factory: pytest.TempPathFactory) -> Mapping[Kind, Shop]:
    folder = tmp_path_factory.mktemp("planted")
    goods = SMALL.replace("origins: 2", "origins: 1")
    make(folder / "goods", plan=goods, data=csv(uneven()))
    (folder / "calls").mkdir()
    (folder / "calls" / "foreproof.yaml").write_text(PAIRS, encoding="utf-8")
    (folder / "calls" / "lines.csv").write_text("\n".join(calls()) + "\n", encoding="utf-8")
    of_goods = {"facts": "sales", "measure": "units", "entity": "item"}
    of_calls = {"facts": "lines", "measure": "amount", "entity": "customer"}
    return {"quantity": opened(folder / "goods", of_goods), "chance": opened(folder / "calls", of_calls)}


KINDS: tuple[Kind, ...] = ("quantity", "chance")
CASES = [pytest.param(kind, leak, id=f"{kind}-{leak.name}") for kind in KINDS for leak in plantable(kind)]


@pytest.mark.parametrize(("kind", "leak"), CASES)
def test_every_leak_of_the_zoo_turns_the_verdict_red_and_is_named(
    shops: Mapping[Kind, Shop], kind: Kind, leak: Zoo
) -> None:
    shop = shops[kind]
    verdict = shop.planted(leak.name, next(name for name in EXACT if name in leak.expected))
    assert verdict.outcome == "failed", verdict.words
    assert NAMED[leak.name].format(**shop.facts) in verdict.words


def test_a_leak_that_leaks_nothing_on_the_data_is_refused_instead_of_passing(tmp_path: Path) -> None:
    shop = opened(make(tmp_path / "even", plan=SMALL, data=csv(rows(items=3, days=100))), {})
    with pytest.raises(BadInput, match="back_filled_gaps, which leaks nothing on these data"):
        shop.planted("back_filled_gaps", "rebuild")
