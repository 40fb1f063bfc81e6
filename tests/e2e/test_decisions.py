"""Orders with lead time, review and stock carried over, through the installed program."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import project
import pytest
from typer.testing import CliRunner

from foreproof.app.cli import app
from foreproof.app.progress import Silent
from foreproof.app.project import open_project
from foreproof.app.runner import execute
from foreproof.errors import BadInput, ForeproofError, PlanError

STOCK = """
  stock:
    key: [item, date]
    happened: {column: date, formats: ["%Y-%m-%d"]}
    known: same_as_happened
    zone: Europe/Paris
    columns:
      item: text
      on_hand: {type: decimal, decimals: 0, low: 0}
      margin: {type: real, low: 0}
series:"""
DECISION = (
    "decision: {policy: base_stock, lead: 2, review: 3, short: margin, holding: 0.05, over: 0.2, stock: stock, "
    "capacity: {total: 60}, currency: euros}"
)


def plan(decision: str = DECISION) -> str:
    text = project.PLAN.replace("\nseries:", STOCK, 1).replace(
        "  sales: {url: sales.csv}", "  sales: {url: sales.csv}\n  stock: {url: stock.csv}"
    )
    return "\n".join(line if not line.startswith("decision:") else decision for line in text.splitlines()) + "\n"


def given(folder: Path, text: str) -> Path:
    made = project.make(folder, plan=text)
    lines = [f"item {i},2024-05-01,{10 * i},{1.0 + i}" for i in range(5)]
    (made / "stock.csv").write_text("item,date,on_hand,margin\n" + "\n".join(lines) + "\n", encoding="utf-8")
    return made


def test_stock_policies_replay_voi_and_a_ranked_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOREPROOF_WORKERS", "1")
    folder = given(tmp_path / "p", plan())
    outcome = execute(open_project(folder), progress=Silent())
    assert outcome.error is None
    tables = {path.stem: pl.read_parquet(path) for path in (outcome.folder / "tables").glob("*.parquet")}
    orders = tables["orders"]
    assert orders.height == 5
    assert orders["because"].str.contains("lead 2, review 3").all()
    assert {"voi", "order_ranking", "cost_curve", "replay_stock", "replay_stock_totals"} <= set(tables)
    assert "replay" not in tables
    # Four origins, seven steps apart: 28 steps of each item.
    assert tables["replay_stock"].height == 5 * 28
    assert tables["replay_stock_totals"]["who"].to_list() == ["baseline", "ours"]
    best = tables["cost_curve"].filter(pl.col("recommended"))
    assert best.height == 5
    text = outcome.page.read_text(encoding="utf-8")
    assert "Which units first" in text
    assert "perfect information would save" in text
    run = CliRunner().invoke
    told = run(app, ["voi", "-C", str(folder)], catch_exceptions=False)
    assert "perfect information would save" in " ".join(told.output.split())
    spent = run(app, ["spend", "40", "-C", str(folder)], catch_exceptions=False)
    assert "one more unit of the budget would save" in spent.output
    assert isinstance(run(app, ["spend", "0", "-C", str(folder)]).exception, BadInput)
    assert isinstance(run(app, ["voi", "none", "-C", str(folder)]).exception, BadInput)


def test_a_service_level_without_costs_says_nothing_in_money(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOREPROOF_WORKERS", "1")
    folder = given(tmp_path / "p", plan("decision: {policy: base_stock, lead: 2, review: 3, service: {fill: 0.95}}"))
    outcome = execute(open_project(folder), progress=Silent())
    assert outcome.error is None
    names = {path.stem for path in (outcome.folder / "tables").glob("*.parquet")}
    assert {"orders", "replay_stock"} <= names
    assert not names & {"voi", "order_ranking", "cost_curve"}
    text = outcome.page.read_text(encoding="utf-8")
    assert "A share of 0.95 of demand is met from stock" in text
    assert "nothing here is in money" in text
    missing = CliRunner().invoke(app, ["voi", "-C", str(folder)])
    assert isinstance(missing.exception, BadInput)


def test_costs_by_column_judge_items_that_lead_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOREPROOF_WORKERS", "1")
    text = plan("decision: {cover: 7, short: margin, over: 0.5, stock: stock}")
    folder = given(tmp_path / "p", text.replace("gap: zero}", "gap: zero, top: {count: 2}}"))
    # item 0 sells most until it stops, three weeks before the end; item 3 overtakes it in the last week
    last = max(day for _, day, _ in project.rows())
    sold = [
        (
            item,
            day,
            400 if item == "item 0" and (last - day).days > 20 else units * (300 if (last - day).days < 7 else 1),
        )
        for item, day, units in project.rows()
        if item != "item 0" or (last - day).days > 20
    ]
    (folder / "sales.csv").write_text(project.csv(sold), encoding="utf-8")
    outcome = execute(open_project(folder), progress=Silent())
    assert outcome.error is None
    tables = {path.stem: pl.read_parquet(path) for path in (outcome.folder / "tables").glob("*.parquet")}
    now, then = set(tables["orders"]["item"]), set(tables["replay"]["item"])
    assert then - now, "the leaders changed"
    assert tables["replay_stock"].height


@pytest.mark.parametrize(
    ("decision", "words"),
    [
        ("decision: {policy: base_stock, service: {cycle: 0.9}, capacity: {total: 5}}", "decision.capacity"),
        ("decision: {policy: base_stock, lead: 5, review: 3, short: 2.0, over: 1.0}", "at most the horizon"),
        ("decision: {cover: 9, short: 2.0, over: 1.0}", "at most the horizon"),
        ("decision: {short: -2.0, over: 1.0}", "decision.short"),
        ("decision: {short: 0.0, over: 0.0}", "every order is as good"),
        ("decision: {policy: base_stock, short: 0.0, over: 1.0}", "service level"),
        ("decision: {short: 2.0, over: 1.0, capacity: {total: 0}}", "capacity"),
        ("decision: {short: 2.0, over: 1.0, capacity: {total: 5, per: 0}}", "capacity.per"),
        ("decision: {short: 2.0, over: 1.0, stock: nowhere}", "decision.stock"),
        ("decision: {short: 2.0, over: 1.0, stock: sales}", "without on_hand"),
        ("decision: {short: margin, over: 1.0}", "decision.short"),
        ("decision: {short: weight, over: 1.0, stock: stock}", "margin"),
        ("decision: {policy: base_stock, service: {fill: 1.2}}", "fill"),
        ("decision: {policy: base_stock, lead: -1, short: 2.0, over: 1.0}", "lead"),
        ("decision: {short: 2.0, over: 1.0, order_cost: 5.0}", "order_cost"),
        ("decision: {policy: just_in_time, short: 2.0, over: 1.0}", "one of newsvendor"),
    ],
)
def test_a_decision_that_makes_no_sense_is_refused_before_anything_is_read(
    tmp_path: Path, decision: str, words: str
) -> None:
    folder = given(tmp_path / "p", plan(decision))
    with pytest.raises(ForeproofError, match=words) as refused:
        open_project(folder).forecast  # noqa: B018 - parsing is what is tried
    assert refused.value.exit_code == 2
    assert isinstance(refused.value, PlanError | BadInput)
    assert not (folder / ".foreproof").exists()


def test_costs_by_item_reach_the_newsvendor_and_its_replay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOREPROOF_WORKERS", "1")
    folder = given(tmp_path / "p", plan("decision: {cover: 7, short: margin, over: 1.0, stock: stock}"))
    outcome = execute(open_project(folder), progress=Silent())
    assert outcome.error is None
    assert outcome.work.decisions is not None
    ratios = outcome.work.decisions.rows.sort("item")["ratio"].to_list()
    assert ratios == pytest.approx([(1 + i) / (2 + i) for i in range(5)])
    assert outcome.work.replayed is not None
    assert outcome.work.replayed.rows.height == 5 * 4
