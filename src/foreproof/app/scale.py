"""Forecasts of very many series, chunk by chunk: bounded memory, one file a chunk, and a proof on one of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import polars as pl
from filelock import FileLock

from foreproof.adapters.parts import PartFolder
from foreproof.app import artefacts
from foreproof.app.project import Project
from foreproof.core.clock import Moment
from foreproof.core.contract import BATCH, DELETED, HAPPENED, KNOWN
from foreproof.core.digest import digest_json
from foreproof.core.ports import Progress
from foreproof.core.run import verdict_status
from foreproof.core.trial import Verdict
from foreproof.core.view import Database, Table
from foreproof.engine.backtest import backtest
from foreproof.engine.build import builder
from foreproof.engine.cutoff import latest_cutoff
from foreproof.engine.line import ladder
from foreproof.engine.prove import prove, remembered
from foreproof.engine.scale import ChunkForecast, chunkable, forecast_parts, quiet_bench
from foreproof.errors import BadInput

_FORMAT = 1


@dataclass(frozen=True, slots=True)
class Scaled:
    """What came of it: the folder with `forecasts/*.parquet` and `manifest.json`, and that manifest."""

    folder: Path
    manifest: Mapping[str, Any]

    @property
    def status(self) -> str:
        """proven, failed or not proven: of the part that was tried."""
        return str(self.manifest["status"])


def scale(project: Project, *, chunk: int, proof: bool, progress: Progress) -> Scaled:
    """Forecast every series of the plan from the lake, about `chunk` series at a time.

    The same plan, data and chunk name the same folder, so a call that was killed goes on with the parts that it lacks.
    proof: whether the first part also goes through backtest and gauntlet. Raises PlanError where the plan cannot be cut into
    chunks, and BadInput where nothing is loaded.
    """
    if chunk < 1:
        raise BadInput("--chunk", found=str(chunk), wanted="1 or more series")
    plan = chunkable(project.forecast)
    versions = {c.name: project.lake.version(c.name) for c in plan.contracts}
    absent = [name for name, version in versions.items() if version is None]
    if absent:
        raise BadInput(f"tables.{absent[0]}", found="no data", wanted="a loaded batch", fix="foreproof load")
    facts = next(c for c in plan.contracts if c.name == plan.task.series.table)
    dataset = project.lake.dataset(facts)
    cutoff = _cutoff(project, dataset)
    sides = {c.name: project.lake.table(c).rows for c in plan.contracts if c.name != facts.name}
    asked = {
        "format": _FORMAT,
        "plan": project.plan.digest,
        "versions": versions,
        "cutoff": str(cutoff),
        "chunk": chunk,
    }
    folder = project.folder / "forecasts" / digest_json(asked)[:12]
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".lock"):
        parts = PartFolder(folder)
        progress.stage("spill", dataset.count_rows())
        names = parts.spill(dataset, plan.task.entity, chunk, on_rows=progress.advance)
        forecast = ChunkForecast(project.plan.text(), cutoff, sides, project.plan.plugins)
        forecast_parts(forecast, parts, names, workers=project.settings.workers, progress=progress)
        if (folder / "manifest.json").is_file():
            before = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
            if before["proof"]["verdicts"] or not proof:
                return Scaled(folder, before)
        tried = _tried(project, forecast, parts, names[0], progress) if proof else {"verdicts": [], "scores": {}}
        status = verdict_status([Verdict(**verdict) for verdict in tried["verdicts"]])
        digests = {name: parts.digest(name) for name in names}
        manifest = {**asked, **parts.counts(), "status": status, "proof": {"part": names[0], **tried}, "parts": digests}
        project.ledger.append("scale", {"folder": folder.name, "plan": project.plan.digest, "parts": digests})
        artefacts.write_json(manifest, folder / "manifest.json")
        parts.forget_facts(but=names[0])
    return Scaled(folder, manifest)


def _cutoff(project: Project, dataset: Any) -> Moment:
    """The one cutoff of all chunks; only keys and clocks are read."""
    plan = project.forecast
    contract = next(c for c in plan.contracts if c.name == plan.task.series.table)
    columns = list(dict.fromkeys([*contract.keys, HAPPENED, KNOWN, DELETED, BATCH]))
    clocks: Any = pl.from_arrow(dataset.to_table(columns=columns))
    return latest_cutoff(plan, Database({contract.name: Table(contract, clocks)}))


def _tried(
    project: Project, forecast: ChunkForecast, parts: PartFolder, name: str, progress: Progress
) -> dict[str, Any]:
    """Backtest and gauntlet of one part, as plain values."""
    plan = project.forecast
    database = forecast.database(plan, parts.read(name))
    origins = ladder(plan, forecast.cutoff, plan.backtest.origins + 1)[:-1]
    build = remembered(builder(plan, quiet_bench()), keeps=lambda one: one is database)
    built = build(database, tuple(origins), plan.plan.seed)
    scored = backtest(plan, database, built, built.forecasts.detail)
    verdicts = prove(plan, database, tuple(origins), build, progress=progress)
    scores = artefacts.finite({metric: scored.value(metric) for metric in ("mase", "wape", "owa", "coverage95")})
    return {"verdicts": [asdict(verdict) for verdict in verdicts], "scores": scores}


__all__ = ["Scaled", "scale"]
