"""Documentation that can fail: what has a name has a page, what a page shows works, and no file holds what it must not.

Each check is a function from texts to a list of faults, and each is also tried on a planted fault.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import os
import pkgutil
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pytest
import typer

import foreproof
from foreproof.core.section import Section
from repair_text import faults

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
FOLDERS = (".ci", ".github", "benchmarks", "deploy", "docs", "examples", "requirements", "src", "tests", "tools")
BINARY = {".png", ".parquet", ".gz", ".zip", ".ico", ".db"}
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


def files() -> list[Path]:
    """Every file of the project: what git tracks or would add, else what the known folders hold."""
    listed = None
    if (ROOT / ".git").exists() and shutil.which("git"):
        command = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        listed = subprocess.run(command, capture_output=True, check=False)
    if listed is not None and listed.returncode == 0:
        return sorted(path for name in set(listed.stdout.decode().split("\0")) if (path := ROOT / name).is_file())
    inside = (path for folder in FOLDERS for path in (ROOT / folder).rglob("*"))
    found = [*(path for path in ROOT.iterdir() if not path.name.startswith(".coverage")), *inside]
    return sorted(path for path in found if path.is_file() and "__pycache__" not in path.parts)


TEXTS = [path for path in files() if path.suffix not in BINARY]
PAGES = [path for path in TEXTS if path.suffix == ".md"]


def short(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def each(paths: Iterable[Path]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("path", list(paths), ids=short)


# Public names ---------------------------------------------------------------------------------------------------------


def modules() -> Iterator[ModuleType]:
    yield foreproof
    for found in pkgutil.walk_packages(foreproof.__path__, "foreproof."):
        yield importlib.import_module(found.name)


def undocumented(module: ModuleType) -> list[str]:
    """Public classes and functions without words of their own; a dataclass writes its signature where it finds none."""
    without = []
    for name in getattr(module, "__all__", ()):
        value = getattr(module, name)
        if inspect.isclass(value) or inspect.isroutine(value):
            text = (value.__dict__.get("__doc__") if inspect.isclass(value) else value.__doc__) or ""
            if not text.strip() or text.startswith(f"{name}("):
                without.append(f"{module.__name__}.{name}")
    return without


def test_every_public_name_is_documented() -> None:
    assert [name for module in modules() for name in undocumented(module)] == []


def test_every_module_says_what_it_is_and_lists_its_public_names() -> None:
    for module in modules():
        source = Path(module.__file__ or "").read_text(encoding="utf-8")
        if any(isinstance(node, ast.ClassDef | ast.FunctionDef) for node in ast.parse(source).body):
            assert (module.__doc__ or "").strip(), f"{module.__name__} has no docstring"
            assert hasattr(module, "__all__"), f"{module.__name__} has no __all__"


def test_a_public_name_without_words_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("planted")
    monkeypatch.setitem(sys.modules, "planted", module)  # where a dataclass looks its annotations up
    source = (
        "from dataclasses import dataclass\n"
        "@dataclass\nclass Bare:\n    x: int\n"
        "class Child(Exception): pass\n"
        "def f(): ...\n"
        "def g(): 'Words.'\n"
        "__all__ = ['Bare', 'Child', 'f', 'g']\n"
    )
    exec(source, module.__dict__)
    assert undocumented(module) == ["planted.Bare", "planted.Child", "planted.f"]


# The command line -----------------------------------------------------------------------------------------------------


class Command(NamedTuple):
    """`foreproof runs list` with its options."""

    words: tuple[str, ...]
    options: frozenset[str]
    is_group: bool


def commands(node: Any, words: tuple[str, ...] = ("foreproof",)) -> Iterator[Command]:
    """Every command and group under `node` that is not hidden."""
    inner = getattr(node, "commands", {})
    options = {opt for p in node.params for opt in (*p.opts, *p.secondary_opts) if opt.startswith("--")}
    yield Command(words, frozenset(options | {"--help"}), bool(inner))
    for name, child in inner.items():
        if not child.hidden:
            yield from commands(child, (*words, name))


def tree() -> dict[tuple[str, ...], Command]:
    from foreproof.app.cli import app  # here, so that the other pages are checked also where it does not import

    return {command.words: command for command in commands(typer.main.get_command(app))}


def unmentioned(known: Iterable[Command], page: str) -> list[str]:
    """Commands and options that the page does not name."""
    found = []
    for command in known:
        name = " ".join(command.words)
        if not command.is_group and not re.search(rf"\b{re.escape(name)}\b", page):
            found.append(name)
        shown = {opt for opt in command.options if opt not in ("--help", "--install-completion", "--show-completion")}
        found += [f"{name} {opt}" for opt in sorted(shown) if not re.search(rf"{re.escape(opt)}(?![\w-])", page)]
    return found


def shell(text: str) -> Iterator[str]:
    """The lines of a page's shell blocks and of its blocks without a language, comments and prompts cut off."""
    for kind, body in blocks(text):
        if not kind or kind[0] in ("sh", "bash", "console"):
            yield from (line.split(" #")[0].strip().removeprefix("$ ") for line in body)


def unknown_commands(known: dict[tuple[str, ...], Command], text: str) -> list[str]:
    """Lines of a page's shell blocks that call a command or an option that does not exist."""
    found = []
    for line in shell(text):
        called = re.match(r"(?:\S*/)?(foreproof(?: .*)?)$", line)
        if called is None:
            continue
        words = called.group(1).split()
        depth = 1
        while tuple(words[: depth + 1]) in known and depth < len(words):
            depth += 1
        command = known[tuple(words[:depth])]
        options = {word.split("=")[0] for word in words[depth:] if word.startswith("--")}
        if (command.is_group and depth < len(words) and not words[depth].startswith("-")) or options - command.options:
            found.append(line)
    return found


def unknown_targets(makefile: str, text: str) -> set[str]:
    """Targets of make that a page names, in a line of code or a shell block, and that do not exist."""
    lines = "\n".join(f"`{line}`" for line in shell(text))
    return set(re.findall(r"`make ([a-z0-9]+)", text + lines)) - set(re.findall(r"^([a-z0-9]+):", makefile, re.M))


def test_every_command_and_option_stands_in_the_page_of_the_command_line() -> None:
    assert unmentioned(tree().values(), (DOCS / "cli.md").read_text(encoding="utf-8")) == []


@each(PAGES)
def test_pages_call_only_commands_that_exist(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert unknown_commands(tree(), text) == []
    assert unknown_targets((ROOT / "Makefile").read_text(encoding="utf-8"), text) == set()


def planted_commands() -> dict[tuple[str, ...], Command]:
    app, runs = typer.Typer(), typer.Typer()
    app.command("new")(lambda folder, data="": None)
    runs.command("list")(lambda: None)
    runs.command("show")(lambda: None)
    app.add_typer(runs, name="runs")
    return {command.words: command for command in commands(typer.main.get_command(app))}


def test_a_command_or_option_that_no_page_names_is_found() -> None:
    assert unmentioned(planted_commands().values(), "`foreproof runs list` and `foreproof new --database`") == [
        "foreproof new --data",
        "foreproof runs show",
    ]


def test_a_page_that_calls_what_does_not_exist_is_found() -> None:
    page = "```sh\n$ foreproof runs list # fine\nforeproof runs shwo\nforeproof new DIR --dta x\nforeproof nwe\n```\n"
    assert unknown_commands(planted_commands(), page) == [
        "foreproof runs shwo",
        "foreproof new DIR --dta x",
        "foreproof nwe",
    ]
    assert unknown_targets("demo: x\n\trun\n", "`make demo` and `make demos`\n```\nmake tset  # all\n```\n") == {
        "demos",
        "tset",
    }


# Settings -------------------------------------------------------------------------------------------------------------

READERS = {name for name in vars(Section) if not name.startswith("_")} - {"done", "path"}


def plan_settings(source: str) -> set[str]:
    """Names of the plan's settings that the source reads: first arguments of `Section`'s readers."""
    if "Section" not in source and ".root()" not in source:
        return set()
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call) and node.args]
    return {
        call.args[0].value
        for call in calls
        if isinstance(call.func, ast.Attribute) and call.func.attr in READERS
        if isinstance(call.args[0], ast.Constant) and isinstance(call.args[0].value, str)
    }


def environment(source: str) -> set[str]:
    """Environment variables of ours that the source names."""
    return set(re.findall(r"\bFOREPROOF_[A-Z_]+\b", source))


def sources() -> list[str]:
    return [path.read_text(encoding="utf-8") for path in sorted((ROOT / "src").rglob("*.py"))]


def test_every_setting_of_the_plan_stands_in_its_page() -> None:
    settings = {name for source in sources() for name in plan_settings(source)}
    assert {"seed", "workload", "horizon"} <= settings
    page = (DOCS / "plan.md").read_text(encoding="utf-8")
    assert [name for name in sorted(settings) if not re.search(rf"`[\w.]*\b{name}`|^[\s-]*{name}:", page, re.M)] == []


def setting_rows() -> list[str]:
    """The rows of the page of settings, as the one list of settings has them."""
    from foreproof.app.configuration import SETTINGS

    secret = {True: "; secret", False: ""}
    return [f"| `{one.name}` | {one.default} | {one.words}{secret[one.secret]} |" for one in SETTINGS]


def test_the_page_of_settings_is_the_list_of_settings() -> None:
    page = (DOCS / "settings.md").read_text(encoding="utf-8")
    assert [line for line in page.split("\n") if line.startswith("| `FOREPROOF_")] == setting_rows()


def test_every_environment_variable_stands_in_a_page() -> None:
    pages = "\n".join(path.read_text(encoding="utf-8") for path in PAGES)
    assert [name for name in sorted({n for s in sources() for n in environment(s)}) if f"`{name}`" not in pages] == []


def test_settings_are_found_where_they_are_read() -> None:
    source = "from x import Section\ndef f(s: Section): return s.whole('pack', default=1), s.section('a').text('b')\n"
    assert plan_settings(source) == {"pack", "a", "b"}
    assert environment("os.environ['" + "FOREPROOF" + "_THING']") == {"FOREPROOF" + "_THING"}


# Code on pages --------------------------------------------------------------------------------------------------------


def blocks(text: str) -> Iterator[tuple[list[str], list[str]]]:
    """The fenced blocks of a page: the words after the fence, and the lines."""
    kind: list[str] | None = None
    body: list[str] = []
    for line in text.split("\n"):
        if line.lstrip().startswith("```"):
            if kind is None:
                kind, body = line.strip().strip("`").split(), []
            else:
                yield kind, body
                kind = None
        elif kind is not None:
            body.append(line)


def python(text: str, *, runnable: bool) -> str:
    """The page's Python blocks as one program, in their order; `runnable` picks those marked so."""
    chosen = [body for kind, body in blocks(text) if kind[:1] == ["python"] and (not runnable or "runnable" in kind)]
    return "\n\n".join(inspect.cleandoc("\n".join(body)) for body in chosen)


def run(program: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "PYTHONUTF8": "1"}
    return subprocess.run(
        [sys.executable, "-W", "error", *program], cwd=folder, env=environ, capture_output=True, text=True, check=False
    )


@each(PAGES)
def test_python_on_a_page_compiles_and_what_is_marked_runnable_runs(path: Path, tmp_path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    compile(python(text, runnable=False), short(path), "exec", dont_inherit=True)
    if program := python(text, runnable=True):
        result = run(["-c", program], tmp_path)
        assert result.returncode == 0, result.stderr


def test_a_broken_block_is_found(tmp_path: Path) -> None:
    page = "```python\nx = 1\n```\n\n```python runnable\nraise SystemExit(3)\n```\n```yaml\na: [\n```\n"
    assert python(page, runnable=False) == "x = 1\n\nraise SystemExit(3)"
    assert run(["-c", python(page, runnable=True)], tmp_path).returncode == 3


def test_there_are_examples() -> None:
    assert EXAMPLES, "examples/ holds no .py file"


@each(EXAMPLES)
def test_examples_run(path: Path, tmp_path: Path) -> None:
    result = run([str(path)], tmp_path)
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip(), "an example shows something"


# Links and hygiene ----------------------------------------------------------------------------------------------------


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    plain = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    heads = re.findall(r"^#+\s+(.*?)\s*$", plain, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def dead_links(page: Path) -> list[str]:
    """Relative links of a page whose file or heading does not exist."""
    text = re.sub(r"```.*?```|`[^`\n]*`", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    dead = []
    for link in re.findall(r"\]\(<?([^)\s>]+)", text):
        name, _, anchor = link.partition("#")
        if re.match(r"[a-z][a-z+.-]*:", link):
            continue
        target = page.parent / name if name else page
        heads = target.suffix == ".md" and target.is_file() and anchors(target.read_text(encoding="utf-8"))
        if not target.exists() or (anchor and heads is not False and anchor not in heads):
            dead.append(link)
    return dead


# A machine's own folders, and hosts of package registries: true here, wrong or secret elsewhere. In pieces, so that
# this file does not hold what it looks for.
_HERE = re.compile(
    r"(?<![\w.~$}/-])/(?:ho" + r"me|ro" + r"ot|wo" + r"rk|Us" + r"ers|t" + r"mp|o" + r"pt)/[\w.]"
    r"|\b[A-Z]:\\+Us" + r"ers\\"
    r"|py" + r"pi\.|python" + r"hosted|--(?:extra-)?index-" + r"url[ =]|--find-" + r"links[ =]|arti" + r"factory"
)


def private(text: str) -> list[str]:
    """What in the text belongs to one machine: absolute paths of a home or work folder, registry hosts."""
    return [
        f"line {number}: {line.strip()[:100]}" for number, line in enumerate(text.split("\n"), 1) if _HERE.search(line)
    ]


@each(PAGES)
def test_relative_links_resolve(path: Path) -> None:
    assert dead_links(path) == []


@each(TEXTS)
def test_text_is_utf8_without_mojibake_or_typographic_quotes(path: Path) -> None:
    assert faults(path.read_bytes().decode("utf-8")) == []


@each(TEXTS)
def test_no_file_holds_a_path_of_a_machine_or_a_registry_host(path: Path) -> None:
    assert private(path.read_bytes().decode("utf-8")) == []


def test_dead_links_are_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# The Head, here\n[a](page.md#the-head-here) [b](gone.md) [c](#nowhere) [d](https://x.org/y) `[e](f)`\n",
        encoding="utf-8",
    )
    assert dead_links(page) == ["gone.md", "#nowhere"]


@pytest.mark.parametrize(
    "text",
    [
        "see /ho" + "me/ann/x",
        "'/t" + "mp/run'",
        "C:\\Us" + "ers\\ann",
        "https://py" + "pi.org/x",
        "--index-" + "url http://h",
    ],
)
def test_a_path_of_a_machine_is_found(text: str) -> None:
    assert private(f"first\n{text}") == [f"line 2: {text}"]


@pytest.mark.parametrize(
    "text", ["docs/ho" + "me/x", "$X/t" + "mp/a", "~/wo" + "rk/b", "/usr/bin/env", "tm" + "p_path / 'a'"]
)
def test_a_path_that_is_true_everywhere_passes(text: str) -> None:
    assert private(text) == []
