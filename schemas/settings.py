"""The settings of one process, read once from the environment at its entry point.

Nothing else in the product reads ``DRIFTLINE_*``. Workload content is not a setting.
"""

from __future__ import annotations

import difflib
import ipaddress
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from schemas.errors import SettingsError

PREFIX: Final = "DRIFTLINE_"
SECURITY_PROTOCOLS: Final = ("PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL")
DELIVERIES: Final = ("auto", "exactly-once", "at-least-once")
SASL_MECHANISMS: Final = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
_TOPIC_PREFIX: Final = re.compile(r"[A-Za-z0-9._-]{0,64}", re.ASCII)


@dataclass(frozen=True)
class Settings:
    """Where the broker and the files are, and how topics are made.

    Parameters
    ----------
    bootstrap
        Kafka addresses, ``host:port`` separated by commas.
    home
        Folder that holds ``lake/``, ``models/``, ``reports/``, ``runs/`` and ``keys/``.
    workload
        Name of a built-in workload, or a path to a workload file.
    partitions
        Partitions of every co-partitioned topic.
    replication
        Replicas of every topic.
    topic_prefix
        Put before every topic name and group id.
    allow_plaintext
        Whether an unencrypted broker that is not on loopback is accepted.
    security_protocol, sasl_mechanism, sasl_username, sasl_password, ssl_ca_file
        How to reach a secured broker; empty means not used. The password never shows in ``repr``.
    trusted_keys
        Public keys (hex, or files that hold one) whose bundles are taken, separated by commas; empty takes all.
    delivery
        How a worker publishes: exactly-once (by transactions), at-least-once, or auto: what the broker can.
    crash_at
        For tests: the crash point where a worker ends, see `stream_app.faults`.

    Raises
    ------
    SettingsError
        When a value is not allowed.
    """

    bootstrap: str = "127.0.0.1:19092"
    home: Path = Path(".driftline")
    workload: str = "subscription_churn"
    partitions: int = 4
    replication: int = 1
    topic_prefix: str = ""
    allow_plaintext: bool = False
    security_protocol: str = "PLAINTEXT"
    sasl_mechanism: str = ""
    sasl_username: str = ""
    sasl_password: str = field(default="", repr=False)
    ssl_ca_file: str = ""
    trusted_keys: str = ""
    delivery: str = "auto"
    crash_at: str = ""

    def __post_init__(self) -> None:
        if not self.bootstrap:
            raise SettingsError(PREFIX + "BOOTSTRAP", "is empty; give host:port, several separated by commas")
        if not 1 <= self.partitions <= 1024:
            raise SettingsError(PREFIX + "PARTITIONS", f"{self.partitions} is not between 1 and 1024")
        if not 1 <= self.replication <= 15:
            raise SettingsError(PREFIX + "REPLICATION", f"{self.replication} is not between 1 and 15")
        if not _TOPIC_PREFIX.fullmatch(self.topic_prefix):
            raise SettingsError(
                PREFIX + "TOPIC_PREFIX",
                f"{self.topic_prefix!r} is not a topic prefix; allowed are up to 64 of A-Z a-z 0-9 . _ -",
            )
        if self.delivery not in DELIVERIES:
            raise SettingsError(PREFIX + "DELIVERY", f"{self.delivery!r} is not one of {', '.join(DELIVERIES)}")
        self._check_security()

    def _check_security(self) -> None:
        if self.security_protocol not in SECURITY_PROTOCOLS:
            allowed = ", ".join(SECURITY_PROTOCOLS)
            raise SettingsError(PREFIX + "SECURITY_PROTOCOL", f"{self.security_protocol!r} is not one of {allowed}")
        if self.sasl_mechanism and self.sasl_mechanism not in SASL_MECHANISMS:
            allowed = ", ".join(SASL_MECHANISMS)
            raise SettingsError(PREFIX + "SASL_MECHANISM", f"{self.sasl_mechanism!r} is not one of {allowed}")
        if self.security_protocol.startswith("SASL") and not self.sasl_mechanism:
            raise SettingsError(PREFIX + "SASL_MECHANISM", f"is needed with {self.security_protocol}")
        if self.security_protocol.endswith("PLAINTEXT") and not self.allow_plaintext:
            for host in _hosts(self.bootstrap):
                if not _is_loopback(host):
                    raise SettingsError(
                        PREFIX + "BOOTSTRAP",
                        f"{host} is not on loopback and {self.security_protocol} is not encrypted; "
                        f"use {PREFIX}SECURITY_PROTOCOL=SSL or SASL_SSL, or allow it with {PREFIX}ALLOW_PLAINTEXT=1",
                    )

    @property
    def lake_dir(self) -> Path:
        """Root of the event lake: one for each topic prefix, as offsets of different topics must not meet."""
        return self.home / "lake" / self.topic_prefix if self.topic_prefix else self.home / "lake"

    @property
    def models_dir(self) -> Path:
        """Root of the model bundles."""
        return self.home / "models"

    @property
    def reports_dir(self) -> Path:
        """Root of the reports."""
        return self.home / "reports"

    @property
    def runs_dir(self) -> Path:
        """Where each run of a job leaves its record."""
        return self.home / "runs"

    @property
    def keys_dir(self) -> Path:
        """Where the key is that signs bundles."""
        return self.home / "keys"

    def kafka_config(self) -> dict[str, Any]:
        """The connection part of a librdkafka configuration."""
        config: dict[str, Any] = {"bootstrap.servers": self.bootstrap}
        if self.security_protocol != "PLAINTEXT":
            config["security.protocol"] = self.security_protocol
        if self.sasl_mechanism:
            config["sasl.mechanism"] = self.sasl_mechanism
            config["sasl.username"] = self.sasl_username
            config["sasl.password"] = self.sasl_password
        if self.ssl_ca_file:
            config["ssl.ca.location"] = self.ssl_ca_file
        return config

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Settings:
        """Settings of this process.

        Parameters
        ----------
        environ
            Names and values; None reads the process environment.

        Raises
        ------
        SettingsError
            When a name with our prefix is unknown, or a value is not allowed.

        Examples
        --------
        >>> Settings.from_env({"DRIFTLINE_PARTITIONS": "2"}).partitions
        2
        """
        values: dict[str, Any] = {}
        for name, text in (os.environ if environ is None else environ).items():
            if name.startswith(PREFIX):
                read, attribute = _reader(name)
                values[attribute] = read(name, text)
        return cls(**values)


def _hosts(bootstrap: str) -> list[str]:
    """Host parts of ``host:port`` addresses; IPv6 hosts may stand in brackets."""
    hosts = []
    for address in bootstrap.split(","):
        address = address.strip().split("://")[-1]
        if address.startswith("["):
            hosts.append(address[1:].split("]")[0])
        else:
            hosts.append(address.rsplit(":", 1)[0])
    return hosts


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _text(name: str, text: str) -> str:
    return text


def _path(name: str, text: str) -> Path:
    if not text:
        raise SettingsError(name, "is empty; give a folder")
    return Path(text)


def _integer(name: str, text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", text, re.ASCII):
        raise SettingsError(name, f"{text!r} is not a whole number")
    return int(text)


def _flag(name: str, text: str) -> bool:
    if text not in ("0", "1"):
        raise SettingsError(name, f"{text!r} is not 0 or 1")
    return text == "1"


_READERS: Final[dict[str, Callable[[str, str], Any]]] = {
    "bootstrap": _text,
    "home": _path,
    "workload": _text,
    "partitions": _integer,
    "replication": _integer,
    "topic_prefix": _text,
    "allow_plaintext": _flag,
    "security_protocol": _text,
    "sasl_mechanism": _text,
    "sasl_username": _text,
    "sasl_password": _text,
    "ssl_ca_file": _text,
    "trusted_keys": _text,
    "delivery": _text,
    "crash_at": _text,
}


def _reader(name: str) -> tuple[Callable[[str, str], Any], str]:
    attribute = name[len(PREFIX) :].lower()
    if name != name.upper() or attribute not in _READERS:
        allowed = [PREFIX + known.upper() for known in _READERS]
        close = difflib.get_close_matches(name.upper(), allowed, n=1)
        hint = f"did you mean {close[0]}? " if close else ""
        raise SettingsError(name, f"is not a setting; {hint}allowed are {', '.join(allowed)}")
    return _READERS[attribute], attribute
