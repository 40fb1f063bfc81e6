"""Where do the errors come from? Two models and a truth that no file holds: tests, parts, rivals, and what changed.

Eight items over twelve weekly origins. `flat` knows the level of each item, but neither its weekend nor the promotion that
starts half way; `weekly` knows the weekend.
"""

from __future__ import annotations

import numpy as np
import polars as pl

from foreproof.core.decompose import changed, error_parts, event_labels, movers, series_labels
from foreproof.core.diagnose import errors_in_order, ljung_box, mean_zero, rejections
from foreproof.core.rivals import rivals


def judged(rng: np.random.Generator) -> pl.DataFrame:
    """model, item, cutoff, step, target, value, y, promoted: integer days, weekends on steps 6 and 7."""
    rows = []
    for i in range(8):
        for cutoff in range(0, 84, 7):
            for step in range(1, 8):
                level, weekend = 40.0 + 5.0 * i, 8.0 * (step > 5)
                promoted = int(cutoff >= 42 and i == 7)
                y = level + weekend + 12.0 * promoted + rng.normal()
                for model, value in (("flat", level + 2.0), ("weekly", level + weekend)):
                    rows.append((model, f"item {i}", cutoff, step, cutoff + step, value, y, promoted))
    schema = ["model", "item", "cutoff", "step", "target", "value", "y", "promoted"]
    return pl.DataFrame(rows, schema=schema, orient="row")


def main() -> None:
    """Diagnose both models, and check what was planted."""
    points = judged(np.random.default_rng(1))
    entity = ["item"]

    line = errors_in_order(points, entity=entity, order="consecutive")
    white = rejections(ljung_box(line, by=["model", "item"], lags=14), by=["model"])
    assert white.filter(model="flat")["share_holm"][0] == 1.0, "the weekend is in every error of `flat`"
    print(white, "\n")

    centre = mean_zero(points, entity=entity)
    print(centre.select("model", "cluster", "mean_error", "low", "high", "p_holm"), "\n")

    dimensions = {"series": series_labels(points, entity), "promotion": event_labels(points["promoted"])}
    parts = error_parts(points, dimensions=dimensions)
    (promoted,) = parts.filter(model="weekly", dimension="promotion", group="yes").iter_rows(named=True)
    assert promoted["share"] > 0.8 and promoted["um"] > 0.9, "most of its error is the promotion's, and that is bias"
    print(parts.filter(dimension="promotion").select("model", "group", "n", "share", "um", "us", "uc"), "\n")

    duel = rivals(points, entity=entity, horizon=7)
    print(duel["words"][0], "\n")

    weekly = points.filter(pl.col("model") == "weekly")
    lines = movers(changed(weekly, entity=entity, before=35, after=42), count=2)
    assert lines[1].startswith("item 7: squared error rose")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
