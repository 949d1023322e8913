"""The common part of .npz and PyTorch's .pth: a zip archive from an unknown source, opened with care.

Nothing is ever unpacked to the disk, so that a member called "../../.profile" is a name like any other.
"""

import collections
import struct
import zipfile
from collections.abc import Collection
from typing import BinaryIO

MOST_SMALL = 100_000_000  # bytes of a member that is read at once: a pickle or metadata, as safetensors limits a header

_LOCAL_HEADER = struct.Struct("<26sHH")  # before each member; the lengths of its name and of more fields come last
MOST_TIMES_PACKED = 100  # of its bytes in the file; text that someone wrote packs about five times


def open_archive(file: BinaryIO, size: int, compressions: Collection[int]) -> zipfile.ZipFile:
    """The archive in `file`, which has `size` bytes, after its table of contents was looked over.

    Raises zipfile.BadZipFile or ValueError if the file is not an archive, is cut short, has two members of one name,
    members that overlap, that are encrypted, or that are compressed in another way than those allowed.
    """
    archive = zipfile.ZipFile(file)
    members = archive.infolist()
    repeated = [name for name, count in collections.Counter(archive.namelist()).items() if count > 1]
    if repeated:
        raise ValueError(f"it has two members of the name {repeated[0]!r}")
    if sum(member.compress_size for member in members) > size:
        raise ValueError(f"its members overlap: together they have more bytes than the file, which has {size:,}")
    for member in members:
        if member.compress_type not in compressions:
            how = "it is compressed" if member.compress_type == zipfile.ZIP_DEFLATED else "it is compressed unusually"
            raise ValueError(f"member {member.filename!r}: {how}, which an honest file of this kind is not")
        if member.compress_type == zipfile.ZIP_STORED and member.file_size != member.compress_size:
            raise ValueError(
                f"member {member.filename!r} has {member.compress_size:,} bytes, but says that they are "
                f"{member.file_size:,}"
            )
        if not 0 <= member.header_offset < size:
            raise ValueError(f"member {member.filename!r} lies outside of the file")
        if member.flag_bits & 1:
            raise ValueError(f"member {member.filename!r} is encrypted")
    return archive


def has_checksums(archive: zipfile.ZipFile) -> bool:
    """False if the checksum of every member is 0: torch.serialization.set_crc32_options(False) writes such files."""
    return any(member.CRC for member in archive.infolist())


def first_byte(file: BinaryIO, size: int, member: zipfile.ZipInfo) -> int:
    """The position in `file`, which has `size` bytes, of a member's bytes, which are not compressed.

    Raises ValueError if they are not where the table of contents says.
    """
    file.seek(member.header_offset)
    header = file.read(_LOCAL_HEADER.size)
    if len(header) < _LOCAL_HEADER.size or header[:4] != b"PK\x03\x04" or member.compress_type != zipfile.ZIP_STORED:
        raise ValueError(f"member {member.filename!r} is not where it should be")
    _, name, more = _LOCAL_HEADER.unpack(header)
    start: int = member.header_offset + _LOCAL_HEADER.size + name + more
    if start + member.file_size > size:
        raise ValueError(f"member {member.filename!r} is cut short")
    return start


def read_small(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    """The whole of a member, its checksum compared. Raises ValueError if the member is larger than any legitimate
    one."""
    most = min(MOST_SMALL, MOST_TIMES_PACKED * member.compress_size)
    if member.file_size > most:
        raise ValueError(f"{member.filename!r} has {member.file_size:,} bytes; at most {most:,} are read")
    with archive.open(member) as stream:
        content = stream.read(member.file_size)  # read() would unpack first, and look at what it should be afterwards
        if stream.read(1):
            raise ValueError(f"{member.filename!r} is longer than it says")
    return content
