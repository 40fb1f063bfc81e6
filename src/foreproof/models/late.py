"""Heavy libraries, imported where they are used: `import foreproof.models` stays light."""

from __future__ import annotations

import importlib
from typing import Any

from foreproof.errors import MissingExtra


def library(name: str) -> Any:
    """The module of an optional library; MissingExtra says how to get it."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        package = name.partition(".")[0]
        if error.name is None or error.name.partition(".")[0] != package:
            raise
        raise MissingExtra(
            package,
            found="not installed",
            wanted="the extra `forecast`",
            fix="pip install 'foreproof[forecast]'",
        ) from None


__all__ = ["library"]
