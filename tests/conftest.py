"""Data shared by the tests."""

import numpy as np
import pytest
import torch
from hypothesis import settings

from skspectral.datasets import load_photograph_patches

settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")

_OPERATORS = []


def _import_torchvision():
    """Import a torchvision that was built for CUDA beside a CPU build of torch.

    Its import asks torch for the schemas of two operators that only the CUDA library
    brings. Declaring them is enough for everything that does not call them; the tests
    read files only.
    """
    try:
        import torchvision  # noqa: F401
    except RuntimeError as error:
        if "torchvision::nms does not exist" not in str(error):
            raise
        library = torch.library.Library("torchvision", "DEF")
        for operator in ("nms", "qnms"):
            library.define(
                f"{operator}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
            )
        _OPERATORS.append(library)


@pytest.fixture
def torchvision_datasets():
    _import_torchvision()
    from torchvision import datasets

    return datasets


@pytest.fixture(scope="session")
def torch_fidelity():
    """The package, with its functions from features to metrics as submodules."""
    _import_torchvision()
    import torch_fidelity
    import torch_fidelity.metric_fid
    import torch_fidelity.metric_isc
    import torch_fidelity.metric_kid
    import torch_fidelity.metric_prc

    return torch_fidelity


@pytest.fixture(scope="session")
def patches():
    """8 x 8 colour patches of photographs: training and test rows in [0, 1]."""
    train, test = load_photograph_patches(600, size=8)
    return tuple(part.reshape(len(part), -1) / 255 for part in (train, test))


@pytest.fixture(scope="session")
def signals():
    """Signals of length 48: smooth random combinations of a few waves, and noise."""
    rng = np.random.default_rng(3)
    t = np.arange(48) / 48
    waves = [np.sin(2 * np.pi * f * t + p) for f, p in ((1.3, 0), (4, 1), (7.7, 2))]
    codes = rng.normal(size=(200, 3)) * [3, 2, 1]
    return 5 + codes @ waves + 0.3 * rng.normal(size=(200, 48))


@pytest.fixture
def cpu():
    return torch.device("cpu")
