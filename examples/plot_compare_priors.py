# SPDX-License-Identifier: BSD-3-Clause
"""
Compare priors
==============

Compare three priors by the likelihood of held-out digits and by the digits they draw.

The atoms determine which images the model can draw. The prior, a distribution of the
codes, determines which of these images are likely.
"""

# %%
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skspectral import SpectralDictionaryLearning
from skspectral.metrics import density_coverage, memorization_ratio
from skspectral.plotting import SampleGridDisplay
from skspectral.priors import ClassConditionalPrior, GaussianMixture, GaussianPrior

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.3, random_state=0)

priors = {
    "Gaussian": GaussianPrior(),
    "mixture of 20": GaussianMixture(20, covariance="low_rank", rank=8),
    "Gaussian for each label": ClassConditionalPrior(
        GaussianPrior(shrinkage="ledoit_wolf")
    ),
}

# %%
# Four numbers for each prior
# ---------------------------
# The log-likelihood is that of held-out digits, in nats per pixel. Density and coverage
# compare the drawn digits with held-out digits: a low density means unrealistic digits,
# a low coverage means that kinds of digits are missing. The last number is the distance
# from the drawn digits to the nearest training digits, divided by the same distance of
# held-out digits. A number far below 1 would mean that the prior copies the training
# digits.
figure, axes = plt.subplots(1, 3, figsize=(12, 4.4), layout="constrained")
print(f"{'':23s} log-likelihood  density  coverage  distance")
for (name, prior), panel in zip(priors.items(), axes, strict=True):
    est = SpectralDictionaryLearning(
        40, signal_shape=(8, 8), prior=prior, random_state=0
    ).fit(X_train, y_train)
    drawn = est.sample(len(X_test))
    found = density_coverage(X_test, drawn)
    apart = memorization_ratio(X_train, X_test, drawn)
    print(
        f"{name:23s} {est.score(X_test) / 64:14.3f} {found.density:8.2f} "
        f"{found.coverage:9.2f} {np.round(apart, 2):>9}"
    )
    display = SampleGridDisplay.from_arrays(
        drawn[:25], (8, 8), vmin=0, vmax=16, n_columns=5, ax=panel
    )
    display.axes_[2].set_title(name)
plt.show()
