from __future__ import annotations

from pathlib import Path

import pytest

from schemas.errors import SettingsError
from schemas.settings import Settings


def test_nothing_set_gives_a_laptop() -> None:
    settings = Settings.from_env({"PATH": "/bin"})
    assert settings == Settings()
    assert settings.lake_dir == Path(".driftline/lake")


def test_everything_set_is_read() -> None:
    settings = Settings.from_env(
        {
            "DRIFTLINE_BOOTSTRAP": "localhost:1,[::1]:2",
            "DRIFTLINE_HOME": "/x",
            "DRIFTLINE_WORKLOAD": "w.toml",
            "DRIFTLINE_PARTITIONS": "8",
            "DRIFTLINE_REPLICATION": "3",
            "DRIFTLINE_TOPIC_PREFIX": "a.",
            "DRIFTLINE_ALLOW_PLAINTEXT": "1",
        }
    )
    assert settings == Settings("localhost:1,[::1]:2", Path("/x"), "w.toml", 8, 3, "a.", True)


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("DRIFTLINE_PARTITONS", "4", "did you mean DRIFTLINE_PARTITIONS"),
        ("DRIFTLINE_partitions", "4", "is not a setting"),
        ("DRIFTLINE_PARTITIONS", "four", "whole number"),
        ("DRIFTLINE_PARTITIONS", "0", "between 1 and 1024"),
        ("DRIFTLINE_REPLICATION", "99", "between 1 and 15"),
        ("DRIFTLINE_ALLOW_PLAINTEXT", "yes", "0 or 1"),
        ("DRIFTLINE_TOPIC_PREFIX", "a b", "A-Z a-z 0-9"),
        ("DRIFTLINE_HOME", "", "is empty"),
        ("DRIFTLINE_BOOTSTRAP", "", "is empty"),
        ("DRIFTLINE_SECURITY_PROTOCOL", "TLS", "SASL_SSL"),
        ("DRIFTLINE_SECURITY_PROTOCOL", "SASL_SSL", "SASL_MECHANISM: is needed"),
        ("DRIFTLINE_SASL_MECHANISM", "NTLM", "SCRAM-SHA-512"),
    ],
)
def test_a_wrong_setting_is_named_with_what_is_allowed(name: str, value: str, says: str) -> None:
    with pytest.raises(SettingsError, match=says) as caught:
        Settings.from_env({name: value})
    assert "DRIFTLINE_" in str(caught.value)


@pytest.mark.parametrize("host", ["kafka:9092", "10.0.0.1:9092", "127.0.0.1:1,kafka:9092", "127.evil.example:1"])
def test_plaintext_beyond_loopback_needs_a_yes(host: str) -> None:
    with pytest.raises(SettingsError, match="ALLOW_PLAINTEXT=1"):
        Settings.from_env({"DRIFTLINE_BOOTSTRAP": host})
    assert Settings.from_env({"DRIFTLINE_BOOTSTRAP": host, "DRIFTLINE_ALLOW_PLAINTEXT": "1"}).bootstrap == host
    assert Settings.from_env({"DRIFTLINE_BOOTSTRAP": host, "DRIFTLINE_SECURITY_PROTOCOL": "SSL"}).bootstrap == host


def test_the_password_reaches_the_client_and_no_log() -> None:
    settings = Settings(security_protocol="SASL_SSL", sasl_mechanism="PLAIN", sasl_username="u", sasl_password="s3cret")
    assert settings.kafka_config()["sasl.password"] == "s3cret"
    assert "s3cret" not in repr(settings)
