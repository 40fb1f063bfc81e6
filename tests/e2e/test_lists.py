"""A list under every limit through the installed program: whose accounts, past calls, candidates; and what cannot be listed."""

from __future__ import annotations

import re
from pathlib import Path

import polars as pl
import pytest
from test_propensity import PLAN, lines
from typer.testing import CliRunner

from foreproof.app.cli import app
from foreproof.app.progress import Silent
from foreproof.app.project import open_project
from foreproof.app.runner import Outcome, execute
from foreproof.errors import BadInput, PlanError

TABLES = """  calls: {url: calls.csv}
  staff: {url: staff.csv}
tables:
  calls:
    key: [customer, date]
    happened: {column: date, formats: ["%Y-%m-%d"]}
    known: same_as_happened
    zone: Europe/Paris
    columns: {customer: text}
  staff:
    key: [customer, segment]
    happened: {column: since, formats: ["%Y-%m-%d"]}
    known: same_as_happened
    zone: Europe/Paris
    columns: {customer: text, rep: text, region: text, segment: text}
"""
LIST = """accounts: {rep: staff.rep, region: staff.region, segment: staff.segment}
list:
  per_rep: 6
  cap: 0.5
  per_account: 1
  floors: {shop: 0.2}
  cool_down: 21
  contacts: {table: calls}
  candidates: {each: 2}
  scenarios: [0.05, 30]"""
SMALL = PLAN.replace("models: [logistic, boost]", "models: [logistic]")
LISTED = SMALL.replace("tables:\n", TABLES).replace("list: {top: 0.1, cap: 0.5, per_account: 1}", LIST)


def given(folder: Path, plan: str = LISTED, *, staff: str = "", sold: str = "") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "foreproof.yaml").write_text(plan, encoding="utf-8")
    (folder / "lines.csv").write_text(sold or "\n".join(lines()) + "\n", encoding="utf-8")
    late = "".join(f"c{c:03d},2024-0{1 + c % 7}-{1 + c % 28:02d}\n" for c in range(0, 150, 2))
    (folder / "calls.csv").write_text("customer,date\n" + late, encoding="utf-8")
    rows = "".join(
        f"c{c:03d},2024-01-01,r{c % 4},{'north' if c % 10 else 'south'},{'shop' if c % 3 else 'home'}\n"
        for c in range(150)
    )
    (folder / "staff.csv").write_text("customer,since,rep,region,segment\n" + rows + staff, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    folder = given(tmp_path_factory.mktemp("shop"))
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("FOREPROOF_WORKERS", "1")
        return execute(open_project(folder), progress=Silent())


def table(outcome: Outcome, name: str) -> pl.DataFrame:
    return pl.read_parquet(outcome.folder / "tables" / f"{name}.parquet")


def test_a_list_keeps_every_limit_and_says_what_it_is_ranked_by(outcome: Outcome) -> None:
    assert outcome.error is None
    listed = table(outcome, "list")
    assert listed["rep"].value_counts()["count"].max() <= 6
    assert listed["customer"].is_unique().all()
    assert (listed["contacted"].fill_null(99.0) >= 21.0).all()
    assert (listed["found_by"] != "").all()
    assert (listed["segment"] == "shop").sum() >= 0.2 * listed.height
    assert listed["ranked_by"].unique().to_list() == ["value"]
    prices = table(outcome, "list_prices")
    assert {"cool-down", "candidates", "per account", "rep r0", "floor shop"} <= set(prices["limit"])
    balance = table(outcome, "list_balance")
    assert set(balance["dimension"]) == {"rep", "region", "segment"}
    assert balance.filter(pl.col("dimension") == "region").filter(pl.col("name") == "north")["warning"][0] == ""
    assert set(table(outcome, "list_replay")["who"]) >= {"foreproof", "recency", "popularity", "last list"}
    scenarios = table(outcome, "list_scenarios").filter(pl.col("kind") == "all")
    assert scenarios["scenario"].unique().sort().to_list() == ["30 pairs", "5%"]
    assert table(outcome, "list_thresholds")["stands"][-1] in ("inside", "outside")
    assert table(outcome, "list_gains")["segment"].unique().sort().to_list() == ["home", "shop"]
    assert (outcome.folder / "tables" / "list.csv").exists()
    page = outcome.page.read_text(encoding="utf-8")
    for words in ("Ranked by expected value", "days since contact", "found by", "share of accounts"):
        assert words in page


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("per_rep: 6", "per_rep: 0", r"list\.per_rep: 0"),
        ("per_rep: 6", "count: 0", r"list\.count: 0"),
        ("cap: 0.5", "caps: {zebra: 0.5}", r"list\.caps\.zebra"),
        ("floors: {shop: 0.2}", "floors: {zebra: 0.2}", "segment zebra"),
        ("floors: {shop: 0.2}", "floors: {shop: 1.0}\n  hybrid: {home: 5}", "one of top, count"),
        ("per_rep: 6", "hybrid: {home: 9, shop: 1}", "cannot be met together: .*(hybrid shop|floor shop)"),
    ],
)
def test_limits_that_cannot_be_kept_are_refused_before_anything_is_fitted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: str, new: str, words: str
) -> None:
    monkeypatch.setenv("FOREPROOF_WORKERS", "1")
    folder = given(tmp_path / "p", LISTED.replace(old, new))
    result = CliRunner().invoke(app, ["features", "-C", str(folder)])
    refused = isinstance(result.exception, PlanError)
    told = " ".join((str(result.exception) if refused else result.output).split())
    assert refused or result.exit_code == 2
    assert re.search(words, told), told
    assert not list(folder.glob("runs/*/tables/list*"))


def test_a_customer_in_two_segments_at_once_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOREPROOF_WORKERS", "1")
    folder = given(tmp_path / "p", staff="c003,2024-01-01,r1,north,shop\n")
    outcome = execute(open_project(folder), progress=Silent(), until="features")
    assert outcome.run.status == "refused"
    assert isinstance(outcome.error, BadInput)
    assert "customer c003: in reps r1, r3 at once" in str(outcome.error)
    assert not list(folder.glob("runs/*/tables/chances*"))


@pytest.mark.parametrize(
    ("sold", "words"),
    [
        (
            "".join(f"c001,bread,2024-{1 + i // 28:02d}-{1 + i % 28:02d},1.00\n" for i in range(150)),
            "whitespace|positive",
        ),
        (
            "".join(f"c{c:03d},{k},2024-01-{1 + c % 28:02d},1.00\n" for c in range(60) for k in ("bread", "dill"))
            + "c000,bread,2024-06-20,1.00\nc001,dill,2024-06-21,1.00\n",
            "positive|buyer|population",
        ),
    ],
    ids=["one customer", "labels that are all negative"],
)
def test_nothing_to_learn_from_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sold: str, words: str
) -> None:
    monkeypatch.setenv("FOREPROOF_WORKERS", "1")
    folder = given(tmp_path / "p", SMALL, sold="customer,kind,date,amount\n" + sold)
    outcome = execute(open_project(folder), progress=Silent())
    assert outcome.run.status == "refused"
    assert outcome.error is not None
    assert outcome.error.exit_code == 2
    assert any(word in str(outcome.error) for word in words.split("|")), str(outcome.error)
    assert not list(folder.glob("runs/*/tables/list*"))
