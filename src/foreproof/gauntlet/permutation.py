"""Is there a signal? Labels of whole entities are exchanged within a cutoff, and the probe is fitted again each time.

The right null keeps the rows of an entity together and each slot (product group, step) in its place, so a group that sells to
everybody is no signal. A probe in closed form makes a thousand refits two matrix products.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from foreproof.core.predict import CUTOFF, STEP
from foreproof.core.trial import Leak, Outcome, Trial, Verdict
from foreproof.errors import BadInput
from foreproof.gauntlet.judged import careful, size
from foreproof.gauntlet.leaks.planted import noise_only
from foreproof.gauntlet.probe import Fold, Panel, coefficients, forward_folds, panel_of, told
from foreproof.gauntlet.scored import Floats, Ints

_BLOCK = 64
_MOVED = 0.5


@dataclass(frozen=True, slots=True)
class Permutation:
    """p = (1 + permutations at least as good) / (1 + permutations) is at most `limit`; else there is nothing to serve.

    Phipson & Smyth (2010). A claim and no alarm: a leak passes it, so its p is not among those that Holm corrects.
    """

    limit: float = 0.01
    permutations: int = 999
    most: int = 20_000
    name: str = "permutation"

    @property
    def control(self) -> Leak:
        """Noise in the place of every feature."""
        return noise_only

    def __call__(self, trial: Trial) -> Verdict:
        """Failed where shuffled labels are explained as well."""
        return careful(self.name, self._judge, trial)

    def _judge(self, trial: Trial) -> Verdict:
        panel = panel_of(trial, most=self.most, level=True)
        folds = forward_folds(panel)
        found = panel.score(told(panel, folds))
        null, moved = null_scores(panel, trial.entity, folds, rounds=self.permutations, seed=trial.seed)
        if moved < _MOVED:
            raise BadInput(
                "permutation", found=f"{moved:.0%} of rows can be exchanged", wanted="entities with as many rows each"
            )
        p = (1.0 + float((null >= found.value).sum())) / (1.0 + null.size)
        low, middle, high = np.quantile(null, [0.025, 0.5, 0.975])
        words = (
            f"score {found.value:.3f} against {middle:.3f} ({low:.3f} to {high:.3f}) when whole entities are exchanged; "
            f"effect {found.value - middle:+.3f}, p = {p:.2g} of {null.size} permutations"
        )
        evidence = {
            "score": found.value,
            "effect": found.value - float(middle),
            "null": null.tolist(),
            "moved": moved,
            "p_signal": p,
            **size(panel),
        }
        outcome: Outcome = "passed" if p <= self.limit else "failed"
        return Verdict(self.name, outcome, p, self.limit, words, evidence, tier="statistical")


def null_scores(
    panel: Panel, entity: tuple[str, ...], folds: list[Fold], *, rounds: int, seed: int
) -> tuple[Floats, float]:
    """The scores of `rounds` refits on exchanged labels, and the share of rows that can take another's label."""
    rng = np.random.default_rng(seed)
    blocks = exchangeable(panel, entity)
    moved = sum(block.size for block in blocks) / panel.y.size
    scores = []
    for start in range(0, rounds, _BLOCK):
        count = min(_BLOCK, rounds - start)
        labels = np.repeat(panel.y[:, None], count, axis=1)
        for one in range(count):
            for block in blocks:
                labels[block.ravel(), one] = panel.y[block[rng.permutation(block.shape[0])].ravel()]
        scores.append(_scores(panel, folds, labels))
    return np.concatenate(scores), moved


def exchangeable(panel: Panel, entity: tuple[str, ...]) -> list[Ints]:
    """Matrices of row places, one row an entity of a cutoff, one column a slot; its rows may be exchanged as a whole.

    Entities with as many rows at a cutoff are of one matrix, slots in order; one that has no equal stays as it is.
    """
    rows = panel.index.with_row_index("_place").with_columns(pl.len().over(entity[0], CUTOFF).alias("_size"))
    ordered = rows.sort(CUTOFF, "_size", entity[0], *entity[1:], STEP)
    found = []
    for (_, count), part in ordered.group_by([CUTOFF, "_size"], maintain_order=True):
        places = part["_place"].to_numpy().astype(np.int64).reshape(-1, int(str(count)))
        if places.shape[0] > 1:
            found.append(places)
    return found


def _scores(panel: Panel, folds: list[Fold], labels: Floats) -> Floats:
    """The score of each column of labels (n x P): learned and judged on that column."""
    size_of = np.bincount(panel.stratum)
    means = np.stack([np.bincount(panel.stratum, weights=column) for column in labels.T], axis=1) / size_of[:, None]
    centred = labels - means[panel.stratum]
    if panel.kind == "quantity":
        return _correlations(panel, folds, centred)
    total, weight = np.zeros(labels.shape[1]), np.zeros(labels.shape[1])
    for fold in folds:
        said = (panel.x[fold.test] @ coefficients(panel, fold.train, centred)).T
        hit = labels[fold.test].T > 0.5
        ranks = np.argsort(np.argsort(said.astype(np.float32), axis=1), axis=1) + 1.0
        hits = hit.sum(axis=1).astype(np.float64)
        rest = hit.shape[1] - hits
        both = (hits > 0) & (rest > 0)
        area = ((ranks * hit).sum(axis=1) - hits * (hits + 1) / 2) / np.where(both, hits * rest, 1.0)
        total += np.where(both, area * hits, 0.0)
        weight += np.where(both, hits, 0.0)
    return total / np.maximum(weight, 1.0)


def _correlations(panel: Panel, folds: list[Fold], centred: Floats) -> Floats:
    sums = np.zeros((3, centred.shape[1]))
    for fold in folds:
        said = panel.x[fold.test] @ coefficients(panel, fold.train, centred)
        y = centred[fold.test]
        sums += np.stack([(said * y).sum(axis=0), (said * said).sum(axis=0), (y * y).sum(axis=0)])
    return np.asarray(sums[0] / np.sqrt(np.maximum(sums[1] * sums[2], 1e-300)))


__all__ = ["Permutation", "exchangeable", "null_scores"]
