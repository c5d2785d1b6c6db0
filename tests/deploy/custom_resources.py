"""Schemas of the custom resources that are used here: of each the fields that are, and no others.

They were written by hand, for the definitions cannot be had offline and no package carries those that clusters use. So
they find a slip of the pen in a manifest, and not that a field was never one, or is no longer. That was looked at once:
every field of KServe's two resources, and its type, is in the models of its Python package, kserve 0.21. What may be a
protocol or a metric to scale by was read off KServe's definitions, and the ServiceMonitor off Prometheus Operator 0.84.
What these share with pods and Deployments is left open here, for it can be held against Kubernetes' own schemas.
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
COUNT = {"type": "integer", "minimum": 1}
POD_FIELDS = ("automountServiceAccountToken", "enableServiceLinks", "terminationGracePeriodSeconds", "securityContext")
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
    "ServingRuntime": _resource(
        "serving.kserve.io/v1alpha1",
        "ServingRuntime",
        _object(
            {
                "supportedModelFormats": _list(
                    _object({"name": TEXT}, {"version": TEXT, "autoSelect": {"type": "boolean"}})
                ),
                "protocolVersions": _list({"enum": ["v1", "v2", "grpc-v1", "grpc-v2"]}),
                "containers": _list({"type": "object"}),
            },
            {"annotations": WORDS},
        ),
    ),
    "InferenceService": _resource(
        "serving.kserve.io/v1beta1",
        "InferenceService",
        _object(
            {
                "predictor": _object(
                    {
                        "model": _object(
                            {"modelFormat": _object({"name": TEXT}, {"version": TEXT})},
                            {"runtime": NAME, "protocolVersion": {"enum": ["v1", "v2", "grpc-v1", "grpc-v2"]}},
                        )
                    },
                    {
                        "minReplicas": COUNT,
                        "maxReplicas": COUNT,
                        "scaleMetric": {"enum": ["cpu", "memory", "concurrency", "rps"]},
                        "scaleTarget": COUNT,
                        "deploymentStrategy": {"type": "object"},
                        **dict.fromkeys(POD_FIELDS, True),
                    },
                )
            }
        ),
    ),
}


def validate(manifest: Manifest) -> None:
    """Raises jsonschema_rs.ValidationError."""
    jsonschema_rs.validate(SCHEMAS[manifest["kind"]], manifest)
