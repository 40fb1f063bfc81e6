"""A log that a stranger can check: append, sign, keep a checkpoint elsewhere, prove, and find what was altered.

The owner of the log has the database and the key. The stranger has files only: the exported leaves, a checkpoint that was
kept elsewhere, one proof, and `foreproof.core.verifier`, a single file that needs nothing but Python.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from foreproof.adapters.catalog import Catalog
from foreproof.adapters.ledger import Ledger
from foreproof.core import verifier


def owner(folder: Path) -> None:
    """Keep a log of five decisions, with a checkpoint in the middle, a new key, and a proof about the second decision."""
    ticks = iter(datetime(2024, 3, 1, tzinfo=UTC) + timedelta(minutes=n) for n in range(100))
    catalog = Catalog(f"sqlite:///{folder / 'catalog.db'}")
    ledger = Ledger(catalog, folder / "keys" / "log.pem", "example.org/log", lambda: next(ticks))
    for units in (72, 48, 216):
        ledger.append("decision", {"item": f"item {units}", "order": units})
    (folder / "kept-elsewhere.txt").write_text(ledger.checkpoint(), encoding="utf-8")
    ledger.rotate()  # the old key signs the new one into the log
    for units in (0, 24):
        ledger.append("decision", {"item": f"item {units}", "order": units})
    (folder / "checkpoint.txt").write_text(ledger.checkpoint(), encoding="utf-8")
    ledger.export(folder / "leaves.jsonl")
    (folder / "proof.json").write_text(json.dumps(ledger.prove_inclusion(2).as_dict()), encoding="utf-8")
    assert ledger.verify() == [], "the owner's own check"
    catalog.close()


def faults(leaves: list[bytes], *checkpoints: Path) -> list[str]:
    """What a stranger finds wrong with leaves, given signed checkpoints; empty where all holds."""
    texts = [(path.name, path.read_text(encoding="utf-8")) for path in checkpoints]
    return [str(finding) for finding in verifier.audit(leaves, texts).faults]


def included(proof: dict[str, object], head: verifier.Head) -> bool:
    """RFC 9162, 2.1.3.2: whether the path leads from the leaf to the root of a signed checkpoint."""
    leaf, index, path = str(proof["leaf"]).encode(), int(str(proof["index"])), proof["path"]
    assert isinstance(path, list)
    node, last, found = index, head.size - 1, verifier.leaf_hash(leaf)
    for sibling in map(bytes.fromhex, path):
        if node % 2 or node == last:
            found = hashlib.sha256(b"\x01" + sibling + found).digest()
            while node and node % 2 == 0:
                node, last = node // 2, last // 2
        else:
            found = hashlib.sha256(b"\x01" + found + sibling).digest()
        node, last = node // 2, last // 2
    return last == 0 and found == head.root


def stranger(folder: Path) -> None:
    """Check everything with files alone, then see three ways of cheating found."""
    now, kept = folder / "checkpoint.txt", folder / "kept-elsewhere.txt"
    leaves = verifier.read_log(folder / "leaves.jsonl")
    assert len(leaves) == 7, "the key, three decisions, the rotation, two decisions"
    assert faults(leaves, now, kept) == []
    print("\n".join(verifier.audit(leaves, [("checkpoint.txt", now.read_text(encoding="utf-8"))]).holds))

    # One leaf with its path, without any other leaf: that the second decision is in the log, and says 48.
    proof = json.loads((folder / "proof.json").read_text(encoding="utf-8"))
    head = verifier.read_checkpoint(now.read_text(encoding="utf-8"), now.name)
    assert included(proof, head)
    assert verifier.read_leaf(proof["leaf"].encode(), 2)["body"]["order"] == 48
    assert not included({**proof, "leaf": proof["leaf"].replace("48", "84")}, head)

    altered = [leaf.replace(b'"order":48', b'"order":84') for leaf in leaves]
    shorter = leaves[:3]
    for words, given in (("an altered leaf", altered), ("a dropped end", shorter)):
        found = faults(given, kept)
        assert found, words
        print(f"{words}: {found[0]}")

    # What a checkpoint kept elsewhere adds: without one, a log that lost its end agrees with itself.
    assert faults(leaves[:4], kept) == []
    assert faults(leaves[:4], kept, now), "the newer checkpoint says that there was more"


def main() -> None:
    """Owner, then stranger."""
    with tempfile.TemporaryDirectory() as name:
        owner(Path(name))
        stranger(Path(name))


if __name__ == "__main__":
    main()
