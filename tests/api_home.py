"""A home with a forecast and a propensity, both run whole and proven: what the tests of the API and of its pages look at."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest
from filelock import FileLock

sys.path.insert(0, str(Path(__file__).parent / "e2e"))

import project
import shop

from foreproof.app.progress import Silent
from foreproof.app.project import open_project
from foreproof.app.runner import execute

FORECAST = project.PLAN.replace(
    "models: [seasonal_naive, theta]", "models: [seasonal_naive, theta]\nproof: {coverage: 0.8}"
)
# Enough customers and cutoffs for every check of the proof.
PROPENSITY = shop.PLAN.replace("origins: 2, calibrations: 2, examples: 2", "origins: 4, calibrations: 2, examples: 3")
PROPENSITY = PROPENSITY.replace("calibration: 0.2", "calibration: 0.1")


def _made(folder: Path) -> Path:
    """`folder/forecast` and `folder/propensity` of tenant local, run whole."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FOREPROOF_WORKERS", "1")
        lines = "\n".join(shop.lines(customers=120, days=200)) + "\n"
        projects = (
            project.make(folder / "forecast", plan=FORECAST),
            shop.given(folder / "propensity", plan=PROPENSITY, data=lines),
        )
        for given in projects:
            outcome = execute(open_project(given), progress=Silent(), tag="api")
            open_ones = [
                verdict for verdict in outcome.run.verdicts if verdict.outcome not in ("passed", "not applicable")
            ]
            assert outcome.run.status == "proven", open_ones
    return folder


@pytest.fixture(scope="session")
def published_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home that was made once for all workers: read it, never write to it (`own_home` is a copy)."""
    base = tmp_path_factory.getbasetemp()
    shared = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "api-home"
    with FileLock(f"{shared}.lock"):
        if not (shared / "done").exists():
            shutil.rmtree(shared, ignore_errors=True)
            _made(shared)
            (shared / "done").touch()
    return shared
