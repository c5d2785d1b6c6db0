"""Everything that is measured: how it is started, and what it is asked.

Each is in the best setting found for it; the file of a peer says which were tried. All that run on uvicorn do so with
httptools and uvloop, one worker and no access log, except this service, which keeps its own.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from benchmarks.serving import forms
from benchmarks.serving.forms import Ask

PEERS = "benchmarks.serving.peers"


@dataclass(frozen=True)
class Stack:
    """A server and what it is asked.

    `environment` is where its packages are installed, None if it is no Python program. In `arguments` are {port},
    {folder} (a temporary one) and {root} (of the project). `files` are written to that folder before the start.
    `prepare` is run by Python once after installing. `pieces` are asked for one vector at a time, `batches` for many.
    """

    name: str
    environment: str | None
    program: str
    arguments: tuple[str, ...]
    pieces: Mapping[str, Ask]
    batches: Mapping[str, Ask] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)
    prepare: tuple[str, ...] = ()
    packages: tuple[str, ...] = ("uvicorn",)
    pinned: bool = True
    scheme: str = "http"

    @property
    def first(self) -> Ask:
        """What is asked to see whether it answers."""
        return next(iter(self.pieces.values()))


def uvicorn(app: str, *options: str) -> tuple[str, ...]:
    """The arguments that have uvicorn serve an app as fast as it can."""
    fast = ("--loop", "uvloop", "--http", "httptools", "--log-level", "warning", "--no-access-log")
    return (app, "--host", "127.0.0.1", "--port", "{port}", *fast, *options)


PROBABILITY = forms.read_field("probability")
CONSTANT = {"vector": Ask("/", forms.write_piece, forms.nothing, forms.nothing)}

OURS = Stack(
    name="music-origin",
    environment="music-origin",
    program="python",
    arguments=("-m", "service", "--host", "127.0.0.1", "--port", "{port}"),  # as `make serve` starts it
    packages=("fastapi", "uvicorn", "numpy"),
    pieces={
        "vector": Ask("/north-of-20?network=hidden", forms.write_piece, PROBABILITY, forms.calibrated),
        "/north-of-20 (places)": Ask("/north-of-20", forms.write_piece, PROBABILITY, forms.places),
        "/origin": Ask("/origin", forms.write_piece, forms.read_likeliest, forms.likeliest),
        "/genre": Ask("/genre", forms.write_piece, forms.read_field("distance"), forms.distance),
    },
    batches={
        "JSON": Ask("/north-of-20/batch?network=hidden", forms.write_json, PROBABILITY, forms.calibrated),
        "CSV": Ask("/north-of-20/batch?network=hidden", forms.write_csv, forms.read_csv, forms.calibrated),
        "npy": Ask("/north-of-20/batch?network=hidden", forms.write_npy, forms.read_npy, forms.calibrated),
        "V2 JSON": Ask(
            "/v2/models/north-of-20/infer",
            forms.write_v2("features", {"network": "hidden"}),
            forms.read_v2,
            forms.calibrated,
        ),
        "V2 binary": Ask(
            "/v2/models/north-of-20/infer",
            forms.write_v2_binary("features", {"network": "hidden"}),
            forms.read_v2_binary,
            forms.calibrated,
        ),
    },
)
WITHOUT_LOG = replace(
    OURS,
    name="music-origin, no access log",
    variables={"MUSIC_ORIGIN_ACCESS_LOG": "false"},
    pieces={"vector": OURS.pieces["vector"]},
    batches={},
)
ONE_WORKER = replace(WITHOUT_LOG, name="music-origin, 1 worker on both cores", variables={}, pinned=False)
TWO_WORKERS = replace(
    ONE_WORKER, name="music-origin, 2 workers on both cores", arguments=(*OURS.arguments, "--workers", "2")
)

FASTAPI_NUMPY = Stack(
    name="FastAPI + pydantic + NumPy",
    environment="fastapi_numpy",
    program="uvicorn",
    arguments=uvicorn(f"{PEERS}.fastapi_numpy:app"),
    packages=("fastapi", "uvicorn", "numpy"),
    pieces={"vector": Ask("/predict", forms.write_piece, PROBABILITY)},
    batches={"JSON": Ask("/predict/batch", forms.write_json, PROBABILITY)},
)
FASTAPI_KERAS = replace(
    FASTAPI_NUMPY,
    name="FastAPI + Keras model.predict",
    environment="fastapi_keras",
    arguments=uvicorn(f"{PEERS}.fastapi_keras:app"),
    packages=("fastapi", "uvicorn", "keras", "tensorflow"),
)
FASTAPI_TF_FUNCTION = replace(FASTAPI_KERAS, name="FastAPI + tf.function", variables={"HIDDEN_BY": "tf.function"})

MLSERVER = Stack(
    name="MLServer",
    environment="mlserver",
    program="mlserver",
    arguments=("start", "{folder}"),
    files={
        "settings.json": """{"http_port": %(port)s, "grpc_port": 0, "host": "127.0.0.1", "debug": false,
            "parallel_workers": 0, "metrics_endpoint": null, "gzip_enabled": false}""",
        "model-settings.json": f'{{"name": "hidden", "implementation": "{PEERS}.mlserver_runtime.Hidden"}}',
    },
    packages=("mlserver",),
    pieces={"vector": Ask("/v2/models/hidden/infer", forms.write_v2("features", {}), forms.read_v2)},
    batches={"V2 JSON": Ask("/v2/models/hidden/infer", forms.write_v2("features", {}), forms.read_v2)},
)
BENTOML = Stack(
    name="BentoML",
    environment="bentoml",
    program="bentoml",
    arguments=("serve", f"{PEERS}.bentoml_service:Hidden", "--host", "127.0.0.1", "--port", "{port}", "--quiet"),
    variables={"BENTOML_DO_NOT_TRACK": "true", "BENTOML_HOME": "/tmp/bentoml"},
    packages=("bentoml",),
    pieces={"vector": Ask("/predict", forms.write_json, PROBABILITY)},
    batches={"JSON": Ask("/predict", forms.write_json, PROBABILITY)},
)
LITSERVE = Stack(
    name="LitServe",
    environment="litserve",
    program="python",
    arguments=("-m", f"{PEERS}.litserve_server", "{port}"),
    packages=("litserve",),
    pieces={"vector": Ask("/predict", forms.write_piece, PROBABILITY)},
    batches={"JSON": Ask("/predict", forms.write_json, PROBABILITY)},
)
MLFLOW = Stack(
    name="MLflow",
    environment="mlflow",
    program="mlflow",
    arguments=(
        *("models", "serve", "--model-uri", "{root}/.bench/mlflow/model", "--env-manager", "local"),
        *("--host", "127.0.0.1", "--port", "{port}", "--workers", "1"),
    ),
    prepare=("-m", f"{PEERS}.mlflow_model", "{root}/.bench/mlflow/model"),
    packages=("mlflow",),
    pieces={"vector": Ask("/invocations", forms.write_inputs, forms.read_field("predictions"))},
    batches={"JSON": Ask("/invocations", forms.write_inputs, forms.read_field("predictions"))},
)
RAY = Stack(
    name="Ray Serve",
    environment="ray",
    program="python",
    arguments=("-m", f"{PEERS}.ray_serve", "{port}"),
    variables={
        "RAY_SERVE_THROUGHPUT_OPTIMIZED": "1",
        "RAY_AUTH_MODE": "disabled",
        "RAY_raylet_start_wait_time_s": "90",
    },
    packages=("ray",),
    pieces={"vector": Ask("/", forms.write_piece, PROBABILITY)},
    batches={"JSON": Ask("/", forms.write_json, PROBABILITY)},
)

FLOOR = Stack(
    name="bare ASGI + msgspec + NumPy",
    environment="floor",
    program="uvicorn",
    arguments=uvicorn(f"{PEERS}.floor:app"),
    packages=("uvicorn", "msgspec", "numpy"),
    pieces={"vector": Ask("/", forms.write_piece, PROBABILITY)},
)
UVICORN = replace(
    FLOOR,
    name="uvicorn, a constant",
    arguments=uvicorn(f"{PEERS}.constant:app"),
    packages=("uvicorn",),
    pieces=CONSTANT,
)
NGINX = Stack(
    name="nginx, a constant",
    environment=None,
    program="/usr/sbin/nginx",
    arguments=("-p", "{folder}", "-c", "{folder}/nginx.conf"),
    files={
        "nginx.conf": """daemon off; master_process off; pid nginx.pid; error_log stderr;
            events {}
            http { access_log off; keepalive_requests 1000000000;
                server { listen 127.0.0.1:%(port)s; location / { return 200 '{"probability":0.5}'; } } }"""
    },
    packages=(),
    pieces=CONSTANT,
)

SERVING_SYSTEMS = (MLSERVER, BENTOML, LITSERVE, MLFLOW, RAY)
STACKS = (
    *(OURS, WITHOUT_LOG, ONE_WORKER, TWO_WORKERS, FASTAPI_NUMPY, FASTAPI_TF_FUNCTION, FASTAPI_KERAS),
    *(*SERVING_SYSTEMS, FLOOR, UVICORN, NGINX),
)
QUICK = (OURS, ONE_WORKER, TWO_WORKERS, FASTAPI_NUMPY, FASTAPI_KERAS, MLSERVER, FLOOR)
