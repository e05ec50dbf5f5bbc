"""Objects to display, and pyplot without a screen."""

import matplotlib as mpl
import numpy as np
import pytest
from sklearn.datasets import load_digits

from skspectral import SpectralDictionaryLearning


@pytest.fixture(autouse=True)
def plt():
    mpl.use("Agg")
    import matplotlib.pyplot as plt

    yield plt
    plt.close("all")


@pytest.fixture(scope="session")
def digits():
    X, y = load_digits(return_X_y=True)
    est = SpectralDictionaryLearning(
        8, signal_shape=(8, 8), atoms="sinusoid", random_state=0
    )
    return est.fit(X), X, y


@pytest.fixture(scope="session")
def colours():
    X = np.random.default_rng(0).uniform(size=(60, 6, 5, 3)).cumsum(axis=1) / 6
    X = X.reshape(60, -1)
    shape = {"signal_shape": (6, 5, 3), "atoms": "plane_wave", "max_iter": 200}
    return SpectralDictionaryLearning(6, random_state=0, **shape).fit(X), X


@pytest.fixture(scope="session")
def sounds():
    X = np.random.default_rng(0).normal(size=(60, 32)).cumsum(axis=1)
    est = SpectralDictionaryLearning(6, sampling_rate=100.0, random_state=0)
    return est.fit(X), X
