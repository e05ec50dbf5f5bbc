"""Moments in files: nothing is lost, and nothing else is read."""

import pickle
import re
import zipfile

import numpy as np
import pytest
import torch

from skspectral import SpectralDictionaryLearning
from skspectral.grid import Grid
from skspectral.moments import (
    DenseScatter,
    FactorScatter,
    Moments,
    SketchScatter,
    load_moments,
    save_moments,
)

CPU = torch.device("cpu")
SHAPE = (3, 4, 2)
T = 24
SCATTERS = {
    "dense": lambda: DenseScatter(T, CPU),
    "factor": lambda: FactorScatter(T, CPU, 100),
    "sketch": lambda: SketchScatter(Grid.of(SHAPE, T), 5, CPU),
}


@pytest.fixture(params=SCATTERS)
def moments(request):
    X = np.random.default_rng(0).normal(size=(30, T)).astype(np.float32) + 3
    return Moments(T, CPU, scatter=SCATTERS[request.param]()).update(X)


def test_saved_moments_go_on_as_if_nothing_had_happened(moments, tmp_path):
    path = tmp_path / "moments.npz"
    save_moments(moments, path)
    loaded = load_moments(path)
    assert loaded.scatter.kind == moments.scatter.kind
    more = np.random.default_rng(1).normal(size=(20, T)).astype(np.float32)
    for both in (loaded, moments):
        both.update(more)
    assert (loaded.weight, loaded.n_samples) == (moments.weight, moments.n_samples)
    assert (loaded.fourth, loaded.scatter.error) == (
        moments.fourth,
        moments.scatter.error,
    )
    for name in ("mean", "third"):
        assert torch.equal(getattr(loaded, name), getattr(moments, name))
    assert torch.equal(loaded.covariance().dense(), moments.covariance().dense())
    assert [file.name for file in tmp_path.iterdir()] == ["moments.npz"]


def test_moments_of_a_fit_in_a_file_have_no_code(tmp_path):
    X = np.random.default_rng(0).normal(size=(40, 16))
    est = SpectralDictionaryLearning(2, modulation=None).fit(X)
    save_moments(est.moments_, tmp_path / "fit.npz")
    with np.load(tmp_path / "fit.npz", allow_pickle=False) as file:
        assert all(array.dtype != object for array in file.values())
    moments = load_moments(tmp_path / "fit.npz")
    np.testing.assert_allclose(moments.covariance().dense(), np.cov(X.T, bias=True))


@pytest.mark.parametrize("kept", [0.0, 0.5, 0.99])
def test_a_truncated_file_is_refused(moments, tmp_path, kept):
    path = tmp_path / "moments.npz"
    save_moments(moments, path)
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(ValueError, match="or is damaged"):
        load_moments(path)


def test_a_changed_byte_is_found(moments, tmp_path):
    path = tmp_path / "moments.npz"
    save_moments(moments, path)
    content = bytearray(path.read_bytes())
    at = content.index(bytes(memoryview(moments.mean.numpy()).cast("B"))[:16])
    content[at] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match="checksum of mean"):
        load_moments(path)


def rewritten(path, **changes):
    """Change arrays of a file; None removes an array."""
    with np.load(path, allow_pickle=False) as file:
        content = dict(file) | changes
    np.savez(path, **{k: v for k, v in content.items() if v is not None})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": np.array("other")}, "the format is 'other'"),
        ({"version": np.array(99)}, "has version 99"),
        ({"kind": np.array("cube")}, "cube"),
        ({"mean": np.zeros(3)}, "mean has the shape (3,)"),
        ({"mean": np.full(T, np.nan)}, "mean has NaN"),
        ({"weight": np.array(-1.0)}, "not a finite number"),
        ({"third": None}, "third"),
    ],
)
def test_other_content_is_refused(moments, tmp_path, changes, message):
    path = tmp_path / "moments.npz"
    save_moments(moments, path)
    rewritten(path, **changes)
    with pytest.raises(ValueError, match=re.escape(message)):
        load_moments(path)


def test_foreign_files_are_refused(tmp_path):
    path = tmp_path / "foreign.npz"
    for content in (b"", b"text", pickle.dumps([1, 2])):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="does not hold moments"):
            load_moments(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(ValueError, match="does not hold moments"):
        load_moments(path)
    np.savez(path, format=np.array([{"code": 1}], dtype=object))
    with pytest.raises(ValueError, match="does not hold moments"):
        load_moments(path)
    with pytest.raises(FileNotFoundError):
        load_moments(tmp_path / "missing.npz")


def test_what_cannot_be_saved(tmp_path):
    with pytest.raises(TypeError, match="moments of type list"):
        save_moments([], tmp_path / "list.npz")
    with pytest.raises(IsADirectoryError, match="is a folder"):
        save_moments(Moments(3, CPU), tmp_path)


class TestFromArrays:
    def test_the_moments_are_those_of_the_rows(self):
        X = np.random.default_rng(0).normal(size=(90, 7)) @ np.diag(np.arange(7))
        moments = Moments.from_arrays(X.mean(0), np.cov(X, rowvar=False, bias=True), 90)
        expected = Moments(7, torch.device("cpu"), tails=False).update(X)
        np.testing.assert_allclose(moments.mean, expected.mean)
        np.testing.assert_allclose(
            moments.covariance().dense(), expected.covariance().dense(), atol=1e-12
        )
        assert (moments.n_samples, moments.weight) == (90, 90.0)
        # They can be merged, and the arrays of the caller stay as they are.
        both = moments.merge(expected)
        np.testing.assert_allclose(both.mean, expected.mean)
        mean, covariance = np.ones(2), np.eye(2)
        Moments.from_arrays(mean, covariance, 3).update(np.zeros((4, 2)))
        np.testing.assert_array_equal(covariance, np.eye(2))
        np.testing.assert_array_equal(mean, np.ones(2))

    @pytest.mark.parametrize(
        ("mean", "covariance", "n_samples", "message"),
        [
            (np.zeros(3), np.eye(2), 9, r"mean of shape \(3,\) and covariance"),
            (np.zeros((2, 2)), np.eye(2), 9, "must have the shapes"),
            (np.zeros(2), [[1, np.nan], [np.nan, 1]], 9, "NaN or infinite"),
            (np.zeros(2), [[1, 0.5], [0, 1]], 9, "symmetric and positive"),
            (np.zeros(2), [[1, 2], [2, 1]], 9, "symmetric and positive"),
            (np.zeros(2), -np.eye(2), 9, "symmetric and positive"),
            (np.zeros(2), np.eye(2), 0, "n_samples=0"),
        ],
    )
    def test_invalid_arrays(self, mean, covariance, n_samples, message):
        with pytest.raises(ValueError, match=message):
            Moments.from_arrays(mean, covariance, n_samples)
