"""Batch transport: one Faust message for each (partition, fetched batch). The only module that touches Faust's
consumer.

Faust's per-message path costs more than everything we do with an event, so source topics bypass it. Positions come
from our own checkpoints: whenever Faust seeks "to the committed offsets", it is told where the restored tasks go on.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from typing import Any, Protocol, cast

import faust
from aiokafka import TopicPartition
from aiokafka.errors import IllegalStateError, KafkaError
from faust.serializers.schemas import Schema
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerMessage

from schemas.errors import BrokerError
from stream_app import record_batches
from stream_app.spans import Span

log = logging.getLogger(__name__)
FETCH_MAX_WAIT_MS = 10  # Faust's 1,500 ms lets caught-up partitions stall busy ones: one fetch is in flight per broker
FETCH_MIN_BYTES = 16_384  # of all partitions together: without it a trickle makes a fetch of each of its records


class FetchedBatch:
    """Records of one topic-partition as fetched: log positions ``[begin, end)`` and when they arrived (ms)."""

    __slots__ = ("arrived_ms", "begin", "end", "span")

    def __init__(self, span: Span, begin: int, end: int, arrived_ms: float) -> None:
        self.span, self.begin, self.end, self.arrived_ms = span, begin, end, arrived_ms

    def __len__(self) -> int:
        return len(self.span)


class Owner(Protocol):
    """What the transport asks of the worker behind it."""

    async def positions(self, assigned: set[TP]) -> Mapping[TP, int]:
        """Where every assigned partition goes on; restores what is new here."""
        ...

    def has_room(self, tp: TP, next_position: int) -> bool:
        """Whether more of this topic-partition may be fetched."""
        ...


class _ConsumerThread(driver.AIOKafkaConsumerThread):
    def _create_worker_consumer(self, transport: Any) -> Any:
        record_batches.install()
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms, consumer._fetch_min_bytes = FETCH_MAX_WAIT_MS, FETCH_MIN_BYTES
        consumer._isolation_level = "read_committed"
        return consumer

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        """Tell the group; a refusal is no reason to stop, as nothing goes on from there."""
        try:
            await self._ensure_consumer().commit({TopicPartition(*tp): at for tp, at in offsets.items()})
        except KafkaError as error:
            log.warning("the group was not told how far we are (%s)", error)
            return False
        return True


class BatchConsumer(driver.Consumer):
    """Hands over fetched batches whole, and keeps their positions."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.next_position: dict[TP, int] = {}
        self.reached: dict[TP, int] = {}  # behind the records handed over, and the marks of transactions behind them
        super().__init__(*args, **kwargs)

    def _new_consumer_thread(self) -> Any:
        return _ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    @property
    def _bootstrap(self) -> str:
        return ",".join(str(url.authority) for url in self.app.conf.broker)

    def check_group(self) -> None:
        """Raise what ended our membership for good; Faust, which goes round aiokafka's consumer, never asks."""
        consumer = self._thread._consumer
        coordinator = None if consumer is None else consumer._coordinator
        try:
            if coordinator is not None:
                coordinator.check_errors()
        except KafkaError as error:
            raise BrokerError(self._bootstrap, f"the group was left for good ({error})") from error

    @property
    def _owner(self) -> Owner:
        owner: Owner = cast(Any, self.app).owner
        return owner

    async def perform_seek(self) -> None:
        """Seek every assigned partition to where its task goes on."""
        try:
            positions = await self._owner.positions(set(self.assignment()))
        except Exception as error:
            cast(Any, self.app).stop_process(error)
            raise
        for tp, position in positions.items():
            self.next_position[tp] = self.reached[tp] = position
        await self._thread.call_thread(self._seek_all, positions)
        for tp in positions:
            self._read_offset[tp] = None
            self._committed_offset[tp] = None

    async def _seek_all(self, positions: Mapping[TP, int]) -> None:
        """In the consumer's own thread, which Faust's seek is not: it would drop what another thread is reading."""
        consumer = self._thread._ensure_consumer()
        for tp, position in positions.items():
            try:
                consumer.seek(TopicPartition(*tp), position)
            except IllegalStateError:  # the partition was taken again meanwhile: the next assignment seeks anew
                log.info("%s is not ours any more", tp)

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, Any]]:
        """Yield one message for each fetched batch, of partitions whose tasks have room."""
        if not self.flow_active:
            await self.wait(cast(Any, self.can_resume_flow))
        active = {tp for tp in self._get_active_partitions() if self._has_room(tp)}
        if not active:
            await asyncio.sleep(0.002)
            return
        generation = self.app.consumer_generation_id
        try:
            fetched = await self._getmany(active_partitions=active, timeout=min(timeout, 0.1))
        except KafkaError as error:
            cast(Any, self.app).stop_process(BrokerError(self._bootstrap, f"a fetch failed ({error})"))
            raise
        now_ms, times = time.time() * 1000, self._times()
        reached = {tp: self._reached(tp) for tp in active}  # nothing is taken from the consumer before the next call
        self.reached |= {tp: at for tp, at in reached.items() if at is not None and tp not in (fetched or {})}
        left = cast(dict[TP, Span], fetched or {})
        for tp, span in list(left.items()):
            if self.should_stop or not self.flow_active or self.app.consumer_generation_id != generation:
                await self._take_again(left)
                return
            del left[tp]
            if len(span):
                message = self._message(
                    TP(*tp), span, now_ms if times is None else times.answered_ms.get(TP(*tp), now_ms)
                )
                self.reached[TP(*tp)] = reached.get(TP(*tp)) or self.next_position[TP(*tp)]
                yield tp, message

    async def _take_again(self, left: Iterable[TP]) -> None:
        """What was taken and is not handed over comes again: a rebalance may have sought before it was taken, and then
        nobody would seek back.
        """
        if not self.should_stop:
            await self._thread.call_thread(
                self._seek_all, {tp: self.next_position[tp] for tp in left if tp in self.next_position}
            )

    def _has_room(self, tp: TP) -> bool:
        return tp in self.next_position and self._owner.has_room(tp, self.next_position[tp])

    def _message(self, tp: TP, span: Span, arrived_ms: float) -> Any:
        last, stamp_ms = int(span.offsets[-1]), int(span.timestamps_ms[-1])
        batch = FetchedBatch(span, self.next_position[tp], last + 1, arrived_ms)
        self.next_position[tp] = last + 1
        message: Any = ConsumerMessage  # its value is a whole batch here, not bytes
        return message(
            tp.topic, tp.partition, last, stamp_ms / 1000.0, 0, (), None, batch, None, -1, -1, tp,
            generation_id=self.app.consumer_generation_id,
        )  # fmt: skip

    def empty_at(self, tp: TP, position: int) -> float | None:
        """When (ms) a fetch was sent that showed nothing at or behind ``position``; None when none is known to have."""
        times = self._times()
        if times is None:
            return None
        is_whole = self.next_position.get(tp) == position  # and marks of transactions lie behind it, but no records
        return times.ends.empty_at(tp, self.reached[tp] if is_whole else position)

    def _times(self) -> record_batches.TimedFetcher | None:
        consumer = self._thread._consumer
        return None if consumer is None else consumer._fetcher

    def _fetched(self, tp: TP) -> Any:
        """What aiokafka knows of a partition; None while it is not assigned."""
        consumer = self._thread._consumer
        try:
            return None if consumer is None else consumer._subscription.subscription.assignment.state_value(tp)
        except Exception:  # the assignment changes under us
            return None

    def _reached(self, tp: TP) -> int | None:
        fetched = self._fetched(tp)
        return fetched.position if fetched is not None and fetched.has_valid_position else None

    async def log_begin(self, tp: TP) -> int:
        """First offset that the broker still holds."""
        return int((await self.earliest_offsets(tp))[tp])

    async def commit_positions(self, positions: Mapping[TP, int]) -> None:
        """Tell the group how far we are: for lag monitors only."""
        await self._commit(positions)

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """Gaps inside and between batches are none of Faust's business."""


class BatchTransport(driver.Transport):
    """Faust's aiokafka transport with the batch consumer."""

    Consumer = BatchConsumer


class _Unread(Schema[Any, Any]):
    """Passes fetched batches through as they are."""

    def loads_key(self, app: Any, message: Any, **kwargs: Any) -> None:
        return None

    def loads_value(self, app: Any, message: Any, **kwargs: Any) -> Any:
        return message.value


class BatchApp(faust.App):
    """A Faust app whose topics deliver `FetchedBatch`es to ``owner``; ``stop_process`` ends it when that fails."""

    owner: Owner
    stop_process: Callable[[BaseException], None]

    def _new_transport(self) -> Any:
        return BatchTransport(self.conf.broker_consumer, self)

    def batch_topics(self, names: Iterable[str]) -> Any:
        """One channel over all ``names``."""
        return self.topic(*names, schema=_Unread())
