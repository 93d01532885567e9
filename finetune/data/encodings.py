"""The bytes of a file of rows as text: gzip, byte order marks, UTF-16, Windows-1252.

Also the records that every reader yields. Knows bytes; knows no format.
"""

import gzip
import io
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from typing_extensions import Buffer

MAX_RECORD_BYTES = 20_000_000
"""Bytes; a longer line is an error, not a row."""
BOM = b"\xef\xbb\xbf"
UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
MAX_EXPANSION = 200
"""Times its size that a gzip file may unpack to: texts shrink to a tenth, seldom to a hundredth."""
MIN_UNPACKED_BYTES = 256 * 2**20
"""What any may unpack to."""
GZIP_MARK = b"\x1f\x8b"
ZIP_MARK = b"PK\x03\x04"
PACKED_MARKS: Mapping[bytes, str] = MappingProxyType(
    {b"BZh": "bzip2", b"\xfd7zX": "xz", b"\x28\xb5\x2f\xfd": "zstd", b"7z\xbc\xaf": "7-Zip"}
)
OLE_MARK = b"\xd0\xcf\x11\xe0"
"""Begins the files of Excel before 2007."""


@dataclass(frozen=True, slots=True)
class UnreadableRecord:
    """A place in a file where a record should be, and why there is none."""

    field: str
    problem: str


@dataclass(frozen=True, slots=True)
class SourceNote:
    """A remark about how a file was read; no record."""

    field: str
    remark: str


Record = Mapping[str, object] | UnreadableRecord
Numbered = Iterator[tuple[int, Record | SourceNote]]
"""Records with their line, or in Parquet their row number."""


def suffix_of(path: Path) -> str:
    """Return the ending that says the kind of file, such as ``.csv`` of ``rows.csv.gz``."""
    name = path.with_suffix("") if path.suffix.lower() == ".gz" else path
    return name.suffix.lower()


class _Unpacking(io.RawIOBase):
    """A gzip file as it is unpacked, up to a number of bytes: a small one may unpack to terabytes.

    Reading on raises `gzip.BadGzipFile`.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._file = gzip.GzipFile(path)
        self._left = max(MIN_UNPACKED_BYTES, MAX_EXPANSION * path.stat().st_size)

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: "Buffer") -> int:
        """Unpack so many bytes; 0 at the end."""
        view = memoryview(buffer).cast("B")
        read = self._file.read1(len(view))
        view[: len(read)] = read
        self._left -= len(read)
        if self._left < 0:
            raise gzip.BadGzipFile(f"it holds more than {MAX_EXPANSION} times its own size")
        return len(read)

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()


def open_bytes(path: Path) -> BinaryIO:
    """Open a file, unpacked if it is gzip. Raises `OSError`."""
    with path.open("rb") as file:
        is_gzip = file.read(2) == GZIP_MARK
    return io.BufferedReader(_Unpacking(path)) if is_gzip else path.open("rb")


def container_problem(path: Path) -> UnreadableRecord | None:
    """Say what a file is that holds no rows itself: an archive, a workbook, broken gzip."""
    with path.open("rb") as file:
        start = file.read(4)
    if start.startswith(GZIP_MARK):
        try:
            with gzip.open(path) as unpacked:
                unpacked.read(1)
        except (OSError, EOFError, zlib.error) as error:
            return UnreadableRecord("file", f"is gzip that cannot be unpacked: {error}")
        return None
    for mark, name in PACKED_MARKS.items():
        if start.startswith(mark):
            return UnreadableRecord("file", f"is packed with {name}; unpack it, or use gzip")
    if start == OLE_MARK:
        return _workbook()
    if start == ZIP_MARK:
        try:
            with zipfile.ZipFile(path) as archive:
                names = archive.namelist()
        except (zipfile.BadZipFile, OSError):
            names = []
        if any(name.startswith("xl/") for name in names) or path.suffix.lower() == ".xlsx":
            return _workbook()
        held = f" with {', '.join(names[:3])}" if names else ""
        return UnreadableRecord("file", f"is a zip archive{held}; unpack it and use what is in it")
    return None


def _workbook() -> UnreadableRecord:
    return UnreadableRecord("file", "is an Excel workbook; save the sheet as CSV UTF-8 or TSV")


def read_bytes(path: Path) -> bytes | UnreadableRecord:
    """Read a whole file, unpacked."""
    try:
        with open_bytes(path) as file:
            return file.read()
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        return UnreadableRecord("file", f"is gzip that cannot be unpacked: {error}")


def is_utf16(start: bytes) -> bool:
    """Whether a file begins as UTF-16 does: a mark, then ASCII, which has a zero byte a letter."""
    return start.startswith(UTF16_MARKS) and b"\0" in start[:64]


def decode(content: bytes) -> str | UnreadableRecord:
    """Return UTF-8, or UTF-16 with its mark, as text without the mark."""
    if is_utf16(content):
        try:
            return content.decode("utf-16")
        except UnicodeDecodeError as error:
            return UnreadableRecord("line", f"is not UTF-16 at byte {error.start}")
    try:
        return content.removeprefix(BOM).decode("utf-8")
    except UnicodeDecodeError as error:
        problem = f"is not UTF-8 at byte {error.start}; save the file as UTF-8, or try --fix"
        return UnreadableRecord("line", problem)


def decode_table(content: bytes) -> tuple[str | UnreadableRecord, SourceNote | None]:
    """The same, and Windows-1252, in which spreadsheets save CSV; that is noted."""
    text = decode(content)
    if isinstance(text, UnreadableRecord) and not is_utf16(content):
        try:
            note = SourceNote("file", "is not UTF-8 and is read as Windows-1252; check its accents")
            return content.decode("cp1252"), note
        except UnicodeDecodeError:
            pass
    return text, None


def as_stream(text: str) -> BinaryIO:
    """Return text as a file of UTF-8."""
    return io.BytesIO(text.encode("utf-8", "surrogatepass"))
