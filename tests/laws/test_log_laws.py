from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

import naive_log
from foreproof.core import verifier
from foreproof.core.log import Checkpoint, PrivateKey, decode_leaf, encode_leaf, parse_checkpoint
from foreproof.core.merkle import (
    consistency_path,
    inclusion_path,
    leaf_hash,
    prefix_roots,
    root_hash,
    verify_consistency,
    verify_inclusion,
)
from foreproof.errors import IntegrityError

KEY = PrivateKey("example.org/log", Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
LEAVES = st.lists(st.binary(max_size=8), min_size=1, max_size=40)


def flipped(raw: bytes, position: int) -> bytes:
    """The bytes with one bit changed."""
    at = position % (8 * len(raw))
    return bytes(byte ^ (1 << at % 8) if i == at // 8 else byte for i, byte in enumerate(raw))


@st.composite
def inclusion(draw: st.DrawFn) -> tuple[list[bytes], int, int]:
    """Leaves, a size up to their number and an index below the size."""
    leaves = draw(LEAVES)
    size = draw(st.integers(1, len(leaves)))
    return leaves, draw(st.integers(0, size - 1)), size


@st.composite
def growth(draw: st.DrawFn) -> tuple[list[bytes], int, int]:
    """Leaves, an old size and a new one."""
    leaves = draw(LEAVES)
    new = draw(st.integers(1, len(leaves)))
    return leaves, draw(st.integers(0, new)), new


@given(st.lists(st.binary(max_size=8), max_size=70))
def test_the_fast_roots_are_those_of_the_recursive_definition(leaves: list[bytes]) -> None:
    hashes = [leaf_hash(leaf) for leaf in leaves]
    wanted = {size: naive_log.mth(leaves[:size]) for size in range(len(leaves) + 1)}
    assert root_hash(hashes) == wanted[len(leaves)]
    assert prefix_roots(hashes, wanted) == wanted
    assert verifier.roots(leaves, list(wanted)) == wanted


@given(inclusion())
def test_the_fast_inclusion_path_is_that_of_the_recursive_definition(case: tuple[list[bytes], int, int]) -> None:
    leaves, index, size = case
    assert list(inclusion_path([leaf_hash(leaf) for leaf in leaves], index, size)) == naive_log.path(
        index, leaves[:size]
    )


@given(growth())
def test_the_fast_consistency_path_is_that_of_the_recursive_definition(case: tuple[list[bytes], int, int]) -> None:
    leaves, old, new = case
    wanted = naive_log.proof(old, leaves[:new]) if 0 < old < new else []
    assert list(consistency_path([leaf_hash(leaf) for leaf in leaves], old, new)) == wanted


@given(inclusion(), st.integers(0, 10_000), st.data())
def test_an_inclusion_proof_holds_and_any_change_to_it_fails(
    case: tuple[list[bytes], int, int], bit: int, data: st.DataObject
) -> None:
    leaves, index, size = case
    hashes = [leaf_hash(leaf) for leaf in leaves]
    path, root = list(inclusion_path(hashes, index, size)), root_hash(hashes[:size])
    assert verify_inclusion(hashes[index], index, size=size, path=path, root=root)
    assert not verify_inclusion(flipped(hashes[index], bit), index, size=size, path=path, root=root)
    assert not verify_inclusion(hashes[index], index, size=size, path=path, root=flipped(root, bit))
    assert not verify_inclusion(hashes[index], index, size=size, path=[*path, root], root=root)
    if path:
        spoiled = list(path)
        at = data.draw(st.integers(0, len(path) - 1))
        spoiled[at] = flipped(path[at], bit)
        assert not verify_inclusion(hashes[index], index, size=size, path=spoiled, root=root)
        assert not verify_inclusion(hashes[index], index, size=size, path=path[:-1], root=root)
    other = data.draw(st.integers(-2, 2 * size))
    if other != index:
        # Another place may hold the same leaf, or mirror an equal sibling: the recursive check says which.
        wanted = 0 <= other < size and naive_log.root_by_path(hashes[index], other, size, path) == root
        assert verify_inclusion(hashes[index], other, size=size, path=path, root=root) == wanted


@given(inclusion(), st.integers(1, 100))
def test_an_inclusion_check_answers_as_its_recursive_twin_at_any_size(
    case: tuple[list[bytes], int, int], size: int
) -> None:
    leaves, index, real = case
    hashes = [leaf_hash(leaf) for leaf in leaves]
    path, root = list(inclusion_path(hashes, index, real)), root_hash(hashes[:real])
    wanted = index < size and naive_log.root_by_path(hashes[index], index, size, path) == root
    assert verify_inclusion(hashes[index], index, size=size, path=path, root=root) == wanted


@given(growth(), st.integers(0, 10_000), st.data())
def test_a_consistency_proof_holds_and_any_change_to_it_fails(
    case: tuple[list[bytes], int, int], bit: int, data: st.DataObject
) -> None:
    leaves, old, new = case
    hashes = [leaf_hash(leaf) for leaf in leaves]
    path = list(consistency_path(hashes, old, new))
    roots = {"old_root": root_hash(hashes[:old]), "new_root": root_hash(hashes[:new])}
    assert verify_consistency(old, new, **roots, path=path)
    assert not verify_consistency(old, new, **{**roots, "old_root": flipped(roots["old_root"], bit)}, path=path)
    if old:
        # Everything extends the empty log, whatever its root.
        assert not verify_consistency(old, new, **{**roots, "new_root": flipped(roots["new_root"], bit)}, path=path)
    assert not verify_consistency(old, new, **roots, path=[*path, roots["old_root"]])
    if path:
        at = data.draw(st.integers(0, len(path) - 1))
        spoiled = [flipped(node, bit) if i == at else node for i, node in enumerate(path)]
        assert not verify_consistency(old, new, **roots, path=spoiled)
        assert not verify_consistency(old, new, **roots, path=path[:at] + path[at + 1 :])
    if old < new:
        assert not verify_consistency(new, old, **roots, path=path)


@given(growth(), st.integers(1, 80), st.integers(1, 80))
def test_a_consistency_check_answers_as_its_recursive_twin_at_any_sizes(
    case: tuple[list[bytes], int, int], old: int, new: int
) -> None:
    leaves, real_old, real_new = case
    hashes = [leaf_hash(leaf) for leaf in leaves]
    path = list(consistency_path(hashes, real_old, real_new))
    old_root, new_root = root_hash(hashes[:real_old]), root_hash(hashes[:real_new])
    for first, second in ((old, new), (real_old, new), (old, real_new)):
        if 0 < first < second:
            wanted = naive_log.roots_by_proof(first, second, path, old_root) == (old_root, new_root)
            assert verify_consistency(first, second, old_root=old_root, new_root=new_root, path=path) == wanted


def test_a_consistency_check_answers_as_its_twin_at_all_small_sizes() -> None:
    hashes = [leaf_hash(bytes([i])) for i in range(33)]
    for real_old, real_new in ((1, 2), (3, 7), (4, 8), (6, 8), (8, 16), (5, 33)):
        path = list(consistency_path(hashes, real_old, real_new))
        old_root, new_root = root_hash(hashes[:real_old]), root_hash(hashes[:real_new])
        for old in range(1, 40):
            for new in range(old + 1, 80):
                wanted = naive_log.roots_by_proof(old, new, path, old_root) == (old_root, new_root)
                assert verify_consistency(old, new, old_root=old_root, new_root=new_root, path=path) == wanted


@given(growth(), st.data())
def test_a_log_with_one_altered_old_leaf_has_no_consistency_proof(
    case: tuple[list[bytes], int, int], data: st.DataObject
) -> None:
    leaves, old, new = case
    if old == 0:
        return
    at = data.draw(st.integers(0, old - 1))
    forged = [leaf + b"!" if i == at else leaf for i, leaf in enumerate(leaves)]
    honest, other = ([leaf_hash(leaf) for leaf in log] for log in (leaves, forged))
    path = consistency_path(other, old, new)
    old_root, new_root = root_hash(honest[:old]), root_hash(other[:new])
    assert not verify_consistency(old, new, old_root=old_root, new_root=new_root, path=path)


@given(st.integers(0, 10**12), st.binary(min_size=32, max_size=32), st.integers(0, 255), st.data())
def test_a_checkpoint_with_one_changed_byte_is_refused_by_both_readers(
    size: int, root: bytes, byte: int, data: st.DataObject
) -> None:
    checkpoint = Checkpoint(KEY.name, size, root)
    note = checkpoint.sign(KEY).encode()
    assert parse_checkpoint(note.decode(), [KEY.public]) == checkpoint
    at = data.draw(st.integers(0, len(note) - 1))
    altered = (note[:at] + bytes([byte]) + note[at + 1 :]).decode(errors="replace")
    if altered.encode() == note:
        return
    with pytest.raises(IntegrityError):
        parse_checkpoint(altered, [KEY.public])
    key = verifier.Key(1, KEY.name, KEY.public.raw)
    with pytest.raises(verifier.Fault):
        verifier._signed(verifier.read_checkpoint(altered, "x"), [key], verifier.ed25519_verify, length=size)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)
TEXTS = st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=5), JSON, max_size=4)


@given(st.text(st.characters(exclude_categories=["Cs"])), TEXTS, st.randoms(use_true_random=False))
def test_a_leaf_reads_back_as_written_whatever_the_order_of_its_names(
    kind: str, body: dict[str, object], order: object
) -> None:
    leaf = encode_leaf(kind, body)
    assert b"\n" not in leaf
    assert leaf.isascii()
    assert decode_leaf(leaf) == {"kind": kind, "body": body}
    assert verifier.read_leaf(leaf, 0) == {"kind": kind, "body": body}
    names = list(body)
    order.shuffle(names)  # type: ignore[attr-defined]
    assert encode_leaf(kind, {name: body[name] for name in names}) == leaf


@given(st.binary(min_size=32, max_size=32), st.binary(max_size=200), st.integers(0, 10_000))
def test_the_pure_python_check_of_signatures_answers_as_the_library(seed: bytes, message: bytes, bit: int) -> None:
    key = PrivateKey("example.org/log", Ed25519PrivateKey.from_private_bytes(seed))
    signature = key.sign(message)
    public = key.public.raw
    assert verifier.ed25519_verify(public, message, signature)
    for raw, text, signed in (
        (public, message, flipped(signature, bit)),
        (public, message + b"!", signature),
        (flipped(public, bit), message, signature),
    ):
        assert not verifier.ed25519_verify(raw, text, signed)
        assert not key.public.verify(text, signed) or raw != public


@given(st.lists(st.integers(0, 9), min_size=2, max_size=12), st.data())
def test_an_audit_finds_every_altered_leaf_and_says_between_which_checkpoints(
    numbers: list[int], data: st.DataObject
) -> None:
    leaves = [encode_leaf("key", verifier_key()), *(encode_leaf("n", {"n": n}) for n in numbers)]
    sizes = sorted(data.draw(st.sets(st.integers(1, len(leaves)), max_size=3)) | {len(leaves)})
    notes = [(str(size), Checkpoint(KEY.name, size, naive_log.mth(leaves[:size])).sign(KEY)) for size in sizes]
    assert verifier.audit(leaves, notes).faults == []
    at = data.draw(st.integers(1, len(leaves) - 1))
    forged = [encode_leaf("n", {"n": -1}) if i == at else leaf for i, leaf in enumerate(leaves)]
    report = verifier.audit(forged, notes)
    before = max([size for size in sizes if size <= at], default=0)
    after = min(size for size in sizes if size > at)
    assert report.agreed == before
    where = f"leaf {before}" if before == after - 1 else f"one of leaves {before}..{after - 1}"
    assert report.faults[0].subject == f"the checkpoint of size {after} ({after})"
    assert report.faults[0].found.endswith(f"the first altered leaf is {where}")


def verifier_key() -> dict[str, str]:
    public = base64.b64encode(KEY.public.raw).decode()
    return {"algorithm": "ed25519", "name": KEY.name, "public": public}
