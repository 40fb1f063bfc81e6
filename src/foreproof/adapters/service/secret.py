"""The secret with which keys are hashed and kept answers are sealed: from the settings, or a file made on first use."""

from __future__ import annotations

import os
import secrets
import tempfile
from pathlib import Path

from foreproof.errors import BadInput, StoreError

_SHORTEST = 16


def key_secret(given: str, path: Path) -> bytes:
    """The given secret, or that of a file (mode 0600, made on first use: whoever comes second reads what the first made).

    Raises BadInput for a secret under 16 characters, StoreError where the file cannot be made or can be read by others.
    """
    if given:
        if len(given) < _SHORTEST:
            raise BadInput("FOREPROOF_KEY_SECRET", found=f"{len(given)} characters", wanted=f"{_SHORTEST} or more")
        return given.encode()
    try:
        if not path.exists():
            _make(path)
        mode = path.stat().st_mode & 0o777
        if os.name == "posix" and mode & 0o077:
            raise StoreError(f"secret {path}", found=f"mode {mode:04o}", wanted="0600", fix=f"chmod 600 {path}")
        return path.read_bytes()
    except OSError as error:
        raise StoreError(f"secret {path}", found=str(error.strerror), wanted="a file to read and write") from error


def _make(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, draft = tempfile.mkstemp(dir=path.parent, prefix=f"{path.name}.", suffix=".draft")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(secrets.token_hex(32).encode())
            file.flush()
            os.fsync(file.fileno())
        # A link never replaces what another process has put there, and nobody sees half a file.
        os.link(draft, path)
    except FileExistsError:
        return
    finally:
        Path(draft).unlink(missing_ok=True)


__all__ = ["key_secret"]
