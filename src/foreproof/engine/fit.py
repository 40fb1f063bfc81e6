"""Fit members at cutoffs: a pure function from frames to predictions, run side by side and never twice.

A job holds all that its fit may read, so its key is the digest of those inputs. A run that was killed finds the finished
jobs again, and a rebuild on truncated tables repeats a fit exactly when an input differs.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context

import polars as pl

from foreproof.core.clock import Moment
from foreproof.core.digest import digest_frame
from foreproof.core.model import Frame, Model, Now, Past
from foreproof.core.ports import Progress, StepStore
from foreproof.core.predict import CUTOFF, STEP, VALUE

_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS", "POLARS_MAX_THREADS")


@dataclass(frozen=True, slots=True)
class Job:
    """One member at one cutoff. target, examples (with `label`), rows: see `core.model.Past` and `Now`."""

    frame: Frame
    cutoff: Moment
    model: Model
    seed: int
    target: pl.DataFrame
    examples: pl.DataFrame
    rows: pl.DataFrame

    @property
    def key(self) -> str:
        """The digest of everything that the fit reads."""
        entity = list(self.frame.entity)
        parts = [
            repr((self.frame, self.cutoff, self.model, self.seed)),
            digest_frame(self.target, keys=[*entity, "period"]),
            digest_frame(self.examples, keys=[*entity, CUTOFF, STEP]),
            digest_frame(self.rows, keys=[*entity, CUTOFF, STEP]),
        ]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def fit_member(job: Job) -> dict[str, pl.DataFrame]:
    """`points`: entity columns, cutoff, step, value; `dumps`: name, content of the learned artefacts."""
    past = Past(job.frame, job.cutoff, job.target, lambda: job.examples)
    now = Now(job.frame, job.cutoff, job.target, lambda: job.rows)
    fitted = job.model.fit(past, seed=job.seed)
    points = fitted.predict(now).canonical().select(*job.frame.entity, CUTOFF, STEP, VALUE)
    dumps = fitted.dump()
    schema = {"name": pl.String, "content": pl.Binary}
    return {"points": points, "dumps": pl.DataFrame(sorted(dumps.items()), schema=schema, orient="row")}


def fit_members(
    jobs: Sequence[Job], *, store: StepStore, workers: int, progress: Progress
) -> list[Mapping[str, pl.DataFrame]]:
    """The results of all jobs, in order; only those that the store lacks are run."""
    keys = [job.key for job in jobs]
    found = {key: store.get(key) for key in dict.fromkeys(keys)}
    todo = {key: job for key, job in zip(keys, jobs, strict=True) if found[key] is None}
    progress.stage("fit", len(todo))
    if workers <= 1 or len(todo) <= 1:
        for key, job in todo.items():
            store.put(key, fit_member(job))
            progress.advance(1)
    elif todo:
        _fit_side_by_side(todo, store=store, workers=workers, progress=progress)
    results = [store.get(key) if found[key] is None else found[key] for key in keys]
    return [result for result in results if result is not None]


def _fit_side_by_side(todo: Mapping[str, Job], *, store: StepStore, workers: int, progress: Progress) -> None:
    with one_thread_each(), ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        running = {pool.submit(fit_member, job): key for key, job in todo.items()}
        try:
            for done in as_completed(running):
                store.put(running[done], done.result())
                progress.advance(1)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


@contextmanager
def one_thread_each() -> Iterator[None]:
    """Workers read these at start: two threads on two busy cores cost 8 to 50 times the CPU."""
    before = {name: os.environ.get(name) for name in _ONE_THREAD}
    os.environ.update(dict.fromkeys(_ONE_THREAD, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


__all__ = ["Job", "fit_member", "fit_members", "one_thread_each"]
