"""Models of plugins: the user's own value behind `core.model.Model`, with the version that it came in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from foreproof.core.model import Fitted, Model, Past
from foreproof.core.plugins import Plugin
from foreproof.core.section import Section
from foreproof.errors import BadInput


@dataclass(frozen=True, slots=True)
class Plugged:
    """A plugin's model. origin: distribution and version; a finished fit is found again only under the same one."""

    model: Model
    origin: str

    @property
    def name(self) -> str:
        """The name that the model gives itself."""
        return self.model.name

    @property
    def reads_rows(self) -> bool:
        """As the model says."""
        return self.model.reads_rows

    def fit(self, past: Past, *, seed: int) -> Fitted:
        """As the model does; what it raises says whose it is."""
        try:
            return self.model.fit(past, seed=seed)
        except Exception as error:
            error.add_note(f"in model {self.name} of {self.origin}")
            raise

    def load(self, files: Mapping[str, bytes]) -> Fitted:
        """The fitted model back from what it dumped, by the model's own `load`. Raises BadInput where it has none."""
        load = getattr(self.model, "load", None)
        if load is None:
            raise BadInput(
                f"model {self.name} of {self.origin}",
                found="no state that can be read back",
                wanted="a method load(files), the inverse of its Fitted.dump",
                fix="fit it again, or give it one",
            )
        fitted: Fitted = load(files)
        return fitted


def plugged(own: Mapping[str, Plugin]) -> dict[str, Callable[[Section], Model]]:
    """What parses the settings of each plugin's model, by the name that plans use."""
    return {name: _kind(plugin) for name, plugin in own.items()}


def _kind(plugin: Plugin) -> Callable[[Section], Model]:
    return lambda section: Plugged(plugin.value(section, having=("name", "reads_rows", "fit")), plugin.origin)


__all__ = ["Plugged", "plugged"]
