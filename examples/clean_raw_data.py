"""A messy export made clean by declared rules: decimal commas, boxes and pieces, a line that came twice, and a return."""

from __future__ import annotations

import polars as pl
import yaml

from foreproof.core.clean import clean, parse_rules
from foreproof.core.section import Section

RAW = """
Receipt;Article;Day;Qty;Unit
A1; tea ;01.03.2024;1.200,5;piece
A1; tea ;01.03.2024;1.200,5;piece
A2;oats;01.03.2024;2;box
T0;TEST;02.03.2024;1;piece
C7;tea;09.03.2024;3;piece
"""
RULES = """
- rename: {receipt: Receipt, item: Article, day: Day, units: Qty, uom: Unit}
- trim: item
- drop: {item: {is: [TEST]}}
- number: {columns: units, form: "1.234,5"}
- unit: {column: units, by: uom, factors: {box: 12, piece: 1}}
- returns: {amount: units, column: receipt, prefix: C, treat: adjust}
- deduplicate: {}
"""


def main() -> None:
    """Clean, and show what each rule did."""
    raw = pl.read_csv(RAW.strip().encode(), separator=";", infer_schema=False)
    rules = parse_rules([Section(rule, path="clean") for rule in yaml.safe_load(RULES)])
    done = clean(raw, rules)
    print(done.report)
    print(done.rows)
    assert done.rows["units"].to_list() == ["1200.5", "24", "-3"], "the return counts against its own day"
    assert done.report["rows_out"].to_list() == [5, 5, 4, 4, 4, 4, 3]


if __name__ == "__main__":
    main()
