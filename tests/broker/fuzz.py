"""Payloads that nobody should send: valid records bent at random, and bytes that never were records."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence

import numpy as np

from schemas.reasons import REASONS

WAYS = 12


def fuzzed(values: Sequence[bytes], n: int, seed: int) -> Iterator[bytes]:
    """``n`` payloads, most of them made of ``values``, which are valid records of some topic."""
    random = np.random.default_rng(seed)
    ways, picks = random.integers(0, WAYS, n), random.integers(0, len(values), n)
    at = random.random((n, 3))
    noise = random.integers(0, 256, (n, 24), np.uint8)
    for way, pick, (a, b, c), junk in zip(ways.tolist(), picks.tolist(), at.tolist(), noise, strict=True):
        yield bent(values[pick], way, a, b, c, junk.tobytes())


def bent(value: bytes, way: int, a: float, b: float, c: float, junk: bytes) -> bytes:
    """A valid record bent in one of `WAYS`; the numbers, below 1, say where."""
    i, j = int(a * len(value)), 5 + int(b * (len(value) - 5))
    n = int(c * len(junk))
    if way == 0:  # one bit
        return value[:i] + bytes([value[i] ^ (1 << int(c * 8))]) + value[i + 1 :]
    if way == 1:  # some bytes of the body
        return value[:j] + junk[: n + 1] + value[j + n + 1 :]
    if way == 2:  # cut
        return value[:i]
    if way == 3:  # grown
        return value + junk[: n + 1]
    if way == 4:  # bytes put in
        return value[:j] + junk[:n] + value[j:]
    if way == 5:  # bytes left out
        return value[:j] + value[j + 1 + n :]
    if way == 6:  # a huge number where a length or a time was
        return value[:j] + b"\xff" * (1 + int(c * 11)) + b"\x7f" + value[j:]
    if way == 7:  # a length beyond the end, or below zero
        return value[:j] + (b"\xfe\xff\xff\xff\x0f" if c < 0.5 else b"\x01") + value[j + 1 :]
    if way == 8:  # another schema
        return value[:1] + struct.pack(">I", int(c * 2**32) if a < 0.5 else int(c * 40)) + value[5:]
    if way == 9:  # another magic
        return bytes([1 + int(c * 255)]) + value[1:]
    if way == 10:  # anything
        return junk[:n] + junk * int(b * 4)
    return value[:5] + junk * (1 + int(b * 200))  # a good head, and anything


def reasons_add_up(refused: dict[str, int], n_bad: int) -> bool:
    """Whether every bad payload has one reason of the closed list."""
    return sum(refused.values()) == n_bad and refused.keys() <= set(REASONS)
