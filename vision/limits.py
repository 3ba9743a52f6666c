"""Limits that a process sets itself before it does something that may run away with it.

Stands apart because models and pictures are tried in processes of their own under the same limits.
"""

from __future__ import annotations


def limit_process(*, more_bytes: int, more_seconds: int) -> None:
    """Bound this process from here on: memory beyond what it has, and processor time; and no core file.

    Args:
        more_bytes: of address space; past it allocations fail.
        more_seconds: of processor time; past it the system ends the process.
    """
    import resource  # POSIX alone has it, and the processes alone need it
    import time
    from pathlib import Path

    most = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize() + more_bytes
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    busy = int(time.process_time()) + more_seconds
    resource.setrlimit(resource.RLIMIT_CPU, (busy, busy + 1))
