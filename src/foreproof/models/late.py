"""Heavy libraries, imported where they are used: `import foreproof.models` stays light."""

from __future__ import annotations

import importlib
from typing import Any

from foreproof.errors import MissingExtra


def library(name: str, *, extra: str = "forecast") -> Any:
    """The module of an optional library; MissingExtra says how to get it: by which extra of this package."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        package = name.partition(".")[0]
        if error.name is None or error.name.partition(".")[0] != package:
            raise
        raise MissingExtra(
            package,
            found="not installed",
            wanted=f"the extra `{extra}`",
            fix=f"pip install 'foreproof[{extra}]'",
        ) from None


__all__ = ["library"]
