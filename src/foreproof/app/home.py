"""A home: the folder that a service or a worker serves, with the projects of every tenant.

```
HOME/foreproof.yaml                       one project: tenant `local`, named like the folder
HOME/PROJECT/foreproof.yaml               several projects of tenant `local`
HOME/tenants/TENANT/PROJECT/foreproof.yaml   projects of other tenants
HOME/.foreproof/                          what belongs to the service: keys, usage, audit, jobs
```

A tenant never sees that another one exists: what is not among its own projects is not found.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from foreproof.app.service_settings import ServiceSettings, read_service_settings
from foreproof.errors import BadInput, NotFound

if TYPE_CHECKING:
    from foreproof.app.project import Project

LOCAL = "local"
"""The tenant of a home's own projects."""
_PLAN = "foreproof.yaml"
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


@dataclass(frozen=True)
class Place:
    """One project of one tenant: what a call may touch."""

    tenant: str
    name: str
    folder: Path
    environment: Mapping[str, str] = field(repr=False)

    def project(self) -> Project:
        """The project under this place's settings; opened again where its plan has changed."""
        # A second and 60 MB, which a service that only reads what is published does not spend at its start.
        from foreproof.app.project import Project, open_project
        from foreproof.app.settings import read_settings

        opened = open_project(self.folder)
        return Project(opened.folder, opened.plan, read_settings(self.folder, self.environment))


@dataclass(frozen=True)
class Home:
    """A folder of projects by tenant, and the settings of the service."""

    folder: Path
    settings: ServiceSettings = field(repr=False)
    environment: Mapping[str, str] = field(repr=False, default_factory=lambda: os.environ)

    @property
    def inside(self) -> Path:
        """The folder of what belongs to the service itself."""
        return self.folder / ".foreproof"

    def tenants(self) -> tuple[str, ...]:
        """Every tenant that has a folder, `local` first."""
        named = (path.name for path in _folders(self.folder / "tenants") if _NAME.fullmatch(path.name))
        return (LOCAL, *(name for name in named if name != LOCAL))

    def root(self, tenant: str) -> Path:
        """The folder in which a tenant's projects lie. Raises BadInput for what is no name of a tenant."""
        if not _NAME.fullmatch(tenant):
            raise BadInput(
                "tenant", found=repr(tenant), wanted="lower-case letters, digits, - and _, 63 characters at most"
            )
        return self.folder if tenant == LOCAL else self.folder / "tenants" / tenant

    def places(self, tenant: str) -> tuple[Place, ...]:
        """The projects of a tenant, by name."""
        root = self.root(tenant)
        alone = tenant == LOCAL and (root / _PLAN).is_file()
        folders = [root] if alone else [path for path in _folders(root) if (path / _PLAN).is_file()]
        return tuple(self._place(tenant, path, alone=alone) for path in folders)

    def place(self, tenant: str, name: str = "", *, workload: str = "") -> Place:
        """A project of a tenant by its name; without one the first (of a workload).

        Raises NotFound where the tenant has none such: also where another tenant has.
        """
        places = self.places(tenant)
        if workload and not name:
            places = tuple(one for one in places if workload_of(one) == workload)
        for one in places:
            if name in ("", one.name):
                return one
        what = f"project {name}" if name else f"a {workload} project".replace("a  ", "a ")
        known = ", ".join(one.name for one in self.places(tenant)) or "none yet"
        raise NotFound(what, found="no such project", wanted=f"one of: {known}", fix="GET /api/v1/overview lists them")

    def _place(self, tenant: str, folder: Path, *, alone: bool) -> Place:
        name = folder.resolve().name
        return Place(tenant, name, folder, self.environment if alone else _apart(self.environment, tenant, name))


def open_home(folder: Path, environment: Mapping[str, str] | None = None, *, projects: bool = True) -> Home:
    """The home of a folder that holds a project, or folders with projects, or tenants. Raises BadInput for another one.

    projects: whether there has to be one; a service that only decides on what it is given needs none, only the folder.
    """
    env = os.environ if environment is None else environment
    home = Home(folder, read_service_settings(folder, env), env)
    if not projects and folder.is_dir():
        return home
    if not folder.is_dir() or not any(home.places(tenant) for tenant in home.tenants()):
        raise BadInput(
            str(folder),
            found="no project",
            wanted=f"a folder with {_PLAN}, or with folders that have one",
            fix="foreproof demo forecast, or foreproof new forecast DIR --data my.csv",
        )
    return home


def is_tenant(name: str) -> bool:
    """Whether a tenant may be called so: lower-case letters, digits, - and _, 63 characters at most."""
    return _NAME.fullmatch(name) is not None


def workload_of(place: Place) -> str:
    """The workload that a project's plan names, read without opening it; empty where it names none."""
    found = re.search(r"^workload:\s*([a-z]+)", (place.folder / _PLAN).read_text(encoding="utf-8"), re.MULTILINE)
    return found[1] if found else ""


def _apart(environment: Mapping[str, str], tenant: str, name: str) -> Mapping[str, str]:
    """Settings under which projects that share a store keep apart: a folder of the lake and a schema of the catalogue each."""
    found = dict(environment)
    if lake := environment.get("FOREPROOF_LAKE"):
        found["FOREPROOF_LAKE"] = f"{lake.rstrip('/')}/{tenant}/{name}"
    if copies := environment.get("FOREPROOF_CHECKPOINTS"):
        found["FOREPROOF_CHECKPOINTS"] = f"{copies.rstrip('/')}/{tenant}/{name}"
    if catalog := environment.get("FOREPROOF_CATALOG"):
        if not catalog.startswith("postgres"):
            raise BadInput(
                "FOREPROOF_CATALOG",
                found="one SQLite file for several projects",
                wanted="a PostgreSQL URL, or none",
                fix="leave it unset: each project keeps its own",
            )
        mark, schema = "&" if "?" in catalog else "?", f"fp_{tenant}_{name}".replace("-", "_")
        found["FOREPROOF_CATALOG"] = f"{catalog}{mark}schema={schema}"
    return found


def _folders(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


__all__ = ["LOCAL", "Home", "Place", "is_tenant", "open_home", "workload_of"]
