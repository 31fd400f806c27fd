"""Keys go where Java's and aiokafka's partitioner would put them."""

from __future__ import annotations

import random

import numpy as np
import pytest
from aiokafka.partitioner import murmur2 as oracle

from schemas.errors import CodecError
from schemas.packed import pack_text
from schemas.partition import murmur2, partition_of, partitions_of


def test_murmur2_equals_aiokafka_on_keys_of_every_length() -> None:
    rng = random.Random(1)
    for n in range(70):
        for _ in range(20):
            key = rng.randbytes(n)
            assert murmur2(key) == oracle(key)


@pytest.mark.parametrize("n", [1, 3, 4, 64])
def test_a_column_goes_where_its_keys_go_one_by_one(n: int) -> None:
    rng = random.Random(n)
    ids = ["".join(rng.choices("abcé€😀0", k=rng.randrange(0, 14))) for _ in range(2_000)]
    expected = [(oracle(i.encode()) & 0x7FFFFFFF) % n for i in ids]
    assert partitions_of(np.array(ids, dtype=object), n).tolist() == expected
    assert partitions_of(pack_text(np.array(ids, dtype=object)), n).tolist() == expected
    assert [partition_of(i.encode(), n) for i in ids] == expected


def test_fixed_width_text_and_no_text_are_columns_too() -> None:
    assert partitions_of(np.array(["a", "bcd"]), 5).tolist() == [partition_of(b"a", 5), partition_of(b"bcd", 5)]
    assert partitions_of(np.array([], dtype=object), 5).tolist() == []


@pytest.mark.parametrize("cell", [1, b"x", 1.5, "\ud800"])
def test_a_column_that_is_not_text_is_refused(cell: object) -> None:
    with pytest.raises(CodecError, match="garbage"):
        pack_text(np.array(["a", cell], dtype=object))


def test_packed_text_keeps_nul_and_null_apart() -> None:
    packed = pack_text(np.array(["a\0", None, "", "é"], dtype=object))
    assert packed.to_bytes() == [b"a\0", b"", b"", "é".encode()]
    assert packed.is_null.tolist() == [False, True, False, False]
