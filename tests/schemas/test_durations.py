from __future__ import annotations

import pytest

from schemas.durations import DAY_MS, format_duration, parse_duration


@pytest.mark.parametrize(
    ("text", "ms"), [("0s", 0), ("250ms", 250), ("10s", 10_000), ("5m", 300_000), ("2h", 7_200_000), ("7d", 7 * DAY_MS)]
)
def test_a_duration_reads_back(text: str, ms: int) -> None:
    assert parse_duration(text) == ms
    assert format_duration(ms) == text


@pytest.mark.parametrize("text", ["", "7", "d", "7 d", "-1d", "1.5h", "07d", "1w", "١d", "1d\n"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration"):
        parse_duration(text)
