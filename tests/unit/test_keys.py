from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat

from foreproof.adapters import keys
from foreproof.core.log import PrivateKey, PublicKey
from foreproof.errors import IntegrityError, StoreError

NAME = "example.org/log"


class Cut(Exception):
    """Stands for a kill at this point."""


def test_a_new_key_is_readable_by_its_owner_only_and_loads_back(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "signing.pem"
    made = keys.create(path, name=NAME)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    loaded = keys.load(path, name=NAME)
    assert loaded.public == made.public
    assert made.public.verify(b"text", loaded.sign(b"text"))
    assert keys.history(path) == (made.public,)
    assert sorted(item.name for item in path.parent.iterdir()) == ["signing.pem", "signing.pem.pub"]


def test_an_existing_key_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "signing.pem"
    made = keys.create(path, name=NAME)
    with pytest.raises(StoreError, match="a file is there already"):
        keys.create(path, name=NAME)
    assert keys.load(path, name=NAME).public == made.public
    assert keys.history(path) == (made.public,)


def test_a_key_cannot_be_made_where_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for path in (tmp_path / ("x" * 300), tmp_path / "file" / "signing.pem", tmp_path / ("x" * 245)):
        with pytest.raises(StoreError, match="wanted a folder to write to"):
            keys.create(path, name=NAME)
    assert os.listdir(tmp_path) == ["file"]


def test_a_missing_key_says_where_it_was_expected(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"signing\.pem: no such file; wanted the log's signing key; restore it"):
        keys.load(tmp_path / "signing.pem", name=NAME)
    assert keys.history(tmp_path / "signing.pem") == ()


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o610, 0o777])
def test_a_key_that_others_may_read_is_refused_with_the_fix(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "signing.pem"
    keys.create(path, name=NAME)
    path.chmod(mode)
    with pytest.raises(StoreError, match=f"mode {mode:04o}; wanted 0600; chmod 600"):
        keys.load(path, name=NAME)


def test_a_folder_in_the_keys_place_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="wanted a readable file"):
        keys.load(tmp_path, name=NAME)


def test_a_garbled_or_foreign_key_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "signing.pem"
    made = keys.create(path, name=NAME)
    pem = path.read_bytes()
    foreign = generate_private_key(SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    locked = made.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
    for spoiled in (b"", b"\x00" * 200, pem[:-40], pem.replace(b"PRIVATE", b"PUBLIC"), foreign, locked):
        path.write_bytes(spoiled)
        with pytest.raises(StoreError, match="no Ed25519 private key in it; wanted PEM"):
            keys.load(path, name=NAME)


def rotated(path: Path, old: PublicKey, announced: list[PublicKey]) -> PrivateKey:
    """Rotate from the key `old`, noting what was announced."""
    return keys.rotate(path, in_force=lambda: old, announce=lambda _, new: announced.append(new.public))


def test_a_rotation_announces_the_new_key_before_it_is_in_place(tmp_path: Path) -> None:
    path = tmp_path / "signing.pem"
    old = keys.create(path, name=NAME)
    seen = []

    def announce(before: PrivateKey, after: PrivateKey) -> None:
        seen.append((before.public, after.public, keys.load(path, name=NAME).public))

    new = keys.rotate(path, in_force=lambda: old.public, announce=announce)
    assert seen == [(old.public, new.public, old.public)]
    assert new.public != old.public
    assert keys.load(path, name=NAME).public == new.public
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert keys.history(path) == (old.public, new.public)
    assert not path.with_name("signing.pem.next").exists()


def test_a_rotation_cut_off_before_its_announcement_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "signing.pem"
    old = keys.create(path, name=NAME)

    def cut(before: PrivateKey, after: PrivateKey) -> None:
        raise Cut

    with pytest.raises(Cut):
        keys.rotate(path, in_force=lambda: old.public, announce=cut)
    assert keys.settle(path, in_force=old.public).public == old.public
    new = rotated(path, old.public, [])
    assert keys.history(path) == (old.public, new.public)


def test_a_rotation_cut_off_after_its_announcement_is_completed_by_settling(tmp_path: Path) -> None:
    path = tmp_path / "signing.pem"
    old = keys.create(path, name=NAME)
    announced: list[PublicKey] = []

    def cut(before: PrivateKey, after: PrivateKey) -> None:
        announced.append(after.public)
        raise Cut

    with pytest.raises(Cut):
        keys.rotate(path, in_force=lambda: old.public, announce=cut)
    assert keys.load(path, name=NAME).public == old.public
    assert keys.settle(path, in_force=announced[0]).public == announced[0]
    assert keys.load(path, name=NAME).public == announced[0]
    assert keys.history(path) == (old.public, announced[0])


def test_rotating_again_after_a_cut_keeps_the_announced_key(tmp_path: Path) -> None:
    path = tmp_path / "signing.pem"
    old = keys.create(path, name=NAME)
    announced: list[PublicKey] = []

    def cut(before: PrivateKey, after: PrivateKey) -> None:
        announced.append(after.public)
        raise Cut

    with pytest.raises(Cut):
        keys.rotate(path, in_force=lambda: old.public, announce=cut)
    new = rotated(path, announced[0], announced)
    assert keys.history(path) == (old.public, announced[0], new.public)


def test_a_key_of_another_log_is_refused(tmp_path: Path) -> None:
    own = keys.create(tmp_path / "own.pem", name=NAME)
    other = keys.create(tmp_path / "other.pem", name=NAME)
    with pytest.raises(IntegrityError, match="wanted the one that the log has in force"):
        keys.settle(tmp_path / "own.pem", in_force=other.public)
    rotated(tmp_path / "own.pem", own.public, [])
    with pytest.raises(IntegrityError, match="give the key file that belongs to this log"):
        rotated(tmp_path / "own.pem", own.public, [])


def test_rotations_at_once_follow_one_another(tmp_path: Path) -> None:
    path = tmp_path / "signing.pem"
    log = [keys.create(path, name=NAME).public]
    barrier = threading.Barrier(4)

    def rotate() -> None:
        barrier.wait()
        keys.rotate(path, in_force=lambda: log[-1], announce=lambda old, new: log.append(new.public))

    threads = [threading.Thread(target=rotate) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert keys.history(path) == tuple(log)
    assert keys.load(path, name=NAME).public == log[-1]
    leftovers = {item.name for item in path.parent.iterdir()} - {"signing.pem", "signing.pem.pub", "signing.pem.lock"}
    assert leftovers == set()


def test_two_makers_at_once_agree_on_one_key(tmp_path: Path) -> None:
    path = tmp_path / "signing.pem"
    barrier = threading.Barrier(4)
    made: list[PublicKey] = []
    refused: list[StoreError] = []

    def make() -> None:
        barrier.wait()
        try:
            made.append(keys.create(path, name=NAME).public)
        except StoreError as error:
            refused.append(error)

    threads = [threading.Thread(target=make) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(made), len(refused)) == (1, 3)
    assert keys.load(path, name=NAME).public == made[0]
    assert os.listdir(tmp_path).count("signing.pem") == 1
