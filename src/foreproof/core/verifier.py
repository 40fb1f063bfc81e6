"""Check a Foreproof log, its checkpoints and a run without Foreproof: this one file and Python 3.9 or later.

    python verifier.py --log leaves.jsonl --checkpoint checkpoint.txt [--checkpoint OLDER ...] [--run DIR] [--key KEY]

It checks that every leaf is canonical, that each checkpoint is signed by the key which the log itself had put in force
at that size, that the leaves hash to the root of each checkpoint (so that one extends the other), and that every
artefact named in the run's leaf has the sha256 written there. Where something does not hold it says where.
Exit codes: 0 all holds, 1 something does not, 2 the input cannot be read.

Trust starts at a checkpoint that somebody else kept, or at a key got from somewhere else (`--key`): a log rewritten
whole, with a new key and new checkpoints, agrees with itself.

Sources: RFC 6962 and RFC 9162 (the tree), RFC 8032 (Ed25519), c2sp.org/signed-note and c2sp.org/tlog-checkpoint.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import hashlib
import json
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

Check = Callable[[bytes, bytes, bytes], bool]
"""(public key, message, signature) -> whether the signature holds."""


class Finding(NamedTuple):
    """Something that does not hold: what it is about and what was found."""

    subject: str
    found: str

    def __str__(self) -> str:
        return f"{self.subject}: {self.found}"


class Fault(Exception):
    """One finding that ends a check."""

    def __init__(self, subject: str, found: str) -> None:
        super().__init__(subject, found)
        self.finding = Finding(subject, found)


class Key(NamedTuple):
    """A public key, in force for checkpoints of size `start` and more, up to the next key's start."""

    start: int
    name: str
    raw: bytes

    @property
    def id(self) -> bytes:
        """SHA-256(name || LF || 0x01 || key)[:4]."""
        return hashlib.sha256(self.name.encode() + b"\n\x01" + self.raw).digest()[:4]

    @property
    def text(self) -> str:
        """The key on one line, `name+id+base64`."""
        return f"{self.name}+{self.id.hex()}+{base64.b64encode(bytes([1]) + self.raw).decode()}"


class Head(NamedTuple):
    """A checkpoint as read: where it came from, what it says, and its signatures, not yet checked."""

    label: str
    origin: str
    size: int
    root: bytes
    body: bytes
    signatures: list[tuple[str, bytes, bytes]]

    def __str__(self) -> str:
        return f"the checkpoint of size {self.size} ({self.label})"


class Report(NamedTuple):
    """What an audit found: faults, what holds, and the largest size at which the log agrees with a signed checkpoint."""

    faults: list[Finding]
    holds: list[str]
    agreed: int


# --- the tree (RFC 6962, 2.1) ----------------------------------------------------------------------------------------


def leaf_hash(leaf: bytes) -> bytes:
    """SHA-256(0x00 || leaf)."""
    return hashlib.sha256(b"\x00" + leaf).digest()


def roots(leaves: Sequence[bytes], sizes: Sequence[int]) -> dict[int, bytes]:
    """The Merkle root over the first `size` leaves, for each size, 0 <= size <= n, in one pass."""
    found: dict[int, bytes] = {}
    peaks: list[bytes] = []
    count = 0
    for size in sorted(set(sizes)):
        for leaf in leaves[count:size]:
            peaks.append(leaf_hash(leaf))
            count += 1
            # As many perfect subtrees close with this leaf as the count ends in zero bits.
            for _ in range((count & -count).bit_length() - 1):
                peaks[-2:] = [_joined(peaks[-2], peaks[-1])]
        root = peaks[-1] if peaks else hashlib.sha256(b"").digest()
        for peak in reversed(peaks[:-1]):
            root = _joined(peak, root)
        found[size] = root
    return found


def _joined(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


# --- Ed25519 (RFC 8032, 5.1) -----------------------------------------------------------------------------------------

_P = 2**255 - 19
_L = 2**252 + 27742317777372353535851937790883648493
_D = -121665 * pow(121666, _P - 2, _P) % _P
_ROOT_OF_MINUS_ONE = pow(2, (_P - 1) // 4, _P)

Point = tuple[int, int, int, int]
"""Extended coordinates (X, Y, Z, T): x = X/Z, y = Y/Z, xy = T/Z."""

_NEUTRAL: Point = (0, 1, 1, 0)


def ed25519_verify(public: bytes, message: bytes, signature: bytes) -> bool:
    """Whether the signature holds: [S]B = R + [k]A (RFC 8032, 5.1.7, without the cofactor)."""
    if len(public) != 32 or len(signature) != 64:
        return False
    key = _point(public)
    scalar = int.from_bytes(signature[32:], "little")
    if key is None or scalar >= _L:
        return False
    digest = hashlib.sha512(signature[:32] + public + message).digest()
    challenge = int.from_bytes(digest, "little") % _L
    minus_key = (_P - key[0], key[1], key[2], _P - key[3])
    return _encoded(_sum_of_products(scalar, _BASE, challenge, minus_key)) == signature[:32]


def _point(raw: bytes) -> Point | None:
    """The point of an encoding (RFC 8032, 5.1.3), None where there is none."""
    number = int.from_bytes(raw, "little")
    y, sign = number & ((1 << 255) - 1), number >> 255
    if y >= _P:
        return None
    # x^2 = (y^2 - 1) / (d y^2 + 1)
    u, v = (y * y - 1) % _P, (_D * y * y + 1) % _P
    x = u * pow(v, 3, _P) * pow(u * pow(v, 7, _P), (_P - 5) // 8, _P) % _P
    if v * x * x % _P == -u % _P:
        x = x * _ROOT_OF_MINUS_ONE % _P
    if v * x * x % _P != u or (x == 0 and sign):
        return None
    if x & 1 != sign:
        x = _P - x
    return x, y, 1, x * y % _P


def _encoded(point: Point) -> bytes:
    inverse = pow(point[2], _P - 2, _P)
    x, y = point[0] * inverse % _P, point[1] * inverse % _P
    return (y | (x & 1) << 255).to_bytes(32, "little")


def _added(p: Point, q: Point) -> Point:
    """P + q (RFC 8032, 5.1.4); the formula is complete, so it doubles too."""
    a = (p[1] - p[0]) * (q[1] - q[0]) % _P
    b = (p[1] + p[0]) * (q[1] + q[0]) % _P
    c = 2 * _D * p[3] * q[3] % _P
    d = 2 * p[2] * q[2] % _P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % _P, g * h % _P, f * g % _P, e * h % _P


def _sum_of_products(m: int, p: Point, n: int, q: Point) -> Point:
    """[m]p + [n]q, bit by bit from the top, with one doubling for both."""
    addends = {(1, 0): p, (0, 1): q, (1, 1): _added(p, q)}
    total = _NEUTRAL
    for bit in range(max(m.bit_length(), n.bit_length()) - 1, -1, -1):
        total = _added(total, total)
        addend = addends.get((m >> bit & 1, n >> bit & 1))
        if addend is not None:
            total = _added(total, addend)
    return total


_BASE = _point((4 * pow(5, _P - 2, _P) % _P).to_bytes(32, "little")) or _NEUTRAL


# --- reading leaves, keys and checkpoints ----------------------------------------------------------------------------


def read_leaf(leaf: bytes, index: int) -> dict[str, Any]:
    """The leaf's values. Raises Fault unless it is canonical JSON: sorted keys, no spaces, ASCII."""
    try:
        values = json.loads(leaf)
        again = json.dumps(values, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()
    except (ValueError, RecursionError):
        raise Fault(f"leaf {index}", "is not JSON: its bytes were altered") from None
    if again != leaf or not isinstance(values, dict) or not isinstance(values.get("body"), dict):
        raise Fault(f"leaf {index}", "is not a canonical leaf: its bytes were altered")
    return values


def key_history(leaves: Sequence[bytes]) -> list[Key]:
    """The keys that the log puts in force, oldest first. Raises Fault where a key leaf does not hold.

    The first leaf, kind `key`, holds the first key. A leaf of kind `rotation` holds the next key and the signature of
    the key in force over `foreproof key rotation v1`, the name, the old and the new key, one on a line.
    """
    history: list[Key] = []
    for index, leaf in enumerate(leaves):
        # Canonical leaves end in their kind; reading only these keeps a long log quick.
        if index and not leaf.endswith((b',"kind":"key"}', b',"kind":"rotation"}')):
            continue
        values = read_leaf(leaf, index)
        history.append(_next_key(values, index, history[-1] if history else None))
    return history


def _next_key(values: dict[str, Any], index: int, before: Key | None) -> Key:
    body, kind = values["body"], values.get("kind")
    if kind != ("key" if before is None else "rotation"):
        wanted = "the first leaf must hold the log's key" if before is None else "only the first leaf may set a key"
        raise Fault(f"leaf {index}", f"is of kind {kind!r}, but {wanted}")
    raw, name = _decoded(body.get("public")), body.get("name")
    if raw is None or len(raw) != 32 or not isinstance(name, str) or body.get("algorithm") != "ed25519":
        raise Fault(f"leaf {index}", "holds no Ed25519 key")
    key = Key(index + 1, name, raw)
    if before is None:
        return key
    encoded = [base64.b64encode(part).decode() for part in (before.raw, raw)]
    statement = "\n".join(["foreproof key rotation v1", name, *encoded, ""]).encode()
    signature = _decoded(body.get("signature"))
    if name != before.name or signature is None or not ed25519_verify(before.raw, statement, signature):
        raise Fault(f"leaf {index}", f"the rotation is not signed by the key in force, {before.text}")
    return key


def read_checkpoint(text: str, label: str) -> Head:
    """The parts of a checkpoint. Raises Fault where the text has not the form."""
    body, blank, lines = text.partition("\n\n")
    head = body.split("\n")
    root = _decoded(head[2]) if len(head) == 3 else None
    if not blank or root is None or len(root) != 32 or not head[0] or not re.fullmatch("0|[1-9][0-9]*", head[1]):
        raise Fault(f"checkpoint {label}", "is garbled: no origin, size and root on three lines before a blank one")
    signatures = []
    for line in lines.split("\n")[:-1]:
        parts = line.split(" ")
        signature = _decoded(parts[2]) if len(parts) == 3 and parts[0] == "\u2014" else None
        if signature is None or len(signature) < 5:
            raise Fault(f"checkpoint {label}", f"is garbled: {line[:40]!r} is no signature line")
        signatures.append((parts[1], signature[:4], signature[4:]))
    if not signatures or not lines.endswith("\n"):
        raise Fault(f"checkpoint {label}", "is garbled: it ends before its signature")
    return Head(label, head[0], int(head[1]), root, f"{body}\n".encode(), signatures)


def _decoded(text: object) -> bytes | None:
    """The bytes of base64 in its one canonical spelling, else None."""
    if not isinstance(text, str):
        return None
    try:
        raw = base64.b64decode(text, validate=True)
    except ValueError:
        return None
    return raw if base64.b64encode(raw).decode() == text else None


# --- the audit -------------------------------------------------------------------------------------------------------


def audit(
    leaves: Sequence[bytes],
    checkpoints: Sequence[tuple[str, str]],
    *,
    check: Check = ed25519_verify,
    pinned: str | None = None,
) -> Report:
    """Check leaves against checkpoints, given as (label, text); `pinned` is the first key's text, got elsewhere."""
    faults: list[Finding] = []
    holds: list[str] = []
    for index, leaf in enumerate(leaves):
        try:
            read_leaf(leaf, index)
        except Fault as fault:
            faults.append(fault.finding)
    try:
        if not leaves:
            raise Fault("log", "is empty: not even its key is there")
        history = key_history(leaves)
        if pinned is not None and history[0].text != pinned.strip():
            raise Fault("leaf 0", f"sets the key {history[0].text}, not the given one, {pinned.strip()}")
    except Fault as fault:
        return Report([*faults, *([] if fault.finding in faults else [fault.finding])], holds, 0)
    signed: list[Head] = []
    for label, text in checkpoints:
        try:
            head = read_checkpoint(text, label)
            holds.append(_signed(head, history, check, length=len(leaves)))
            signed.append(head)
        except Fault as fault:
            faults.append(fault.finding)
    agreed = _compare(leaves, signed, faults, holds)
    return Report(faults, holds, agreed)


def _signed(head: Head, history: Sequence[Key], check: Check, *, length: int) -> str:
    """What to say of a checkpoint signed by the key in force at its size; else a Fault."""
    key = [key for key in history if key.start <= max(head.size, 1)][-1]
    if head.origin != key.name:
        raise Fault(str(head), f"is of the log {head.origin!r}, this one is {key.name!r}")
    for name, key_id, signature in head.signatures:
        if (name, key_id) == (key.name, key.id):
            if check(key.raw, head.body, signature):
                return f"{head} is signed by {name}+{key_id.hex()}"
            raise Fault(str(head), f"the signature by {name}+{key_id.hex()} does not hold: its text was altered")
    names = ", ".join(f"{name}+{key_id.hex()}" for name, key_id, _ in head.signatures)
    lost = f"; the log ends at {length} leaves, so a rotation after them may be lost" if head.size > length else ""
    raise Fault(str(head), f"is signed by {names}, but the key in force at size {head.size} is {key.text}{lost}")


def _compare(leaves: Sequence[bytes], signed: Sequence[Head], faults: list[Finding], holds: list[str]) -> int:
    """Compare the leaves with signed checkpoints; return the largest size at which they agree."""
    length = len(leaves)
    found = roots(leaves, [head.size for head in signed if head.size <= length])
    good = sorted({head.size for head in signed if found.get(head.size) == head.root})
    bad = sorted((head for head in signed if found.get(head.size) != head.root), key=lambda head: head.size)
    agreed = good[-1] if good else 0
    if agreed:
        holds.append(f"the log agrees with the checkpoint of size {agreed}: leaves 0..{agreed - 1} are as signed")
    if length > max([head.size for head in signed], default=0):
        holds.append(
            f"leaves {max([head.size for head in signed], default=0)}..{length - 1} are under no checkpoint yet"
        )
    altered = False
    for head in bad:
        below = max([size for size in good if size < head.size], default=0)
        if head.size > length:
            faults.append(_dropped(head, length, agreed))
        elif head.size <= agreed:
            found_here = (
                f"root at size {head.size} differs, yet the log agrees with the signed checkpoint of size {agreed}"
            )
            faults.append(Finding(str(head), f"{found_here}: the log signed two histories; {_kept(below, head.size)}"))
        elif altered:
            faults.append(Finding(str(head), f"root at size {head.size} differs as well"))
        else:
            altered = True
            faults.append(
                Finding(str(head), f"tail rewritten: root at size {head.size} differs; {_kept(below, head.size)}")
            )
    return agreed


def _dropped(head: Head, length: int, agreed: int) -> Finding:
    """The finding that the log is shorter than a checkpoint says."""
    lost = head.size - length
    many = f"{lost} leaves" if lost > 1 else "1 leaf"
    if agreed == length:
        which = f"the last leaf (index {length}) was dropped" if lost == 1 else f"the last {many} were dropped"
    else:
        since = f"leaves 0..{agreed - 1} agree with the checkpoint of size {agreed}; " if agreed else ""
        which = (
            f"{many} dropped; {since}what is missing was at index {agreed} or later, at the end if nothing was moved up"
        )
    return Finding(str(head), f"the log has {length} leaves, the checkpoint says {head.size}: {which}")


def _kept(below: int, size: int) -> str:
    """Which leaves still agree, and where the first altered one lies."""
    where = f"leaf {below}" if below == size - 1 else f"one of leaves {below}..{size - 1}"
    if not below:
        return f"no older checkpoint agrees; the first altered leaf is {where}"
    return f"leaves 0..{below - 1} still agree with the older checkpoint of size {below}; the first altered leaf is {where}"


def check_run(leaves: Sequence[bytes], folder: Path, *, agreed: int) -> Report:
    """Check a run's folder against its leaf: kind `run`, body `{"run": id, "artefacts": {path: sha256 in hex}}`.

    The run's id is the `id` in the folder's `manifest.json`, or the folder's name. A repeated run has several leaves: the
    folder must hold what one of them names. `agreed` is the size up to which the log agrees with a signed checkpoint; a
    leaf beyond it proves nothing.
    """
    reports = [_check_artefacts(folder, index, body, agreed) for index, body in _run_leaves(leaves, folder)]
    if not reports:
        return Report([Finding(f"run {folder.name}", "has no leaf in the log")], [], agreed)
    return next((report for report in reports if not report.faults), reports[0])


def _check_artefacts(folder: Path, index: int, body: dict[str, Any], agreed: int) -> Report:
    """Check the folder against one leaf of the run."""
    faults: list[Finding] = []
    if index >= agreed:
        faults.append(Finding(f"leaf {index}", f"the run's leaf is under no checkpoint that holds (largest: {agreed})"))
    artefacts = body.get("artefacts")
    if not isinstance(artefacts, dict) or not artefacts:
        return Report([*faults, Finding(f"leaf {index}", "names no artefacts")], [], agreed)
    base = folder.resolve()
    for name, digest in sorted(artefacts.items()):
        path = (base / name).resolve()
        if base not in path.parents:
            faults.append(Finding(f"artefact {name}", f"leaf {index} names a file outside the run's folder"))
        elif not path.is_file():
            faults.append(Finding(f"artefact {name}", f"is missing; leaf {index} names it"))
        elif file_digest(path) != digest:
            faults.append(Finding(f"artefact {name}", f"its sha256 is {file_digest(path)}, leaf {index} says {digest}"))
    holds = [] if faults else [f"run {body.get('run')}: leaf {index}, {len(artefacts)} artefacts as logged"]
    files = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    others = sorted(name for name in files if name not in artefacts)
    if others:
        holds.append(f"not named in leaf {index}, so not checked: {', '.join(others)}")
    return Report(faults, holds, agreed)


def _run_leaves(leaves: Sequence[bytes], folder: Path) -> list[tuple[int, dict[str, Any]]]:
    """The run's leaves, newest first: by the id in its manifest, else, should that be altered, by the folder's name."""
    names = [folder.resolve().name]
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        names.insert(0, str(json.loads((folder / "manifest.json").read_bytes())["id"]))
    bodies: dict[str, list[tuple[int, dict[str, Any]]]] = {}
    for index, leaf in enumerate(leaves):
        if leaf.endswith(b',"kind":"run"}'):
            with contextlib.suppress(Fault):
                body = read_leaf(leaf, index)["body"]
                bodies.setdefault(str(body.get("run")), []).insert(0, (index, body))
    return next((bodies[name] for name in names if name in bodies), [])


def file_digest(path: Path) -> str:
    """The sha256 of a file, in hex."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for chunk in iter(lambda: file.read(1 << 20), b""):
            digest.update(chunk)
    return digest.hexdigest()


def read_log(path: Path) -> list[bytes]:
    """The leaves of an exported log, one on a line. Raises ValueError where the last line is cut."""
    raw = path.read_bytes()
    if raw and not raw.endswith(b"\n"):
        raise ValueError("the last line has no end: the file is cut")
    return raw.split(b"\n")[:-1]


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns the exit code."""
    parser = argparse.ArgumentParser(description="Check a Foreproof log, its checkpoints and a run.")
    parser.add_argument("--log", type=Path, required=True, help="the exported leaves, leaves.jsonl")
    parser.add_argument("--checkpoint", type=Path, required=True, action="append", help="a checkpoint; may be repeated")
    parser.add_argument("--run", type=Path, help="the folder of a run whose artefacts to check")
    parser.add_argument("--key", help="the log's first key (name+id+base64), got from somewhere else")
    options = parser.parse_args(arguments)
    try:
        leaves = read_log(options.log)
        checkpoints = [(path.name, path.read_bytes().decode()) for path in options.checkpoint]
        if options.run is not None and not options.run.is_dir():
            raise ValueError(f"{options.run} is not a folder")
    except (OSError, ValueError) as error:
        sys.stderr.write(f"cannot read the input: {error}\n")
        return 2
    report = audit(leaves, checkpoints, pinned=options.key)
    if options.run is not None:
        run = check_run(leaves, options.run, agreed=report.agreed)
        report = Report([*report.faults, *run.faults], [*report.holds, *run.holds], report.agreed)
    count = len(report.faults)
    lines = [f"ok     {line}" for line in report.holds] + [f"FAULT  {finding}" for finding in report.faults]
    lines.append(f"{len(leaves)} leaves: " + ("everything holds" if not count else f"{count} fault{'s' * (count > 1)}"))
    sys.stdout.write("\n".join(lines) + "\n")
    return 1 if count else 0


__all__ = [
    "Fault",
    "Finding",
    "Head",
    "Key",
    "Report",
    "audit",
    "check_run",
    "ed25519_verify",
    "file_digest",
    "key_history",
    "leaf_hash",
    "main",
    "read_checkpoint",
    "read_leaf",
    "read_log",
    "roots",
]

if __name__ == "__main__":
    sys.exit(main())
