"""What can go wrong in the stream.

::

    DriftlineError (schemas.errors)
    `-- StreamError                 exit code 4: the worker stopped; nothing was skipped
        |-- OverflowStop            topic, offset
        |-- ContinuityStop          topic, partition, expected and found position
        |-- RestoreError            topic, partition
        |-- FencedStop              topic, partition: another worker owns it now
        |-- AssignmentStop          partitions of the sources differ
        |-- RoutingStop             partition, misrouted and all records
        |-- ModelError              version: a release that cannot be loaded
        |-- ReferenceInvalid        a reference profile that cannot be used
        |-- SummaryGap              partition, expected and found sequence number
        `-- SignalMoveRefused       a retrain signal cannot move there
"""

from __future__ import annotations

from schemas.errors import DriftlineError


class StreamError(DriftlineError):
    """The worker must stop; its last checkpoint is whole."""

    exit_code = 4


class OverflowStop(StreamError):
    """A sum would pass 2^63."""

    def __init__(self, topic: str, offset: int) -> None:
        self.topic, self.offset = topic, offset
        super().__init__(f"topic {topic} offset {offset}: a sum passes 2^63; lower the field's scale in the workload")


class ContinuityStop(StreamError):
    """Records are missing between two fetches."""

    def __init__(self, topic: str, partition: int, expected: int, found: int) -> None:
        self.topic, self.partition, self.expected, self.found = topic, partition, expected, found
        super().__init__(
            f"topic {topic} partition {partition}: expected offset {expected}, the log continues at {found}; "
            "events were lost before they were read (retention?). Start with --accept-gap to go on without them"
        )


class RestoreError(StreamError):
    """The state topic cannot be restored from."""

    def __init__(self, topic: str, partition: int, detail: str) -> None:
        self.topic, self.partition = topic, partition
        super().__init__(f"topic {topic} partition {partition}: {detail}")


class FencedStop(StreamError):
    """Another worker has opened the partition; nothing of ours was written behind its back."""

    def __init__(self, topic: str, partition: int) -> None:
        self.topic, self.partition = topic, partition
        super().__init__(
            f"topic {topic} partition {partition}: another worker has taken it over while this one was away; "
            "what was not committed is its work now. Start this worker again"
        )


class AssignmentStop(StreamError):
    """The group assigned source partitions apart."""


class RoutingStop(StreamError):
    """So many keys lie in a wrong partition that it is no accident."""

    def __init__(self, partition: int, n_misrouted: int, n_in: int) -> None:
        self.partition, self.n_misrouted, self.n_in = partition, n_misrouted, n_in
        super().__init__(
            f"partition {partition}: {n_misrouted} of {n_in} records have keys of other partitions; "
            "let the producers use the murmur2 partitioner (librdkafka: partitioner=murmur2_random)"
        )


class ModelError(StreamError):
    """A released model cannot be loaded."""

    def __init__(self, version: str, detail: str) -> None:
        self.version = version
        super().__init__(f"model {version}: {detail}")


class ReferenceInvalid(StreamError):
    """A reference profile, or what it is made of, cannot be used."""


class SummaryGap(StreamError):
    """A worker's summaries are missing: the watch would judge on holes."""

    def __init__(self, partition: int, expected: int, found: int) -> None:
        self.partition, self.expected, self.found = partition, expected, found
        super().__init__(f"summaries of partition {partition}: expected number {expected}, found {found}")


class SignalMoveRefused(StreamError):
    """A retrain signal cannot move from its status to the one asked for."""

    def __init__(self, signal_id: str, status: str, wanted: str) -> None:
        self.signal_id, self.status, self.wanted = signal_id, status, wanted
        super().__init__(f"retrain signal {signal_id} is {status} and cannot become {wanted}")
