"""Memory: how the process asks the system for it, and gives it back.

What: fixed bounds for glibc's allocator, one heap for all threads, and from time to time what is free in it goes back. Why:
chunks, columns and snapshots are blocks of megabytes that come and go; with its moving bounds glibc gives the top of the
heap back and takes it again, page by page, for each of them, and so it does with every block that it maps by itself: at a
million series the faults were a fifth of the worker's time (decision 16). A heap for each thread would keep that spare
memory as often as there are threads, and what is free between blocks in use it keeps for ever. It refuses to matter: where
there is no glibc, nothing is changed.
"""

from __future__ import annotations

import ctypes
import threading

from streams.limits import GIVE_BACK_EVERY_S, HEAP_BLOCK_BYTES, HEAP_SPARE_BYTES

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8  # malloc.h


def settle() -> bool:
    """Larger blocks come from the system one by one, and so much of the heap's top is kept. Whether that was possible.

    Call it before the first thread begins: a heap that a thread has, it keeps.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return False
    bounds = {_MMAP_THRESHOLD: HEAP_BLOCK_BYTES, _TRIM_THRESHOLD: HEAP_SPARE_BYTES, _ARENA_MAX: 1}
    taken = [mallopt(bound, value) for bound, value in bounds.items()]  # each is given, whatever became of the others
    return all(taken)


def keep_giving_back(every_s: float = GIVE_BACK_EVERY_S) -> threading.Event:
    """Give free pages back, all but those kept at the heap's top, until the event that this answers is set.

    In a thread of its own, which lets the others run meanwhile. Raises AttributeError where there is no glibc.
    """
    trim, stop = ctypes.CDLL(None).malloc_trim, threading.Event()

    def keep() -> None:
        while not stop.wait(every_s):
            trim(HEAP_SPARE_BYTES)

    threading.Thread(target=keep, name="heap", daemon=True).start()
    return stop
