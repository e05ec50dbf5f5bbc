"""Models of this package: combinations of atoms, prior and number of atoms."""
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
    # With many waves, further iterations improve the fit only slightly.
    "plane waves": {"atoms": "plane_wave", "modulation": None, "max_iter": 1},
}


# Weak shrinkage keeps the shape of each of the many small components. Stronger
# shrinkage and more iterations would raise the likelihood, but not improve draws.
SMALL = GaussianMixture(100, shrinkage=0.005, tol=1.0, max_iter=3)
# `Deadline` sets ``max_time``. After minutes of training, the network's correction is
# too small, hence the guidance.
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
# These priors are combined with all atoms, the other priors only with plane waves.
FOR_ALL_ATOMS = ("Gaussian", "mixture", "by class")
N_COMPONENTS = (128, 512, 1024)


def entries(labelled):
    """Return (number of atoms, atoms, prior) of each model."""
    every = [
        (n, atoms, prior)
        for n in N_COMPONENTS
        for atoms in ATOMS
        for prior in FOR_ALL_ATOMS
    ]
    every += [(512, "plane waves", "mixtures by class")]
    others = [prior for prior in PRIORS if prior not in FOR_ALL_ATOMS]
    every += [(1024, "plane waves", prior) for prior in others]
    # With as many waves as values of a 32 x 32 image, no detail is lost.
    every += [(3072, "plane waves", "diffusion")]
    return [entry for entry in every if labelled or "by class" not in entry[2]]


class Deadline:
    """A callback that stops a fit when the time is over.

    It sets the remaining time as ``max_time`` of a `DiffusionPrior` when its fit
    begins.
    """

    def __init__(self, seconds):
        self._end = time.perf_counter() + seconds
        self._is_passed_on = False

    def setup(self, estimator, context):
        """Do nothing."""

    teardown = setup

    def on_fit_task_begin(self, estimator, context):
        """Pass the remaining time to a `DiffusionPrior`."""
        if isinstance(estimator, DiffusionPrior) and not self._is_passed_on:
            remaining = self._end - time.perf_counter()
            estimator.set_params(max_time=max(1.0, remaining))
            self._is_passed_on = True

    def on_fit_task_end(self, estimator, context, *, metadata=None):
        """Return whether to stop the fit."""
        return time.perf_counter() > self._end


class Ours:
    """`SpectralDictionaryLearning` with the interface of the other generators."""

    def __init__(self, n_components, atoms, prior, device="cpu"):
        self.n_components, self.atoms = n_components, atoms
        self.prior, self.device = prior, device

    def fit(self, images, labels, seconds):
        """Fit on uint8 images, for about ``seconds`` seconds at most."""
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
            y = labels if "by class" in self.prior else None
            self.estimator.set_callbacks(deadline).fit(rows, y)

    @property
    def n_parameters(self):
        """Number of learned parameters of mean, atoms and prior."""
        n_channels = self._shape[-1]
        per_atom = {
            # Amplitude, frequency and phase.
            "static": 3,
            # The amplitude and the phase are modulated, the frequency is not.
            "modulated": 1 + 2 * len(BasisModulation().functions(self._shape)[0]),
            # Two frequencies, a phase, and an amplitude per channel.
            "plane waves": 3 + n_channels,
        }[self.atoms]
        n_atoms, n_features = self.estimator.components_.shape
        return n_features + n_atoms * per_atom + self.estimator.prior_.n_parameters_

    def sample(self, n_samples, seed):
        """Return images in [0, 1]."""
        rows = self.estimator.sample(n_samples, random_state=seed)
        return rows.reshape(-1, *self._shape)
