"""The Merkle hash tree of RFC 6962 section 2.1 (unchanged in RFC 9162): roots, inclusion and consistency paths.

All functions take *leaf hashes*, 32 bytes each, and none of them recurses, so a log of any length fits the stack.
Costs are in hashes: a root or a path over n leaves is O(n), the roots of c prefixes together are O(n + c log n), checking
a path is O(log n).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from foreproof.errors import BadInput

EMPTY_ROOT = hashlib.sha256(b"").digest()
"""The root of a log without leaves."""


def leaf_hash(leaf: bytes) -> bytes:
    """SHA-256(0x00 || leaf); the prefix keeps a leaf from passing for an inner node."""
    return hashlib.sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256(0x01 || left || right)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def root_hash(hashes: Sequence[bytes]) -> bytes:
    """The root (MTH of RFC 6962, 2.1) over n leaf hashes."""
    return prefix_roots(hashes, [len(hashes)])[len(hashes)]


def prefix_roots(hashes: Sequence[bytes], sizes: Iterable[int]) -> dict[int, bytes]:
    """The root at each wanted size, 0 <= size <= n, in one pass.

    The pass keeps the roots of the perfect subtrees that make up the leaves so far, largest first: one for each 1 in the
    binary form of the count.
    """
    wanted = sorted(set(sizes))
    if wanted and not 0 <= wanted[0] <= wanted[-1] <= len(hashes):
        raise BadInput("log", found=f"sizes {wanted[0]} to {wanted[-1]}", wanted=f"sizes within 0 to {len(hashes)}")
    roots: dict[int, bytes] = {}
    subtrees: list[bytes] = []
    count = 0
    for size in wanted:
        for leaf in hashes[count:size]:
            subtree, filled = leaf, count
            while filled & 1:
                subtree = node_hash(subtrees.pop(), subtree)
                filled >>= 1
            subtrees.append(subtree)
            count += 1
        roots[size] = _folded(subtrees)
    return roots


def inclusion_path(hashes: Sequence[bytes], index: int, size: int) -> tuple[bytes, ...]:
    """The path (PATH of RFC 6962, 2.1.1) that leads from leaf `index` to the root at `size`; the leaf's sibling first.

    Raises BadInput unless 0 <= index < size <= n.
    """
    if not 0 <= index < size <= len(hashes):
        raise BadInput("log", found=f"leaf {index} at size {size}", wanted=f"a leaf below a size up to {len(hashes)}")
    path: list[bytes] = []
    level: Sequence[bytes] = hashes[:size]
    while len(level) > 1:
        sibling = index ^ 1
        if sibling < len(level):
            path.append(level[sibling])
        level, index = _parents(level), index >> 1
    return tuple(path)


def consistency_path(hashes: Sequence[bytes], old: int, new: int) -> tuple[bytes, ...]:
    """The path (PROOF of RFC 6962, 2.1.2) which shows that the first `old` of `new` leaves are unchanged.

    Empty where `old` is 0 or equals `new`. Raises BadInput unless 0 <= old <= new <= n.
    """
    if not 0 <= old <= new <= len(hashes):
        raise BadInput(
            "log", found=f"sizes {old} and {new}", wanted=f"an old size up to a new size up to {len(hashes)}"
        )
    if old in {0, new}:
        return ()
    path: list[bytes] = []
    level: Sequence[bytes] = hashes[:new]
    node = old - 1
    # Climb to the root of the last perfect subtree of the old log: inside it nothing can have changed.
    while node & 1:
        level, node = _parents(level), node >> 1
    if node:
        # A power of two needs no first element: the subtree is the whole old log, whose root the verifier holds.
        path.append(level[node])
    while len(level) > 1:
        sibling = node ^ 1
        if sibling < len(level):
            path.append(level[sibling])
        level, node = _parents(level), node >> 1
    return tuple(path)


def verify_inclusion(leaf: bytes, index: int, *, size: int, path: Sequence[bytes], root: bytes) -> bool:
    """Whether the path leads from the leaf hash at `index` to `root` (RFC 9162, 2.1.3.2)."""
    if not 0 <= index < size:
        return False
    node, last, found = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            return False
        if node & 1 or node == last:
            found = node_hash(sibling, found)
            # The right edge has no sibling on levels where it is promoted unpaired: they add nothing to the path.
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            found = node_hash(found, sibling)
        node, last = node >> 1, last >> 1
    return last == 0 and found == root


def verify_consistency(old: int, new: int, *, old_root: bytes, new_root: bytes, path: Sequence[bytes]) -> bool:
    """Whether the path shows that the log with `new_root` extends the one with `old_root` (RFC 9162, 2.1.4.2)."""
    if not 0 <= old <= new:
        return False
    if old == new:
        return not path and old_root == new_root
    if old == 0:
        return not path and old_root == EMPTY_ROOT
    if not path:
        return False
    # Where the old log is one perfect subtree, the path leaves out its root, because the verifier has it.
    steps = [old_root, *path] if old & (old - 1) == 0 else list(path)
    node, last = old - 1, new - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    old_found = new_found = steps[0]
    for sibling in steps[1:]:
        if last == 0:
            return False
        if node & 1 or node == last:
            old_found, new_found = node_hash(sibling, old_found), node_hash(sibling, new_found)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            new_found = node_hash(new_found, sibling)
        node, last = node >> 1, last >> 1
    return last == 0 and old_found == old_root and new_found == new_root


def _parents(level: Sequence[bytes]) -> list[bytes]:
    """The level above; a last node without a sibling moves up as it is."""
    parents = [node_hash(level[i], level[i + 1]) for i in range(0, len(level) - 1, 2)]
    return [*parents, level[-1]] if len(level) & 1 else parents


def _folded(subtrees: Sequence[bytes]) -> bytes:
    """One root over perfect subtrees, largest first: the smaller ones join on the right."""
    if not subtrees:
        return EMPTY_ROOT
    root = subtrees[-1]
    for subtree in reversed(subtrees[:-1]):
        root = node_hash(subtree, root)
    return root


__all__ = [
    "EMPTY_ROOT",
    "consistency_path",
    "inclusion_path",
    "leaf_hash",
    "node_hash",
    "prefix_roots",
    "root_hash",
    "verify_consistency",
    "verify_inclusion",
]
