"""Fits to dask arrays and data frames, and lazy results."""

import subprocess
import sys

import numpy as np
import pytest

from skspectral import SpectralDictionaryLearning
from skspectral.metrics import log_spectral_distance
from skspectral.moments import load_moments, save_moments
from skspectral.priors import ClassConditionalPrior, GaussianMixture, GaussianPrior

dask = pytest.importorskip("dask")
da = pytest.importorskip("dask.array")

CHUNKS = [1, 7, 50, 64, 99, 100, 199, 200, (30, 0, 170), (150, 49, 1)]


@pytest.fixture(scope="module")
def X(patches):
    return patches[0][:200].astype(np.float64)


def estimator(n_components=6, **changes):
    options = {"signal_shape": (8, 8, 3), "random_state": 0, "modulation": None}
    return SpectralDictionaryLearning(n_components, **{**options, **changes})


def lazy(X, chunks=50):
    return da.from_array(X, chunks=(chunks, -1))


def unknown(X, chunks=50):
    """Return a dask array of X whose numbers of rows are not known."""
    return lazy(X, chunks)[da.ones(len(X), chunks=(chunks,), dtype=bool)]


@pytest.fixture(scope="module")
def fitted(X):
    return estimator().fit(X)


def scatter(est):
    return est.moments_.scatter.second_moment().dense().numpy()


class TestFit:
    @pytest.mark.parametrize("kind", ["dense", "factor"])
    @pytest.mark.parametrize("chunks", CHUNKS, ids=str)
    def test_the_model_does_not_depend_on_the_chunks(self, X, chunks, kind):
        whole = estimator(second_moment=kind, shrinkage="auto").fit(X)
        est = estimator(second_moment=kind, shrinkage="auto").fit(lazy(X, chunks))
        one, two = est.moments_, whole.moments_
        assert one.scatter.kind == kind
        assert (one.n_samples, one.weight) == (two.n_samples, two.weight)
        scale = np.abs(scatter(whole)).max()
        np.testing.assert_allclose(scatter(est), scatter(whole), atol=1e-12 * scale)
        np.testing.assert_allclose(one.mean, two.mean, rtol=1e-12)
        np.testing.assert_allclose(one.fourth, two.fourth, rtol=1e-12)
        np.testing.assert_allclose(est.components_, whole.components_, atol=1e-8)
        assert est.shrinkage_ == pytest.approx(whole.shrinkage_, rel=1e-9)

    def test_the_form_is_that_of_all_rows(self, X):
        # Blocks of few rows are kept as rows until there are many.
        many = np.concatenate([X, X + 0.01, X - 0.01])
        est = estimator().fit(lazy(many, 20))
        assert est.moments_.scatter.kind == estimator().fit(many).moments_.scatter.kind
        assert est.moments_.scatter.kind == "dense"

    @pytest.mark.parametrize(
        "scheduler",
        ["threads", "synchronous", pytest.param("processes", marks=pytest.mark.slow)],
    )
    def test_the_result_does_not_depend_on_the_scheduler(self, X, scheduler):
        with dask.config.set(scheduler="synchronous"):
            one = estimator(second_moment="dense").fit(lazy(X, 30))
        with dask.config.set(scheduler=scheduler, num_workers=3):
            two = estimator(second_moment="dense").fit(lazy(X, 30))
        np.testing.assert_array_equal(scatter(one), scatter(two))
        np.testing.assert_array_equal(one.components_, two.components_)

    def test_numbers_of_rows_need_not_be_known(self, X):
        est = estimator(second_moment="factor").fit(unknown(X))
        known = estimator(second_moment="factor").fit(lazy(X))
        np.testing.assert_array_equal(est.components_, known.components_)
        assert est.n_samples_seen_ == 200
        # A selection may leave blocks without rows.
        kept = X[:, 0] > np.median(X[:60, 0])
        few = lazy(X, 3)[lazy(kept[:, None], 3)[:, 0]]
        np.testing.assert_allclose(
            estimator().fit(few).explained_variance_ratio_,
            estimator().fit(X[kept]).explained_variance_ratio_,
            rtol=1e-6,
        )

    def test_a_sketch(self, X):
        options = {"second_moment": "sketch", "sketch_size": 100}
        whole = estimator(**options).fit(X)
        est = estimator(**options).fit(lazy(X, (90, 0, 110)))
        assert est.moments_.scatter.kind == "sketch"
        assert est.explained_variance_ratio_.sum() == pytest.approx(
            whole.explained_variance_ratio_.sum(), abs=0.01
        )

    @pytest.mark.parametrize("dtype", [np.float32, np.uint8, np.int16])
    def test_dtypes(self, X, dtype):
        rows = np.round(255 * X).astype(dtype)
        one, two = estimator().fit(rows), estimator().fit(lazy(rows))
        assert one.components_.dtype == two.components_.dtype
        np.testing.assert_allclose(one.components_, two.components_, atol=1e-4)
        result = two.transform(lazy(rows))
        assert result.dtype == result.compute().dtype == two.transform(rows).dtype

    @pytest.mark.parametrize("where", ["memory", "dask", "dask in other chunks"])
    def test_weights(self, X, where):
        weights = np.arange(200.0)
        whole = estimator().fit(X, sample_weight=weights)
        given = weights
        if where != "memory":
            given = da.from_array(weights, chunks=50 if where == "dask" else 33)
        est = estimator().fit(lazy(X), sample_weight=given)
        np.testing.assert_allclose(est.components_, whole.components_, atol=1e-8)
        score = est.score(lazy(X), sample_weight=given)
        assert score == pytest.approx(whole.score(X, sample_weight=weights), rel=1e-9)

    def test_partial_fit_goes_on_from_saved_moments(self, X, tmp_path):
        est = estimator().fit(lazy(X[:120]))
        save_moments(est.moments_, tmp_path / "moments.npz")
        again = estimator().fit_moments(load_moments(tmp_path / "moments.npz"))
        again.partial_fit(lazy(X[120:]))
        est.partial_fit(lazy(X[120:]))
        np.testing.assert_array_equal(est.components_, again.components_)
        assert again.n_samples_seen_ == 200

    def test_fit_transform(self, X, fitted):
        codes = estimator().fit_transform(lazy(X))
        np.testing.assert_allclose(codes.compute(), fitted.transform(X), atol=1e-6)

    def test_data_frames(self, X):
        dataframe = pytest.importorskip("dask.dataframe")
        pandas = pytest.importorskip("pandas")
        frame = pandas.DataFrame(X).add_prefix("pixel ")
        parts = dataframe.from_pandas(frame, npartitions=4)
        est = estimator().fit(parts)
        assert list(est.feature_names_in_) == list(frame.columns)
        whole = estimator().fit(frame)
        np.testing.assert_allclose(est.components_, whole.components_, atol=1e-8)
        np.testing.assert_allclose(
            est.transform(parts).compute(), est.transform(frame), atol=1e-12
        )
        with pytest.raises(ValueError, match="feature names"):
            est.transform(parts.rename(columns={"pixel 3": "other"}))

    def test_xarray(self, X):
        xarray = pytest.importorskip("xarray")
        array = xarray.DataArray(X, dims=("case", "pixel"))
        est = estimator().fit(array.chunk({"case": 50}))
        known = estimator().fit(lazy(X))
        np.testing.assert_array_equal(est.components_, known.components_)
        assert dask.is_dask_collection(est.transform(array.chunk({"case": 50})))
        # Without dask inside it is an array in memory.
        assert isinstance(est.transform(array), np.ndarray)


class TestPriors:
    def test_mixture(self, X):
        one = estimator(prior=GaussianMixture(3)).fit(X)
        two = estimator(prior=GaussianMixture(3)).fit(lazy(X))
        assert two.score(lazy(X)) == pytest.approx(one.score(X), rel=1e-6)
        assert two.bic(lazy(X)) == pytest.approx(one.bic(X), rel=1e-6)

    @pytest.mark.parametrize("collection", [True, False])
    def test_labels(self, X, collection):
        y = np.arange(200) % 3
        labels = da.from_array(y, chunks=70) if collection else y
        prior = ClassConditionalPrior(GaussianPrior())
        one, two = estimator(prior=prior).fit(X, y), estimator(prior=prior)
        two.fit(lazy(X), labels)
        assert two.score(X) == pytest.approx(one.score(X), rel=1e-6)
        with pytest.raises(ValueError, match="y has 9 labels, but X has 200 rows"):
            two.fit(lazy(X), y[:9])

    def test_a_uniform_sample_of_the_rows_does_not_depend_on_the_chunks(
        self, X, monkeypatch
    ):
        monkeypatch.setattr("skspectral.fit_rows._COORDINATE_BYTES", 40 * 8 * 6)
        seen = []

        class Recorder(GaussianMixture):
            def fit(self, X, y=None, sample_weight=None):
                seen.append((X, y, sample_weight))
                return super().fit(X, y, sample_weight)

        weights, y = np.linspace(1, 2, 200), np.arange(200)
        for rows in (lazy(X, 30), lazy(X, 77), lambda: (X[:120], X[120:])):
            est = estimator(prior=Recorder(2)).fit(rows, y, sample_weight=weights)
        for codes, labels, found in seen:
            assert len(codes) == 40
            np.testing.assert_allclose(found, weights[labels])
            np.testing.assert_allclose(codes, est.coordinates(X[labels]), atol=1e-6)
            np.testing.assert_array_equal(labels, seen[0][1])
        assert labels.min() < 60 < 140 < labels.max()


METHODS = [
    "transform",
    "coordinates",
    "score_samples",
    "mahalanobis",
    "denoise",
    "impute",
    "predict_component_proba",
    "predict_component",
]


class TestLazyResults:
    @pytest.mark.parametrize("method", METHODS)
    @pytest.mark.parametrize("collection", [lazy, unknown])
    @pytest.mark.parametrize("dtype", [np.float64, np.float32])
    def test_results(self, fitted, X, method, collection, dtype):
        X = X.astype(dtype)
        expected = getattr(fitted, method)(X)
        result = getattr(fitted, method)(collection(X))
        assert result.dtype == expected.dtype
        assert result.ndim == expected.ndim
        assert result.shape[1:] == expected.shape[1:]
        assert result.numblocks[0] == 4
        assert result._meta.dtype == expected.dtype
        found = result.compute()
        assert found.dtype == expected.dtype
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
        # Each chunk is what it says.
        first = result.blocks[0].compute()
        assert first.dtype == expected.dtype
        assert first.shape == (50, *expected.shape[1:])

    def test_nothing_is_computed_before_it_is_asked_for(self, fitted, X):
        def fail(rows):
            if len(rows):
                raise AssertionError("A block was computed.")
            return rows

        rows = lazy(X).map_blocks(fail, dtype=X.dtype, meta=np.empty((0, 0)))
        for method in METHODS:
            getattr(fitted, method)(rows)
        fitted.sample(10**12, chunks=10**9)

    def test_inverse_transform(self, fitted, X):
        signals = fitted.inverse_transform(fitted.transform(lazy(X)))
        assert signals.shape == X.shape
        expected = fitted.inverse_transform(fitted.transform(X))
        np.testing.assert_allclose(signals.compute(), expected, atol=1e-10)

    @pytest.mark.parametrize("noise_std", [0.1, np.linspace(0.1, 1, 200)], ids=np.ndim)
    def test_arguments_with_one_value_per_row(self, fitted, X, noise_std):
        result = fitted.denoise(lazy(X), noise_std=noise_std).compute()
        expected = fitted.denoise(X, noise_std=noise_std)
        np.testing.assert_allclose(result, expected, atol=1e-10)
        with pytest.raises(ValueError, match="must be finite and >= 0"):
            fitted.denoise(lazy(X), noise_std=-noise_std).compute()

    def test_missing_entries(self, fitted, X):
        gaps = np.where(np.random.default_rng(0).random(X.shape) < 0.2, np.nan, X)
        filled, std = fitted.impute(lazy(gaps), return_std=True)
        expected = fitted.impute(gaps, return_std=True)
        np.testing.assert_allclose(filled.compute(), expected[0], atol=1e-10)
        np.testing.assert_allclose(std.compute(), expected[1], atol=1e-10)
        assert filled.chunks == std.chunks == lazy(gaps).chunks

    def test_blocks_without_rows(self, fitted, X):
        result = fitted.transform(lazy(X, (100, 0, 100)))
        assert result.compute().shape == (200, 6)

    def test_results_stay_those_of_the_fit(self, X):
        est = estimator().fit(X)
        codes, expected = est.transform(lazy(X)), est.transform(X)
        est.set_params(n_components=3).fit(X[:50])
        np.testing.assert_allclose(codes.compute(), expected, atol=1e-10)


class TestSample:
    @pytest.mark.parametrize("chunks", [5000, 1000, 1024, "auto", (4000, 1000)])
    def test_draws_do_not_depend_on_the_chunks(self, fitted, chunks):
        draws = fitted.sample(5000, chunks=chunks, random_state=4)
        assert draws.shape == (5000, 192)
        assert draws.dtype == fitted.sample(1).dtype
        found = draws.compute()
        expected = fitted.sample(5000, chunks=321, random_state=4).compute()
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)
        assert len(np.unique(found[:, 0])) == 5000

    def test_draws_have_the_law_of_the_model(self, fitted):
        draws = fitted.sample(20_000, chunks=3000, random_state=0).compute()
        expected = fitted.sample(20_000, random_state=1)
        np.testing.assert_allclose(draws.std(0), expected.std(0), rtol=0.05)
        np.testing.assert_allclose(draws.mean(0), expected.mean(0), atol=0.02)

    def test_labels(self, X):
        y = np.repeat(["dark", "light"], 100)
        X = X + 10 * (y == "light")[:, None]
        est = estimator(prior=ClassConditionalPrior(GaussianPrior())).fit(X, y)
        light = est.sample(2000, y="light", chunks=300).compute()
        assert light.mean() > 8
        labels = np.repeat(["light", "dark"], 1000)
        both = est.sample(2000, y=labels, chunks=300).compute()
        assert both[:1000].mean() > 8 > both[1000:].mean()
        with pytest.raises(ValueError, match=r"y of shape \(3,\)"):
            est.sample(2000, y=labels[:3], chunks=300)

    @pytest.mark.parametrize("chunks", [(3, 3), "x", -2])
    def test_invalid_chunks(self, fitted, chunks):
        with pytest.raises(ValueError, match="cannot divide n_samples=10 rows"):
            fitted.sample(10, chunks=chunks)

    def test_two_calls_differ(self, fitted):
        one, two = (fitted.sample(3, chunks=3).compute() for _ in range(2))
        assert (one != two).all()


class TestErrors:
    @pytest.mark.parametrize("value", [np.nan, np.inf])
    def test_a_value_that_is_not_finite(self, X, value):
        X = X.copy()
        X[133, 4] = value
        with pytest.raises(ValueError, match="row 33 of block 2, which is row 133"):
            estimator().fit(lazy(X))
        with pytest.raises(ValueError, match=r"row 33 of block 2\. Remove"):
            estimator(second_moment="dense").fit(unknown(X))
        weights = np.ones(200)
        weights[133] = 0
        with pytest.raises(ValueError, match="row 33 of block 2"):
            estimator().fit(lazy(X), sample_weight=weights)

    def test_a_failed_fit_leaves_the_estimator_as_it_was(self, X):
        est = estimator().fit(X)
        before = est.components_
        with pytest.raises(ValueError, match="NaN or infinite values in row"):
            est.partial_fit(lazy(np.full((60, 192), np.nan)))
        assert est.n_samples_seen_ == est.moments_.n_samples == 200
        assert est.components_ is before

    def test_a_block_that_raises(self, X):
        def fail(rows, block_info=None):
            if block_info and block_info[0]["chunk-location"][0] == 2:
                raise OSError("The disk is gone.")
            return rows

        rows = lazy(X).map_blocks(fail, dtype=X.dtype, meta=np.empty((0, 0)))
        with pytest.raises(OSError, match="The disk is gone"):
            estimator().fit(rows)

    def test_blocks_that_are_not_what_they_say(self, X):
        def cut(rows, block_info=None):
            wide = block_info is None or block_info[0]["chunk-location"][0] != 1
            return rows if wide else rows[:, :-1]

        rows = lazy(X).map_blocks(cut, dtype=X.dtype, meta=np.empty((0, 0)))
        with pytest.raises(ValueError, match=r"Block 1 of X has 191 columns, .* 192"):
            estimator().fit(rows)
        mixed = lazy(X).map_blocks(lambda rows: rows.astype("f4"), dtype="f8")
        with pytest.raises(ValueError, match=r"Block \d of X has the type float32"):
            estimator().fit(mixed)

    def test_columns_in_chunks(self, X):
        rows = da.from_array(X, chunks=(50, 64))
        with pytest.warns(UserWarning, match="columns of X are in 3 chunks.*GiB"):
            est = estimator().fit(rows)
        known = estimator().fit(lazy(X))
        np.testing.assert_array_equal(est.components_, known.components_)
        with pytest.warns(UserWarning, match="rechunk"):
            codes = est.transform(rows)
        np.testing.assert_allclose(codes.compute(), est.transform(X), atol=1e-10)

    @pytest.mark.parametrize(
        ("make", "message"),
        [
            (lambda X: lazy(X).reshape(-1, 8, 24), "two axes"),
            (lambda X: lazy(X)[:, 0], "two axes"),
            (lambda X: lazy(X)[:0], "X has 0 rows"),
            (lambda X: lazy(X)[:1], "X has 1 rows|partial_fit of one row"),
            (lambda X: lazy(X).astype(complex), "[Cc]omplex"),
            (lambda X: lazy(np.full(X.shape, "dark")), "could not|numbers|text"),
            (lambda X: lazy(X).T[lazy(X)[0] > -1].T, "number of columns"),
        ],
    )
    def test_invalid_arrays(self, X, make, message):
        with pytest.raises((TypeError, ValueError), match=message):
            estimator().fit(make(X))

    def test_weights_that_do_not_fit(self, X):
        ones = np.ones(200)
        with pytest.raises(ValueError, match="unknown sizes"):
            estimator().fit(unknown(X), sample_weight=ones)
        with pytest.raises(ValueError, match="unknown sizes"):
            estimator().fit(X).denoise(unknown(X), noise_std=ones)
        with pytest.raises(ValueError, match="sample_weight"):
            estimator().fit(lazy(X), sample_weight=ones[:7])
        with pytest.raises(ValueError, match="sample_weight of shape"):
            estimator().fit(lazy(X), sample_weight=da.ones(7))
        with pytest.raises(ValueError, match="has 2 chunks, but X has 4"):
            estimator().fit(unknown(X), sample_weight=da.ones(200, chunks=100))
        with pytest.raises(
            ValueError, match=r"Block \d of sample_weight has .* negative"
        ):
            estimator().fit(lazy(X), sample_weight=-da.ones(200, chunks=50))
        with pytest.raises(ValueError, match="All rows have the weight 0"):
            estimator().fit(lazy(X), sample_weight=da.zeros(200, chunks=50))
        # Chunks that are known for one of the two only are compared block by block.
        with pytest.raises(ValueError, match="has 49 entries, but that of X has 50"):
            estimator().fit(
                unknown(X), sample_weight=da.ones(199, chunks=(49, 50, 50, 50))
            )

    @pytest.mark.parametrize("options", [{"solver": "adam"}, {"stft_weight": 0.1}])
    def test_what_needs_rows_in_memory(self, X, options):
        with pytest.raises(ValueError, match="X comes in blocks"):
            estimator(**options).fit(lazy(X))

    def test_other_features(self, fitted, X):
        for method in METHODS:
            with pytest.raises(ValueError, match="X has 191 features"):
                getattr(fitted, method)(lazy(X)[:, :-1])
        with pytest.raises(ValueError, match="X has 191 features"):
            fitted.score(lazy(X)[:, :-1])

    def test_nothing_is_gathered_silently(self, fitted, X):
        with pytest.raises(TypeError, match=r"lazy collection of dask.*X\.compute"):
            fitted.sample_posterior(lazy(X))
        with pytest.raises(TypeError, match="lazy collection"):
            log_spectral_distance(lazy(X), lazy(X), n_fft=64)
        with pytest.raises(TypeError, match="lazy collection"):
            GaussianMixture(2).fit(lazy(X))
        tables = estimator().set_output(transform="pandas").fit(X)
        with pytest.raises(ValueError, match="would gather the lazy results"):
            tables.transform(lazy(X))


def test_dask_is_imported_for_its_collections_only():
    code = (
        "import sys, numpy, skspectral as s; X = numpy.random.rand(20, 8); "
        "est = s.SpectralDictionaryLearning(2).fit(X); est.score(X); "
        "est.fit(lambda: [X]); est.transform(X); "
        "sys.exit(any(name in sys.modules for name in ('dask', 'h5py', 'zarr')))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
