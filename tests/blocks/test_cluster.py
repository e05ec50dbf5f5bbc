"""Fits on a cluster of processes, in which workers and schedulers fail."""

import os
import signal
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from skspectral import SpectralDictionaryLearning

da = pytest.importorskip("dask.array")
distributed = pytest.importorskip("distributed")
cloudpickle = pytest.importorskip("cloudpickle")

pytestmark = [
    pytest.mark.slow,
    # Sockets of processes that were killed are closed late.
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
# The workers cannot import this module: functions in its tests are sent to them.
cloudpickle.register_pickle_by_value(sys.modules[__name__])
N_ROWS, SHAPE = 3000, (8, 8, 3)


def estimator():
    return SpectralDictionaryLearning(
        6, signal_shape=SHAPE, second_moment="dense", modulation=None
    )


def cluster(n_workers=2, **options):
    return distributed.LocalCluster(
        n_workers=n_workers,
        threads_per_worker=1,
        processes=True,
        dashboard_address=":0",
        **options,
    )


@pytest.fixture(scope="module")
def X(patches):
    rng = np.random.default_rng(0)
    return patches[0][rng.integers(0, 600, N_ROWS)] + 0.1 * rng.normal(
        size=(N_ROWS, 192)
    )


@pytest.fixture(scope="module")
def expected(X):
    """The fit with one thread and without a cluster."""
    import dask

    with dask.config.set(scheduler="synchronous"):
        return estimator().fit(lazy(X))


@pytest.fixture(scope="module")
def client():
    with cluster() as two_workers, distributed.Client(two_workers) as client:
        yield client


def lazy(X, chunk=100):
    return da.from_array(X, chunks=(chunk, -1))


def mapped(X, function, **options):
    """Return lazy rows, each block of which passes through a function."""
    return lazy(X).map_blocks(function, dtype=X.dtype, meta=np.empty((0, 0)), **options)


def number(block_info):
    """Return the number of a block."""
    return block_info[0]["chunk-location"][0] if block_info else -1


def test_one_worker_and_two_give_the_same_bits(X, client):
    two = estimator().fit(lazy(X))
    with cluster(1) as one_worker, distributed.Client(one_worker):
        one = estimator().fit(lazy(X))
    np.testing.assert_array_equal(one.moments_.mean, two.moments_.mean)
    for each, other in zip(
        one.moments_.scatter.arrays().values(),
        two.moments_.scatter.arrays().values(),
        strict=True,
    ):
        np.testing.assert_array_equal(each, other)
    np.testing.assert_array_equal(one.components_, two.components_)


@pytest.mark.parametrize("chunk", [100, 250, 999, 3000])
def test_the_model_is_that_of_one_process(X, expected, client, chunk):
    est = estimator().fit(lazy(X, chunk))
    np.testing.assert_allclose(est.components_, expected.components_, atol=1e-8)
    np.testing.assert_allclose(est.moments_.mean, expected.moments_.mean, rtol=1e-12)
    rows = lazy(X, chunk)
    np.testing.assert_allclose(
        est.transform(rows).compute(), est.transform(X), atol=1e-10
    )
    assert est.score(rows) == pytest.approx(est.score(X), rel=1e-9)


def test_a_worker_that_is_killed(X, expected, tmp_path):
    def dies_once(rows, marker=None, block_info=None):
        """Kill the worker that processes block 17, the first time."""
        if number(block_info) == 17 and not Path(marker).exists():
            Path(marker).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return rows

    with cluster() as workers, distributed.Client(workers):
        marker = str(tmp_path / "killed")
        est = estimator().fit(mapped(X, dies_once, marker=marker))
        assert Path(marker).exists()
    np.testing.assert_allclose(est.components_, expected.components_, atol=1e-8)
    assert est.n_samples_seen_ == N_ROWS


def test_a_block_that_raises(X, client):
    def raises(rows, block_info=None):
        if number(block_info) == 21:
            raise OSError("The disk is gone.")
        return rows

    with pytest.raises(OSError, match="The disk is gone"):
        estimator().fit(mapped(X, raises))


def test_a_value_that_is_not_a_number(X, client):
    def spoilt(rows, block_info=None):
        rows = rows.copy()
        if number(block_info) == 731:
            rows[7, 5] = np.nan
        return rows

    rows = da.concatenate([lazy(X, 10)] * 3)
    rows = rows.map_blocks(spoilt, dtype=X.dtype, meta=np.empty((0, 0)))
    with pytest.raises(ValueError, match="row 7 of block 731, which is row 7317 of X"):
        estimator().fit(rows)


def test_a_scheduler_that_is_restarted(X, expected, tmp_path):
    def waits(rows, marker=None, block_info=None):
        """Wait in block 5 as long as the file of a test exists."""
        if number(block_info) == 5:
            Path(f"{marker}.reached").touch()
            while Path(marker).exists():
                time.sleep(0.05)
        return rows

    marker = tmp_path / "wait"
    marker.touch()
    with cluster() as workers, distributed.Client(workers) as client:
        est = estimator().fit(lazy(X[:1000]))
        before = est.components_
        caught = []

        def fit():
            try:
                est.partial_fit(mapped(X[1000:], waits, marker=str(marker)))
            except Exception as error:
                caught.append(error)

        thread = threading.Thread(target=fit)
        thread.start()
        deadline = time.monotonic() + 60
        while not Path(f"{marker}.reached").exists():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        client.restart()
        thread.join(timeout=60)
        assert not thread.is_alive()
        assert caught
        # Nothing is lost, and the same call works on the new scheduler.
        assert est.components_ is before
        assert est.n_samples_seen_ == est.moments_.n_samples == 1000
        marker.unlink()
        est.partial_fit(lazy(X[1000:]))
    assert est.n_samples_seen_ == N_ROWS
    scale = np.abs(expected.moments_.scatter.arrays()["matrix"]).max()
    np.testing.assert_allclose(
        est.moments_.scatter.arrays()["matrix"],
        expected.moments_.scatter.arrays()["matrix"],
        atol=1e-12 * scale,
    )


def test_workers_that_spill_to_the_disk(X, expected, tmp_path):
    import dask

    limits = {
        "distributed.worker.memory.target": 0.01,
        "distributed.worker.memory.spill": 0.9,
        "distributed.worker.memory.pause": False,
        "distributed.worker.memory.terminate": False,
        "temporary-directory": str(tmp_path),
    }
    # One percent of the limit is less than half of the rows, which are persisted.
    with (
        dask.config.set(limits),
        cluster(memory_limit="100 MiB") as workers,
        distributed.Client(workers) as client,
    ):
        rows = lazy(X).persist()
        distributed.wait(rows)
        spilled = client.run(lambda dask_worker: len(dask_worker.data.slow))
        assert all(n > 0 for n in spilled.values())
        est = estimator().fit(rows)
        codes = est.transform(rows).compute()
    np.testing.assert_array_equal(est.components_, expected.components_)
    np.testing.assert_allclose(codes, est.transform(X), atol=1e-10)
