"""Who listens on a Unix socket, as the kernel reports it."""

from pathlib import Path

LISTENING = 0x10000  # __SO_ACCEPTCON in the flags of /proc/net/unix


def listener(path: str, table: str | None = None) -> str | None:
    """Return the inode of the socket that listens at a path, None when none does.

    `table` is the kernel's, read now by default. Connecting would not be a question but a fault:
    the app stops when a connection closes. A socket's file outlives the process that made it, and
    the inode distinguishes a new process from the old.
    """
    if table is None:
        table = Path("/proc/self/net/unix").read_text(encoding="utf-8")
    for line in table.splitlines()[1:]:
        columns = line.split(maxsplit=7)  # Num RefCount Protocol Flags Type St Inode Path
        if len(columns) == 8 and columns[7] == path and int(columns[3], 16) & LISTENING:
            return columns[6]
    return None
