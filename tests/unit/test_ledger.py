from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import fsspec
import pytest

from foreproof.adapters import keys
from foreproof.adapters.catalog import Catalog
from foreproof.adapters.ledger import Ledger
from foreproof.core import verifier
from foreproof.core.log import PublicKey, decode_leaf, encode_leaf, parse_checkpoint
from foreproof.errors import BadInput, IntegrityError, StoreError

ORIGIN = "example.org/log"
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    with Catalog(f"sqlite:///{tmp_path / 'c.db'}", timeout=20) as made:
        yield made


@pytest.fixture
def ledger(catalog: Catalog, tmp_path: Path) -> Ledger:
    """A ledger that copies its checkpoints to a folder elsewhere."""
    return Ledger(catalog, tmp_path / "keys" / "signing.pem", ORIGIN, lambda: NOON, str(tmp_path / "elsewhere"))


def tampered(catalog: Catalog, *statements: str) -> None:
    """What somebody with all rights can do, stored hashes made to fit."""
    with catalog.engine.begin() as connection:
        for name in ("log_leaves_no_update", "log_leaves_no_delete"):
            connection.exec_driver_sql(f"DROP TRIGGER IF EXISTS {name}")
        connection.exec_driver_sql("DROP TRIGGER IF EXISTS log_checkpoints_no_delete")
        for statement in statements:
            connection.exec_driver_sql(statement)


def rewritten(catalog: Catalog, position: int, kind: str, body: dict[str, object]) -> None:
    leaf = encode_leaf(kind, body)
    digest = verifier.leaf_hash(leaf).hex()
    tampered(
        catalog,
        f"UPDATE log_leaves SET leaf = x'{leaf.hex()}', leaf_hash = x'{digest}' WHERE position = {position}",
    )


def faults(ledger: Ledger, **more: object) -> str:
    return "\n".join(str(finding) for finding in ledger.verify(**more))  # type: ignore[arg-type]


def public(ledger: Ledger) -> PublicKey:
    return keys.load(ledger.keys, name=ORIGIN).public


def test_the_first_leaf_of_a_new_log_is_its_key(ledger: Ledger) -> None:
    assert ledger.append("plan", {"digest": "ab"}) == 1
    first, second = (decode_leaf(leaf) for leaf in ledger.catalog.leaves())
    assert first["kind"] == "key"
    assert verifier.key_history(ledger.catalog.leaves())[0].text == public(ledger).text
    assert second == {"kind": "plan", "body": {"digest": "ab"}, "at": "2026-11-20T12:00:00.000000Z"}
    assert ledger.append_group([("n", {"n": 1}), ("n", {"n": 2})]) == range(2, 4)
    assert faults(ledger) == ""


@pytest.mark.parametrize("kind", ["key", "rotation"])
def test_key_leaves_are_written_by_the_ledger_only(ledger: Ledger, kind: str) -> None:
    with pytest.raises(BadInput, match="a reserved kind"):
        ledger.append(kind, {})
    with pytest.raises(BadInput, match=r"leaf body\.x: nan"):
        ledger.append("n", {"x": float("nan")})
    assert ledger.catalog.size() == 0


def test_a_checkpoint_is_signed_kept_and_copied_out(ledger: Ledger, tmp_path: Path) -> None:
    ledger.append("n", {"n": 1})
    text = ledger.checkpoint()
    checkpoint = parse_checkpoint(text, [public(ledger)])
    assert (checkpoint.origin, checkpoint.size) == (ORIGIN, 2)
    assert ledger.checkpoint() == text
    assert ledger.catalog.checkpoints() == [text]
    copies = {item.name: item.read_text(encoding="utf-8") for item in (tmp_path / "elsewhere").iterdir()}
    assert copies == {"000000000002.checkpoint": text}
    ledger.append("n", {"n": 2})
    assert parse_checkpoint(ledger.checkpoint(), [public(ledger)]).size == 3
    assert len(list((tmp_path / "elsewhere").iterdir())) == 2
    assert faults(ledger) == ""


def test_checkpoints_go_to_any_fsspec_address(catalog: Catalog, tmp_path: Path) -> None:
    ledger = Ledger(catalog, tmp_path / "k.pem", ORIGIN, lambda: NOON, "memory://a-ledger/checkpoints")
    text = ledger.checkpoint()
    assert fsspec.filesystem("memory").cat_file("/a-ledger/checkpoints/000000000001.checkpoint") == text.encode()
    assert faults(ledger) == ""


@pytest.mark.parametrize("address", ["nosuch://bucket/x", "{file}/x"])
def test_a_place_for_checkpoints_that_cannot_be_reached_is_named(
    catalog: Catalog, tmp_path: Path, address: str
) -> None:
    (tmp_path / "file").write_bytes(b"")
    ledger = Ledger(catalog, tmp_path / "k.pem", ORIGIN, lambda: NOON, address.format(file=tmp_path / "file"))
    with pytest.raises(StoreError, match=r"wanted a folder to read and write; see log\.checkpoints"):
        ledger.checkpoint()


def filled(ledger: Ledger, count: int = 12, signed: tuple[int, ...] = (8, 12)) -> None:
    """A log of `count` leaves with checkpoints at the sizes in `signed`."""
    ledger.append("n", {"n": 1})
    while ledger.catalog.size() < count:
        if ledger.catalog.size() in signed:
            ledger.checkpoint()
        ledger.append("n", {"n": ledger.catalog.size()})
    if count in signed:
        ledger.checkpoint()


def test_a_leaf_altered_in_the_store_is_found_and_located(ledger: Ledger) -> None:
    filled(ledger)
    tampered(ledger.catalog, "UPDATE log_leaves SET leaf = replace(leaf, '9', '7') WHERE position = 9")
    found = faults(ledger)
    assert "leaf 9: its bytes do not hash to the hash stored with them" in found
    assert "root at size 12 differs; leaves 0..7 still agree with the older checkpoint of size 8" in found


def test_a_leaf_removed_from_the_middle_is_found_and_located(ledger: Ledger) -> None:
    filled(ledger)
    tampered(ledger.catalog, "DELETE FROM log_leaves WHERE position = 9")
    found = faults(ledger)
    assert "leaf 9: missing: the next one in the catalogue is 10" in found
    assert "the log has 11 leaves, the checkpoint says 12" in found


def test_a_dropped_last_leaf_shows_while_its_checkpoint_is_somewhere(ledger: Ledger, tmp_path: Path) -> None:
    filled(ledger)
    kept = ledger.catalog.checkpoints()[-1]
    drop = "DELETE FROM log_leaves WHERE position = 11"
    tampered(ledger.catalog, drop)
    assert "(catalogue): the log has 11 leaves, the checkpoint says 12: 1 leaf dropped" in faults(ledger)
    tampered(ledger.catalog, "DELETE FROM log_checkpoints WHERE size = 12")
    assert "(000000000012.checkpoint): the log has 11 leaves" in faults(ledger)
    (tmp_path / "elsewhere" / "000000000012.checkpoint").unlink()
    assert faults(ledger) == ""
    assert "(mine): the log has 11 leaves, the checkpoint says 12" in faults(ledger, external=[("mine", kept)])


def test_a_log_that_disagrees_with_what_was_signed_is_not_signed_again(ledger: Ledger) -> None:
    filled(ledger)
    rewritten(ledger.catalog, 9, "n", {"n": 99})
    assert "tail rewritten: root at size 12 differs" in faults(ledger)
    with pytest.raises(IntegrityError, match=r"tail rewritten: root at size 12 differs; leaves 0\.\.7 still agree"):
        ledger.checkpoint()
    tampered(ledger.catalog, "DELETE FROM log_checkpoints WHERE size = 12")
    with pytest.raises(IntegrityError, match=r"000000000012\.checkpoint"):
        ledger.checkpoint()
    assert len(ledger.catalog.checkpoints()) == 1


def test_a_copy_of_a_checkpoint_that_was_cut_off_does_not_stop_the_log(ledger: Ledger, tmp_path: Path) -> None:
    filled(ledger)
    copy = tmp_path / "elsewhere" / "000000000012.checkpoint"
    whole = copy.read_bytes()
    for cut in (0, 20, len(whole) - 1):
        copy.write_bytes(whole[:cut])
        assert faults(ledger) == ""
        ledger.checkpoint()
        assert copy.read_bytes() == whole
    copy.write_bytes(b"\xffgarbage")
    assert "checkpoint 000000000012.checkpoint: is garbled" in faults(ledger)


def test_proofs_of_inclusion_and_consistency_hold(ledger: Ledger) -> None:
    filled(ledger, count=14)
    for index in (0, 7, 11):
        proof = ledger.prove_inclusion(index)
        assert (proof.size, proof.holds()) == (12, True)
        assert proof.root == parse_checkpoint(ledger.catalog.checkpoints()[-1], [public(ledger)]).root
    assert ledger.prove_inclusion(13, size=14).holds()
    for index in (12, 13):
        with pytest.raises(BadInput, match=f"leaf {index}: no checkpoint over it; sign one"):
            ledger.prove_inclusion(index)
    assert ledger.prove_consistency(8).holds()
    assert ledger.prove_consistency(8).new == 12
    assert ledger.prove_consistency(3, 14).holds()
    for index in (-1, 14):
        with pytest.raises(BadInput, match=f"leaf {index} at size 14"):
            ledger.prove_inclusion(index, size=14)


def test_a_log_without_a_checkpoint_proves_nothing_yet(ledger: Ledger) -> None:
    ledger.append("n", {})
    with pytest.raises(BadInput, match="no checkpoint over it"):
        ledger.prove_inclusion(0)


def test_a_rotation_keeps_old_checkpoints_and_signs_new_ones(ledger: Ledger) -> None:
    filled(ledger)
    old = public(ledger)
    new = ledger.rotate()
    assert new == public(ledger) != old
    text = ledger.checkpoint()
    assert parse_checkpoint(text, [new]).size == 13
    with pytest.raises(IntegrityError, match="wanted one by"):
        parse_checkpoint(text, [old])
    ledger.rotate()
    ledger.checkpoint()
    assert faults(ledger) == ""
    assert keys.history(ledger.keys) == (old, new, public(ledger))
    assert [decode_leaf(leaf)["kind"] for leaf in ledger.catalog.leaves(12)] == ["rotation", "rotation"]


def test_a_rotation_cut_off_after_its_leaf_is_completed_by_the_next_checkpoint(ledger: Ledger) -> None:
    filled(ledger)
    old = ledger.keys.read_bytes()
    moved = ledger.keys.with_name("moved")
    new = ledger.rotate()
    # As it was before the new key came into place.
    ledger.keys.rename(moved)
    moved.rename(ledger.keys.with_name("signing.pem.next"))
    ledger.keys.write_bytes(old)
    ledger.keys.chmod(0o600)
    assert parse_checkpoint(ledger.checkpoint(), [new]).size == 13
    assert public(ledger) == new


def test_the_wrong_key_file_signs_nothing(ledger: Ledger, tmp_path: Path) -> None:
    filled(ledger)
    keys.create(tmp_path / "other.pem", name=ORIGIN)
    other = Ledger(ledger.catalog, tmp_path / "other.pem", ORIGIN, lambda: NOON)
    with pytest.raises(IntegrityError, match="wanted the one that the log has in force"):
        other.checkpoint()
    with pytest.raises(IntegrityError, match="give the key file that belongs to this log"):
        other.rotate()
    with pytest.raises(StoreError, match="no such file"):
        Ledger(ledger.catalog, tmp_path / "absent.pem", ORIGIN, lambda: NOON).checkpoint()
    assert ledger.catalog.size() == 12
    assert faults(ledger) == ""


def test_a_log_keeps_its_origin(ledger: Ledger, tmp_path: Path) -> None:
    filled(ledger)
    other = Ledger(ledger.catalog, ledger.keys, "example.org/other", lambda: NOON)
    with pytest.raises(BadInput, match=r"example\.org/other: the log of example\.org/log in the catalogue"):
        other.checkpoint()
    with pytest.raises(BadInput, match=r"example\.org/other: the log of"):
        other.append("n", {})
    assert ledger.catalog.size() == 12
    with Catalog("sqlite://") as empty:
        with pytest.raises(BadInput, match="wanted text without spaces"):
            Ledger(empty, tmp_path / "k.pem", "a b", lambda: NOON).append("n", {})
        assert not (tmp_path / "k.pem").exists()


def test_a_key_leaf_that_was_altered_stops_signing(ledger: Ledger) -> None:
    filled(ledger)
    rewritten(ledger.catalog, 0, "n", {})
    assert faults(ledger).startswith("leaf 0: is of kind 'n'")
    with pytest.raises(IntegrityError, match="leaf 0: is of kind 'n'"):
        ledger.checkpoint()


def test_a_new_log_takes_up_a_key_that_is_there(catalog: Catalog, tmp_path: Path) -> None:
    key = keys.create(tmp_path / "k.pem", name=ORIGIN)
    ledger = Ledger(catalog, tmp_path / "k.pem", ORIGIN, lambda: NOON)
    assert parse_checkpoint(ledger.checkpoint(), [key.public]).size == 1
    (tmp_path / "file").write_bytes(b"")
    with Catalog(f"sqlite:///{tmp_path / 'd.db'}") as empty:
        with pytest.raises(StoreError, match="wanted a folder to write to"):
            Ledger(empty, tmp_path / "file" / "k.pem", ORIGIN, lambda: NOON).append("n", {})
        assert empty.size() == 0


def test_ledgers_that_begin_at_once_begin_one_log(catalog: Catalog, tmp_path: Path) -> None:
    ledger = Ledger(catalog, tmp_path / "k.pem", ORIGIN, lambda: NOON)
    barrier = threading.Barrier(4)
    errors: list[BaseException] = []

    def work(number: int) -> None:
        barrier.wait()
        try:
            ledger.append("n", {"n": number})
            ledger.checkpoint()
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    kinds = [decode_leaf(leaf)["kind"] for leaf in catalog.leaves()]
    assert kinds == ["key", "n", "n", "n", "n"]
    assert faults(ledger) == ""


class Meddled(Catalog):
    """A catalogue in which another process acts right after the whole log was read."""

    meddle: list[Callable[[], object]]

    def stored_leaves(self, start: int = 0, stop: int | None = None) -> list[tuple[int, bytes, bytes]]:
        found = super().stored_leaves(start, stop)
        if stop is None and self.meddle:
            self.meddle.pop()()
        return found


@pytest.fixture
def meddled(ledger: Ledger) -> Iterator[Ledger]:
    """The same log through a catalogue that can be meddled with."""
    filled(ledger)
    with Meddled(ledger.catalog.url.render_as_string(), timeout=20) as catalog:
        catalog.meddle = []
        yield Ledger(catalog, ledger.keys, ORIGIN, lambda: NOON, ledger.checkpoints)


def meddle(ledger: Ledger, act: Callable[[], object]) -> None:
    assert isinstance(ledger.catalog, Meddled)
    ledger.catalog.meddle.append(act)


def test_a_rotation_waits_out_leaves_that_others_add(ledger: Ledger, meddled: Ledger) -> None:
    def later() -> None:
        meddle(meddled, lambda: ledger.append("n", {}))

    # The first reading of the whole log finds the key in force, the second one the size to append at.
    meddle(meddled, later)
    new = meddled.rotate()
    assert [decode_leaf(leaf)["kind"] for leaf in ledger.catalog.leaves(12)] == ["n", "rotation"]
    assert parse_checkpoint(ledger.checkpoint(), [new]).size == 14


def test_a_checkpoint_is_signed_anew_when_another_process_rotates_meanwhile(ledger: Ledger, meddled: Ledger) -> None:
    meddle(meddled, ledger.rotate)
    text = meddled.checkpoint()
    assert parse_checkpoint(text, [public(ledger)]).size == 13
    assert faults(ledger) == ""


def test_a_checkpoint_that_another_process_makes_meanwhile_is_no_fault(ledger: Ledger, meddled: Ledger) -> None:
    def act() -> None:
        ledger.append("n", {})
        ledger.checkpoint()

    meddle(meddled, act)
    assert parse_checkpoint(meddled.checkpoint(), [public(ledger)]).size == 12
    meddle(meddled, act)
    assert faults(meddled) == ""
    assert [parse_checkpoint(text, [public(ledger)]).size for text in ledger.catalog.checkpoints()] == [8, 12, 13, 14]


def test_an_export_and_its_checkpoint_satisfy_the_stand_alone_verifier(ledger: Ledger, tmp_path: Path) -> None:
    run = tmp_path / "7f"
    run.mkdir()
    (run / "scores.json").write_text(json.dumps({"mase": 0.8}), encoding="utf-8")
    digest = sha256((run / "scores.json").read_bytes()).hexdigest()
    ledger.append("run", {"run": "7f", "artefacts": {"scores.json": digest}})
    ledger.rotate()
    (run / "checkpoint.txt").write_text(ledger.checkpoint(), encoding="utf-8")
    ledger.export(tmp_path / "leaves.jsonl")
    assert verifier.read_log(tmp_path / "leaves.jsonl") == ledger.catalog.leaves()
    command = [sys.executable, "-I", "-S", verifier.__file__, "--log", "leaves.jsonl", "--run", "7f"]
    command += ["--checkpoint", "7f/checkpoint.txt", "--checkpoint", "elsewhere/000000000003.checkpoint"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, encoding="utf-8", check=False)
    assert (done.returncode, "3 leaves: everything holds" in done.stdout) == (0, True), done.stdout
    assert ledger.verify(run=run) == []
    (run / "scores.json").write_text("{}", encoding="utf-8")
    assert faults(ledger, run=run).startswith("artefact scores.json: its sha256 is")


def test_an_export_that_cannot_be_written_leaves_nothing(ledger: Ledger, tmp_path: Path) -> None:
    ledger.append("n", {})
    with pytest.raises(StoreError, match="wanted a file to write"):
        ledger.export(tmp_path / "absent" / "leaves.jsonl")
    (tmp_path / "folder").mkdir()
    before = sorted(tmp_path.iterdir())
    with pytest.raises(StoreError, match="wanted a file to write"):
        ledger.export(tmp_path / "folder")
    assert sorted(tmp_path.iterdir()) == before


def test_the_clock_is_the_callers(ledger: Ledger) -> None:
    later = Ledger(ledger.catalog, ledger.keys, ORIGIN, lambda: NOON + timedelta(days=1))
    ledger.append("n", {})
    later.append("n", {})
    assert [decode_leaf(leaf)["at"][:10] for leaf in ledger.catalog.leaves()] == ["2026-11-20"] * 2 + ["2026-11-21"]
