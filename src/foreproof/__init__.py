"""Foreproof: predictions and decisions from tables of dated facts, with proof that they were made honestly."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from foreproof.engine.audit import audit
    from foreproof.engine.beside import beside
    from foreproof.engine.frames import Dated
    from foreproof.engine.learners import learner, mlforecast_rows
    from foreproof.engine.strangers import by_cutoff, by_row

__version__ = "0.1.0"

_LATE = {
    "Dated": "foreproof.engine.frames",
    "audit": "foreproof.engine.audit",
    "beside": "foreproof.engine.beside",
    "by_cutoff": "foreproof.engine.strangers",
    "by_row": "foreproof.engine.strangers",
    "learner": "foreproof.engine.learners",
    "mlforecast_rows": "foreproof.engine.learners",
}


def __getattr__(name: str) -> Any:
    # Late, so that `import foreproof` (and the pytest plugin with it) stays cheap.
    if name in _LATE:
        return getattr(import_module(_LATE[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = ["Dated", "audit", "beside", "by_cutoff", "by_row", "learner", "mlforecast_rows"]
