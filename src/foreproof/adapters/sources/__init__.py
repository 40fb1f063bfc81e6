"""Sources: where raw rows come from. Every kind gives batches; the setting that only one kind has says which it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from foreproof.adapters.sources.batch import Batch, Reading, Source, read, secret
from foreproof.adapters.sources.files import Files, parse_files
from foreproof.core.section import Section
from foreproof.errors import PlanError

_KINDS: Mapping[str, Callable[[Section], Source]] = {"url": parse_files}
"""What parses a section, by the setting that tells its kind; the first one that is there counts."""


def parse_source(section: Section) -> Source:
    """A source from the plan's section `sources.TABLE`."""
    for setting, parse in _KINDS.items():
        if setting in section:
            return parse(section)
    raise PlanError(section.path, found="no address", wanted=f"one of {', '.join(_KINDS)}", fix="set url")


__all__ = ["Batch", "Files", "Reading", "Source", "parse_source", "read", "secret"]
