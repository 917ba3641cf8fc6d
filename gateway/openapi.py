"""OpenAPI: what may be asked of the public port, and what it answers, as OpenAPI 3.1 at `/openapi.json`.

What: one table of operations, by path; the description is made of those whose routes are there. Why: whoever writes a client
needs the contract, and tests can hold the running gateway against it. It refuses a route that the table does not know.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from aiohttp import web

from gateway import limits, parts
from gateway.answers import as_json
from gateway.identity import WRITE, Identity
from gateway.remotewrite.route import PATH as REMOTE_WRITE
from gateway.script import PATH as SCRIPT
from gateway.telemetry import PATH as TELEMETRY
from gateway.uploads import APPEND, COMPLETE, EACH, OFFSET
from gateway.uploads import PATH as UPLOADS
from schemas.limits import BATCH_MEASUREMENTS, LABEL_KEY_CHARS, LABEL_VALUE_CHARS, LABELS, METRIC_CHARS, UNIT_CHARS
from schemas.records import MEASURE_KINDS, SOURCE_KINDS

PATH: Final = "/openapi.json"
VERSION: Final = "1"
PROTOBUF: Final = "application/x-protobuf"
JSON: Final = "application/json"
#: Paths of OTLP; what they take and answer differs in the message alone.
OTLP: Final = ("/v1/metrics", "/v1/logs", "/v1/traces")

Plain = dict[str, Any]

_BYTES: Final[Plain] = {}  # of a body that is no JSON: anything
_TEXT: Final[Plain] = {"type": "string"}
_COUNT: Final[Plain] = {"type": "integer", "minimum": 0}
_TEXTS: Final[Plain] = {
    "type": "object",
    "maxProperties": LABELS,
    "propertyNames": {"maxLength": LABEL_KEY_CHARS},
    "additionalProperties": {"type": "string", "maxLength": LABEL_VALUE_CHARS},
}


def _object(needed: list[str], **properties: Plain) -> Plain:
    return {"type": "object", "required": needed, "additionalProperties": False, "properties": properties}


SCHEMAS: Final[Mapping[str, Plain]] = {
    "Measurement": _object(
        ["metric", "value", "time_ms"],
        metric={"type": "string", "minLength": 1, "maxLength": METRIC_CHARS},
        kind={"enum": list(MEASURE_KINDS)},
        unit={"type": "string", "maxLength": UNIT_CHARS},
        labels=_TEXTS,
        value={"type": "number"},
        time_ms={"type": "integer", "minimum": 0, "maximum": 2**53 - 1},
        outcome={"enum": ["good", "bad", None]},
        trace_id={"type": "string", "pattern": "^([0-9a-f]{32})?$"},
    ),
    "Batch": _object(
        ["measurements"],
        source=_TEXT,
        boot=_TEXT,
        sequence={"type": "integer", "minimum": 0, "maximum": 2**63 - 1},
        sent_ms={"type": "integer", "minimum": 0, "maximum": 2**53 - 1},
        resource=_object(
            [],
            **dict.fromkeys(("service", "version", "environment", "region"), _TEXT),
            source_kind={"enum": list(SOURCE_KINDS)},
            attributes=_TEXTS,
        ),
        measurements={
            "type": "array",
            "minItems": 1,
            "maxItems": BATCH_MEASUREMENTS,
            "items": {"$ref": "#/components/schemas/Measurement"},
        },
    ),
    "Verdicts": _object(
        ["stored", "rejected", "retry", "verdicts"],
        stored=_COUNT,
        rejected=_COUNT,
        retry=_COUNT,
        spooled=_COUNT,
        verdicts={
            "type": "array",
            "maxItems": limits.RECORDS,
            "items": _object(
                ["status"],
                status={"enum": ["stored", "duplicate", "spooled", "retry", "rejected"]},
                reason=_TEXT,
                detail=_TEXT,
                byte={"type": "integer", "minimum": -1},
            ),
        },
    ),
    "Appended": _object(
        ["offset", "complete", "stored", "spooled", "rejected"],
        offset=_COUNT,
        complete={"type": "boolean"},
        stored=_COUNT,
        spooled=_COUNT,
        rejected=_COUNT,
    ),
    "Refusal": _object(["error", "detail"], error=_TEXT, detail=_TEXT),
    "Status": {"type": "object", "description": "google.rpc.Status"},
}
REFUSED: Final[Mapping[int, str]] = {
    400: "the request as a whole is wrong, and stays so",
    401: "credentials are needed, or not known",
    403: "these credentials may not do this",
    404: "there is nothing here",
    405: "another method is expected",
    408: "not in time: send it again when Retry-After is over",
    413: "more than a limit",
    415: "a content type or content encoding that is not known",
    429: "over a quota: send it again when Retry-After is over",
    500: "the gateway failed; it has written down why",
    503: "not now: send it again when Retry-After is over",
}
_RETRY_AFTER: Final[Plain] = {"Retry-After": {"schema": {"type": "integer", "minimum": 1}}}


def _ref(name: str) -> Plain:
    return {"$ref": f"#/components/schemas/{name}"}


def _content(schema: Plain, *kinds: str) -> Plain:
    return {kind: {"schema": schema} for kind in kinds}


def _refusals(schema: Plain, *kinds: str) -> dict[str, Plain]:
    """Of every status; those after which one may try again say when."""
    return {
        str(status): {"description": told, "content": _content(schema, *kinds)}
        | ({"headers": _RETRY_AFTER} if status in (408, 429, 503) else {})
        for status, told in REFUSED.items()
    }


def _header(name: str, schema: Plain, needed: bool = True) -> Plain:
    return {"name": name, "in": "header", "required": needed, "schema": schema}


_ENCODING: Final = _header(
    "Content-Encoding", {"enum": ["gzip", "deflate", "zstd", "snappy", "identity"]}, needed=False
)
_OWN: Final = _refusals(_ref("Refusal"), JSON)
_FAR: Final[Plain] = {OFFSET: {"schema": _COUNT}, COMPLETE: {"schema": {"enum": ["?0", "?1"]}}}
_VERDICTS: Final = _content(_ref("Verdicts"), JSON)
_UPLOAD: Final[Plain] = {"name": "upload", "in": "path", "required": True, "schema": _TEXT}

_OTLP_OPERATION: Final[Plain] = {
    "post": {
        "summary": "OTLP over HTTP",
        "parameters": [_ENCODING],
        "requestBody": {"content": _content(_BYTES, PROTOBUF) | _content({"type": "object"}, JSON)},
        "responses": {
            "200": {
                "description": "Kafka has what was accepted; partialSuccess tells the rest",
                "content": _content({"type": "object"}, JSON) | _content(_BYTES, PROTOBUF),
            },
            **_refusals(_ref("Status"), JSON, PROTOBUF),
        },
    }
}
#: By path of a route; one that ends with a slash has a parameter behind it.
OPERATIONS: Final[Mapping[str, Plain]] = {
    TELEMETRY: {
        "post": {
            "summary": "batches of measurements, each with a verdict",
            "parameters": [_ENCODING],
            "requestBody": {
                "required": True,
                "content": _content(_BYTES, parts.ONE, parts.SEVERAL, "text/plain")
                | _content({"oneOf": [_ref("Batch"), {"type": "array", "items": _ref("Batch")}]}, JSON),
            },
            "responses": {
                "200": {"description": "Kafka has every accepted record", "content": _VERDICTS},
                "202": {"description": "some wait for Kafka on the gateway's disk", "content": _VERDICTS},
                **_OWN,
            },
        }
    },
    UPLOADS: {
        "post": {
            "summary": "begin an upload that goes on where it breaks off",
            "responses": {
                "201": {"description": "Location is its path", "headers": {**_FAR, "Location": {"schema": _TEXT}}},
                **_OWN,
            },
        }
    },
    EACH: {
        "parameters": [_UPLOAD],
        "patch": {
            "summary": "append records from an offset on",
            "parameters": [_header(OFFSET, _COUNT), _header(COMPLETE, {"enum": ["?0", "?1"]})],
            "requestBody": {"content": _content(_BYTES, APPEND)},
            "responses": {
                "200": {"description": "how far it is", "content": _content(_ref("Appended"), JSON), "headers": _FAR},
                **_OWN,
                "409": {
                    "description": "another offset is expected: that of the header",
                    "content": _content(_ref("Refusal"), JSON),
                },
            },
        },
        "head": {
            "summary": "how far an upload is",
            "responses": {
                "204": {"description": "the offset from which to go on", "headers": _FAR},
                **{status: {"description": answer["description"]} for status, answer in _OWN.items()},
            },
        },
        "delete": {
            "summary": "forget an upload; what was stored stays",
            "responses": {"204": {"description": "forgotten"}, **_OWN},
        },
    },
    REMOTE_WRITE: {
        "post": {
            "summary": "Prometheus remote write, 1.0 and 2.0",
            "requestBody": {"required": True, "content": _content(_BYTES, PROTOBUF)},
            "responses": {"204": {"description": "Kafka has every sample"}, **_OWN},
        }
    },
    SCRIPT: {
        "get": {
            "summary": "what a web page loads",
            "security": [],
            "responses": {
                "200": {"description": "the script", "content": _content(_TEXT, "text/javascript")},
                "304": {"description": "the browser has it"},
                **_OWN,
            },
        }
    },
    PATH: {
        "get": {
            "summary": "this description",
            "security": [],
            "responses": {"200": {"description": "OpenAPI 3.1", "content": _content({"type": "object"}, JSON)}, **_OWN},
        }
    },
    **dict.fromkeys(OTLP, _OTLP_OPERATION),
}


def described(paths: list[str]) -> Plain:
    """The description of these routes. Raises KeyError for one that is not in the table."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Tocsin gateway",
            "version": VERSION,
            "description": "Telemetry in over HTTP. 2xx says that Kafka, or a synced disk, has what was accepted.",
        },
        "paths": {path + "{upload}" * path.endswith("/"): OPERATIONS[path] for path in sorted(paths)},
        "components": {
            "schemas": SCHEMAS,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "description": f"an API key, or a JWT with {WRITE}"},
                "key": {"type": "apiKey", "in": "query", "name": "key", "description": "a key made for browsers"},
                "certificate": {"type": "mutualTLS", "description": "a device's own"},
            },
        },
        "security": [{}, {"bearer": []}, {"key": []}, {"certificate": []}],
    }


class Description:
    """The route's work."""

    def __init__(self, paths: list[str]) -> None:
        self._plain = described(paths)

    async def __call__(self, request: web.BaseRequest, identity: Identity) -> web.StreamResponse:
        """The same for everybody."""
        return as_json(200, self._plain)
