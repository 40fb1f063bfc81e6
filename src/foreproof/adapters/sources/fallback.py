"""A source that another one stands in for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from foreproof.adapters.sources.batch import Batch, Reading, Source
from foreproof.errors import SourceError


@dataclass(frozen=True, slots=True)
class Fallback:
    """The second source is read where the first cannot be; every batch of it says so, and why."""

    first: Source
    second: Source

    def describe(self) -> str:
        """The first source: the second one names itself in its batches."""
        return self.first.describe()

    def batches(self, reading: Reading) -> Iterator[Batch]:
        """All batches of the first source, or, where one of them cannot be read, all of the second and none of the first.

        Raises SourceError where neither can be read.
        """
        try:
            made = list(self.first.batches(reading))
        except SourceError as error:
            yield from self._instead(reading, error)
        else:
            yield from made

    def _instead(self, reading: Reading, error: SourceError) -> Iterator[Batch]:
        try:
            for batch in self.second.batches(reading):
                note = "; ".join(part for part in (f"the fallback, since {error}", batch.note) if part)
                yield replace(batch, source=batch.source or self.second.describe(), note=note)
        except SourceError as other:
            both = f"{error.found}; and of its fallback {other.subject}: {other.found}"
            raise SourceError(error.subject, found=both, wanted=error.wanted, fix=error.fix) from None


__all__ = ["Fallback"]
