"""The picture in ARCHITECTURE.md, held: who imports whom, and how large files and functions may grow.

Each check also runs on a small tree with a planted fault, because a check that cannot fail is no check.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "foreproof"

LINES, STATEMENTS, PARAMETERS = 400, 40, 6

# "path" or "path::function": why it may be larger. An entry that is no longer needed fails a test.
ALLOWED: dict[str, str] = {
    "core/verifier.py": "one file on purpose: a third party runs it without the rest, so it cannot be split",
}

# core is pure: no I/O, no clock, no randomness of its own. What it may import, and nothing else.
CORE_MAY_IMPORT = {
    "foreproof", "cryptography", "numpy", "polars", "pyarrow", "yaml",
    "pandera", # contracts are pandera checks on eager frames, imported late
    "__future__", "base64", "binascii", "bisect", "collections", "contextlib", "dataclasses", "datetime", "decimal",
    "difflib", "enum", "fractions", "functools", "hashlib", "hmac", "io", "itertools", "json", "math", "operator", "re",
    "statistics", "string", "struct", "textwrap", "types", "typing", "unicodedata", "zoneinfo",
}  # fmt: skip
# A program of one file that third parties run without foreproof: it reads files and takes arguments by itself.
STANDALONE = "verifier.py"


# Import contracts -----------------------------------------------------------------------------------------------------


def lint_imports(source: Path, config: Path) -> subprocess.CompletedProcess[str]:
    """Run import-linter on the foreproof under `source`, in a process of its own so that no imported copy is seen."""
    return subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()",
         "--config", str(config), "--no-cache"],
        env={**os.environ, "PYTHONPATH": str(source), "PYTHONUTF8": "1"},
        cwd=source,
        capture_output=True,
        encoding="utf-8",
        check=False,
    )  # fmt: skip


def synthetic_tree(folder: Path, modules: dict[str, str]) -> Path:
    """A foreproof with one empty module in each package of the real one, and the given sources on top."""
    for package in sorted(path.parent for path in PACKAGE.rglob("__init__.py")):
        target = folder / "foreproof" / package.relative_to(PACKAGE)
        target.mkdir(parents=True, exist_ok=True)
        (target / "__init__.py").touch()
    (folder / "foreproof" / "errors.py").touch()
    for name in ("one", "two"):
        (folder / "foreproof" / "workloads" / f"{name}.py").touch()
    for name, source in modules.items():
        path = folder / "foreproof" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not (path.parent / "__init__.py").exists():
            (path.parent / "__init__.py").touch()
        path.write_text(source, encoding="utf-8")
    return folder


def test_every_arrow_between_packages_points_down() -> None:
    result = lint_imports(ROOT / "src", ROOT / "pyproject.toml")
    assert result.returncode == 0, result.stdout + result.stderr
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"][
        "contracts"
    ]
    assert f"Contracts: {len(contracts)} kept, 0 broken." in result.stdout


def test_a_tree_without_fault_keeps_the_contracts(tmp_path: Path) -> None:
    tree = synthetic_tree(tmp_path, {"engine/fit.py": "from foreproof import models, core, errors, workloads\n"})
    result = lint_imports(tree, ROOT / "pyproject.toml")
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(
    ("module", "imported"),
    [
        ("errors.py", "core"),
        ("core/table.py", "features"),
        ("core/table.py", "adapters"),
        ("features/lags.py", "models"),
        ("gauntlet/truncate.py", "decisions"),
        ("models/boost.py", "workloads"),
        ("workloads/one.py", "engine"),
        ("workloads/one.py", "workloads.two"),
        ("engine/fit.py", "app"),
        ("engine/fit.py", "adapters"),
        ("workloads/one.py", "adapters"),
        ("adapters/lake.py", "models"),
        ("adapters/lake.py", "engine"),
        ("app/serve.py", "ui"),
        ("ui/client.py", "app"),
        ("ui/client.py", "errors"),
    ],
)
def test_an_arrow_that_points_up_or_sideways_is_found(module: str, imported: str, tmp_path: Path) -> None:
    late = f"def f():\n    import foreproof.{imported}\n"  # a late import hides no arrow
    result = lint_imports(synthetic_tree(tmp_path, {module: late}), ROOT / "pyproject.toml")
    assert result.returncode == 1, result.stdout + result.stderr
    assert "BROKEN" in result.stdout


def test_a_package_without_a_place_in_the_picture_is_found(tmp_path: Path) -> None:
    result = lint_imports(synthetic_tree(tmp_path, {"helpers/misc.py": ""}), ROOT / "pyproject.toml")
    assert result.returncode == 1
    assert "helpers" in result.stdout


# core is pure ---------------------------------------------------------------------------------------------------------


def imports(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and dotted name of everything that is imported, wherever it stands."""
    for node in ast.walk(tree):
        match node:
            case ast.Import():
                yield from ((node.lineno, alias.name) for alias in node.names)
            case ast.ImportFrom():
                yield node.lineno, node.module or "."


def impure(core: Path) -> list[str]:
    return [
        f"{path.name}:{line} imports {name}"
        for path in sorted(core.rglob("*.py"))
        if path.name != STANDALONE
        for line, name in imports(ast.parse(path.read_text(encoding="utf-8")))
        if name.split(".")[0] not in CORE_MAY_IMPORT
    ]


def test_core_imports_no_io_clock_or_randomness() -> None:
    assert impure(PACKAGE / "core") == []


@pytest.mark.parametrize("name", ["os", "pathlib", "random", "time", "duckdb", "pandas", "rich", "sqlalchemy.engine"])
def test_an_impure_import_in_core_is_found(name: str, tmp_path: Path) -> None:
    (tmp_path / "table.py").write_text(f"def f():\n    import {name}\n", encoding="utf-8")
    assert impure(tmp_path) == [f"table.py:2 imports {name}"]


def test_the_verifier_needs_nothing_but_python() -> None:
    tree = ast.parse((PACKAGE / "core" / STANDALONE).read_text(encoding="utf-8"))
    at_start = [
        name for node in tree.body for _, name in imports(node) if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    assert {name.split(".")[0] for name in at_start} <= sys.stdlib_module_names
    assert "foreproof" not in {name.split(".")[0] for _, name in imports(tree)}


# Sizes ----------------------------------------------------------------------------------------------------------------

Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(tree: ast.AST, prefix: str = "") -> Iterator[tuple[str, Function]]:
    """Every function with its dotted name, those inside classes and functions too."""
    for node in ast.iter_child_nodes(tree):
        name = f"{prefix}{getattr(node, 'name', '')}"
        if isinstance(node, Function):
            yield name, node
        named = isinstance(node, Function | ast.ClassDef)
        yield from functions(node, f"{name}." if named else prefix)


def statements(function: Function) -> int:
    """Statements in the body; the docstring and what nested functions hold do not count."""

    def count(body: list[ast.stmt]) -> int:
        return sum(1 + inner(node) for node in body)

    def inner(node: ast.stmt) -> int:
        if isinstance(node, Function | ast.ClassDef):
            return 0
        blocks = [child for child in ast.iter_child_nodes(node) if isinstance(child, ast.stmt)]
        handlers = [h for h in ast.iter_child_nodes(node) if isinstance(h, ast.ExceptHandler | ast.match_case)]
        return count(blocks) + sum(count(h.body) for h in handlers)

    return count(function.body) - (ast.get_docstring(function) is not None)


def parameters(function: Function) -> int:
    """Parameters of the signature without self and cls."""
    arguments = function.args
    named = [a.arg for a in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
    return len([name for name in named if name not in ("self", "cls")]) + sum(
        extra is not None for extra in (arguments.vararg, arguments.kwarg)
    )


def is_command(function: Function) -> bool:
    """Decorated `@app.command(...)` or `@app.callback(...)`: its parameters are the options a user types."""
    called = [node.func if isinstance(node, ast.Call) else node for node in function.decorator_list]
    return any(isinstance(node, ast.Attribute) and node.attr in ("command", "callback") for node in called)


def too_large(package: Path) -> dict[str, str]:
    """`path` or `path::function` of what is over a limit, and by what."""
    found = {}
    for path in sorted(package.rglob("*.py")):
        where, text = path.relative_to(package).as_posix(), path.read_text(encoding="utf-8")
        if (lines := len(text.splitlines())) > LINES:
            found[where] = f"{lines} lines, limit {LINES}"
        for name, function in functions(ast.parse(text)):
            if (size := statements(function)) > STATEMENTS:
                found[f"{where}::{name}"] = f"{size} statements, limit {STATEMENTS}"
            elif not is_command(function) and (width := parameters(function)) > PARAMETERS:
                found[f"{where}::{name}"] = f"{width} parameters, limit {PARAMETERS}"
    return found


def test_files_and_functions_stay_small() -> None:
    found = too_large(PACKAGE)
    assert {name: size for name, size in found.items() if name not in ALLOWED} == {}
    assert sorted(ALLOWED.keys() - found.keys()) == [], "these are small enough now: take them off the list"


def test_a_file_a_function_and_a_signature_over_the_limit_are_found(tmp_path: Path) -> None:
    long = "def long():\n    '''Text.'''\n" + "    if x:\n        y = 1\n" * 20 + "    return y\n"
    wide = "class C:\n    def wide(self, a, b, /, c, *d, e, f, **g): ...\n"
    command = "@app.command('run')\ndef run(a, b, c, d, e, f, g): ...\n"
    (tmp_path / "code.py").write_text(long + wide + command, encoding="utf-8")
    (tmp_path / "file.py").write_text("x = 1\n" * 401, encoding="utf-8")
    assert too_large(tmp_path) == {
        "code.py::long": "41 statements, limit 40",
        "code.py::C.wide": "7 parameters, limit 6",
        "file.py": "401 lines, limit 400",
    }


def test_what_is_exactly_at_the_limits_passes(tmp_path: Path) -> None:
    blocks = "    with x:\n        y = 1\n" * 18 + "    try:\n        pass\n    except E:\n        pass\n"
    source = f"async def f(a, b, c, *, d, e, f):\n    '''Text.'''\n{blocks}    return y\n"
    (tmp_path / "code.py").write_text(source, encoding="utf-8")
    (tmp_path / "file.py").write_text("x = 1\n" * 400, encoding="utf-8")
    assert [statements(function) for _, function in functions(ast.parse(source))] == [40]
    assert too_large(tmp_path) == {}
