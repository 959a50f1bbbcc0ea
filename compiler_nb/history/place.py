"""Where a history lies: a private file, on a file system that may or may not be safe for a write-ahead log."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import Final

from compiler_nb.history.lock import SAFE

NETWORK: Final = frozenset({
    "nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "ceph", "lustre", "gpfs", "glusterfs", "beegfs", "9p", "virtiofs",
    "fuse.sshfs", "fuse.s3fs", "fuse.gcsfuse", "fuse.rclone", "fuse.glusterfs", "fuse.ceph-fuse", "efs", "davfs",
})  # fmt: skip
"""File systems that several machines may share: there a write-ahead log, which needs shared memory, is not safe."""


def journal_mode(filesystem: str, version: tuple[int, ...], *, locks: bool) -> str:
    """Return the journal that is safe on a file system with a version of SQLite; locks: we can keep one another out."""
    return "DELETE" if filesystem in NETWORK or not (locks or version >= SAFE) else "WAL"


def make_private(path: Path) -> None:
    """Make the file, and its folder where there is none, for the user alone."""
    if not path.parent.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):  # never opened where it is: to close it would undo SQLite's locks
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))


def identity(path: Path) -> tuple[int, int]:
    """Return which file lies at a path."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return 0, 0
    return found.st_dev, found.st_ino


def filesystem(path: Path) -> str:
    """Return the kind of file system that a path lies on, "" where it cannot be told."""
    if not sys.platform.startswith("linux"):
        return ""
    try:
        lines = Path("/proc/self/mounts").read_text(encoding="utf-8", errors="replace").splitlines()
        place = path.parent.resolve()
    except OSError:
        return ""
    kind, longest = "", -1
    for line in lines:
        _, mount, name, *_ = line.split(" ")
        folder = Path(mount.encode().decode("unicode_escape"))
        if len(folder.parts) > longest and (place == folder or folder in place.parents):
            kind, longest = name, len(folder.parts)
    return kind
