"""A database cut at cutoffs, or altered, each time once, so that all checks of a trial share what is built from it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from foreproof.core.clock import Moment, ticks
from foreproof.core.view import Database


@dataclass(frozen=True, slots=True)
class Cuts:
    """What is made of one database, kept from the first time that it is asked for, by a name and a cutoff."""

    database: Database
    _kept: dict[tuple[str, int | None], Database] = field(default_factory=dict)

    def kept(self, name: str, cutoff: Moment | None, make: Callable[[], Database]) -> Database:
        """The database of that name at the cutoff (None: at none), made the first time."""
        key = (name, None if cutoff is None else ticks(cutoff))
        if key not in self._kept:
            self._kept[key] = make()
        return self._kept[key]

    def truncated(self, cutoff: Moment) -> Database:
        """All versions known at the cutoff."""
        return self.kept("truncated", cutoff, lambda: self.database.truncate(cutoff))

    def viewed(self, cutoff: Moment) -> Database:
        """The visible versions at the cutoff; the truncated database itself where that hides nothing."""

        def make() -> Database:
            whole, seen = self.truncated(cutoff), visible(self.database, cutoff)
            same = all(seen[name].rows.height == table.rows.height for name, table in whole.tables.items())
            return whole if same else seen

        return self.kept("viewed", cutoff, make)

    def grown(self, database: Database, *, after: Moment) -> Cuts:
        """The cuts of a database that only holds more rows known after a moment: those up to then stay as they are."""
        early: dict[tuple[str, int | None], Database] = {
            (name, tick): one
            for (name, tick), one in self._kept.items()
            if name in ("truncated", "viewed") and tick is not None and tick <= ticks(after)
        }
        return replace(self, database=database, _kept=early)

    def owns(self, database: Database) -> bool:
        """Whether a database is the whole one or is kept here."""
        return any(database is one for one in (self.database, *self._kept.values()))


def visible(database: Database, cutoff: Moment) -> Database:
    """What a reader of the log at the cutoff would have: of each key the version in force, and nothing of what came later."""
    return Database(dict(database.as_of(cutoff).tables))


__all__ = ["Cuts", "visible"]
