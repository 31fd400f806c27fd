"""Offsets in tables are those of the time zone database."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from schemas.reasons import NEWEST_MS, OLDEST_MS
from stream_app.time_zone import offset_table

ZONES = ["UTC", "Europe/London", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu",
         "America/Sao_Paulo", "Africa/Casablanca", "Pacific/Apia"]  # fmt: skip


@pytest.mark.parametrize("name", ZONES)
def test_every_moment_that_an_event_may_have_gets_its_offset(name: str) -> None:
    table, zone = offset_table(name), ZoneInfo(name)
    moments = np.random.default_rng(1).integers(OLDEST_MS, NEWEST_MS, 3000).tolist()
    moments += [int(at) + shift for at in table[1:80, 0].tolist() for shift in (-1, 0)]
    for ms in moments:
        offset = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)).astimezone(zone).utcoffset()
        row = np.searchsorted(table[:, 0], ms, side="right") - 1
        assert offset is not None
        assert table[max(row, 0), 1] == offset.total_seconds() * 1000, (name, ms)
