import math
from contextlib import contextmanager

import numpy as np
import pytest
import torch

from skspectral import SpectralDictionaryLearning
from skspectral.priors import DiffusionPrior, GaussianPrior, Synthesis
from skspectral.priors.denoising.held_out import HeldOut, split_rows
from skspectral.priors.denoising.training import LOG_NOISE, enough_images


def groups(n_samples, seed=0):
    rng = np.random.default_rng(seed)
    centres = np.array([[2, 0, 1, 0], [-2, 1, 0, 0], [0, -2, -1, 0.5]])
    noise = rng.normal(size=(n_samples, 4)) * [0.6, 0.5, 0.3, 0.2]
    return centres[rng.integers(3, size=n_samples)] + noise


class Recorder:
    """A callback that records its calls and can raise an error."""

    def __init__(self, killed_at=None):
        self.states, self.n_steps, self.killed_at = [], [], killed_at

    def setup(self, estimator, context):
        pass

    teardown = setup

    def on_fit_task_begin(self, estimator, context):
        self.n_steps.append(context.max_subtasks)

    def on_fit_task_end(self, estimator, context, *, metadata=None):
        if metadata is not None:
            self.states.append(metadata)
        if len(self.states) == self.killed_at:
            raise KeyboardInterrupt


@pytest.mark.parametrize("n_rows", [2, 3, 4, 20, 79, 80, 1797, 10_240, 50_000])
def test_rows_are_split(n_rows):
    learned, held = split_rows(n_rows, seed=1)
    both = np.sort(np.concatenate([learned, held]))
    np.testing.assert_array_equal(both, np.arange(n_rows))
    expected = max(math.ceil(n_rows / 10), min(n_rows // 4, 20))
    assert len(held) == min(expected, 1024)
    assert len(learned) >= 1
    for part, same in zip((learned, held), split_rows(n_rows, seed=1), strict=True):
        np.testing.assert_array_equal(part, same)


def test_the_budget_follows_the_data():
    found = [enough_images(n) for n in (2, 100, 400, 1000, 50_000)]
    assert found == [20_000, 20_000, 80_000, 200_000, 200_000]


@pytest.fixture(scope="module")
def stopped():
    """A default fit to few rows, and the calls of its callback."""
    recorder = Recorder()
    prior = DiffusionPrior(width=8, random_state=0).set_callbacks(recorder)
    return prior.fit(groups(50)), recorder


def held_out_loss(prior, codes, seed):
    """The loss of the fitted prior on the rows that its fit held out."""
    denoiser = prior._trained_denoiser()
    rows = denoiser.distribution.coordinates(codes[split_rows(len(codes), seed)[1]])
    rows = torch.from_numpy(rows.astype(np.float32))
    labels = torch.zeros(0, dtype=torch.long)
    options = {"log_noise": LOG_NOISE, "unlabelled": 0.1, "seed": seed}
    return HeldOut(rows, labels, 0, **options).loss(denoiser)


def test_few_rows_take_little_time_and_the_best_weights_are_kept(stopped):
    prior, _ = stopped
    assert prior.n_images_ <= 20_032
    history = prior.history_
    told = history["held_out_loss"]
    least = np.nanmin(told)
    assert prior.best_n_images_ == history["n_images"][np.nanargmin(told)]
    found = held_out_loss(prior, groups(50), prior._model.seed)
    assert found == pytest.approx(least, rel=1e-5)


def test_more_is_learned_than_the_gaussian_knows(stopped):
    """Measured on rows that influenced neither the training nor its end."""
    denoiser, rng = stopped[0]._trained_denoiser(), np.random.default_rng(1)
    z = denoiser.distribution.coordinates(groups(3000, seed=9))
    clean = torch.from_numpy(z.astype(np.float32))
    levels = np.exp(LOG_NOISE[0] + LOG_NOISE[1] * rng.normal(size=(3000, 1)))
    levels = torch.from_numpy(levels.astype(np.float32))
    noise = torch.from_numpy(rng.normal(size=z.shape).astype(np.float32))
    given = clean, clean + levels * noise, levels
    left = float(denoiser.loss(*given, None))
    gaussian = float((denoiser.correction_to(*given).square().sum(1) / 4).mean())
    assert left < 0.97 * gaussian


def test_progress_is_told_from_the_first_step(stopped):
    _, recorder = stopped
    assert recorder.n_steps[1] == 313
    assert recorder.states[0]["n_images"] == 64
    assert recorder.states[-1]["held_out_loss"] > 0


def test_a_training_that_only_harms_leaves_the_gaussian():
    codes = groups(30)
    prior = DiffusionPrior(width=4, learning_rate=3.0, random_state=0).fit(codes)
    assert prior.best_n_images_ == 0
    # The training continues for 200 steps without improvement.
    assert prior.n_images_ == 200 * 64
    gaussian = GaussianPrior().fit(codes)
    np.testing.assert_allclose(
        prior.score_samples(codes), gaussian.score_samples(codes), rtol=1e-6
    )


@pytest.mark.parametrize(
    ("options", "n_images"),
    [
        ({"max_images": 640}, 640),
        ({"max_images": 640, "early_stopping": False}, 640),
        ({"max_images": 640, "max_time": 1000.0}, 640),
        ({"max_images": 640, "learning_rate": 3.0}, 640),
    ],
)
def test_a_budget_of_yours_is_used_up(options, n_images):
    prior = DiffusionPrior(width=4, random_state=0, **options).fit(groups(30))
    assert prior.n_images_ == prior.best_n_images_ == n_images
    assert np.isnan(prior.history_["held_out_loss"]).all()


def test_a_time_of_yours_is_used_up():
    prior = DiffusionPrior(width=4, max_time=0.5, learning_rate=3.0).fit(groups(30))
    assert prior._state.run_seconds >= 0.5


def test_a_budget_of_yours_with_early_stopping():
    options = {"width": 4, "learning_rate": 3.0, "random_state": 0}
    prior = DiffusionPrior(max_images=64 * 210, early_stopping=True, **options)
    assert prior.fit(groups(30)).n_images_ == 200 * 64
    assert prior.best_n_images_ == 0


def test_partial_fit_holds_nothing_out():
    codes = groups(30)
    options = {"width": 4, "max_images": 1280, "random_state": 0}
    stops = DiffusionPrior(early_stopping=True, **options)
    plain = DiffusionPrior(**options)
    for prior in (stops, plain):
        prior.partial_fit(codes)
    np.testing.assert_array_equal(
        stops.sample(5, random_state=0), plain.sample(5, random_state=0)
    )
    stops.fit(codes).partial_fit(codes)
    assert stops.n_images_ == stops.best_n_images_ == 2560


def test_labels_are_held_out_too():
    codes = groups(60)
    labels = np.where(codes[:, 0] > 0, "a", "b")
    options = {"width": 4, "max_images": 1280, "early_stopping": True}
    prior = DiffusionPrior(random_state=0, **options).fit(codes, labels)
    assert np.isfinite(prior.history_["held_out_loss"]).any()
    assert np.isfinite(prior.sample(3, y="b")).all()


def test_a_killed_fit_finds_the_same_best(tmp_path, monkeypatch):
    codes, path = groups(60), tmp_path / "training.pt"
    options = {
        "width": 4,
        "max_images": 64 * 60,
        "early_stopping": True,
        "random_state": 0,
    }
    whole = DiffusionPrior(**options).fit(codes)
    monkeypatch.setattr("skspectral.priors.denoising.training._INTERVAL", 0.0)
    killed = DiffusionPrior(checkpoint=path, **options)
    with pytest.raises(KeyboardInterrupt):
        killed.set_callbacks(Recorder(killed_at=47)).fit(codes)
    for _ in range(2):
        # A finished training is not repeated.
        again = DiffusionPrior(checkpoint=path, **options).fit(codes)
        assert again.best_n_images_ == whole.best_n_images_
        assert again.n_images_ == whole.n_images_ == 64 * 60
        np.testing.assert_allclose(
            again.sample(3, random_state=0),
            whole.sample(3, random_state=0),
            rtol=1e-4,
            atol=1e-4,
        )


@contextmanager
def defaults(setter, value, getter):
    before = getter()
    setter(value)
    try:
        yield
        assert getter() == value
    finally:
        setter(before)


MODES = {
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
    "float64": lambda: defaults(
        torch.set_default_dtype, torch.float64, torch.get_default_dtype
    ),
    "another device": lambda: torch.device("meta"),
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("network", ["mlp", "auto"])
def test_modes_of_the_caller_change_nothing(mode, network):
    codes = groups(40)
    synthesis = Synthesis(np.eye(4), np.zeros(4), (2, 2))

    def results():
        prior = DiffusionPrior(
            network,
            max_images=256,
            early_stopping=True,
            width=4,
            n_steps=2,
            random_state=0,
        )
        prior.fit(codes, synthesis=synthesis)
        yield prior.sample(3, random_state=0)
        yield prior.score_samples(codes[:3])
        yield prior.sample_given(np.eye(4)[:2], [0, 1], random_state=0)
        yield prior.partial_fit(codes).sample(3, random_state=0)

    expected = list(results())
    with MODES[mode]():
        before = torch.is_grad_enabled(), torch.is_inference_mode_enabled()
        found = list(results())
        assert (torch.is_grad_enabled(), torch.is_inference_mode_enabled()) == before
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("mode", ["no_grad", "inference_mode"])
def test_the_estimator_trains_it_in_any_mode(mode, signals):
    prior = DiffusionPrior(max_images=128, width=4, n_steps=2, random_state=0)
    options = {"modulation": None, "prior": prior, "random_state": 0, "tol": 0.5}
    expected = SpectralDictionaryLearning(4, **options).fit(signals)
    with MODES[mode]():
        found = SpectralDictionaryLearning(4, **options).fit(signals)
    # The prior can be trained further.
    found.prior_.partial_fit(found.coordinates(signals))
    expected.prior_.partial_fit(expected.coordinates(signals))
    np.testing.assert_array_equal(
        found.sample(3, random_state=0), expected.sample(3, random_state=0)
    )
