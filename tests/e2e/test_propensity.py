"""A propensity through the installed program: a plan from a file, a list with its page, and what is refused."""

from __future__ import annotations

import json
import random as chance
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from foreproof.app.cards import read_cards
from foreproof.app.cli import app
from foreproof.app.progress import Silent
from foreproof.app.project import open_project
from foreproof.app.runner import Outcome, execute
from foreproof.errors import BadInput, ForeproofError, LawError
from foreproof.gauntlet.registry import names_of

GROUPS = ("apples", "bread", "cheese", "dill")
PLAN = """
schema: 1
name: shop calls
workload: propensity
seed: 3
sources:
  lines: {url: lines.csv}
tables:
  lines:
    key: [customer, kind, date]
    happened: {column: date, formats: ["%Y-%m-%d"]}
    known: same_as_happened
    zone: Europe/Paris
    columns:
      customer: text
      kind: text
      amount: {type: decimal, decimals: 2, low: 0, unit: euros}
pairs: {table: lines, account: customer, group: kind, value: amount, active: 42, owned: 42}
horizon: 14
models: [logistic, boost]
backtest: {origins: 2, calibrations: 3, examples: 3}
worth: {margin: 0.5, currency: euros}
list: {top: 0.1, cap: 0.5, per_account: 1}
proof: {calibration: 0.08}
challenger: {models: [logistic]}
folds: {count: 3}
"""


def lines(customers: int = 150, days: int = 190) -> Iterator[str]:
    """Customers with tastes and a rhythm of their own; bread sells together with cheese."""
    drawn = chance.Random(5)
    start = date(2024, 1, 1)
    yield "customer,kind,date,amount"
    for c in range(customers):
        often, taste = drawn.uniform(0.02, 0.25), [drawn.random() ** 2 for _ in GROUPS]
        for day in range(days):
            if drawn.random() < often:
                for g, kind in enumerate(GROUPS):
                    if drawn.random() < taste[g] * (1.5 if kind == "cheese" else 1.0):
                        yield f"c{c:03d},{kind},{start + timedelta(days=day)},{drawn.uniform(1, 20):.2f}"


def given(folder: Path, plan: str = PLAN) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "foreproof.yaml").write_text(plan, encoding="utf-8")
    (folder / "lines.csv").write_text("\n".join(lines()) + "\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    folder = given(tmp_path_factory.mktemp("shop"))
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("FOREPROOF_WORKERS", "1")
        return execute(open_project(folder), progress=Silent())


def table(outcome: Outcome, name: str) -> pl.DataFrame:
    return pl.read_parquet(outcome.folder / "tables" / f"{name}.parquet")


def test_a_run_ends_with_a_list_its_reasons_and_its_proof(outcome: Outcome) -> None:
    assert outcome.error is None
    assert [v.name for v in outcome.run.verdicts] == list(names_of("chance"))
    applied = {v.name: v.control_caught for v in outcome.run.verdicts if v.outcome != "not applicable"}
    assert set(applied.values()) == {True}
    assert set(names_of("chance", "structural")) <= set(applied)
    listed = table(outcome, "list")
    assert listed["rank"].to_list() == list(range(1, listed.height + 1))
    assert listed["customer"].is_unique().all()
    assert listed["kind"].value_counts()["count"].max() <= 0.5 * listed.height + 1
    assert listed["because"].str.contains("expected").all()
    chances = table(outcome, "chances")
    assert chances["p"].is_between(0, 1).all()
    assert set(chances["segment"]) == {"repeat", "whitespace"}
    text = outcome.page.read_text(encoding="utf-8")
    for words in (
        "Whom to call",
        "What the limits cost",
        "Past lists and others",
        "Longer or shorter?",
        "Said against seen",
    ):
        assert words in text


def test_only_pairs_that_never_bought_are_listed(outcome: Outcome) -> None:
    listed = table(outcome, "list")
    kinds = table(outcome, "chances").filter(pl.col("segment") == "repeat", pl.col("cutoff") == listed["cutoff"][0])
    assert listed.join(kinds, on=["customer", "kind"], how="semi").is_empty()


def test_the_model_finds_more_than_the_base_rate(outcome: Outcome) -> None:
    scores = table(outcome, "pair_scores").filter(pl.col("cutoff") == "all", pl.col("metric") == "log_loss")
    value = {(s, w): v for s, w, v in scores.select("segment", "who", "value").iter_rows()}
    assert value["pooled", "foreproof"] < value["pooled", "base"]


def test_every_group_has_a_card_whose_figures_are_those_of_the_chances(outcome: Outcome) -> None:
    cards = {card["group"]: card for card in read_cards(outcome.folder)}
    assert set(cards) == {"", *GROUPS}
    scores = table(outcome, "pair_scores").filter(
        pl.col("cutoff") == "all", pl.col("segment") == "whitespace", pl.col("who") == "foreproof"
    )
    value = dict(scores.select("metric", "value").iter_rows())
    figures = {one["name"]: one for one in cards[""]["figures"]}
    for metric in ("auc", "capture10", "brier", "calibration_mae"):
        assert figures[metric]["value"] == pytest.approx(value[metric], abs=1e-9), metric
    base = {name: next(one for one in card["figures"] if one["name"] == "base rate") for name, card in cards.items()}
    assert sum(base[group]["n"] for group in GROUPS) == base[""]["n"]
    top = cards[""]["tables"]["top of the list"]
    assert [row["share"] for row in top] == [0.01, 0.05, 0.1]
    assert top[0]["threshold"] >= top[1]["threshold"] >= top[2]["threshold"]


def test_a_card_says_what_its_group_believes_how_near_it_reads_and_who_is_listed(outcome: Outcome) -> None:
    cards = {card["group"]: card for card in read_cards(outcome.folder)}
    last = table(outcome, "choices").filter(
        pl.col("segment") == "whitespace", pl.col("cutoff") == pl.col("cutoff").max()
    )
    believed = {row["kind"]: row for row in last.iter_rows(named=True)}
    on_list = dict(table(outcome, "list").select("kind", "badge").iter_rows())
    for group in GROUPS:
        made, choice = cards[group]["made"], believed[group]
        assert (made["estimator"], made["why"], cards[group]["badge"]) == (
            choice["estimator"],
            choice["why"],
            choice["badge"],
        )
        assert made["calibration"].startswith(choice["calibrator"])
        assert on_list.get(group, choice["badge"]) == choice["badge"]
        assert made["safe state"].startswith("full: not SAFE")
        assert "3 folds of accounts" in made["folds"]
        assert "0 accounts on both sides" in made["folds"]
    rows = {row["group"]: row for row in cards[""]["tables"]["what each group believes"]}
    assert {group: row["badge"] for group, row in rows.items()} == {g: cards[g]["badge"] for g in GROUPS}
    assert [row["fold"] for row in cards[""]["tables"]["folds at the last cutoff"]] == [0, 1, 2]
    assert cards[""]["tables"]["fairness of the list"] == table(outcome, "list_fairness").to_dicts()
    shares = [row["listed"] for g in GROUPS for row in cards[g]["tables"]["fairness of the list"]]
    assert sum(shares) == pytest.approx(table(outcome, "list")["kind"].n_unique())


def test_a_run_leaves_a_proof_page_that_says_what_each_check_found(outcome: Outcome) -> None:
    text = (outcome.folder / "proof" / "index.html").read_text(encoding="utf-8")
    for verdict in outcome.run.verdicts:
        assert f"<b>{verdict.name}</b>" in text
    for words in ("Planted faults", "Replay inflation", "labels exchanged, 999 times", "earlier cutoffs"):
        assert words in text
    idle = [verdict.name for verdict in outcome.run.verdicts if verdict.outcome == "not applicable"]
    assert idle, "a shop of half a year is too short for some checks"
    page = outcome.page.read_text(encoding="utf-8")
    assert 'href="proof/index.html"' in page
    assert page.count('<span class="badge not-applicable">not applicable</span>') == len(idle)
    assert "did not run" not in page
    assert "proof/index.html" in {artefact.path for artefact in outcome.run.artefacts}


def test_a_second_run_gives_the_same_bytes(outcome: Outcome, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOREPROOF_WORKERS", "1")
    again = execute(open_project(outcome.folder.parents[1]), progress=Silent())
    assert again.run.id == outcome.run.id
    for path in sorted((outcome.folder / "tables").glob("*.csv")):
        assert path.read_bytes() == (again.folder / "tables" / path.name).read_bytes(), path.name


def test_a_run_tells_what_each_group_believes_and_keeps_a_shadow(outcome: Outcome) -> None:
    choices = table(outcome, "choices")
    assert set(choices["policy"]) == {"full"}
    assert set(choices["badge"]) == {"model", "heuristic"}
    assert choices.filter(pl.col("badge") == "heuristic")["buyers"].max() < 30  # type: ignore[operator]
    challenger = table(outcome, "challenger")
    assert challenger.height == 2
    text = outcome.page.read_text(encoding="utf-8")
    assert "not promoted; the champion stays" in text
    shadow = table(outcome, "chances")["shadow"]
    assert shadow.null_count() == 0
    assert shadow.is_between(0, 1).all()
    assert table(outcome, "folds")["customer"].is_unique().all()
    written = json.loads((outcome.folder / "folds.json").read_text(encoding="utf-8"))
    assert (written["folds"], written["overlap"]) == (3, 0)
    assert (outcome.folder / "plots" / "calibration_by_month.png").is_file()
    assert set(table(outcome, "reliability_by_month")["segment"]) == {"repeat", "whitespace"}


def call(folder: Path, *words: str) -> str:
    return CliRunner().invoke(app, [*words, "-C", str(folder)], catch_exceptions=False).output


def test_a_frozen_model_is_scored_month_by_month(outcome: Outcome, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOREPROOF_WORKERS", "1")
    monkeypatch.setenv("COLUMNS", "220")
    folder = outcome.folder.parents[1]
    told = call(folder, "prequential", "--group", "bread", "--months", "3", "--window", "28")
    assert "censored" in told
    page = next((folder / "prequential").glob("*/index.html"))
    assert "Frozen at 2024-06-10" in page.read_text(encoding="utf-8")
    scores = pl.read_parquet(page.parent / "tables" / "scores.parquet")
    assert set(scores["group"]) == {"bread"}
    assert set(scores["month"]) == {1}
    log = open_project(folder).ledger.export(folder / "leaves.jsonl").read_text(encoding="utf-8")
    assert page.parent.name in log
    for words in (["--group", "eggs"], ["--freeze", "2023-01-01"], ["--freeze", "2024-07-01"], ["--months", "0"]):
        refused = CliRunner().invoke(app, ["prequential", *words, "-C", str(folder)]).exception
        assert isinstance(refused, BadInput)
        assert refused.exit_code == 2


def test_features_are_listed_and_ablated(outcome: Outcome, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FOREPROOF_WORKERS", "1")
    monkeypatch.setenv("COLUMNS", "220")
    folder = outcome.folder.parents[1]
    assert "recency_log_of_lines" in call(folder, "features", "--list", "--policy", "full")
    assert "recency_log_of_lines" not in call(folder, "features", "--list", "--policy", "safe")
    before = (folder / "foreproof.yaml").read_text(encoding="utf-8")
    told = call(folder, "ablate", "--variant", "safe", "--threshold", "0.5", "--apply")
    assert "wrote policy: safe into" in told
    after = open_project(folder).propensity
    metas = [feature.meta(14) for feature in after.features]
    assert not [m for m in metas if m.family in ("recency", "decay")]
    assert not [m for m in metas if m.nearness is not None and m.nearness < 14]
    (folder / "foreproof.yaml").write_text(before, encoding="utf-8")
    for words in (["--threshold", "2"], ["--variant", "oracle"], ["--months", "1"]):
        assert isinstance(CliRunner().invoke(app, ["ablate", *words, "-C", str(folder)]).exception, BadInput)


def test_a_plan_is_guessed_from_a_file_of_purchases(tmp_path: Path) -> None:
    (tmp_path / "lines.csv").write_text("\n".join(lines(40, 120)) + "\n", encoding="utf-8")
    words = ["--account", "customer", "--group", "kind", "--value", "amount", "--data", str(tmp_path / "lines.csv")]
    made = CliRunner().invoke(app, ["new", "propensity", str(tmp_path / "p"), *words], catch_exceptions=False)
    assert made.exit_code == 0
    project = open_project(tmp_path / "p")
    assert project.propensity.task.entity == ("customer", "kind")
    assert isinstance(CliRunner().invoke(app, ["new", "propensity", str(tmp_path / "p"), *words]).exception, BadInput)
    wrong = [*words[:-1], str(tmp_path / "nowhere.csv")]
    assert isinstance(CliRunner().invoke(app, ["new", "propensity", str(tmp_path / "q"), *wrong]).exception, BadInput)
    lost = ["--account", "nobody", *words[2:]]
    assert isinstance(CliRunner().invoke(app, ["new", "propensity", str(tmp_path / "q"), *lost]).exception, BadInput)
    assert isinstance(CliRunner().invoke(app, ["voi", "-C", str(tmp_path / "p")]).exception, BadInput)


@pytest.mark.parametrize(
    ("old", "new", "kind", "words"),
    [
        ("    known: same_as_happened\n", "", ForeproofError, "known"),
        ("owned: 42}", "owned: 42, label_from: 0}", LawError, "law 3"),
        ("table: lines,", "table: nowhere,", ForeproofError, "nowhere"),
        ("account: customer", "account: amount", ForeproofError, "text column"),
        ("value: amount", "value: kind", ForeproofError, "number column"),
        ("list: {top: 0.1", "list: {top: 0", ForeproofError, r"list\.top"),
        ("worth: {margin: 0.5", "worth: {margin: 0", ForeproofError, "more than 0"),
        ("proof: {", "calibration: [magic]\nproof: {", ForeproofError, "magic"),
        ("models: [logistic, boost]", "models: [oracle]", ForeproofError, "oracle"),
        ("horizon: 14", "horizon: 14\nfeatures: [{over: count, of: lines, window: 7, lag: -1}]", LawError, "law 3"),
        ("horizon: 14", "horizon: 14\nsurprise: 1", ForeproofError, "surprise"),
        ("backtest: {", "backtest: {split: random, ", LawError, "gap law"),
        (
            "horizon: 14",
            "horizon: 14\nfeatures: [{rate: kind, unit: customer, of: lines, window: 28, fitted: all}]",
            LawError,
            "one door",
        ),
    ],
)
def test_a_plan_that_leaks_or_cannot_be_is_refused(
    tmp_path: Path, old: str, new: str, kind: type[Exception], words: str
) -> None:
    folder = given(tmp_path / "p", PLAN.replace(old, new))
    with pytest.raises(kind, match=words):
        _ = open_project(folder).propensity


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ("c1,bread,2024-01-05,3.00\n", "settled|history|cutoff|population"),
        (
            "".join(f"c{i % 3},bread,2024-{1 + i // 28:02d}-{1 + i % 28:02d},1.00\n" for i in range(150)),
            "list|positive|negative|buy",
        ),
    ],
)
def test_too_little_to_learn_from_is_refused_and_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: str, words: str
) -> None:
    monkeypatch.setenv("FOREPROOF_WORKERS", "1")
    folder = given(tmp_path / "p")
    (folder / "lines.csv").write_text("customer,kind,date,amount\n" + rows, encoding="utf-8")
    outcome = execute(open_project(folder), progress=Silent())
    assert outcome.run.status == "refused"
    assert outcome.error is not None
    assert any(word in str(outcome.error) for word in words.split("|")), str(outcome.error)


def test_a_plan_without_a_safe_feature_is_proven_without_that_question(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FOREPROOF_WORKERS", "1")
    near = PLAN.replace("horizon: 14", "horizon: 14\nfeatures: [{recency: log, of: lines}]")
    only = near.replace("proof: {", 'proof: {only: ["safe ablation"], ')
    outcome = execute(open_project(given(tmp_path / "p", only)), progress=Silent(), until="prove")
    assert outcome.error is None
    said = {v.name: (v.outcome, v.words) for v in outcome.run.verdicts}["safe ablation"]
    assert said[0] == "not applicable"
    assert "no feature that passes" in said[1]
