import copy
import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.special import logsumexp
from scipy.stats import kurtosis, multivariate_normal
from sklearn.datasets import load_digits
from torch import nn

from skspectral import SpectralDictionaryLearning
from skspectral.priors import DiffusionPrior, GaussianPrior, Synthesis
from skspectral.priors.denoising.distribution import PrincipalGaussian
from skspectral.priors.denoising.draws import draw_codes, log_densities
from skspectral.priors.denoising.model import DiffusionModel
from skspectral.priors.denoising.networks import UNet
from skspectral.priors.denoising.observation import Conditioner

# Two Gaussians in a plane.
SHARES = np.array([0.7, 0.3])
MEANS = np.array([[-2.0, 0.0], [2.5, 1.0]])
COVARIANCES = np.array([[[0.5, 0.3], [0.3, 0.4]], [[0.2, 0.0], [0.0, 1.0]]])


class Lines(nn.Module):
    """A network of a user: neighbours of a signal of one channel."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Conv1d(2, 1, 3, padding=1)

    def forward(self, x, level):
        return self.layer(x) + level[:, None, None]


def correlated(n_samples, n_codes, seed=0):
    rng = np.random.default_rng(seed)
    mixing = rng.normal(size=(n_codes, n_codes)) * np.linspace(1, 0.1, n_codes)
    return rng.normal(size=(n_samples, n_codes)) @ mixing + rng.normal(size=n_codes)


def basis(n_codes, n_values, seed=0):
    rng = np.random.default_rng(seed)
    return np.linalg.qr(rng.normal(size=(n_values, n_codes)))[0].T


SHAPES = [None, (24,), (4, 6), (3, 4, 2)]


def untrained(codes, synthesis, network="auto", mirror=False):
    options = {"mirrored": mirror, "width": 8, "n_labels": 0, "seed": 0}
    return DiffusionModel.fit(codes, synthesis, network, **options)


def synthesis_of(shape, n_codes=10):
    if shape is None:
        return None
    n_values = int(np.prod(shape))
    return Synthesis(basis(n_codes, n_values), np.arange(n_values) / 7, shape)


@pytest.mark.parametrize(
    ("shape", "network"),
    [(shape, "auto") for shape in SHAPES] + [((4, 6), "mlp"), ((24,), Lines())],
)
def test_untrained_it_is_the_gaussian(shape, network):
    codes = correlated(500, 10)
    model = untrained(codes, synthesis_of(shape), network)
    gaussian = GaussianPrior().fit(codes)
    denoiser = model.denoiser().eval()
    start = np.random.default_rng(1).normal(size=(7, 10))
    labels = np.zeros(7, int)
    for n_steps in (1, 5):
        drawn = draw_codes(denoiser, start, labels, n_steps=n_steps)
        # The same numbers through a square root of the covariance.
        values, vectors = np.linalg.eigh(gaussian.covariance_)
        axes = model.distribution.axes
        np.testing.assert_allclose(abs(axes @ vectors[:, ::-1]), np.eye(10), atol=1e-8)
        expected = (start * np.sqrt(values[::-1])) @ axes + gaussian.mean_
        np.testing.assert_allclose(drawn, expected, rtol=1e-4, atol=1e-4)
    density = log_densities(denoiser.double(), codes[:20], n_steps=3, n_probes=2)
    np.testing.assert_allclose(density, gaussian.score_samples(codes[:20]), rtol=1e-6)


def test_untrained_the_loss_is_one():
    prior = DiffusionPrior(
        max_images=20_000, batch_size=1000, learning_rate=1e-12, random_state=0
    )
    prior.fit(correlated(5000, 6))
    assert prior.history_["loss"].mean() == pytest.approx(1, abs=0.02)


def mixture(n_samples, seed):
    rng = np.random.default_rng(seed)
    of = rng.choice(2, n_samples, p=SHARES)
    roots = np.linalg.cholesky(COVARIANCES)
    noise = rng.normal(size=(n_samples, 2))
    return MEANS[of] + np.einsum("nij,nj->ni", roots[of], noise), of


def moments_of_mixture():
    covariance = np.einsum("k,kij->ij", SHARES, COVARIANCES)
    return SHARES @ MEANS, covariance + np.cov(MEANS.T, aweights=SHARES, ddof=0)


def log_mixture(X, noise=0.0):
    """Log-densities of the parts, shape (2, n)."""
    return np.stack(
        [
            np.log(share)
            + multivariate_normal(mean, cov + noise**2 * np.eye(2)).logpdf(X)
            for share, mean, cov in zip(SHARES, MEANS, COVARIANCES, strict=True)
        ]
    )


def posterior_mean(X, noise):
    logs = log_mixture(X, noise)
    shares = np.exp(logs - logsumexp(logs, axis=0))
    means = [
        mean + (X - mean) @ np.linalg.solve(cov + noise**2 * np.eye(2), cov)
        for mean, cov in zip(MEANS, COVARIANCES, strict=True)
    ]
    return np.einsum("kn,kni->ni", shares, np.stack(means))


@pytest.fixture(scope="module")
def of_mixture():
    """A prior of the two Gaussians, with their labels."""
    codes, labels = mixture(20_000, seed=0)
    prior = DiffusionPrior(
        max_images=500_000,
        batch_size=500,
        n_steps=16,
        learning_rate=3e-3,
        width=16,
        random_state=0,
    )
    return prior.fit(codes, labels)


@pytest.mark.slow
@pytest.mark.parametrize("noise", [0.2, 0.7, 2.0])
def test_the_denoiser_of_a_mixture_is_learned(of_mixture, noise):
    rng = np.random.default_rng(1)
    clean, _ = mixture(2000, seed=2)
    noisy = clean + noise * rng.normal(size=clean.shape)
    denoiser = of_mixture._trained_denoiser()
    distribution = denoiser.distribution
    z = torch.from_numpy(distribution.coordinates(noisy)).float()
    level = torch.full((len(z), 1), noise / distribution.unit).float()
    none = torch.full((len(z),), denoiser.n_labels)
    correction = denoiser(z, level, none)
    estimate = distribution.codes(denoiser.estimate(z, level, correction).numpy())
    wiener = distribution.codes((denoiser.gain(level) * z).numpy())
    exact = posterior_mean(noisy, noise)
    # The error of the learned estimate, beside that of Wiener's.
    left = np.mean((estimate - exact) ** 2) / np.mean((wiener - exact) ** 2)
    assert left < 0.08
    # And beside what nobody can know.
    assert np.mean((estimate - exact) ** 2) < 0.02 * np.mean((clean - exact) ** 2)


@pytest.mark.slow
def test_moments_of_draws(of_mixture):
    drawn = of_mixture.sample(5000, random_state=0)
    mean, covariance = moments_of_mixture()
    np.testing.assert_allclose(drawn.mean(0), mean, atol=0.15)
    np.testing.assert_allclose(np.cov(drawn.T), covariance, atol=0.3)
    # Not those of a Gaussian: between the two there is nothing.
    logs = logsumexp(log_mixture(drawn), axis=0)
    own = logsumexp(log_mixture(mixture(5000, seed=3)[0]), axis=0)
    assert logs.mean() == pytest.approx(own.mean(), abs=0.15)


@pytest.mark.slow
def test_log_density_of_a_mixture(of_mixture):
    X, _ = mixture(300, seed=4)
    exact = logsumexp(log_mixture(X), axis=0)
    error = of_mixture.score_samples(X) - exact
    assert abs(error.mean()) < 0.05
    assert np.abs(error).mean() < 0.15
    gaussian = GaussianPrior().fit(mixture(20_000, seed=0)[0]).score_samples(X)
    assert np.abs(error).mean() < 0.3 * np.abs(gaussian - exact).mean()


@pytest.mark.slow
def test_draws_of_a_label(of_mixture):
    for label in (0, 1):
        drawn = of_mixture.sample(2000, y=label, random_state=0)
        np.testing.assert_allclose(drawn.mean(0), MEANS[label], atol=0.15)
        np.testing.assert_allclose(np.cov(drawn.T), COVARIANCES[label], atol=0.2)
    mixed = of_mixture.sample(400, y=[0] * 200 + [1] * 200, random_state=0)
    assert mixed[:200, 0].max() < mixed[200:, 0].mean()


@pytest.mark.slow
def test_guidance_scales_what_a_label_changes(of_mixture):
    prior = pickle.loads(pickle.dumps(of_mixture))
    plain = prior.sample(1000, y=1, random_state=0)
    none = prior.set_params(guidance=0.0).sample(1000, y=1, random_state=0)
    more = prior.set_params(guidance=3.0).sample(1000, y=1, random_state=0)
    np.testing.assert_allclose(none.mean(0), SHARES @ MEANS, atol=0.3)
    assert more[:, 0].std() < plain[:, 0].std() < none[:, 0].std()


@pytest.mark.slow
def test_gaussian_guidance_scales_what_the_network_adds(of_mixture):
    prior = pickle.loads(pickle.dumps(of_mixture))
    prior.set_params(gaussian_guidance=0.0, n_steps=2)
    drawn = prior.sample(4000, random_state=0)
    mean, covariance = moments_of_mixture()
    np.testing.assert_allclose(drawn.mean(0), mean, atol=0.15)
    np.testing.assert_allclose(np.cov(drawn.T), covariance, atol=0.5)
    assert abs(kurtosis(drawn[:, 0])) < 0.2
    # Further from the Gaussian than the mixture is: the groups are tighter.
    prior.set_params(n_steps=12)
    plain, more = (
        prior.set_params(gaussian_guidance=g).sample(1000, y=1, random_state=0)[:, 0]
        for g in (1.0, 1.3)
    )
    assert more.std() < plain.std() < np.sqrt(covariance[0, 0])


@pytest.mark.slow
def test_draws_given_linear_functions_follow_the_conditional_gaussian():
    codes = correlated(2000, 6)
    model = untrained(codes, None)
    gaussian = GaussianPrior().fit(codes)
    rng = np.random.default_rng(3)
    operator, code, noise_variance = rng.normal(size=(2, 6)), codes[0], 0.3
    seen = operator @ code
    # What conditioning a Gaussian gives.
    C = gaussian.covariance_
    gain = (
        C
        @ operator.T
        @ np.linalg.inv(operator @ C @ operator.T + noise_variance * np.eye(2))
    )
    mean = gaussian.mean_ + gain @ (seen - operator @ gaussian.mean_)
    covariance = C - gain @ operator @ C
    normal = rng.normal(size=(20_000, 22))
    denoiser = model.denoiser()
    drawn = draw_codes(
        denoiser,
        normal,
        np.zeros(len(normal), int),
        n_steps=40,
        conditioner=Conditioner(denoiser, operator, seen, noise_variance),
    )
    scale = np.sqrt(np.diag(C))
    np.testing.assert_allclose(drawn.mean(0) / scale, mean / scale, atol=0.02)
    outer = np.outer(scale, scale)
    np.testing.assert_allclose(np.cov(drawn.T) / outer, covariance / outer, atol=0.02)


@pytest.mark.slow
def test_what_is_known_exactly_is_kept(of_mixture):
    drawn = of_mixture.sample_given([[1.0, -1.0]], [0.5], 50, random_state=0)
    np.testing.assert_allclose(drawn[:, 0] - drawn[:, 1], 0.5, atol=1e-4)
    seen = np.linspace(-2, 2, 50)[:, None]
    drawn = of_mixture.sample_given([[1.0, 0.0]], seen, 50, random_state=0)
    np.testing.assert_allclose(drawn[:, :1], seen, atol=1e-4)
    # The same operator twice says no more.
    twice = of_mixture.sample_given([[1.0, 0.0]] * 2, [0.5, 0.5], 5, random_state=0)
    np.testing.assert_allclose(twice[:, 0], 0.5, atol=1e-3)


@pytest.mark.slow
def test_what_is_known_tells_of_the_label():
    """Labels that contradict what is seen are not drawn."""
    rng = np.random.default_rng(0)
    labels = rng.integers(2, size=4000)
    side = 2 * labels - 1
    codes = np.stack([3 * side, side], axis=1) + 0.3 * rng.normal(size=(4000, 2))
    prior = DiffusionPrior(
        max_images=100_000, batch_size=250, learning_rate=3e-3, width=16, random_state=0
    )
    prior.fit(codes, labels)
    drawn = prior.sample_given([[1.0, 0.0]], [-3.0], 500, random_state=0)
    assert drawn[:, 1].mean() == pytest.approx(-1, abs=0.1)
    assert drawn[:, 1].std() == pytest.approx(0.3, abs=0.1)


@pytest.mark.parametrize("noise", [0.002, 0.02, 0.2])
def test_draws_are_as_far_from_what_is_seen_as_its_noise(noise):
    """Also if that is less than the last level of the flow."""
    codes = correlated(2000, 6)
    # The network gives zero, whatever its width.
    options = {"max_images": 1, "learning_rate": 1e-12, "width": 4}
    prior = DiffusionPrior(n_steps=40, **options).fit(codes)
    operator = np.eye(6)[:3]
    variance = (noise * prior._model.distribution.unit) ** 2
    seen = codes[0, :3]
    drawn = prior.sample_given(
        operator, seen, 4000, noise_variance=variance, random_state=0
    )
    C = GaussianPrior().fit(codes).covariance_
    inner = operator @ C @ operator.T
    left = variance * np.linalg.inv(inner + variance * np.eye(3)) @ inner
    found = np.cov((drawn @ operator.T - seen).T)
    np.testing.assert_allclose(found / variance, left / variance, atol=0.15)


@pytest.mark.parametrize(
    ("operator", "seen", "message"),
    [
        (np.zeros((0, 2)), [], "measures nothing, because it is empty or zero"),
        ([[0.0, 0.0]], [1.0], "measures nothing, because it is empty or zero"),
        ([[1.0, np.nan]], [1.0], "must be finite"),
        ([[1.0, 0.0]], [np.nan], "must be finite"),
        ([1.0, 0.0], [1.0], r"operator of shape \(2,\) must be of shape \(m, 2\)"),
        ([[1.0, 0.0]], [1.0, 2.0], r"observed of shape \(2,\) must be of shape \(1,\)"),
    ],
)
def test_what_is_known_of_a_wrong_shape(operator, seen, message):
    prior = DiffusionPrior(max_images=1, width=4).fit(correlated(50, 2))
    with pytest.raises(ValueError, match=message):
        prior.sample_given(operator, seen)


def test_a_seed_repeats_fit_and_draws():
    codes = correlated(200, 4)
    options = {"max_images": 2000, "random_state": 3}
    a, b = (DiffusionPrior(**options).fit(codes) for _ in range(2))
    np.testing.assert_array_equal(
        a.sample(5, random_state=0), b.sample(5, random_state=0)
    )
    assert (a.sample(5) != a.sample(5)).all()
    other = DiffusionPrior(max_images=2000, random_state=4).fit(codes)
    assert (other.sample(5, random_state=0) != a.sample(5, random_state=0)).any()


def test_the_global_streams_are_left_alone():
    torch.manual_seed(0)
    np.random.seed(0)  # noqa: NPY002
    of_numpy = np.random.mtrand._rand
    before = torch.get_rng_state(), of_numpy.get_state()[1].copy()
    prior = DiffusionPrior(max_images=200).fit(correlated(50, 3))
    prior.sample(2)
    prior.score_samples(correlated(5, 3))
    assert (torch.get_rng_state() == before[0]).all()
    assert (of_numpy.get_state()[1] == before[1]).all()


def weights(prior):
    return prior._state.network, prior._state.average


def assert_same_training(a, b):
    for of_a, of_b in zip(weights(a), weights(b), strict=True):
        for name, value in of_a.items():
            torch.testing.assert_close(value, of_b[name], rtol=1e-5, atol=1e-6)
    assert a.n_images_ == b.n_images_


def test_partial_fit_goes_on():
    codes, synthesis = correlated(200, 10), synthesis_of((4, 6))
    options = {"width": 8, "random_state": 0}
    labels = np.arange(200) % 3
    whole = DiffusionPrior(max_images=1280, **options)
    whole.partial_fit(codes, labels, synthesis=synthesis)
    halves = DiffusionPrior(max_images=640, **options)
    halves.partial_fit(codes, labels, synthesis=synthesis)
    # Through a file, as far as that goes.
    halves = pickle.loads(pickle.dumps(halves))
    halves.partial_fit(codes, labels)
    assert_same_training(whole, halves)
    assert (np.diff(halves.history_["n_images"]) > 0).all()


class Killed(Exception):
    pass


class Killer:
    """A callback that ends the program after some steps."""

    def __init__(self, n_steps):
        self.n_left = n_steps

    def setup(self, estimator, context):
        pass

    teardown = on_fit_task_begin = setup

    def on_fit_task_end(self, estimator, context, *, metadata=None):
        self.n_left -= 1
        if self.n_left == 0:
            raise Killed


def test_a_killed_fit_goes_on_at_its_checkpoint(tmp_path, monkeypatch):
    codes, synthesis = correlated(200, 10), synthesis_of((24,))
    options = {"max_images": 64 * 30, "width": 8, "random_state": 0}
    whole = DiffusionPrior(**options).fit(codes, synthesis=synthesis)
    path = tmp_path / "training.pt"
    killed = DiffusionPrior(checkpoint=path, **options)
    monkeypatch.setattr("skspectral.priors.denoising.training._INTERVAL", 0.0)
    killed.set_callbacks(Killer(17))
    with pytest.raises(Killed):
        killed.fit(codes, synthesis=synthesis)
    assert path.exists()
    again = DiffusionPrior(checkpoint=str(path), **options)
    again.fit(codes, synthesis=synthesis)
    assert_same_training(whole, again)
    # A training that is done is done; a longer one goes on.
    done = DiffusionPrior(checkpoint=path, **options).fit(codes, synthesis=synthesis)
    assert_same_training(whole, done)
    longer = DiffusionPrior(**{**options, "max_images": 64 * 40}, checkpoint=path)
    assert longer.fit(codes, synthesis=synthesis).n_images_ == 64 * 40


def test_checkpoints_of_other_trainings_are_refused(tmp_path):
    path = tmp_path / "training.pt"
    codes = correlated(100, 4)
    options = {"max_images": 128, "checkpoint": path}
    DiffusionPrior(**options).fit(codes)
    # Rounding is not another training.
    again = DiffusionPrior(**options).fit(codes + 1e-9 * correlated(100, 4, seed=1))
    assert again.n_images_ == 128
    kept = path.read_bytes()
    for change, rows, message in [
        ({}, 2 * codes, "belongs to a training with other codes"),
        ({}, codes[:, ::-1], "belongs to a training with other codes"),
        ({}, codes[:, :3], "belongs to a training with other codes"),
        ({"checkpoint": tmp_path / "no" / "c.pt"}, codes, "there is no folder"),
        ({"width": 16}, codes, "belongs to a training with width=64, not 16"),
        ({"ema": 0.9}, codes, "belongs to a training with ema=0.998, not 0.9"),
    ]:
        with pytest.raises(ValueError, match=message):
            DiffusionPrior(**{**options, **change}).fit(rows)
    assert path.read_bytes() == kept
    path.write_bytes(b"something else")
    with pytest.raises(ValueError, match="not a checkpoint of a DiffusionPrior"):
        DiffusionPrior(**options).fit(codes)


def test_a_checkpoint_holds_numbers_of_any_kind(tmp_path):
    options = {
        "max_images": 128,
        "batch_size": np.int64(32),
        "learning_rate": np.float64(1e-3),
        "width": np.int64(4),
        "checkpoint": tmp_path / "training.pt",
    }
    codes = correlated(100, 4)
    DiffusionPrior(**options).fit(codes)
    options["max_images"] = 256
    assert DiffusionPrior(**options).fit(codes).n_images_ == 256


def test_another_kind_of_device_goes_on_with_another_stream():
    codes = correlated(100, 4)
    prior = DiffusionPrior(max_images=128, random_state=0).partial_fit(codes)
    # What a GPU's stream would leave.
    stream = {"generator_device": "cuda", "generator": torch.zeros(16).byte()}
    prior._state = replace(prior._state, **stream)
    assert prior.partial_fit(codes).n_images_ == 256


def test_what_was_trained_before_stays_as_it_was():
    codes = correlated(100, 4)
    prior = DiffusionPrior(max_images=128, random_state=0).partial_fit(codes)
    before = copy.copy(prior)
    kept = pickle.dumps(before)
    prior.set_params(batch_size=32).partial_fit(codes)
    assert pickle.dumps(before) == kept
    assert prior.n_images_ == prior.history_["n_images"][-1] == 256
    prior.set_callbacks(Killer(2))
    with pytest.raises(Killed):
        prior.partial_fit(codes)
    assert prior.n_images_ == 256
    assert prior._state.n_images == 256


def test_a_network_that_gives_zero_is_trained_too():
    codes = correlated(200, 10)
    network = Lines()
    nn.init.zeros_(network.layer.weight)
    nn.init.zeros_(network.layer.bias)

    class Silent(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = network.layer

        def forward(self, x, level):
            return self.layer(x)

    prior = DiffusionPrior(Silent(), max_images=640, random_state=0)
    prior.fit(codes, synthesis=synthesis_of((24,)))
    assert prior._state.average["network.layer.weight"].abs().max() > 0


@pytest.mark.parametrize("shape", [(24,), (4, 6), (3, 4, 2)])
def test_mirrored_codes_are_of_mirrored_signals(shape):
    synthesis = Synthesis(np.eye(24), np.arange(24.0), shape)
    codes = correlated(50, 24)
    matrix, offset = synthesis.mirror()
    mirrored = synthesis.signals(codes @ matrix + offset)
    axis = 2 if len(shape) > 1 else 1
    expected = np.flip(synthesis.signals(codes), axis=axis)
    np.testing.assert_allclose(mirrored, expected, atol=1e-12)
    # The distribution is that of both.
    fitted = PrincipalGaussian.fit(codes, synthesis, mirrored=True)
    both = PrincipalGaussian.fit(
        np.concatenate([codes, codes @ matrix + offset]), synthesis, mirrored=False
    )
    np.testing.assert_allclose(fitted.variances, both.variances, atol=1e-10)
    np.testing.assert_allclose(fitted.mean, both.mean)
    matrix, offset = fitted.mirror(synthesis)
    z = fitted.coordinates(codes) @ matrix + offset
    np.testing.assert_allclose(synthesis.signals(fitted.codes(z)), expected, atol=1e-10)


@pytest.mark.parametrize(
    "sides", [(1,), (5,), (24,), (1000,), (1, 7), (2, 2), (5, 9), (28, 30), (64, 3)]
)
def test_networks_take_any_size(sides):
    network = UNet(2, 1, 4, sides)
    x = torch.randn(3, 2, *sides)
    level = torch.zeros(3)
    assert network(x, level).abs().max() == 0
    nn.init.ones_(network.last.weight)
    out = network(x, level)
    assert out.shape == (3, 1, *sides)
    out.square().sum().backward()
    assert all(p.grad is not None for p in network.parameters())


@pytest.mark.slow
def test_digits_are_nearer_than_the_gaussians():
    """A short training on images, through the estimator, with labels."""
    X, y = load_digits(return_X_y=True)
    prior = DiffusionPrior(max_images=20_000, width=16, random_state=0)
    est = SpectralDictionaryLearning(40, signal_shape=(8, 8), prior=prior)
    est.fit(X, y)
    assert est.prior_.history_["loss"][-1] < 0.85
    drawn = est.sample(20, y=3, random_state=0)
    assert drawn.shape == (20, 64)
    assert np.isfinite(drawn).all()


@pytest.mark.parametrize(
    ("options", "shape", "message"),
    [
        ({"network": "unet2d"}, None, "needs signals of signal_shape=.height, width"),
        ({"network": "unet2d"}, (24,), "needs signals of signal_shape=.height, width"),
        ({"network": "unet1d"}, (4, 6), "needs signals of signal_shape=.length,"),
        ({"max_images": None}, None, "max_images and max_time are both None"),
        ({"device": "nowhere"}, None, "device='nowhere' cannot be used"),
        ({"n_steps": 0}, None, "n_steps"),
    ],
)
def test_parameters_that_do_not_fit(options, shape, message):
    prior = DiffusionPrior(**options)
    with pytest.raises(ValueError, match=message):
        prior.fit(correlated(50, 10), synthesis=synthesis_of(shape))


def test_labels_that_do_not_fit():
    codes = correlated(60, 3)
    prior = DiffusionPrior(max_images=64)
    with pytest.raises(ValueError, match="y must be labels, but these vary"):
        prior.fit(codes, np.linspace(0, 1, 60))
    prior.fit(codes)
    with pytest.raises(ValueError, match="need labels, but the training had none"):
        prior.sample(2, y=0)
    with pytest.raises(ValueError, match="training so far had no labels"):
        prior.partial_fit(codes, np.arange(60) % 2)
    prior.fit(codes, np.arange(60) % 2)
    with pytest.raises(ValueError, match="y=2 is not a label of fit"):
        prior.sample(2, y=2)
    with pytest.raises(ValueError, match="had labels: pass y as before"):
        prior.partial_fit(codes)


def test_a_loss_that_is_not_finite_stops():
    class Broken(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(torch.zeros(1))

        def forward(self, x, level):
            return x[:, :1] + self.weight / 0

    prior = DiffusionPrior(Broken(), max_images=640)
    with pytest.raises(ArithmeticError, match=r"loss of DiffusionPrior is nan after"):
        prior.fit(correlated(50, 10), synthesis=synthesis_of((24,)))


def test_time_limits_the_training():
    prior = DiffusionPrior(max_images=None, max_time=0.3).fit(correlated(50, 3))
    assert prior.n_images_ > 0


def test_a_callback_stops_the_training():
    class Stop:
        def setup(self, estimator, context):
            self.states = []

        def teardown(self, estimator, context):
            pass

        on_fit_task_begin = teardown

        def on_fit_task_end(self, estimator, context, *, metadata=None):
            if metadata is not None:
                self.states.append(metadata)
            return len(self.states) == 25

    stop = Stop()
    prior = DiffusionPrior(batch_size=10, max_images=10_000).set_callbacks(stop)
    prior.fit(correlated(50, 3))
    assert prior.n_images_ == 250
    assert [state["n_images"] for state in stop.states] == list(range(10, 260, 10))
    assert stop.states[-1]["loss"] > 0


def test_mixed_precision_and_user_networks():
    codes, synthesis = correlated(200, 10), synthesis_of((24,))
    for network in ("auto", Lines()):
        prior = DiffusionPrior(
            network, max_images=640, width=8, mixed_precision=True, random_state=0
        )
        prior.fit(codes, synthesis=synthesis)
        assert np.isfinite(prior.sample(3)).all()
        assert np.isfinite(prior.score_samples(codes[:2])).all()
    # The user's own is as it was.
    fresh = Lines()
    before = {k: v.clone() for k, v in fresh.state_dict().items()}
    DiffusionPrior(fresh, max_images=128).fit(codes, synthesis=synthesis)
    assert all((before[k] == v).all() for k, v in fresh.state_dict().items())


@pytest.mark.slow
def test_gaps_are_filled():
    X, _ = load_digits(return_X_y=True)
    prior = DiffusionPrior(max_images=20_000, width=8, random_state=0)
    est = SpectralDictionaryLearning(40, signal_shape=(8, 8), prior=prior)
    est.fit(X)
    rows = X[:200].copy()
    rows[:, 24:40] = np.nan
    rows[0] = np.nan
    draws = est.sample_posterior(rows, 4, random_state=0)
    assert draws.shape == (4, 200, 64)
    seen = ~np.isnan(rows)
    np.testing.assert_array_equal(draws[:, seen], np.stack([rows[seen]] * 4))
    mean_filled = np.where(seen, rows, X.mean(0))
    truth = X[1:200]
    error = ((draws.mean(0)[1:] - truth) ** 2).mean()
    assert error < 0.6 * ((mean_filled[1:] - truth) ** 2).mean()
    seen = est.inverse_transform(est.transform(X[:1]))[0, :8]
    given = est.sample_given(np.eye(64)[:8], seen, 5, random_state=0)
    np.testing.assert_allclose(given[:, :8], np.tile(seen, (5, 1)), atol=1e-2)
