"""Backups: one that was made while others wrote restores to what was there at one moment, and a damaged one to nothing at all."""

from __future__ import annotations

import io
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import project
import pytest
import sqlalchemy as sa
from typer.testing import CliRunner

from foreproof.adapters.catalog import Catalog
from foreproof.app import backup as backups
from foreproof.app import history
from foreproof.app.backup import backup, restore
from foreproof.app.cli import app
from foreproof.app.progress import Silent
from foreproof.app.project import ORIGIN, open_project
from foreproof.app.runner import execute
from foreproof.app.serving import promote, served
from foreproof.errors import BadInput, ForeproofError, IntegrityError, StoreError

NOW = datetime(2026, 11, 27, tzinfo=UTC)


def small(folder: Path) -> Path:
    """A project with facts, a run of its first stages, something that is served, and what no backup needs."""
    made = project.make(folder, data=project.csv(project.rows(items=2, days=40)))
    opened = open_project(made)
    run = execute(opened, progress=Silent(), until="load").run.id
    promote(opened, run, by="run")
    for name in ("steps", "cache"):
        (made / ".foreproof" / name).mkdir(exist_ok=True)
        (made / ".foreproof" / name / "big").write_bytes(b"x" * 100)
    (made / "foreproof.settings.yaml").write_text("workers: 1\n", encoding="utf-8")
    opened.catalog.close()
    return made


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small(tmp_path_factory.mktemp("source") / "p")


@pytest.fixture
def folder(source: Path, tmp_path: Path) -> Path:
    """A copy of its own for a test that changes it."""
    return Path(shutil.copytree(source, tmp_path / "p"))


@pytest.fixture(scope="module")
def archive(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("archive") / "a.tar"
    backup(source, made, {}, now=NOW)
    return made


def names(archive: Path) -> list[str]:
    with tarfile.open(archive) as tar:
        return tar.getnames()


def content(folder: Path) -> dict[str, Any]:
    """What a project is: facts, log, runs, what is served, and the bytes of every run's files."""
    opened = open_project(folder)
    found = {
        "facts": opened.lake.data_digest("sales"),
        "batches": opened.lake.version("sales"),
        "leaves": opened.catalog.leaves(),
        "checkpoints": opened.catalog.checkpoints(),
        "runs": [record.manifest for record in opened.catalog.runs()],
        "served": served(opened),
        "files": {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for part in ("runs", "served")
            for path in sorted((folder / part).rglob("*"))
            if path.is_file() and not path.name.startswith(".")
        },
        "key": (folder / ".foreproof/keys/log.pem").read_bytes(),
        "plan": opened.plan.digest,
        "workers": opened.settings.workers,
    }
    opened.catalog.close()
    return found


def test_what_is_restored_is_what_was_backed_up(source: Path, archive: Path, tmp_path: Path) -> None:
    done = restore(archive, tmp_path / "new")
    assert content(tmp_path / "new") == content(source)
    assert history.verify(open_project(tmp_path / "new")) == []
    assert os.stat(tmp_path / "new/.foreproof/keys/log.pem").st_mode & 0o077 == 0
    assert done.notes == ()
    opened = open_project(tmp_path / "new")
    size = opened.catalog.size()
    assert opened.ledger.append("note", {"it": "goes on"}) == size  # under the key that was restored
    assert opened.ledger.checkpoint().startswith(ORIGIN)


def test_an_archive_holds_what_cannot_be_made_again_and_nothing_else(source: Path, archive: Path) -> None:
    found = names(archive)
    assert (
        {"data/foreproof.yaml", "data/README.md", "data/foreproof.settings.yaml"}
        >= {name for name in found if name.count("/") == 1}
        >= {"data/foreproof.yaml", "data/foreproof.settings.yaml"}
    )
    tops = {"/".join(name.split("/")[1:3]) for name in found if name.startswith("data/.foreproof/")}
    assert tops == {".foreproof/catalog.db", ".foreproof/keys", ".foreproof/lake"}
    assert not [name for name in found if name.endswith(("-wal", "-shm", ".lock", ".csv"))]
    assert found[-1] == "manifest.json"
    assert sorted(source.glob(".foreproof/.backup*")) == []


def test_the_manifest_names_each_file_and_the_signed_log(source: Path, archive: Path) -> None:
    with tarfile.open(archive) as tar:
        manifest = json.loads(tar.extractfile("manifest.json").read())  # type: ignore[union-attr]
    (one,) = manifest["projects"].values()
    assert one["checkpoint"].splitlines()[0] == ORIGIN
    assert int(one["checkpoint"].splitlines()[1]) == one["leaves"]
    assert {f"data/{name}" for name in manifest["files"]} == set(names(archive)) - {"manifest.json"}
    assert manifest["made"] == NOW.isoformat()
    assert one["lake"]["sales"]["version"] == 0


# Damage ---------------------------------------------------------------------------------------------------------------


def altered(archive: Path, target: Path, name: str, change: Callable[[bytes], bytes | None]) -> Path:
    """The archive with one member changed, or left out."""
    with tarfile.open(archive) as old, tarfile.open(target, "w") as new:
        for member in old:
            data = old.extractfile(member).read()  # type: ignore[union-attr]
            if member.name == name:
                made = change(data)
                if made is None:
                    continue
                data = made
            member.size = len(data)
            new.addfile(member, io.BytesIO(data))
    return target


def flipped(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


def test_one_changed_bit_in_any_file_is_refused_with_its_name_and_nothing_appears(
    archive: Path, tmp_path: Path
) -> None:
    chosen = [
        name
        for name in names(archive)
        if name.endswith((".yaml", ".parquet", "log.pem", ".db", "manifest.json", ".txt"))
    ]
    assert len(chosen) > 6
    for name in chosen:
        bad = altered(archive, tmp_path / "bad.tar", name, flipped)
        with pytest.raises(IntegrityError) as error:
            restore(bad, tmp_path / "new")
        assert name.removeprefix("data/") in str(error.value)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.tar"]


def test_a_missing_or_added_file_and_a_cut_archive_are_refused(archive: Path, tmp_path: Path) -> None:
    part = next(name for name in names(archive) if name.endswith(".parquet"))
    cut = tmp_path / "cut.tar"
    cut.write_bytes(archive.read_bytes()[: archive.stat().st_size // 2])
    added = Path(shutil.copy(archive, tmp_path / "added.tar"))
    with tarfile.open(added, "a") as tar:
        tar.addfile(tarfile.TarInfo("data/extra"))
    garbled = tmp_path / "garbled.tar"
    garbled.write_bytes(b"no tar at all" * 100)
    cases = {
        altered(archive, tmp_path / "gone.tar", part, lambda data: None): "missing",
        altered(archive, tmp_path / "headless.tar", "manifest.json", lambda data: None): "cut off",
        added: "does not name",
        cut: "cut.tar",
        garbled: "garbled.tar",
    }
    for bad, said in cases.items():
        with pytest.raises(IntegrityError, match=said):
            restore(bad, tmp_path / "new")
        assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("name", ["data/../../evil", "/data/evil", "data//evil/../../../x", "elsewhere"])
def test_a_file_that_would_lie_outside_is_refused(archive: Path, tmp_path: Path, name: str) -> None:
    bad = Path(shutil.copy(archive, tmp_path / "bad.tar"))
    with tarfile.open(bad, "a") as tar:
        tar.addfile(tarfile.TarInfo(name))
    with pytest.raises(IntegrityError, match=r"outside|does not name"):
        restore(bad, tmp_path / "new")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.tar"]


def test_a_link_in_an_archive_is_refused(archive: Path, tmp_path: Path) -> None:
    bad = Path(shutil.copy(archive, tmp_path / "bad.tar"))
    link = tarfile.TarInfo("data/link")
    link.type, link.linkname = tarfile.SYMTYPE, "elsewhere"
    with tarfile.open(bad, "a") as tar:
        tar.addfile(link)
    with pytest.raises(IntegrityError, match="no plain file"):
        restore(bad, tmp_path / "new")


def test_an_archive_whose_log_was_rewritten_is_refused_though_its_digests_hold(archive: Path, tmp_path: Path) -> None:
    """Somebody who can write the archive can write its digests: the signed log is what is left."""
    with tarfile.open(archive) as tar:
        tar.extractall(tmp_path / "x", filter="data")
    database = tmp_path / "x/data/.foreproof/catalog.db"
    with sqlite3.connect(database) as connection:
        for (trigger,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {trigger}")
        connection.execute("DELETE FROM log_leaves WHERE position = (SELECT max(position) FROM log_leaves)")
    connection.close()
    manifest = json.loads((tmp_path / "x/manifest.json").read_text(encoding="utf-8"))
    said = {"schema": manifest["schema"], "made": manifest["made"], "projects": manifest["projects"]}
    backups.pack(tmp_path / "x/data", tmp_path / "bad.tar", said)
    with pytest.raises(IntegrityError, match=r"bad\.tar: log"):
        restore(tmp_path / "bad.tar", tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_project_that_is_not_as_signed_is_not_backed_up(folder: Path, tmp_path: Path) -> None:
    page = next(folder.glob("runs/*/index.html"))
    page.write_text("other figures", encoding="utf-8")
    with pytest.raises(IntegrityError, match=r"index\.html"):
        backup(folder, tmp_path / "a.tar", {}, now=NOW)
    assert not (tmp_path / "a.tar").exists()
    assert sorted(folder.glob(".foreproof/.backup*")) == []


# Beside other processes -----------------------------------------------------------------------------------------------

WRITER = """
import sys
from datetime import date, timedelta
from pathlib import Path
import polars as pl
from foreproof.app.progress import Silent
from foreproof.app.project import open_project
from foreproof.app.runner import execute
from foreproof.core.table import parse

folder, stop = Path(sys.argv[1]), Path(sys.argv[2])
project = open_project(folder)
(contract,) = project.contracts
batch = 0
while not stop.exists() and batch < 500:
    batch += 1
    days = [date(2025, 1, 1) + timedelta(days=batch)] * 20
    frame = pl.DataFrame({"item": [f"i{n}" for n in range(20)], "date": [str(d) for d in days], "units": ["3"] * 20})
    project.lake.load(parse(contract, frame, now=project.settings.now()))
    project.ledger.append("note", {"batch": batch})
    if batch % 3 == 0:
        project.ledger.checkpoint()
    if batch % 5 == 2:
        execute(project, progress=Silent(), until="load")
    print(batch, flush=True)
"""


@pytest.fixture
def writer(folder: Path, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that loads batch after batch, records runs and writes the log, until the test is over."""
    stop = tmp_path / "stop"
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(folder), str(stop)], stdout=subprocess.PIPE, text=True, encoding="utf-8"
    )
    assert process.stdout is not None
    assert process.stdout.readline().strip() == "1"
    yield process
    stop.touch()
    process.stdout.read()
    assert process.wait(60) == 0
    process.stdout.close()


def test_a_backup_beside_a_process_that_loads_is_the_project_at_one_moment(
    folder: Path, tmp_path: Path, writer: subprocess.Popen[str]
) -> None:
    assert writer.stdout is not None
    for i in range(3):
        # Each time it has done more, a run among it; and it does not stop for us.
        while int(writer.stdout.readline()) < 3 + 5 * i:
            pass
        backup(folder, tmp_path / f"{i}.tar", {}, now=NOW)
        restore(tmp_path / f"{i}.tar", tmp_path / f"new{i}")
    live = open_project(folder)
    sizes = []
    for i in range(3):
        copy = open_project(tmp_path / f"new{i}")
        version = copy.lake.version("sales")
        assert copy.lake.data_digest("sales") == live.lake.data_digest("sales", version)
        leaves = copy.catalog.leaves()
        assert leaves == live.catalog.leaves(0, len(leaves))
        assert history.verify(copy) == []  # every run that the copy knows has its files
        sizes.append((version, len(leaves)))
    assert all(early[0] < late[0] and early[1] < late[1] for early, late in pairwise(sizes))


# A home, and stores elsewhere -----------------------------------------------------------------------------------------


def test_a_home_is_backed_up_with_its_projects_and_its_own_databases(source: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    for place in ("one", "tenants/other/two"):
        shutil.copytree(source, home / place)
    (home / ".foreproof").mkdir()
    (home / ".foreproof/pepper").write_text("secret", encoding="utf-8")
    (home / ".foreproof/pepper").chmod(0o600)
    with sqlite3.connect(home / ".foreproof/service.db") as store:
        store.execute("CREATE TABLE keys (hash TEXT)")
        store.execute("INSERT INTO keys VALUES ('abc')")
    store.close()
    done = backup(home, tmp_path / "a.tar", {}, now=NOW)
    assert sorted(done.manifest["projects"]) == ["one", "tenants/other/two"]
    restore(tmp_path / "a.tar", tmp_path / "new")
    assert content(tmp_path / "new/tenants/other/two") == content(home / "tenants/other/two")
    assert (tmp_path / "new/.foreproof/pepper").stat().st_mode & 0o777 == 0o600
    with sqlite3.connect(tmp_path / "new/.foreproof/service.db") as store:
        assert store.execute("SELECT hash FROM keys").fetchall() == [("abc",)]
    store.close()
    for place, tenant, name in (("one", "local", "one"), ("tenants/other/two", "other", "two")):
        (tmp_path / "lake" / tenant).mkdir(parents=True)
        (home / place / ".foreproof/lake").rename(tmp_path / "lake" / tenant / name)
    backup(home, tmp_path / "b.tar", {"FOREPROOF_LAKE": str(tmp_path / "lake")}, now=NOW)  # one lake, a folder for each
    restore(tmp_path / "b.tar", tmp_path / "newer")
    assert content(tmp_path / "newer/one") == content(tmp_path / "new/one")


def test_stores_outside_the_project_come_home_in_a_restore_and_notes_say_what_does_not(
    folder: Path, tmp_path: Path
) -> None:
    before = content(folder)
    (folder / ".foreproof/lake").rename(tmp_path / "lake")
    (folder / ".foreproof/catalog.db").rename(tmp_path / "log.db")
    outside = {"FOREPROOF_LAKE": str(tmp_path / "lake"), "FOREPROOF_CATALOG": f"sqlite:///{tmp_path / 'log.db'}"}
    backup(folder, tmp_path / "a.tar", outside, now=NOW)
    restore(tmp_path / "a.tar", tmp_path / "new")
    after = content(tmp_path / "new")
    assert {name: after[name] for name in ("facts", "leaves", "runs", "files")} == {
        name: before[name] for name in ("facts", "leaves", "runs", "files")
    }
    (folder / "foreproof.settings.yaml").write_text(f"lake: {tmp_path / 'lake'}\n", encoding="utf-8")
    backup(folder, tmp_path / "b.tar", {"FOREPROOF_CATALOG": outside["FOREPROOF_CATALOG"]}, now=NOW)
    assert "settings file says lake" in " ".join(restore(tmp_path / "b.tar", tmp_path / "newer").notes)
    remote = {**outside, "FOREPROOF_LAKE": "s3://facts/lake", "FOREPROOF_SERVICE": "postgresql://h/d"}
    notes = " ".join(backup(folder, tmp_path / "c.tar", remote, now=NOW).notes)
    assert "s3://facts/lake is not in the archive" in notes and "pg_dump" in notes


def test_a_log_in_postgresql_is_in_the_archive_and_restores_into_postgresql_or_a_file(
    folder: Path, tmp_path: Path, postgres_url: str
) -> None:
    with Schema(postgres_url) as first, Schema(postgres_url) as second:
        with Catalog(f"sqlite:///{folder / '.foreproof/catalog.db'}") as ours, Catalog(first) as theirs:
            backups.snapshot.copy_catalog(ours, theirs)
            leaves = ours.leaves()
        (folder / ".foreproof/catalog.db").unlink()
        backup(folder, tmp_path / "a.tar", {"FOREPROOF_CATALOG": first}, now=NOW)
        restore(tmp_path / "a.tar", tmp_path / "file")
        assert open_project(tmp_path / "file").catalog.leaves() == leaves
        notes = restore(tmp_path / "a.tar", tmp_path / "server", catalog=second).notes
        assert "FOREPROOF_CATALOG" in " ".join(notes)
        assert not (tmp_path / "server/.foreproof/catalog.db").exists()
        with Catalog(second) as there:
            assert there.leaves() == leaves
            assert [run.run_id for run in there.runs()]
        with pytest.raises(StoreError, match="leaves in the log"):  # a log is never mixed with another one
            restore(tmp_path / "a.tar", tmp_path / "again", catalog=second)
        assert not (tmp_path / "again").exists()


class Schema:
    """A PostgreSQL schema of one test's own: the URL that leads there."""

    def __init__(self, url: str) -> None:
        self.url = sa.make_url(url)
        self.name = f"backup_{os.getpid()}_{id(self)}"

    def __enter__(self) -> str:
        self.run(f"CREATE SCHEMA {self.name}")
        made = self.url.update_query_dict({"options": f"-csearch_path={self.name}"})
        return made.render_as_string(hide_password=False)

    def __exit__(self, *_: object) -> None:
        self.run(f"DROP SCHEMA {self.name} CASCADE")

    def run(self, text: str) -> None:
        engine = sa.create_engine(self.url)
        with engine.begin() as connection:
            connection.execute(sa.text(text))
        engine.dispose()


# The command line -----------------------------------------------------------------------------------------------------


def test_the_commands_say_what_they_did_and_exit_with_1_where_an_archive_is_damaged(
    source: Path, archive: Path, tmp_path: Path
) -> None:
    run = CliRunner()
    done = run.invoke(app, ["backup", str(tmp_path / "a.tar"), str(source)])
    assert done.exit_code == 0, done.output
    assert "sales at version 0" in done.output
    assert run.invoke(app, ["restore", str(tmp_path / "a.tar"), str(tmp_path / "new")]).exit_code == 0
    bad = altered(archive, tmp_path / "bad.tar", "data/foreproof.yaml", flipped)
    said = project.foreproof("restore", str(bad), str(tmp_path / "other"))
    assert said.returncode == 1
    assert "bad.tar: foreproof.yaml" in said.stderr
    again = run.invoke(app, ["restore", str(tmp_path / "a.tar"), str(tmp_path / "new")])
    assert isinstance(again.exception, BadInput)
    assert isinstance(run.invoke(app, ["backup", str(tmp_path / "a.tar"), str(source)]).exception, BadInput)


def test_what_is_no_project_and_no_archive_is_bad_input(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for call in (
        lambda: backup(tmp_path / "empty", tmp_path / "a.tar", {}, now=NOW),
        lambda: restore(tmp_path / "none.tar", tmp_path / "new"),
    ):
        with pytest.raises(BadInput) as error:
            call()
        assert isinstance(error.value, ForeproofError) and error.value.exit_code == 2


def test_a_project_before_its_first_load_is_backed_up(tmp_path: Path) -> None:
    made = project.make(tmp_path / "p")
    backup(made, tmp_path / "a.tar", {}, now=NOW)
    restore(tmp_path / "a.tar", tmp_path / "new")
    assert open_project(tmp_path / "new").plan.digest == open_project(made).plan.digest
    assert open_project(tmp_path / "new").lake.version("sales") is None
