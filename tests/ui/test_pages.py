"""A flow through each page in a real Chromium: the run's own numbers stand there, and what was chosen survives a reload."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from playwright.sync_api import Page, expect

from foreproof.ui import words
from page_processes import free_port, pages_over

IDLE = "[data-testid=stApp][data-test-script-state=notRunning]"
expect.set_options(timeout=60_000)
pytestmark = pytest.mark.e2e


def visit(page: Page, address: str, title: str) -> None:
    """Open a page, wait until it is drawn, and see that it is whole."""
    page.goto(address)
    whole(page, title)


def whole(page: Page, title: str) -> None:
    """The page is drawn, and no error is on it."""
    expect(page.get_by_role("heading", name=title, exact=True, level=1)).to_be_visible()
    page.wait_for_selector(IDLE)
    expect(page.get_by_test_id("stSpinner")).to_have_count(0)
    expect(page.get_by_test_id("stException")).to_have_count(0)
    for bad in ("Traceback", "does not understand", "something of ours failed"):
        expect(page.get_by_text(bad)).to_have_count(0)


def kept(page: Page, title: str, **query: str) -> None:
    """The address says what was chosen, and a reload keeps it."""
    for name, value in query.items():
        expect(page).to_have_url(re.compile(rf"[?&]{name}={re.escape(value)}(&|$)"))
    page.reload()
    whole(page, title)


def choose(page: Page, label: str, text: str) -> None:
    """Choose by keyboard alone: focus, type, Enter."""
    box = page.get_by_role("combobox", name=label)
    box.focus()
    box.press("ControlOrMeta+a")
    box.type(text)
    page.get_by_role("option").first.wait_for()
    box.press("Enter")
    page.wait_for_selector(IDLE)


def served(home: Path, project: str) -> tuple[str, Path]:
    """The served run of a project, and its folder."""
    run = str(json.loads((home / project / "served" / "current.json").read_text(encoding="utf-8"))["run"])
    return run, home / project / "runs" / run


def table(home: Path, project: str, name: str) -> pl.DataFrame:
    return pl.read_parquet(served(home, project)[1] / "tables" / f"{name}.parquet")


def manifest(home: Path, project: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((served(home, project)[1] / "manifest.json").read_text(encoding="utf-8"))
    return found


def test_the_overview_shows_what_is_served_and_leads_to_it(tab: Page, site: str, home: Path) -> None:
    visit(tab, site, "Overview")
    for project in ("forecast", "propensity"):
        expect(tab.get_by_text(f"run {served(home, project)[0]}").first).to_be_visible()
    wape = words.number(manifest(home, "forecast")["scores"]["wape"], "share")
    expect(tab.get_by_text(wape, exact=True)).to_be_visible()
    outcomes = [verdict["outcome"] for verdict in manifest(home, "forecast")["verdicts"]]
    expect(tab.get_by_text(re.compile(rf"Checks: {outcomes.count('passed')} passed")).first).to_be_visible()
    tab.get_by_role("link", name="Forecasts and orders").click()
    whole(tab, "Forecasts")
    expect(tab).to_have_url(re.compile("/forecasts"))


def test_a_series_is_chosen_by_keyboard_and_its_own_forecast_and_order_stand_there(
    tab: Page, site: str, home: Path
) -> None:
    visit(tab, f"{site}/forecasts", "Forecasts")
    choose(tab, "Series", "item 2")
    kept(tab, "Forecasts", series="item+2")
    own = table(home, "forecast", "forecast").filter(pl.col("item") == "item 2", pl.col("level") == 0.5).sort("step")
    expect(tab.get_by_text(words.number(own["value"][0]), exact=True).first).to_be_visible()
    expect(tab.get_by_text(words.day(own["at"][0].isoformat())).first).to_be_visible()
    order = table(home, "forecast", "orders").filter(pl.col("item") == "item 2")
    expect(tab.get_by_text(order["because"][0][:40])).to_be_visible()
    expect(tab.locator("canvas, svg.marks").first).to_be_visible()
    tab.get_by_role("tab", name="Past scores").click()
    expect(tab.get_by_role("combobox", name="Metric")).to_be_visible()
    kept(tab, "Forecasts", tab="Past+scores", series="item+2")
    tab.get_by_role("tab", name="Generate").click()
    tab.get_by_role("button", name="Generate").click()
    expect(tab.get_by_text(re.compile("The published run answers: 1 forecast|was started"))).to_be_visible()
    tab.get_by_role("tab", name="Scenarios").click()
    expect(tab.get_by_text("No plan to change")).to_be_visible()


def test_a_list_is_solved_again_under_another_capacity_and_says_why(tab: Page, site: str, home: Path) -> None:
    visit(tab, f"{site}/accounts", "Accounts")
    first = table(home, "propensity", "list").sort("rank").row(0, named=True)
    expect(tab.get_by_text(words.percent(first["p"]), exact=True).first).to_be_visible()
    calls = tab.get_by_role("spinbutton", name="Calls at most")
    calls.fill("5")
    calls.press("Enter")
    expect(tab.get_by_text("solved again under your limits")).to_be_visible()
    kept(tab, "Accounts", capacity="5")
    expect(tab.get_by_role("spinbutton", name="Calls at most")).to_have_value("5")
    tab.get_by_role("tab", name="Why this account").click()
    expect(tab.get_by_text("On the list because:")).to_be_visible()
    kept(tab, "Accounts", tab="Why+this+account", capacity="5")
    tab.get_by_role("tab", name="Capacity and prices").click()
    expect(tab.get_by_text("What each limit costs")).to_be_visible()


def test_a_group_shows_its_own_scores(tab: Page, site: str, home: Path) -> None:
    visit(tab, f"{site}/groups?segment=pooled", "Groups")
    choose(tab, "Group", "apples")
    kept(tab, "Groups", group="apples")
    scores = table(home, "propensity", "group_scores")
    own = scores.filter(pl.col("kind") == "apples", pl.col("segment") == "pooled")
    for metric in ("auc", "brier"):
        value = own.filter(pl.col("metric") == metric)["value"][0]
        expect(tab.get_by_text(words.number(value), exact=True).first).to_be_visible()


def test_the_proof_shows_every_verdict_its_control_and_its_curves(tab: Page, site: str, home: Path) -> None:
    visit(tab, f"{site}/proof?project=propensity", "Proof")
    verdicts = manifest(home, "propensity")["verdicts"]
    passed = sum(verdict["outcome"] == "passed" for verdict in verdicts)
    expect(tab.get_by_text(f"{passed} of {len(verdicts)}", exact=True).first).to_be_visible()
    psi = next(verdict["figure"] for verdict in verdicts if verdict["name"] == "expected against realised")
    expect(tab.get_by_text(re.compile(f"PSI {re.escape(words.number(psi))}")).first).to_be_visible()
    tab.get_by_role("tab", name="Curves").click()
    for name in ("Permutation", "Cliff", "Shift grid"):
        expect(tab.get_by_text(name, exact=True).first).to_be_visible()
    kept(tab, "Proof", tab="Curves")
    tab.get_by_role("tab", name="Controls").click()
    expect(tab.get_by_text("beside a fault that was planted")).to_be_visible()


def test_a_file_of_a_run_is_fetched_as_the_run_wrote_it(tab: Page, site: str, home: Path) -> None:
    folder = served(home, "forecast")[1]
    visit(tab, f"{site}/runs?project=forecast", "Runs")
    expect(tab.get_by_text("How it was made")).to_be_visible()
    tab.get_by_role("tab", name="Files").click()
    choose(tab, "File to fetch", "metrics.json")
    kept(tab, "Runs", tab="Files", file="metrics.json")
    with tab.expect_download() as download:
        tab.get_by_role("button", name="Download metrics.json").click()
    assert download.value.path().read_bytes() == (folder / "metrics.json").read_bytes()
    tab.get_by_role("tab", name="Difference").click()
    expect(tab.get_by_text("One run only")).to_be_visible()


def test_monitoring_says_how_many_outcomes_are_missing_and_what_to_do(tab: Page, site: str, home: Path) -> None:
    visit(tab, f"{site}/monitoring?project=forecast", "Monitoring")
    asked = table(home, "forecast", "forecast").filter(pl.col("level") == 0.5).height
    expect(tab.get_by_text(f"{asked} predictions of this project wait")).to_be_visible()
    tab.get_by_role("link", name="Score outcomes on the page Jobs").click()
    whole(tab, "Jobs")


def test_a_job_is_started_and_cancelled(tab: Page, site: str) -> None:
    visit(tab, f"{site}/jobs?project=forecast&kind=score_outcomes", "Jobs")
    tab.get_by_role("button", name="Start", exact=True).click()
    tab.get_by_role("button", name="Cancel").click()
    expect(tab.get_by_text("cancelled").first).to_be_visible()
    whole(tab, "Jobs")


def test_usage_counts_the_calls_of_these_pages(tab: Page, site: str) -> None:
    visit(tab, f"{site}/", "Overview")
    visit(tab, f"{site}/usage?by=call&measure=calls&days=7", "Usage")
    expect(tab.get_by_text("Calls", exact=True).first).to_be_visible()
    expect(tab.get_by_text("CPU seconds", exact=True).first).to_be_visible()


def test_the_log_is_verified_on_the_page_leaf_by_leaf(tab: Page, site: str) -> None:
    visit(tab, f"{site}/log?project=forecast", "Log")
    expect(tab.get_by_text("signed by the log's key: checked here")).to_be_visible()
    expect(tab.get_by_text("lead to the signed root")).to_be_visible()
    leaf = tab.get_by_role("spinbutton", name="Leaf to verify")
    leaf.fill("0")
    leaf.press("Enter")
    expect(tab.get_by_text("Is leaf 0 in the log of")).to_be_visible()
    kept(tab, "Log", leaf="0")
    expect(tab.get_by_text("lead to the signed root")).to_be_visible()


def test_the_copilot_answers_with_its_sources(tab: Page, site: str) -> None:
    visit(tab, f"{site}/copilot?project=forecast", "Copilot")
    tab.get_by_role("button", name="Summarize").click()
    expect(tab.get_by_text(re.compile(r"Sources: [1-9]\d* fact"))).to_be_visible()
    question = tab.get_by_role("textbox", name="Question")
    question.fill("Is this proven?")
    question.press("Enter")
    kept(tab, "Copilot", question="Is+this+proven%3F")
    tab.get_by_role("button", name="Ask").click()
    expect(tab.get_by_text("Is this proven?", exact=True)).to_be_visible()
    whole(tab, "Copilot")


def test_a_service_that_is_down_is_told_in_words_with_how_to_start_it(tab: Page, tmp_path: Path) -> None:
    api = f"http://127.0.0.1:{free_port()}"
    with pages_over(api, tmp_path / "ui.log") as site:
        visit(tab, f"{site}/forecasts", "Forecasts")
        expect(tab.get_by_text(f"Nothing answers at {api}.")).to_be_visible()
        expect(tab.get_by_text("foreproof serve").first).to_be_visible()
        expect(tab.get_by_role("button", name="Try again")).to_be_visible()
