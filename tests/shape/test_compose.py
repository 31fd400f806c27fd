"""docker-compose.yml and Dockerfile: they parse, say what the command line knows, and open nothing to the network."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from driftline.cli import COMMANDS
from schemas.settings import Settings


@pytest.fixture(scope="module")
def compose(repository: Path) -> dict[str, Any]:
    loaded = yaml.safe_load((repository / "docker-compose.yml").read_text(encoding="utf-8"))
    assert isinstance(loaded, dict)
    return loaded


def words(command: str | list[str]) -> list[str]:
    return shlex.split(command) if isinstance(command, str) else command


def test_every_command_exists(compose: dict[str, Any]) -> None:
    commands = {
        name: words(service["command"]) for name, service in compose["services"].items() if "command" in service
    }
    ours = {name: command for name, command in commands.items() if command[0] == "driftline"}
    assert set(ours) >= {"topics", "worker", "watch", "trainer"}
    for name, command in ours.items():
        assert command[1] in COMMANDS, f"service {name}: {command}"


def test_our_services_have_settings_that_are_accepted(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        if words(service.get("command", "kafka"))[0] == "driftline":
            environ = {key: str(value) for key, value in service["environment"].items()}
            assert Settings.from_env(environ).bootstrap == "kafka:9092", name


def test_ports_are_published_on_loopback_alone(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        for port in service.get("ports", []):
            assert str(port).startswith("127.0.0.1:"), f"service {name} publishes {port}"


def test_services_wait_for_services_that_exist(compose: dict[str, Any]) -> None:
    services = compose["services"]
    for name, service in services.items():
        for needed, terms in service.get("depends_on", {}).items():
            assert needed in services, f"service {name} waits for {needed}"
            if terms["condition"] == "service_healthy":
                assert "healthcheck" in services[needed], f"{needed} has no health check"


def test_volumes_are_declared_and_mounted_files_exist(compose: dict[str, Any], repository: Path) -> None:
    for name, service in compose["services"].items():
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            exists = (repository / source).exists() if source.startswith(".") else source in compose["volumes"]
            assert exists, f"service {name} mounts {source}"


def test_images_are_pinned(compose: dict[str, Any], repository: Path) -> None:
    for service in compose["services"].values():
        assert not service["image"].endswith(":latest")
        assert ":" in service["image"]
    dockerfile = (repository / "Dockerfile").read_text(encoding="utf-8")
    assert "FROM python:3.12-slim" in dockerfile


def test_the_image_does_not_run_as_root(repository: Path) -> None:
    lines = (repository / "Dockerfile").read_text(encoding="utf-8").splitlines()
    users = [line.split()[1] for line in lines if line.startswith("USER ")]
    assert users
    assert users[-1] not in ("root", "0")


def test_the_image_gets_every_package_and_the_lock(repository: Path) -> None:
    ignored = (repository / ".dockerignore").read_text(encoding="utf-8").splitlines()
    for name in ("driftline", "offline", "producers", "schemas", "stream_app", "requirements.lock", "pyproject.toml"):
        assert f"!{name}" in ignored
