"""The programs for other engines, where these engines are installed."""

import importlib.util
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from skspectral import SpectralDictionaryLearning

FOLDER = Path(__file__).parents[2] / "examples" / "cluster"
pytestmark = [
    pytest.mark.slow,
    # The engines leave sockets and processes to the end of the program.
    pytest.mark.filterwarnings("ignore"),
]


def load(name):
    spec = importlib.util.spec_from_file_location(name, FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def blocks():
    rng = np.random.default_rng(0)
    return [rng.normal(size=(n, 16)).cumsum(axis=1) for n in (50, 30, 20, 45, 5)]


def assert_fit_is_that_of_all_rows(moments, blocks):
    rows = np.concatenate(blocks)
    assert moments.n_samples == len(rows)
    est, expected = (
        SpectralDictionaryLearning(4, second_moment="dense") for _ in range(2)
    )
    est.fit_moments(moments)
    expected.fit(rows)
    np.testing.assert_allclose(est.components_, expected.components_, atol=1e-8)


def test_ray(blocks):
    ray = pytest.importorskip("ray")
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    try:
        moments = load("ray_moments").ray_moments(blocks)
        assert_fit_is_that_of_all_rows(moments, blocks)
    finally:
        ray.shutdown()


@pytest.mark.skipif(shutil.which("java") is None, reason="Spark needs Java")
def test_spark(blocks, monkeypatch):
    sql = pytest.importorskip("pyspark.sql")
    monkeypatch.setenv("PYSPARK_PYTHON", sys.executable)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))
    spark = sql.SparkSession.builder.master("local[2]").getOrCreate()
    try:
        moments = load("spark_moments").spark_moments(
            spark.sparkContext.parallelize(blocks, 3), 16
        )
        assert_fit_is_that_of_all_rows(moments, blocks)
    finally:
        spark.stop()
