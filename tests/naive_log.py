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
