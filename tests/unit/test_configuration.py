"""Settings: the environment beats the file of `APP_ENV`, which beats the base file, and a file cannot say nonsense."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from typer.testing import CliRunner

from foreproof.app.cli import app
from foreproof.app.configuration import BY_NAME, NAMES, SETTINGS, looked_up, merged, settings_files, shown, strangers
from foreproof.app.service_settings import read_service_settings
from foreproof.app.settings import read_settings
from foreproof.errors import BadInput

BASE = "foreproof.settings.yaml"


def folder_of(tmp_path: Path, **texts: str) -> Path:
    for name, text in texts.items():
        file = BASE if name == "base" else f"foreproof.settings.{name}.yaml"
        (tmp_path / file).write_text(text, encoding="utf-8")
    return tmp_path


def test_the_environment_is_stronger_than_the_file_of_app_env_and_that_than_the_base_file(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, base="rate: 1\nburst: 1\nquota: 1\n", prod="rate: 2\nburst: 2\n")
    environment = {"APP_ENV": "prod", "FOREPROOF_RATE": "3", "FOREPROOF_BURST": ""}
    assert dict(merged(folder, environment)) == {
        "FOREPROOF_RATE": "3",
        "FOREPROOF_BURST": "2",
        "FOREPROOF_QUOTA": "1",
    }
    origins = {name: value.origin for name, value in looked_up(folder, environment).items()}
    assert origins == {
        "FOREPROOF_RATE": "environment",
        "FOREPROOF_BURST": "foreproof.settings.prod.yaml",
        "FOREPROOF_QUOTA": BASE,
    }
    assert dict(merged(folder, {"APP_ENV": "other"})) == dict.fromkeys(
        ("FOREPROOF_RATE", "FOREPROOF_BURST", "FOREPROOF_QUOTA"), "1"
    )


PLACES = st.dictionaries(st.sampled_from(["rate", "burst", "auth", "llm_model"]), st.integers(1, 9))


@given(base=PLACES, env=PLACES, variables=PLACES)
def test_each_setting_is_taken_from_the_strongest_place_that_has_it(
    tmp_path_factory: pytest.TempPathFactory, base: dict[str, int], env: dict[str, int], variables: dict[str, int]
) -> None:
    text = {
        name: "".join(f"{key}: {value}\n" for key, value in items.items())
        for name, items in {"base": base, "e": env}.items()
    }
    folder = folder_of(tmp_path_factory.mktemp("s"), **text)
    given_ = {f"FOREPROOF_{key.upper()}": str(value) for key, value in variables.items()}
    wanted = {f"FOREPROOF_{key.upper()}": str(value) for key, value in {**base, **env, **variables}.items()}
    assert dict(merged(folder, {"APP_ENV": "e", **given_})) == wanted


def test_without_files_a_project_reads_the_environment_alone(tmp_path: Path) -> None:
    assert dict(merged(tmp_path, {"FOREPROOF_WORKERS": "2", "OTHER": "x"})) == {"FOREPROOF_WORKERS": "2"}
    assert settings_files(tmp_path, {}) == (tmp_path / BASE,)
    assert read_settings(tmp_path, {}).catalog.endswith("catalog.db")


def test_a_project_reads_its_files(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, base="# where\nworkers: 3\nlake: s3://facts/lake\ntoday: 2024-01-02\n")
    found = read_settings(folder, {"FOREPROOF_LAKE": "elsewhere"})
    assert (found.workers, found.lake, found.now().year) == (3, "elsewhere", 2024)


def test_a_service_reads_the_files_of_its_home(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, base="rate: 5\noidc: {issuer: 'https://id.example.org'}\n", prod="auth: keys\n")
    found = read_service_settings(folder, {"APP_ENV": "prod", "FOREPROOF_RATE": "7"})
    assert (found.rate, found.auth, found.oidc_issuer) == (7.0, "keys", "https://id.example.org")


def test_mappings_inside_a_file_join_by_underscores_and_a_file_of_comments_says_nothing(tmp_path: Path) -> None:
    text = "oidc: {issuer: 'https://id.example.org', audience: a}\nllm: {max: {tokens: 5}, temperature: .5}\n"
    assert dict(merged(folder_of(tmp_path, base=text, none="# later\n\n"), {"APP_ENV": "none"})) == {
        "FOREPROOF_OIDC_ISSUER": "https://id.example.org",
        "FOREPROOF_OIDC_AUDIENCE": "a",
        "FOREPROOF_LLM_MAX_TOKENS": "5",
        "FOREPROOF_LLM_TEMPERATURE": "0.5",
    }


@pytest.mark.parametrize(
    ("text", "key", "said"),
    [
        ("wrokers: 2", "wrokers", "did you mean workers"),
        ("FOREPROOF_WORKERS: 2", "FOREPROOF_WORKERS", "did you mean workers"),
        ("oidc: {isuer: x}", "oidc_isuer", "did you mean oidc_issuer"),
        ("zzz: 1", "zzz", "foreproof settings"),
        ("1: 2", "1", "no text"),
        ("workers: many", "workers", "a whole number"),
        ("workers: 2.5", "workers", "a whole number"),
        ("workers: true", "workers", "true or false"),
        ("rate: fast", "rate", "a number"),
        ("lake: [a, b]", "lake", "a list"),
        ("auth: {x: hidden}", "auth", "a mapping"),
        ("lake:", "lake", "nothing"),
        ("lake: ''", "lake", "nothing"),
        ("oidc: {issuer: a}\noidc_issuer: b", "oidc_issuer", "twice"),
        ("workers: 2\nworkers: 3", "", "twice"),
        ("workers: [", "", "line"),
        ("- workers", "", "a mapping"),
        ("key_secret: hidden", "key_secret", "set FOREPROOF_KEY_SECRET"),
        ("llm: {key: hidden}", "llm_key", "environment only"),
        ("api_key: hidden", "api_key", "environment only"),
        ("catalog: postgresql://ann:hidden@host/db", "catalog", "set FOREPROOF_CATALOG"),
    ],
)
def test_a_file_that_cannot_be_used_names_itself_the_key_and_the_fix(
    tmp_path: Path, text: str, key: str, said: str
) -> None:
    with pytest.raises(BadInput) as error:
        merged(folder_of(tmp_path, base=text), {})
    assert BASE in str(error.value)
    assert key in error.value.subject
    assert said in str(error.value)
    assert "hidden" not in str(error.value)


def test_bytes_that_are_no_text_and_an_app_env_that_is_a_path_are_refused(tmp_path: Path) -> None:
    (tmp_path / BASE).write_bytes(b"lake: \xff\n")
    with pytest.raises(BadInput, match="UTF-8"):
        merged(tmp_path, {})
    for name in ("../prod", "a b", "prod/eu"):
        with pytest.raises(BadInput, match="APP_ENV"):
            merged(tmp_path, {"APP_ENV": name})


def test_no_secret_and_no_password_is_shown() -> None:
    secrets = [setting for setting in SETTINGS if setting.secret]
    assert {setting.name for setting in secrets} == {"FOREPROOF_KEY_SECRET", "FOREPROOF_LLM_KEY", "FOREPROOF_API_KEY"}
    assert {shown(setting, "hidden") for setting in secrets} == {"set"}
    assert {shown(setting, "") for setting in secrets} == {"not set"}
    catalog = BY_NAME["FOREPROOF_CATALOG"]
    assert shown(catalog, "postgresql+psycopg://ann:hidden@h:1/d") == "postgresql+psycopg://ann:***@h:1/d"
    assert shown(catalog, "sqlite:///x@y.db") == "sqlite:///x@y.db"


def test_each_setting_has_one_name_and_one_key_and_words() -> None:
    assert len(set(NAMES)) == len({setting.key for setting in SETTINGS}) == len(SETTINGS)
    assert all(setting.name.startswith("FOREPROOF_") and setting.default and setting.words for setting in SETTINGS)


def test_the_command_says_where_each_value_comes_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder_of(tmp_path, base="rate: 7\n", prod="burst: 8\n")
    # The console took its width when it was first imported.
    monkeypatch.setattr("foreproof.app.commands_settings.out", Console(width=200, soft_wrap=True))
    environment = {"APP_ENV": "prod", "FOREPROOF_LLM_KEY": "hidden", "FOREPROOF_QUOTA": "9", "FOREPROOF_WORKRES": "1"}
    done = CliRunner().invoke(app, ["settings", "-C", str(tmp_path)], env=environment)
    assert done.exit_code == 0
    rows = {words[1]: words[3:-1:2] for line in done.output.splitlines() if len(words := line.split()) == 7}
    assert rows["FOREPROOF_RATE"] == ["7", BASE]
    assert rows["FOREPROOF_BURST"] == ["8", "foreproof.settings.prod.yaml"]
    assert rows["FOREPROOF_QUOTA"] == ["9", "environment"]
    assert rows["FOREPROOF_LLM_KEY"] == ["set", "environment"]
    assert rows["FOREPROOF_AUTH"] == ["auto", "default"]
    assert "hidden" not in done.output
    assert "did you mean FOREPROOF_WORKERS" in done.output


def test_a_variable_of_ours_that_is_no_setting_is_told_with_the_nearest_one() -> None:
    assert strangers({"FOREPROOF_LAEK": "x", "FOREPROOF_LAKE": "y", "LAEK": "z"}) == {
        "FOREPROOF_LAEK": "FOREPROOF_LAKE"
    }
