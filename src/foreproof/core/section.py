"""One section of the plan: typed readings of plain values, each error with its dotted path.

A package owns its section and parses it once into a frozen value; unknown settings are refused, so a typing error
can never be silent.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar, cast
from zoneinfo import ZoneInfo

from foreproof.errors import PlanError

T = TypeVar("T", bound=str)
_MISSING: Any = object()


class Section:
    """A mapping of the plan with a path; remembers which settings were read, so that `done` can refuse the rest."""

    def __init__(self, values: Mapping[str, Any], *, path: str) -> None:
        self._values = dict(values)
        self._read: set[str] = set()
        self.path = path

    def __contains__(self, name: str) -> bool:
        return self._values.get(name) is not None

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def raw(self, name: str, default: Any = _MISSING) -> Any:
        """The plain value, or the default; an absent value without default is an error."""
        self._read.add(name)
        found = self._values.get(name)
        if found is not None:
            return found
        if default is _MISSING:
            raise PlanError(self._at(name), found="nothing", wanted="a value", fix=f"set {name}")
        return default

    def text(self, name: str, default: Any = _MISSING) -> str:
        """A piece of text."""
        return cast(str, self._typed(name, str, "text", default))

    def text_or_whole(self, name: str) -> str | int:
        """A piece of text or a whole number."""
        return cast("str | int", self._typed(name, (str, int), "text or a whole number", _MISSING))

    def flag(self, name: str, default: Any = _MISSING) -> bool:
        """True or false."""
        return cast(bool, self._typed(name, bool, "true or false", default))

    def whole(self, name: str, default: Any = _MISSING, *, low: int | None = None, high: int | None = None) -> int:
        """A whole number within bounds."""
        value = self._typed(name, int, "a whole number", default)
        self._bounded(name, value, low, high)
        return int(value)

    def number(
        self, name: str, default: Any = _MISSING, *, low: float | None = None, high: float | None = None
    ) -> float:
        """A number within bounds."""
        value = self._typed(name, (int, float), "a number", default)
        self._bounded(name, value, low, high)
        return float(value)

    def number_or_none(self, name: str) -> float | None:
        """A number, or None where the plan is silent."""
        value = self._typed(name, (int, float), "a number", None)
        return None if value is None else float(value)

    def choice(self, name: str, options: Sequence[T], default: Any = _MISSING) -> T:
        """One of a few words."""
        value = self._typed(name, str, f"one of {', '.join(options)}", default)
        if value not in options:
            raise PlanError(self._at(name), found=f"{value!r}", wanted=f"one of {', '.join(options)}")
        return cast(T, value)

    def texts(self, name: str, default: Any = _MISSING) -> tuple[str, ...]:
        """A list of texts; one text alone stands for a list of one."""
        value = self.raw(name, default)
        items = [value] if isinstance(value, str) else value
        if not isinstance(items, list | tuple) or not all(isinstance(item, str) for item in items):
            raise PlanError(self._at(name), found=f"{value!r}", wanted="a list of texts")
        return tuple(items)

    def numbers(self, name: str, default: Any = _MISSING) -> tuple[float, ...]:
        """A list of numbers."""
        value = self.raw(name, default)
        items = value if isinstance(value, list | tuple) else [value]
        if not all(isinstance(item, int | float) and not isinstance(item, bool) for item in items):
            raise PlanError(self._at(name), found=f"{value!r}", wanted="a list of numbers")
        return tuple(float(item) for item in items)

    def wholes(self, name: str, default: Any = _MISSING, *, low: int | None = None) -> tuple[int, ...]:
        """A list of whole numbers within bounds."""
        found = self.numbers(name, default)
        for value in found:
            if not value.is_integer():
                raise PlanError(self._at(name), found=f"{value!r}", wanted="whole numbers")
            self._bounded(name, value, low, None)
        return tuple(int(value) for value in found)

    def zone(self, name: str, default: Any = _MISSING) -> str:
        """The name of a time zone."""
        value = self.text(name, default)
        if value:
            try:
                ZoneInfo(value)
            except (KeyError, ValueError, OSError):
                raise PlanError(self._at(name), found=f"{value!r}", wanted="a time zone such as Europe/Paris") from None
        return value

    def section(self, name: str, default: Any = _MISSING) -> Section:
        """A section inside this one."""
        value = self.raw(name, default)
        if not isinstance(value, Mapping):
            raise PlanError(self._at(name), found=f"{value!r}", wanted="a mapping of settings")
        return Section(value, path=self._at(name))

    def section_or_text(self, name: str) -> Section | str:
        """A section, or a text that stands for its shortest form."""
        value = self.raw(name)
        return value if isinstance(value, str) else self.section(name)

    def sections(self, name: str, default: Any = _MISSING) -> tuple[Section, ...]:
        """A list of sections."""
        value = self.raw(name, default)
        if not isinstance(value, list | tuple) or not all(isinstance(item, Mapping) for item in value):
            raise PlanError(self._at(name), found=f"{value!r}", wanted="a list of mappings")
        return tuple(Section(item, path=f"{self._at(name)}[{i}]") for i, item in enumerate(value))

    def done(self) -> None:
        """Refuse settings that nobody read."""
        for name in self._values:
            if name not in self._read and self._values[name] is not None:
                near = difflib.get_close_matches(str(name), sorted(self._read), n=1)
                fix = f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(sorted(self._read))}"
                raise PlanError(self._at(str(name)), found="an unknown setting", fix=fix)

    def _typed(self, name: str, kind: Any, words: str, default: Any) -> Any:
        value = self.raw(name, default)
        if value is default and default is not _MISSING:
            return value
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise PlanError(self._at(name), found=f"{value!r}", wanted=words)
        return value

    def _bounded(self, name: str, value: float, low: float | None, high: float | None) -> None:
        if (low is not None and value < low) or (high is not None and value > high):
            wanted = f"at least {low}" if high is None else f"at most {high}" if low is None else f"{low} to {high}"
            raise PlanError(self._at(name), found=str(value), wanted=wanted)

    def _at(self, name: str) -> str:
        return f"{self.path}.{name}" if self.path else name


__all__ = ["Section"]
