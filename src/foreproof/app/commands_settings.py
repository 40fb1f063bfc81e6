"""What `foreproof settings` prints."""

from __future__ import annotations

import os
from pathlib import Path

from rich.markup import escape
from rich.table import Table as Grid

from foreproof.app.commands import err, out
from foreproof.app.configuration import SETTINGS, looked_up, settings_files, shown, strangers


def show_settings(folder: Path) -> None:
    """Every setting of a folder: its value, and where that was said."""
    found = looked_up(folder, os.environ)
    grid = Grid("setting")
    for name in ("value", "from"):
        grid.add_column(name, overflow="fold")  # on a narrow terminal too, nothing of it is cut off
    scope = ""
    for setting in SETTINGS:
        if scope and setting.scope != scope:
            grid.add_section()
        scope = setting.scope
        value = found.get(setting.name)
        default = shown(setting, "") if setting.secret else setting.default.replace("`", "")
        text, origin = (shown(setting, value.text), value.origin) if value else (default, "default")
        grid.add_row(setting.name, escape(text), origin)
    out.print(grid)
    for path in settings_files(folder, os.environ):
        out.print(f"{path}: {'read' if path.is_file() else 'not there'}", markup=False)
    for name, near in strangers(os.environ).items():
        err.print(f"warning: {name} is no setting{f'; did you mean {near}?' if near else ''}", markup=False)


__all__ = ["show_settings"]
