"""Routes, one file a group: `PART` (a word for `serve --only`) and `router`; being here is all it takes to be served."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable
from typing import Any

from fastapi import APIRouter
from fastapi.routing import APIRoute

from foreproof.app.api.meter import measured
from foreproof.errors import BadInput

ALWAYS = frozenset({"health", "tenant"})
"""The parts that are served with every other one: whether it lives, who calls, keys, audit, usage."""


def routers(only: Iterable[str] = ()) -> tuple[APIRouter, ...]:
    """The routers of some parts, or of all. Raises BadInput for a part that is not there."""
    modules = _modules()
    parts = {str(module.PART) for module in modules}
    wanted = set(only)
    if unknown := sorted(wanted - parts):
        raise BadInput("--only", found=unknown[0], wanted=f"one of {', '.join(sorted(parts))}")
    chosen = tuple(module.router for module in modules if not wanted or module.PART in wanted | ALWAYS)
    for router in chosen:
        for route in router.routes:
            if isinstance(route, APIRoute):
                # A plain function runs in a thread of its own, where the gate cannot see what it costs.
                route.endpoint = measured(route.endpoint)
    return chosen


def need_projects(only: Iterable[str]) -> bool:
    """Whether some of these parts (all, where none is named) answer from projects: not those that say `ALONE`."""
    alone = {module.PART for module in _modules() if getattr(module, "ALONE", False)}
    return not only or bool(set(only) - alone - {ALWAYS})


def _modules() -> list[Any]:
    names = sorted(found.name for found in pkgutil.iter_modules(__path__))
    return [importlib.import_module(f"{__name__}.{name}") for name in names]


__all__ = ["ALWAYS", "need_projects", "routers"]
