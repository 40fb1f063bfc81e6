"""A mirror of runs in MLflow, for people who look there; our own record stays the source of truth.

What goes: the plan's settings as parameters, scores as metrics, status and verdicts as tags, page, metrics, manifest, plots and
learned models as artefacts. A run that is mirrored twice is one MLflow run. Nothing is ever read back into a run.
"""

from __future__ import annotations

import importlib
import logging
import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from foreproof.errors import MissingExtra, StoreError

RUN_TAG = "foreproof.run"
_FILES = ("index.html", "manifest.json", "metrics.json", "plan_resolved.yaml", "preflight.json", "checkpoint.txt")
_FOLDERS = ("plots", "models")
_LONGEST = 500
"""MLflow keeps parameters up to 6000 characters and tags up to 8000; lists that long help nobody."""


def mirror(uri: str, manifest: Mapping[str, Any], folder: Path, *, parameters: Mapping[str, str]) -> str:
    """Write one recorded run to a tracking server or database, and return MLflow's id of it.

    uri: as MLflow takes it, such as http://host:5000 or sqlite:///mlflow.db. manifest, folder: the run's. parameters: the plan's
    settings by dotted path. Raises StoreError where the server cannot be reached or refuses.
    """
    mlflow = _library()
    with _quiet(), _said(uri):
        client = mlflow.MlflowClient(tracking_uri=uri)
        name = f"foreproof/{manifest['name']}"
        experiment = client.get_experiment_by_name(name)
        number = experiment.experiment_id if experiment else client.create_experiment(name)
        found = client.search_runs([number], f"tags.`{RUN_TAG}` = '{manifest['run']}'", max_results=1)
        run_id = found[0].info.run_id if found else _begin(client, number, manifest, parameters)
        _fill(mlflow, client, run_id, manifest, folder)
        good = manifest["status"] == "proven"
        client.set_terminated(run_id, status="FINISHED" if good else "FAILED")
    return str(run_id)


def _begin(client: Any, experiment: str, manifest: Mapping[str, Any], parameters: Mapping[str, str]) -> str:
    run = client.create_run(experiment, run_name=str(manifest["run"]), tags={RUN_TAG: str(manifest["run"])})
    for name, value in parameters.items():
        client.log_param(run.info.run_id, _named(name), value[:_LONGEST])
    return str(run.info.run_id)


def _fill(mlflow: Any, client: Any, run_id: str, manifest: Mapping[str, Any], folder: Path) -> None:
    for name, value in manifest["scores"].items():
        if value is not None:
            client.log_metric(run_id, _named(name), float(value))
    tags = {
        "status": manifest["status"],
        "plan": manifest["plan"],
        "cutoff": manifest["cutoff"],
        "tag": manifest["tag"],
    }
    tags |= {f"data.{name}": digest for name, digest in manifest["data"].items()}
    tags |= {f"check.{verdict['name']}": verdict["outcome"] for verdict in manifest["verdicts"]}
    for name, value in tags.items():
        client.set_tag(run_id, f"foreproof.{_named(name)}", str(value)[:_LONGEST])
    for name in _FILES:
        if (folder / name).is_file():
            client.log_artifact(run_id, str(folder / name))
    for name in _FOLDERS:
        if (folder / name).is_dir():
            client.log_artifacts(run_id, str(folder / name), artifact_path=name)


def _named(text: str) -> str:
    """A name of letters, digits and what else MLflow takes."""
    return "".join(letter if letter.isalnum() or letter in "_-./ " else "_" for letter in text)


def _library() -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return importlib.import_module("mlflow")
    except ModuleNotFoundError:
        raise MissingExtra(
            "mlflow", found="not installed", wanted="the extra `mlflow`", fix="pip install 'foreproof[mlflow]'"
        ) from None


@contextmanager
def _quiet() -> Iterator[None]:
    """MLflow tells of each migration and each run's address; nobody asked."""
    logger = logging.getLogger("mlflow")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


@contextmanager
def _said(uri: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # MLflow, requests, urllib3 and SQLAlchemy each raise their own
        words = _without_password(" ".join(str(error).split()))[:300]
        raise StoreError(
            f"MLflow at {_without_password(uri)}",
            found=words or type(error).__name__,
            wanted="a tracking server or database that answers",
            fix="mend FOREPROOF_MLFLOW, then `foreproof runs mirror RUN`",
        ) from error


def _without_password(text: str) -> str:
    """Text in which no address holds who logs in and with what."""
    return re.sub(r"://[^/@\s]*@", "://", text)


__all__ = ["RUN_TAG", "mirror"]
