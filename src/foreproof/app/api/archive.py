"""What a project recorded: runs and the log, read from the catalogue without opening the project (which costs a second)."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from foreproof.app.home import Place
from foreproof.app.settings import Settings, read_settings
from foreproof.errors import NotFound

if TYPE_CHECKING:
    from foreproof.adapters.catalog import Catalog
    from foreproof.adapters.ledger import Ledger
    from foreproof.app.project import Project

SERVED = "served"
"""Stands for the id of the run that is served now."""
_ORIGIN = "foreproof.local/log"


class Archive:
    """Catalogues by address, opened once."""

    def __init__(self) -> None:
        self._open: dict[str, Catalog] = {}
        self._lock = threading.Lock()

    def catalog(self, place: Place) -> Catalog | None:
        """A place's catalogue; None before there is one. Raises StoreError where it does not answer."""
        from foreproof.adapters.catalog import Catalog

        url = settings_of(place).catalog
        file = url.removeprefix("sqlite:///")
        if file != url and not Path(file).is_file():
            return None
        with self._lock:
            if url not in self._open:
                self._open[url] = Catalog(url)
            return self._open[url]

    def ledger(self, place: Place) -> Ledger:
        """A place's log. Raises NotFound before there is one."""
        from foreproof.adapters.ledger import Ledger

        catalog, settings = self.catalog(place), settings_of(place)
        if catalog is None or not catalog.size():
            raise NotFound(f"log of {place.name}", found="no leaf yet", wanted="a run", fix="foreproof run")
        key = place.folder / ".foreproof" / "keys" / "log.pem"
        return Ledger(catalog, key, _ORIGIN, settings.now, settings.checkpoints or None)

    def manifests(self, place: Place) -> list[Mapping[str, Any]]:
        """The manifests of a place's runs, newest first."""
        catalog = self.catalog(place)
        return [] if catalog is None else [record.manifest for record in reversed(catalog.runs())]

    def manifest(self, place: Place, run: str) -> Mapping[str, Any]:
        """The manifest of a run by its id, the beginning of one, or `served`. Raises NotFound."""
        if run == SERVED:
            return self._served(place)[0]
        found = [one for one in self.manifests(place) if str(one["run"]).startswith(run)]
        exact = [one for one in found if one["run"] == run] or found
        if len(exact) != 1:
            what = f"{len(exact)} runs that begin so" if exact else "no such run"
            raise NotFound(f"run {run}", found=what, wanted="the id of one", fix="GET /api/v1/runs lists them")
        return exact[0]

    def folder(self, place: Place, run: str) -> tuple[Mapping[str, Any], Path]:
        """A run's manifest and the folder of its files, or of the copy that is served. Raises NotFound where both are gone."""
        if run == SERVED:
            return self._served(place)
        manifest = self.manifest(place, run)
        name = str(manifest["run"])
        for folder in (place.folder / "runs" / name, place.folder / SERVED / name):
            if (folder / "manifest.json").is_file():
                return manifest, folder
        raise NotFound(f"files of run {name}", found="none any more", fix="foreproof runs repeat makes them again")

    def _served(self, place: Place) -> tuple[Mapping[str, Any], Path]:
        """What is served, from its own copy: a run of the same id may have been made again since."""
        pointer = pointer_of(place)
        if pointer is None:
            raise NotFound("the served run", found="nothing is served yet", fix="GET /api/v1/runs lists what there is")
        folder = place.folder / SERVED / str(pointer["run"])
        return json.loads((folder / "manifest.json").read_text(encoding="utf-8")), folder

    def close(self) -> None:
        """Give the connections back."""
        with self._lock:
            for catalog in self._open.values():
                catalog.close()
            self._open.clear()


def settings_of(place: Place) -> Settings:
    """The settings of a place."""
    return read_settings(place.folder, place.environment)


@contextmanager
def opened(place: Place) -> Iterator[Project]:
    """A place's project for one call; its connections are given back."""
    project = place.project()
    try:
        yield project
    finally:
        if "catalog" in project.__dict__:
            project.catalog.close()


def pointer_of(place: Place) -> Mapping[str, Any] | None:
    """What a place serves: `run`, `previous`, `by`, `since`, `leaf`; None before anything was."""
    path = place.folder / SERVED / "current.json"
    try:
        found: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return found


__all__ = ["SERVED", "Archive", "opened", "pointer_of", "settings_of"]
