"""The page's own arithmetic of the log agrees with the log's, and fails where anything was altered."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from foreproof.core import merkle
from foreproof.ui import verify


@st.composite
def places(draw: st.DrawFn) -> tuple[int, int]:
    size = draw(st.integers(1, 130))
    return size, draw(st.integers(0, size - 1))


@given(places())
def test_every_true_path_leads_to_the_root(place: tuple[int, int]) -> None:
    size, index = place
    leaves = [f"leaf {i}".encode() for i in range(size)]
    hashes = [merkle.leaf_hash(leaf) for leaf in leaves]
    path = merkle.inclusion_path(hashes, index, size)
    own = verify.leaf_hash(leaves[index])
    assert verify.root_from(own, index, size=size, path=path) == merkle.root_hash(hashes)


@given(places(), st.data())
def test_an_altered_leaf_place_size_or_path_never_leads_there(place: tuple[int, int], data: st.DataObject) -> None:
    size, index = place
    hashes = [merkle.leaf_hash(f"leaf {i}".encode()) for i in range(size)]
    root, path = merkle.root_hash(hashes), list(merkle.inclusion_path(hashes, index, size))
    assert verify.root_from(verify.leaf_hash(b"another"), index, size=size, path=path) != root
    elsewhere = data.draw(st.integers(-1, size).filter(lambda other: other != index))
    assert verify.root_from(hashes[index], elsewhere, size=size, path=path) != root
    assert verify.root_from(hashes[index], index, size=size, path=[*path, b"\0" * 32]) is None
    if path:
        at = data.draw(st.integers(0, len(path) - 1))
        assert verify.root_from(hashes[index], index, size=size, path=path[:at] + path[at + 1 :]) is None
        path[at] = bytes(32)
        assert verify.root_from(hashes[index], index, size=size, path=path) != root


def _signed(body: str, key: Ed25519PrivateKey, name: str = "here/log") -> tuple[str, str]:
    """A signed note and its key on one line (c2sp.org/signed-note)."""
    import hashlib

    raw = b"\x01" + key.public_key().public_bytes_raw()
    mark = hashlib.sha256(f"{name}\n".encode() + raw).digest()[:4]
    signature = base64.b64encode(mark + key.sign(body.encode())).decode()
    return f"{body}\n\u2014 {name} {signature}\n", f"{name}+{mark.hex()}+{base64.b64encode(raw).decode()}"


def test_a_checkpoint_is_read_and_its_signature_holds_for_its_own_key_and_text_alone() -> None:
    body = f"here/log\n3\n{base64.b64encode(bytes(range(32))).decode()}\n"
    # Keys whose base64 holds a plus sign too: the name and the id end at the first two of them.
    for seed in range(8):
        text, key = _signed(body, Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32))
        _, other = _signed(body, Ed25519PrivateKey.from_private_bytes(bytes([seed + 1]) * 32))
        found = verify.read_checkpoint(text)
        assert (found.origin, found.size, found.root) == ("here/log", 3, bytes(range(32)))
        assert verify.is_signed(found, key)
        assert not verify.is_signed(found, other)
        assert not verify.is_signed(verify.read_checkpoint(text.replace("\n3\n", "\n4\n")), key)


@pytest.mark.parametrize(
    "text", ["", "here/log\n3\n", "a\nb\nc\n\n\u2014 here/log AAAA\n", "a\n3\n!\n\n\u2014 n AAAA\n"]
)
def test_what_is_no_checkpoint_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        verify.read_checkpoint(text)
