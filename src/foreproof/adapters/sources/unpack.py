"""Compressed files, told by their first bytes and never by their name alone."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile
import zlib

import pyarrow as pa

from foreproof.errors import SourceError

ENDINGS = (".gz", ".bz2", ".xz", ".zst", ".zip")
_GZIP, _BZIP2, _XZ, _ZSTD, _ZIP = b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd", b"PK\x03\x04"
_BROKEN = (OSError, EOFError, ValueError, lzma.LZMAError, zlib.error, zipfile.BadZipFile, pa.ArrowException)


def unpack(name: str, body: bytes) -> bytes:
    """The content of a file that is compressed with gzip, bzip2, xz, zstandard or zip; other content as it is.

    Raises SourceError: a file that is cut short or damaged, a zip file of several members or with a password.
    """
    try:
        if body.startswith(_GZIP):
            return gzip.decompress(body)
        if body.startswith(_BZIP2):
            return bz2.decompress(body)
        if body.startswith(_XZ):
            return lzma.decompress(body)
        if body.startswith(_ZSTD):
            with pa.input_stream(pa.py_buffer(body), compression="zstd") as stream:
                return bytes(stream.read())
        if body.startswith(_ZIP):
            return _member(name, body)
    except _BROKEN as error:
        words = str(error).strip() or type(error).__name__
        raise SourceError(
            name, found=f"a compressed file that is broken ({words})", wanted="a whole one", fix="copy it again"
        ) from None
    return body


def plain_name(name: str) -> str:
    """A file's name in small letters without the ending of its compression."""
    small = name.lower()
    return next((small.removesuffix(ending) for ending in ENDINGS if small.endswith(ending)), small)


def _member(name: str, body: bytes) -> bytes:
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        members = [one for one in archive.infolist() if not one.is_dir()]
        if any(one.filename == "[Content_Types].xml" for one in members):
            raise SourceError(name, found="an Excel file", wanted="text or Parquet", fix="set format: excel")
        if len(members) != 1:
            raise SourceError(
                name,
                found=f"a zip file of {len(members)} files",
                wanted="exactly one",
                fix="unpack it, and give the folder as url",
            )
        if members[0].flag_bits & 1:
            raise SourceError(name, found="a zip file with a password", wanted="one without")
        return archive.read(members[0])


__all__ = ["ENDINGS", "plain_name", "unpack"]
