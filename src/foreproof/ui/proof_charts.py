"""The curves behind a proof, each from the evidence of one check."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from foreproof.ui import charts

Evidence = Mapping[str, Any]
Verdict = Mapping[str, Any]
Drawn = Iterator[tuple[Any, str]]
_FEATURES = 10


def drawn(verdict: Verdict) -> list[tuple[Any, str]]:
    """The charts of a verdict with their captions; none where its evidence holds no curve."""
    draw, needed = _DRAWN.get(str(verdict["name"]), (None, ()))
    evidence = verdict.get("evidence") or {}
    if draw is None or any(not evidence.get(key) for key in needed):
        return []
    return list(draw(evidence, verdict.get("limit")))


def _curve(points: Sequence[Mapping[str, Any]], name: str) -> list[dict[str, Any]]:
    return [{**point, "x": float(point["x"]), "curve": name} for point in points]


def _permutation(found: Evidence, _: Any) -> Drawn:
    yield (
        charts.histogram(found["null"], float(found["score"]), titles=("score of the probe", "permutations")),
        "Grey: scores after labels were exchanged between whole entities. The line, the true labels, lies to their right.",
    )


def _cliff(found: Evidence, _: Any) -> Drawn:
    curves = found["curves"]
    rows = [row for step in sorted(curves, key=int) for row in _curve(curves[step], f"shift by {step}")]
    yield (
        charts.banded(rows, titles=("age of the rows in steps (below 0: they know the future)", "score")),
        "Honest knowledge fades from 0 on; a look-ahead breaks off there. Left of 0 is true foresight, made on purpose.",
    )


def _shift_grid(found: Evidence, limit: Any) -> Drawn:
    yield (
        charts.banded(_curve(found["curve"], "score"), titles=("age of the rows in steps", "score")),
        "Score of older rows, with 95% bands.",
    )
    yield (
        charts.banded(
            _curve(found["gains"], "gain"),
            titles=("age of the rows in steps", "score less that at the cutoff"),
            limit=limit,
            zero=True,
        ),
        "What older rows gain over those of the cutoff; it fails where a band lies wholly above the dashed limit.",
    )


def _stability(found: Evidence, _: Any) -> Drawn:
    yield (
        stability(found["importance"]),
        "The features that matter most, in the earlier and the later half of the cutoffs; the marks should lie together.",
    )


def stability(importance: Sequence[Mapping[str, Any]]) -> Any:
    """Importance early against late. importance: `feature`, `early`, `late`."""
    ordered = sorted(importance, key=lambda row: -max(abs(row["early"]), abs(row["late"])))[:_FEATURES]
    rows = [{"name": row["feature"], "a": row["early"], "b": row["late"]} for row in ordered]
    return charts.dumbbell(rows, names=("earlier cutoffs", "later cutoffs"), title="importance")


def _scores(words: str, names: Mapping[str, str] | None = None) -> Callable[[Evidence, Any], Drawn]:
    def draw(found: Evidence, _: Any) -> Drawn:
        rows = [
            {
                "name": (names or {}).get(str(row["x"]), str(row["x"])),
                "value": row["score"],
                "low": row["low"],
                "high": row["high"],
            }
            for row in found["scores"]
        ]
        yield charts.spans(rows, title="score"), words

    return draw


def _adjacency(found: Evidence, _: Any) -> Drawn:
    ordered = sorted(found["features"], key=lambda row: -row["gain"])[:_FEATURES]
    rows = [{"feature": row["feature"], "share": row["gain"], "kind": _kind(row)} for row in ordered]
    yield (
        charts.bars(rows, x="share", y="feature", title="share of the probe's gain", by="kind"),
        "The features that bring most, by how near the cutoff they read. An undeclared one must not carry the score.",
    )


def _kind(row: Mapping[str, Any]) -> str:
    if not row.get("declared"):
        return "not declared"
    return "SAFE keeps it" if row.get("safe") else "reads near the cutoff"


def _over(key: str, x: str, y: str, words: str, *, zero: bool = False) -> Callable[[Evidence, Any], Drawn]:
    def draw(found: Evidence, limit: Any) -> Drawn:
        rows = _curve(found[key], y)
        yield charts.banded(rows, titles=(x, y), limit=limit if zero else None, zero=zero), words

    return draw


_DRAWN: Mapping[str, tuple[Callable[[Evidence, Any], Drawn], tuple[str, ...]]] = {
    "permutation": (_permutation, ("null", "score")),
    "cliff": (_cliff, ("curves",)),
    "shift grid": (_shift_grid, ("curve", "gains")),
    "stability": (_stability, ("importance",)),
    "safe ablation": (_scores("All features against SAFE, which reads nothing near the cutoff."), ("scores",)),
    "cross-validated minus forward": (
        _scores("Random folds against forward in time; a gap would flatter."),
        ("scores",),
    ),
    "embargo": (
        _scores(
            "Events near the cutoff against later ones; near ones that are far easier smell of the day after.",
            {"near": "event soon after the cutoff", "later": "event later"},
        ),
        ("scores",),
    ),
    "adjacency": (_adjacency, ("features",)),
    "prequential decline": (
        _over(
            "curve",
            "cutoffs after the freeze",
            "score",
            "A probe that learned once. It may decline; it cannot get better by itself.",
        ),
        ("curve",),
    ),
    "forward month": (
        _over(
            "gains",
            "cutoffs after the first judged",
            "score less the first month's",
            "Each later month against the first.",
            zero=True,
        ),
        ("gains",),
    ),
    "arrival lag": (
        _over(
            "curve",
            "steps that rows arrive late",
            "score lost",
            "What would be lost if the newest rows were not there yet.",
            zero=True,
        ),
        ("curve",),
    ),
}

__all__ = ["drawn", "stability"]
