"""Freed memory goes back to the system."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from stream_app.memory import give_back


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_what_was_freed_between_things_that_stay_is_given_back() -> None:
    parts = [bytes(60_000) + bytes([i % 7 + 1]) * 60_000 for i in range(2_000)]  # below the size that is mapped alone
    kept = parts[::50]
    full = resident_bytes()
    del parts
    give_back()
    assert full - resident_bytes() > 100 << 20
    assert len(kept) == 40
