"""Runs, proofs, cards and historical metrics over HTTP are those of the run's folder."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from fastapi.testclient import TestClient

API = "/api/v1"


def served(home: Path, project: str = "forecast") -> Path:
    pointer = json.loads((home / project / "served" / "current.json").read_text())
    return home / project / "served" / str(pointer["run"])


def problem(answer: Any, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    found: dict[str, Any] = answer.json()
    assert found["status"] == status
    return found


def test_the_overview_says_what_is_served_and_what_needs_a_look(client: TestClient, own_home: Path) -> None:
    found = client.get(f"{API}/overview").json()
    assert found["tenant"] == "local"
    forecast, propensity = found["projects"]
    manifest = json.loads((served(own_home) / "manifest.json").read_text())
    assert forecast["served"]["run"] == forecast["last_run"]["run"] == manifest["run"]
    assert forecast["verdicts"]["passed"] == sum(one["outcome"] == "passed" for one in manifest["verdicts"])
    assert (forecast["series"], forecast["pairs"], forecast["horizon"]) == (5, None, 7)
    rows = pl.read_parquet(served(own_home) / "tables" / "forecast.parquet")
    total = rows.filter(pl.col("level").is_null())["value"].sum()
    kpis = {one["name"]: one["value"] for one in forecast["kpis"]}
    assert kpis["expected"] == pytest.approx(total)
    assert kpis["WAPE"] == pytest.approx(forecast["scores"]["wape"])
    chances = pl.read_parquet(served(own_home, "propensity") / "tables" / "chances.parquet")
    assert propensity["pairs"] == chances.filter(pl.col("cutoff") == pl.col("cutoff").max()).height
    assert forecast["attention"] == ["every period that was predicted is over: load new facts and run again"]
    assert "forecast: every period" in found["attention"][0]
    alone = client.get(f"{API}/overview", params={"project": "propensity"}).json()
    assert [one["project"] for one in alone["projects"]] == ["propensity"]


def test_a_project_that_serves_nothing_says_what_to_do(client: TestClient, own_home: Path) -> None:
    (own_home / "forecast" / "served" / "current.json").unlink()
    found = client.get(f"{API}/overview", params={"project": "forecast"}).json()["projects"][0]
    assert found["served"] is None
    assert "POST /api/v1/jobs" in found["attention"][0]


def test_runs_their_tables_and_every_file_are_as_recorded(client: TestClient, own_home: Path) -> None:
    folder = served(own_home)
    line = client.get(f"{API}/runs", params={"status": "proven"}).json()["items"][0]
    assert (line["run"], line["served"], line["tag"]) == (folder.name, True, "api")
    assert client.get(f"{API}/runs", params={"tag": "none such"}).json()["total"] == 0
    manifest = client.get(f"{API}/runs/{folder.name[:6]}").json()
    assert manifest["digests"] == json.loads((folder / "manifest.json").read_text())["digests"]
    names = client.get(f"{API}/runs/served/tables").json()["items"]
    assert names == sorted(path.stem for path in (folder / "tables").glob("*.parquet"))
    for name in names:
        wanted = pl.read_parquet(folder / "tables" / f"{name}.parquet")
        page = client.get(f"{API}/runs/served/tables/{name}", params={"limit": 2, "offset": 1}).json()
        assert (page["total"], len(page["items"])) == (wanted.height, len(wanted[1:3]))
        assert all(list(row) == wanted.columns for row in page["items"])
    whole = client.get(f"{API}/runs/served/tables/backtest", params={"format": "parquet"})
    assert pl.read_parquet(io.BytesIO(whole.content)).equals(pl.read_parquet(folder / "tables" / "backtest.parquet"))
    files = client.get(f"{API}/runs/served/files").json()["items"]
    assert {one["path"] for one in files} >= {"index.html", "manifest.json", "models/theta/theta.json", "verify.py"}
    for one in files:
        content = client.get(f"{API}/runs/served/files/{one['path']}").content
        assert (hashlib.sha256(content).hexdigest(), len(content)) == (one["sha256"], one["bytes"])


@pytest.mark.parametrize(
    "path",
    [
        "..%2fmanifest.json",
        "..%2f..%2f..%2fforeproof.yaml",
        "%2fetc%2fpasswd",
        "tables/../../../sales.csv",
        "link.txt",
        "no",
    ],
)
def test_no_address_leads_out_of_a_run(client: TestClient, own_home: Path, path: str) -> None:
    run = served(own_home).name
    (own_home / "forecast" / "runs" / run / "link.txt").symlink_to(own_home / "forecast" / "sales.csv")
    assert client.get(f"{API}/runs/{run}/files/{path}").status_code == 404


def test_unknown_runs_and_tables_are_not_found_nor_are_those_of_others(client: TestClient, own_home: Path) -> None:
    other = served(own_home, "propensity").name
    for path in ("runs/zz", f"runs/{other}", f"proofs/{other}", "runs/served/tables/none", "cards/none", "cards?run=zz",
                 f"runs/{other}/files", f"runs/served/diff/{other}"):  # fmt: skip
        problem(client.get(f"{API}/{path}"), 404)
    assert client.get(f"{API}/runs/{other}", params={"project": "propensity"}).status_code == 200


def test_a_run_differs_from_itself_in_nothing(client: TestClient) -> None:
    found = client.get(f"{API}/runs/served/diff/served").json()
    assert (found["settings"], found["data"], found["plan_lines"]) == ([], [], [])
    assert all(row["change"] == 0.0 for row in found["forecasts"] + found["scores"])
    assert found["words"][0] == "No settings of the plan differ."


def test_restoring_and_overriding_obey_the_proof(client: TestClient, own_home: Path) -> None:
    run = served(own_home).name
    found = client.post(f"{API}/runs/{run}/restore").json()
    assert (found["run"], found["by"]) == (run, "restore")
    problem(client.post(f"{API}/runs/{run}/override", json={"name": "A", "reason": "B"}), 422)
    problem(client.post(f"{API}/runs/{run}/override", json={"name": "", "reason": "B"}), 422)
    problem(client.post(f"{API}/runs/zz/restore"), 404)
    (own_home / "forecast" / "runs" / run / "metrics.json").write_text("{}")
    assert "metrics.json" in problem(client.post(f"{API}/runs/{run}/restore"), 409)["found"]


def test_the_proof_is_that_of_the_manifest(client: TestClient, own_home: Path) -> None:
    manifest = json.loads((served(own_home, "propensity") / "manifest.json").read_text())
    found = client.get(f"{API}/proofs/served", params={"project": "propensity"}).json()
    assert (found["run"], found["status"], found["planted"]) == (manifest["run"], "proven", "")
    assert [one["name"] for one in found["verdicts"]] == [one["name"] for one in manifest["verdicts"]]
    assert found["verdicts"] == [{"p": None, **one} for one in manifest["verdicts"]]
    assert sum(found["counts"].values()) == len(manifest["verdicts"])
    alone = client.get(f"{API}/proofs/{manifest['run']}", params={"project": "propensity"})
    assert alone.json() == found


def test_cards_ablations_and_stability_are_those_of_the_folder(client: TestClient, own_home: Path) -> None:
    folder, params = served(own_home, "propensity"), {"project": "propensity"}
    names = [one["name"] for one in client.get(f"{API}/cards", params=params).json()["items"]]
    assert names == ["all", "apples", "bread", "cheese"]
    for name in names:
        wanted = json.loads((folder / "cards" / f"{name}.json").read_text())
        assert client.get(f"{API}/cards/{name}", params=params).json() == wanted
        assert client.get(f"{API}/cards/{name}", params={**params, "run": folder.name}).json() == wanted
    rows = client.get(f"{API}/stability", params=params).json()["rows"]
    assert {"feature", "early", "late"} <= set(rows[0])
    assert client.get(f"{API}/stability").json()["outcome"] == "not applicable"
    assert client.get(f"{API}/ablations", params=params).json()["items"] == []
    made = own_home / "propensity" / "ablation" / "ab12"
    (made / "tables").mkdir(parents=True)
    (made / "manifest.json").write_text(json.dumps({"variants": ["full"], "digests": {}, "lines": ["Frozen."]}))
    pl.DataFrame({"variant": ["full"], "lost": [float("nan")]}).write_parquet(made / "tables" / "losses.parquet")
    found = client.get(f"{API}/ablations", params=params).json()["items"][0]
    assert (found["id"], found["lines"]) == ("ab12", ["Frozen."])
    assert found["tables"] == {"losses": [{"variant": "full", "lost": None}]}


def test_historical_metrics_are_the_scores_of_the_run(client: TestClient, own_home: Path) -> None:
    folder = served(own_home) / "tables"
    found = client.get(f"{API}/metrics/historical").json()
    whole = {(one["model"], one["metric"]): one["value"] for one in found["rows"] if one["period"] is None}
    scores = pl.read_parquet(folder / "scores.parquet").filter(pl.col("value").is_finite())
    assert whole == {
        (model, metric): value for model, metric, value in scores.select("model", "metric", "value").rows()
    }
    assert found["metrics"] == sorted(scores["metric"].unique())
    backtest = pl.read_parquet(folder / "backtest.parquet").filter(
        pl.col("model") == "theta", pl.col("level").is_null()
    )
    ask = {"metric": "mae", "model": "theta", "period": "all"}
    by = {one["period"]: one["value"] for one in client.get(f"{API}/metrics/historical", params=ask).json()["rows"]}
    for (cutoff,), part in backtest.group_by("cutoff"):
        error = [abs(value - y) for value, y in part.select("value", "y").rows()]
        assert by[cutoff.isoformat()] == pytest.approx(sum(error) / len(error))  # type: ignore[attr-defined]
    steps = pl.read_parquet(folder / "scores_by_step.parquet").filter(model="theta", metric="mae")
    assert {f"step {step}": value for step, value in steps.select("step", "value").rows()}.items() <= by.items()
    one = client.post(
        f"{API}/metrics/historical", json={"series": ["item 4"], "metric": "wape", "model": "combination"}
    )
    wanted = pl.read_parquet(folder / "scores_by_series.parquet").filter(
        item="item 4", metric="wape", model="combination"
    )
    rows = one.json()["rows"]
    assert [row["value"] for row in rows if row["period"] is None] == wanted["value"].to_list()
    assert len(rows) == 1 + backtest["cutoff"].n_unique()
    assert client.get(f"{API}/metrics/historical", params={"series": "item 99"}).json()["rows"] == []


def test_historical_metrics_of_pairs_are_by_segment_and_cutoff(client: TestClient, own_home: Path) -> None:
    scores = pl.read_parquet(served(own_home, "propensity") / "tables" / "pair_scores.parquet")
    ask = {"project": "propensity", "metric": "auc", "series": "whitespace", "model": "foreproof", "period": "all"}
    rows = client.get(f"{API}/metrics/historical", params=ask).json()["rows"]
    wanted = scores.filter(pl.col("cutoff") != "all").filter(metric="auc", segment="whitespace", who="foreproof")
    assert {row["period"]: row["value"] for row in rows} == dict(wanted.select("cutoff", "value").rows())
