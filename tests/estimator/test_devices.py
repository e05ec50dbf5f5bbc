"""Devices of tensors, tested without an accelerator.

The tests use a pretend device. Its tensors hold data on the CPU but report another
device, raise an error in operations with tensors of the CPU, and are not converted to
numpy arrays implicitly. Code that fails here would fail on a GPU.
"""

import pickle
import warnings

import numpy as np
import pytest
import torch
from sklearn import config_context
from sklearn.datasets import load_sample_images
from sklearn.exceptions import ConvergenceWarning
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from skspectral import MLPModulation, SpectralDictionaryLearning
from skspectral.convolutional import ConvolutionalSpectralDictionary
from skspectral.priors import DiffusionPrior, GaussianMixture, Synthesis
from skspectral.restoration import PatchRestorer

# torch knows the name of this device, but its usual builds do not implement it.
ELSEWHERE = torch.device("lazy")


class Elsewhere(torch.Tensor):
    """A tensor on the pretend device."""

    @staticmethod
    def __new__(cls, held):
        return torch.Tensor._make_wrapper_subclass(
            cls, held.shape, held.stride(), dtype=held.dtype, device=ELSEWHERE
        )

    def __init__(self, held):
        self.held = held

    def numpy(self, *args, **kwargs):
        raise TypeError("can't convert a tensor that lives elsewhere to numpy")

    __array__ = numpy

    def new_tensor(self, data, **options):
        return Elsewhere(torch.tensor(data, dtype=options.get("dtype", self.dtype)))

    @classmethod
    def __torch_dispatch__(cls, operator, types, args=(), kwargs=None):
        return run(operator, args, kwargs or {})


class PretendDevice(TorchDispatchMode):
    """Redirect operations that create tensors or move them."""

    def __torch_dispatch__(self, operator, types, args=(), kwargs=None):
        return run(operator, args, kwargs or {})


def run(operator, args, kwargs):
    """Run an operation of the pretend device on the CPU."""
    name = operator.name()
    tensors = [x for x in tree_leaves((args, kwargs)) if isinstance(x, torch.Tensor)]
    away = [x for x in tensors if isinstance(x, Elsewhere)]
    moves = name.startswith(("aten::_to_copy", "aten::copy_"))
    if away and not moves:
        for here in tensors:
            # Scalars and indices may be on the CPU.
            index = "index" in name and not here.is_floating_point()
            if not isinstance(here, Elsewhere) and here.ndim > 0 and not index:
                raise RuntimeError(f"{name} mixes tensors of two devices")
    # torch marks lazy conjugation and negation by flags, which the wrapper would lose.
    physical = {"aten::_conj": "conj_physical", "aten::_neg_view": "neg"}
    if name in physical:
        operator = getattr(torch.ops.aten, physical[name]).default
    target = kwargs.get("device")
    if target is not None:
        kwargs = {**kwargs, "device": torch.device("cpu")}
    args, kwargs = tree_map(
        lambda x: x.held if isinstance(x, Elsewhere) else x, (args, kwargs)
    )
    result = operator(*args, **kwargs)
    stays = bool(away) if target is None else torch.device(target).type == "lazy"
    if name.startswith("aten::copy_"):
        stays = isinstance(tensors[0], Elsewhere)

    def wrap(x):
        if not isinstance(x, torch.Tensor) or not stays:
            return x
        # A tensor that was changed in place keeps its wrapper.
        return next((t for t in away if t.held is x), Elsewhere(x))

    return tree_map(wrap, result)


def learn(X, **options):
    options = {"n_components": 3, "random_state": 0, "tol": 0.1, **options}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return SpectralDictionaryLearning(**options).fit(X)


PLANES = {"atoms": "plane_wave", "signal_shape": (4, 6, 2)}
WAYS = [
    {"modulation": None, "windows": 3},
    {"modulation": None},
    {},
    {"modulation": MLPModulation(width=3, depth=1)},
    {"solver": "adam", "init": "random", "max_iter": 2},
    {"init": [1.3, 4.0, 7.7], "center": False},
    {"init": "spectrum", "solver": "lbfgs", "max_iter": 2, "shrinkage": 0.3},
    {**PLANES, "modulation": None, "shrinkage": "auto"},
    {"modulation": None, "transform_algorithm": "lasso_cd", "transform_alpha": 0.1},
    {"modulation": None, "n_nonzero_coefs": 2, "max_iter": 3},
    {**PLANES, "init": "random"},
    {**PLANES, "init": "spectrum", "modulation": MLPModulation(width=3, depth=1)},
]


@pytest.mark.parametrize("options", WAYS)
def test_numpy_on_another_device(signals, options):
    here = learn(signals, **options)
    weights = np.linspace(1, 2, len(signals))
    with PretendDevice():
        there = learn(signals, device="lazy", **options)
        assert not any(isinstance(x, torch.Tensor) for x in vars(there).values())
        codes = there.transform(signals)
        found = [codes, there.inverse_transform(codes), there.sample(4)]
        found.append(there.score_samples(signals))
        there.partial_fit(signals[:20], sample_weight=weights[:20])
    codes = here.transform(signals)
    expected = [codes, here.inverse_transform(codes), here.sample(4)]
    expected.append(here.score_samples(signals))
    for ours, theirs in zip(found, expected, strict=True):
        assert isinstance(ours, np.ndarray)
        np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-8)


def test_tensors_stay_where_they_are(signals):
    with PretendDevice(), config_context(array_api_dispatch=True):
        X = torch.tensor(signals).to(ELSEWHERE)
        est = learn(X)
        codes = est.transform(X)
        for value in (codes, est.inverse_transform(codes), est.sample(2)):
            assert isinstance(value, Elsewhere)
        assert isinstance(est.components_, Elsewhere)
        est.partial_fit(X[:20])
        est.set_params(warm_start=True).fit(X)
        again = learn(X, init=est.frequencies_)
        assert np.isfinite(again.score(X))


@pytest.mark.parametrize("n_missing", [4, 44])
@pytest.mark.parametrize("prior", [None, GaussianMixture(2)])
def test_what_the_prior_gives_elsewhere(signals, prior, n_missing):
    """Rows have more or fewer observed entries than codes."""
    hidden = signals[:9].copy()
    hidden[:, :n_missing] = np.nan
    hidden[:3, ::2] = np.nan

    def results(est):
        yield est.denoise(signals[:9])
        yield est.denoise(signals[:9], 0.01)
        yield from est.impute(hidden, return_std=True)
        yield est.sample_posterior(hidden, 3, random_state=0)

    options = {"n_components": 6, "modulation": None, "prior": prior}
    expected = list(results(learn(signals, **options)))
    with PretendDevice():
        there = learn(signals, device="lazy", **options)
        found = list(results(there))
    for ours, theirs in zip(found, expected, strict=True):
        assert isinstance(ours, np.ndarray)
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("network", ["auto", "mlp"])
def test_diffusion_elsewhere(network):
    """The training gives equal results, because its noise is drawn on the CPU."""
    codes = np.random.default_rng(0).normal(size=(60, 12))
    synthesis = Synthesis(np.eye(12), np.zeros(12), (3, 4))
    options = {"network": network, "max_images": 256, "width": 4, "random_state": 0}

    def results(prior):
        prior.fit(codes, np.arange(60) % 2, synthesis=synthesis)
        yield prior.sample(3, random_state=0)
        yield prior.sample_given(np.eye(12)[:2], [0, 1], random_state=0)
        yield prior.score_samples(codes[:3])

    expected = list(results(DiffusionPrior(**options)))
    with PretendDevice():
        there = DiffusionPrior(device="lazy", mirror=False, **options)
        found = list(results(there))
        pickled = pickle.dumps(there)
    # The pickle can be loaded without the device.
    back = pickle.loads(pickled).set_params(device=None)
    found.append(back.sample(3, random_state=0))
    for ours, theirs in zip(found, [*expected, expected[0]], strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)


def test_events_elsewhere():
    rng = np.random.default_rng(0)
    x = 0.05 * rng.normal(size=600)
    for start in range(20, 560, 45):
        x[start : start + 24] += np.hanning(24) * np.sin(np.arange(24))

    def results(est):
        est.fit([x])
        yield est.components_
        yield est.transform([x])[0].toarray()
        yield est.partial_fit([x[:300]]).components_
        yield est.find_events([x])["time"]

    options = {"n_times_atom": 24, "tol": 0.01}
    expected = list(results(ConvolutionalSpectralDictionary(2, **options)))
    with PretendDevice():
        there = ConvolutionalSpectralDictionary(2, device="lazy", **options)
        found = list(results(there))
        assert not any(isinstance(x, torch.Tensor) for x in vars(there).values())
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


def test_photographs_elsewhere():
    image = load_sample_images().images[0][100:140, 200:240, 1] / 255
    missing = np.random.default_rng(0).random(image.shape) < 0.5
    noise = np.full(image.shape, 0.1)
    noise[:, 20:] = 0.05

    def results(restorer):
        restorer.fit([load_sample_images().images[1][::3, ::3, 1]])
        yield restorer.covariances_
        yield from restorer.denoise(image, 0.1, return_std=True)
        yield restorer.denoise(image, noise)
        yield restorer.inpaint(image, missing)
        yield restorer.sample_posterior(image, sigma=0.1, random_state=0)[0]

    options = {"patch_size": 4, "stride": 3, "n_patches": 600, "random_state": 0}
    expected = list(results(PatchRestorer(**options)))
    with PretendDevice():
        found = list(results(PatchRestorer(device="lazy", **options)))
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)


def test_the_pretence_notices_what_a_gpu_would():
    with PretendDevice():
        x = torch.ones(3).to(ELSEWHERE)
        assert x.device.type == "lazy"
        with pytest.raises(RuntimeError, match="two devices"):
            x + torch.ones(3)
        with pytest.raises(TypeError, match="numpy"):
            np.asarray(x)
        np.testing.assert_array_equal((x + 1).cpu().numpy(), 2)
