"""The pages, one file each: `TITLE`, `ICON`, `ORDER`, `SECTION` and `render(client)`; being here is all it takes to be shown."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass

from foreproof.ui.client import Client


@dataclass(frozen=True, slots=True)
class View:
    """A page: its name in the address, what the menu calls it, and what draws it."""

    name: str
    title: str
    icon: str
    order: int
    section: str
    render: Callable[[Client], None]


def views() -> tuple[View, ...]:
    """Every page of this package, in the order of the menu."""
    found = []
    for module in pkgutil.iter_modules(__path__):
        page = importlib.import_module(f"{__name__}.{module.name}")
        found.append(View(module.name, page.TITLE, page.ICON, page.ORDER, page.SECTION, page.render))
    return tuple(sorted(found, key=lambda view: (view.order, view.name)))


__all__ = ["View", "views"]
