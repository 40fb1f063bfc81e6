"""The transparency log: its signed head, its leaves as logged, and proofs that anybody can check without this program."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from foreproof.app.api.caller import Desk, Reader
from foreproof.errors import NotFound

PART = "log"
router = APIRouter(tags=["log"])
_HASH = "3f8a0c5d1e7b9a42c6d0f1e2d3c4b5a697887766554433221100ffeeddccbbaa"
_MOST = 1000


class CheckpointShown(BaseModel):
    """The newest signed head of the log."""

    text: str = Field(description="the signed note (C2SP tlog-checkpoint)")
    size: int = Field(description="leaves that it covers", examples=[3])
    root: str = Field(description="root hash, hex", examples=[_HASH])
    key: str = Field(description="the public key in force: name+id+base64")


class Leaf(BaseModel):
    """One leaf, byte for byte as it was logged."""

    index: int
    text: str = Field(examples=['{"at":"2026-11-27T09:00:00.000000Z","body":{"run":"f6829183b2d4"},"kind":"serve"}'])
    hash: str = Field(description="RFC 6962 leaf hash, hex", examples=[_HASH])


class Leaves(BaseModel):
    """Leaves from `start` up to, not with, `stop`."""

    items: list[Leaf]
    total: int = Field(description="leaves in the log")
    start: int
    stop: int


class Inclusion(BaseModel):
    """That a leaf stands in the log of some size (RFC 6962, 2.1.1)."""

    leaf: int
    leaf_text: str
    size: int
    root: str = Field(examples=[_HASH])
    path: list[str] = Field(description="hashes from the leaf up, hex", examples=[[_HASH]])


class Consistency(BaseModel):
    """That the log of size `new` extends the one of size `old` (RFC 6962, 2.1.2)."""

    old: int
    new: int
    old_root: str = Field(examples=[_HASH])
    new_root: str = Field(examples=[_HASH])
    path: list[str] = Field(examples=[[_HASH]])


@router.get("/log/checkpoint", summary="The newest signed head of the log")
def checkpoint(desk: Reader) -> CheckpointShown:
    """Keep it elsewhere: only that shows later that the end of the log was not dropped."""
    from foreproof.core.log import PublicKey, split_checkpoint
    from foreproof.core.verifier import key_history

    catalog = desk.service.archive.ledger(desk.place()).catalog
    texts = catalog.checkpoints()
    if not texts:
        raise NotFound("checkpoint", found="none signed yet", fix="foreproof log checkpoint")
    head, _, _ = split_checkpoint(texts[-1])
    key = key_history(catalog.leaves(0, head.size))[-1]
    return CheckpointShown(text=texts[-1], size=head.size, root=head.root.hex(), key=PublicKey(key.name, key.raw).text)


@router.get("/log/leaves", summary="Leaves of the log, as logged")
def leaves(
    desk: Reader,
    start: Annotated[int, Query(ge=0, le=2**53, description="the first one")] = 0,
    stop: Annotated[int | None, Query(ge=0, le=2**53, description="the one after the last; at most 1,000 come")] = None,
) -> Leaves:
    """Canonical JSON, a line a leaf: what the hashes are taken over."""
    from foreproof.core.merkle import leaf_hash

    catalog = desk.service.archive.ledger(desk.place()).catalog
    total = catalog.size()
    end = max(start, min(total if stop is None else stop, total, start + _MOST))
    found = catalog.leaves(start, end) if start < total else []
    items = [Leaf(index=start + i, text=leaf.decode(), hash=leaf_hash(leaf).hex()) for i, leaf in enumerate(found)]
    return Leaves(items=items, total=total, start=start, stop=start + len(items))


@router.get("/log/inclusion", summary="The proof that a leaf is in the log")
def inclusion(
    desk: Reader,
    leaf: Annotated[int, Query(ge=0, le=2**53, examples=[2])],
    size: Annotated[int | None, Query(ge=1, le=2**53, description="of which log; of the newest checkpoint's")] = None,
) -> Inclusion:
    """Hashes from the leaf up to the root."""
    ledger = desk.service.archive.ledger(desk.place())
    signed = _size(desk)
    wanted = signed if size is None else size
    if wanted > ledger.catalog.size() or leaf >= wanted:
        raise NotFound(
            f"leaf {leaf} of the log of size {wanted}",
            found=f"a log of {ledger.catalog.size()} leaves, {signed} of them signed",
            wanted="leaf < size <= leaves",
        )
    proof = ledger.prove_inclusion(leaf, size=wanted)
    said = proof.as_dict()
    return Inclusion.model_validate({**said, "leaf": leaf, "leaf_text": said["leaf"]})


@router.get("/log/consistency", summary="The proof that the log only grew")
def consistency(
    desk: Reader,
    old: Annotated[int, Query(ge=0, le=2**53, description="the size of a checkpoint kept elsewhere", examples=[1])],
    new: Annotated[int | None, Query(ge=0, le=2**53, description="a later size; the newest checkpoint's")] = None,
) -> Consistency:
    """That the first `old` leaves of the log of size `new` are the whole log of size `old`."""
    ledger = desk.service.archive.ledger(desk.place())
    wanted = _size(desk) if new is None else new
    if not old <= wanted <= ledger.catalog.size():
        raise NotFound(
            f"log of sizes {old} and {wanted}",
            found=f"a log of {ledger.catalog.size()} leaves",
            wanted="old <= new <= leaves",
        )
    return Consistency.model_validate(ledger.prove_consistency(old, wanted).as_dict())


def _size(desk: Desk) -> int:
    """Leaves under the newest checkpoint."""
    from foreproof.core.log import split_checkpoint

    texts = desk.service.archive.ledger(desk.place()).catalog.checkpoints()
    return split_checkpoint(texts[-1])[0].size if texts else 0


__all__ = ["PART", "router"]
