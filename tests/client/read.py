"""What a record of the client says, read with the schema file by a library that the client does not use."""

from __future__ import annotations

import io
import json
from importlib.resources import files
from typing import Any

from fastavro import schemaless_reader

SCHEMA = json.loads(files("tocsin").joinpath("_avro", "telemetry_batch.avsc").read_text("utf-8"))


def record(value: bytes) -> dict[str, Any]:
    """The whole record, single-object framing taken off."""
    found: Any = schemaless_reader(io.BytesIO(value[10:]), SCHEMA, None)
    return dict(found)


def exemplars(value: bytes) -> dict[int, bytes]:
    """Row -> trace id."""
    return {found["row"]: found["trace_id"] for found in record(value)["exemplars"]}
