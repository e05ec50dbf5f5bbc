"""Whole images, restored with priors of large windows that are not Gaussians."""

import pickle

import numpy as np
import pytest
from skimage import data

from skspectral import SpectralDictionaryLearning
from skspectral.model_files import load_model, save_model
from skspectral.priors import Capabilities, DiffusionPrior, GaussianPrior, Prior
from skspectral.restoration import PatchRestorer

CAMERA = data.camera()[100:180, 200:296] / 255
TRAIN = [data.camera()[:, :190] / 255, data.coins() / 255]


class Estimating(Prior):
    """A Gaussian prior that hides that it is one."""

    capabilities = Capabilities(denoising=True)

    def fit(self, X, y=None):
        self.gaussian_ = GaussianPrior().fit(X)
        self.n_features_in_ = X.shape[1]
        return self

    def sample(self, n_samples=1, random_state=None, *, y=None):
        return self.gaussian_.sample(n_samples, random_state)

    def posterior_mean(self, X, noise_variance):
        return self.gaussian_.posterior_mean(X, noise_variance)


def fitted(prior, n_atoms=64, **settings):
    model = SpectralDictionaryLearning(n_atoms, modulation=None, prior=prior)
    given = {"patch_size": 8, "n_patches": 3000, "random_state": 0}
    return PatchRestorer(model, **given | settings).fit(TRAIN)


@pytest.fixture(scope="module")
def windows():
    return fitted(Estimating())


@pytest.fixture(scope="module")
def network():
    prior = DiffusionPrior(width=8, max_images=500, random_state=0)
    return fitted(prior, 256, patch_size=16, n_patches=1500)


def error(found, truth):
    return np.sqrt(np.mean((np.asarray(found, float) - truth) ** 2))


def noisy(image, sigma, seed=0):
    return image + sigma * np.random.default_rng(seed).standard_normal(image.shape)


@pytest.mark.parametrize("n_atoms", [64, 40])
def test_windows_side_by_side_get_their_posterior_means(n_atoms):
    restorer = fitted(Estimating(), n_atoms, stride=8)
    image = noisy(CAMERA, 0.1)
    estimator = restorer.estimator_
    # The covariance of whole windows: that of the codes, and the rest outside.
    basis, mean = estimator.model_.basis, estimator.model_.mean
    basis, mean = np.asarray(basis, float), np.asarray(mean, float)
    inside = estimator.prior_.gaussian_.covariance_
    outside = estimator.noise_variance_ * (np.eye(64) - basis.T @ basis)
    covariance = basis.T @ inside @ basis + outside
    mean = mean + estimator.prior_.gaussian_.mean_ @ basis
    wiener = covariance @ np.linalg.inv(covariance + 0.01 * np.eye(64))
    rows = image.reshape(10, 8, 12, 8).swapaxes(1, 2).reshape(-1, 64)
    levels = rows.mean(1, keepdims=True)
    expected = (rows - levels - mean) @ wiener + mean + levels
    expected = expected.reshape(10, 12, 8, 8).swapaxes(1, 2).reshape(80, 96)
    np.testing.assert_allclose(restorer.denoise(image, 0.1), expected, atol=2e-4)


def test_overlapping_windows_are_better_and_know_their_errors(windows):
    image = noisy(CAMERA, 0.1)
    before = image.copy()
    clean, std = windows.denoise(image, 0.1, return_std=True)
    np.testing.assert_array_equal(image, before)
    apart = windows.set_params(stride=8).denoise(image, 0.1)
    windows.set_params(stride=None)
    assert error(clean, CAMERA) < error(apart, CAMERA) < 0.6 * 0.1
    assert 0.75 < np.std((clean - CAMERA) / std) < 1.33


def test_a_map_of_equal_noise_is_like_a_number(windows):
    image = noisy(CAMERA, 0.1)
    number = windows.denoise(image, 0.1)
    np.testing.assert_array_equal(
        windows.denoise(image, np.full(image.shape, 0.1)), number
    )


def test_a_noise_map_keeps_what_is_precise(windows):
    sigma = np.full(CAMERA.shape, 0.02)
    sigma[:, 48:] = 0.2
    image = noisy(CAMERA, sigma)
    clean = windows.denoise(image, sigma)
    assert error(clean[:, :48], CAMERA[:, :48]) < 0.025
    assert error(clean[:, 48:], CAMERA[:, 48:]) < 0.1


def test_a_network_denoises_and_fills(network):
    image, steps = noisy(CAMERA, 0.1), []
    clean = network.denoise(image, 0.1, progress=lambda *step: steps.append(step))
    assert steps == [(1, 1)]
    assert error(clean, CAMERA) < 0.6 * 0.1
    missing = np.random.default_rng(0).random(CAMERA.shape) < 0.5
    filled = network.inpaint(np.where(missing, np.nan, CAMERA))
    np.testing.assert_array_equal(filled[~missing], CAMERA[~missing])
    level = CAMERA[~missing].mean()
    assert error(filled[missing], CAMERA[missing]) < 0.5 * error(level, CAMERA[missing])
    draws = network.sample_posterior(
        np.where(missing, np.nan, CAMERA), 2, random_state=0
    )
    assert (draws[0] != draws[1])[missing].mean() > 0.99
    np.testing.assert_allclose(
        draws[:, ~missing], np.tile(CAMERA[~missing], (2, 1)), atol=1e-3
    )


def test_models_with_networks_travel(network, tmp_path):
    image = noisy(CAMERA, 0.1)
    expected = network.denoise(image, 0.1)
    save_model(network, tmp_path / "model.skops")
    for copy in (
        load_model(tmp_path / "model.skops"),
        pickle.loads(pickle.dumps(network)),
    ):
        np.testing.assert_allclose(copy.denoise(image, 0.1), expected, atol=1e-6)
    assert not hasattr(network, "weights_")
