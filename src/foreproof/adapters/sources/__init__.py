"""Sources: where raw rows come from. Every kind gives batches; the setting that only one kind has says which it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from foreproof.adapters.sources.batch import Batch, Reading, Source, read, secret
from foreproof.adapters.sources.fallback import Fallback
from foreproof.adapters.sources.files import Files, parse_files
from foreproof.adapters.sources.http import Http, parse_http
from foreproof.adapters.sources.kept import Cached
from foreproof.adapters.sources.sql import Sql, parse_sql
from foreproof.core.clock import parse_offset
from foreproof.core.plugins import Plugin
from foreproof.core.section import Section
from foreproof.errors import PlanError

KINDS: Mapping[str, Callable[[Section], Source]] = {
    "http": parse_http,
    "sql": parse_sql,
    "url": parse_files,
}
"""What parses a section, by the setting that tells its kind; the first one that is there counts."""
_CACHE = "cache"


def parse_source(section: Section, own: Mapping[str, Plugin] = MappingProxyType({})) -> Source:
    """A source from the plan's section `sources.TABLE`, with its `cache` and its `fallback`. own: kinds of plugins."""
    fallback = section.section_or_text("fallback") if section.raw("fallback", default=None) is not None else None
    kept = section.section(_CACHE) if section.raw(_CACHE, default=None) is not None else None
    source = _parse_kind(section, own)
    if isinstance(fallback, str) and (fallback != _CACHE or kept is None):
        wanted = "cache (with cache: {age: ...} beside it), or the settings of another source"
        raise PlanError(f"{section.path}.fallback", found=repr(fallback), wanted=wanted)
    if kept is not None:
        source = _cached(section, kept, source, stale=fallback == _CACHE)
    return Fallback(source, parse_source(fallback, own)) if isinstance(fallback, Section) else source


def _parse_kind(section: Section, own: Mapping[str, Plugin]) -> Source:
    for setting, parse in KINDS.items():
        if setting in section:
            return parse(section)
    for setting, plugin in own.items():
        if setting in section:
            found: Source = plugin.value(section, having=("describe", "batches"))
            section.raw(setting)
            section.done()
            return found
    raise PlanError(section.path, found="no address", wanted=f"one of {', '.join((*KINDS, *own))}", fix="set url")


def _cached(section: Section, kept: Section, source: Source, *, stale: bool) -> Cached:
    age = parse_offset(kept.text("age"), subject=f"{kept.path}.age")
    kept.done()
    if str(age).startswith("-"):
        raise PlanError(f"{kept.path}.age", found=str(age), wanted="a span of time such as 6h")
    if isinstance(source, Files) and not source.remote:
        found = f"a file on this machine ({source.describe()})"
        raise PlanError(f"{section.path}.cache", found=found, wanted="a source elsewhere", fix="take cache: out")
    return Cached(source, age, stale)


__all__ = [
    "KINDS",
    "Batch",
    "Cached",
    "Fallback",
    "Files",
    "Http",
    "Reading",
    "Source",
    "Sql",
    "parse_source",
    "read",
    "secret",
]
