"""What breaks when things break: killed processes, another tenant's ids, a copilot that is told wrong things.

    python benchmarks/faults.py [--quick] [--json FILE]

Three parts, each a file of its own that can be run alone: `_process_faults` (200 `kill -9` at random moments over API,
worker, load, train and promote, on SQLite and PostgreSQL), `_tenant_faults` (10,000 random calls at another tenant's
things) and `_copilot_faults` (1,000 altered explanations and a model in every bad mode).
"""

from __future__ import annotations

import importlib
import importlib.util

from common import Check, Row, expect, parser, print_table, write_json

PARTS = ("_process_faults", "_tenant_faults", "_copilot_faults")


def part(name: str, *, quick: bool) -> tuple[list[Row], list[Check]]:
    """The rows of one part, and what it expects of them."""
    module = importlib.import_module(name)
    found = [Row(**row) for row in module.rows(quick=quick)]
    return found, list(module.CHECKS if hasattr(module, "CHECKS") else module.checks(found))


def main() -> int:
    """All parts: one table, one list of rows; the exit code is 1 where any falls short."""
    arguments = parser(__doc__ or "").parse_args()
    found: list[Row] = []
    checks: list[Check] = []
    for name in PARTS:
        if importlib.util.find_spec(name) is None:
            print(f"{name}: not here, left out")
            continue
        rows, expected = part(name, quick=arguments.quick)
        found, checks = [*found, *rows], [*checks, *expected]
    print_table(found)
    write_json(found, arguments.json)
    return expect(found, checks)


if __name__ == "__main__":
    raise SystemExit(main())
