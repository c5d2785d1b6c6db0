"""Schemas of the custom resources that are used here: of each only the fields that are, and those in full.

They were written down from the definitions of KServe 0.21 and of Prometheus Operator 0.84.
"""

from typing import Any

import jsonschema_rs

from tests.deploy.manifests import Manifest

NAME = {"type": "string", "pattern": r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$"}
WORDS = {"type": "object", "additionalProperties": {"type": "string"}}


def _object(required: dict[str, Any], optional: dict[str, Any] | None = None) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": required | (optional or {}),
        "required": list(required),
        "additionalProperties": False,
    }


def _resource(version: str, kind: str, spec: dict[str, Any]) -> dict[str, Any]:
    metadata = _object({"name": NAME}, {"labels": WORDS, "annotations": WORDS})
    return _object({"apiVersion": {"const": version}, "kind": {"const": kind}, "metadata": metadata, "spec": spec})


def _list(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items, "minItems": 1}


TEXT = {"type": "string"}
COUNT = {"type": "integer", "minimum": 0}
SECRET_KEY = _object({"name": NAME, "key": TEXT})
SCHEMAS = {
    "ServiceMonitor": _resource(
        "monitoring.coreos.com/v1",
        "ServiceMonitor",
        _object(
            {
                "selector": _object({"matchLabels": WORDS}),
                "endpoints": _list(
                    _object(
                        {"port": TEXT},
                        {
                            "path": {"type": "string", "pattern": "^/"},
                            "interval": {"type": "string", "pattern": "^[0-9]+s$"},
                            "authorization": _object({"credentials": SECRET_KEY}, {"type": TEXT}),
                        },
                    )
                ),
            }
        ),
    ),
}


def validate(manifest: Manifest) -> None:
    """Raises jsonschema_rs.ValidationError."""
    jsonschema_rs.validate(SCHEMAS[manifest["kind"]], manifest)
