"""Repair mojibake, smart quotes and typographic dashes in text files, in place.

    python tools/repair_text.py [--check] FILE ...

Mojibake is UTF-8 that some program read as cp1252 (or Latin-1) and saved again: the three bytes of a right single
quote come back as three characters. Typographic quotes and dashes come in with pasted prose and break code that is
copied out of it. Exit code 1 if a file was changed (or, with `--check`, would be) or needs a hand; 0 otherwise.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path

# Every character here is written as an escape: the hook runs on this file too.
PLAIN = {
    "\u2018": "'",
    "\u2019": "'",
    "\u201a": "'",
    "\u201b": "'",
    "\u201c": '"',
    "\u201d": '"',
    "\u201e": '"',
    "\u201f": '"',
    "\u2010": "-",
    "\u2011": "-",
    "\u2012": "-",
    "\u2013": "-",
    "\u2014": "-",
    "\u2015": "-",
    "\u2026": "...",
    "\u00a0": " ",
    "\u202f": " ",
    "\u200b": "",
    "\ufeff": "",
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
    """`text` with typographic quotes, dashes and spaces as ASCII has them."""
    return text.translate(str.maketrans(PLAIN))


def repair(text: str) -> str:
    """`text` without mojibake, smart quotes and typographic dashes; repairing twice changes nothing more."""
    return straighten(unscramble(text))


def faults(text: str) -> list[int]:
    """The 1-based lines of `text` that `repair` would change."""
    return [number for number, line in enumerate(text.split("\n"), start=1) if repair(line) != line]


def _compiles(source: str) -> bool:
    try:
        compile(source, "<repaired>", "exec", dont_inherit=True)
    except (SyntaxError, ValueError):
        return False
    return True


def repair_file(path: Path, *, check: bool = False) -> list[str]:
    """Repair the file in place and say what was found, one line each; an empty list where there was nothing.

    Python that would no longer compile (a smart quote inside a string of plain ones) is reported and left alone.
    """
    try:
        text = path.read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        return [f"{path}: byte {error.start} is not UTF-8; save the file as UTF-8"]
    repaired = repair(text)
    if repaired == text:
        return []
    lines = ", ".join(map(str, faults(text)[:10]))
    if path.suffix == ".py" and _compiles(text) and not _compiles(repaired):
        return [f"{path}: lines {lines}: straight quotes would end a string there; write an escape by hand"]
    if check:
        return [f"{path}: lines {lines}: mojibake or typographic characters; run tools/repair_text.py on it"]
    path.write_bytes(repaired.encode("utf-8"))
    return [f"{path}: lines {lines}: repaired"]


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
