import httpx
import pytest

from models.bundle import ModelBundle


def test_health_names_the_model(client: httpx.Client, bundle: ModelBundle) -> None:
    assert client.get("/health").json() == {"status": "ok", "model_version": bundle.version}


def test_genres_are_described_from_the_manifest(client: httpx.Client, bundle: ModelBundle) -> None:
    reply = client.get("/genres").json()
    assert reply["model_version"] == bundle.version
    genres = reply["genres"]
    assert [genre["genre"] for genre in genres] == list(range(10))
    assert sum(genre["size"] for genre in genres) == 1059
    assert sum(genre["size"] * genre["share_north_of_20"] for genre in genres) == pytest.approx(679)
    for genre, summary in zip(genres, bundle.manifest.genres, strict=True):
        assert [place["country"] for place in genre["places"]] == [place.country for place in summary.places]
        shares = [place["share"] for place in genre["places"]]
        assert shares == sorted(shares, reverse=True)
        assert 1 <= len(shares) <= 5
        assert 0 < sum(shares) <= 1 + 1e-9
