"""Dumped state back to fitted models."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import cast

from foreproof.core.model import Fitted, Model
from foreproof.errors import BadInput
from foreproof.models.boost import GlobalBoost, load_boost
from foreproof.models.demand import ByClass, DemandClass, FittedByClass, classes_of
from foreproof.models.foreign import ForeignRows, ForeignSeries
from foreproof.models.local import Local, load_local
from foreproof.models.naive import FittedNaive, Naive, SeasonalNaive
from foreproof.models.normalise import FittedNormalised, Normalised, load_maps
from foreproof.models.plain import FittedRule, Rule
from foreproof.models.plugged import Plugged


def load_fitted(model: Model, files: Mapping[str, bytes], *, season: int) -> Fitted:
    """The inverse of `Fitted.dump` for a model of the plan; predicts the same bytes.

    season: the plan's, in steps. Refuses models of other libraries, whose state has no text form.
    """
    match model:
        case SeasonalNaive():
            return FittedNaive(season)
        case Naive():
            return FittedNaive(1)
        case GlobalBoost():
            return load_boost(model, files)
        case ByClass():
            return _load_by_class(model, files)
        case Normalised():
            inner = load_fitted(model.model, files, season=season)
            return FittedNormalised(model.name, inner, model.kind, load_maps(files[f"{model.name}.normalise.json"]))
        case Plugged():
            return model.load(files)
        case ForeignSeries() | ForeignRows():
            raise BadInput(
                f"model {model.name}", found="no state that can be read back", wanted="a fit", fix="fit it again"
            )
    if hasattr(model, "ahead"):
        return FittedRule(cast(Rule, model), season)
    return load_local(cast(Local, model), files[f"{model.name}.json"])


def _load_by_class(model: ByClass, files: Mapping[str, bytes]) -> FittedByClass:
    state = json.loads(files[f"{model.name}.json"])
    parts: dict[DemandClass, Fitted] = {}
    for word in state["fitted"]:
        start = f"{model.name}.{word}."
        own = {name.removeprefix(start): content for name, content in files.items() if name.startswith(start)}
        parts[word] = load_fitted(model.members[word], own, season=int(state["season"]))
    ordered = {word: parts[word] for word in model.members if word in parts}
    return FittedByClass(model, int(state["season"]), classes_of(state), ordered)


__all__ = ["load_fitted"]
