"""Every setting, in one list, and where each value comes from: the environment, a file of `APP_ENV`, a base file, the default.

A folder (a project, or the home of a service) may hold `foreproof.settings.yaml` and, for each environment that it runs in,
`foreproof.settings.APP_ENV.yaml`. The environment is stronger than both, the second file stronger than the first. A key is a
setting's name without `FOREPROOF_` in lower case; mappings inside join by `_`. Secrets come from the environment only.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from foreproof.core.plan import parse_yaml
from foreproof.errors import BadInput, PlanError

PREFIX = "FOREPROOF_"
BASE_FILE = "foreproof.settings.yaml"

Scope = Literal["project", "service", "page"]
Kind = Literal["text", "whole", "number"]

_ENVIRONMENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_PASSWORD = re.compile(r"(?<=://)([^/@:\s]*):[^@\s]*(?=@)")
_WORDS: Mapping[Kind, str] = {"text": "a text", "whole": "a whole number", "number": "a number"}


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting: its variable, its default in words or as a value, what it means, and who reads it.

    secret: never in a file, never shown. kind: what a file may hold for it.
    """

    name: str
    default: str
    words: str
    secret: bool = False
    scope: Scope = "project"
    kind: Kind = "text"

    @property
    def key(self) -> str:
        """Its name in a file."""
        return self.name.removeprefix(PREFIX).lower()


@dataclass(frozen=True, slots=True)
class Value:
    """What a setting is, and where that was said: `environment`, or the name of a file."""

    text: str
    origin: str


def _service(name: str, default: str, words: str, *, secret: bool = False, kind: Kind = "text") -> Setting:
    return Setting(name, default, words, secret, "service", kind)


SETTINGS = (
    Setting(
        "FOREPROOF_WORKERS",
        "number of cores, at most 8",
        "processes that fit models side by side, 1 to 256",
        kind="whole",
    ),
    Setting("FOREPROOF_LAKE", "`.foreproof/lake` in the project", "folder or URL of the lake"),
    Setting(
        "FOREPROOF_CATALOG",
        "SQLite in `.foreproof/catalog.db`",
        "SQLAlchemy URL of the catalogue, which holds runs and the log",
    ),
    Setting("FOREPROOF_CHECKPOINTS", "none", "folder or fsspec URL that also receives every signed checkpoint"),
    Setting(
        "FOREPROOF_MLFLOW", "none", "tracking URI of an MLflow that mirrors every whole run; needs the extra `mlflow`"
    ),
    Setting(
        "FOREPROOF_TODAY",
        "the clock",
        "an ISO date or instant to use as now; without a zone it is UTC, a date is its first instant",
    ),
    _service(
        "FOREPROOF_SERVICE",
        "SQLite in `.foreproof/service.db` of the home",
        "SQLAlchemy URL of the service's own store: keys, usage, audit",
    ),
    _service("FOREPROOF_JOBS", "SQLite in `.foreproof/jobs.db` of the home", "database URL of the job queue"),
    _service(
        "FOREPROOF_AUTH",
        "auto",
        "`auto` asks for an API key as soon as one exists or the host is not loopback, `keys` asks always",
    ),
    _service(
        "FOREPROOF_KEY_SECRET", "a file made on first use", "the secret with which API keys are hashed", secret=True
    ),
    _service("FOREPROOF_OIDC_ISSUER", "none", "address of the OpenID Connect issuer whose tokens are taken"),
    _service("FOREPROOF_OIDC_AUDIENCE", "none", "the audience that a token has to name"),
    _service("FOREPROOF_OIDC_TENANT", "tenant", "the claim of a token that names the tenant"),
    _service("FOREPROOF_OIDC_ROLE", "role", "the claim of a token that names the role"),
    _service("FOREPROOF_RATE", "2000", "requests a second that one key may make", kind="number"),
    _service("FOREPROOF_BURST", "4000", "requests that one key may make at once after a pause", kind="whole"),
    _service("FOREPROOF_QUOTA", "none", "requests a day that one tenant may make", kind="whole"),
    _service("FOREPROOF_MAX_BODY", "16777216", "bytes that the body of a request may have", kind="whole"),
    _service("FOREPROOF_PRICES", "none", "path of a YAML table of prices for `usage`"),
    _service("FOREPROOF_LOG", "json", "`json` for one object a line, `text` for lines to read"),
    _service("FOREPROOF_OTEL", "none", "OTLP endpoint that receives traces"),
    _service(
        "FOREPROOF_LLM_URL", "none", "address of an OpenAI-compatible API; without it the deterministic writer answers"
    ),
    _service("FOREPROOF_LLM_MODEL", "none", "the model that writes"),
    _service("FOREPROOF_LLM_KEY", "none", "the key of that API", secret=True),
    _service("FOREPROOF_LLM_TEMPERATURE", "0", "its temperature, 0 to 2", kind="number"),
    _service("FOREPROOF_LLM_MAX_TOKENS", "1024", "tokens that one answer may have", kind="whole"),
    _service("FOREPROOF_LLM_TIMEOUT", "30", "seconds that one call may take", kind="number"),
    _service("FOREPROOF_LLM_RETRIES", "2", "how often a call that failed is made again", kind="whole"),
    Setting("FOREPROOF_API_URL", "http://127.0.0.1:8765", "address of the service that the page reads", scope="page"),
    Setting("FOREPROOF_API_KEY", "none", "the API key that the page sends", secret=True, scope="page"),
)
"""Every setting: what `foreproof settings` shows and docs/settings.md lists."""

NAMES = tuple(setting.name for setting in SETTINGS)
BY_NAME: Mapping[str, Setting] = MappingProxyType({setting.name: setting for setting in SETTINGS})
_BY_KEY = {setting.key: setting for setting in SETTINGS}


def merged(folder: Path, environment: Mapping[str, str]) -> Mapping[str, str]:
    """What is set for a folder, by name of the variable; a name that is not there has its default.

    Raises BadInput with file, key and fix for a file that cannot be used.
    """
    return {name: value.text for name, value in looked_up(folder, environment).items()}


def looked_up(folder: Path, environment: Mapping[str, str]) -> Mapping[str, Value]:
    """`merged` with where each value was said. An empty variable counts as one that is not set."""
    found: dict[str, Value] = {}
    for path in settings_files(folder, environment):
        if path.is_file():
            found.update({name: Value(text, path.name) for name, text in _file(path).items()})
    found.update({name: Value(environment[name], "environment") for name in NAMES if environment.get(name)})
    return found


def settings_files(folder: Path, environment: Mapping[str, str]) -> tuple[Path, ...]:
    """The files that a folder may hold for this environment, the weaker first, whether they are there or not."""
    name = environment.get("APP_ENV", "")
    if not name:
        return (folder / BASE_FILE,)
    if not _ENVIRONMENT.fullmatch(name):
        raise BadInput(
            "APP_ENV",
            found=repr(name),
            wanted="letters, digits, dots, dashes and underscores",
            fix="such as production",
        )
    return folder / BASE_FILE, folder / f"foreproof.settings.{name}.yaml"


def strangers(environment: Mapping[str, str]) -> Mapping[str, str]:
    """Variables with our prefix that are no setting, each with the nearest one that is, or an empty text."""
    unknown = sorted(name for name in environment if name.startswith(PREFIX) and name not in BY_NAME)
    return {name: next(iter(difflib.get_close_matches(name, NAMES, n=1)), "") for name in unknown}


def shown(setting: Setting, text: str) -> str:
    """A value as it may be printed: a secret only as `set` or `not set`, an address without its password."""
    if setting.secret:
        return "set" if text else "not set"
    return _PASSWORD.sub(r"\1:***", text)


def _file(path: Path) -> dict[str, str]:
    """The settings of one file, by name of the variable."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(str(path), found=f"a file that cannot be read ({error})", fix="save it as UTF-8") from None
    if all(not line.strip() or line.lstrip().startswith("#") for line in text.splitlines()):
        return {}
    try:
        values = parse_yaml(text, name=str(path))
    except PlanError as error:
        raise BadInput(error.subject, found=error.found, wanted=error.wanted, fix="see docs/settings.md") from None
    found: dict[str, str] = {}
    for key, value in _leaves(path, values):
        setting = _known(path, key)
        if setting.name in found:
            raise BadInput(f"{path}: {key}", found="a setting that comes twice", fix="keep one of the two lines")
        found[setting.name] = _text(path, setting, value)
    return found


def _leaves(path: Path, values: Mapping[Any, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if not isinstance(name, str):
            raise BadInput(f"{path}: {before}{name}", found="a key that is no text", wanted="the name of a setting")
        key = f"{before}{name}"
        if isinstance(value, Mapping) and key not in _BY_KEY:
            yield from _leaves(path, value, f"{key}_")
        else:
            yield key, value


def _known(path: Path, key: str) -> Setting:
    setting = _BY_KEY.get(key)
    if setting is None:
        near = difflib.get_close_matches(key.lower().removeprefix(PREFIX.lower()), _BY_KEY, n=1)
        fix = f"did you mean {near[0]}?" if near else "`foreproof settings` lists them all"
        raise BadInput(f"{path}: {key}", found="an unknown setting", fix=fix)
    if setting.secret:
        raise BadInput(
            f"{path}: {key}",
            found="a secret in a file",
            wanted="it in the environment only",
            fix=f"take the line out and set {setting.name}; if others could read the file, change the secret",
        )
    return setting


def _text(path: Path, setting: Setting, value: Any) -> str:
    """A value of a file as the environment would have it."""
    where, wanted = f"{path}: {setting.key}", _WORDS[setting.kind]
    match value:
        case str() if value.strip():
            text = value.strip()
        case datetime() | date():
            text = value.isoformat()
        case int() | float() if not isinstance(value, bool):
            text = str(value)
        case _:
            kinds = {bool: "true or false", dict: "a mapping", list: "a list"}  # the value itself may be a secret
            said = kinds.get(type(value), "nothing")
            raise BadInput(where, found=said, wanted=wanted, fix="give one, or take the line out for the default")
    if setting.kind != "text" and not _is_number(text, whole=setting.kind == "whole"):
        raise BadInput(where, found=repr(text), wanted=wanted, fix="take the line out for the default")
    if _PASSWORD.search(text):
        raise BadInput(
            where,
            found="an address with a password",
            wanted="passwords in the environment only",
            fix=f"set {setting.name} there, or leave the password to the database's own password file",
        )
    return text


def _is_number(text: str, *, whole: bool) -> bool:
    return re.fullmatch(r"[+-]?\d+" if whole else r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", text) is not None


__all__ = [
    "BASE_FILE",
    "BY_NAME",
    "NAMES",
    "PREFIX",
    "SETTINGS",
    "Kind",
    "Scope",
    "Setting",
    "Value",
    "looked_up",
    "merged",
    "settings_files",
    "shown",
    "strangers",
]
