"""Routes, one file a group: `PART` (a word for `serve --only`) and `router`; being here is all it takes to be served."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable

from fastapi import APIRouter

from foreproof.errors import BadInput

ALWAYS = "health"
"""The part that is served with every other one."""


def routers(only: Iterable[str] = ()) -> tuple[APIRouter, ...]:
    """The routers of some parts, or of all. Raises BadInput for a part that is not there."""
    names = sorted(found.name for found in pkgutil.iter_modules(__path__))
    modules = [importlib.import_module(f"{__name__}.{name}") for name in names]
    parts = {str(module.PART) for module in modules}
    wanted = set(only)
    if unknown := sorted(wanted - parts):
        raise BadInput("--only", found=unknown[0], wanted=f"one of {', '.join(sorted(parts))}")
    return tuple(module.router for module in modules if not wanted or module.PART in wanted | {ALWAYS})


__all__ = ["ALWAYS", "routers"]
