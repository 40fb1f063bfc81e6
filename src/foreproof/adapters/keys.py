"""Signing keys on disk: one PEM file, readable by its owner only, with the public keys that it has held beside it.

```
signing.pem        the private key in force, PKCS#8, mode 0600
signing.pem.next   the next private key, while a rotation is under way
signing.pem.pub    the public keys, oldest first, one `name+id+base64` a line
signing.pem.lock   held while a key is put in place
```

The log, not this folder, says which key is in force: a rotation is done once its leaf is in the log. `settle` completes
one that was cut off in between.
"""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from filelock import FileLock, Timeout

from foreproof.core.log import PrivateKey, PublicKey, parse_public_key
from foreproof.errors import IntegrityError, StoreError

_PATIENCE = 60.0
"""Seconds to wait for another process that puts a key in place."""


def create(path: Path, *, name: str) -> PrivateKey:
    """Make a key, write it with mode 0600 and return it. Raises StoreError where the file is there already."""
    key = PrivateKey(name, Ed25519PrivateKey.generate())
    public = key.public  # raises where the name is none, before anything is written
    _write(path, key)
    _remember(path, public)
    return key


def load(path: Path, *, name: str) -> PrivateKey:
    """The key of a file. Raises StoreError where it is missing, readable by others, or garbled."""
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        pem = path.read_bytes()
    except FileNotFoundError:
        fix = "restore it from a copy; a log goes on only under the key that its last key leaf names"
        raise StoreError(f"key {path}", found="no such file", wanted="the log's signing key", fix=fix) from None
    except OSError as error:
        raise StoreError(f"key {path}", found=str(error.strerror), wanted="a readable file") from error
    # Windows has no such modes: there the folder's access list decides.
    if os.name == "posix" and mode & 0o077:
        raise StoreError(f"key {path}", found=f"mode {mode:04o}", wanted="0600", fix=f"chmod 600 {path}")
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, Ed25519PrivateKey):
        fix = "restore it from a copy"
        raise StoreError(f"key {path}", found="no Ed25519 private key in it", wanted="PEM, unencrypted", fix=fix)
    return PrivateKey(name, key)


def rotate(
    path: Path, *, in_force: Callable[[], PublicKey], announce: Callable[[PrivateKey, PrivateKey], None]
) -> PrivateKey:
    """Make the next key, announce (old, new) and put the new one in the old one's place.

    `announce` writes the rotation into the log, `in_force` reads from there. Cut off before the announcement, nothing has
    changed; after it, `settle` finishes. Raises what they raise, and StoreError where another rotation is under way.
    """
    with _locked(path):
        old = _settled(path, in_force())
        # The old key is in force, so one that was left waiting was never announced and has signed nothing.
        _next(path).unlink(missing_ok=True)
        new = PrivateKey(old.name, Ed25519PrivateKey.generate())
        _write(_next(path), new)
        announce(old, new)
        _promote(path, new)
    return new


def settle(path: Path, *, in_force: PublicKey) -> PrivateKey:
    """The private key of the public key that the log has in force, after completing a rotation that was cut off.

    Raises IntegrityError where the file holds another key.
    """
    key = load(path, name=in_force.name)
    if key.public == in_force:
        return key
    with _locked(path):
        return _settled(path, in_force)


def history(path: Path) -> tuple[PublicKey, ...]:
    """The public keys that the file has held, oldest first; empty where there never was one."""
    try:
        lines = _public(path).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return ()
    return tuple(parse_public_key(line) for line in lines)


def _settled(path: Path, in_force: PublicKey) -> PrivateKey:
    key = load(path, name=in_force.name)
    if key.public == in_force:
        return key
    if _next(path).exists():
        new = load(_next(path), name=in_force.name)
        if new.public == in_force:
            _promote(path, new)
            return new
    raise IntegrityError(
        f"key {path}",
        found=f"the key {key.public.text}",
        wanted=f"the one that the log has in force, {in_force.text}",
        fix="give the key file that belongs to this log",
    )


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    try:
        with FileLock(path.with_name(f"{path.name}.lock"), timeout=_PATIENCE):
            yield
    except Timeout as error:
        raise StoreError(f"key {path}", found="another rotation under way", fix="try again") from error


def _next(path: Path) -> Path:
    return path.with_name(f"{path.name}.next")


def _public(path: Path) -> Path:
    return path.with_name(f"{path.name}.pub")


def _promote(path: Path, new: PrivateKey) -> None:
    _remember(path, new.public)
    _next(path).replace(path)
    _sync_folder(path.parent)


def _remember(path: Path, key: PublicKey) -> None:
    """Add a public key to the history, once."""
    if key in history(path):
        return
    with _public(path).open("a", encoding="utf-8", newline="\n") as file:
        file.write(f"{key.text}\n")
        file.flush()
        os.fsync(file.fileno())


def _write(path: Path, key: PrivateKey) -> None:
    pem = key.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Mode 0600 from the first byte on, and a name of its own for each writer.
        handle, draft = tempfile.mkstemp(dir=path.parent, prefix=f"{path.name}.", suffix=".draft")
    except OSError as error:
        raise _unwritable(path, error) from error
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(pem)
            file.flush()
            os.fsync(file.fileno())
        # A link, unlike a rename, never replaces a key that is there, and nobody ever sees half a file.
        os.link(draft, path)
    except FileExistsError:
        raise StoreError(f"key {path}", found="a file is there already", fix="load it, or rotate it") from None
    except OSError as error:
        raise _unwritable(path, error) from error
    finally:
        Path(draft).unlink(missing_ok=True)
    _sync_folder(path.parent)


def _unwritable(path: Path, error: OSError) -> StoreError:
    return StoreError(f"key {path}", found=str(error.strerror), wanted="a folder to write to")


def _sync_folder(folder: Path) -> None:
    """Make a new name in the folder survive a power cut, where the system can."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


__all__ = ["create", "history", "load", "rotate", "settle"]
