"""The cards of a run: one JSON file a card, and one page with all of them, each beside the card before it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

import polars as pl

from foreproof.app import artefacts, history
from foreproof.app.page_base import html_table
from foreproof.app.project import Project
from foreproof.app.stages import Work, before_final, cutoff_of
from foreproof.core.run import Run
from foreproof.engine.cards import PairFacts, forecast_card, pair_cards
from foreproof.engine.decide import origins
from foreproof.errors import BadInput
from foreproof.explain import Card, Rows, compare

FOLDER = "cards"
_HEADS = {"mean_p": "said", "mean_y": "seen", "n": "pairs"}
_WIDE = 6


def cards_of(run: Run, work: Work) -> list[Card]:
    """The cards of what a run has judged; none before that."""
    if work.cutoff is not None:
        run = replace(run, cutoff=work.project.science.task.series.grid.say(work.cutoff))
    if work.scored is not None:
        return [forecast_card(work.project.forecast, run, work.scored, work.verdicts)]
    if work.judged is None:
        return []
    past = origins(work.chances, before=cutoff_of(work))
    facts = PairFacts(
        before_final(work),
        past,
        now=work.chances.get(cutoff_of(work)),
        listed=work.listed,
        folds=work.folds.manifest if work.folds is not None else {},
    )
    return pair_cards(work.project.propensity, run, facts, work.verdicts)


def write_cards(run: Run, work: Work, folder: Path) -> None:
    """`cards/NAME.json` and `cards/index.html` under a run's folder; nothing where nothing was judged."""
    cards = cards_of(run, work)
    if not cards:
        return
    (folder / FOLDER).mkdir()
    before = earlier(work.project, run)
    for card in cards:
        artefacts.write_json(card.as_dict(), folder / FOLDER / f"{file_of(card)}.json")
    (folder / FOLDER / "index.html").write_text(_page(cards, before), encoding="utf-8")


def file_of(card: Card) -> str:
    """The name of a card's file: its group in plain letters, `all` for all groups."""
    return re.sub(r"[^A-Za-z0-9]+", "_", card.group).strip("_").lower() or "all"


def read_cards(folder: Path) -> list[dict[str, Any]]:
    """The cards of a recorded run, that of all groups first; none where it wrote none."""
    found = [json.loads(path.read_text(encoding="utf-8")) for path in sorted((folder / FOLDER).glob("*.json"))]
    return sorted(found, key=lambda card: str(card["group"]))


def earlier(project: Project, run: Run) -> dict[str, dict[str, Any]]:
    """By group, the cards of the newest earlier run of this name that has any."""
    for manifest in reversed(history.manifests(project)):
        if manifest["run"] != run.id and manifest["name"] == run.name and str(manifest["finished"]) < run.finished:
            found = read_cards(project.runs / str(manifest["run"]))
            if found:
                return {str(card["group"]): card for card in found}
    return {}


def shown(project: Project, run_id: str, group: str) -> dict[str, Any]:
    """One card of a recorded run, the newest that has cards where no id is given. Raises BadInput."""
    chosen = [history.manifest(project, run_id)] if run_id else list(reversed(history.manifests(project)))
    for manifest in chosen:
        cards = {str(card["group"]): card for card in read_cards(project.runs / str(manifest["run"]))}
        if group in cards:
            return cards[group]
        if cards:
            wanted = ", ".join(name for name in cards if name) or "no group: the model has one card"
            raise BadInput(f"card of {group}", found="no such group", wanted=wanted)
    raise BadInput(f"run {run_id or 'newest'}", found="no cards", wanted="a run that judged", fix="foreproof run")


def _page(cards: Sequence[Card], before: Mapping[str, Mapping[str, Any]]) -> str:
    from jinja2 import Environment

    text = resources.files("foreproof.app").joinpath("templates/cards.html").read_text(encoding="utf-8")
    parts = []
    for card in cards:
        changes = compare(card, before[card.group]) if card.group in before else []
        tables = [_table(title, rows) for title, rows in card.tables.items() if rows]
        changed = html_table(pl.DataFrame(changes, infer_schema_length=None)) if changes else ""
        parts.append({"card": card, "file": file_of(card), "tables": tables, "changes": changed})
    return Environment(autoescape=True).from_string(text).render(parts=parts, first=cards[0])


def _table(title: str, rows: Rows) -> dict[str, Any]:
    """A table of a card for the page: `title`, `html`, `wide`."""
    frame = pl.DataFrame(list(rows), infer_schema_length=None)
    frame = frame.rename({name: _HEADS.get(name, name) for name in frame.columns})
    return {"title": title, "html": html_table(frame), "wide": frame.width > _WIDE}


__all__ = ["FOLDER", "cards_of", "earlier", "file_of", "read_cards", "shown", "write_cards"]
