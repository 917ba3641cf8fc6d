"""Memory: how the process asks the system for it.

What: two fixed bounds for glibc's allocator. Why: chunks, columns and snapshots are blocks of megabytes that come and go;
with its moving bounds glibc gives the top of the heap back and takes it again, page by page, for each of them: at
100,000 series that was a fifth of the throughput. It refuses to matter: where there is no glibc, nothing is changed.
"""

from __future__ import annotations

import ctypes

from streams.limits import HEAP_BLOCK_BYTES, HEAP_SPARE_BYTES

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # malloc.h


def settle() -> bool:
    """Larger blocks come from the system one by one, and so much of the heap's top is kept. Whether that was possible."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return False
    taken = [mallopt(_MMAP_THRESHOLD, HEAP_BLOCK_BYTES), mallopt(_TRIM_THRESHOLD, HEAP_SPARE_BYTES)]
    return all(taken)
