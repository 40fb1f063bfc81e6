"""Policies of plugins: they order for one window in the newsvendor's place, and what they give back is checked."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from foreproof.core.decide import Decisions, Policy, parse_beliefs
from foreproof.core.plugins import Plugin
from foreproof.core.section import Section
from foreproof.decisions.newsvendor import ORDER, ORDER_UP_TO
from foreproof.errors import BadInput


@dataclass(frozen=True, slots=True)
class Plugged:
    """A plugin's policy. subject: how errors name it."""

    policy: Policy
    subject: str

    def decide(self, beliefs: pl.DataFrame, *, held: pl.DataFrame | None = None) -> Decisions:
        """What the policy decides. Raises BadInput where it leaves an entity out, or says not how much and up to what."""
        found = self.policy.decide(beliefs, held=held)
        if not isinstance(found, Decisions):
            raise BadInput(self.subject, found=f"a {type(found).__name__}", wanted="foreproof.core.decide.Decisions")
        lacking = [name for name in (ORDER, ORDER_UP_TO) if name not in found.actions]
        if lacking:
            raise BadInput(
                self.subject,
                found=f"decisions without {', '.join(lacking)}",
                wanted="units to order, and up to which stock: what a replay judges",
            )
        asked = parse_beliefs(beliefs).keys
        missed = asked.join(found.rows, on=asked.columns, how="anti").height
        if missed or found.rows.height != asked.height:
            raise BadInput(
                self.subject,
                found=f"{found.rows.height} decisions, none for {missed} of those asked for",
                wanted=f"one for each of {asked.height} entities and cutoffs",
            )
        return found


def plugged(plugin: Plugin, section: Section) -> Plugged:
    """A plugin's policy under the settings of a plan's `decision.settings`."""
    policy = plugin.value(section, having=("decide",))
    section.done()
    return Plugged(policy, plugin.subject)


__all__ = ["Plugged", "plugged"]
