"""Product groups by rules, through the installed program: a run, its table, and what is refused before anything is written."""

from __future__ import annotations

import json
import random as chance
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal
from shop import exit_code

from foreproof.app.keeping import keep_rows
from foreproof.app.progress import Silent
from foreproof.app.project import open_project
from foreproof.app.runner import Outcome, execute

PLAN = """
schema: 1
name: shop calls
workload: propensity
seed: 3
sources:
  lines: {url: lines.csv}
  rules: {url: rules.csv}
  customers: {url: customers.csv}
tables:
  lines:
    known: same_as_happened
    happened: {column: date, formats: ["%Y-%m-%d"]}
    zone: Europe/Paris
    columns:
      customer: text
      sku: text
      amount: {type: decimal, decimals: 2, low: 0, unit: euros}
  customers:
    key: [customer, since]
    happened: {column: since, formats: ["%Y-%m-%d"]}
    known: {column: seen, formats: ["%Y-%m-%d"]}
    zone: Europe/Paris
    columns: {customer: text, region: text}
  rules:
    key: [sku, pattern, since]
    ahead: true
    happened: {column: since, formats: ["%Y-%m-%d"]}
    known: {column: seen, formats: ["%Y-%m-%d"]}
    zone: Europe/Paris
    columns:
      sku: {type: text, nullable: true}
      pattern: {type: text, nullable: true}
      kind: text
pairs:
  table: lines
  account: customer
  value: amount
  active: 42
  owned: 42
  groups: [fruit, bread, cheese]
  group: {table: rules, item: sku, group: kind, expected: {fruit: {items: [2, 2]}, cheese: {share: [0.05, 0.9]}}}
horizon: 14
models: [logistic]
features:
  - {over: [count], of: lines, window: [14, 42]}
  - {recency: log, of: lines, along: [customer]}
  - {static: customers.region}
backtest: {origins: 2, calibrations: 2, examples: 2}
list: {top: 0.1}
proof: {calibration: 0.2}
keep: [features, chances]
"""
RULES = """sku,pattern,kind,since,seen
,apple*,fruit,2024-01-01,2023-12-01
,bread*,bread,2024-01-01,2023-12-01
cheese,,cheese,2024-01-01,2023-12-01
apple pie,,bread,2024-05-01,2024-04-20
"""
MOVES = 7
"""Each so manyth customer moves south in April, and every second of those is seen to have moved only in July."""
SKUS = ("apple red", "apple pie", "bread", "cheese")


def lines(customers: int = 80, days: int = 170) -> Iterator[str]:
    drawn, start = chance.Random(5), date(2024, 1, 1)
    yield "customer,sku,date,amount"
    for c in range(customers):
        often, taste = drawn.uniform(0.03, 0.25), [drawn.random() ** 2 for _ in SKUS]
        for day in range(days):
            if drawn.random() < often:
                for sku, like in zip(SKUS, taste, strict=True):
                    if drawn.random() < like:
                        yield f"c{c:03d},{sku},{start + timedelta(days=day)},{drawn.uniform(1, 20):.2f}"


def moves(customers: int = 80) -> str:
    rows = [f"c{c:03d},north,2023-12-01,2023-12-01" for c in range(customers)]
    rows += [f"c{c:03d},south,2024-04-01,2024-0{7 if c % 2 else 4}-02" for c in range(0, customers, MOVES)]
    return "customer,region,since,seen\n" + "\n".join(rows) + "\n"


def given(folder: Path, *, plan: str = PLAN, rules: str = RULES) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "foreproof.yaml").write_text(plan, encoding="utf-8")
    (folder / "lines.csv").write_text("\n".join(lines()) + "\n", encoding="utf-8")
    (folder / "rules.csv").write_text(rules, encoding="utf-8")
    (folder / "customers.csv").write_text(moves(), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    folder = given(tmp_path_factory.mktemp("shop"))
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("FOREPROOF_WORKERS", "1")
        return execute(open_project(folder), progress=Silent())


def test_a_run_groups_purchases_by_the_rules_of_their_time(outcome: Outcome) -> None:
    assert outcome.error is None, outcome.error
    chances = pl.read_parquet(outcome.folder / "tables" / "chances.parquet")
    assert set(chances["kind"]) == {"fruit", "bread", "cheese"}
    groups = pl.read_parquet(outcome.folder / "tables" / "mapping.parquet")
    sold = pl.read_csv(outcome.folder.parents[1] / "lines.csv").filter(pl.col("date") <= outcome.run.cutoff[:10])
    pie = (pl.col("sku") == "apple pie") & (pl.col("date") >= "2024-05-01")
    bread = sold.filter(pie | (pl.col("sku") == "bread"))
    found = groups.filter(pl.col("group") == "bread").row(0, named=True)
    assert (found["items"], found["rows"]) == (2, bread.height)
    assert found["value"] == pytest.approx(bread["amount"].sum())
    assert groups["share"].sum() == pytest.approx(1.0)
    assert groups.filter(pl.col("group") == "(unmapped)")["rows"].item() == 0
    assert groups.filter(pl.col("group") == "fruit")["expected"].item() == "2 to 2 items"
    assert "Product groups" in outcome.page.read_text(encoding="utf-8")


def test_a_slowly_changing_customer_is_what_it_was_known_to_be(outcome: Outcome) -> None:
    made = pl.read_parquet(outcome.folder / "tables" / "features.parquet")
    number = pl.col("customer").str.slice(1).cast(pl.Int64)
    south = made.filter(pl.col("static_customers_region") == "south").select(number.unique().sort()).to_series()
    asked = set(made.select(number).to_series())
    assert south.to_list() == [c for c in range(0, 80, MOVES) if c % 2 == 0 and c in asked]
    assert set(made["static_customers_region"]) == {"north", "south"}


def test_the_gauntlet_holds_with_rules(outcome: Outcome) -> None:
    verdicts = {v.name: (v.outcome, v.control_caught) for v in outcome.run.verdicts}
    for name in ("rebuild", "gap law", "duplicates"):
        assert verdicts[name] == ("passed", True)


def test_loaded_rules_are_checked_and_told(
    outcome: Outcome, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = str(outcome.folder.parents[1])
    assert exit_code(monkeypatch, "mapping", "check", "-C", folder) == 0
    told = capsys.readouterr().out
    assert "cheese" in told and "(unmapped)" in told


def test_what_a_plan_keeps_can_be_asked_and_a_second_run_adds_nothing(
    outcome: Outcome, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    project = open_project(outcome.folder.parents[1])
    made = pl.read_parquet(outcome.folder / "tables" / "features.parquet")
    kept = pl.from_arrow(project.shelf.dataset("features").to_table())
    assert isinstance(kept, pl.DataFrame)
    last = kept.filter(pl.col("cutoff") == made["cutoff"][0]).drop("_plan", "_data")
    assert_frame_equal(last.sort("customer", "kind"), made.select(last.columns).sort("customer", "kind"))
    assert kept["cutoff"].n_unique() == 3 and kept.select("cutoff", "customer", "kind").is_unique().all()
    assert keep_rows(outcome.work) == {"features": 0, "chances": 0}
    other = project.shelf.keep("features", outcome.work.final.rows, plan=project.plan.digest, data="other")  # type: ignore[union-attr]
    assert other == made.height, "other data are other rows"
    ask = "SELECT count(DISTINCT cutoff) AS n, count(*) AS m FROM features JOIN chances USING (customer, kind, cutoff)"
    assert exit_code(monkeypatch, "sql", ask, "-C", str(project.folder)) == 0
    assert f"{kept.height + made.height}" in capsys.readouterr().out
    early = kept["cutoff"].min()
    assert exit_code(monkeypatch, "sql", ask, "--as-of", f"{early:%Y-%m-%d}", "-C", str(project.folder)) == 0
    assert f"{kept.filter(pl.col('cutoff') == early).height}" in capsys.readouterr().out
    assert exit_code(monkeypatch, "sql", "SELECT p FROM chances WHERE p > 1", "-C", str(project.folder)) == 0


def test_features_are_listed_and_written_without_a_run(
    outcome: Outcome, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    folder = str(outcome.folder.parents[1])
    assert exit_code(monkeypatch, "features", "--list", "-C", folder) == 0
    assert "count_14_of_lines (events; window 14, lag 0, nearest 0): rows of lines" in " ".join(
        capsys.readouterr().out.split()
    )
    assert exit_code(monkeypatch, "features", "--write", str(tmp_path / "features.yaml"), "-C", folder) == 0
    named = given(
        tmp_path, plan=PLAN[: PLAN.index("features:")] + "features: features.yaml\n" + PLAN[PLAN.index("backtest:") :]
    )
    assert open_project(named).propensity.features == open_project(Path(folder)).propensity.features
    assert not (tmp_path / ".foreproof").exists()


def test_one_batch_of_rules_more_changes_later_cutoffs_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rule that is learned of late re-maps the past for who knows it, and for nobody before."""
    project = open_project(given(tmp_path / "p"))
    assert exit_code(monkeypatch, "load", "-C", str(project.folder)) == 0
    before = project.database()["lines"]
    late = RULES + ",apple r*,bread,2024-01-01,2024-06-01\n"
    (project.folder / "rules.csv").write_text(late, encoding="utf-8")
    plan = PLAN.replace("items: [2, 2]", "items: [1, 1]")
    (project.folder / "foreproof.yaml").write_text(plan, encoding="utf-8")
    project = open_project(project.folder)
    assert exit_code(monkeypatch, "load", "-C", str(project.folder)) == 0
    after = project.database()["lines"]
    loaded = project.lake.batches("rules")["loaded_at"].max()
    cut = project.settings.now()
    red = pl.col("sku") == "apple red"
    assert loaded is not None and cut >= loaded
    assert set(after.as_of(cut).filter(red)["kind"]) == {"bread"}
    early = before.rows["_known"][before.rows.height // 3]
    assert set(after.as_of(early).filter(red)["kind"]) == {"fruit"}
    assert_frame_equal(after.as_of(early), before.as_of(early), check_row_order=False, check_exact=True)


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        (RULES.replace("cheese,,cheese", "cheese,,chesse"), "unknown group"),
        (RULES + ",*red,bread,2024-01-01,2023-12-01\n".replace("*red", "*e red"), "overlap"),
        (RULES.replace("cheese,,cheese,2024-01-01", "cheese,,cheese,2024-02-01"), "gap"),
        (RULES.replace(",bread*", "bread,bread*"), "unusable rule"),
        (RULES + "apple red,,cheese,2024-01-01,2023-12-01\n", "expected"),
        (RULES.replace("2024-05-01", "1st of May"), "since"),
        ("sku,pattern,kind,since,seen\n", "no rows"),
        ("", "rules.csv"),
    ],
    ids=["unknown group", "overlap", "gap", "unusable", "expected", "date", "no rules", "empty file"],
)
def test_rules_that_do_not_hold_stop_a_run_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], rules: str, words: str
) -> None:
    folder = given(tmp_path / "p", rules=rules)
    assert exit_code(monkeypatch, "run", "-C", str(folder)) == 2
    assert words in capsys.readouterr().err
    assert open_project(folder).lake.version("lines") is None
    report = next(folder.glob("runs/*/preflight.json"))
    assert json.loads(report.read_text(encoding="utf-8"))["counts"]["error"] > 0


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("{table: rules,", "{table: nowhere,", "pairs.group.table"),
        ("{table: rules,", "{table: lines,", "pairs.group.table"),
        ("item: sku", "item: article", "article"),
        ("group: kind,", "group: amount,", "a free name"),
        ("group: kind,", "group: kind, names: [fruit, cheese],", "pairs.group.names"),
        ("expected: {fruit", "expected: {furit", "furit"),
        ("item: sku", "item: sku, surprise: 1", "surprise"),
    ],
)
def test_a_plan_of_rules_that_cannot_be_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], old: str, new: str, words: str
) -> None:
    folder = given(tmp_path / "p", plan=PLAN.replace(old, new))
    assert exit_code(monkeypatch, "check", "-C", str(folder)) == 2
    assert words in capsys.readouterr().err
