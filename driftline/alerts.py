"""Reading the churn alerts: `AlertSubscriber` for programs, ``driftline alerts`` for people and pipes.

A subscriber reads the topic from a stated place and commits nothing, so any number of them may read side by side. Only
committed alerts are seen, each once per subscriber however often the worker had to send it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from types import TracebackType
from typing import Any, Final, Literal, Self

import click
from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, Consumer, KafkaError, KafkaException, Message, TopicPartition

from schemas.codec import Codec
from schemas.errors import BrokerError, CodecError, TopicError
from schemas.registry import FileRegistry
from schemas.settings import Settings

ROLE: Final = "alerts"
_CONNECT_WITHIN_S: Final = 15.0
_REMEMBERED_IDS: Final = 100_000
_FETCHED_AT_ONCE: Final = 500


class AlertSubscriber:
    """An iterator over alerts, as dicts with the fields of ``schemas/records/alert.avsc``.

    Parameters
    ----------
    settings
        Where the broker is.
    start
        Which alerts come first: all that are retained ("beginning"), or those from this moment on ("now"; the embedded
        broker may repeat the newest few).
    follow
        True waits for more; False ends at what was there when it was reached.
    customer_id
        Only this customer's; None takes all.

    Raises
    ------
    BrokerError
        When the broker cannot be reached or refuses.
    TopicError
        When there is no topic of alerts.

    Examples
    --------
    >>> with AlertSubscriber(Settings.from_env(), start="now") as alerts:  # doctest: +SKIP
    ...     for alert in alerts:
    ...         print(alert["customer_id"], alert["status"], alert["score"])
    """

    def __init__(
        self,
        settings: Settings,
        *,
        start: Literal["beginning", "now"] = "beginning",
        follow: bool = True,
        customer_id: str | None = None,
    ) -> None:
        self.topic = settings.topic_prefix + ROLE
        self.n_refused = 0  # records that are no alert
        self._bootstrap = settings.bootstrap
        self._follow = follow
        self._key = None if customer_id is None else customer_id.encode()
        self._codec = Codec(FileRegistry.fixed())
        self._seen: dict[str, None] = {}  # newest event ids, oldest first
        self._consumer = Consumer(
            {
                **settings.kafka_config(),
                "group.id": f"{settings.topic_prefix}alert-subscriber",  # must be; nothing is committed
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "isolation.level": "read_committed",
                "fetch.wait.max.ms": 100,
                "log_level": 0,  # failures are raised here or retried
            }
        )
        try:
            self._unfinished = set(range(self._count_partitions()))
            offset = OFFSET_BEGINNING if start == "beginning" else OFFSET_END
            self._consumer.assign([TopicPartition(self.topic, number, offset) for number in self._unfinished])
        except BaseException:
            self.close()
            raise

    def __iter__(self) -> Iterator[dict[str, Any]]:
        while self._follow or self._unfinished:
            for message in self._fetch():
                alert = self._alert_of(message)
                if alert is not None:
                    yield alert

    def close(self) -> None:
        """Leave the broker; harmless when done twice."""
        self._consumer.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _count_partitions(self) -> int:
        """Partitions of the topic. Asks for all topics: to ask for one by name may create it."""
        try:
            found = self._consumer.list_topics(timeout=_CONNECT_WITHIN_S).topics.get(self.topic)
        except KafkaException as error:
            raise BrokerError(self._bootstrap, f"no answer: {error.args[0].str()}") from error
        if found is None:
            raise TopicError(self.topic, "does not exist; run: driftline topics create")
        return len(found.partitions)

    def _fetch(self) -> list[Message]:
        """The next messages; empty when none came within a moment."""
        messages = []
        for message in self._consumer.consume(_FETCHED_AT_ONCE, timeout=0.2):
            error = message.error()
            if error is None:
                messages.append(message)
            elif error.code() == KafkaError._PARTITION_EOF:
                self._unfinished.discard(message.partition())
            elif not error.retriable():
                raise BrokerError(self._bootstrap, f"topic {self.topic}: {error.str()}")
        return messages

    def _alert_of(self, message: Message) -> dict[str, Any] | None:
        """The alert in a message; None when it is another customer's, seen before, or no alert at all."""
        if self._key is not None and message.key() != self._key:
            return None
        try:
            alert = self._codec.decode(message.value(), "alert")
        except CodecError:
            self.n_refused += 1
            return None
        return alert if self._is_new(alert["event_id"]) else None

    def _is_new(self, event_id: str) -> bool:
        if event_id in self._seen:
            return False
        self._seen[event_id] = None
        if len(self._seen) > _REMEMBERED_IDS:
            del self._seen[next(iter(self._seen))]
        return True


def json_line(alert: dict[str, Any]) -> str:
    """An alert as one line of JSON; a missing feature value is null.

    Examples
    --------
    >>> json_line({"reasons": [{"feature": "csat", "value": math.nan, "contribution": 0.5}]})
    '{"reasons": [{"feature": "csat", "value": null, "contribution": 0.5}]}'
    """
    reasons = [{**reason, "value": _finite(reason["value"])} for reason in alert["reasons"]]
    return json.dumps({**alert, "reasons": reasons}, ensure_ascii=False, allow_nan=False)


TABLE_HEAD: Final = f"{'as of (UTC)':<19}  {'status':<6}  {'customer':<20}  {'score':>5}  {'above':>5}  reasons"


def table_line(alert: dict[str, Any]) -> str:
    """An alert as one line below `TABLE_HEAD`."""
    as_of = datetime.fromtimestamp(alert["as_of_ms"] / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
    reasons = ", ".join(_reason_text(reason) for reason in alert["reasons"])
    return (
        f"{as_of}  {alert['status']:<6}  {_printable(alert['customer_id']):<20}  {alert['score']:5.2f}"
        f"  {alert['threshold']:5.2f}  {reasons}".rstrip()
    )


def _reason_text(reason: dict[str, Any]) -> str:
    value = _finite(reason["value"])
    return f"{reason['feature']} {'missing' if value is None else format(value, '.4g')} ({reason['contribution']:+.2f})"


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _printable(text: str) -> str:
    """Text that cannot steer a terminal: customer ids come from outside."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text)


@click.command(epilog="\b\nExamples:\n  driftline alerts --follow\n  driftline alerts --json --customer C000123")
@click.option("--follow", is_flag=True, help="Wait for more alerts until Ctrl-C.")
@click.option("--json/--table", "as_json", default=False, help="One JSON object per line, or a table (default).")
@click.option(
    "--from",
    "start",
    type=click.Choice(["beginning", "now"]),
    default="beginning",
    show_default=True,
    help="All alerts that are retained, or new ones only (with --follow).",
)
@click.option("--customer", "customer_id", help="Only this customer's alerts.")
@click.option("--limit", type=click.IntRange(min=1), help="Stop after so many alerts.")
def alerts(
    follow: bool, as_json: bool, start: Literal["beginning", "now"], customer_id: str | None, limit: int | None
) -> None:
    """Read the churn alerts."""
    with AlertSubscriber(Settings.from_env(), start=start, follow=follow, customer_id=customer_id) as subscriber:
        if not as_json:
            click.echo(TABLE_HEAD)
        for alert in islice(subscriber, limit):
            click.echo(json_line(alert) if as_json else table_line(alert))
        if subscriber.n_refused:
            click.echo(f"{subscriber.n_refused} records on {subscriber.topic} are no alerts", err=True)
