"""Patterns of mapping rules: globs, and regular expressions after `re:`. Both must match the whole text.

In a glob `*` is any run of characters, `?` one of them, `[a-f]` one of a set, `[!a-f]` one outside it, as in Python's
`fnmatch`. Expressions are those of the `regex` crate inside polars: linear time, no look-around, no back-references.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, assert_never

import polars as pl

Case = Literal["exact", "ignore"]
Token = tuple[Literal["letter", "any", "one", "set"], str]
REGEX = "re:"
"""What a pattern begins with that is a regular expression."""
_BATCH = 64  # patterns matched in one pass: one column of flags each


def matching_texts(texts: pl.Series, patterns: Sequence[str], *, case: Case) -> pl.DataFrame:
    """Pairs (`pattern`, `text`) that match. texts: distinct, without nulls; patterns: distinct, without a fault.

    A glob with letters of its own is tried only on the texts that hold its longest run of them: all runs are looked for
    in one pass (Aho and Corasick, "Efficient string matching", 1975), so hundreds of globs cost little more than one.
    """
    frame = pl.DataFrame([texts.alias("text")])
    runs = {pattern: run for pattern in patterns if (run := _run(pattern, case=case))}
    others = [pattern for pattern in patterns if pattern not in runs]
    found = [pl.DataFrame(schema={"pattern": pl.String, "text": pl.String})]
    for low in range(0, len(others), _BATCH):
        some = others[low : low + _BATCH]
        flags = frame.select(_matches(pattern, case=case).alias(str(i)) for i, pattern in enumerate(some))
        found += [_pairs(pattern, frame.filter(flags[str(i)])) for i, pattern in enumerate(some)]
    if runs:
        holders = _holders(frame, sorted(set(runs.values())), case=case).partition_by("run", as_dict=True)
        tried = [(pattern, holders[run,]) for pattern, run in runs.items() if (run,) in holders]
        found += [_pairs(pattern, some.filter(_matches(pattern, case=case))) for pattern, some in tried]
    return pl.concat(found)


def pattern_fault(pattern: str, *, case: Case) -> str:
    """Why a pattern cannot be read, empty where it can."""
    # the bare expression first, so that no bracket of it closes our own
    for each in (regex_of(pattern), _anchored(pattern, case=case)):
        try:
            pl.Series([""]).str.contains(each)
        except pl.exceptions.ComputeError as error:
            lines = str(error).splitlines()
            told = next((line for line in lines if line.startswith("error: ")), lines[0])
            return f"the pattern cannot be read: {told.removeprefix('error: ')}"
    return ""


def regex_of(pattern: str) -> str:
    """The regular expression, not anchored, that a pattern stands for."""
    if pattern.startswith(REGEX):
        return pattern.removeprefix(REGEX)
    return f"(?s:{''.join(_regex_of(token) for token in _tokens(pattern))})"


def _tokens(pattern: str) -> Iterator[Token]:
    """A glob's parts; a bracket that nothing closes is a letter, and one right at a set's start is in the set."""
    place = 0
    while place < len(pattern):
        letter, outside = pattern[place], pattern[place + 1 : place + 2] == "!"
        end = pattern.find("]", place + 2 + outside)
        if letter == "[" and end > 0:
            yield "set", pattern[place + 1 : end]
            place = end
        elif letter == "*":
            yield "any", letter
        elif letter == "?":
            yield "one", letter
        else:
            yield "letter", letter
        place += 1


def _regex_of(token: Token) -> str:
    kind, text = token
    match kind:
        case "letter":
            return pl.escape_regex(text)
        case "any":
            return ".*"
        case "one":
            return "."
        case "set":
            return _set(text)
        case _:
            assert_never(kind)


def _set(inner: str) -> str:
    """A glob's set of letters; only `!` at its start and `-` between two letters mean more than themselves."""
    outside, letters = inner.startswith("!"), inner.removeprefix("!")
    made, place = "", 0
    while place < len(letters):
        made += pl.escape_regex(letters[place])
        if letters[place + 1 : place + 2] == "-" and place + 2 < len(letters):
            made += f"-{pl.escape_regex(letters[place + 2])}"
            place += 2
        place += 1
    return f"[{'^' if outside else ''}{made}]"


def _matches(pattern: str, *, case: Case) -> pl.Expr:
    """Whether the whole text matches; a glob with stars at its ends alone needs no expression, which is faster."""
    text, plain = pl.col("text"), pattern.strip("*")
    if case == "ignore" or pattern.startswith(REGEX) or any(mark in plain for mark in "*?["):
        return text.str.contains(_anchored(pattern, case=case))
    match (pattern.startswith("*"), pattern.endswith("*")):
        case (True, True):
            return text.str.contains(plain, literal=True)
        case (True, False):
            return text.str.ends_with(plain)
        case (False, True):
            return text.str.starts_with(plain)
        case _:
            return text == plain


def _anchored(pattern: str, *, case: Case) -> str:
    return f"{'(?i)' if case == 'ignore' else ''}^(?:{regex_of(pattern)})$"


def _pairs(pattern: str, texts: pl.DataFrame) -> pl.DataFrame:
    return texts.select(pl.lit(pattern).alias("pattern"), "text")


def _run(pattern: str, *, case: Case) -> str:
    """The longest run of a glob's own letters; empty where there is none, or capitals beyond ASCII would be in doubt."""
    if pattern.startswith(REGEX):
        return ""
    parts = "".join(text if kind == "letter" and text != "\n" else "\n" for kind, text in _tokens(pattern))
    run = max(parts.split("\n"), key=len)
    if case == "ignore":
        return run.lower() if run.isascii() else ""
    return run


def _holders(frame: pl.DataFrame, runs: list[str], *, case: Case) -> pl.DataFrame:
    """Pairs (`text`, `run`) of the texts that hold a run; without case, texts beyond ASCII are taken to hold them all."""
    ignore = case == "ignore"
    drawn = pl.col("text").str.extract_many(runs, overlapping=True, ascii_case_insensitive=ignore).alias("run")
    held = frame.select("text", drawn).explode("run").drop_nulls("run")
    if ignore:
        beyond = frame.filter(pl.col("text").str.len_bytes() > pl.col("text").str.len_chars())
        lowered = held.with_columns(pl.col("run").str.to_lowercase())
        held = pl.concat([lowered, beyond.join(pl.DataFrame({"run": runs}), how="cross")])
    return held.unique()


__all__ = ["REGEX", "Case", "matching_texts", "pattern_fault", "regex_of"]
