"""Laws that build a pipeline or a lake anew at each example: as many examples as they can have within minutes."""

from __future__ import annotations

from hypothesis import settings

HEAVY = settings(max_examples=max(10, settings().max_examples // 8))
"""An eighth of the profile's examples, and ten at least."""
