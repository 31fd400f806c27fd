"""The Faust app: worker life cycle, group membership, the agent that hands batches to the worker, the timers.

Environment and wall clock enter here and in `cli`; the stop of the process too: any error is told in one line and
ends it.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal as signals
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import faust

from schemas.errors import BrokerError, DriftlineError
from schemas.settings import Settings
from schemas.topics import topic_for
from schemas.workload import Workload
from stream_app import faults, record_batches
from stream_app.broker_probe import has_transactions
from stream_app.delivery import Delivery
from stream_app.opcodes import DAY_MS
from stream_app.release_reader import ReleaseReader
from stream_app.transactions import ExactlyOnce
from stream_app.transport import BatchApp
from stream_app.warm import warm
from stream_app.worker import StreamWorker, WorkerOptions

log = logging.getLogger(__name__)
EXIT_UNEXPECTED = 70
N_THREADS = 64  # they wait for the broker: one for each checkpoint that is being written, and some
SWITCH_S = 0.0005  # between threads, of which several stand between a record and its alert


def application(worker: StreamWorker) -> str:
    """Name of the consumer group, and of the transactions."""
    return f"{worker.settings.topic_prefix}driftline-{worker.workload.name}"


def create_app(worker: StreamWorker, datadir: Path, instance: str | None = None) -> BatchApp:
    """The app with every default that matters set (see docs/decisions.md)."""
    settings = worker.settings
    app = BatchApp(
        application(worker),
        broker=[f"kafka://{address}" for address in settings.bootstrap.split(",")],
        broker_credentials=_credentials(settings),
        store="memory://",
        datadir=datadir,
        web_enabled=False,
        topic_partitions=settings.partitions,
        topic_replication_factor=settings.replication,
        topic_allow_declare=False,
        topic_disable_leader=True,
        table_standby_replicas=1,  # keeps Faust's co-partitioning assignor
        consumer_auto_offset_reset="earliest",
        consumer_group_instance_id=instance,
        consumer_max_fetch_size=1 << 20,
        broker_max_poll_records=20_000,
        broker_session_timeout=6,
        broker_heartbeat_interval=2,
        broker_max_poll_interval=300,
        broker_rebalance_timeout=30,
        broker_request_timeout=40,  # behind the one above: a join that is never answered is asked again
        producer_request_timeout=30,
        stream_wait_empty=False,
        stream_buffer_maxsize=64,
        stream_recovery_delay=0.0,
        producer_threaded=False,
    )
    app.owner, app.stop_process = worker, stop_process
    return app


def _credentials(settings: Settings) -> Any:
    if settings.security_protocol == "PLAINTEXT":
        return None
    import ssl

    context = (
        ssl.create_default_context(cafile=settings.ssl_ca_file or None) if "SSL" in settings.security_protocol else None
    )
    if settings.sasl_mechanism:
        return faust.SASLCredentials(
            username=settings.sasl_username,
            password=settings.sasl_password,
            mechanism=settings.sasl_mechanism,
            ssl_context=context,
        )
    return faust.SSLCredentials(context)


def stop_process(error: BaseException) -> None:
    """Fail-stop: say why in one line and end the process at once; the last checkpoint is whole."""
    code = getattr(error, "exit_code", EXIT_UNEXPECTED)
    detail = str(error) if isinstance(error, DriftlineError) else f"unexpected {type(error).__name__}: {error}"
    log.debug("stopped", exc_info=error)
    sys.stderr.write(f"driftline: error: {detail}\n")
    sys.stderr.flush()
    os._exit(code)


def wire(app: BatchApp, worker: StreamWorker, status_file: Path | None, live_clock: bool) -> None:
    """Register the agent, the tasks and the timers."""
    channel = app.batch_topics(worker.topics)
    ready = asyncio.Event()

    @app.agent(channel, name="driftline-events")
    async def receive(stream: Any) -> None:
        async for event in stream.noack().events():
            try:
                await worker.receive(event.message.topic, event.message.partition, event.value)
            except Exception as error:
                stop_process(error)

    @app.task  # type: ignore[untyped-decorator]
    async def run() -> None:
        consumer: Any = app.consumer
        worker.empty_at, worker.log_begin = consumer.empty_at, consumer.log_begin
        gc.collect()
        gc.freeze()
        gc.set_threshold(200_000, 50, 1000)
        ready.set()
        try:
            await worker.run()
        except asyncio.CancelledError:
            raise
        except Exception as error:
            stop_process(error)

    _wire_revocation(app, worker)
    _wire_timers(app, worker, status_file)
    if live_clock:
        _wire_clock(app, worker)


def _wire_timers(app: BatchApp, worker: StreamWorker, status_file: Path | None) -> None:
    """What happens every now and then, beside the events."""

    @app.timer(5.0)  # type: ignore[untyped-decorator]
    async def tell_group() -> None:
        if not app.rebalancing and worker.owned:
            consumer: Any = app.consumer
            await consumer.commit_positions(worker.group_positions())

    if status_file is not None:

        @app.timer(0.25)  # type: ignore[untyped-decorator]
        async def save_status() -> None:
            worker.status.save(status_file)  # not in a thread: the last one, at the end, must stay the last


def _wire_revocation(app: BatchApp, worker: StreamWorker) -> None:
    """Let the worker finish its checkpoints before the group gives its partitions to others."""

    async def settle(*_: Any, **__: Any) -> None:
        try:
            await worker.settle()
        except Exception as error:
            stop_process(error)

    app.on_partitions_revoked.connect(settle, weak=False)


def _wire_clock(app: BatchApp, worker: StreamWorker) -> None:
    """Let the leader write a clock record when a day begins by the wall clock."""
    written = -1

    @app.timer(10.0, on_leader=True)  # type: ignore[untyped-decorator]
    async def write_clock() -> None:
        nonlocal written
        day = int(time.time() * 1000) // DAY_MS
        clocks = [owned.task.state.clock_day for owned in worker.owned.values()]
        if day <= max([written, *clocks]):
            return
        record = worker.codec.encode("clock", {"event_id": f"clock-{day}", "day": day, "time_ms": day * DAY_MS})
        for partition in range(worker.settings.partitions):
            await worker.publisher.publish(worker.clock, partition, [(b"clock", record)])
        written = day


def choose_delivery(worker: StreamWorker) -> Delivery:
    """By the settings, or by what the broker turns out to be able to.

    Raises
    ------
    BrokerError
        When transactions are demanded of a broker that has none.
    """
    settings = worker.settings
    if settings.delivery == "at-least-once":
        return worker.delivery
    if has_transactions(settings, topic_for("probe", worker.workload, settings).name):
        return ExactlyOnce(settings, application(worker), worker.state)
    if settings.delivery == "exactly-once":
        raise BrokerError(
            settings.bootstrap,
            "hides nothing of an aborted transaction; use Apache Kafka, or DRIFTLINE_DELIVERY=at-least-once",
        )
    return worker.delivery


class _Service(faust.Worker):
    """Faust's process around the app, stopping through our last checkpoint."""

    def __init__(self, app: BatchApp, stream_worker: StreamWorker, releases: ReleaseReader, **kwargs: Any) -> None:
        super().__init__(app, **kwargs)
        self.stream_app, self.stream_worker, self.releases = app, stream_worker, releases
        self._following: asyncio.Task[None] | None = None
        self.spinner = None  # it writes escapes into files, too

    def _crash(self, reason: BaseException) -> None:
        stop_process(reason)

    async def on_first_start(self) -> None:
        try:
            await self.stream_worker.publisher.start()
        except Exception as error:
            stop_process(error)
        self.stream_worker.preparation = asyncio.create_task(self._prepare())  # while the group forms
        self._watching = asyncio.create_task(self._watch_group())
        await super().on_first_start()

    async def _watch_group(self) -> None:
        """Membership may end for good; Faust's own tasks would wait for the next assignment for ever."""
        while True:
            await asyncio.sleep(0.5)
            try:
                consumer: Any = self.app.consumer
                consumer.check_group()
            except Exception as error:
                stop_process(error)

    def _schedule_shutdown(self, signal: signals.Signals) -> None:
        """The first signal ends the worker behind a last checkpoint; the second at once, at the newest whole one."""
        if self._signal_stop_time:
            faults.reach("on_second_sigterm")
            sys.stderr.write("driftline worker: told twice to stop: the next start goes on at the newest checkpoint\n")
            sys.stderr.flush()
            os._exit(128 + signal)
        super()._schedule_shutdown(signal)

    async def _prepare(self) -> None:
        """Choose the delivery, load the released models and the kernels; nothing is restored before."""
        worker = self.stream_worker
        try:
            worker.delivery = await asyncio.to_thread(choose_delivery, worker)
            sys.stderr.write(f"driftline worker: outputs are delivered {worker.delivery.name}\n")
            for day, model in await asyncio.to_thread(self.releases.read_to_end):
                worker.schedule.add(day, model)
            await asyncio.to_thread(record_batches.warm)
            await asyncio.to_thread(warm, worker.plan, worker.codec)
        except Exception as error:
            stop_process(error)
        self._following = asyncio.create_task(self._follow_releases())

    async def _follow_releases(self) -> None:
        while True:
            try:
                for day, model in await asyncio.to_thread(self.releases.read, 0.25):
                    self.stream_worker.schedule.add(day, model)
                    log.info("model %s scores from day %d", model.model.version, day)
            except Exception as error:
                stop_process(error)

    async def on_stop(self) -> None:
        if self._following is not None:
            self._following.cancel()
        await super().on_stop()


def run_worker(
    settings: Settings,
    workload: Workload,
    options: WorkerOptions,
    *,
    status_file: Path | None = None,
    live_clock: bool = False,
    loglevel: str = "warning",
    instance: str | None = None,
) -> None:
    """Run a worker until it is told to stop; ``instance`` makes it a static member of the group."""
    sys.setswitchinterval(SWITCH_S)
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    loop.set_default_executor(ThreadPoolExecutor(N_THREADS, "driftline"))
    faults.arm(settings.crash_at)
    worker = StreamWorker(settings, workload, options)
    releases = ReleaseReader(settings, worker.plan, worker.codec)
    datadir = settings.home / "worker"
    datadir.mkdir(parents=True, exist_ok=True)
    app = create_app(worker, datadir, instance)
    wire(app, worker, status_file, live_clock)

    async def finish(*_: Any, **__: Any) -> None:
        try:
            await worker.drain()
            await worker.publisher.stop()
            if status_file is not None:
                worker.status.content = {}
                worker.status.update(worker.owned, worker.schedule)
                worker.status.save(status_file)
        except Exception as error:
            stop_process(error)

    app.on_before_shutdown.connect(finish)
    service = _Service(app, worker, releases, loop=loop, loglevel=loglevel, redirect_stdouts=False, quiet=True)
    try:
        service.execute_from_commandline()
    except Exception as error:
        stop_process(error)
