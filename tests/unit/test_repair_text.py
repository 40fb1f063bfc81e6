from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repair_text import faults, main, repair, unscramble

RIGHT_QUOTE = "\u2019"


def misread(text: str, encoding: str = "cp1252") -> str:
    """What a program shows that takes the UTF-8 bytes of `text` for another encoding."""
    return text.encode("utf-8").decode(encoding)


@pytest.mark.parametrize(
    "text", ["caf\u00e9", "25 \u00b0C", "\u03b1 \u2264 \u03b2", "a \u2192 b", "\u00a31", "10 \u00d7 10", "na\u00efve"]
)
@pytest.mark.parametrize("encoding", ["cp1252", "latin-1"])
def test_text_that_was_read_in_the_wrong_encoding_comes_back(text: str, encoding: str) -> None:
    assert unscramble(misread(text, encoding)) == text


def test_text_that_was_misread_twice_comes_back() -> None:
    assert unscramble(misread(misread("caf\u00e9 \u2192"))) == "caf\u00e9 \u2192"


def test_a_misread_quote_ends_as_a_plain_one() -> None:
    assert misread("it" + RIGHT_QUOTE + "s") == "it\u00e2\u20ac\u2122s"
    assert repair(misread("it" + RIGHT_QUOTE + "s")) == "it's"


def test_typographic_characters_become_what_a_keyboard_has() -> None:
    assert repair("\u201ca\u201d \u2013 \u2018b\u2019\u2026\u00a0c\u200b") == "\"a\" - 'b'... c"


@pytest.mark.parametrize(
    "text", ["CAF\u00c9\u00bb", "\u00e9t\u00e9\u00bb", "\u00c3 la carte", "\u00a9 \u00ab\u00c0\u00bb", "x\u00b2"]
)
def test_good_text_with_accents_is_left_alone(text: str) -> None:
    assert repair(text) == text


@given(st.text())
def test_repairing_twice_changes_nothing_more(text: str) -> None:
    once = repair(text)
    assert repair(once) == once
    assert faults(once) == []


@given(st.text(alphabet=st.characters(max_codepoint=127)))
def test_ascii_is_never_touched(text: str) -> None:
    assert repair(text) == text


def test_a_file_is_repaired_in_place_once_and_its_line_ends_stay(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "page.md"
    path.write_bytes(("first\r\nit" + RIGHT_QUOTE + "s\r\n").encode())
    assert main([str(path)]) == 1
    assert path.read_bytes() == b"first\r\nit's\r\n"
    assert "page.md: lines 2: repaired" in capsys.readouterr().out
    assert main([str(path)]) == 0


def test_checking_reports_and_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    path.write_text("a \u2014 b", encoding="utf-8")
    assert main(["--check", str(path)]) == 1
    assert path.read_text(encoding="utf-8") == "a \u2014 b"


def test_python_that_would_break_is_reported_and_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "code.py"
    source = "x = 'it" + RIGHT_QUOTE + "s'\n"
    path.write_text(source, encoding="utf-8")
    assert main([str(path)]) == 1
    assert path.read_text(encoding="utf-8") == source
    assert "code.py: lines 1: inside a string" in capsys.readouterr().out


def test_a_dash_inside_a_string_of_code_stops_the_repair_of_dashes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "code.py"
    path.write_text("'''a \u2013 b'''\nx = '\u2014 sign'  # c \u2014 d\n", encoding="utf-8")
    assert main([str(path)]) == 1
    assert path.read_text(encoding="utf-8") == "'''a \u2013 b'''\nx = '\u2014 sign'  # c \u2014 d\n"
    path.write_text("'''a \u2013 b'''\nx = 'caf\u00c3\u00a9'  # c \u2014 d\n", encoding="utf-8")
    assert main([str(path)]) == 1
    assert path.read_text(encoding="utf-8") == "'''a - b'''\nx = 'caf\u00e9'  # c - d\n"
    assert "inside a string" in capsys.readouterr().out


def test_python_whose_quotes_were_smart_compiles_after_the_repair(tmp_path: Path) -> None:
    path = tmp_path / "code.py"
    path.write_text("x = \u2018text\u2019\n", encoding="utf-8")
    assert main([str(path)]) == 1
    assert path.read_text(encoding="utf-8") == "x = 'text'\n"


def test_a_file_that_is_not_utf8_is_reported_with_the_byte(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "old.txt"
    path.write_bytes(b"caf\xe9")
    assert main([str(path)]) == 1
    assert "byte 3 is not UTF-8" in capsys.readouterr().out
    assert path.read_bytes() == b"caf\xe9"
