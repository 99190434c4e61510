"""Adding to files that grow while a run goes on."""

import io
import os


def append(file: io.FileIO, content: bytes) -> None:
    """Writes all of it to an unbuffered file and makes it durable; OSError where the disk is full."""
    while content:  # a disk that is nearly full takes a part, and says that it is full at the next
        content = content[file.write(content) :]
    os.fsync(file.fileno())
