"""Every leak of the zoo is caught by a check that should catch it, or is listed as one that escapes."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import zoo_trials
from foreproof.core.trial import Kind, Trial
from foreproof.engine.audit import audit
from foreproof.engine.beside import beside
from foreproof.errors import BadInput
from foreproof.gauntlet.leaks.zoo import ZOO, Zoo, plantable, planted, zoo_leak
from foreproof.gauntlet.leaks.zoo_markets import LABELS, MARKETS, filled_at_next_close, honest
from foreproof.gauntlet.limits import Proof
from foreproof.gauntlet.registry import REGISTRY

KINDS: tuple[Kind, ...] = ("chance", "quantity")
STRUCTURAL = [
    name for name, one in REGISTRY.items() if one.tier == "structural" and name not in ("repetition", "serving")
]
CASES = [pytest.param(kind, leak, id=f"{kind}-{leak.name}") for kind in KINDS for leak in plantable(kind)]


def outcome(name: str, trial: Trial) -> str:
    return REGISTRY[name].make(Proof())(trial).outcome


@pytest.mark.parametrize("kind", KINDS)
def test_the_pipeline_that_leaks_are_planted_into_is_honest(kind: Kind) -> None:
    assert {name: outcome(name, zoo_trials.trial(kind)) for name in STRUCTURAL} == dict.fromkeys(STRUCTURAL, "passed")


@pytest.mark.parametrize(("kind", "leak"), CASES)
def test_a_leak_is_caught_by_a_check_that_should_catch_it(kind: Kind, leak: Zoo) -> None:
    spoiled = planted(leak.name, zoo_trials.trial(kind))
    exact = [name for name in leak.expected if name in STRUCTURAL]
    if exact:
        assert any(outcome(name, spoiled) == "failed" for name in exact)
    else:
        # listed as seen by statistics alone, or by nothing: an exact check that saw it would have to be named
        assert {name: outcome(name, spoiled) for name in STRUCTURAL} == dict.fromkeys(STRUCTURAL, "passed")


@pytest.mark.parametrize(
    "name", ["look_ahead_30_days", "target_by_another_name", "promotion_decided_later", "target_encoding_in_sample"]
)
@pytest.mark.parametrize("kind", KINDS)
def test_a_planted_column_knows_more_of_the_outcome_than_every_honest_one(kind: Kind, name: str) -> None:
    built = planted(name, zoo_trials.trial(kind)).run()
    y = built.rows.join(built.labels, on=[c for c in built.labels.columns if c in built.rows.columns])["y"]
    clean = [c for c in built.rows.columns if built.rows.schema[c] == pl.Float64]
    strength = [abs(float(np.corrcoef(built.rows[c].to_numpy(), y.to_numpy())[0, 1])) for c in clean]
    assert np.argmax(strength) == len(clean) - 1, dict(zip(clean, strength, strict=True))


def test_the_zoo_has_two_dozen_documented_leaks_of_three_families() -> None:
    assert len(ZOO) >= 24
    assert {leak.family for leak in ZOO.values()} == {
        "no clean split",
        "features that know",
        "wrong population or time",
    }
    assert {work for leak in ZOO.values() for work in leak.workloads} == {"forecast", "propensity", "market"}
    assert all(leak.words.endswith(".") and leak.source for leak in ZOO.values())
    assert all(re.fullmatch(r"[a-z0-9_]+", name) for name in ZOO)
    assert {name for name, leak in ZOO.items() if leak.plant is None} == set(MARKETS)
    page = (Path(__file__).parents[2] / "docs" / "zoo.md").read_text(encoding="utf-8")
    assert [name for name in ZOO if f"`{name}`" not in page] == []


def test_a_leak_that_is_unknown_or_of_another_workload_is_refused() -> None:
    with pytest.raises(BadInput, match="no leak 'nothing'"):
        zoo_leak("nothing")
    with pytest.raises(BadInput, match="a leak of market"):
        planted("adjusted_prices", zoo_trials.trial("chance"))


def test_the_honest_market_pipeline_passes_an_audit() -> None:
    judged = beside(honest, labels=filled_at_next_close)
    report = audit(judged, zoo_trials.market(), time="day", entity="symbol")
    assert report.ok, report.text
    assert [verdict.name for verdict in report.verdicts] == ["rebuild", "intervals", "duplicates"]


@pytest.mark.parametrize("name", MARKETS)
def test_a_leaky_market_pipeline_fails_an_audit_by_the_check_that_is_listed(name: str) -> None:
    judged = beside(MARKETS[name], labels=LABELS.get(name, filled_at_next_close))
    report = audit(
        judged, zoo_trials.market(), [zoo_trials.DAYS[75], zoo_trials.DAYS[120]], time="day", entity="symbol"
    )
    caught = [verdict.name for verdict in report.verdicts if verdict.outcome == "failed"]
    assert caught == list(ZOO[name].expected), report.text
