"""What the transparency log holds and signs: leaves, keys, checkpoints and proofs.

A leaf is one line of canonical JSON. A checkpoint is the signed head of the log in the C2SP text form
(c2sp.org/tlog-checkpoint over c2sp.org/signed-note):

```
origin
size
base64(root)

- name base64(key id || Ed25519 signature)
```

The log names its own keys: the first leaf holds the first one, a `rotation` leaf the next one, signed by the one before.
`core.verifier` reads all this without anything of this package, and is the one home of those rules of reading.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from foreproof.core.merkle import (
    consistency_path,
    inclusion_path,
    leaf_hash,
    prefix_roots,
    root_hash,
    verify_consistency,
    verify_inclusion,
)
from foreproof.errors import BadInput, IntegrityError

KEY = "key"
"""The kind of the first leaf, which holds the first public key."""
ROTATION = "rotation"
"""The kind of a leaf that puts the next public key in force."""

_ED25519 = b"\x01"
_SALT_BYTES = 16
_NAME = re.compile(r"[^\s+]+")
_SIZE = re.compile(r"0|[1-9][0-9]*")
_ROTATE = "foreproof key rotation v1"


def encode_leaf(kind: str, body: Mapping[str, Any], *, at: datetime | None = None) -> bytes:
    """A leaf as canonical JSON: sorted keys, no spaces, ASCII only, floats by `repr`; never a line break.

    Values are None, bool, int, float, str, lists, and mappings with text keys. `at` is the writer's clock, a claim and
    no proof. Raises BadInput, with the path of the value, for NaN, infinities and anything else.
    """
    leaf: dict[str, Any] = {"kind": _plain(kind, "kind"), "body": _plain(body, "body")}
    if at is not None:
        if at.tzinfo is None:
            raise BadInput("leaf at", found=f"{at} without a time zone", wanted="a UTC instant")
        leaf["at"] = at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    return _canonical(leaf)


def decode_leaf(leaf: bytes) -> dict[str, Any]:
    """The leaf's `kind`, `body` and, where it has one, `at`. Raises IntegrityError unless it is canonical."""
    try:
        values = json.loads(leaf)
        canonical = _canonical(values) == leaf
    except (ValueError, RecursionError):
        values, canonical = None, False
    if not canonical or not isinstance(values, dict) or not isinstance(values.get("kind"), str):
        raise IntegrityError("leaf", found=f"{leaf[:60]!r}", wanted="a canonical leaf with a kind")
    return values


def salted_hash(value: str, *, salt: bytes) -> str:
    """HMAC-SHA-256 of personal data under a secret salt, in hex: what may stand in the log in its place.

    Erasing the salt erases the link to the person; without it the value cannot be found by trying all names. Raises
    BadInput for a salt under 16 bytes.
    """
    if len(salt) < _SALT_BYTES:
        raise BadInput("salt", found=f"{len(salt)} bytes", wanted=f"at least {_SALT_BYTES} random bytes")
    return hmac.new(salt, value.encode(), hashlib.sha256).hexdigest()


@dataclass(frozen=True, slots=True)
class PublicKey:
    """An Ed25519 public key under a name; `raw` is its 32 bytes (RFC 8032, 5.1.5)."""

    name: str
    raw: bytes

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise BadInput("key name", found=f"{self.name!r}", wanted="text without spaces and plus signs")
        if len(self.raw) != 32:
            raise BadInput(f"key {self.name}", found=f"{len(self.raw)} bytes", wanted="32 bytes")

    @property
    def id(self) -> bytes:
        """The 4 bytes that a signature names its key by: SHA-256(name || LF || 0x01 || key)[:4]."""
        return hashlib.sha256(self.name.encode() + b"\n" + _ED25519 + self.raw).digest()[:4]

    @property
    def text(self) -> str:
        """The key on one line, `name+id+base64`, as signed notes write it."""
        return f"{self.name}+{self.id.hex()}+{base64.b64encode(_ED25519 + self.raw).decode()}"

    def verify(self, message: bytes, signature: bytes) -> bool:
        """Whether the signature is this key's over the message."""
        return ed25519_verifies(self.raw, message, signature)


@dataclass(frozen=True, slots=True)
class PrivateKey:
    """An Ed25519 private key under the name of its log."""

    name: str
    key: Ed25519PrivateKey = field(repr=False)

    @property
    def public(self) -> PublicKey:
        """The public half."""
        return PublicKey(self.name, self.key.public_key().public_bytes_raw())

    def sign(self, message: bytes) -> bytes:
        """The 64-byte signature; the same message always gives the same one."""
        return self.key.sign(message)


def ed25519_verifies(raw: bytes, message: bytes, signature: bytes) -> bool:
    """Whether the signature holds under the 32-byte key (RFC 8032, 5.1.7), by `cryptography`."""
    try:
        Ed25519PublicKey.from_public_bytes(raw).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


def parse_public_key(text: str) -> PublicKey:
    """The key of `PublicKey.text`. Raises BadInput where the text is garbled or its id is not the key's."""
    name, _, rest = text.strip().partition("+")
    key_id, _, encoded = rest.partition("+")
    raw = _decoded(encoded)
    if raw is None or raw[:1] != _ED25519:
        raise BadInput("public key", found=f"{text.strip()!r}", wanted="name+id+base64 of an Ed25519 key")
    key = PublicKey(name, raw[1:])
    if key.id.hex() != key_id:
        raise BadInput(f"key {name}", found=f"id {key_id}", wanted=f"id {key.id.hex()}")
    return key


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The head of a log: its first `size` leaves have this root."""

    origin: str
    size: int
    root: bytes

    @property
    def body(self) -> str:
        """The text that is signed."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"

    def sign(self, key: PrivateKey) -> str:
        """The checkpoint as a signed note."""
        return sign_note(self.body, key)


def sign_note(body: str, key: PrivateKey) -> str:
    """The body, which ends in a line break, a blank line and one signature line."""
    signature = base64.b64encode(key.public.id + key.sign(body.encode())).decode()
    return f"{body}\n\u2014 {key.name} {signature}\n"


def parse_checkpoint(text: str, public_keys: Iterable[PublicKey]) -> Checkpoint:
    """The checkpoint, if at least one of the keys signed it.

    Lines by keys that are not among `public_keys` are ignored (a witness may add its own); a line by one of them must
    hold. Raises IntegrityError otherwise, and where the text has not the form.
    """
    checkpoint, body, signatures = split_checkpoint(text)
    known = {(key.name, key.id): key for key in public_keys}
    signed = False
    for name, key_id, signature in signatures:
        key = known.get((name, key_id))
        if key is None:
            continue
        if not key.verify(body.encode(), signature):
            raise IntegrityError(_subject(checkpoint), found=f"the signature by {name}+{key_id.hex()} does not hold")
        signed = True
    if not signed:
        found = ", ".join(f"{name}+{key_id.hex()}" for name, key_id, _ in signatures)
        wanted = ", ".join(f"{key.name}+{key.id.hex()}" for key in known.values())
        raise IntegrityError(_subject(checkpoint), found=f"signatures by {found}", wanted=f"one by {wanted or 'a key'}")
    return checkpoint


def split_checkpoint(text: str) -> tuple[Checkpoint, str, list[tuple[str, bytes, bytes]]]:
    """The checkpoint, its signed body and (name, key id, signature) of each line; nothing is verified yet."""
    body, blank, lines = text.partition("\n\n")
    head = body.split("\n")
    root = _decoded(head[2]) if len(head) == 3 else None
    if not blank or root is None or len(root) != 32 or not head[0] or not _SIZE.fullmatch(head[1]):
        raise _garbled(text, "an origin, a size and a root on three lines, a blank line and signatures")
    signatures = []
    for line in lines.split("\n")[:-1]:
        parts = line.split(" ")
        signature = _decoded(parts[2]) if len(parts) == 3 else None
        if signature is None or parts[0] != "\u2014" or len(signature) < 5:
            raise _garbled(line, "a line `\u2014 name base64`")
        signatures.append((parts[1], signature[:4], signature[4:]))
    if not signatures or not lines.endswith("\n"):
        raise _garbled(text, "at least one whole signature line")
    return Checkpoint(head[0], int(head[1]), root), f"{body}\n", signatures


def key_body(key: PublicKey) -> dict[str, str]:
    """The body of the log's first leaf, kind `key`."""
    return {"algorithm": "ed25519", "name": key.name, "public": base64.b64encode(key.raw).decode()}


def rotation_body(old: PrivateKey, new: PublicKey) -> dict[str, str]:
    """The body of a `rotation` leaf: the new key, with the old key's signature over both."""
    encoded = [base64.b64encode(key.raw).decode() for key in (old.public, new)]
    signature = old.sign("\n".join([_ROTATE, new.name, *encoded, ""]).encode())
    return {**key_body(new), "previous": old.public.id.hex(), "signature": base64.b64encode(signature).decode()}


@dataclass(frozen=True, slots=True)
class InclusionProof:
    """That `leaf` stands at `index` of the log whose first `size` leaves have this root."""

    leaf: bytes
    index: int
    size: int
    root: bytes
    path: tuple[bytes, ...]

    def holds(self) -> bool:
        """Whether the path leads to the root."""
        return verify_inclusion(leaf_hash(self.leaf), self.index, size=self.size, path=self.path, root=self.root)

    def as_dict(self) -> dict[str, object]:
        """Plain values, hashes in hex."""
        head = {"leaf": self.leaf.decode(), "index": self.index, "size": self.size, "root": self.root.hex()}
        return {**head, "path": [node.hex() for node in self.path]}


@dataclass(frozen=True, slots=True)
class ConsistencyProof:
    """That the log of size `new` extends the one of size `old`."""

    old: int
    new: int
    old_root: bytes
    new_root: bytes
    path: tuple[bytes, ...]

    def holds(self) -> bool:
        """Whether the path leads to both roots."""
        return verify_consistency(self.old, self.new, old_root=self.old_root, new_root=self.new_root, path=self.path)

    def as_dict(self) -> dict[str, object]:
        """Plain values, hashes in hex."""
        roots = {"old_root": self.old_root.hex(), "new_root": self.new_root.hex()}
        return {"old": self.old, "new": self.new, **roots, "path": [node.hex() for node in self.path]}


def prove_inclusion(leaves: Sequence[bytes], index: int, *, size: int) -> InclusionProof:
    """The proof for leaf `index` at `size`, 0 <= index < size <= n."""
    hashes = [leaf_hash(leaf) for leaf in leaves]
    path = inclusion_path(hashes, index, size)
    return InclusionProof(leaves[index], index, size, root_hash(hashes[:size]), path)


def prove_consistency(leaves: Sequence[bytes], old: int, *, new: int) -> ConsistencyProof:
    """The proof between two sizes, 0 <= old <= new <= n."""
    hashes = [leaf_hash(leaf) for leaf in leaves]
    path = consistency_path(hashes, old, new)
    roots = prefix_roots(hashes, [old, new])
    return ConsistencyProof(old, new, roots[old], roots[new], path)


def _canonical(values: object) -> bytes:
    return json.dumps(values, sort_keys=True, separators=(",", ":"), allow_nan=False).encode("ascii")


def _plain(value: object, path: str) -> Any:
    """The value in JSON's own types, so that what is read back equals what was written."""
    match value:
        case None | bool() | int():
            return value
        case float() if math.isfinite(value):
            return float(value)
        case str() if value.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in value):
            return str(value)
        case list() | tuple():
            return [_plain(item, f"{path}[{i}]") for i, item in enumerate(value)]
        case Mapping() if all(isinstance(name, str) for name in value):
            return {_plain(name, path): _plain(item, f"{path}.{name}") for name, item in value.items()}
    fix = "write it as text, a finite number, a list or a mapping with text keys"
    raise BadInput(
        f"leaf {path}", found=f"{value!r} ({type(value).__name__})", wanted="a value that JSON holds", fix=fix
    )


def _decoded(text: str) -> bytes | None:
    """The bytes of base64 in its one canonical spelling, else None."""
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return raw if base64.b64encode(raw).decode() == text else None


def _subject(checkpoint: Checkpoint) -> str:
    return f"checkpoint of size {checkpoint.size}"


def _garbled(text: str, wanted: str) -> IntegrityError:
    return IntegrityError("checkpoint", found=f"{text[:60]!r}", wanted=wanted)


__all__ = [
    "KEY",
    "ROTATION",
    "Checkpoint",
    "ConsistencyProof",
    "InclusionProof",
    "PrivateKey",
    "PublicKey",
    "decode_leaf",
    "ed25519_verifies",
    "encode_leaf",
    "key_body",
    "parse_checkpoint",
    "parse_public_key",
    "prove_consistency",
    "prove_inclusion",
    "rotation_body",
    "salted_hash",
    "sign_note",
    "split_checkpoint",
]
