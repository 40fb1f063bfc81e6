"""The prompts: versioned files beside this one, filled with facts as data.

A prompt is never edited once it was used: a better one is a file of a higher version, and each exchange names its version and the
digest of its text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from foreproof.core.digest import digest_bytes
from foreproof.errors import BadInput


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt's text, its version, and sha256 of its file."""

    name: str
    version: int
    text: str
    digest: str

    @property
    def label(self) -> str:
        """Name, version and the beginning of the digest: what an exchange records."""
        return f"{self.name}.v{self.version}@{self.digest[:12]}"

    def messages(self, *, subject: str, question: str, facts: Sequence[Mapping[str, str]]) -> list[Mapping[str, str]]:
        """The conversation to begin with: our rules, then the data as JSON in a block that no data can end."""
        data = {"subject": subject, "question": question, "facts": list(facts)}
        return [
            {"role": "system", "content": self.text},
            {"role": "user", "content": f"<data>\n{escaped(data)}\n</data>"},
        ]


def escaped(data: Any) -> str:
    """JSON without the signs that could end or open a block."""
    text = json.dumps(data, ensure_ascii=True)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


@cache
def load_prompt(name: str, version: int | None = None) -> Prompt:
    """A prompt by its name: its newest version, or the one asked for. Raises BadInput where there is none."""
    found = {}
    for path in resources.files(__name__).iterdir():
        if match := re.fullmatch(rf"{re.escape(name)}\.v(\d+)\.md", path.name):
            found[int(match.group(1))] = path
    chosen = max(found, default=0) if version is None else version
    if chosen not in found:
        raise BadInput(f"prompt {name}", found=f"versions {sorted(found)}", wanted=f"version {version or 'any'}")
    content = found[chosen].read_bytes()
    return Prompt(name, chosen, content.decode("utf-8"), digest_bytes(content))


__all__ = ["Prompt", "escaped", "load_prompt"]
