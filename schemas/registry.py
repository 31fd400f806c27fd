"""The file registry: which schema stands behind the id in a record's first five bytes.

Ids of driftline's own records are written down in ``registry.json`` with the fingerprint they stand for. Ids of
event schemas follow from the schema itself, so every process that has the same workload agrees without a server.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import fastavro

from schemas.avro import event_schema, fingerprint, record_schema, without_logical_types
from schemas.errors import SchemaError
from schemas.safety import check_safe
from schemas.workload import Workload

REGISTRY_FILE: Final = Path(__file__).parent / "registry.json"
FIRST_EVENT_ID: Final = 1_000


@dataclass(frozen=True, eq=False)
class Schema:
    """One schema under its id.

    Parameters
    ----------
    name
        Event topic, or record name like "score".
    schema_id
        The 32-bit number in the wire format.
    definition
        Avro schema with docs and logical types.
    is_event
        Whether it belongs to an event topic.
    """

    name: str
    schema_id: int
    definition: Mapping[str, Any]
    is_event: bool

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of the canonical schema."""
        return fingerprint(dict(self.definition))

    @cached_property
    def parsed(self) -> Any:
        """For fastavro; times are plain integers."""
        return fastavro.parse_schema(without_logical_types(dict(self.definition)))

    @cached_property
    def parsed_array(self) -> Any:
        """An array of such records, for fastavro."""
        record = without_logical_types(dict(self.definition))
        return fastavro.parse_schema({"type": "array", "items": record})

    @cached_property
    def header(self) -> bytes:
        """The five bytes before every record: magic 0 and the id."""
        return b"\0" + self.schema_id.to_bytes(4, "big")


def event_schema_id(definition: Any) -> int:
    """The 31-bit id of an event schema: from its fingerprint, at least 1000.

    Examples
    --------
    >>> from schemas.workload import load_workload
    >>> w = load_workload("subscription_churn")
    >>> event_schema_id(event_schema(w, w.topics[0])) >= FIRST_EVENT_ID
    True
    """
    return FIRST_EVENT_ID + int(fingerprint(definition)[:16], 16) % ((1 << 31) - FIRST_EVENT_ID)


class FileRegistry:
    """Schemas by name and by id.

    Parameters
    ----------
    schemas
        Current schemas, names unique.
    older
        Schemas of the same names under which earlier records were written.

    Raises
    ------
    SchemaError
        When a schema is unsafe, or two share an id.
    """

    def __init__(self, schemas: Iterable[Schema], older: Iterable[Schema] = ()) -> None:
        self._by_name: dict[str, Schema] = {}
        self._by_id: dict[int, Schema] = {}
        for schema in schemas:
            if schema.name in self._by_name:
                raise SchemaError(schema.name, "is there twice")
            self._by_name[schema.name] = schema
            self._add(schema)
        for schema in older:
            self._add(schema)

    def _add(self, schema: Schema) -> None:
        check_safe(dict(schema.definition), schema.name)
        other = self._by_id.setdefault(schema.schema_id, schema)
        if other.fingerprint != schema.fingerprint:
            raise SchemaError(schema.name, f"has id {schema.schema_id}, which is the id of {other.name}")

    @classmethod
    def fixed(cls) -> FileRegistry:
        """Only driftline's own records."""
        return cls(_fixed())

    @classmethod
    def for_workload(cls, workload: Workload, older: Iterable[Workload] = ()) -> FileRegistry:
        """Driftline's own records and the event topics of a workload.

        Parameters
        ----------
        workload
            The current one.
        older
            Earlier versions of it whose records still stand in the topics.
        """
        return cls([*_fixed(), *_events(workload)], [schema for earlier in older for schema in _events(earlier)])

    def named(self, name: str) -> Schema:
        """The current schema of an event topic or record.

        Raises
        ------
        SchemaError
            When there is none.
        """
        try:
            return self._by_name[name]
        except KeyError:
            raise SchemaError(name, f"is not in the registry; there are {', '.join(self._by_name)}") from None

    def by_id(self, schema_id: int) -> Schema | None:
        """The schema under an id, None when it is not ours."""
        return self._by_id.get(schema_id)

    def schemas(self) -> tuple[Schema, ...]:
        """All current schemas."""
        return tuple(self._by_name.values())


def _events(workload: Workload) -> list[Schema]:
    definitions = {topic.name: event_schema(workload, topic) for topic in workload.topics}
    return [Schema(name, event_schema_id(definition), definition, True) for name, definition in definitions.items()]


def _fixed() -> list[Schema]:
    schemas = []
    for name, entry in json.loads(REGISTRY_FILE.read_text(encoding="utf-8")).items():
        schema = Schema(name, entry["id"], record_schema(name), False)
        if schema.fingerprint != entry["fingerprint"]:
            raise SchemaError(
                name, f"has changed since id {schema.schema_id} was given; a changed record needs a new id"
            )
        schemas.append(schema)
    return schemas
