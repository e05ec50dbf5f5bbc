"""Cross-validation from the moments of one pass."""

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    KFold,
    LeaveOneGroupOut,
    RepeatedKFold,
    ShuffleSplit,
    StratifiedKFold,
    TimeSeriesSplit,
    cross_val_score,
)

from skspectral import SpectralDictionaryLearning, SpectralDictionaryLearningCV
from skspectral.blocks.moments_pass import MomentsPass
from skspectral.metrics import explained_variance, reconstruction_scorer
from skspectral.model_selection import moments_cv
from skspectral.moments import Moments
from skspectral.priors import GaussianMixture, GaussianPrior

GRID = {"n_components": [2, 6, 12], "shrinkage": [None, 0.2]}


@pytest.fixture(scope="module")
def X(patches):
    return patches[0][:240].astype(np.float64)


def estimator(**changes):
    options = {"signal_shape": (8, 8, 3), "random_state": 0, "modulation": None}
    return SpectralDictionaryLearning(6, **{**options, **changes})


def moments_of(rows, weights=None):
    return Moments(rows.shape[1], torch.device("cpu")).update(rows, weights)


class TestScoresFromMoments:
    @pytest.mark.parametrize(
        "options",
        [
            {},
            {"whiten": True, "modulation": "basis"},
            {"center": False},
            {"shrinkage": "auto"},
            {"ridge": 0.1},
            {"windows": 2},
            {"n_components": 192, "atoms": "sinusoid", "shrinkage": 0.1},
            {"prior": GaussianPrior("low_rank", rank=3)},
        ],
        ids=str,
    )
    @pytest.mark.parametrize("weighted", [False, True])
    def test_the_scores_are_those_of_the_rows(self, X, options, weighted):
        est = estimator().set_params(**options).fit(X[:160])
        rows = X[160:]
        weights = np.arange(80.0) if weighted else None
        moments = moments_of(rows, weights)
        expected = est.score(rows, sample_weight=weights)
        assert est.score_moments(moments) == pytest.approx(expected, rel=1e-9)
        if weighted:
            rows = np.repeat(rows, np.arange(80), axis=0)
        back = est.inverse_transform(est.transform(rows))
        fraction = est.explained_variance_moments(moments)
        assert fraction == pytest.approx(explained_variance(rows, back), abs=1e-9)

    @pytest.mark.parametrize("form", ["factor", "sketch"])
    def test_forms(self, X, form):
        est = estimator().fit(X[:160])
        other = estimator(second_moment=form, sketch_size=80).fit(X[160:])
        assert est.score_moments(other.moments_) == pytest.approx(
            est.score(X[160:]), rel=1e-6 if form == "factor" else 0.05
        )

    def test_invalid_moments(self, X):
        est = estimator().fit(X)
        for method in (est.score_moments, est.explained_variance_moments):
            with pytest.raises(TypeError, match="moments of type ndarray"):
                method(X)
            with pytest.raises(ValueError, match=r"191 features, but .* 192"):
                method(moments_of(X[:, 1:]))
            with pytest.raises(ValueError, match="moments have no rows"):
                method(moments_of(X[:0]))
        mixture = estimator(prior=GaussianMixture(2, random_state=0)).fit(X)
        with pytest.raises(TypeError, match="no function of the moments"):
            mixture.score_moments(moments_of(X))


GROUPS = np.arange(240) // 70
SPLITTERS = [
    3,
    KFold(4, shuffle=True, random_state=0),
    ShuffleSplit(3, test_size=0.2, train_size=0.5, random_state=0),
    RepeatedKFold(n_splits=3, n_repeats=2, random_state=0),
    TimeSeriesSplit(3),
    GroupKFold(2),
    LeaveOneGroupOut(),
    StratifiedKFold(3),
    [(np.arange(100), np.arange(50, 240)), (np.arange(9, 200, 2), [0, 1, 1])],
]


class TestFolds:
    @pytest.mark.parametrize("cv", SPLITTERS, ids=lambda cv: type(cv).__name__)
    @pytest.mark.parametrize("weighted", [False, True])
    def test_moments_are_those_of_the_rows(self, X, cv, weighted):
        weights = np.linspace(0, 1, 240) if weighted else None
        y = np.arange(240) % 3
        groups = GROUPS if "Group" in type(cv).__name__ else None
        folds = moments_cv(X, cv, y=y, groups=groups, sample_weight=weights)
        splits = cv
        if isinstance(cv, int):
            splits = KFold(cv)
        if not isinstance(splits, list):
            splits = list(splits.split(X, y, groups))
        assert len(folds) == len(splits)
        for sets, found in zip(splits, folds, strict=True):
            for rows, moments in zip(sets, found, strict=True):
                rows = np.unique(rows)
                given = None if weights is None else weights[rows]
                expected = moments_of(X[rows], given)
                assert moments.n_samples == len(rows)
                assert moments.weight == pytest.approx(expected.weight)
                np.testing.assert_allclose(moments.mean, expected.mean, rtol=1e-10)
                for one, two in (
                    (moments.covariance(), expected.covariance()),
                    (moments.fourth, expected.fourth),
                ):
                    one, two = (
                        each if isinstance(each, float) else each.dense()
                        for each in (one, two)
                    )
                    np.testing.assert_allclose(one, two, rtol=1e-8, atol=1e-9)
        assert folds.total().n_samples == 240

    def test_each_row_is_used_once(self, X, monkeypatch):
        used = []
        call = MomentsPass.__call__

        def counted(self, block):
            used.append(len(block.rows))
            return call(self, block)

        monkeypatch.setattr(MomentsPass, "__call__", counted)
        search = SpectralDictionaryLearningCV(estimator(), GRID, cv=5).fit(X)
        assert sum(used) == len(X)
        assert len(search.cv_results_["params"]) == 6

    @pytest.mark.parametrize("cv", SPLITTERS[:3], ids=lambda cv: type(cv).__name__)
    @pytest.mark.parametrize("weighted", [False, True])
    @pytest.mark.parametrize("source", ["dask", "zarr"])
    def test_rows_in_blocks(self, X, tmp_path, cv, weighted, source):
        weights = np.linspace(0, 1, 240) if weighted else None
        if source == "dask":
            rows = pytest.importorskip("dask.array").from_array(X, chunks=(50, -1))
        else:
            zarr = pytest.importorskip("zarr")
            rows = zarr.create_array(
                tmp_path / "x", shape=X.shape, chunks=(50, 192), dtype=X.dtype
            )
            rows[:] = X
        options = {"cv": cv, "sample_weight": weights}
        for one, two in zip(
            moments_cv(X, **options), moments_cv(rows, **options), strict=True
        ):
            for ours, theirs in zip(one, two, strict=True):
                assert ours.n_samples == theirs.n_samples
                np.testing.assert_allclose(
                    ours.covariance().dense(), theirs.covariance().dense(), atol=1e-12
                )
        search = SpectralDictionaryLearningCV(estimator(), GRID, cv=cv)
        expected = clone(search).fit(X, sample_weight=weights)
        search.fit(rows, sample_weight=weights)
        assert search.best_params_ == expected.best_params_
        np.testing.assert_allclose(
            search.cv_results_["mean_test_score"],
            expected.cv_results_["mean_test_score"],
            rtol=1e-6,
        )
        assert search.transform(rows).shape == (
            240,
            search.best_estimator_.n_components_,
        )

    def test_blocks_that_cannot_be_divided(self, X):
        search = SpectralDictionaryLearningCV(estimator(), GRID)
        with pytest.raises(ValueError, match="number of rows of X is not known"):
            search.fit(lambda: [X])
        rows = pytest.importorskip("dask.array").from_array(X, chunks=(50, -1))
        with pytest.raises(ValueError, match="number of rows of X is not known"):
            search.fit(rows[rows[:, 0] > 0.5])
        bad = X.copy()
        bad[133, 4] = np.nan
        rows = pytest.importorskip("dask.array").from_array(bad, chunks=(50, -1))
        with pytest.raises(ValueError, match="row 33 of block 2, which is row 133"):
            search.fit(rows)

    def test_moments_are_not_changed_by_fits(self, X):
        folds = moments_cv(X, 3, estimator=estimator(second_moment="dense"))
        before = [train.covariance().dense().clone() for train, _ in folds]
        for train, _ in folds:
            estimator(shrinkage=0.3).fit_moments(train)
        folds.total()
        for (train, _), expected in zip(folds, before, strict=True):
            np.testing.assert_array_equal(train.covariance().dense(), expected)

    @pytest.mark.parametrize("dtype", [np.uint8, np.float32])
    def test_dtypes(self, X, dtype):
        rows = (255 * X).astype(dtype)
        grid, est = {"n_components": [3, 5]}, estimator()
        search = SpectralDictionaryLearningCV(est, grid).fit(rows)
        reference = GridSearchCV(est, grid).fit(rows)
        assert search.best_estimator_.components_.dtype == np.float32
        np.testing.assert_allclose(
            search.cv_results_["mean_test_score"],
            reference.cv_results_["mean_test_score"],
            rtol=1e-3,
        )


class TestSearch:
    @pytest.mark.parametrize("scoring", ["log_likelihood", "explained_variance"])
    @pytest.mark.parametrize("form", ["dense", "factor"])
    def test_the_results_are_those_of_grid_search(self, X, scoring, form):
        est = estimator(second_moment=form)
        cv = KFold(3, shuffle=True, random_state=1)
        search = SpectralDictionaryLearningCV(est, GRID, cv=cv, scoring=scoring).fit(X)
        scorer = None
        if scoring == "explained_variance":
            scorer = reconstruction_scorer(explained_variance)
        reference = GridSearchCV(est, GRID, cv=cv, scoring=scorer).fit(X)
        assert search.best_params_ == reference.best_params_
        assert search.n_splits_ == 3
        table = reference.cv_results_
        assert set(search.cv_results_) == set(table) - {
            "mean_score_time",
            "std_score_time",
        }
        for name, column in search.cv_results_.items():
            if name.endswith("test_score"):
                np.testing.assert_allclose(column, table[name], rtol=1e-5, atol=1e-7)
            elif name.startswith("param"):
                assert list(column) == list(table[name])
        best, expected = search.best_estimator_, reference.best_estimator_
        np.testing.assert_allclose(best.components_, expected.components_, atol=1e-7)
        np.testing.assert_allclose(search.transform(X), best.transform(X))
        np.testing.assert_allclose(
            search.inverse_transform(search.transform(X)),
            best.inverse_transform(best.transform(X)),
        )
        assert search.score(X) == pytest.approx(best.score(X))
        assert len(search.score_samples(X)) == len(X)
        assert list(search.get_feature_names_out()) == list(
            best.get_feature_names_out()
        )

    def test_grids_of_several_parts(self, X):
        grid = [
            {"n_components": [3], "atoms": ["plane_wave", "sinusoid"]},
            {"shrinkage": ["auto"]},
        ]
        search = SpectralDictionaryLearningCV(estimator(), grid).fit(X)
        reference = GridSearchCV(estimator(), grid).fit(X)
        for name in ("param_n_components", "param_shrinkage"):
            one, two = search.cv_results_[name], reference.cv_results_[name]
            np.testing.assert_array_equal(one.mask, two.mask)
        np.testing.assert_allclose(
            search.cv_results_["mean_test_score"],
            reference.cv_results_["mean_test_score"],
            rtol=1e-5,
        )

    def test_weights(self, X):
        counts = np.arange(240) % 3
        halves = [(np.arange(120), np.arange(120, 240))]
        repeated = np.repeat(np.arange(240), counts)
        split = [(np.flatnonzero(repeated < 120), np.flatnonzero(repeated >= 120))]
        one = SpectralDictionaryLearningCV(estimator(), GRID, cv=halves)
        two = clone(one).set_params(cv=split)
        one.fit(X, sample_weight=counts.astype(float))
        two.fit(X[repeated])
        np.testing.assert_allclose(
            one.cv_results_["mean_test_score"],
            two.cv_results_["mean_test_score"],
            rtol=1e-6,
        )

    def test_groups_and_several_processes(self, X):
        search = SpectralDictionaryLearningCV(estimator(), GRID, cv=LeaveOneGroupOut())
        one = search.fit(X, groups=GROUPS).cv_results_
        two = search.set_params(n_jobs=2).fit(X, groups=GROUPS).cv_results_
        np.testing.assert_allclose(
            one["mean_test_score"], two["mean_test_score"], rtol=1e-9
        )
        assert search.n_splits_ == 4

    def test_defaults(self, X):
        search = SpectralDictionaryLearningCV().fit(X[:, :20])
        assert list(search.cv_results_["param_n_components"]) == [4, 8, 16]
        assert search.n_splits_ == 5
        search = SpectralDictionaryLearningCV(refit=False).fit(X[:, :3])
        assert search.best_params_ == {"n_components": 3}
        with pytest.raises(AttributeError, match="refit=False"):
            search.transform(X[:, :3])

    def test_names_of_features(self, X):
        pandas = pytest.importorskip("pandas")
        frame = pandas.DataFrame(X).add_prefix("pixel ")
        search = SpectralDictionaryLearningCV(estimator(), GRID).fit(frame)
        search.transform(frame)
        assert list(search.feature_names_in_) == list(frame.columns)
        with pytest.raises(ValueError, match="feature names"):
            search.transform(frame.rename(columns={"pixel 3": "other"}))

    def test_it_can_be_cross_validated_itself(self, X):
        search = SpectralDictionaryLearningCV(estimator(), GRID, cv=2)
        assert np.isfinite(cross_val_score(search, X, cv=2)).all()

    @pytest.mark.parametrize(
        ("grid", "message"),
        [
            ({"second_moment": ["dense", "factor"]}, "all settings share the moments"),
            ({"solver": ["auto", "adam"]}, "solver='adam'"),
            ({"stft_weight": [0.1]}, "stft_weight"),
            ({"prior": [GaussianMixture(2)]}, "fit_moments needs a prior"),
            ({"n_atoms": [3]}, "n_atoms"),
            ({"n_components": [500]}, "n_components=500"),
        ],
    )
    def test_invalid_grids(self, X, grid, message):
        with pytest.raises(ValueError, match=message):
            SpectralDictionaryLearningCV(estimator(), grid).fit(X)

    def test_invalid_splits(self, X):
        search = SpectralDictionaryLearningCV(estimator(), GRID)
        for cv, message in (
            ([([0], [1, 2])], "training set has 1 rows"),
            ([([0, 1], [])], "test set has 0 rows"),
        ):
            with pytest.raises(ValueError, match=message):
                search.set_params(cv=cv).fit(X)
        weights = np.zeros(240)
        weights[:40] = 1
        with pytest.raises(ValueError, match="entries of sample_weight are zero"):
            search.set_params(cv=3).fit(X, sample_weight=weights)
        with pytest.raises(ValueError, match="scoring"):
            search.set_params(scoring="likelihood").fit(X)
