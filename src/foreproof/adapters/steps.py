"""Finished steps of runs, by the digest of what went into them: a resumed run reads what an earlier one computed.

One file a step: a line that names the format, the sha256 of all that follows, then a header and the frames as Arrow IPC
streams. Never a pickle: reading a step runs no code. A file is written beside its place, synced and renamed, so a reader
meets all of it or none; one that does not hash to its own digest counts as absent, with a warning.
"""

from __future__ import annotations

import io
import json
import logging
import os
import re
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import polars as pl

from foreproof.core.digest import digest_bytes
from foreproof.core.ports import Frames
from foreproof.errors import BadInput, StoreError

_MAGIC = b"foreproof step 1\n"
_HEX = 64
_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
_LOG = logging.getLogger("foreproof.steps")


class Steps:
    """Finished steps in a folder, which is made when the first one is kept. Safe with several processes."""

    def __init__(self, folder: Path | str) -> None:
        self.folder = Path(folder)

    def get(self, key: str) -> Frames | None:
        """The frames of a finished step, or None where there is none, or what is there is broken."""
        path = self._path(key)
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StoreError(f"step {path}", found=str(error.strerror or error), wanted="a readable file") from error
        frames = _decode(content, key)
        if frames is None:
            _LOG.warning(
                "step %s: %d bytes that do not match their digest; it will be computed again",
                path,
                len(content),
                extra={"object": str(path), "found": "a broken file", "fix": "none needed"},
            )
        return frames

    def put(self, key: str, frames: Frames) -> None:
        """Keep the frames of a finished step, all or nothing; keeping them again replaces like with like.

        Raises StoreError where the folder cannot be written.
        """
        path, content = self._path(key), _encode(key, frames)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _write(path, content)
        except OSError as error:
            raise StoreError(
                f"step {path}",
                found=str(error.strerror or error),
                wanted=f"room for {len(content):,} bytes",
                fix="free some space or mend the folder's rights, then run again: finished steps are kept",
            ) from error

    def run(self, key: str, fn: Callable[[], Frames]) -> Frames:
        """The kept frames, or those that `fn` computes, kept. Two processes may compute one step: the same twice."""
        kept = self.get(key)
        if kept is not None:
            return kept
        frames = fn()
        self.put(key, frames)
        return frames

    def _path(self, key: str) -> Path:
        if not _KEY.fullmatch(key):
            raise BadInput("step", found=f"the key {key!r}", wanted="a digest, or letters, digits, dots and dashes")
        return self.folder / f"{key}.step"


def _encode(key: str, frames: Frames) -> bytes:
    parts = []
    for frame in frames.values():
        buffer = io.BytesIO()
        frame.write_ipc_stream(buffer)
        parts.append(buffer.getvalue())
    header = json.dumps({"key": key, "frames": [[n, len(part)] for n, part in zip(frames, parts, strict=True)]})
    body = b"".join([len(header.encode()).to_bytes(8, "little"), header.encode(), *parts])
    return _MAGIC + digest_bytes(body).encode() + body


def _decode(content: bytes, key: str) -> Frames | None:
    start = len(_MAGIC) + _HEX
    body = memoryview(content)[start:]
    if not content.startswith(_MAGIC) or content[len(_MAGIC) : start] != digest_bytes(body).encode():
        return None
    # From here on the bytes are those that were written.
    end = 8 + int.from_bytes(body[:8], "little")
    header = json.loads(bytes(body[8:end]))
    if header["key"] != key:
        return None
    frames = {}
    for name, length in header["frames"]:
        frames[name] = pl.read_ipc_stream(io.BytesIO(body[end : end + length]))
        end += length
    return frames


def _write(path: Path, content: bytes) -> None:
    """All of the content in place, or nothing."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(name)
        raise
    if os.name == "posix":
        # The rename itself is durable once its folder is.
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


__all__ = ["Steps"]
