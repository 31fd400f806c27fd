"""Reads the model releases and loads their bundles, before the first event and ever after.

Blocking: call it in an executor thread. A release that cannot be loaded stops the worker.
"""

from __future__ import annotations

import logging
import time
from typing import Any

import numpy as np
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition

from schemas.bundle import read_bundle, released_bundle_dir
from schemas.codec import Codec
from schemas.errors import BrokerError, BundleError, CodecError
from schemas.settings import Settings
from schemas.signatures import Trust
from schemas.topics import topic_for
from stream_app.errors import ModelError
from stream_app.model import BoosterModel
from stream_app.plan import Plan
from stream_app.reference import Reference
from stream_app.releases import ActiveModel

log = logging.getLogger(__name__)
Release = tuple[int, ActiveModel]
DEADLINE_S = 60.0


class ReleaseReader:
    """Follows the topic of releases without a group."""

    def __init__(self, settings: Settings, plan: Plan, codec: Codec) -> None:
        self.settings, self.plan, self.codec = settings, plan, codec
        self._trust = Trust.of(settings)
        self.topic = topic_for("model-releases", plan.workload, settings).name
        self._consumer = Consumer(
            settings.kafka_config()
            | {
                "group.id": f"{settings.topic_prefix}driftline-releases",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
                "isolation.level": "read_committed",
                "fetch.wait.max.ms": 100,
            }
        )
        self._consumer.assign([TopicPartition(self.topic, 0, OFFSET_BEGINNING)])
        self._is_at_end = False
        self._complaint = "no answer"

    def read(self, timeout_s: float) -> list[Release]:
        """Releases that came since the last call, loaded; empty when none came in time.

        Raises
        ------
        ModelError
            When a bundle is missing or damaged.
        """
        found: list[Release] = []
        try:
            for message in self._consumer.consume(100, timeout_s):
                error = message.error()
                if error is not None:
                    self._is_at_end |= error.code() == KafkaError._PARTITION_EOF
                    self._complaint = str(error.str())
                elif message.value() is not None:
                    release = self._load(self.codec.decode(message.value(), "model_release"))
                    found += [] if release is None else [release]
        except (KafkaException, CodecError) as cause:
            raise BrokerError(self.settings.bootstrap, f"topic {self.topic}: {cause}") from cause
        return found

    def read_to_end(self) -> list[Release]:
        """All releases there are now.

        Raises
        ------
        BrokerError
            When the broker does not say where the topic ends.
        """
        found: list[Release] = []
        deadline = time.monotonic() + DEADLINE_S
        while not self._is_at_end:
            found += self.read(0.1)
            if time.monotonic() > deadline:
                raise BrokerError(
                    self.settings.bootstrap, f"topic {self.topic}: no end within {DEADLINE_S:.0f} s ({self._complaint})"
                )
        return found

    def _load(self, record: dict[str, Any]) -> Release | None:
        """None when the model is of another version of the workload: that version's own workers score with it."""
        version = str(record["version"])
        try:
            path = released_bundle_dir(self.settings.models_dir, record["path"])
            bundle = read_bundle(path, record["bundle_id"], self._trust)
        except BundleError as cause:
            raise ModelError(version, str(cause)) from cause
        if bundle.manifest.workload_hash != self.plan.workload.hash:
            log.warning("model %s was trained for another version of the workload: left out", version)
            return None
        model = BoosterModel(version, bundle.files, self.plan)
        model.prepare()
        edges = Reference.decode(bundle.files["reference.json"]).edges
        return int(record["activate_day"]), ActiveModel(model, np.ascontiguousarray(edges, np.float32))

    def close(self) -> None:
        """Leave the topic."""
        self._consumer.close()
