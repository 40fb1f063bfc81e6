"""`foreproof explain` and `foreproof summarize` on a recorded run, and the settings of a language model."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

import fact_tables
import fake_llm
from foreproof.adapters.catalog import RunRecord
from foreproof.app import llm_settings
from foreproof.app.cli import app
from foreproof.app.configuration import NAMES
from foreproof.app.copilot import explain_run, ledger_of, summarize_run
from foreproof.app.project import Project, open_project
from foreproof.core.digest import digest_bytes
from foreproof.core.log import decode_leaf
from foreproof.errors import BadInput, IntegrityError

PLAN = """
schema: 1
name: shop
workload: forecast
seed: 3
tables:
  sales:
    key: [item, date]
    happened: date
    known: same_as_happened
    zone: UTC
    columns: {item: text, units: {type: decimal, decimals: 0, unit: units a day}}
series: {table: sales, by: [item], value: units, every: 1d, gap: zero}
horizon: 7
models: [seasonal_naive]
decision: {cover: 7, short: 2.0, over: 1.0, currency: euros}
"""


def record(project: Project, run: str, seed: int, *, stage: str = "decide", status: str = "proven") -> None:
    """A run as the runner leaves one: its tables, its plan, and its manifest in the catalogue."""
    folder = project.runs / run / "tables"
    folder.mkdir(parents=True)
    artefacts = []
    for name, frame in fact_tables.forecast_tables(seed=seed).items():
        frame.write_parquet(folder / f"{name}.parquet")
        digest = digest_bytes((folder / f"{name}.parquet").read_bytes())
        artefacts.append({"path": f"tables/{name}.parquet", "sha256": digest, "canonical": True})
    (project.runs / run / "plan_resolved.yaml").write_text(PLAN, encoding="utf-8")
    now = fact_tables.CUTOFF
    manifest = {
        "run": run,
        "stage": stage,
        "status": status,
        "cutoff": str(now),
        "workload": "forecast",
        "artefacts": artefacts,
    }
    project.catalog.save_run(RunRecord(run, status, now, "0" * 64, manifest))


@pytest.fixture
def shop(tmp_path: Path) -> Project:
    (tmp_path / "foreproof.yaml").write_text(PLAN, encoding="utf-8")
    project = open_project(tmp_path)
    record(project, "aaaa11112222", 1)
    return project


def leaves(project: Project) -> list[dict[str, object]]:
    found = [decode_leaf(leaf) for leaf in project.catalog.leaves()]
    return [one for one in found if one["kind"] == "explanation"]


def test_the_commands_print_sentences_with_their_sources_and_write_a_leaf(
    shop: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (name for name in NAMES if "_LLM_" in name):
        monkeypatch.delenv(name, raising=False)
    run, folder = CliRunner().invoke, str(shop.folder)
    summed = run(app, ["summarize", "-C", folder], env={"COLUMNS": "200"})
    assert summed.exit_code == 0, summed.output
    assert "The verdict of the proof reads: proven." in summed.output and "sha256" in summed.output
    said = run(app, ["explain", "item 1", "-C", folder, "--run", "aaaa"], env={"COLUMNS": "200"})
    assert said.exit_code == 0 and 'For "item 1", the expected total (2024-05-20 to 2024-05-26) is' in said.output
    asked = run(app, ["explain", "--question", "how much to order of item 0?", "-C", folder], env={"COLUMNS": "200"})
    assert 'For "item 0", the recommended order quantity is' in asked.output
    refused = run(app, ["explain", "--question", "who won the cup?", "-C", folder], env={"COLUMNS": "200"})
    assert "The facts of this run do not answer that." in refused.output
    written = json.dumps(leaves(shop))
    assert len(leaves(shop)) == 4 and "item" not in written and "cup" not in written and "order" not in written


def test_the_newest_whole_run_is_explained(shop: Project) -> None:
    record(shop, "bbbb11112222", 2, status="failed")
    record(shop, "cccc11112222", 3, stage="backtest")
    assert "failed" in summarize_run(shop, "").text
    assert "proven" in summarize_run(shop, "aaaa").text


def test_what_is_not_there_is_said(shop: Project, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="item 0, item 1"):
        explain_run(shop, "", subject="item 9")
    with pytest.raises(BadInput, match="0 such runs"):
        ledger_of(shop, "ffff")
    bare = tmp_path / "bare"
    bare.mkdir()
    (bare / "foreproof.yaml").write_text(PLAN, encoding="utf-8")
    with pytest.raises(BadInput, match="no whole run"):
        summarize_run(open_project(bare), "")


def test_a_table_that_is_not_as_recorded_is_not_explained(shop: Project) -> None:
    path = shop.runs / "aaaa11112222" / "tables" / "orders.parquet"
    pl.read_parquet(path).with_columns(pl.col("order") + 1).write_parquet(path)
    with pytest.raises(IntegrityError, match="orders"):
        ledger_of(shop)
    path.unlink()
    with pytest.raises(IntegrityError, match="no file"):
        ledger_of(shop)


def test_a_model_is_asked_once_for_the_same_question(shop: Project) -> None:
    with fake_llm.serving() as fake:
        env = {"FOREPROOF_LLM_URL": fake.url, "FOREPROOF_LLM_MODEL": "fake", "FOREPROOF_LLM_KEY": "secret-key"}
        talker = llm_settings.talker_of(shop.folder, env)
        first = explain_run(shop, "", subject="item 0", talker=talker)
        second = explain_run(shop, "", subject="item 0", talker=talker)
        explain_run(shop, "", subject="item 1", talker=talker)
    assert first.writer == second.writer == "model" and first.sentences == second.sentences
    assert len(fake.asked) == 2 and (first.tokens_in, second.tokens_in) == (100, 0)
    assert [leaf["body"]["cached"] for leaf in leaves(shop)] == [False, True, False]  # type: ignore[index]
    kept = [path.read_text(encoding="utf-8") for path in shop.folder.rglob("*.json")]
    assert kept and not any("secret-key" in text for text in kept)


def test_the_secret_of_the_log_is_read_by_its_owner_only(shop: Project) -> None:
    summarize_run(shop, "")
    path = shop.inside / "keys" / "explanations.salt"
    assert len(path.read_bytes()) == 32 and path.stat().st_mode & 0o077 == 0


def test_settings_of_a_model_are_read_or_refused_by_name(tmp_path: Path) -> None:
    assert llm_settings.read_model_terms(tmp_path, {}) is None and llm_settings.talker_of(tmp_path, {}) is None
    given = {"FOREPROOF_LLM_URL": "http://h/v1", "FOREPROOF_LLM_MODEL": "m", "FOREPROOF_LLM_TEMPERATURE": "0.3",
             "FOREPROOF_LLM_MAX_TOKENS": "9", "FOREPROOF_LLM_TIMEOUT": "1.5", "FOREPROOF_LLM_RETRIES": "0"}  # fmt: skip
    terms = llm_settings.read_model_terms(tmp_path, given)
    assert terms is not None
    assert (terms.temperature, terms.max_tokens, terms.timeout, terms.retries) == (0.3, 9, 1.5, 0)
    for name in (
        "FOREPROOF_LLM_TEMPERATURE",
        "FOREPROOF_LLM_MAX_TOKENS",
        "FOREPROOF_LLM_TIMEOUT",
        "FOREPROOF_LLM_RETRIES",
    ):
        with pytest.raises(BadInput, match=name):
            llm_settings.read_model_terms(tmp_path, {**given, name: "much"})
    for name in ("FOREPROOF_LLM_URL", "FOREPROOF_LLM_MODEL"):
        with pytest.raises(BadInput, match=name):
            llm_settings.read_model_terms(tmp_path, {**given, name: ""})


def test_no_model_library_is_loaded_without_a_model(shop: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openai", None)
    assert summarize_run(shop, "").writer == "writer"
