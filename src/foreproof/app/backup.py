"""`foreproof backup` and `foreproof restore`: a project or a home as one file, verified when written and when read.

A backup is first laid out in a folder beside the stores (links, so it costs no room), then held to what the log signs, then
packed: one that would not restore is never written. A restore goes the other way round, and moves its folder into place last.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from foreproof.adapters import snapshot
from foreproof.adapters.archive import pack, unpack
from foreproof.adapters.catalog import Catalog
from foreproof.adapters.lake import Lake
from foreproof.adapters.ledger import Ledger
from foreproof.app.home import Place, open_home
from foreproof.app.project import ORIGIN, PLAN_FILE
from foreproof.app.settings import Settings, read_settings
from foreproof.core.plan import parse_yaml
from foreproof.errors import BadInput, ForeproofError, IntegrityError

SCHEMA = 1
_INSIDE, _CATALOG, _LAKE = ".foreproof", "catalog.db", "lake"
_KEPT = ("*.yaml", "*.yml", "*.py", "*.md")
"""What of a project's own folder is kept: plan, settings, features, own code, README; not its raw data, which are in the lake."""
_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class Done:
    """What was backed up or restored. manifest: as in the archive. notes: what is not in it, and what to do about it."""

    path: Path
    manifest: Mapping[str, Any]
    notes: tuple[str, ...] = ()


def backup(folder: Path, archive: Path, environment: Mapping[str, str], *, now: datetime) -> Done:
    """Write a project, or a home with its projects, into one archive, while other processes may go on writing.

    Raises BadInput for a folder that is neither and for an archive that is there already; IntegrityError where the log, a run's
    files or a table are not as signed.
    """
    home = open_home(folder, environment)
    parts = {
        place.folder.relative_to(folder).as_posix(): place for tenant in home.tenants() for place in home.places(tenant)
    }
    if archive.exists():
        raise BadInput(str(archive), found="a file already", wanted="a new one", fix="choose another name")
    inside = folder / _INSIDE
    inside.mkdir(exist_ok=True)
    draft = inside / f".backup-{os.getpid()}"
    try:
        for attempt in range(_ATTEMPTS):
            shutil.rmtree(draft, ignore_errors=True)
            try:
                said, notes = _laid_out(folder, draft, parts, environment)
                break
            except IntegrityError:
                # A run that was recorded anew between two of our looks is whole at the next one.
                if attempt == _ATTEMPTS - 1:
                    raise
        said = {"schema": SCHEMA, "made": now.isoformat(), "foreproof": metadata.version("foreproof"), **said}
        return Done(archive, pack(draft, archive, said), notes)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def restore(archive: Path, folder: Path, *, catalog: str = "") -> Done:
    """Make a new folder of an archive: every file's digest, the logs, runs and tables are verified before it appears.

    catalog: a PostgreSQL or SQLite URL, empty so far, that takes the log and the runs instead of a file in the project.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise BadInput(str(folder), found="something already", wanted="a new folder", fix="choose another NEWDIR")
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = folder.parent / f".{folder.name}.{os.getpid()}.restoring"
    shutil.rmtree(draft, ignore_errors=True)
    try:
        draft.mkdir()
        manifest = unpack(archive, draft)
        if manifest.get("schema") != SCHEMA:
            raise BadInput(
                str(archive),
                found=f"a backup of schema {manifest.get('schema')}",
                wanted=f"{SCHEMA}",
                fix="restore it with the Foreproof that wrote it",
            )
        with _named(archive):
            for path, one in manifest["projects"].items():
                _hold(draft / path, one)
            for database in draft.rglob("*.db"):
                if wrong := snapshot.sound(database):
                    raise IntegrityError(database.relative_to(draft).as_posix(), found=wrong, wanted="a sound database")
        if catalog:
            _move_catalog(draft, manifest["projects"], catalog)
        if folder.is_dir():
            folder.rmdir()
        draft.rename(folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return Done(folder, manifest, tuple(_elsewhere(folder, manifest["projects"], catalog)))


def _laid_out(
    folder: Path, draft: Path, parts: Mapping[str, Place], environment: Mapping[str, str]
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Lay out everything in the draft and hold it to what is signed; what the manifest says of it, and notes."""
    projects, notes = {}, []
    for path, place in parts.items():
        source, settings = place.folder, read_settings(place.folder, place.environment)
        target = draft / path
        notes += [f"{path}: {note}" for note in _lay_project(source, target, settings)]
        projects[path] = _described(target, settings)
        _hold(target, projects[path])
    if "." not in parts:
        snapshot.copy_inside(folder / _INSIDE, draft / _INSIDE)
        _copy_kept(folder, draft)
    for name, what in (("FOREPROOF_SERVICE", "the service's store"), ("FOREPROOF_JOBS", "the job queue")):
        if environment.get(name, "").startswith("postgres"):
            notes.append(f"{what} ({name}) is a PostgreSQL database of its own: keep it with pg_dump")
    return {"projects": projects}, tuple(notes)


def _lay_project(source: Path, target: Path, settings: Settings) -> list[str]:
    """One project's files into the draft; notes on what is not among them.

    Runs first, then the log, which knows at least those, then the facts, which are at least those that they were made of.
    """
    notes = []
    ledger = _ledger(source, settings)
    if ledger is not None:
        ledger.checkpoint()
    _copy_kept(source, target)
    snapshot.copy_runs(source / "runs", target / "runs")
    snapshot.copy_served(source / "served", target / "served")
    snapshot.link_tree(source / "scenarios", target / "scenarios")
    snapshot.copy_inside(source / _INSIDE, target / _INSIDE)
    if ledger is not None:
        _copy_catalog(ledger.catalog, target / _INSIDE / _CATALOG)
        snapshot.copy_runs(source / "runs", target / "runs")  # those recorded since
        ledger.catalog.close()
    if "://" in settings.lake:
        notes.append(f"the lake {settings.lake} is not in the archive: it only grows, so keep it where it is")
    else:
        snapshot.copy_lake(Path(settings.lake), target / _INSIDE / _LAKE)
    return notes


def _copy_kept(source: Path, target: Path) -> None:
    """Plan, settings and what else of a project's own folder is kept, with the modules of own code that a plan's digest names."""
    for pattern in _KEPT:
        for path in sorted(source.glob(pattern)):
            snapshot.copy(path, target / path.name)
    plan = source / PLAN_FILE
    listed = parse_yaml(plan.read_text(encoding="utf-8"), name=str(plan)).get("features") if plan.is_file() else None
    named = (
        [str(one["custom"]) for one in listed if isinstance(one, Mapping) and "custom" in one]
        if isinstance(listed, list)
        else []
    )
    for module in {name.partition(":")[0] for name in named}:
        inside = Path(*module.split(".")).with_suffix(".py")
        if (source / inside).is_file():
            snapshot.copy(source / inside, target / inside)


def _copy_catalog(catalog: Catalog, target: Path) -> None:
    if catalog.url.get_backend_name() == "sqlite" and catalog.url.database:
        target.unlink(missing_ok=True)
        snapshot.copy_database(Path(catalog.url.database), target)
        return
    target.unlink(missing_ok=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    with Catalog(f"sqlite:///{target}") as ours:
        snapshot.copy_catalog(catalog, ours)


def _ledger(source: Path, settings: Settings) -> Ledger | None:
    """The project's log, or None before there is one."""
    path = settings.catalog.removeprefix("sqlite:///")
    if path != settings.catalog and not Path(path).is_file():
        return None
    key = source / _INSIDE / "keys" / "log.pem"
    catalog = Catalog(settings.catalog)
    if not catalog.size():
        catalog.close()
        return None
    return Ledger(catalog, key, ORIGIN, settings.now, settings.checkpoints or None)


def _described(target: Path, settings: Settings) -> dict[str, Any]:
    """What the manifest says of a project that is laid out."""
    said: dict[str, Any] = {"lake": {}, "runs": sorted(path.name for path in (target / "runs").glob("*"))}
    database, lake = target / _INSIDE / _CATALOG, target / _INSIDE / _LAKE
    if database.is_file():
        with Catalog(f"sqlite:///{database}") as catalog:
            said |= {"leaves": catalog.size(), "checkpoint": (catalog.checkpoints() or [""])[-1]}
    if lake.is_dir():
        facts = Lake(str(lake), clock=settings.now)
        said["lake"] = {
            name: {"version": version, "digest": "" if name.startswith(".") else facts.data_digest(name)}
            for name, version in snapshot.lake_versions(lake).items()
        }
    return said


def _hold(folder: Path, said: Mapping[str, Any]) -> None:
    """Hold a project's folder to what its manifest and its log say. Raises IntegrityError with the first fault."""
    settings = replace(read_settings(folder, {}), lake=str(folder / _INSIDE / _LAKE))
    database = folder / _INSIDE / _CATALOG
    if "leaves" in said:
        with Catalog(f"sqlite:///{database}") as catalog:
            ledger = Ledger(catalog, folder / _INSIDE / "keys" / "log.pem", ORIGIN, settings.now)
            outside = [("the manifest", str(said["checkpoint"]))] if said["checkpoint"] else []
            for run in said["runs"]:
                path = folder / "runs" / run / "checkpoint.txt"
                outside += [(f"runs/{run}/checkpoint.txt", path.read_text(encoding="utf-8"))] if path.is_file() else []
            faults = [str(fault) for fault in ledger.verify(external=outside)]
            for run in said["runs"]:
                faults += [f"run {run}: {fault}" for fault in ledger.verify(run=folder / "runs" / run)]
        if faults:
            raise IntegrityError("log", found=faults[0], wanted="a log, and runs, as they were signed")
    lake = Path(settings.lake)
    versions = snapshot.lake_versions(lake) if lake.is_dir() else {}
    facts = Lake(settings.lake, clock=settings.now)
    for name, one in said["lake"].items():
        if versions.get(name) != one["version"]:
            found = f"version {versions.get(name, 'none')}"
            raise IntegrityError(f"table {name}", found=found, wanted=f"version {one['version']}")
        if one["digest"] and (digest := facts.data_digest(name)) != one["digest"]:
            raise IntegrityError(f"table {name}", found=f"data of digest {digest}", wanted=str(one["digest"]))


def _move_catalog(draft: Path, projects: Mapping[str, Any], url: str) -> None:
    if list(projects) != ["."]:
        raise BadInput("--catalog", found="a home of several projects", wanted="one project", fix="leave --catalog out")
    database = draft / _INSIDE / _CATALOG
    if database.is_file():
        with Catalog(f"sqlite:///{database}") as ours, Catalog(url) as theirs:
            snapshot.copy_catalog(ours, theirs)
        database.unlink()


def _elsewhere(folder: Path, projects: Mapping[str, Any], catalog: str) -> Iterator[str]:
    """Settings files that would lead a restored project away from what was restored."""
    for path in projects:
        settings = read_settings(folder / path, {})
        own = str(folder / path / _INSIDE)
        for name, value in (("lake", settings.lake), ("catalog", settings.catalog)):
            if own not in value and value != catalog:
                yield f"{path}: its settings file says {name}: {value}; what was restored lies in {own}"
    if catalog:
        yield "set FOREPROOF_CATALOG to the catalogue that took the log"


@contextmanager
def _named(archive: Path) -> Iterator[None]:
    """What does not hold says of which archive; anything that cannot be read in there is damage."""
    try:
        yield
    except ForeproofError as error:
        raise IntegrityError(
            f"{archive}: {error.subject}", found=error.found, wanted=error.wanted, fix="nothing was restored"
        ) from error


__all__ = ["SCHEMA", "Done", "backup", "restore"]
