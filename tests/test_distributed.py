"""Moments and training by several processes of torch.distributed."""

import os
import pickle
import shutil
import subprocess
import sys
from textwrap import dedent

import numpy as np
import pytest
import torch

from skspectral.moments import Moments, all_reduce_moments
from skspectral.priors import DiffusionPrior

pytestmark = pytest.mark.slow
CPU = torch.device("cpu")


def run(path, n_processes, code):
    """Run a program in processes of one group, and return what each assigns to out."""
    path.mkdir(exist_ok=True)
    program = """
        import pickle, sys
        import numpy as np, torch
        from torch import distributed
        rank, size, folder = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
        torch.set_num_threads(1)
        distributed.init_process_group(
            "gloo", init_method=f"file://{folder}/store", rank=rank, world_size=size
        )
        CODE
        with open(f"{folder}/{rank}.pickle", "wb") as file:
            pickle.dump(out, file)
        distributed.destroy_process_group()
    """
    program = dedent(program).replace("CODE", dedent(code))
    (path / "store").unlink(missing_ok=True)
    running = [
        subprocess.Popen(
            [sys.executable, "-c", program, str(rank), str(n_processes), str(path)],
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"GLOO_SOCKET_IFNAME": "lo"},
        )
        for rank in range(n_processes)
    ]
    errors = [process.communicate(timeout=120)[1] for process in running]
    for process, error in zip(running, errors, strict=True):
        assert process.returncode == 0, error
    return [
        pickle.loads((path / f"{rank}.pickle").read_bytes())
        for rank in range(n_processes)
    ]


def rows():
    return np.random.default_rng(0).normal(3, 1, (100, 12)) * np.arange(1, 13)


@pytest.mark.parametrize(
    ("kind", "n_processes"), [("dense", 2), ("dense", 3), ("factor", 3), ("sketch", 2)]
)
def test_moments_are_those_of_all_rows(tmp_path, kind, n_processes):
    code = f"""
        from skspectral.grid import Grid
        from skspectral.moments import Moments, all_reduce_moments
        from skspectral.moments.choice import new_scatter
        X = np.random.default_rng(0).normal(3, 1, (100, 12)) * np.arange(1, 13)
        own = X[rank::size] if rank else X[rank::size].astype(np.float32)
        weights = np.arange(100.0)[rank::size]
        scatter = new_scatter("{kind}", Grid.of(None, 12, None), torch.device("cpu"),
                              n_rows=100, itemsize=8, sketch_size=12)
        moments = Moments(12, torch.device("cpu"), scatter=scatter)
        moments.update(own, weights)
        total = all_reduce_moments(moments)
        assert moments.n_samples == len(own)
        out = total
    """
    found = run(tmp_path, n_processes, code)
    expected = Moments(12, CPU).update(rows(), np.arange(100.0))
    for total in found:
        assert total.n_samples == 100
        assert total.weight == pytest.approx(expected.weight)
        assert total.dtype == np.float64
        assert total.scatter.kind == kind
        np.testing.assert_allclose(total.mean, expected.mean, rtol=1e-6)
        np.testing.assert_allclose(
            total.covariance().dense(), expected.covariance().dense(), rtol=1e-5
        )
        scale = expected.third.abs().max()
        np.testing.assert_allclose(total.third, expected.third, atol=1e-5 * scale)
        assert total.fourth == pytest.approx(expected.fourth, rel=1e-5)
    for total in found[1:]:
        np.testing.assert_allclose(total.mean, found[0].mean, rtol=1e-12)


def test_some_processes_may_have_no_rows_or_no_tails(tmp_path):
    code = """
        from skspectral.moments import Moments, all_reduce_moments
        X = np.random.default_rng(0).normal(3, 1, (100, 12)) * np.arange(1, 13)
        cpu = torch.device("cpu")
        out = [
            all_reduce_moments(Moments(12, cpu)).n_samples,
            all_reduce_moments(Moments(12, cpu).update(X[: 100 * (1 - rank)])),
            all_reduce_moments(Moments(12, cpu, tails=rank == 0).update(X)).fourth,
        ]
        try:
            all_reduce_moments(Moments(12 - rank, cpu))
        except ValueError as error:
            out.append(str(error))
    """
    for empty, total, fourth, error in run(tmp_path, 2, code):
        assert empty == 0
        expected = Moments(12, CPU).update(rows())
        np.testing.assert_allclose(total.mean, expected.mean)
        assert total.n_samples == 100
        assert np.isnan(fourth)
        assert "those of another process differ" in error


def test_a_group_is_needed():
    with pytest.raises(RuntimeError, match="no group of processes"):
        all_reduce_moments(Moments(3, CPU))
    with pytest.raises(RuntimeError, match="init_process_group"):
        DiffusionPrior(distributed=True).fit(
            np.random.default_rng(0).normal(size=(9, 2))
        )


TRAINING = """
    from skspectral import SpectralDictionaryLearning
    from skspectral.priors import DiffusionPrior
    rng = np.random.default_rng(0)
    t = np.arange(32) / 32
    X = np.sin(2 * np.pi * (3 * t + rng.random((150, 1)))) * rng.random((150, 1))
    X += 0.1 * rng.normal(size=X.shape)
    y = np.arange(150) % 2
    prior = DiffusionPrior(
        width=8, batch_size=15, random_state=0, distributed=DISTRIBUTED, OPTIONS
    )
    est = SpectralDictionaryLearning(6, prior=prior, random_state=0).fit(X, y)
    p = est.prior_
    out = p.history_, p.n_images_, est.sample(5, random_state=1), p.score_samples(
        est.coordinates(X[:3])
    )
"""


def train(tmp_path, n_processes, options="max_images=600, early_stopping=True"):
    code = TRAINING.replace("OPTIONS", options)
    return run(tmp_path, n_processes, code.replace("DISTRIBUTED", str(n_processes > 1)))


def assert_same_training(found, expected):
    history, n_images, draws, density = expected
    assert found[1] == n_images
    for name, values in history.items():
        np.testing.assert_allclose(found[0][name], values, rtol=1e-4)
    np.testing.assert_allclose(found[2], draws, rtol=1e-2, atol=1e-2)
    np.testing.assert_allclose(found[3], density, rtol=1e-2, atol=1e-2)


def test_training_is_that_of_one_process(tmp_path):
    (expected,) = train(tmp_path / "1", 1)
    assert len(expected[0]["loss"]) >= 2
    # The batches of 15 rows are divided into parts of 7 and 8.
    for found in train(tmp_path / "2", 2):
        assert_same_training(found, expected)


def test_a_checkpoint_can_be_resumed_by_other_numbers_of_processes(tmp_path):
    options = "early_stopping=False, checkpoint={!r}, max_images={}"
    first, second = (str(tmp_path / name) for name in ("first.pt", "second.pt"))
    half = train(tmp_path / "2", 2, options.format(first, 300))
    shutil.copy(first, second)
    (expected,) = train(tmp_path / "1", 1, options.format(second, 600))
    losses = half[0][0]["loss"]
    np.testing.assert_array_equal(expected[0]["loss"][: len(losses)], losses)
    for found in train(tmp_path / "3", 3, options.format(first, 600)):
        assert_same_training(found, expected)


def test_a_time_limit_is_that_of_the_first_process(tmp_path):
    found = train(tmp_path, 2, "max_time=1.5")
    assert found[0][1] == found[1][1] > 15
    np.testing.assert_array_equal(found[0][2], found[1][2])


def test_other_samples_or_seeds_are_refused(tmp_path):
    code = """
        from skspectral.priors import DiffusionPrior
        rng = np.random.default_rng(0)
        X, out = rng.normal(size=(40, 3)), []
        options = {"distributed": True, "max_images": 40, "width": 4}
        for rows, seed in ((X[rank:], 0), (X * (1 + rank), 0), (X, rank)):
            try:
                DiffusionPrior(random_state=seed, **options).fit(rows)
            except ValueError as error:
                out.append(str(error))
        try:
            DiffusionPrior(batch_size=1, **options).fit(X)
        except ValueError as error:
            out.append(str(error))
    """
    for errors in run(tmp_path, 2, code):
        assert len(errors) == 4
        assert all("other codes or another random_state" in each for each in errors[:3])
        assert "batch_size=1" in errors[3]
