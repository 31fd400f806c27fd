from __future__ import annotations

import pytest

from schemas import errors

CASES = [
    (errors.WorkloadError("w.toml", 3, "is wrong"), "w.toml:3: is wrong", 2),
    (errors.WorkloadError("w.toml", None, "is wrong"), "w.toml: is wrong", 2),
    (errors.SchemaError("score", "x"), "schema score: x", 2),
    (errors.CodecError("garbage"), "garbage", 2),
    (errors.CodecError("garbage", "x"), "garbage: x", 2),
    (errors.SettingsError("A", "x"), "A: x", 2),
    (errors.BundleError("p", "x"), "bundle p: x", 2),
    (errors.LakeError("p", "x"), "lake p: x", 2),
    (errors.TopicError("t", "x"), "topic t: x", 2),
    (errors.BrokerError("h:1", "x"), "broker h:1: x", 3),
]


@pytest.mark.parametrize(("error", "text", "exit_code"), CASES, ids=[text for _, text, _ in CASES])
def test_an_error_is_one_line_with_its_place(error: errors.DriftlineError, text: str, exit_code: int) -> None:
    assert (str(error), error.exit_code) == (text, exit_code)


def test_the_drawn_tree_names_every_error() -> None:
    drawn = errors.__doc__ or ""
    for error, _, _ in CASES:
        assert f"-- {type(error).__name__}" in drawn
