import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from scipy.signal import ShortTimeFFT

from skspectral.atoms import Sinusoid
from skspectral.atoms.family import AtomModel
from skspectral.atoms.waves import Waves
from skspectral.coding.spectral import polished_coordinates
from skspectral.grid import Grid
from skspectral.learning.stochastic import MinibatchLoss, SpectralLoss
from skspectral.stft import STFT


def rows_of(n, n_features, seed=0):
    return np.random.default_rng(seed).normal(size=(n, n_features))


def spectra(row, window, hop):
    """Short-time spectra by their definition: frames of the padded row, windowed."""
    padded = np.concatenate([np.zeros(window // 2), row, np.zeros(window // 2)])
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)
    starts = range(0, len(padded) - window + 1, hop)
    return np.stack(
        [np.fft.rfft(hann * padded[s : s + window]) for s in starts], axis=1
    )


@pytest.mark.parametrize(
    ("n", "window", "hop"), [(40, 8, 2), (33, 16, 4), (16, 16, 16)]
)
def test_transform_is_the_definition(n, window, hop):
    rows = rows_of(2, n)
    found = STFT(window, hop)(torch.tensor(rows))
    for row, spectrum in zip(rows, found, strict=True):
        np.testing.assert_allclose(spectrum, spectra(row, window, hop), atol=1e-12)


def test_transform_is_scipys():
    """Compare inside the row, where the padding has no influence."""
    row = rows_of(1, 64)[0]
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(16) / 16)
    scipys = ShortTimeFFT(hann, hop=4, fs=1.0, phase_shift=None)
    ours = STFT(16, 4)(torch.tensor(row)[None])[0].numpy()
    theirs = scipys.stft(row, p0=0, p1=ours.shape[1])
    np.testing.assert_allclose(np.abs(ours), np.abs(theirs), atol=1e-12)


def test_magnitude_error_is_equation_7():
    a, b = rows_of(3, 40), rows_of(3, 40, 1)
    found = STFT(8, 2).magnitude_error(torch.tensor(a), torch.tensor(b))
    for i in range(3):
        expected = np.abs(np.abs(spectra(a[i], 8, 2)) - np.abs(spectra(b[i], 8, 2)))
        assert float(found[i]) == pytest.approx(expected.sum())


@pytest.fixture
def problem():
    """Rows, atoms, mean and the loss (8) with ridge codes, by numpy alone."""
    X, mean = rows_of(4, 24), rows_of(1, 24, 5)[0]
    model = AtomModel(Sinusoid(), Grid((24,)))
    waves = Waves.of(
        torch.tensor([[1.3], [4.1], [7.7]]).double(),
        torch.tensor([0.3, 1.0, 2.0]).double(),
    )
    return X, mean, model, model.start(waves)


def l1(X, Y):
    pairs = zip(X, Y, strict=True)
    return np.mean(
        [
            np.abs(np.abs(spectra(x, 8, 2)) - np.abs(spectra(y, 8, 2))).sum()
            for x, y in pairs
        ]
    )


def test_equation_8_on_a_minibatch(problem):
    X, mean, model, params = problem
    loss = MinibatchLoss(SpectralLoss(STFT(8, 2), 0.3), 1e-3, torch.tensor(mean))
    S = model.atoms(params).numpy()
    S = S / np.linalg.norm(S, axis=1, keepdims=True)
    W = np.linalg.solve(S @ S.T + 1e-3 * np.eye(3), S @ X.T).T
    squared = ((X - W @ S) ** 2).sum(1).mean()
    expected = squared + 0.3 * l1(X + mean, W @ S + mean)
    batch = torch.tensor(X), torch.full((4,), 0.25).double()
    found = loss.with_fixed_codes(model.atoms(params), batch)
    assert float(found) == pytest.approx(expected)
    assert float(loss.spectral_error(model.atoms(params), batch)) == pytest.approx(
        l1(X + mean, W @ S + mean)
    )
    assert loss.total(2.0, 3.0) == pytest.approx(2.9)
    assert MinibatchLoss(None, 0.0, torch.tensor(mean)).total(2.0, np.nan) == 2.0


def test_gradient_of_equation_7_by_finite_differences(problem):
    """The codes depend on the atoms, and the gradient includes this dependence."""
    X, mean, model, params = problem
    loss = MinibatchLoss(SpectralLoss(STFT(8, 2), 1.0), 1e-3, torch.tensor(mean))
    batch = torch.tensor(X), torch.full((4,), 0.25).double()
    point = params.clone().requires_grad_(True)
    (gradient,) = torch.autograd.grad(
        loss.spectral_error(model.atoms(point), batch), point
    )

    def value(p):
        S = model.atoms(p).numpy()
        S = S / np.linalg.norm(S, axis=1, keepdims=True)
        W = np.linalg.solve(S @ S.T + 1e-3 * np.eye(3), S @ X.T).T
        return l1(X + mean, W @ S + mean)

    for index in np.ndindex(*params.shape):
        shift = torch.zeros_like(params)
        shift[index] = 1e-6
        numeric = (value(params + shift) - value(params - shift)) / 2e-6
        assert float(gradient[index]) == pytest.approx(numeric, rel=1e-4, abs=1e-6)


def objective(q, x, axes, mean, stft, weight):
    q, x = torch.as_tensor(q), torch.as_tensor(x)
    rebuilt = mean + q @ axes
    error = stft.magnitude_error(x[None], rebuilt[None])[0]
    return float(((x - rebuilt) ** 2).sum() + weight * error)


@pytest.mark.parametrize("weight", [0.05, 0.5])
def test_polish_never_raises_the_loss_and_comes_near_its_least(weight, monkeypatch):
    X = torch.tensor(rows_of(3, 32))
    mean = torch.tensor(rows_of(1, 32, 1)[0])
    axes = torch.tensor(np.linalg.qr(rows_of(32, 5, 2))[0].T.copy())
    stft = STFT(8, 2)
    losses = []
    monkeypatch.setattr("skspectral.coding.spectral._TOLERANCE", 0.0)
    for n_iter in (0, 1, 3, 8, 100):
        q = polished_coordinates(X, axes, mean, stft, weight, n_iter)
        losses.append(
            [
                objective(*pair, axes, mean, stft, weight)
                for pair in zip(q, X, strict=True)
            ]
        )
    losses = np.array(losses)
    assert (np.diff(losses, axis=0) <= 1e-9).all()
    for i, x in enumerate(X):
        # With a large weight, there are several minima. Start near the one found.
        start = (x - mean) @ axes.T if weight < 0.1 else q[i]
        best = minimize(
            objective,
            start.numpy(),
            (x, axes, mean, stft, weight),
            method="Nelder-Mead",
            options={"maxiter": 3000, "fatol": 1e-8, "xatol": 1e-6},
        ).fun
        gained = (losses[0, i] - losses[:, i]) / (losses[0, i] - best)
        assert gained[-1] > 0.9


def test_rows_are_polished_alone():
    X = torch.tensor(rows_of(3, 32))
    axes = torch.tensor(np.linalg.qr(rows_of(32, 5, 2))[0].T.copy())
    mean, stft = torch.zeros(32).double(), STFT(8, 2)
    together = polished_coordinates(X, axes, mean, stft, 0.3)
    alone = polished_coordinates(X[1:2], axes, mean, stft, 0.3)
    np.testing.assert_allclose(together[1:2], alone, atol=1e-10)


def test_a_row_that_is_explained_stays():
    axes = torch.tensor(np.linalg.qr(rows_of(32, 5, 2))[0].T.copy())
    q = torch.tensor(rows_of(2, 5))
    q[1] = 0
    mean = torch.zeros(32).double()
    found = polished_coordinates(q @ axes, axes, mean, STFT(8, 2), 0.3)
    np.testing.assert_allclose(found, q, atol=1e-10)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_silent_rows_and_huge_weights_stay_finite(dtype):
    X = torch.tensor(rows_of(3, 32)).to(dtype)
    X[0] = 0
    axes = torch.tensor(np.linalg.qr(rows_of(32, 5, 2))[0].T.copy()).to(dtype)
    mean = torch.zeros(32, dtype=dtype)
    for weight in (1.0, 1e6, 1e20, 1e38):
        found = polished_coordinates(X, axes, mean, STFT(8, 2), weight)
        assert bool(found.isfinite().all())
        np.testing.assert_array_equal(found[0], 0)
