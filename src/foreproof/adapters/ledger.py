"""The ledger: the one way in which the application writes the transparency log, signs it and proves from it.

It keeps no state of its own. What the log is, the catalogue says; which key is in force, the log says; whether the log
is whole, its checkpoints say, and best one that somebody else keeps.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fsspec

from foreproof.adapters import keys
from foreproof.adapters.catalog import Catalog
from foreproof.core import verifier
from foreproof.core.log import (
    KEY,
    ROTATION,
    Checkpoint,
    ConsistencyProof,
    InclusionProof,
    PrivateKey,
    PublicKey,
    ed25519_verifies,
    encode_leaf,
    key_body,
    prove_consistency,
    prove_inclusion,
    rotation_body,
    split_checkpoint,
)
from foreproof.core.merkle import leaf_hash, root_hash
from foreproof.core.ports import Clock
from foreproof.core.verifier import Finding
from foreproof.errors import BadInput, IntegrityError, StoreError


@dataclass(frozen=True, slots=True)
class Ledger:
    """A log in a catalogue with its signing key file, made on first use.

    `origin` names the log for ever, in the form `example.org/log` without spaces and plus signs. `checkpoints`, if given,
    is a folder by fsspec URL where each checkpoint is copied: only one that is out of this machine's reach shows that
    the end of the log was dropped.
    """

    catalog: Catalog
    keys: Path
    origin: str
    clock: Clock
    checkpoints: str | None = None

    def append(self, kind: str, body: Mapping[str, Any]) -> int:
        """Add one leaf and return its index. Raises BadInput where a value has no canonical form."""
        return self.append_group([(kind, body)])[0]

    def append_group(self, leaves: Iterable[tuple[str, Mapping[str, Any]]]) -> range:
        """Add leaves of (kind, body), all or none, and return their indices."""
        now = self.clock()
        encoded = []
        for kind, body in leaves:
            if kind in {KEY, ROTATION}:
                raise BadInput(f"leaf of kind {kind}", found="a reserved kind", fix="rotate() writes key leaves")
            encoded.append(encode_leaf(kind, body, at=now))
        self._begin()
        return self.catalog.append(encoded)

    def checkpoint(self) -> str:
        """Sign the log as it is, keep the checkpoint and copy it out; return its text.

        Raises IntegrityError, and signs nothing, where the log no longer agrees with a checkpoint signed before.
        """
        self._begin()
        while True:
            known = self._known()
            leaves = self.catalog.leaves()
            self._refuse_unlike(leaves, known)
            in_force = _in_force(leaves)
            try:
                key = keys.settle(self.keys, in_force=in_force)
                break
            except IntegrityError:
                # A rotation by another process after the leaves were read; else the key file is a wrong one.
                if _in_force(self.catalog.leaves()) == in_force:
                    raise
        root = root_hash([leaf_hash(leaf) for leaf in leaves])
        text = Checkpoint(self.origin, len(leaves), root).sign(key)
        self.catalog.save_checkpoint(text)
        self._copy_out(text, size=len(leaves))
        return text

    def rotate(self) -> PublicKey:
        """Put a new signing key in force by a leaf that the old key signs; return the new public key."""
        self._begin()

        def announce(old: PrivateKey, new: PrivateKey) -> None:
            leaf = encode_leaf(ROTATION, rotation_body(old, new.public), at=self.clock())
            while True:
                leaves = self.catalog.leaves()
                if _in_force(leaves) != old.public:
                    raise StoreError(f"key {self.keys}", found="another key in force", fix="try again")
                try:
                    self.catalog.append([leaf], expected=len(leaves))
                    return
                except StoreError:
                    # Leaves that others add in between do not matter, as long as none of them is a rotation.
                    if self.catalog.size() == len(leaves):
                        raise

        def in_force() -> PublicKey:
            return _in_force(self.catalog.leaves())

        return keys.rotate(self.keys, in_force=in_force, announce=announce).public

    def verify(self, *, external: Sequence[tuple[str, str]] = (), run: Path | None = None) -> list[Finding]:
        """Everything that does not hold; empty where all does.

        Checks each leaf against its stored hash, and the log against the checkpoints in the catalogue, those copied out
        and those given as (label, text). With `run`, that run's artefacts against its leaf.
        """
        findings = []
        known = self._known()
        rows = self.catalog.stored_leaves()
        wanted = 0
        for position, leaf, digest in rows:
            if position != wanted:
                findings.append(Finding(f"leaf {wanted}", f"missing: the next one in the catalogue is {position}"))
            if leaf_hash(leaf) != digest:
                findings.append(Finding(f"leaf {position}", "its bytes do not hash to the hash stored with them"))
            wanted = position + 1
        leaves = [leaf for _, leaf, _ in rows]
        report = self._audit(leaves, [*known, *external])
        findings.extend(report.faults)
        if run is not None:
            findings.extend(verifier.check_run(leaves, run, agreed=report.agreed).faults)
        return findings

    def prove_inclusion(self, index: int, *, size: int | None = None) -> InclusionProof:
        """The proof that leaf `index` is in the log of `size`, or of the latest checkpoint.

        Raises BadInput where the log has no such leaf, or no checkpoint over it.
        """
        if size is None:
            signed = self._sizes()
            if not signed or index >= signed[-1]:
                fix = "sign one: `foreproof log checkpoint`"
                raise BadInput(f"leaf {index}", found="no checkpoint over it", fix=fix)
            size = signed[-1]
        return prove_inclusion(self.catalog.leaves(), index, size=size)

    def prove_consistency(self, old: int, new: int | None = None) -> ConsistencyProof:
        """The proof that the log of size `new`, or of the latest checkpoint, extends the one of size `old`."""
        if new is None:
            new = max(self._sizes(), default=0)
        return prove_consistency(self.catalog.leaves(), old, new=new)

    def export(self, path: Path) -> Path:
        """Write the leaves, one on a line, for `verifier.py --log`; the file appears whole or not at all."""
        draft = path.with_name(f"{path.name}.{os.getpid()}.{threading.get_ident()}.draft")
        try:
            with draft.open("wb") as file:
                file.writelines(leaf + b"\n" for leaf in self.catalog.leaves())
                file.flush()
                os.fsync(file.fileno())
            draft.replace(path)
        except OSError as error:
            draft.unlink(missing_ok=True)
            raise StoreError(f"export {path}", found=str(error.strerror), wanted="a file to write") from error
        return path

    def _begin(self) -> None:
        """See that the log has its first leaf, the key, and that it is this log's."""
        first = self.catalog.leaves(0, 1)
        if not first:
            self._found()
            first = self.catalog.leaves(0, 1)
        name = _in_force(first).name
        if name != self.origin:
            fix = "give the log's own origin, or another catalogue"
            raise BadInput(f"log {self.origin}", found=f"the log of {name} in the catalogue", fix=fix)

    def _found(self) -> None:
        try:
            key = keys.create(self.keys, name=self.origin)
        except StoreError:
            if not self.keys.exists():
                raise
            key = keys.load(self.keys, name=self.origin)
        try:
            self.catalog.append([encode_leaf(KEY, key_body(key.public), at=self.clock())], expected=0)
        except StoreError:
            # Another process was quicker; which key it wrote, checkpoint() compares.
            if not self.catalog.size():
                raise

    def _refuse_unlike(self, leaves: Sequence[bytes], checkpoints: Sequence[tuple[str, str]]) -> None:
        faults = self._audit(leaves, checkpoints).faults
        if faults:
            error = IntegrityError(
                f"log {self.origin}", found=str(faults[0]), wanted="a log that extends what was signed before"
            )
            for fault in faults[1:]:
                error.add_note(str(fault))
            raise error

    def _audit(self, leaves: Sequence[bytes], checkpoints: Sequence[tuple[str, str]]) -> verifier.Report:
        return verifier.audit(leaves, list(dict.fromkeys(checkpoints)), check=ed25519_verifies)

    def _known(self) -> list[tuple[str, str]]:
        """The checkpoints of the catalogue and those copied out, as (label, text).

        Read against the order of writing (leaves, catalogue, copies), and leaves after this: then another process at
        work cannot make a checkpoint appear without what it stands on.
        """
        outside = self._copied_out()
        inside = self.catalog.checkpoints()
        # A copy that was cut off while it was written says nothing beyond the whole one.
        more = [(name, text) for name, text in outside if not any(whole.startswith(text) for whole in inside)]
        return [*(("catalogue", text) for text in inside), *more]

    def _sizes(self) -> list[int]:
        return [split_checkpoint(text)[0].size for text in self.catalog.checkpoints()]

    def _copied_out(self) -> list[tuple[str, str]]:
        if self.checkpoints is None:
            return []
        try:
            files, folder = fsspec.core.url_to_fs(self.checkpoints)
            if not files.exists(folder):
                return []
            names = sorted(name for name in files.ls(folder, detail=False) if name.endswith(".checkpoint"))
            return [(name.rpartition("/")[2], files.cat_file(name).decode(errors="replace")) for name in names]
        except (OSError, ValueError, ImportError) as error:
            raise self._unreachable(error) from error

    def _copy_out(self, text: str, *, size: int) -> None:
        if self.checkpoints is None:
            return
        try:
            files, folder = fsspec.core.url_to_fs(self.checkpoints)
            files.makedirs(folder, exist_ok=True)
            files.pipe_file(f"{folder}/{size:012d}.checkpoint", text.encode())
        except (OSError, ValueError, ImportError) as error:
            raise self._unreachable(error) from error

    def _unreachable(self, error: Exception) -> StoreError:
        return StoreError(
            f"checkpoints {self.checkpoints}",
            found=f"{type(error).__name__}: {error}",
            wanted="a folder to read and write",
            fix="see log.checkpoints in the settings; the checkpoints in the catalogue are not touched",
        )


def _in_force(leaves: Sequence[bytes]) -> PublicKey:
    """The last key that the log's own leaves put in force."""
    try:
        key = verifier.key_history(leaves)[-1]
    except verifier.Fault as fault:
        raise IntegrityError(fault.finding.subject, found=fault.finding.found) from None
    return PublicKey(key.name, key.raw)


__all__ = ["Ledger"]
