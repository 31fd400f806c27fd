"""Which Avro schemas may be loaded: those whose decoding is bounded by the bytes at hand.

fastavro follows a recursive schema into the ground, and reads an array of a billion nulls from five bytes.
"""

from __future__ import annotations

from typing import Any, Final

from schemas.errors import SchemaError

MAX_DEPTH: Final = 8
MAX_BRANCHES: Final = 16
_PRIMITIVES: Final = ("null", "boolean", "int", "long", "float", "double", "bytes", "string")


def check_safe(definition: Any, name: str) -> None:
    """Refuse a schema that could be decoded without bound.

    Parameters
    ----------
    definition
        Schema as JSON-able values.
    name
        For the message.

    Raises
    ------
    SchemaError
        When it is recursive, deeper than 8, has more than 16 branches in a union, items of no size, or is malformed.
    """
    _Walk(name).size(definition, "", 1)


class _Walk:
    """One walk over a schema; sizes are the least number of bytes of a value."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.open: set[str] = set()
        self.sizes: dict[str, tuple[int, int]] = {}  # named type -> least size, depth below it

    def refuse(self, detail: str) -> SchemaError:
        return SchemaError(self.name, detail)

    def size(self, node: Any, namespace: str, depth: int) -> tuple[int, int]:
        """Least size in bytes, and levels below and including this node."""
        if depth > MAX_DEPTH:
            raise self.refuse(f"is deeper than {MAX_DEPTH} levels")
        if isinstance(node, str):
            return self._named(node, namespace, depth)
        if isinstance(node, list):
            return self._union(node, namespace, depth)
        if not isinstance(node, dict):
            raise self.refuse(f"{node!r} is no type")
        kind = node.get("type")
        if kind in ("record", "error", "enum", "fixed"):
            return self._declared(node, kind, namespace, depth)
        if kind in ("array", "map"):
            return self._items(node, kind, namespace, depth)
        return self.size(kind, namespace, depth)

    def _named(self, node: str, namespace: str, depth: int) -> tuple[int, int]:
        if node in _PRIMITIVES:
            sizes = {"null": 0, "float": 4, "double": 8}
            return sizes.get(node, 1), 1
        full = node if "." in node or not namespace else f"{namespace}.{node}"
        if full in self.open:
            raise self.refuse(f"is recursive: {full} contains itself")
        if full not in self.sizes:
            raise self.refuse(f"{node!r} is no type")
        if depth + self.sizes[full][1] - 1 > MAX_DEPTH:
            raise self.refuse(f"is deeper than {MAX_DEPTH} levels")
        return self.sizes[full]

    def _union(self, branches: list[Any], namespace: str, depth: int) -> tuple[int, int]:
        if not 1 <= len(branches) <= MAX_BRANCHES:
            raise self.refuse(f"has a union of {len(branches)} branches; allowed are 1 to {MAX_BRANCHES}")
        below = [self.size(branch, namespace, depth + 1) for branch in branches]
        return 1 + min(size for size, _ in below), 1 + max(levels for _, levels in below)

    def _items(self, node: dict[str, Any], kind: str, namespace: str, depth: int) -> tuple[int, int]:
        size, levels = self.size(node.get("items" if kind == "array" else "values"), namespace, depth + 1)
        if kind == "array" and size == 0:
            raise self.refuse("has an array whose items have no size")
        return 1, 1 + levels

    def _declared(self, node: dict[str, Any], kind: str, namespace: str, depth: int) -> tuple[int, int]:
        short = node.get("name")
        if not isinstance(short, str) or not short:
            raise self.refuse(f"has a {kind} without a name")
        inner = short.rpartition(".")[0] or node.get("namespace", namespace)
        full = short if "." in short or not inner else f"{inner}.{short}"
        if full in self.sizes or full in self.open:
            raise self.refuse(f"declares {full} twice")
        self.open.add(full)
        self.sizes[full] = self._body(node, kind, inner, depth)
        self.open.discard(full)
        return self.sizes[full]

    def _body(self, node: dict[str, Any], kind: str, namespace: str, depth: int) -> tuple[int, int]:
        if kind == "enum":
            if not isinstance(node.get("symbols"), list) or not node["symbols"]:
                raise self.refuse(f"has an enum {node['name']} without symbols")
            return 1, 1
        if kind == "fixed":
            size = node.get("size")
            if not isinstance(size, int) or size < 0:
                raise self.refuse(f"has a fixed {node['name']} of size {size!r}")
            return size, 1
        fields = node.get("fields")
        if not isinstance(fields, list) or not all(isinstance(field, dict) for field in fields):
            raise self.refuse(f"has a record {node['name']} without fields")
        below = [self.size(field.get("type"), namespace, depth + 1) for field in fields]
        return sum(size for size, _ in below), 1 + max((levels for _, levels in below), default=0)
