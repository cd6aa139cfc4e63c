"""Text in a file, as UTF-8."""

from pathlib import Path

from handgrad.errors import UsageError


def decoded(path: Path) -> str:
    """Return a file's text, with or without a byte order mark; UsageError, with the line, where it is no UTF-8.

    Where the file cannot be read at all, the OSError is the caller's to tell of.
    """
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        byte = error.object[error.start]
        raise UsageError(f"{path}, line {line}: found the byte 0x{byte:02x}; the file must be UTF-8 text") from None
