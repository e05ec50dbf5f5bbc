"""Copies, workers, forks and torch's modes: what surrounds a call."""

import copy
import pickle
import subprocess
import sys
from itertools import combinations

import numpy as np
import pytest
import torch
from joblib import Parallel, delayed

from skspectral import SpectralDictionaryLearning
from skspectral.priors import GaussianMixture

KEEPS = (copy.deepcopy, copy.copy, lambda est: pickle.loads(pickle.dumps(est)))


def fitted(signals, **options):
    return SpectralDictionaryLearning(3, modulation=None, **options).fit(signals)


def gaps(signals):
    X = signals[:2].copy()
    X[:, 5:20] = np.nan
    return X


@pytest.mark.parametrize("copied", KEEPS)
@pytest.mark.parametrize("prior", [None, GaussianMixture(2)])
def test_copies_without_a_seed_draw_differently(signals, copied, prior):
    est = fitted(signals, prior=prior)
    copies = [copied(est) for _ in range(3)]
    for draw in (
        lambda est: est.sample(2),
        lambda est: est.sample_posterior(gaps(signals)),
        lambda est: est.sample_given(np.eye(48)[:1], [5.0], 2),
    ):
        drawn = [draw(each) for each in (est, *copies, est)]
        assert all(np.abs(a - b).max() > 1e-6 for a, b in combinations(drawn, 2))


@pytest.mark.parametrize("copied", KEEPS[::2])
def test_copies_with_a_seed_go_on_alike(signals, copied):
    est = fitted(signals, random_state=3)
    other = copied(est)
    first = est.sample(2)
    np.testing.assert_array_equal(first, other.sample(2))
    assert not np.array_equal(first, est.sample(2))


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_workers_without_a_seed_draw_differently(signals, backend):
    est = fitted(signals)
    drawn = Parallel(n_jobs=2, backend=backend)(
        delayed(est.sample)(2) for _ in range(4)
    )
    assert all(np.abs(a - b).max() > 1e-6 for a, b in combinations(drawn, 2))


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"modulation": "mlp", "max_iter": 2},
        {"solver": "adam", "max_iter": 2},
        {"stft_weight": 0.1, "stft_window": 16, "max_iter": 2},
        {"transform_stft_weight": 0.1, "stft_window": 16},
    ],
    ids=str,
)
@pytest.mark.filterwarnings("ignore:The atoms had not converged")
def test_fits_do_not_depend_on_the_mode_of_torch(signals, options, mode):
    def run():
        est = SpectralDictionaryLearning(3, random_state=0, **options)
        est.fit(signals[:100]).partial_fit(signals[100:])
        return est, est.transform(signals[:5]), est.score_samples(signals[:5])

    _, *expected = run()
    with mode():
        est, *found = run()
        assert not torch.is_grad_enabled()
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-6)
    # What was learned in one mode goes on in another.
    est.partial_fit(signals[:50])


FORKING = """
import os, sys, warnings
import numpy as np, torch
before, after = map(int, sys.argv[1:])
torch.set_num_threads(before)
from skspectral import SpectralDictionaryLearning
X = np.random.default_rng(0).normal(size=(20, 16))
est = SpectralDictionaryLearning(2, modulation=None).fit(X)
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    child = os.fork()
if child:
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
torch.set_num_threads(after)
try:
    est.transform(X)
except RuntimeError as error:
    print(error, flush=True)
os._exit(0)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="threads of GNU OpenMP, and fork")
@pytest.mark.parametrize("threads", ["1 1", "2 1", "2 2"])
def test_a_fork_that_would_wait_for_ever_is_refused(threads):
    done = subprocess.run(
        [sys.executable, "-c", FORKING, *threads.split()],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert ("Start workers with the method 'spawn'" in done.stdout) == (
        threads == "2 2"
    )
