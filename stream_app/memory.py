"""Memory that was freed goes back to the system: what a restore needed for a moment is not kept for ever."""

from __future__ import annotations

import ctypes
from collections.abc import Callable


def _trim() -> Callable[[int], int] | None:
    """The C library's own function; None where there is none (only glibc has it)."""
    try:
        found: Callable[[int], int] = ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError, TypeError):
        return None
    return found


def give_back() -> None:
    """Do it now; takes some milliseconds for each hundred MiB."""
    trim = _trim()
    if trim is not None:
        trim(0)
