"""Tensors and other arrays in and out, devices, and memory."""

import pickle

import array_api_strict
import numpy as np
import pytest
import torch
from sklearn import config_context
from sklearn.utils._array_api import move_estimator_to

from skspectral import SpectralDictionaryLearning, SpectralOutlierDetector
from skspectral._device import batch_rows, memory_advice
from skspectral.moments import Moments

PUBLIC = ["components_", "frequencies_", "phases_", "amplitudes_", "mean_"]

gpu = pytest.param("cuda", marks=pytest.mark.gpu)


@pytest.fixture(params=["cpu", gpu])
def device(request):
    if request.param == "cuda" and not torch.cuda.is_available():
        pytest.skip("no CUDA device here")
    return torch.device(request.param)


def estimator(**options):
    return SpectralDictionaryLearning(4, random_state=0, **options)


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.uint8])
def test_tensors_in_tensors_out(signals, dtype, device):
    """On X's device, with the values that numpy has."""
    X = (signals * (1 if dtype != np.uint8 else 10)).astype(dtype)
    X_tensor = torch.tensor(X, device=device)
    expected = estimator().fit(X)
    with config_context(array_api_dispatch=True):
        est = estimator().fit(X_tensor)
        codes = est.transform(X_tensor)
        rebuilt, drawn = est.inverse_transform(codes), est.sample(3)
        scores = est.score_samples(X_tensor)
    for value in (codes, rebuilt, drawn, scores, *(getattr(est, n) for n in PUBLIC)):
        assert isinstance(value, torch.Tensor)
        assert value.device.type == device.type
    rtol = 1e-9 if dtype == np.float64 else 1e-2
    for name in PUBLIC:
        found = getattr(est, name).cpu().numpy()
        assert found.dtype == getattr(expected, name).dtype
        np.testing.assert_allclose(found, getattr(expected, name), rtol=rtol, atol=1e-3)
    np.testing.assert_allclose(
        rebuilt.cpu(), expected.inverse_transform(expected.transform(X)), rtol=rtol
    )
    assert codes.cpu().numpy().dtype == expected.transform(X).dtype
    assert isinstance(est.noise_variance_, float)


@pytest.mark.parametrize("convert", [array_api_strict.asarray, torch.as_tensor])
@pytest.mark.parametrize("converts_weights", [True, False])
def test_weights_in_every_library(signals, convert, converts_weights):
    weights = np.arange(len(signals), dtype=float)
    detector = SpectralOutlierDetector(estimator(), contamination=0.1)
    detector.fit(signals, sample_weight=weights)
    score = detector.estimator_.score(signals, sample_weight=weights)
    with config_context(array_api_dispatch=True):
        X = convert(signals)
        given = convert(weights) if converts_weights else weights
        found = SpectralOutlierDetector(estimator(), contamination=0.1)
        found.fit(X, sample_weight=given)
        assert found.offset_ == pytest.approx(detector.offset_)
        again = found.estimator_.score(X, sample_weight=given)
    assert again == pytest.approx(score)


def test_same_draws_on_every_device(signals, device):
    """Noise is drawn on the CPU."""
    here = estimator().fit(signals)
    there = estimator(device=device).fit(signals)
    for random_state in (None, 3):
        np.testing.assert_allclose(
            there.sample(5, random_state=random_state),
            here.sample(5, random_state=random_state),
            rtol=1e-4,
        )


def test_numpy_in_numpy_out_whatever_the_device(signals, device):
    est = estimator(device=device).fit(signals)
    for value in vars(est).values():
        assert not isinstance(value, torch.Tensor)
    assert isinstance(est.transform(signals), np.ndarray)
    assert isinstance(est.sample(2), np.ndarray)
    # A pickle can be loaded on a machine without the device.
    again = pickle.loads(pickle.dumps(est)).set_params(device=None)
    np.testing.assert_allclose(again.transform(signals), est.transform(signals))


@pytest.mark.parametrize("options", [{}, {"modulation": "mlp"}, {"solver": "adam"}])
def test_every_way_of_learning_on_every_device(signals, device, options):
    options = {"tol": 0.1, "stft_weight": 0.1, "stft_window": 8, **options}
    est = estimator(device=device, transform_stft_weight=0.1, **options).fit(signals)
    assert np.isfinite(est.transform(signals[:5])).all()
    est.partial_fit(signals[:50])
    images = {"signal_shape": (6, 8), "atoms": "plane_wave", "init": "random"}
    est.set_params(**images).fit(signals)
    assert np.isfinite(est.score(signals))


def test_partial_fit_and_tensors(signals, device):
    X = torch.tensor(signals, device=device)
    with config_context(array_api_dispatch=True):
        est = estimator().fit(X[:100])
        est.partial_fit(X[100:])
        est.set_params(warm_start=True).fit(X, sample_weight=torch.ones(len(X)).to(X))
        est.set_params(init=est.frequencies_, warm_start=False)
        assert est.fit(X).n_samples_seen_ == len(X)


def test_an_estimator_can_be_moved(signals):
    X = array_api_strict.asarray(signals)
    est = estimator().fit(signals)
    with config_context(array_api_dispatch=True):
        moved = move_estimator_to(est, array_api_strict, X.device)
        codes = moved.transform(X)
        drawn = moved.sample(3, random_state=0)
    assert isinstance(codes, type(X))
    np.testing.assert_allclose(np.asarray(codes), est.transform(signals))
    np.testing.assert_allclose(np.asarray(drawn), est.sample(3, random_state=0))
    assert isinstance(est.components_, np.ndarray)


def test_tensors_that_numpy_takes_when_dispatch_is_off(signals):
    est = estimator().fit(torch.tensor(signals))
    assert isinstance(est.components_, np.ndarray)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda X: X.requires_grad_(True), "detach"),
        (lambda X: X.bfloat16(), "bfloat16"),
        (lambda X: X.half(), "float16"),
    ],
)
def test_tensors_of_no_use(signals, change, message):
    X = torch.tensor(signals)
    est = estimator().fit(signals)
    for method in (est.fit, est.transform, est.inverse_transform):
        with pytest.raises(ValueError, match=message):
            method(change(X.clone()))


def test_out_of_memory_names_the_batch_size_and_leaves_the_estimator(
    signals, monkeypatch
):
    """A simulated allocator that runs out of memory."""
    est = estimator(batch_size=64).fit(signals)
    before = est.transform(signals)

    def full(*args, **kwargs):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 1 GiB.")

    monkeypatch.setattr(Moments, "update", full)
    with pytest.raises(MemoryError, match=r"batch_size=64 \(CUDA out of memory"):
        est.fit(signals * 2)
    np.testing.assert_array_equal(est.transform(signals), before)
    monkeypatch.setattr("skspectral.model.apply_centred", full)
    with pytest.raises(MemoryError, match="smaller batch_size"):
        est.transform(signals)


def test_other_errors_are_not_about_memory():
    with pytest.raises(RuntimeError, match="shapes"), memory_advice(3):
        raise RuntimeError("shapes do not fit")
    for reason in (
        "CUDA error: out of memory",
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
    ):
        with pytest.raises(MemoryError, match="batch_size=3"), memory_advice(3):
            raise RuntimeError(reason)
    with pytest.raises(MemoryError, match="batch_size=None"), memory_advice(None):
        # No machine has this much memory.
        torch.empty(2**60, dtype=torch.uint8)


def test_batches_respect_the_free_memory(monkeypatch):
    """The free memory of the device is simulated."""
    X = np.zeros((10, 1000), np.float32)
    free = {"bytes": 8 * 4000 * 25}
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (free["bytes"], 2**40))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda _: 0)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda _: 0)
    cuda = torch.device("cuda")
    assert batch_rows(X, None, 1, cuda) == 25
    assert batch_rows(X, 7, 1, cuda) == 7
    free["bytes"] = 0
    assert batch_rows(X, None, 1, cuda) == 1
    free["bytes"] = 2**40
    assert batch_rows(X, None, 1, cuda) == 2**29 // 4000


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")
def test_a_full_device_names_the_batch_size():
    X = torch.zeros(2, 8, device="cuda").normal_()
    free, _ = torch.cuda.mem_get_info()
    hog = torch.empty(int(free * 0.999), dtype=torch.uint8, device="cuda")
    try:
        with (
            config_context(array_api_dispatch=True),
            pytest.raises(MemoryError, match=r"batch_size|does not fit"),
        ):
            estimator().fit(X.repeat(1, 2000))
    finally:
        del hog
        torch.cuda.empty_cache()
