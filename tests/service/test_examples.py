import dataclasses

import numpy as np
import pytest

from models.bundle import ModelBundle
from service.examples import piece_of_genre
from service.schemas import EXAMPLE_FEATURES
from tests.bundles import with_centroids


def test_made_piece_lies_at_the_median_distance_towards_the_example(bundle: ModelBundle) -> None:
    for genre, summary in enumerate(bundle.manifest.genres):
        piece = piece_of_genre(bundle, genre)
        assert piece == [round(value, 2) for value in piece]
        way = np.array(piece) - bundle.genres.centroids[genre]
        assert np.linalg.norm(way) == pytest.approx(summary.distance_quantiles[50], abs=0.02)
        assert np.corrcoef(way, EXAMPLE_FEATURES)[0, 1] == pytest.approx(1, abs=0.001)


@pytest.mark.parametrize("side", [-1, 1])
def test_made_piece_can_be_asked_about_wherever_its_genre_is(bundle: ModelBundle, side: int) -> None:
    far = with_centroids(bundle, np.full((10, 68), side * 999.9))
    summary = dataclasses.replace(bundle.manifest.genres[0], distance_quantiles=(5000.0,) * 101)
    manifest = dataclasses.replace(bundle.manifest, genres=(summary,) * 10)
    piece = np.array(piece_of_genre(dataclasses.replace(far, manifest=manifest), 0))
    assert np.abs(piece).max() == 1000.0
    assert len(piece) == 68
