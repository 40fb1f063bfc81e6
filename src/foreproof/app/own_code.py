"""Functions of the user's own beside the plan: they can be imported, and the plan holds the digest of what they say.

So a changed function gives a run another name, and a recorded run is repeated only with the code that it was made with.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from pathlib import Path

from foreproof.core.digest import digest_bytes
from foreproof.core.plan import Plan
from foreproof.errors import PlanError


def with_code(plan: Plan, folder: Path) -> Plan:
    """The plan with `code`: sha256 by module of each `custom` feature that lies in the folder. Installed modules are not in it.

    Raises PlanError where the plan states another digest: it is that of a recorded run, and the file has changed since.
    """
    found = {name: path for name in _modules(plan) if (path := folder / f"{name.replace('.', '/')}.py").is_file()}
    digests = {name: digest_bytes(path.read_bytes()) for name, path in found.items()}
    stated = plan.values.get("code")
    for name, digest in stated.items() if isinstance(stated, Mapping) else ():
        if digests.get(str(name)) != digest:
            raise PlanError(
                f"code.{name}",
                found=f"a file of digest {digests.get(str(name), 'none')[:12]}",
                wanted=f"that of the recorded plan, {str(digest)[:12]}",
                fix="bring the file back as it was, or take code: out of the plan",
            )
    if not found:
        return plan
    _importable(found, folder)
    return plan.having(code=digests)


def _modules(plan: Plan) -> list[str]:
    """The modules that the plan's custom features name, in order."""
    listed = plan.values.get("features")
    entries = [one for one in listed if isinstance(one, Mapping)] if isinstance(listed, list | tuple) else []
    named = [str(one["custom"]).partition(":")[0] for one in entries if "custom" in one]
    return list(dict.fromkeys(name for name in named if all(part.isidentifier() for part in name.split("."))))


def _importable(found: Mapping[str, Path], folder: Path) -> None:
    """Put the folder where Python looks; a module of that name from elsewhere is let go."""
    here = str(folder.resolve())
    if here not in sys.path:
        sys.path.insert(0, here)
    for name, path in found.items():
        loaded = getattr(sys.modules.get(name), "__file__", None)
        if loaded is not None and Path(loaded).resolve() != path.resolve():
            del sys.modules[name]
    importlib.invalidate_caches()


__all__ = ["with_code"]
