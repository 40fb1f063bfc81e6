"""What a service imports: it starts light, and a first published read brings no model library."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

LIBRARIES = (
    "sklearn", "statsforecast", "mlforecast", "lightgbm", "catboost", "mlflow", "shap", "torch", "scipy", "pandas", "numba",
    "implicit", "matplotlib", "pandera", "deltalake", "duckdb", "streamlit",
)  # fmt: skip
"""Each costs tenths of a second to seconds, and tens of megabytes; none has a part in reading what was published."""
PROGRAM = """
import json, sys
import uvicorn

def run(app, **_):
    from fastapi.testclient import TestClient
    ready = sorted(sys.modules)
    with TestClient(app) as client:
        answer = client.get("/api/v1/decisions/curve", params={"series": "item 1"})
    print("\\n" + json.dumps({"status": answer.status_code, "ready": ready, "read": sorted(sys.modules)}))

uvicorn.run = run
sys.argv = ["foreproof", "serve", *sys.argv[1:]]
from foreproof.app.start import main
main()
"""


def started(*words: str, program: str = PROGRAM) -> subprocess.CompletedProcess[str]:
    with tempfile.TemporaryDirectory() as folder:
        # The home is only read: the service's own store lies elsewhere.
        environment = {**os.environ, "FOREPROOF_SERVICE": f"sqlite:///{folder}/service.db"}
        command = [sys.executable, "-c", program, *words]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def brought(modules: list[str]) -> set[str]:
    """The libraries that somebody imported, and packages of ours that only runs need."""
    ours = ("foreproof.engine", "foreproof.models", "foreproof.gauntlet", "foreproof.features", "foreproof.app.cli")
    names = {name.partition(".")[0] for name in modules}
    return (names & set(LIBRARIES)) | {one for one in ours if one in modules}


def test_a_service_that_answers_a_published_read_has_imported_no_model_library(published_home: Path) -> None:
    done = started(str(published_home))
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    assert said["status"] == 200
    assert brought(said["ready"]) == brought(said["read"]) == set()


def test_a_library_that_was_brought_along_is_found(published_home: Path) -> None:
    done = started(str(published_home), program="import scipy\n" + PROGRAM)
    assert brought(json.loads(done.stdout.splitlines()[-1])["ready"]) == {"scipy"}


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--port", "0"], 2, "--port"),
        (["--only", "nothing"], 2, "--only"),
        (["{folder}/none"], 2, "no project"),
        (["{folder}", "--only", "propensity"], 2, "no project"),
    ],
)
def test_a_service_that_cannot_start_says_why(
    tmp_path: Path, words: list[str], code: int, said: str, published_home: Path
) -> None:
    asked = [word.replace("{folder}", str(tmp_path)) for word in words]
    home = [] if words[0].startswith("{") else [str(published_home)]
    done = started(*home, *asked)
    assert done.returncode == code and said in done.stderr, done.stderr


def test_every_other_command_is_the_command_lines() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "foreproof.app.start", "runs", "--help"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0 and "restore" in done.stdout
    done = subprocess.run(
        [sys.executable, "-m", "foreproof.app.start", "serve", "--help"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0 and "foreproof serve" in done.stdout and "--only" in done.stdout
