"""Foreproof: predictions and decisions from tables of dated facts, with proof that they were made honestly."""

from __future__ import annotations

__version__ = "0.1.0"
