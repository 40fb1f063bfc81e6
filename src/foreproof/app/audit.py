"""`foreproof audit`: a command that reads tables from a folder and writes features is put through the checks of honesty."""

from __future__ import annotations

import shlex
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from foreproof.engine.audit import Audit, audit
from foreproof.engine.frames import Dated
from foreproof.engine.strangers import ByCutoff, ByRow
from foreproof.errors import BadInput

_TABLES, _OUT, _CUTOFF = "{tables}", "{out}", "{cutoff}"
_KINDS = (".parquet", ".csv")


@dataclass(frozen=True, slots=True)
class Command:
    """A program of somebody's: it reads the folder `{tables}` and writes the Parquet file `{out}`, as of `{cutoff}` if it asks.

    suffixes: by table, so that each is written as it was read.
    """

    words: tuple[str, ...]
    suffixes: Mapping[str, str]

    def __call__(self, frames: Mapping[str, pl.DataFrame], cutoff: Any = None) -> pl.DataFrame:
        """The features that it writes for these tables. Raises BadInput where it fails or writes nothing."""
        with tempfile.TemporaryDirectory() as folder:
            tables, out = Path(folder) / "tables", Path(folder) / "out.parquet"
            tables.mkdir()
            for name, frame in frames.items():
                path = tables / f"{name}{self.suffixes[name]}"
                frame.write_csv(path) if path.suffix == ".csv" else frame.write_parquet(path)
            at = cutoff.isoformat() if hasattr(cutoff, "isoformat") else str(cutoff)
            filled = [w.replace(_TABLES, str(tables)).replace(_OUT, str(out)).replace(_CUTOFF, at) for w in self.words]
            try:
                done = subprocess.run(filled, capture_output=True, text=True, check=False)
            except OSError as error:
                raise BadInput("--command", found=f"{error}", wanted="a program that starts") from error
            if done.returncode:
                found = f"exit code {done.returncode}: {done.stderr.strip()[-500:]}"
                raise BadInput(
                    "--command", found=found, wanted="0", fix="it has to work on tables cut at an earlier moment too"
                )
            if not out.is_file():
                raise BadInput("--command", found="no file at {out}", wanted="a Parquet file of features")
            return pl.read_parquet(out)


@dataclass(frozen=True, slots=True)
class Asked:
    """What is audited on which tables.

    clocks: of `time`, `known` and `constant` the words TABLE=COLUMN (of `constant` TABLE=WHY); COLUMN alone is the time of every
    table. rows: the table whose rows the features are of, where the command takes no cutoff and there are several tables.
    """

    command: str
    folder: Path
    cutoffs: tuple[str, ...]
    clocks: Mapping[str, Sequence[str]]
    entity: tuple[str, ...]
    rows: str = ""


def show_audit(asked: Asked, page: Path | None) -> int:
    """Print the report, write its page where one is asked for, return the exit code: 1 where a check did not pass."""
    report = audit_command(asked)
    print(report.text)
    if page is not None:
        page.write_text(report.html, encoding="utf-8")
        print(f"page: {page.resolve()}")
    return 0 if report.ok else 1


def audit_command(asked: Asked) -> Audit:
    """Audit a command on the tables of a folder. Raises BadInput for what cannot be read, and where the command fails."""
    command, folder, rows = asked.command, asked.folder, asked.rows
    words = tuple(shlex.split(command))
    if not any(_OUT in word for word in words) or not any(_TABLES in word for word in words):
        raise BadInput("--command", found=command, wanted="{tables} and {out} in it", fix="python my.py {tables} {out}")
    found = {path.stem: path for path in sorted(folder.glob("*")) if path.suffix in _KINDS}
    if not found:
        raise BadInput("--tables", found=f"no .parquet or .csv in {folder}", wanted="one file a table")
    if rows and rows not in found:
        raise BadInput("--rows", found=rows, wanted=f"one of {', '.join(found)}")
    names = sorted(found, key=lambda name: name != rows) if rows else list(found)
    said = {what: _by_table(what, asked.clocks.get(what, ()), names) for what in ("time", "known", "constant")}
    tables = {
        name: Dated(_read(found[name]), constant=said["constant"][name])
        if name in said["constant"]
        else Dated(_read(found[name]), said["time"].get(name, ""), said["known"].get(name, ""))
        for name in names
    }
    program = Command(words, {name: path.suffix for name, path in found.items()})
    stranger = ByCutoff(program) if any(_CUTOFF in word for word in words) else ByRow(program)
    cutoffs = [int(text) if text.lstrip("-").isdigit() else text for text in asked.cutoffs]
    return audit(stranger, tables, cutoffs or None, entity=asked.entity)


def _by_table(what: str, words: Sequence[str], names: Sequence[str]) -> dict[str, str]:
    """What is said of each table; a word without a table is said of all that have nothing of their own."""
    told: dict[str, str] = {}
    for word in words:
        table, mark, rest = word.partition("=")
        if not mark and what == "time":
            told = {**dict.fromkeys(names, table), **told}
        elif table not in names or not rest:
            raise BadInput(f"--{what}", found=word, wanted=f"TABLE=WORDS, TABLE one of {', '.join(names)}")
        else:
            told[table] = rest
    return told


def _read(path: Path) -> pl.DataFrame:
    try:
        return pl.read_csv(path, try_parse_dates=True) if path.suffix == ".csv" else pl.read_parquet(path)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise BadInput(str(path), found=f"{error}", wanted="a table") from error


__all__ = ["Asked", "Command", "audit_command", "show_audit"]
