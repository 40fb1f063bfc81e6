"""Deployment settings of a project, read here once. The science is in the plan; nothing here changes a result.

`app/configuration.py` lists every setting, and says where a value may come from.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from foreproof.app.configuration import merged
from foreproof.errors import BadInput


@dataclass(frozen=True, slots=True)
class Settings:
    """Where things are kept, and how many processes work."""

    workers: int
    lake: str
    catalog: str
    checkpoints: str
    mlflow: str
    today: datetime | None

    def now(self) -> datetime:
        """The present instant, or the one that the settings pin."""
        return self.today or datetime.now(UTC)


def read_settings(project: Path, environment: Mapping[str, str] | None = None) -> Settings:
    """The settings of a project folder; an unreadable value is an error that names the variable."""
    env = merged(project, os.environ if environment is None else environment)
    inside = project / ".foreproof"
    return Settings(
        workers=_workers(env.get("FOREPROOF_WORKERS", "")),
        lake=env.get("FOREPROOF_LAKE") or str(inside / "lake"),
        catalog=env.get("FOREPROOF_CATALOG") or f"sqlite:///{inside / 'catalog.db'}",
        checkpoints=env.get("FOREPROOF_CHECKPOINTS", ""),
        mlflow=env.get("FOREPROOF_MLFLOW", ""),
        today=_instant(env.get("FOREPROOF_TODAY", "")),
    )


def _workers(text: str) -> int:
    if not text:
        return min(os.cpu_count() or 1, 8)
    if not text.isdigit() or not 1 <= int(text) <= 256:
        raise BadInput("FOREPROOF_WORKERS", found=repr(text), wanted="a whole number from 1 to 256")
    return int(text)


def _instant(text: str) -> datetime | None:
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise BadInput("FOREPROOF_TODAY", found=repr(text), wanted="an ISO date or instant") from None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)


__all__ = ["Settings", "read_settings"]
