"""What `foreproof backup` and `foreproof restore` print."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

from foreproof.app.backup import Done, backup, restore
from foreproof.app.commands import err, out


def show_backup(archive: Path, folder: Path) -> None:
    """Back a project or a home up, and say what is in the archive."""
    done = backup(folder, archive, os.environ, now=datetime.now(UTC))
    _say(done)
    out.print(f"wrote {archive}; try it: foreproof restore {archive} NEWDIR", markup=False)


def show_restore(archive: Path, folder: Path, *, catalog: str) -> None:
    """Restore an archive into a new folder, and say what was verified."""
    _say(restore(archive, folder, catalog=catalog))
    out.print(f"restored {folder}; every file, log, run and table is as it was", markup=False)


def _say(done: Done) -> None:
    files = done.manifest["files"].values()
    for path, one in done.manifest["projects"].items():
        tables = (
            ", ".join(f"{name} at version {table['version']}" for name, table in one["lake"].items()) or "no tables"
        )
        out.print(f"{path}: {one.get('leaves', 0)} leaves, {len(one['runs'])} runs, {tables}", markup=False)
    size = sum(one["bytes"] for one in files)
    out.print(f"{len(files)} files, {size / 1e6:.1f} MB, made {done.manifest['made']}", markup=False)
    for note in done.notes:
        err.print(f"note: {note}", markup=False, highlight=False)


__all__ = ["show_backup", "show_restore"]
