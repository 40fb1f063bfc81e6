"""Plugins: what an installed distribution declares is used like what is built in; the one of docs/plugins.md is installed."""

from __future__ import annotations

import json
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest
from project import rows

from foreproof.app import commands
from foreproof.app.plugins import fault, installed
from foreproof.app.progress import Silent
from foreproof.app.project import open_project
from foreproof.app.runner import Outcome, execute
from foreproof.engine.scale import ChunkForecast
from foreproof.errors import BadInput, PlanError

PAGE = (Path(__file__).parents[2] / "docs" / "plugins.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    """The page's code of one language, in its order."""
    return [part.split("\n```")[0] for part in PAGE.split(f"```{language}\n")[1:]]


MODULE = "\n\n".join(blocks("python"))
(PROJECT,) = (tomllib.loads(text)["project"] for text in blocks("toml"))
(PLAN,) = blocks("yaml")
POINTS = {group: dict(points) for group, points in PROJECT["entry-points"].items()}


def distribution(folder: Path, name: str, version: str, points: dict[str, dict[str, str]], **modules: str) -> Path:
    """What an installer leaves: modules, and a folder of metadata with entry points."""
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", encoding="utf-8")
    text = "\n".join(
        f"[{group}]\n" + "".join(f"{key} = {value}\n" for key, value in of.items()) for group, of in points.items()
    )
    (info / "entry_points.txt").write_text(text, encoding="utf-8")
    for module, source in modules.items():
        (folder / f"{module}.py").write_text(source, encoding="utf-8")
    return folder


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder where Python looks, here and in processes that are started, and which is forgotten afterwards."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("PYTHONPATH", ":".join([str(folder), *filter(None, sys.path)]))
    before = set(sys.modules)
    yield folder
    for name in set(sys.modules) - before:
        if getattr(sys.modules[name], "__file__", None) and str(folder) in str(sys.modules[name].__file__):
            del sys.modules[name]


def shop(folder: Path, *, plan: str = PLAN) -> Path:
    """A project whose rows lie in lines of JSON."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "foreproof.yaml").write_text(plan, encoding="utf-8")
    lines = (json.dumps({"item": item, "date": str(day), "units": str(units)}) for item, day, units in rows(items=3))
    (folder / "sales.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def ran(folder: Path) -> Outcome:
    outcome = execute(open_project(folder), progress=Silent())
    assert outcome.error is None, str(outcome.error)
    return outcome


@pytest.fixture
def shop_plugins(site: Path) -> Path:
    return distribution(site, PROJECT["name"], PROJECT["version"], POINTS, shop_plugins=MODULE)


def test_a_run_uses_model_check_source_and_policy_of_an_installed_package(
    shop_plugins: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FOREPROOF_WORKERS", "2")
    few = PLAN.replace(
        "also: [bounded]", "also: [bounded], only: [bounded, repetition]"
    )  # the others cost, and say nothing here
    outcome = ran(shop(tmp_path / "shop", plan=few))
    verdicts = {verdict.name: verdict for verdict in outcome.run.verdicts}
    assert verdicts["bounded"].outcome == "passed"
    assert (verdicts["bounded"].limit, verdicts["bounded"].control_caught) == (4.0, True)
    assert verdicts["repetition"].outcome == "passed"  # also in another process
    orders = pl.read_parquet(outcome.folder / "tables" / "orders.parquet")
    assert orders["because"].unique().to_list() == ["up to the 80% quantile, house rule"]
    backtest = pl.read_parquet(outcome.folder / "tables" / "backtest.parquet")
    assert "same_weekday" in backtest["model"].unique().to_list()
    assert (outcome.folder / "tables" / "replay.parquet").is_file()
    assert [one["source"] for one in outcome.work.loads] == ["sales.jsonl"]
    page = (outcome.folder / "proof" / "index.html").read_text(encoding="utf-8")
    assert "bounded" in page and "hundredfold" in page


def test_the_plan_holds_the_version_of_each_plugin_that_it_names(shop_plugins: Path, tmp_path: Path) -> None:
    folder = shop(tmp_path / "shop")
    plan = open_project(folder).plan
    assert plan.values["plugins"] == {
        "models.same_weekday": "shop-plugins 1.0",
        "checks.bounded": "shop-plugins 1.0",
        "sources.jsonl": "shop-plugins 1.0",
        "policies.up_to": "shop-plugins 1.0",
    }
    (shop_plugins / "shop_plugins-1.0.dist-info").rename(shop_plugins / "gone")
    distribution(shop_plugins, "shop-plugins", "1.1", POINTS)
    installed_again()
    newer = open_project(folder).plan
    assert newer.digest != plan.digest
    assert "shop-plugins 1.1" in repr(open_project(folder).forecast.models[1])  # and so in the name of each fit
    (folder / "foreproof.yaml").write_text(plan.text(), encoding="utf-8")
    with pytest.raises(PlanError, match=r"plugins.*shop-plugins 1\.1.*shop-plugins 1\.0"):
        open_project(folder)


def installed_again() -> None:
    """As a new process would: what is installed is read once a process."""
    from foreproof.app import plugins

    plugins._installed.cache_clear()


def test_a_plan_that_names_no_plugin_has_the_digest_that_it_had_before_one_was_installed(
    site: Path, tmp_path: Path
) -> None:
    plain = PLAN.replace("{same_weekday: {weeks: 3}}", "theta").replace("jsonl: sales.jsonl", "url: sales.csv")
    plain = plain.split("proof:")[0]
    folder = shop(tmp_path / "shop", plan=plain)
    before = open_project(folder).plan.digest
    distribution(site, "shop-plugins", "1.0", POINTS, shop_plugins=MODULE)
    installed_again()
    assert len(installed().found) == 4
    assert open_project(folder).plan.digest == before


def test_a_chunk_is_forecast_with_plugins_in_any_process(shop_plugins: Path, tmp_path: Path) -> None:
    import pickle

    plan = open_project(shop(tmp_path / "shop")).plan
    chunk = pickle.loads(pickle.dumps(ChunkForecast(plan.text(), 3, {}, plan.plugins)))
    assert [plugin.name for plugin in chunk.plugins.found] == ["bounded", "same_weekday", "up_to", "jsonl"]


@pytest.mark.parametrize(
    ("was", "now", "said"),
    [
        ("weeks: 3", "weeks: 0", "weeks"),
        ("weeks: 3", "week: 3", "weeks"),
        ("[bounded]", "[bouded]", "bounded"),
        ("bounded: {limit: 4.0}", "bounded: {limt: 4.0}", "limit"),
        ("level: 0.8", "lewel: 0.8", "level"),
        ("policy: up_to", "policy: upto", "up_to"),
        ("jsonl: sales.jsonl", "json: sales.jsonl", "jsonl"),
        ("jsonl: sales.jsonl", "jsonl: sales.jsonl, gzip: true", "gzip"),
    ],
)
def test_a_setting_that_a_plugin_does_not_know_is_refused_like_any_other(
    shop_plugins: Path, tmp_path: Path, was: str, now: str, said: str
) -> None:
    project = open_project(shop(tmp_path / "shop", plan=PLAN.replace(was, now)))
    with pytest.raises(PlanError, match=said):
        assert project.forecast and project.sources


def test_two_distributions_of_one_name_are_refused_and_both_are_named(site: Path, tmp_path: Path) -> None:
    distribution(site, "shop-plugins", "1.0", POINTS, shop_plugins=MODULE)
    distribution(site, "other-plugins", "2.0", {"foreproof.models": {"same_weekday": "x:y"}})
    with pytest.raises(BadInput, match=r"same_weekday.*(shop-plugins 1\.0.*other-plugins 2\.0|other.*shop)"):
        open_project(shop(tmp_path / "shop"))


@pytest.mark.parametrize(
    ("group", "name"), [("models", "theta"), ("checks", "gap law"), ("sources", "url"), ("policies", "newsvendor")]
)
def test_a_name_that_is_built_in_cannot_be_taken(site: Path, group: str, name: str) -> None:
    distribution(site, "bold", "0.1", {f"foreproof.{group}": {name: "x:y"}})
    with pytest.raises(BadInput, match=rf"{name}: a plugin of bold 0\.1 under a name that is built in"):
        installed()


BROKEN = {
    "no module": ("gone:make", "", "cannot be imported"),
    "no object": ("broken:gone", "", "cannot be imported"),
    "fails when imported": ("broken:make", "1 / 0", "ZeroDivisionError"),
    "cannot be called": ("broken:make", "make = 3", "cannot be called"),
    "fails when called": ("broken:make", "def make(section): raise ValueError('oh')", "ValueError: oh"),
    "is no model": ("broken:make", "def make(section): return 3", "without name, reads_rows, fit"),
    "is no value": (
        "broken:make",
        "class Bad:\n    name = 'bad'\n    reads_rows = False\n    def fit(self, past, seed): ...\n"
        "def make(section): return Bad()",
        "frozen dataclass",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_plugin_names_distribution_and_object_where_a_plan_names_it(
    site: Path, tmp_path: Path, case: str
) -> None:
    target, source, said = BROKEN[case]
    distribution(site, "acme", "0.1", {"foreproof.models": {"bad": target}}, broken=source)
    plan = PLAN.replace("{same_weekday: {weeks: 3}}", "bad").split("proof:")[0]
    with pytest.raises(BadInput) as error:
        assert open_project(shop(tmp_path / "shop", plan=plan)).forecast
    assert "acme 0.1" in str(error.value)
    assert target in str(error.value)
    assert said in str(error.value)
    other = PLAN.replace("{same_weekday: {weeks: 3}}", "theta").split("proof:")[0]
    assert open_project(shop(tmp_path / "other", plan=other)).forecast.models  # it breaks no other plan


def test_the_doctor_lists_plugins_and_says_which_cannot_be_used(
    shop_plugins: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands.out, "_width", 200)
    assert commands.doctor() == 0
    said = capsys.readouterr().out
    assert all(name in said for name in ("same_weekday", "bounded", "jsonl", "up_to", "shop-plugins 1.0"))
    distribution(shop_plugins, "acme", "0.1", {"foreproof.checks": {"odd": "gone:Odd"}})
    installed_again()
    assert {plugin.name for plugin in installed().found if fault(plugin)} == {"odd"}
    assert commands.doctor() == 1
    assert "acme 0.1" in capsys.readouterr().out


def test_a_check_of_another_name_and_one_for_another_workload_are_refused(site: Path, tmp_path: Path) -> None:
    source = (
        MODULE
        + "\n\n@dataclass(frozen=True)\nclass Chances(Bounded):\n    name: str = 'chances'\n    kinds = ('chance',)\n"
    )
    points = {"foreproof.checks": {"renamed": "shop_plugins:Bounded", "chances": "shop_plugins:Chances"}}
    distribution(site, "shop-plugins", "1.0", {**POINTS, **points}, shop_plugins=source)
    for name, said in (("renamed", "a check named 'bounded'"), ("chances", "judges no quantity")):
        plan = PLAN.replace("{also: [bounded], limits: {bounded: {limit: 4.0}}}", f"{{also: [{name}]}}")
        with pytest.raises(BadInput, match=said):
            assert open_project(shop(tmp_path / name, plan=plan)).forecast
