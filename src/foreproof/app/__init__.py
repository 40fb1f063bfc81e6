"""The edge: settings, the composition root, commands and pages."""

from __future__ import annotations

import os

# One thread a library, before any is loaded: two threads on two busy cores cost 8 to 50 times the CPU.
os.environ.setdefault("OMP_NUM_THREADS", "1")
