"""Slow twins for sources: plain loops that are right by reading."""

from __future__ import annotations


def csv_text(rows: list[list[str]]) -> str:
    """Rows as CSV, every field that needs it quoted."""
    lines = []
    for row in rows:
        fields = []
        for field in row:
            if field == "" and len(row) == 1:
                fields.append('""')
            elif any(mark in field for mark in '",\n\r') or field != field.strip():
                fields.append('"' + field.replace('"', '""') + '"')
            else:
                fields.append(field)
        lines.append(",".join(fields) + "\n")
    return "".join(lines)


def first_ragged_line(text: str, width: int) -> int | None:
    """The line on which the first record without `width` fields ends, one letter at a time; None where all have them."""
    fields, line, quoted = 1, 1, False
    for letter in text:
        if letter == '"':
            quoted = not quoted
        elif letter == "," and not quoted:
            fields += 1
        elif letter == "\n":
            if not quoted:
                if fields != width:
                    return line
                fields = 1
            line += 1
    return None


def repeated_keys(batches: list[dict[tuple[str | None, int], int | None]]) -> tuple[int, int]:
    """How many keys come in more than one batch, and how often one comes with another value than the time before."""
    last: dict[tuple[str | None, int], int | None] = {}
    again, changed = set(), 0
    for batch in batches:
        for key, value in batch.items():
            if key in last:
                again.add(key)
                changed += value != last[key]
            last[key] = value
    return len(again), changed
