"""Chances of a published run's pairs, with interval and contributions, from the run's tables and model files alone."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from foreproof.app.api.models import ModelShelf
from foreproof.app.api.published import Published
from foreproof.app.home import Place
from foreproof.core.digest import digest_bytes
from foreproof.errors import IntegrityError, NotFound

if TYPE_CHECKING:
    from foreproof.engine.score_pairs import Parts, Seen, Words
    from foreproof.workloads.propensity import PropensityPlan

_HEURISTIC = "heuristic"
_FEWEST = 30
_MOST_MATRIX = 128 * 2**20
"""Bytes of a matrix of all pairs up to which it is kept; of more pairs only those asked about are read."""


@dataclass(frozen=True)
class Scorer:
    """One published run, ready to be asked: `rows` are features of every pair, `said` what was said of it."""

    place: Place = field(repr=False)
    published: Published = field(repr=False)
    plan: PropensityPlan = field(repr=False)
    words: Words = field(repr=False)
    shelf: ModelShelf = field(repr=False)
    rows: pl.DataFrame = field(repr=False)
    places: Mapping[tuple[str, str], int] = field(repr=False)
    said: Mapping[str, list[Any]] = field(repr=False)
    choices: Mapping[tuple[str, str], Mapping[str, Any]] = field(repr=False)
    weights: Mapping[tuple[str, str], Mapping[str, float]] = field(repr=False)
    seen: Mapping[tuple[str, str | None], Seen] = field(repr=False)
    digests: dict[str, dict[str, str]] = field(repr=False, default_factory=dict)

    def score(
        self, pairs: Iterable[tuple[str, str]], *, explain: int
    ) -> tuple[list[dict[str, Any]], list[dict[str, str]]]:
        """What was said of each pair in the order asked, and the pairs that are not in the population.

        explain: how many contributions to tell, the largest first; `others` is the sum of the rest.
        """
        items: list[dict[str, Any]] = []
        unknown: list[dict[str, str]] = []
        asked: dict[tuple[str, str], list[tuple[dict[str, Any], int]]] = {}
        for account, group in pairs:
            place = self.places.get((account, group))
            if place is None:
                unknown.append({"account": account, "group": group})
                continue
            item = self._said(account, group, place)
            items.append(item)
            if explain and item["badge"] != _HEURISTIC:
                asked.setdefault((item["segment"], group), []).append((item, place))
        for key, some in asked.items():
            self._explain(key, some, explain)
        return items, unknown

    def interval(self, segment: str, group: str, p: float, *, badge: str) -> tuple[float, float, str]:
        """The interval about a chance, and where it comes from."""
        own = self.seen.get((segment, group))
        enough = own is not None and own.buyers >= _FEWEST
        seen = own if enough or badge == _HEURISTIC else self.seen.get((segment, None))
        seen = seen or self.seen.get((segment, None))
        if seen is None:
            return 0.0, 1.0, "no past cutoff was judged: nothing is known of how such chances held"
        whose = f"{segment} pairs of {group}" if seen is own else f"{segment} pairs of all groups"
        if badge == _HEURISTIC:
            low, high, many = seen.rate(p)
            return low, high, f"95% interval of the share that bought among {many:,} past {whose}"
        low, high, many = seen.around(p)
        return low, high, f"95% interval of the share that bought among {many:,} past {whose} with such chances"

    def _said(self, account: str, group: str, place: int) -> dict[str, Any]:
        segment, base = self.said["segment"][place], self.said["base"][place]
        choice = self.choices.get((segment, group))
        badge = str(choice["badge"]) if choice else _HEURISTIC
        p = base if badge == _HEURISTIC else self.said["p"][place]
        low, high, source = self.interval(segment, group, p, badge=badge)
        item = {"account": account, "group": group, "segment": segment, "chance": p, "low": low, "high": high}
        item |= {"interval": source, "badge": badge, "base_rate": base, "baseline": None, "unit": "log odds"}
        item |= {"contributions": [], "others": 0.0, "calibration": 0.0}
        if badge == _HEURISTIC:
            item["because"] = "a base rate, for want of buyers to learn from"
        return item

    def _explain(self, key: tuple[str, str], asked: list[tuple[dict[str, Any], int]], most: int) -> None:
        """Write baseline, contributions and calibration into items that share their weights."""
        places = [place for _, place in asked]
        parts = self._parts(key, places)
        if parts is None:
            return
        order = np.argsort(-np.abs(parts.values), axis=1, kind="stable")[:, :most]
        raw, said = (np.array([self.said[name][place] for place in places]) for name in ("raw", "p"))
        moved = np.log(said / (1.0 - said)) - np.log(raw / (1.0 - raw))
        for i, (item, place) in enumerate(asked):
            found = []
            for at in order[i].tolist():
                name, part = parts.names[at], float(parts.values[i, at])
                value = self.words.value(name, self.rows[name][place])
                label, shown = self.words.labels.get(name, name), "none" if value is None else _short(value)
                words = f"{label}: {shown} (odds x {math.exp(part):.2f})"
                found.append({"feature": name, "value": value, "contribution": part, "words": words})
            item["baseline"], item["contributions"] = float(parts.base[i]), found
            item["others"] = float(parts.values[i].sum() - sum(one["contribution"] for one in found))
            item["calibration"] = float(moved[i])

    def _parts(self, key: tuple[str, str], places: list[int]) -> Parts | None:
        from foreproof.engine.score_pairs import matrix_of, parts_of_chance

        policy = str(self.choices[key]["policy"])
        several = len(self.plan.policies.used) > 1
        few = self.rows.height * self.rows.width * 8 <= _MOST_MATRIX
        at = np.array(places, dtype=np.int64)
        members = []
        for name, weight in self.weights[key].items():
            if weight <= 0.0:
                continue
            folder = f"{policy}.{name}" if several else name
            member = self._member(folder, name)
            if few:
                of = ("matrix", self.place.tenant, self.place.folder, self.published.etag, folder)
                matrix = self.shelf.get(of, lambda one=member: _sized(matrix_of(self.plan, one, self.rows)))  # type: ignore[misc]
                members.append((member, matrix, weight))
            else:
                members.append((member, matrix_of(self.plan, member, self.rows[places]), weight))
        return parts_of_chance(members, at if few else np.arange(at.size))

    def _member(self, folder: str, member: str) -> Any:
        """A member's model, opened once for all runs whose files of it are the same."""
        start = f"models/{folder}/"
        digests = self.digests.get(start)
        if digests is None:
            digests = self.digests[start] = _digests(self.published, start)
        known = digests

        def opened() -> tuple[Any, int]:
            from foreproof.engine.score_pairs import open_member

            files = {path.removeprefix(start): _checked(self.published, path, digest) for path, digest in known.items()}
            return open_member(self.plan, member, files), 4 * sum(map(len, files.values()))

        # Settings of the fit are no part of what predicts, so equal files answer alike.
        return self.shelf.get(("model", member, *known.values()), opened)


def scorer_of(place: Place, published: Published, shelf: ModelShelf) -> Scorer:
    """The scorer of a published run, made once for each state of what is served."""
    return shelf.get(("scorer", place.tenant, place.folder, published.etag), lambda: _made(place, published, shelf))


def _made(place: Place, published: Published, shelf: ModelShelf) -> tuple[Scorer, int]:
    # A second: the classes of models and features, still without any model library.
    from foreproof.app.own_code import with_code
    from foreproof.app.plugins import installed, with_plugins
    from foreproof.core.plan import parse_plan
    from foreproof.engine.score_pairs import seen_of, words_for
    from foreproof.workloads.propensity import parse_propensity

    text = (published.folder / "plan_resolved.yaml").read_text(encoding="utf-8")
    plan = parse_propensity(with_plugins(with_code(parse_plan(text), place.folder), installed()))
    account, group = plan.task.entity
    features, chances = published.table("features"), published.table("chances")
    now = chances.filter(pl.col("cutoff") == chances["cutoff"].max())
    columns = [account, group, "segment", "raw", "p", "base"]
    rows = features.join(now.select(columns), on=[account, group], how="inner", maintain_order="left")
    names = zip(rows[account].cast(pl.String).to_list(), rows[group].cast(pl.String).to_list(), strict=True)
    places = {pair: place for place, pair in enumerate(names)}
    choices = published.table("choices")
    weights: dict[tuple[str, str], dict[str, float]] = {}
    told = published.table("group_weights").filter(pl.col("cutoff") == now["cutoff"][0])
    for segment, name, model, weight in told.select("segment", group, "model", "weight").iter_rows():
        weights.setdefault((segment, name), {})[model] = weight
    latest = choices.filter(pl.col("cutoff") == choices["cutoff"].max())
    bins = published.table("group_reliability")
    seen = {
        (str(segment), None if name is None else str(name)): seen_of(part.sort("bin"))
        for (segment, name), part in bins.group_by(["segment", group], maintain_order=True)
    }
    said = {name: rows[name].to_list() for name in ("segment", "raw", "p", "base")}
    found = Scorer(
        place=place,
        published=published,
        plan=plan,
        words=words_for(plan),
        shelf=shelf,
        rows=rows.drop("segment", "raw", "p", "base"),
        places=places,
        said=said,
        choices={(row["segment"], str(row[group])): row for row in latest.iter_rows(named=True)},
        weights=weights,
        seen=seen,
    )
    return found, int(rows.estimated_size()) + 400 * rows.height


def _digests(published: Published, start: str) -> dict[str, str]:
    named = {str(one["path"]): str(one["sha256"]) for one in published.manifest["artefacts"]}
    found = {path: digest for path, digest in sorted(named.items()) if path.startswith(start)}
    if not found:
        raise NotFound(
            start.rstrip("/"), found=f"run {published.run} kept no such model", wanted="a run with its models"
        )
    return found


def _checked(published: Published, path: str, digest: str) -> bytes:
    content = (published.folder / path).read_bytes()
    if digest_bytes(content) != digest:
        raise IntegrityError(f"run {published.run}: {path}", found="other bytes than logged", wanted=digest)
    return content


def _sized(matrix: Any) -> tuple[Any, int]:
    """A matrix and its bytes; of parts, those of their values."""
    return matrix, int(getattr(getattr(matrix, "values", matrix), "nbytes", 0))


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 100.0 or value.is_integer() else f"{value:.2g}"
    return str(value)


__all__ = ["Scorer", "scorer_of"]
