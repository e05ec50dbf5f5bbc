"""Our entries: atoms by prior by number of atoms."""
# SPDX-License-Identifier: BSD-3-Clause

import time
import warnings

import numpy as np
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from skspectral import BasisModulation, SpectralDictionaryLearning
from skspectral.priors import (
    ClassConditionalPrior,
    DiffusionPrior,
    GaussianMixture,
    GaussianPrior,
    LocalContrastPrior,
)

ATOMS = {
    "static": {"atoms": "sinusoid", "modulation": None},
    "modulated": {"atoms": "sinusoid"},
    # Further iterations gain little where the waves are many.
    "plane waves": {"atoms": "plane_wave", "modulation": None, "max_iter": 1},
}


# Many small components, each of its own shape: weak shrinkage. The likelihood wants
# more of it, and longer iterations; draws do not.
SMALL = GaussianMixture(100, shrinkage=0.005, tol=1.0, max_iter=3)
# Trained for what is left of the time, minutes: it corrects too little.
DIFFUSION = DiffusionPrior(
    max_images=None,
    max_time=60.0,
    mirror=True,
    gaussian_guidance=1.1,
    random_state=0,
)
PRIORS = {
    "Gaussian": GaussianPrior(),
    "mixture": GaussianMixture(20, covariance="low_rank", rank=40, tol=0.05),
    "by class": ClassConditionalPrior(),
    "mixtures by class": ClassConditionalPrior(SMALL),
    "contrast": LocalContrastPrior(),
    "contrast, mixture": LocalContrastPrior(clone(SMALL).set_params(n_components=500)),
    "contrast by class": LocalContrastPrior(ClassConditionalPrior()),
    "contrast, mixtures by class": LocalContrastPrior(ClassConditionalPrior(SMALL)),
    "diffusion": DIFFUSION,
    "diffusion by class": DIFFUSION,
}
# All atoms are tried with these, the best of them with the others.
PLAIN = ("Gaussian", "mixture", "by class")
N_COMPONENTS = (128, 512, 1024)


def entries(labelled):
    """(number of atoms, atoms, prior) of each."""
    every = [
        (n, atoms, prior) for n in N_COMPONENTS for atoms in ATOMS for prior in PLAIN
    ]
    every += [(512, "plane waves", "mixtures by class")]
    every += [(1024, "plane waves", prior) for prior in PRIORS if prior not in PLAIN]
    # As many waves as there are values: no detail is left out.
    every += [(3072, "plane waves", "diffusion")]
    return [entry for entry in every if labelled or "by class" not in entry[2]]


class Deadline:
    """Callback that stops a fit when the time is over.

    Priors that are trained are told before how much is left.
    """

    def __init__(self, seconds):
        self._end = time.perf_counter() + seconds
        self._told = False

    def setup(self, estimator, context):
        """Nothing to do."""

    teardown = setup

    def on_fit_task_begin(self, estimator, context):
        """Pass the time on."""
        if isinstance(estimator, DiffusionPrior) and not self._told:
            left = self._end - time.perf_counter()
            estimator.set_params(max_time=max(1.0, left))
            self._told = True

    def on_fit_task_end(self, estimator, context, *, metadata=None):
        """Whether to stop."""
        return time.perf_counter() > self._end


class Ours:
    """`SpectralDictionaryLearning` with the interface of the rivals."""

    def __init__(self, n_components, atoms, prior, device="cpu"):
        self.n_components, self.atoms = n_components, atoms
        self.prior, self.device = prior, device

    def fit(self, images, labels, seconds):
        """Fit on uint8 images for at most about so many seconds."""
        deadline = Deadline(seconds)
        prior = clone(PRIORS[self.prior])
        part = prior
        while part is not None:
            if hasattr(part, "set_callbacks"):
                part.set_callbacks(deadline)
            if isinstance(part, DiffusionPrior):
                part.device = self.device
            part = getattr(part, "prior", None)
        self._shape = images.shape[1:]
        rows = images.reshape(len(images), -1).astype(np.float32) / 255
        self.estimator = SpectralDictionaryLearning(
            min(self.n_components, *rows.shape),
            signal_shape=self._shape,
            prior=prior,
            device=self.device,
            random_state=0,
            **ATOMS[self.atoms],
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            wanted = labels if "by class" in self.prior else None
            self.estimator.set_callbacks(deadline).fit(rows, wanted)

    @property
    def n_parameters(self):
        """Numbers that were learned: mean, atoms, prior."""
        n_channels = self._shape[-1]
        of_one = {
            # Amplitude, frequency, phase; or a drift of the first and the last.
            "static": 3,
            "modulated": 1 + 2 * len(BasisModulation().functions(self._shape)[0]),
            # Two frequencies, a phase, and a colour that holds the amplitude.
            "plane waves": 3 + n_channels,
        }[self.atoms]
        n_atoms, n_features = self.estimator.components_.shape
        return n_features + n_atoms * of_one + self.estimator.prior_.n_parameters_

    def sample(self, n_samples, seed):
        """Images from 0 to 1."""
        rows = self.estimator.sample(n_samples, random_state=seed)
        return rows.reshape(-1, *self._shape)
