"""Every method of a prior raises an error for entries marked as missing."""

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.mixture import GaussianMixture as TheirMixture

from skspectral.priors import (
    ClassConditionalPrior,
    DiffusionPrior,
    GaussianMixture,
    GaussianPrior,
    LocalContrastPrior,
    ScaledPrior,
)

GATES = {
    "Gaussian": GaussianPrior(),
    "mixture": GaussianMixture(2, random_state=0),
    "by class": ClassConditionalPrior(),
    "scaled": ScaledPrior(TheirMixture(2, random_state=0)),
    "diffusion": DiffusionPrior(max_images=64, width=4),
    "local contrast": LocalContrastPrior(),
}


@pytest.mark.parametrize("kind", ["masked", "NA"])
@pytest.mark.parametrize("name", [*GATES])
def test_codes_that_are_marked_as_missing_are_refused(name, kind):
    X = np.random.default_rng(0).normal(size=(40, 3))
    y, gone = np.arange(40) % 2, X < -1
    if kind == "masked":
        marked = np.ma.masked_array(np.where(gone, -9999, X), gone)
    else:
        marked = pd.DataFrame(X).astype(object).mask(gone, pd.NA)
    with pytest.raises(ValueError, match=rf"^X has {gone.sum()} of 120 entries"):
        clone(GATES[name]).fit(marked, y)
    prior = clone(GATES[name]).fit(X, y)
    for method in ("score_samples", "predict", "predict_proba"):
        if hasattr(prior, method):
            with pytest.raises(ValueError, match=r"^X has .* entries that are"):
                getattr(prior, method)(marked)


@pytest.mark.parametrize("name", ["Gaussian", "mixture", "by class"])
def test_what_is_beside_the_codes_is_refused_by_name(name):
    X, y = np.random.default_rng(0).normal(size=(40, 3)), np.arange(40) % 2
    weights = np.ma.masked_less(np.arange(40.0), 4)
    with pytest.raises(ValueError, match=r"^sample_weight has 4 of 40 entries"):
        clone(GATES[name]).fit(X, y, sample_weight=weights)


@pytest.mark.parametrize("name", ["by class", "diffusion"])
def test_masked_labels_are_no_labels_to_draw_for(name):
    X, y = np.random.default_rng(0).normal(size=(40, 3)), np.arange(40) % 2
    prior = clone(GATES[name]).fit(X, y)
    with pytest.raises(ValueError, match=r"^y has 1 of 2 entries"):
        prior.sample(2, y=np.ma.masked_equal([0, 1], 1))
