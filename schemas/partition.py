"""Which partition a customer belongs to: Java's default partitioner (murmur2), for one key or a column.

Every producer uses it, because librdkafka's own default (CRC32) disagrees with Java and aiokafka.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from schemas.packed import PackedText, pack_text

_SEED: Final = 0x9747B28C
_M: Final = 0x5BD1E995
_MASK: Final = 0xFFFFFFFF


def murmur2(key: bytes) -> int:
    """Unsigned 32-bit murmur2 of `key`, as in ``org.apache.kafka.common.utils.Utils``."""
    n = len(key)
    h = _SEED ^ n
    whole = n & ~3
    for at in range(0, whole, 4):
        k = int.from_bytes(key[at : at + 4], "little") * _M & _MASK
        k = (k ^ (k >> 24)) * _M & _MASK
        h = (h * _M & _MASK) ^ k
    if whole < n:
        h = (h ^ int.from_bytes(key[whole:], "little")) * _M & _MASK
    h = (h ^ (h >> 13)) * _M & _MASK
    return h ^ (h >> 15)


def partition_of(key: bytes, n: int) -> int:
    """Partition of a record key among `n` partitions.

    Parameters
    ----------
    key
        UTF-8 bytes of the customer_id.
    n
        Number of partitions of the topic.

    Examples
    --------
    >>> partition_of(b"customer-1", 4)
    1
    """
    return (murmur2(key) & 0x7FFFFFFF) % n


def partitions_of(customer_id: NDArray[Any] | PackedText, n: int) -> NDArray[np.int32]:
    """`partition_of` for a column of customers, compiled.

    Parameters
    ----------
    customer_id
        Text (rows,), or the same already packed.
    n
        Number of partitions of the topic.

    Returns
    -------
    NDArray[np.int32]
        Shape (rows,).
    """
    from schemas.kernels import murmur2_rows

    packed = customer_id if isinstance(customer_id, PackedText) else pack_text(np.asarray(customer_id))
    hashes = murmur2_rows(packed.data, packed.offsets)
    return ((hashes & np.uint32(0x7FFFFFFF)) % np.uint32(n)).astype(np.int32)
