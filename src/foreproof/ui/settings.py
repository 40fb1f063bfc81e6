"""Where the API is, and the key that is sent to it; both from the environment, so that no file of the pages holds a secret."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

DEFAULT_URL = "http://127.0.0.1:8765"


@dataclass(frozen=True, slots=True)
class PageSettings:
    """url: the service's address, without `/api/v1`. key: empty where the service asks for none."""

    url: str
    key: str = field(default="", repr=False)


def read_page_settings(environment: Mapping[str, str] | None = None) -> PageSettings:
    """The settings of the pages: `FOREPROOF_API_URL` and `FOREPROOF_API_KEY`."""
    env = os.environ if environment is None else environment
    url = (env.get("FOREPROOF_API_URL") or DEFAULT_URL).rstrip("/").removesuffix("/api/v1")
    return PageSettings(url, env.get("FOREPROOF_API_KEY", "").strip())


__all__ = ["DEFAULT_URL", "PageSettings", "read_page_settings"]
