"""An archive of files with a manifest: one tar, written and unpacked whole or not at all, each file under its sha256.

```
data/...         the files
manifest.json    last: what was backed up, `files` (path, sha256, bytes), and `digest`, that of the manifest itself
```
"""

from __future__ import annotations

import hashlib
import json
import os
import tarfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from foreproof.core.digest import digest_json
from foreproof.errors import BadInput, IntegrityError, StoreError

MANIFEST = "manifest.json"
_DATA = "data/"
_BLOCK = 1 << 20


def pack(folder: Path, archive: Path, said: Mapping[str, Any]) -> Mapping[str, Any]:
    """Write every file of a folder and the manifest; return it. The archive appears whole or not at all.

    said: what the manifest says beside its files, as plain values. Raises StoreError where the archive cannot be written.
    """
    half = archive.with_name(f".{archive.name}.{os.getpid()}.half")
    files: dict[str, dict[str, Any]] = {}
    try:
        archive.parent.mkdir(parents=True, exist_ok=True)
        with half.open("wb") as out:
            with tarfile.open(fileobj=out, mode="w") as tar:
                for path in sorted(path for path in folder.rglob("*") if path.is_file()):
                    name = path.relative_to(folder).as_posix()
                    files[name] = _add(tar, path, f"{_DATA}{name}")
                manifest = {**said, "files": files}
                manifest["digest"] = digest_json(manifest)
                text = json.dumps(manifest, indent=1, sort_keys=True).encode()
                info = tarfile.TarInfo(MANIFEST)
                info.size = len(text)
                tar.addfile(info, _Reader(text))
            out.flush()
            os.fsync(out.fileno())
        os.replace(half, archive)
    except OSError as error:
        raise StoreError(f"backup {archive}", found=str(error.strerror or error), wanted="a place to write") from error
    finally:
        half.unlink(missing_ok=True)
    return manifest


def unpack(archive: Path, folder: Path) -> Mapping[str, Any]:
    """Unpack into a new folder, every digest verified; return the manifest.

    Raises IntegrityError, naming the file, where one is damaged, missing or not in the manifest; BadInput without an archive.
    """
    found: dict[str, str] = {}
    manifest: bytes | None = None
    try:
        with tarfile.open(archive, "r:") as tar:
            for member in tar:
                source = tar.extractfile(member) if member.isreg() else None
                if source is None:
                    raise _damaged(archive, member.name, "no plain file", "plain files only")
                if member.name == MANIFEST:
                    manifest = source.read()
                else:
                    name = _inside(archive, member.name)
                    found[name] = _extract(source, folder / name, private=not member.mode & 0o077)
    except (tarfile.TarError, EOFError) as error:
        raise _damaged(archive, "", f"a damaged archive ({error})", "a tar that `foreproof backup` wrote") from None
    except FileNotFoundError:
        raise BadInput(str(archive), found="no such file", wanted="an archive of `foreproof backup`") from None
    except OSError as error:
        raise StoreError(f"restore {archive}", found=str(error.strerror or error), wanted="a place to write") from error
    return _checked(archive, found, manifest)


def _checked(archive: Path, found: Mapping[str, str], text: bytes | None) -> Mapping[str, Any]:
    if text is None:
        raise _damaged(archive, MANIFEST, "missing: the end of the archive is cut off", "the whole archive")
    try:
        manifest: dict[str, Any] = json.loads(text)
        rest = {name: value for name, value in manifest.items() if name != "digest"}
        whole = manifest.get("digest") == digest_json(rest)
        wanted = {str(name): str(one["sha256"]) for name, one in manifest["files"].items()}
    except (ValueError, KeyError, TypeError, AttributeError, BadInput):
        raise _damaged(archive, MANIFEST, "no manifest that can be read", "that of `foreproof backup`") from None
    if not whole:
        raise _damaged(archive, MANIFEST, "a manifest that is not of its own digest", "the manifest as it was written")
    for name in sorted({*wanted, *found}):
        if name not in found:
            raise _damaged(archive, name, "missing", f"sha256 {wanted[name]}")
        if name not in wanted:
            raise _damaged(archive, name, "a file that the manifest does not name", "none such")
        if found[name] != wanted[name]:
            raise _damaged(archive, name, f"sha256 {found[name]}", f"sha256 {wanted[name]}, as in the manifest")
    return manifest


class _Reader:
    """Bytes or a file as tarfile reads them, digested on the way."""

    def __init__(self, source: bytes | BinaryIO) -> None:
        self._source = source
        self._at = 0
        self.hasher = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        if isinstance(self._source, bytes):
            part = self._source[self._at : self._at + size if size >= 0 else None]
            self._at += len(part)
        else:
            part = self._source.read(size)
        self.hasher.update(part)
        return part


def _add(tar: tarfile.TarFile, path: Path, name: str) -> dict[str, Any]:
    with path.open("rb") as file:
        info = tar.gettarinfo(arcname=name, fileobj=file)
        # A file that is linked elsewhere too is still a file of its own here.
        info.type, info.linkname, info.size = tarfile.REGTYPE, "", os.fstat(file.fileno()).st_size
        info.uid = info.gid = 0
        info.uname = info.gname = ""
        reader = _Reader(file)
        tar.addfile(info, reader)
    return {"sha256": reader.hasher.hexdigest(), "bytes": info.size}


def _extract(source: Any, target: Path, *, private: bool) -> str:
    target.parent.mkdir(parents=True, exist_ok=True)
    hasher = hashlib.sha256()
    with target.open("xb") as out:
        if private:
            target.chmod(0o600)
        while part := source.read(_BLOCK):
            hasher.update(part)
            out.write(part)
    return hasher.hexdigest()


def _inside(archive: Path, name: str) -> str:
    """The path of a member below the folder that is made. Raises IntegrityError for one that would lie elsewhere."""
    path = PurePosixPath(name.removeprefix(_DATA))
    if not name.startswith(_DATA) or path.is_absolute() or not path.parts or ".." in path.parts or "\\" in name:
        raise _damaged(archive, name, "a file that would lie outside the folder", f"paths below {_DATA}")
    return path.as_posix()


def _damaged(archive: Path, name: str, found: str, wanted: str) -> IntegrityError:
    subject = f"{archive}: {name}" if name else str(archive)
    return IntegrityError(subject, found=found, wanted=wanted, fix="nothing was restored; take another backup")


__all__ = ["MANIFEST", "pack", "unpack"]
