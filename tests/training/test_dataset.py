import errno
import hashlib
import io
import os
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import numpy as np
import pytest

from training import dataset as module
from training.dataset import FILE_NAME, Dataset, DatasetError, download, load_dataset
from training.places import COUNTRIES


def zipped(content: bytes, name: str = f"Geographical Original of Music/{FILE_NAME}") -> bytes:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as members:
        members.writestr("Geographical Original of Music/default_plus_chromatic_features_1059_tracks.txt", "1,2\n")
        members.writestr(name, content)
    return archive.getvalue()


def damaged(archive: bytes) -> bytes:
    data_start = archive.index(FILE_NAME.encode()) + len(FILE_NAME)
    return archive[:data_start] + bytes(4) + archive[data_start + 4 :]


@pytest.fixture
def made(made_lines: list[str], monkeypatch: pytest.MonkeyPatch) -> bytes:
    """A made data set that is taken for the published one."""
    content = ("\n".join(made_lines) + "\n").encode()
    monkeypatch.setattr(module, "SHA256", hashlib.sha256(content).hexdigest())
    monkeypatch.delenv("MUSIC_ORIGIN_DATA", raising=False)
    return content


def test_published_data_are_as_described(dataset: Dataset) -> None:
    assert dataset.features.shape == (1059, 68)
    assert dataset.north_of_20.sum() == 679
    assert (dataset.features.min(), dataset.features.max()) == pytest.approx((-6.86, 12.72), abs=0.005)
    assert set(zip(dataset.latitude.tolist(), dataset.longitude.tolist(), strict=True)) == set(COUNTRIES)


def test_split_is_seeded_and_has_800_and_259_rows(dataset: Dataset) -> None:
    split = dataset.split(0)
    assert (len(split.training), len(split.validation)) == (800, 259)
    assert sorted([*split.training, *split.validation]) == list(range(1059))
    np.testing.assert_array_equal(split.training, dataset.split(0).training)
    assert not np.array_equal(split.training, dataset.split(1).training)


def test_text_and_archive_read_the_same(made: bytes, tmp_path: Path) -> None:
    text, archive = tmp_path / "data.txt", tmp_path / "data.zip"
    text.write_bytes(made)
    archive.write_bytes(zipped(made))
    first, second = load_dataset(text), load_dataset(archive)
    np.testing.assert_array_equal(first.features, second.features)
    assert first.sha256 == second.sha256 == hashlib.sha256(made).hexdigest()
    assert first.north_of_20.sum() == 40


def test_variable_names_the_file_or_its_folder(made: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / FILE_NAME).write_bytes(made)
    for path in (tmp_path, tmp_path / FILE_NAME):
        monkeypatch.setenv("MUSIC_ORIGIN_DATA", str(path))
        assert len(load_dataset()) == 60


def test_other_data_are_refused_unless_allowed(made_lines: list[str], tmp_path: Path) -> None:
    path = tmp_path / "own.txt"
    path.write_text("\n".join(made_lines[:30]))
    with pytest.raises(DatasetError, match=r"own\.txt is not the published data set .* pass --no-verify"):
        load_dataset(path)
    assert len(load_dataset(path, verify=False)) == 30


def edited(line: str, column: int, value: str) -> str:
    fields = line.split(",")
    fields[column] = value
    return ",".join(fields)


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        (0, "x", "line 3, column 1: not a number"),
        (67, "", "line 3, column 68: not a number"),
        (5, "1_0", "line 3, column 6: not a number"),
        (5, "nan", "line 3, column 6: not a finite number"),
        (5, "-inf", "line 3, column 6: not a finite number"),
        (5, "1e400", "line 3, column 6: not a finite number"),
        (5, "1e6", "line 3: feature 6 must be a finite number between -1000 and 1000"),
        (5, "1,2", "line 3: 71 comma-separated values in place of 70"),
        (68, "90.5", "line 3: the latitude must be between -90 and 90 degrees"),
        (69, "-180.5", "line 3: the longitude must be between -180 and 180 degrees"),
    ],
)
def test_wrong_line_is_named(made_lines: list[str], tmp_path: Path, column: int, value: str, message: str) -> None:
    path = tmp_path / "own.txt"
    path.write_text("\n".join([*made_lines[:2], edited(made_lines[2], column, value), *made_lines[3:]]))
    with pytest.raises(DatasetError, match=message):
        load_dataset(path, verify=False)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"\n \n", "is empty"),
        (b"\xff\xfe\x00", "is not a text file"),
        (zipped(b"1", name="other.txt"), f"has no {FILE_NAME} in it"),
        (b"PK\x05\x06" + bytes(18), f"has no {FILE_NAME} in it"),
        (damaged(zipped(b"1,2\n")), "is not a whole zip archive"),
        (zipped(b"1,2\n")[:-30], "is not a whole zip archive"),
    ],
)
def test_what_is_no_data_set_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "own.txt"
    path.write_bytes(content)
    with pytest.raises(DatasetError, match=message):
        load_dataset(path, verify=False)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"none\.txt cannot be read \(No such file or directory\)"):
        load_dataset(tmp_path / "none.txt")


def test_too_few_rows_to_split_are_refused(made_lines: list[str], tmp_path: Path) -> None:
    path = tmp_path / "own.txt"
    path.write_text("\n".join(made_lines[:2]))
    with pytest.raises(DatasetError, match="has 2 rows: at least 3 are needed"):
        load_dataset(path, verify=False)


class Archive(BaseHTTPRequestHandler):
    """Serves an archive whole at /whole, cut off at /cut, something else at /other, and nothing elsewhere."""

    content: bytes

    def do_GET(self) -> None:
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/whole")
            self.end_headers()
            return
        bodies = {
            "/whole": self.content,
            "/cut": self.content[:-100],
            "/other": zipped(b"1,2"),
            "/page": b"<html>",
        }
        body = bodies.get(self.path)
        self.send_response(404 if body is None else 200)
        self.send_header("Content-Length", str(len(self.content if self.path == "/cut" else body or b"")))
        self.end_headers()
        self.wfile.write(body or b"")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def host(made: bytes) -> Iterator[str]:
    Archive.content = zipped(made)
    with HTTPServer(("127.0.0.1", 0), Archive) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.parametrize("path", ["whole", "moved"])
def test_download_is_checked_and_kept(host: str, made: bytes, tmp_path: Path, path: str) -> None:
    destination = tmp_path / "cache" / FILE_NAME
    download(destination, (f"{host}/{path}",))
    assert destination.read_bytes() == made
    assert list(destination.parent.iterdir()) == [destination]


@pytest.mark.parametrize("broken", ["missing", "cut", "other", "page"])
def test_second_address_is_tried(host: str, made: bytes, tmp_path: Path, broken: str) -> None:
    destination = tmp_path / FILE_NAME
    download(destination, (f"{host}/{broken}", f"{host}/whole"))
    assert destination.read_bytes() == made


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        ("missing", "404"),
        ("cut", "peer closed connection"),
        ("other", "another SHA-256"),
        ("page", "not a whole zip archive"),
    ],
)
def test_broken_download_leaves_nothing_behind(host: str, tmp_path: Path, broken: str, reason: str) -> None:
    with pytest.raises(DatasetError, match=rf"could not be downloaded .*{reason}.* name it with --data"):
        download(tmp_path / "cache" / FILE_NAME, (f"{host}/{broken}",))
    assert list(tmp_path.iterdir()) == []


def test_no_network_is_said(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"could not be downloaded .*: check the network"):
        download(tmp_path / FILE_NAME, ("http://127.0.0.1:9/archive.zip",))


def test_cache_is_filled_once_and_then_used(
    host: str, made: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert made
    monkeypatch.setattr(module, "cached_file", lambda: tmp_path / "cache" / FILE_NAME)
    monkeypatch.setattr(module, "download", lambda path: download(path, (f"{host}/whole",)))
    assert len(load_dataset()) == 60
    monkeypatch.setattr(module, "download", lambda _: pytest.fail("downloaded twice"))
    assert len(load_dataset()) == 60


def test_download_onto_a_full_disk_leaves_nothing_behind(
    host: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full_disk(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(DatasetError, match=r"cannot be written \(No space left on device\)"):
        download(tmp_path / FILE_NAME, (f"{host}/whole",))
    assert list(tmp_path.iterdir()) == []


def test_unwritable_cache_is_said(host: str, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    with pytest.raises(DatasetError, match=r"cannot be written \(File exists\)"):
        download(tmp_path / "cache" / FILE_NAME, (f"{host}/whole",))
