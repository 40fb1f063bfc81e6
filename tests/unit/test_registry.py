"""The registry of features: what is written is read back as the same value; a plan that names a file holds what it says."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import pytest

from feature_tables import GRIDS, HORIZON, event_features, every_feature
from foreproof.app.own_code import with_code
from foreproof.app.project import open_project
from foreproof.app.registry import declared_features, feature_lines, write_features
from foreproof.core.plan import parse_plan, parse_yaml
from foreproof.core.section import Section
from foreproof.errors import BadInput, PlanError
from foreproof.features import Feature, Lag, Rolling
from foreproof.features.cells import Reading
from foreproof.features.compile import FAMILIES
from foreproof.features.parse import parse_features
from foreproof.features.registry import entry_of, registry_text

GRID = GRIDS["days"]
SOME = Reading("sales", "price", "mean", "carry", (("store", ("n",)),), (("promo", ("true", "on")),))
ALL = tuple(
    dict.fromkeys(
        [*every_feature(GRID), *every_feature(GRIDS["integer"]), *event_features(("store",)), Lag(1, of=SOME)]
    )
)


def read(*entries: dict[str, Any]) -> tuple[Feature, ...]:
    sections = [Section(entry, path=f"features[{i}]") for i, entry in enumerate(entries)]
    grid = GRIDS["integer"] if any(entry.get("calendar") in ("phase", "trend") for entry in entries) else GRID
    return parse_features(sections, season=9, grid=grid, horizon=HORIZON)


@pytest.mark.parametrize("feature", ALL, ids=lambda feature: feature.name)
def test_every_feature_written_as_an_entry_is_read_back_as_the_same_value(feature: Feature) -> None:
    assert read(entry_of(feature)) == (feature,)


def test_every_family_is_among_them() -> None:
    assert {type(feature) for feature in ALL} == set(FAMILIES)


def test_a_file_of_all_features_is_read_back_whole() -> None:
    features = tuple(f for f in ALL if not hasattr(f, "season") or f.name[:8] != "calendar")
    listed = parse_yaml(registry_text(features, horizon=HORIZON), name="features.yaml")["features"]
    assert read(*listed) == features


def test_a_file_says_what_each_feature_reads() -> None:
    text = registry_text([Rolling("mean", 7, 2)], horizon=3)
    assert (
        "# rolling_mean_7_lag_2 (windows; window 7, lag 2, nearest 2): mean of y over (cutoff - 9, cutoff - 2]" in text
    )


PLAN = """
schema: 1
name: shop
workload: {workload}
tables:
  lines:
    happened: date
    known: same_as_happened
    columns: {{customer: text, kind: text, amount: {{type: decimal, decimals: 2}}}}
{more}
horizon: 14
features: {features}
"""
FORECAST = "series: {table: lines, by: [kind], value: amount, every: 1d}"
PROPENSITY = "pairs: {table: lines, account: customer, group: kind, value: amount}"


def given(folder: Path, workload: str, features: str) -> Path:
    more = FORECAST if workload == "forecast" else PROPENSITY
    text = PLAN.format(workload=workload, features=features, more=more)
    (folder / "foreproof.yaml").write_text(text, encoding="utf-8")
    return folder


@pytest.mark.parametrize("workload", ["forecast", "propensity"])
def test_the_default_features_survive_a_file_of_their_own(tmp_path: Path, workload: str) -> None:
    project = open_project(given(tmp_path, workload, "default"))
    declared = declared_features(project)
    assert write_features(project, tmp_path / "features.yaml").read_text(encoding="utf-8").count("\n  - ") == len(
        declared
    )
    named = open_project(given(tmp_path, workload, "features.yaml"))
    assert declared_features(named) == declared
    assert len(feature_lines(named)) == len(declared)
    assert declared_features(open_project(given(tmp_path, workload, "{file: features.yaml}"))) == declared


def test_the_digest_of_a_plan_changes_with_the_words_of_its_file_and_with_nothing_else(tmp_path: Path) -> None:
    given(tmp_path, "propensity", "features.yaml")
    path = tmp_path / "features.yaml"
    digests = []
    for text in (
        "- {over: count, of: lines, window: 7}",
        "# a word\n- {of: lines, over: count, window: 7}",
        "- {cutoff: month}",
    ):
        path.write_text(f"features:\n{text}\n", encoding="utf-8")
        digests.append(open_project(tmp_path).plan.digest)
    assert digests[0] == digests[1] != digests[2]
    assert "features.yaml" not in open_project(tmp_path).plan.text()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "no file features.yaml"),
        ("features: {lag: 1}", "no list"),
        ("features: []\nmore: 1", "more"),
        ("- {cutoff: month}", "no settings"),
        ("features: [", "YAML that"),
        ("features: [{sideways: 1}]", "sideways"),
    ],
)
def test_a_file_that_is_none_is_refused_in_words(tmp_path: Path, text: str | None, words: str) -> None:
    given(tmp_path, "propensity", "features.yaml")
    if text is not None:
        (tmp_path / "features.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(PlanError, match=words):
        _ = open_project(tmp_path).propensity


def test_a_file_that_is_no_registry_is_not_overwritten(tmp_path: Path) -> None:
    project = open_project(given(tmp_path, "propensity", "default"))
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(BadInput, match="holds no features"):
        write_features(project, tmp_path / "notes.txt")


OWN = "features: [{custom: 'own_beside_plan:sold'}, {cutoff: month}]\n"
CODE = "def sold(view):\n    return view['lines'].group_by('customer').len('value')\n"


def with_own(folder: Path, code: str = CODE) -> Path:
    folder.mkdir(exist_ok=True)
    given(folder, "propensity", "default")
    path = folder / "foreproof.yaml"
    path.write_text(path.read_text(encoding="utf-8").replace("features: default\n", OWN), encoding="utf-8")
    (folder / "own_beside_plan.py").write_text(code, encoding="utf-8")
    return folder


def test_a_function_beside_the_plan_is_found_and_its_text_is_part_of_the_plan(tmp_path: Path) -> None:
    one, other = with_own(tmp_path / "one"), with_own(tmp_path / "other", CODE + "WORD = 1\n")
    first = open_project(one)
    assert first.propensity.features[0].name == "custom_sold"
    assert not hasattr(importlib.import_module("own_beside_plan"), "WORD")
    second = open_project(other)
    assert importlib.import_module("own_beside_plan").WORD == 1, "the file beside this plan, not that of another one"
    assert first.plan.digest != second.plan.digest
    assert open_project(with_own(tmp_path / "one")).plan.digest == first.plan.digest


def test_a_recorded_plan_is_refused_with_other_code_than_it_was_made_with(tmp_path: Path) -> None:
    folder = with_own(tmp_path / "p")
    recorded = parse_plan(open_project(folder).plan.text())
    assert with_code(recorded, folder).digest == recorded.digest
    (folder / "own_beside_plan.py").write_text(CODE + "# changed\n", encoding="utf-8")
    with pytest.raises(PlanError, match=r"code\.own_beside_plan.*recorded plan"):
        with_code(recorded, folder)
    (folder / "own_beside_plan.py").unlink()
    with pytest.raises(PlanError, match="digest none"):
        with_code(recorded, folder)
    assert (
        with_code(recorded.having(features=[{"custom": "foreproof.core.clock:ticks"}], code={}), folder).values["code"]
        == {}
    )
