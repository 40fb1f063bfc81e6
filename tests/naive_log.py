"""RFC 6962, section 2.1, word for word: recursive, slow, and right by reading."""

from __future__ import annotations

import hashlib


def split(n: int) -> int:
    """k, the largest power of two smaller than n."""
    k = 1
    while k * 2 < n:
        k = k * 2
    return k


def mth(leaves: list[bytes]) -> bytes:
    """MTH(D[n]): the Merkle tree hash of 2.1."""
    n = len(leaves)
    if n == 0:
        return hashlib.sha256(b"").digest()
    if n == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    k = split(n)
    return hashlib.sha256(b"\x01" + mth(leaves[:k]) + mth(leaves[k:])).digest()


def path(m: int, leaves: list[bytes]) -> list[bytes]:
    """PATH(m, D[n]): the audit path of 2.1.1."""
    n = len(leaves)
    if n == 1:
        return []
    k = split(n)
    if m < k:
        return [*path(m, leaves[:k]), mth(leaves[k:])]
    return [*path(m - k, leaves[k:]), mth(leaves[:k])]


def proof(m: int, leaves: list[bytes]) -> list[bytes]:
    """PROOF(m, D[n]): the consistency proof of 2.1.2, for 0 < m < n."""
    return subproof(m, leaves, True)


def subproof(m: int, leaves: list[bytes], known: bool) -> list[bytes]:
    """SUBPROOF(m, D[n], b): b says whether the verifier knows MTH(D[0:m]) already."""
    n = len(leaves)
    if m == n:
        return [] if known else [mth(leaves)]
    k = split(n)
    if m <= k:
        return [*subproof(m, leaves[:k], known), mth(leaves[k:])]
    return [*subproof(m - k, leaves[k:], False), mth(leaves[:k])]


def root_by_path(leaf_hash: bytes, m: int, n: int, nodes: list[bytes]) -> bytes | None:
    """The root that a path leads to, from the top down; None where the path has the wrong length."""
    if n == 1:
        return leaf_hash if not nodes else None
    if not nodes:
        return None
    k = split(n)
    if m < k:
        left = root_by_path(leaf_hash, m, k, nodes[:-1])
        return None if left is None else hashlib.sha256(b"\x01" + left + nodes[-1]).digest()
    right = root_by_path(leaf_hash, m - k, n - k, nodes[:-1])
    return None if right is None else hashlib.sha256(b"\x01" + nodes[-1] + right).digest()


def roots_by_proof(m: int, n: int, nodes: list[bytes], old: bytes | None) -> tuple[bytes, bytes] | None:
    """The old and the new root that a consistency proof leads to; None where the proof has the wrong length.

    `old` is MTH(D[0:m]) where the verifier knows it (b in SUBPROOF), else None.
    """
    if m == n:
        if old is not None:
            return (old, old) if not nodes else None
        return (nodes[0], nodes[0]) if len(nodes) == 1 else None
    if not nodes:
        return None
    k = split(n)
    last = nodes[-1]
    if m <= k:
        both = roots_by_proof(m, k, nodes[:-1], old)
        return None if both is None else (both[0], hashlib.sha256(b"\x01" + both[1] + last).digest())
    both = roots_by_proof(m - k, n - k, nodes[:-1], None)
    if both is None:
        return None
    return hashlib.sha256(b"\x01" + last + both[0]).digest(), hashlib.sha256(b"\x01" + last + both[1]).digest()
