"""What a model is, in words and figures that a reader can hold it to."""

from __future__ import annotations

from foreproof.explain.card import Card, Figure, Rows, compare, known_limits

__all__ = ["Card", "Figure", "Rows", "compare", "known_limits"]
