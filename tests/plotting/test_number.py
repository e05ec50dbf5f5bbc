"""Display of the criterion by which the number of atoms was chosen."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

from skspectral import SpectralDictionaryLearning
from skspectral.datasets import make_tones
from skspectral.plotting import NumberDisplay


def fitted(X, n_components):
    return SpectralDictionaryLearning(n_components, modulation=None).fit(X)


def test_criterion_is_plotted(plt):
    est = fitted(make_tones(100, 64, noise=0.1, random_state=0)[0], "evidence")
    display = NumberDisplay.from_estimator(est)
    assert display.line_.get_ydata()[0] == 0
    assert display.line_.get_xdata()[np.argmax(display.criterion)] == est.n_components_
    assert list(display.chosen_.get_xdata()) == [est.n_components_] * 2
    assert "nats" in display.ax_.get_ylabel()
    share = NumberDisplay.from_estimator(fitted(load_digits().data, 0.5))
    assert "share" in share.ax_.get_ylabel()
    with pytest.raises(ValueError, match="was not chosen"):
        NumberDisplay.from_estimator(fitted(load_digits().data, 3))
