"""The log checked here, by the reader's own arithmetic: RFC 6962 in a few lines that share nothing with the service."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass


def leaf_hash(leaf: bytes) -> bytes:
    """SHA-256(0x00 || leaf)."""
    return hashlib.sha256(b"\x00" + leaf).digest()


def root_from(leaf: bytes, index: int, *, size: int, path: Sequence[bytes]) -> bytes | None:
    """The root that a path leads to from the hash of leaf `index` in a tree of `size` leaves (RFC 6962, 2.1.1).

    None where the path has the wrong length for that place, or the place is not in the tree.
    """
    if not 0 <= index < size:
        return None
    sides = _sides(index, size)
    if len(sides) != len(path):
        return None
    found = leaf
    for is_left, sibling in zip(sides, path, strict=True):
        found = hashlib.sha256(b"\x01" + (sibling + found if is_left else found + sibling)).digest()
    return found


def _sides(index: int, size: int) -> list[bool]:
    """For each element of the path, from the leaf up, whether it stands on the left: the split is the largest 2^k below size."""
    sides: list[bool] = []
    while size > 1:
        split = 1 << (size - 1).bit_length() - 1
        if index < split:
            sides.append(False)
            size = split
        else:
            sides.append(True)
            index, size = index - split, size - split
    return sides[::-1]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a signed checkpoint says: origin, number of leaves, root; `signed` holds the name and 4-byte id of the key."""

    origin: str
    size: int
    root: bytes
    body: bytes
    signatures: tuple[tuple[str, bytes, bytes], ...]


def read_checkpoint(text: str) -> Checkpoint:
    """The checkpoint of a signed note (c2sp.org/tlog-checkpoint). Raises ValueError for another text."""
    body, found, tail = text.partition("\n\n")
    lines = body.split("\n")
    if not found or len(lines) < 3:
        raise ValueError("not a signed checkpoint: origin, size, root, an empty line and a signature are wanted")
    signatures = []
    for line in tail.strip().split("\n"):
        _, name, encoded = line.split(" ", 2)
        raw = base64.b64decode(encoded, validate=True)
        signatures.append((name, raw[:4], raw[4:]))
    return Checkpoint(
        lines[0], int(lines[1]), base64.b64decode(lines[2], validate=True), f"{body}\n".encode(), tuple(signatures)
    )


def is_signed(checkpoint: Checkpoint, key: str) -> bool:
    """Whether the key, written `name+id+base64`, signed the checkpoint with Ed25519 (c2sp.org/signed-note)."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    # Base64 may hold plus signs of its own; a name and the id do not.
    name, identity, encoded = key.strip().split("+", 2)
    raw = base64.b64decode(encoded, validate=True)
    public = Ed25519PublicKey.from_public_bytes(raw[1:])
    if hashlib.sha256(f"{name}\n".encode() + raw).digest()[:4].hex() != identity:
        return False
    for who, mark, signature in checkpoint.signatures:
        if who == name and mark.hex() == identity:
            try:
                public.verify(signature, checkpoint.body)
            except InvalidSignature:
                continue
            return True
    return False


__all__ = ["Checkpoint", "is_signed", "leaf_hash", "read_checkpoint", "root_from"]
