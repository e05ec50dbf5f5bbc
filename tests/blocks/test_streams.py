"""Fits to arrays in files, functions that yield blocks, and data loaders."""

import threading
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from sklearn.callback import AutoPropagatedCallback
from torch.utils.data import DataLoader, TensorDataset

from skspectral import SpectralDictionaryLearning
from skspectral.blocks import stream
from skspectral.priors import GaussianMixture


@pytest.fixture(scope="module")
def X(patches):
    return patches[0][:200].astype(np.float32)


def estimator(**changes):
    options = {"signal_shape": (8, 8, 3), "random_state": 0, "modulation": None}
    return SpectralDictionaryLearning(6, **{**options, **changes})


def cut(X, size=30):
    return lambda: (X[start : start + size] for start in range(0, len(X), size))


@contextmanager
def hdf5(X, path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(path / "x.h5", "w") as file:
        file.create_dataset("x", data=X, chunks=(30, X.shape[1]))
        file.create_dataset("contiguous", data=X)
        yield file


def sources(X, path):
    """Yield all kinds of X that hold the same rows."""
    zarr = pytest.importorskip("zarr")
    array = zarr.create_array(
        path / "x.zarr", shape=X.shape, chunks=(30, 64), dtype=X.dtype
    )
    array[:] = X
    yield array
    yield cut(X)
    yield lambda: [(torch.from_numpy(X[:3]), "label"), (torch.from_numpy(X[3:]), "")]
    yield DataLoader(TensorDataset(torch.from_numpy(X)), batch_size=40)
    memory = np.memmap(path / "x.bin", X.dtype, "w+", shape=X.shape)
    memory[:] = X
    yield np.memmap(path / "x.bin", X.dtype, "r", shape=X.shape)
    with hdf5(X, path) as file:
        yield file["x"]
        yield file["contiguous"]


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint8])
def test_every_source_gives_the_result_of_an_array(X, tmp_path, dtype, monkeypatch):
    # Blocks of 40 rows in float32.
    monkeypatch.setattr(stream, "BLOCK_BYTES", 40 * 4 * 192)
    monkeypatch.setattr("skspectral.blocks.stored.BLOCK_BYTES", 40 * 4 * 192)
    X = (255 * X).astype(dtype)
    whole, weights = estimator().fit(X), np.arange(200.0)
    weighted = estimator().fit(X, sample_weight=weights)
    for source in sources(X, tmp_path):
        est = estimator().fit(source)
        assert est.n_samples_seen_ == 200
        assert est.components_.dtype == whole.components_.dtype
        np.testing.assert_allclose(est.components_, whole.components_, atol=1e-4)
        score = whole.score(source, sample_weight=weights)
        assert score == pytest.approx(whole.score(X, sample_weight=weights), rel=1e-6)
        for method in ("transform", "denoise", "score_samples", "predict_component"):
            one, two = (getattr(whole, method)(rows) for rows in (X, source))
            assert isinstance(two, np.ndarray)
            assert one.dtype == two.dtype
            np.testing.assert_allclose(two, one, rtol=1e-4, atol=1e-4)
        noise = np.linspace(0.1, 1, 200)
        one, two = (whole.denoise(rows, noise_std=noise) for rows in (X, source))
        np.testing.assert_allclose(two, one, rtol=1e-4, atol=1e-4)
        est.fit(source, sample_weight=weights)
        np.testing.assert_allclose(est.components_, weighted.components_, atol=1e-4)
        est.partial_fit(source)
        assert est.n_samples_seen_ == 400


def test_priors_that_need_rows(X):
    one, two = (estimator(prior=GaussianMixture(2)).fit(rows) for rows in (X, cut(X)))
    assert two.score(X) == pytest.approx(one.score(X), rel=1e-4)


def test_missing_entries(X):
    gaps = np.where(np.random.default_rng(0).random(X.shape) < 0.2, np.nan, X)
    est = estimator().fit(X)
    for one, two in zip(
        est.impute(gaps, return_std=True),
        est.impute(cut(gaps), return_std=True),
        strict=True,
    ):
        np.testing.assert_allclose(one, two, atol=1e-5)


def test_a_few_blocks_are_in_memory_at_a_time(X, monkeypatch):
    monkeypatch.setattr(stream, "BLOCK_BYTES", 1)
    alive, most, lock = 0, 0, threading.Lock()

    class Rows(np.ndarray):
        """Rows that count how many of their kind are in memory."""

        def __del__(self):
            nonlocal alive
            if self.base is None:
                with lock:
                    alive -= 1

    def blocks():
        nonlocal alive, most
        for i in range(50):
            rows = np.ndarray.__new__(Rows, (4, 192), np.float32)
            rows[:] = X[4 * i : 4 * i + 4]
            with lock:
                alive += 1
                most = max(alive, most)
            yield rows
            del rows

    estimator().fit(blocks)
    assert 2 <= most <= 5


def test_the_next_block_is_read_while_one_is_used(X, monkeypatch):
    monkeypatch.setattr(stream, "BLOCK_BYTES", 1)
    read = threading.Event()

    def blocks():
        yield X[:100]
        read.set()
        yield X[100:]

    def first_column(rows, shared):
        # The first block is used until the second one has been read.
        assert read.wait(timeout=30)
        return rows[:, 0]

    found = stream.StreamBlocks(blocks).map(
        first_column, None, {}, example=X[:, 0], name="test"
    )
    np.testing.assert_array_equal(found, X[:, 0])


class Progress(AutoPropagatedCallback):
    """Callback that counts the steps of each stage."""

    def __init__(self):
        self.totals, self.steps = {}, {}

    def on_fit_begin(self, estimator):
        pass

    def on_fit_task_begin(self, estimator, context, **options):
        self.totals.setdefault(context.task_name, context.max_subtasks)

    def on_fit_task_end(self, estimator, context, **options):
        name = context.task_name
        self.steps[name] = self.steps.get(name, 0) + 1

    def on_fit_end(self, estimator, context=None):
        pass


@pytest.mark.parametrize(("size", "n_blocks"), [(40, 5), (64, 4)])
def test_progress_has_a_total_that_is_reached(X, size, n_blocks):
    loader = DataLoader(TensorDataset(torch.from_numpy(X)), batch_size=size)
    progress = Progress()
    estimator().set_callbacks(progress).fit(loader)
    assert progress.totals["moments"] == n_blocks
    assert progress.steps["moments step"] == n_blocks


class TestErrors:
    def test_a_value_that_is_not_finite(self, X):
        X = X.copy()
        X[133, 4] = np.nan
        # The blocks are joined, but the error counts them as they came.
        with pytest.raises(ValueError, match="row 13 of block 4, which is row 133"):
            estimator().fit(cut(X))
        est = estimator().fit(X[:100])
        np.testing.assert_allclose(est.transform(cut(X)), est.transform(X), atol=1e-5)
        X[133, 4] = np.inf
        with pytest.raises(ValueError, match="infinity"):
            est.transform(cut(X))

    @pytest.mark.parametrize(
        ("blocks", "message"),
        [
            (lambda X: [], "X has no blocks"),
            (lambda X: [X[:0]], "X has no rows"),
            (lambda X: [X[:1]], "X has 1 rows|of one row"),
            (lambda X: [X, X[:, :-1]], "Block 1 of X has 191 columns, .* have 192"),
            (lambda X: [X, X.astype(float)], "Block 1 of X has the type float64, .*32"),
            (lambda X: [X, X.reshape(-1, 8, 24)], "Block 1 of X cannot be used"),
            (lambda X: [["a", "b"]], "Block 0 of X cannot be used"),
            (lambda X: [X, X + 1j], "Block 1 of X cannot be used.*[Cc]omplex"),
        ],
    )
    def test_invalid_blocks(self, X, blocks, message):
        with pytest.raises((ValueError, TypeError), match=message):
            estimator().fit(lambda: blocks(X))

    def test_an_iterator_can_be_read_once_only(self, X):
        with pytest.raises(TypeError, match="a function that returns such an iterator"):
            estimator().fit(X[:50] for _ in range(3))
        blocks = iter([X, X])
        with pytest.raises(ValueError, match="each call of it must return a new"):
            estimator().fit(lambda: blocks if blocks.__length_hint__() > 1 else [])

    @pytest.mark.parametrize("returned", [None, 3, np.ones((4, 192)), torch.ones(4, 2)])
    def test_a_function_that_returns_no_blocks(self, X, returned):
        with pytest.raises(TypeError, match=r"must return an iterator over blocks"):
            estimator().fit(lambda: returned)

    def test_an_error_of_the_source(self, X):
        def blocks():
            yield X[:100]
            raise OSError("The disk is gone.")

        with pytest.raises(OSError, match="The disk is gone"):
            estimator().fit(blocks)

    @pytest.mark.parametrize("n", [199, 201])
    def test_weights_of_another_length(self, X, n):
        with pytest.raises(ValueError, match=f"sample_weight has {n} entries.* 200"):
            estimator().fit(cut(X), sample_weight=np.ones(n))

    def test_rows_in_random_order(self, X):
        data = TensorDataset(torch.from_numpy(X))
        shuffled = DataLoader(data, batch_size=10, shuffle=True)
        assert estimator().fit(shuffled).n_samples_seen_ == 200
        with pytest.raises(ValueError, match="shuffle=False"):
            estimator().fit(shuffled, sample_weight=np.ones(200))
        with pytest.raises(ValueError, match="y has one entry per row, but the Data"):
            estimator().fit(shuffled, np.arange(200))

    def test_an_array_in_a_file_with_three_axes(self, X, tmp_path):
        with (
            hdf5(X.reshape(-1, 8, 24)[:, :, 0], tmp_path) as file,
            pytest.raises(ValueError, match=r"features|signal_shape"),
        ):
            estimator().fit(file["x"])
        zarr = pytest.importorskip("zarr")
        array = zarr.create_array(
            tmp_path / "3.zarr", shape=(9, 8, 3), chunks=(3, 8, 3), dtype="f4"
        )
        with pytest.raises(ValueError, match=r"X of shape \(9, 8, 3\) must have two"):
            estimator().fit(array)
