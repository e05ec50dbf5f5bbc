"""Overlapping patches and the posterior of each."""

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal

from skspectral.gaussian import Gaussian, LinearObservation, Mixture
from skspectral.restoration import denoiser, patches
from skspectral.restoration.denoiser import PatchDenoiser
from skspectral.restoration.patch_mixture import PatchMixture, PatchPosterior
from skspectral.restoration.patches import PatchGrid


def image_of(shape, seed=0):
    values = np.random.default_rng(seed).standard_normal(shape)
    return torch.from_numpy(values.astype(np.float32))


def random_mixture(n_components=4, side=3, n_channels=1, seed=0):
    rng = np.random.default_rng(seed)
    d = side * side * n_channels
    roots = rng.standard_normal((n_components, d, d)) * rng.uniform(0.1, 1, (1, d, 1))
    roots *= np.geomspace(0.3, 1, n_components)[:, None, None]
    weights = rng.dirichlet(np.full(n_components, 5.0))
    means = 0.3 * rng.standard_normal((n_components, d))
    covariances = roots @ roots.transpose(0, 2, 1) / d
    mixture = PatchMixture.from_moments(
        weights, means, covariances, n_channels, torch.device("cpu")
    )
    return mixture, (weights, means, covariances)


@pytest.mark.parametrize(
    ("shape", "size", "stride"),
    [
        ((11, 13, 1), (4, 4), (1, 1)),
        ((11, 13, 2), (4, 4), (3, 3)),
        ((4, 4, 3), (4, 4), (2, 2)),
        ((1, 30, 1), (1, 7), (1, 4)),
        ((9, 17, 1), (8, 8), (5, 3)),
    ],
)
@pytest.mark.parametrize("entries", [1, 2**22])
def test_the_average_of_the_patches_is_the_image(
    shape, size, stride, entries, monkeypatch
):
    monkeypatch.setattr(patches, "_PATCH_ENTRIES", entries)
    grid, image = PatchGrid(shape, size, stride), image_of(shape)
    total, found = torch.zeros(shape), 0
    for stripe in grid.stripes():
        cut = stripe.cut(image)
        assert cut.shape[1] == grid.n_pixels
        assert stripe.patches == slice(found, found + len(cut))
        found += len(cut)
        stripe.add(cut, total)
    assert found == grid.n_patches
    torch.testing.assert_close(total / grid.totals(image.device), image)


def test_patches_are_those_of_the_definition():
    image, grid = image_of((7, 8, 2)), PatchGrid((7, 8, 2), (3, 2), (2, 3))
    cut = torch.cat([stripe.cut(image) for stripe in grid.stripes()])
    rows, columns = grid.positions
    assert (rows, columns) == ([0, 2, 4], [0, 3, 6])
    expected = [image[i : i + 3, j : j + 2].ravel() for i in rows for j in columns]
    torch.testing.assert_close(cut, torch.stack(expected))


@pytest.mark.parametrize("n_channels", [1, 2])
def test_parts_of_a_patch_are_joined_again(n_channels):
    mixture, _ = random_mixture(n_channels=n_channels)
    rows = image_of((20, 9 * n_channels))
    z, levels = mixture.split(rows)
    torch.testing.assert_close(mixture.join(z, levels), rows)
    assert levels.shape == (20, n_channels)
    # The means of the channels are in the levels alone.
    level = rows.view(20, 9, n_channels).mean(1)
    torch.testing.assert_close(levels / 3, level)


@pytest.mark.parametrize("n_screened", [3, 100])
def test_posterior_is_that_of_the_most_probable_gaussian(n_screened):
    mixture, _ = random_mixture()
    noise, z = 0.02, mixture.split(image_of((50, 9), 1))[0]
    posterior = PatchPosterior(mixture, noise, 4, n_screened)
    gaussians = tuple(
        Gaussian.from_covariance(m.numpy(), c.numpy())
        for m, c in zip(mixture.means, mixture.covariances, strict=True)
    )
    reference = Mixture(mixture.weights.numpy(), gaussians)
    density = reference.log_joint(z.double().numpy(), noise)
    best = posterior.best(z, posterior.candidates(z))
    np.testing.assert_array_equal(best, density.argmax(1))
    found = posterior.mean(z, best).numpy()
    for k, gaussian in enumerate(gaussians):
        rows = z[best == k].double().numpy()
        one = Mixture(np.ones(1), (gaussian,))
        expected = LinearObservation(None, noise).condition(one, rows)
        np.testing.assert_allclose(found[best == k], expected.mean(), atol=1e-5)


def test_candidates_are_the_most_probable_by_the_first_components():
    mixture, _ = random_mixture(n_components=6)
    z, noise = mixture.split(image_of((40, 9), 2))[0], 0.05
    found = PatchPosterior(mixture, noise, 3, 4).candidates(z)
    rows = z[:, :4].double().numpy()
    density = [
        np.log(w)
        + multivariate_normal(m[:4], c[:4, :4] + noise * np.eye(4)).logpdf(rows)
        for w, m, c in zip(
            mixture.weights.numpy(),
            mixture.means.numpy(),
            mixture.covariances.numpy(),
            strict=True,
        )
    ]
    expected = np.argsort(density, axis=0)[-3:].T
    np.testing.assert_array_equal(np.sort(found, axis=1), np.sort(expected, axis=1))


def test_few_candidates_find_nearly_the_best_component():
    mixture, _ = random_mixture(n_components=8)
    z = mixture.split(image_of((500, 9), 3))[0]
    exact, few = (PatchPosterior(mixture, 0.01, n, r) for n, r in ((8, 8), (4, 6)))
    best = exact.best(z, exact.candidates(z))
    assert (few.best(z, few.candidates(z)) == best).float().mean() > 0.9


def test_draws_have_the_moments_of_the_posterior():
    mixture, _ = random_mixture(n_components=2)
    z = mixture.split(image_of((1, 9), 4))[0].expand(40_000, -1)
    posterior = PatchPosterior(mixture, 0.1, 2, 8)
    best = posterior.best(z, posterior.candidates(z))
    draws = posterior.draw(z, best, np.random.default_rng(0))
    mean = posterior.mean(z[:1], best[:1])[0]
    torch.testing.assert_close(draws.mean(0), mean, atol=0.01, rtol=0)
    covariance = mixture.covariances[int(best[0])]
    noise = 0.1 * torch.eye(8, dtype=torch.float64)
    expected = 0.1 * torch.linalg.solve(covariance + noise, covariance)
    found = torch.cov(draws.double().T)
    torch.testing.assert_close(found, expected, atol=0.003, rtol=0)
    # Variances of pixels contain that of the mean of the patch, which is not
    # restricted.
    basis = mixture.basis
    pixels = (basis.T @ expected @ basis).diagonal() + 0.1 / 9
    torch.testing.assert_close(posterior.pixel_variances[int(best[0])], pixels.float())


@pytest.mark.parametrize("entries", [1, 500])
def test_nothing_depends_on_the_groups_of_patches(entries, monkeypatch):
    mixture, _ = random_mixture(n_channels=2)
    grid, image = PatchGrid((30, 21, 2), (3, 3), (1, 1)), image_of((30, 21, 2))

    def results():
        found = PatchDenoiser(mixture, grid, 2, 5)
        return found.estimate(image, 0.1), found.variance(0.1)

    whole = results()
    monkeypatch.setattr(patches, "_PATCH_ENTRIES", entries)
    for part, expected in zip(results(), whole, strict=True):
        torch.testing.assert_close(part, expected, atol=1e-6, rtol=1e-6)


def test_estimate_is_the_average_of_posterior_means():
    mixture, _ = random_mixture(n_components=1)
    grid, image = PatchGrid((6, 7, 1), (3, 3), (2, 2)), image_of((6, 7, 1))
    found = PatchDenoiser(mixture, grid, 1, 8).estimate(image, 0.3)
    basis = mixture.basis.numpy()
    covariance = basis.T @ mixture.covariances[0].numpy() @ basis
    mean = basis.T @ mixture.means[0].numpy()
    total, counts = np.zeros((2, 6, 7))
    left = np.eye(9) - 1 / 9
    for i in grid.positions[0]:
        for j in grid.positions[1]:
            patch = image[i : i + 3, j : j + 3].numpy().ravel().astype(float)
            part = left @ patch - mean
            gain = covariance @ np.linalg.inv(covariance + 0.3 * np.eye(9))
            estimate = patch.mean() + mean + gain @ part
            total[i : i + 3, j : j + 3] += estimate.reshape(3, 3)
            counts[i : i + 3, j : j + 3] += 1
    np.testing.assert_allclose(found[..., 0], total / counts, atol=1e-5)


def test_noise_may_differ_between_pixels(monkeypatch):
    mixture, _ = random_mixture()
    grid, image = PatchGrid((8, 24, 1), (3, 3), (1, 1)), image_of((8, 24, 1))
    monkeypatch.setattr(denoiser, "_NOISE_RATIO", 1 + 1e-6)
    noise = torch.full((8, 24, 1), 0.1)
    noise[:, 12:] = 0.4
    found = PatchDenoiser(mixture, grid, 4, 8).estimate(image, noise)
    for level, columns in ((0.1, slice(0, 9)), (0.4, slice(15, 24))):
        one = PatchDenoiser(mixture, grid, 4, 8).estimate(image, level)
        torch.testing.assert_close(
            found[:, columns], one[:, columns], atol=1e-4, rtol=1e-4
        )
