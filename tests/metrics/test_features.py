"""Features of images from functions, modules and files."""

import pickle
import sys
import warnings

import numpy as np
import pytest
import torch
from torch import nn

from skspectral.metrics import extract_features, inception_extractor


@pytest.fixture
def images():
    levels = np.random.default_rng(0).integers(0, 256, size=(7, 8, 6, 3))
    return levels.astype(np.uint8)


class Network(nn.Module):
    """Features and logits; the batch must not matter, nor the mode."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
        self.dropout = nn.Dropout(0.5)
        self.last = nn.Linear(4, 2)

    def forward(self, x):
        features = self.dropout(self.inner(x).mean(dim=(2, 3)))
        return features, self.last(features)


@pytest.fixture
def network():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Network()


def test_a_function_is_given_bytes(images):
    seen = []

    def extractor(batch):
        seen.append((batch.dtype, batch.shape))
        return batch.astype(float).mean(axis=(1, 2))

    features = extract_features(images, extractor, batch_size=3)
    np.testing.assert_allclose(features, images.astype(float).mean(axis=(1, 2)))
    assert features.dtype == np.float64
    assert [shape[0] for _, shape in seen] == [3, 3, 1]
    assert {dtype for dtype, _ in seen} == {np.dtype(np.uint8)}


def test_floats_are_clipped_and_rounded(images):
    floats = images / 255
    jitter = np.random.default_rng(1).uniform(-0.49, 0.49, size=images.shape) / 255
    flat = extract_features(images, lambda batch: batch.reshape(len(batch), -1))
    for other in (floats, floats.astype(np.float32), floats + jitter):
        np.testing.assert_array_equal(
            extract_features(other, lambda batch: batch), flat
        )
    beyond = extract_features(floats * 1.5 - 0.2, lambda batch: batch)
    assert beyond.min() == 0
    assert beyond.max() == 255


def test_a_module_is_given_planes_from_0_to_1(images, network):
    planes = torch.from_numpy(np.moveaxis(images / 255, -1, 1)).float()
    features, logits = extract_features(images, network, batch_size=2)
    with torch.inference_mode():
        expected = network.eval()(planes)
    np.testing.assert_allclose(features, expected[0], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(logits, expected[1], rtol=1e-5, atol=1e-6)


def test_a_module_is_left_as_it_was(images, network):
    network.inner.eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    extract_features(images, network)
    assert network.training
    assert network.dropout.training
    assert not network.inner.training
    assert not network.inner[1].training
    for name, value in network.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)


@pytest.mark.parametrize("kind", [str, lambda path: path])
def test_a_torchscript_file(tmp_path, images, network, kind):
    path = tmp_path / "network.ts"
    with warnings.catch_warnings():
        # Writing such files is out of fashion; reading them is what is tested.
        warnings.simplefilter("ignore", DeprecationWarning)
        torch.jit.script(network).save(path)
    from_file = extract_features(images, kind(path))
    for ours, expected in zip(
        from_file, extract_features(images, network), strict=True
    ):
        np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=1e-6)


def test_images_are_not_modified(images):
    before = images.copy()

    def rude(batch):
        means = batch.mean(axis=(1, 2))
        batch[:] = 0
        return means

    extract_features(images, rude)
    np.testing.assert_array_equal(images, before)


def test_grey_images_and_tensors(images):
    def means(batch):
        return batch.mean(axis=(1, 2))

    grey = images[..., 0]
    np.testing.assert_array_equal(
        extract_features(grey, means), extract_features(images, means)[:, :1]
    )
    tensor = torch.tensor(images / 255, requires_grad=True)
    np.testing.assert_array_equal(
        extract_features(tensor, means), extract_features(images, means)
    )


def test_a_list_is_an_array_and_a_tuple_several(images):
    def a_list(batch):
        return [list(image.mean(axis=(0, 1))) for image in batch]

    assert extract_features(images[:3], a_list).shape == (3, 3)
    features, more = extract_features(images, lambda batch: (batch, batch[:, 0]))
    assert (features.shape, more.shape) == ((7, 144), (7, 18))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x: x[0, 0], r"shape \(6, 3\), but images must have shape"),
        (lambda x: x[:0], "at least one sample"),
        (lambda x: x.astype(np.int64), "type int64, but they must be uint8"),
        (lambda x: x.astype(float), "from .* to 25., but floats must be from 0 to 1"),
        (lambda x: x / 16, "must be from 0 to 1"),
        (lambda x: x / 127.5 - 1, "must be from 0 to 1"),
        (lambda x: x * (x > 240) / 1.0, "must be from 0 to 1"),
        (lambda x: x / 255 + np.nan, "NaN"),
    ],
)
def test_bad_images(images, change, message):
    with pytest.raises(ValueError, match=message):
        extract_features(change(images), lambda batch: batch)


def test_an_extractor_that_returns_no_numbers(images):
    with pytest.raises(TypeError, match="array of real numbers"):
        extract_features(images, lambda batch: {"features": batch})


def test_an_extractor_that_loses_rows(images):
    with pytest.raises(ValueError, match="one row per image"):
        extract_features(images, lambda batch: batch[:1].mean(axis=(1, 2)))


def test_a_file_that_is_not_there(images, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nothing\.ts"):
        extract_features(images, tmp_path / "nothing.ts")
    with pytest.raises(FileNotFoundError, match=r"nothing\.pth"):
        inception_extractor(tmp_path / "nothing.pth")


def test_inception_without_torch_fidelity(tmp_path, monkeypatch):
    path = tmp_path / "weights.pth"
    path.touch()
    monkeypatch.setitem(
        sys.modules, "torch_fidelity.feature_extractor_inceptionv3", None
    )
    with pytest.raises(ImportError, match=r"skspectral\[fid\]"):
        inception_extractor(path)


@pytest.mark.slow
def test_inception(tmp_path, images, torch_fidelity):
    """The weights are random: what counts is that they are taken from the file."""
    from torch_fidelity import feature_extractor_inceptionv3 as module

    with pytest.MonkeyPatch.context() as patch:
        # The only part that would be downloaded.
        patch.setattr(module, "load_state_dict_from_url", lambda *_, **__: {})
        patch.setattr(nn.Module, "load_state_dict", lambda *_, **__: None)
        with torch.random.fork_rng():
            torch.manual_seed(0)
            network = module.FeatureExtractorInceptionV3(
                "random", ["2048", "logits_unbiased"]
            )
    path = tmp_path / "weights.pth"
    torch.save(network.state_dict(), path)
    features, logits = extract_features(images, inception_extractor(path), batch_size=4)
    planes = torch.from_numpy(np.moveaxis(images, -1, 1).copy())
    expected = network(planes)
    assert features.shape == (7, 2048)
    np.testing.assert_allclose(features, expected[0], rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(logits, expected[1], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("content", [b"", b"no archive", pickle.dumps({"a": 1})])
def test_a_damaged_file_of_an_extractor_is_named(tmp_path, content):
    path = tmp_path / "network.pt"
    path.write_bytes(content)
    for extractor in (path, str(path)):
        with pytest.raises(ValueError, match=r"extractor='.*network\.pt' is not a T"):
            extract_features(np.zeros((2, 8, 8)), extractor)


@pytest.mark.parametrize("weights", [5, None, b"weights.pth"])
def test_what_is_no_path_of_weights(weights):
    with pytest.raises(TypeError, match="The 'weights' parameter"):
        inception_extractor(weights)
