"""Every model against every other: Diebold-Mariano on each pair, corrected for how many pairs there are."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Literal, assert_never

import polars as pl

from foreproof.core.compare import diebold_mariano
from foreproof.core.diagnose import MODEL, with_holm
from foreproof.errors import BadInput

Loss = Literal["absolute", "squared"]

_SCHEMA = {
    "model_a": pl.String,
    "model_b": pl.String,
    "loss_a": pl.Float64,
    "loss_b": pl.Float64,
    "difference": pl.Float64,
    "statistic": pl.Float64,
    "p_value": pl.Float64,
    "n": pl.Int64,
    "words": pl.String,
}


def rival_losses(points: pl.DataFrame, *, entity: Sequence[str], loss: Loss = "absolute") -> pl.DataFrame:
    """`target` and a column a model: its mean loss over series, by target day, in order; null where it has no forecast.

    points: model, entity columns, cutoff, step, target, value, y. The loss of a row is |error| over the mean |y| of its
    series, or its square; a series of zeros is left out. A target that several origins predict is one day. A row counts
    only if every model predicts it, so all models are judged on the same rows.
    """
    index = [*entity, "cutoff", "step", "target"]
    wide = points.sort(MODEL, *index).pivot(MODEL, index=[*index, "y"], values="value").drop_nulls().sort(index)
    models = points[MODEL].unique().sort().to_list()
    size = pl.col("y").abs().mean()
    scaled = wide.with_columns((size.over(entity) if entity else size).alias("_size")).filter(pl.col("_size") > 0.0)
    errors = {name: (pl.col(name) - pl.col("y")) / pl.col("_size") for name in models}
    match loss:
        case "absolute":
            losses = [error.abs().alias(name) for name, error in errors.items()]
        case "squared":
            losses = [(error**2).alias(name) for name, error in errors.items()]
        case _:
            assert_never(loss)
    return scaled.with_columns(losses).group_by("target", maintain_order=True).agg(pl.col(models).mean()).sort("target")


def rivals(points: pl.DataFrame, *, entity: Sequence[str], horizon: int, loss: Loss = "absolute") -> pl.DataFrame:
    """Each pair of models once: model_a, model_b, loss_a, loss_b, difference (of mean loss, a - b), statistic, p_value,
    p_holm, n (target days), words; sorted. See `rival_losses` for the loss and `diebold_mariano` for the test.

    p_value is two-sided; p_holm is corrected over all pairs. With fewer than 8 target days both are null, and words say so.
    """
    losses = rival_losses(points, entity=entity, loss=loss)
    models = [name for name in losses.columns if name != "target"]
    rows: list[tuple[object, ...]] = []
    for a, b in combinations(models, 2):
        mean_a, mean_b = (float(losses[name].mean() or 0.0) for name in (a, b))  # type: ignore[arg-type]
        try:
            found = diebold_mariano(losses[a].to_numpy(), losses[b].to_numpy(), horizon=horizon)
        except BadInput as error:
            rows.append(
                (
                    a,
                    b,
                    mean_a,
                    mean_b,
                    mean_a - mean_b,
                    None,
                    None,
                    losses.height,
                    f"not tested: {error.found}; wanted {error.wanted}",
                )
            )
        else:
            rows.append((a, b, mean_a, mean_b, mean_a - mean_b, found.statistic, found.p_value, found.n, ""))
    table = with_holm(pl.DataFrame(rows, schema=_SCHEMA, orient="row"), family=[])
    count = int(table["p_value"].count())
    words = [row["words"] or _words(row, count) for row in table.iter_rows(named=True)]
    return table.with_columns(pl.Series("words", words, dtype=pl.String)).sort("model_a", "model_b")


def _words(row: dict[str, float], count: int, *, alpha: float = 0.05) -> str:
    ahead, behind = ("model_a", "model_b") if row["difference"] <= 0.0 else ("model_b", "model_a")
    worse = max(row["loss_a"], row["loss_b"])
    gain = abs(row["difference"]) / worse if worse else 0.0
    family = f"p = {row['p_holm']:.2g} after Holm over {count} pair{'s' if count != 1 else ''}"
    if row["p_holm"] < alpha:
        return f"{row[ahead]} beats {row[behind]}: its loss is {gain:.1%} lower, {family}"
    return f"{row[ahead]} is {gain:.1%} ahead of {row[behind]}, which may be chance: {family}"


__all__ = ["Loss", "rival_losses", "rivals"]
