"""Repair mojibake, smart quotes and typographic dashes in text files, in place.

    python tools/repair_text.py [--check] FILE ...

Mojibake is UTF-8 that some program read as cp1252 (or Latin-1) and saved again: the three bytes of a right single
quote come back as three characters. Typographic quotes and dashes come in with pasted prose and break code that is
copied out of it. Exit code 1 if a file was changed (or, with `--check`, would be) or needs a hand; 0 otherwise.
"""

from __future__ import annotations

import argparse
import ast
import re
from collections.abc import Sequence
from pathlib import Path

# Every character here is written as an escape: the hook runs on this file too.
QUOTES: dict[str, str | int | None] = {
    "\u2018": "'",
    "\u2019": "'",
    "\u201a": "'",
    "\u201b": "'",
    "\u201c": '"',
    "\u201d": '"',
    "\u201e": '"',
    "\u201f": '"',
    "\u00a0": " ",
    "\u202f": " ",
    "\u200b": "",
    "\ufeff": "",
}
DASHES: dict[str, str | int | None] = {
    "\u2010": "-",
    "\u2011": "-",
    "\u2012": "-",
    "\u2013": "-",
    "\u2014": "-",
    "\u2015": "-",
    "\u2026": "...",
}


def _as_bytes() -> dict[str, int]:
    """The byte that a character of mis-read text stood for; cp1252 leaves five bytes to Latin-1, as browsers do."""
    table = {chr(byte): byte for byte in range(0x80, 0x100)}
    for byte in range(0x80, 0xA0):
        try:
            table[bytes([byte]).decode("cp1252")] = byte
        except UnicodeDecodeError:
            continue
    return table


_BYTE = _as_bytes()


def _characters(first: int, last: int) -> str:
    return "[" + "".join(re.escape(c) for c, byte in _BYTE.items() if first <= byte <= last) + "]"


# Only the leads that mojibake has in practice: Latin-1 letters and signs (C2, C3), Greek (CE, CF), punctuation, arrows
# and maths (E2 80 to E2 9F), the byte-order mark, and emoji. A wider net would catch French: an accented capital before
# a closing guillemet, with or without its no-break space, is a valid UTF-8 pair or triple as well.
_TAIL = _characters(0x80, 0xBF)
_MOJIBAKE = re.compile(
    "|".join(
        (
            _characters(0xC2, 0xC3) + _TAIL,
            _characters(0xCE, 0xCF) + _TAIL,
            _characters(0xE2, 0xE2) + _characters(0x80, 0x9F) + _TAIL,
            _characters(0xEF, 0xEF) + _characters(0xBB, 0xBB) + _characters(0xBF, 0xBF),
            _characters(0xF0, 0xF0) + _characters(0x9F, 0x9F) + _TAIL + _TAIL,
        )
    )
)


def unscramble(text: str) -> str:
    """`text` with mojibake turned back, also where it was mis-read more than once."""
    while True:
        repaired = _MOJIBAKE.sub(lambda found: bytes(_BYTE[c] for c in found.group()).decode("utf-8"), text)
        if repaired == text:
            return text
        text = repaired


def straighten(text: str) -> str:
    """`text` with typographic quotes, spaces, dashes and ellipses as ASCII has them."""
    return text.translate(str.maketrans(QUOTES | DASHES))


def repair(text: str) -> str:
    """`text` without mojibake and typographic characters; repairing twice changes nothing more."""
    return straighten(unscramble(text))


def faults(text: str) -> list[int]:
    """The 1-based lines of `text` that `repair` would change."""
    return [number for number, line in enumerate(text.split("\n"), start=1) if repair(line) != line]


def _strings(source: str) -> list[object] | None:
    """The constants of a Python program without docstrings and other bare texts; None where it does not parse."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return None
    bare = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    return [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in bare]


def repair_python(source: str) -> str:
    """`source` repaired as far as that is safe: it still parses, and no dash inside a string of it changes.

    A dash can be a separator that a format prescribes, so inside a string it is left for a person, who writes the
    escape where it is meant.
    """
    text = unscramble(source)
    straight = text.translate(str.maketrans(QUOTES))
    if _strings(text) is None or _strings(straight) is not None:
        text = straight
    plain = text.translate(str.maketrans(DASHES))
    before = _strings(text)
    return plain if before is None or before == _strings(plain) else text


def repair_file(path: Path, *, check: bool = False) -> list[str]:
    """Repair the file in place and say what was found, one line each; an empty list where there was nothing."""
    try:
        text = path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        return [f"{path}: byte {error.start} is not UTF-8; save the file as UTF-8"]
    found = faults(text)
    if check or not found:
        return [f"{path}: lines {_shown(found)}: run tools/repair_text.py on it"] if found else []
    repaired = repair_python(text) if path.suffix == ".py" else repair(text)
    path.write_bytes(repaired.encode("utf-8"))
    left = faults(repaired)
    said = [f"{path}: lines {_shown(found)}: repaired"] if repaired != text else []
    by_hand = f"{path}: lines {_shown(left)}: inside a string; write it plain, or as an escape if it is meant"
    return [*said, by_hand] if left else said


def _shown(lines: Sequence[int]) -> str:
    return ", ".join(map(str, lines[:10])) + (" ..." if len(lines) > 10 else "")


def main(arguments: Sequence[str] | None = None) -> int:
    """Repair the files that are named; 1 if there was anything to repair."""
    parser = argparse.ArgumentParser(description="Repair mojibake, smart quotes and typographic dashes in place.")
    parser.add_argument("--check", action="store_true", help="report, change nothing")
    parser.add_argument("files", nargs="*", type=Path)
    chosen = parser.parse_args(arguments)
    found = [line for path in chosen.files for line in repair_file(path, check=chosen.check)]
    print("\n".join(found), end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
