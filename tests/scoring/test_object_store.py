"""A catalogue in an object store, read and written by its own protocol."""

import re
import subprocess
import sys
import time
from collections.abc import Iterator

import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from s3fs import S3FileSystem

from models.bundle import ModelBundle
from tests.conftest import free_port
from tests.scoring.conftest import assert_predicted, made_features, made_table, refused, run_scoring

FILES, ROWS = 5, 200
FEATURES = made_features(FILES * ROWS)


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """What leads to a running object store."""
    log, port = tmp_path_factory.mktemp("store") / "log", free_port()
    command = [sys.executable, "-W", "ignore", "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with log.open("wb") as output, subprocess.Popen(command, stdout=output, stderr=output) as process:
        while not re.search(r"Running on", log.read_text()):
            assert process.poll() is None, log.read_text()
            time.sleep(0.05)
        yield {
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
            "AWS_ACCESS_KEY_ID": "made",
            "AWS_SECRET_ACCESS_KEY": "made",
            "AWS_DEFAULT_REGION": "eu-central-1",
        }
        process.terminate()


@pytest.fixture(scope="module")
def store(environment: dict[str, str]) -> S3FileSystem:
    """The store, with a catalogue in it."""
    store = S3FileSystem(
        key="made",
        secret="made",
        endpoint_url=environment["AWS_ENDPOINT_URL"],
        client_kwargs={"region_name": "eu-central-1"},
    )
    store.mkdir("music")
    table = made_table(FEATURES)
    for number in range(FILES):
        with store.open(f"music/catalogue/{number}.parquet", "wb") as file:
            pq.write_table(table.slice(number * ROWS, ROWS), file)
    return store


def test_catalogue_in_a_store_is_scored_into_it(
    store: S3FileSystem, environment: dict[str, str], bundle: ModelBundle
) -> None:
    run = run_scoring("s3://music/catalogue", "s3://music/scored", "--workers", "2", **environment)
    assert run.returncode == 0, run.stderr
    store.invalidate_cache()
    names = [name.rpartition("/")[2] for name in store.find("music/scored")]
    assert names == ["_SUCCESS", *(f"part-{number:06}.parquet" for number in range(FILES))]
    assert not store.exists("music/scored.partial")
    scored = ds.dataset("music/scored", filesystem=store, format="parquet").to_table()
    assert scored["id"].equals(made_table(FEATURES)["id"])
    assert_predicted(scored, bundle, FEATURES)
    assert "is there already" in refused(run_scoring("s3://music/catalogue", "s3://music/scored", **environment))


def test_what_is_in_no_store_is_said(store: S3FileSystem, environment: dict[str, str]) -> None:
    assert store
    said = refused(run_scoring("s3://music/none", "s3://music/again", **environment))
    assert "s3://music/none: there is no such file" in said
    said = refused(run_scoring("s3://music/catalogue", "s3://no-such-bucket/again", **environment))
    assert "no-such-bucket" in said
