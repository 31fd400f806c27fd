"""The C library's memory in a worker: one heap that grows to what the work needs and stays there.

By default glibc has a heap for every few threads, maps larger blocks one by one and gives each back when it is freed:
the resident size of a worker then swings by tens of MiB from one second to the next, a leak cannot be told from it, and
the system fills the same pages with zeros again and again. Where the C library is another, nothing is done here.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

MMAP_THRESHOLD, TRIM_THRESHOLD, ARENA_MAX = -3, -1, -8  # names of mallopt's parameters in malloc.h
MMAP_FROM = 32 << 20  # bytes; the most that glibc takes
TRIM_FROM = (1 << 31) - 1  # bytes free at the end of the heap; the most that mallopt takes


def _function(name: str) -> Callable[..., Any] | None:
    """One of the C library's own functions; None where there is none (these are glibc's)."""
    try:
        found: Callable[..., Any] = getattr(ctypes.CDLL(None), name)
    except (OSError, AttributeError, TypeError):
        return None
    return found


def keep() -> None:
    """From now on freed memory is kept for the next need; call it before the threads are there."""
    mallopt = _function("mallopt")
    if mallopt is not None:
        mallopt(ARENA_MAX, 1)
        mallopt(MMAP_THRESHOLD, MMAP_FROM)
        mallopt(TRIM_THRESHOLD, TRIM_FROM)


def give_back() -> None:
    """Return all that is free now: what a restore needed for a moment is not kept for ever.

    Takes some milliseconds for each hundred MiB.
    """
    trim = _function("malloc_trim")
    if trim is not None:
        trim(0)
