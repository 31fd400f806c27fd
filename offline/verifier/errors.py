"""Why nothing can be said about a partition.

::

    OfflineError
    `-- VerifyError                 exit code 2: neither equal nor different
        |-- NotProvable             topic, partition, first offset that is needed and first that is there
        `-- NotAtRest               partition: the worker is in the middle of something
"""

from __future__ import annotations

from offline.errors import OfflineError


class VerifyError(OfflineError):
    """Nothing can be said about a partition."""


class NotProvable(VerifyError):
    """What the worker read or wrote is no longer kept."""

    def __init__(self, topic: str, partition: int, needed: int, begin: int) -> None:
        self.topic, self.partition, self.needed, self.begin = topic, partition, needed, begin
        super().__init__(
            f"not provable any more from topic {topic} partition {partition}: it begins at offset {begin}, "
            f"{needed} is needed (retention)"
        )


class NotAtRest(VerifyError):
    """The logs change while they are read, or stop in the middle of a day's ticks."""

    def __init__(self, partition: int, detail: str) -> None:
        self.partition = partition
        super().__init__(f"partition {partition}: {detail}")
