import numpy as np
import pytest

from training import kmeans, notebook
from training.dataset import Dataset
from training.networks import History


@pytest.fixture(scope="module")
def curves(dataset: Dataset) -> notebook.CostCurves:
    return notebook.cost_curves(dataset.features, 0)


def test_histories_fall_over_ten_iterations(curves: notebook.CostCurves) -> None:
    assert list(curves.histories) == [3, 5, 10, 20]
    for costs in curves.histories.values():
        assert costs.shape == (20, 10)
        assert (np.diff(costs, axis=1) <= 1e-9).all()
        assert len(set(costs[:, 0])) == 20
    assert (np.diff([costs.mean(axis=0) for costs in curves.histories.values()], axis=0) < 0).all()


def test_scree_has_single_runs_and_the_best_of_ten(curves: notebook.CostCurves, dataset: Dataset) -> None:
    assert curves.scree_runs.shape == (20, 3)
    assert curves.scree_best.shape == (20,)
    assert curves.scree_best[0] == pytest.approx(67.568, abs=5e-4)
    assert curves.scree_best[9] == kmeans.fit(dataset.features, 10, seed=0).cost
    assert (np.diff(curves.scree_best) < 0).all()
    assert (curves.scree_best <= curves.scree_runs.min(axis=1) + 1e-9).all()


def test_fewer_rows_have_fewer_clusters() -> None:
    curves = notebook.cost_curves(np.random.default_rng(0).normal(size=(12, 4)), 0)
    assert list(curves.histories) == [3, 5, 10]
    assert len(curves.scree_best) == 12


def test_claims_are_read_off_the_histories() -> None:
    epochs = np.arange(1, 121)
    simple, hidden, losses = (np.zeros((120, 2, 2), np.float32) for _ in range(3))
    simple[..., 1] = (epochs / 200)[:, None]
    hidden[..., 0] = 0.9
    hidden[:, 0, 1] = 0.7 - np.abs(epochs - 30) / 1000
    hidden[:, 1, 1] = 0.8 - np.abs(epochs - 50) / 1000
    losses[:, 0, 1] = (epochs - 20.0) ** 2
    losses[:, 1, 1] = (epochs - 30.0) ** 2
    costs = {10: np.array([[50.0, 48, 47, 46, 46, 46, 45, 45, 45, 45]] * 2)}
    curves = notebook.CostCurves(costs, np.empty(0), np.array([60.0, 50, 46, 44, 43.5, 42]))
    claims = notebook.check_claims(curves, {"simple": History(simple, simple), "hidden": History(hidden, losses)})
    assert claims.early_share.mean == pytest.approx(0.8)
    assert claims.early_excess.mean == pytest.approx(1 / 45)
    assert claims.drop_ratios == pytest.approx((0.4, 0.5, 0.25, 3.0))
    assert claims.simple_maximum.mean == claims.simple_at_100.mean == pytest.approx(0.5)
    assert claims.hidden_maximum.mean == pytest.approx(0.75)
    assert claims.hidden_at_40.mean == pytest.approx(0.74)
    assert (claims.hidden_maximum.least, claims.hidden_maximum.greatest) == pytest.approx((0.7, 0.8))
    assert claims.hidden_least_loss_epoch.mean == pytest.approx(25)
    assert claims.hidden_loss_at_100.mean > claims.hidden_loss_at_40.mean
