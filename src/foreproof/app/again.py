"""The same build in another process: `python -m foreproof.app.again` reads what to build from stdin and prints digests as JSON.

The process opens the lake by itself, at the versions that the run has, and has other numbers of threads than the run.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from foreproof.app.progress import Silent
from foreproof.app.project import Project, plan_again
from foreproof.app.settings import read_settings
from foreproof.core.clock import Moment, moment, ticks
from foreproof.core.trial import Build, Repeat
from foreproof.engine.build import builder
from foreproof.engine.line import Bench
from foreproof.engine.pairs import pair_builder
from foreproof.errors import ForeproofError
from foreproof.gauntlet.same import digests

_THREADS = ("POLARS_MAX_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def repeater(project: Project, cutoff: Moment, versions: Mapping[str, int | None]) -> Repeat:
    """Start building at a cutoff in another process; what is returned waits for it, and gives the digests of its parts.

    Raises ForeproofError, when it is called, where the process ended without them.
    """
    asked = {
        "folder": str(project.folder.resolve()),
        "plan": project.plan.text(),
        "versions": dict(versions),
        "cutoff": ticks(cutoff),
        "integer": isinstance(cutoff, int),
    }
    environment = {**os.environ, **dict.fromkeys(_THREADS, "2" if os.environ.get(_THREADS[0]) == "1" else "1")}
    process = subprocess.Popen(
        [sys.executable, "-m", "foreproof.app.again"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        text=True,
        encoding="utf-8",
    )
    done: dict[str, str] = {}

    def wait() -> Mapping[str, str]:
        if not done:
            said, problem = process.communicate()
            if process.returncode:
                last = problem.strip().splitlines()[-1:] or ["nothing"]
                raise ForeproofError(
                    "repetition", found=f"another process that ended with: {last[0]}", wanted="digests"
                )
            done.update(json.loads(said))
        return done

    if process.stdin is not None:
        process.stdin.write(json.dumps(asked) + "\n")
        process.stdin.flush()
    return wait


def build_again(asked: Mapping[str, Any]) -> dict[str, str]:
    """The digests of population and features: everything is opened anew, nothing is fitted."""
    folder = Path(asked["folder"])
    project = Project(folder, plan_again(asked["plan"]), read_settings(folder))
    cutoff = moment(int(asked["cutoff"]), integer=bool(asked["integer"]))
    database = project.database(asked["versions"])
    bench = Bench(project.steps, 1, Silent())
    build: Build = (
        builder(project.forecast, bench)
        if project.plan.workload == "forecast"
        else pair_builder(project.propensity, bench)
    )
    built = build(database, (cutoff,), project.plan.seed)
    return digests(built, cutoff, entity=project.science.task.entity)


if __name__ == "__main__":
    print(json.dumps(build_again(json.loads(sys.stdin.readline()))))

__all__ = ["build_again", "repeater"]
