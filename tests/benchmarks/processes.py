"""Who belongs to a command that was started in a session of its own (Linux)."""

from __future__ import annotations

from pathlib import Path


def members(session: int) -> list[int]:
    """Processes of a session; what has ended and nobody has asked about is none."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has ended meanwhile
        if int(fields[3]) == session and fields[0] != "Z":
            found.append(int(stat.parent.name))
    return found
