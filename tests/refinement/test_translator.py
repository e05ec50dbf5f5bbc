"""The network that translates spectra: what it is made of, and what it does."""

import math
import pickle

import numpy as np
import pytest
import torch
from scipy import fft
from sklearn.base import clone
from sklearn.callback import ProgressBar
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.utils.estimator_checks import parametrize_with_checks

from skspectral.metrics import mean_spectrum_distance, ssim
from skspectral.refinement import SpectrumMatcher, SpectrumTranslator
from skspectral.refinement.translation.detection import Judge, split_rows
from skspectral.refinement.translation.model import (
    distances,
    even_half,
    square_rings,
    whole_plane,
)
from skspectral.refinement.translation.networks import (
    LinearDiscriminator,
    NestedUNet,
    PatchContrast,
    PatchDiscriminator,
)
from skspectral.refinement.translation.training import (
    dissimilarity,
    falling,
    iter_batches,
    root_mean_square,
)

SMALL = {"base_channels": 4, "depth": 2, "random_state": 0}
TERMS = {
    "lambda_gan": "patches",
    "lambda_profile": "profile",
    "lambda_nce": "contrast",
    "lambda_nce_identity": "contrast_of_real",
    "lambda_lowfreq": "low_frequencies",
    "lambda_ssim_identity": "dissimilarity_of_real",
    "lambda_ssim": "dissimilarity",
}


def images_of(n, shape=(16, 16, 3), seed=0):
    """Smooth noise about 0.5."""
    noise = np.random.default_rng(seed).normal(size=(n, *shape))
    smooth = noise + np.roll(noise, 1, 1) + np.roll(noise, 1, 2)
    return 0.5 + 0.06 * smooth


def with_board(images, strength=0.05):
    board = (-1.0) ** np.indices(images.shape[1:3]).sum(axis=0)
    return images + strength * board[..., None]


@pytest.fixture(scope="module")
def sets():
    return with_board(images_of(64)), images_of(64, seed=1)


@pytest.fixture(scope="module")
def translator(sets):
    fitted = SpectrumTranslator(max_epochs=3, early_stopping=False, **SMALL).fit(*sets)
    assert fitted.generator_ is not None
    return fitted


@pytest.mark.parametrize("shape", [(6, 8), (8, 6), (5, 7), (1, 4), (1, 5)], ids=str)
def test_planes_hold_what_half_planes_do(shape):
    image = np.random.default_rng(0).normal(size=(2, 3, *shape))
    half = torch.from_numpy(abs(fft.rfft2(image)))
    plane = whole_plane(half, shape[1])
    whole = fft.fftshift(abs(fft.fft2(image)), axes=(2, 3))
    assert np.allclose(plane, whole)
    assert np.allclose(even_half(plane), half)
    # Of what is not even, the even part: that of a real, even image.
    odd = torch.from_numpy(image)
    spectrum = fft.ifft2(fft.ifftshift(image, axes=(2, 3)))
    expected = fft.fft2(spectrum.real).real[..., : shape[1] // 2 + 1]
    assert np.allclose(even_half(odd), expected)


def test_places_and_rings():
    u, v = distances(8, 16).numpy()
    assert u[4, 0] == 0
    assert v[0, 8] == 0
    assert u[0, 3] == v[3, 0] == 1
    means = square_rings(8, 8)
    rings = np.abs(np.indices((8, 8)) - 4).max(axis=0)
    values = np.random.default_rng(0).normal(size=(8, 8))
    expected = [values[rings == k].mean() for k in range(5)]
    found = torch.from_numpy(values.ravel()).float() @ means
    assert np.allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize(
    ("network", "sizes", "n_parameters"),
    [
        (NestedUNet, (5, 3, 8, 3), 141_027),
        (PatchDiscriminator, (5, 16, 3), 24_449),
        (LinearDiscriminator, (3 * 32**2,), 3_073),
        (PatchContrast, ([8, 16, 32, 64], 64, 64, 0.07, 0), 24_576),
        # The published ones, and two more channels for places.
        (NestedUNet, (5, 3, 64, 4), 24_830_211 + 2 * 9 * 64),
        (PatchDiscriminator, (5, 64, 4), 1_555_585 + 2 * 9 * 64),
        (PatchContrast, ([64, 128, 256, 512, 512], 256, 64, 0.07, 0), 707_072),
    ],
)
def test_sizes_of_networks(network, sizes, n_parameters):
    assert sum(p.numel() for p in network(*sizes).parameters()) == n_parameters


def test_contrast_is_the_cross_entropy_of_places():
    generator = torch.Generator().manual_seed(0)
    inputs = [torch.randn(2, 5, 3, 4, generator=generator)]
    outputs = [torch.randn(2, 5, 3, 4, generator=generator).requires_grad_()]
    contrast = PatchContrast([5], 6, 12, 0.1, seed=1)
    loss = contrast(inputs, outputs)
    project = contrast.projections[0]
    total = 0.0
    for key, query in zip(inputs[0], outputs[0], strict=True):
        k, q = (project(part.reshape(5, 12).T).detach() for part in (key, query))
        k, q = (part / part.norm(dim=1, keepdim=True) for part in (k, q))
        for m in range(12):
            likeness = [math.exp(float(q[m] @ k[i]) / 0.1) for i in range(12)]
            total -= math.log(likeness[m] / sum(likeness)) / 24
    assert float(loss.detach()) == pytest.approx(total, rel=1e-4)
    same = contrast(inputs, inputs)
    assert float(same.detach()) < float(loss.detach())
    loss.backward()
    assert all(p.grad.abs().sum() > 0 for p in contrast.parameters())
    assert outputs[0].grad.abs().sum() > 0


def test_dissimilarity_is_that_of_the_metric():
    true, other = images_of(3, (20, 24, 2)), images_of(3, (20, 24, 2), seed=1)
    planes = [torch.from_numpy(x.transpose(0, 3, 1, 2)) for x in (true, other)]
    expected = 1 - ssim(true, other, data_range=1.0)
    assert float(dissimilarity(*planes)) == pytest.approx(expected, abs=1e-6)


def test_no_change_has_a_derivative():
    change = torch.zeros(3, requires_grad=True)
    root_mean_square(change).backward()
    assert (change.grad == 0).all()


def test_without_training_it_is_the_matcher(sets):
    expected = SpectrumMatcher().fit_transform(*sets)
    start = SpectrumTranslator(max_epochs=0)
    assert np.allclose(start.fit_transform(*sets), expected, atol=1e-5)
    assert start.n_iter_ == start.best_iter_ == 0
    identity = SpectrumTranslator(max_epochs=0, init="identity")
    assert np.array_equal(identity.fit_transform(*sets), sets[0])


def test_before_the_first_step_the_network_adds_nothing(sets):
    training = new_training(SpectrumTranslator(**SMALL), *sets)
    log_magnitudes, _ = batch(sets)
    gains, _ = training.translation(log_magnitudes)
    assert (gains == 0).all()


@pytest.mark.slow
def test_mean_spectra_of_other_images_stay_matched(sets):
    matcher = SpectrumMatcher().fit(*sets)
    others, real = with_board(images_of(200, seed=2)), images_of(200, seed=3)

    def distance(images):
        return mean_spectrum_distance(real, images, data_range=1.0).distance

    def after_training(recalibrate):
        translator = SpectrumTranslator(
            max_epochs=4,
            early_stopping=False,
            learning_rate=2e-2,
            recalibrate=recalibrate,
            **SMALL,
        )
        return distance(translator.fit(*sets).transform(others))

    recalibrated = after_training(True)
    assert recalibrated < distance(matcher.transform(others)) + 0.3
    assert recalibrated < distance(others) - 1
    # Training alone leaves them apart.
    assert after_training(False) > recalibrated + 0.1


@pytest.mark.parametrize("n_epochs", range(1, 13))
@pytest.mark.parametrize("decay_start", [0.0, 0.2, 1.0])
def test_the_learning_rate_never_turns(n_epochs, decay_start):
    n_steps = n_epochs * 2
    factors = [falling(step, n_steps, decay_start) for step in range(n_steps + 3)]
    assert min(factors) >= 0
    assert factors[0] == 1
    assert factors == sorted(factors, reverse=True)
    assert factors[-1] == 0


def new_training(translator, generated, real):
    fitted = clone(translator).set_params(max_epochs=0).fit(generated, real)
    return fitted._new_training(0, translator.max_epochs * 2)


def batch(sets, n=16):
    """The first images of either kind."""
    return next(batches([part[:n] for part in sets], n))


def batches(sets, batch_size, n_batches=1):
    stream, device = np.random.default_rng(0), torch.device("cpu")
    return iter_batches(sets, batch_size, n_batches, stream, (0.0, 1.0), 0.01, device)


def networks_of(training):
    return {
        "translation": training.translation,
        **training.discriminators,
        **{f"head {i}": head for i, head in enumerate(training.contrast.projections)},
    }


@pytest.mark.parametrize("profile", ["bins", "rings"])
@pytest.mark.parametrize("parameterization", ["residual", "absolute"])
def test_all_networks_learn(sets, profile, parameterization):
    translator = SpectrumTranslator(
        profile=profile, parameterization=parameterization, **SMALL
    )
    training = new_training(translator, *sets)
    assert len(networks_of(training)) == 3 + 3
    moved = {}
    for _ in range(3):
        training.step(*batch(sets))
        for name, network in networks_of(training).items():
            for key, weight in network.named_parameters():
                gradient = weight.grad
                seen = gradient is not None and bool((gradient != 0).any())
                moved[name, key] = moved.get((name, key), False) or seen
    assert all(moved.values()), [name for name, seen in moved.items() if not seen]


@pytest.mark.parametrize("name", TERMS)
def test_a_weight_is_that_of_its_term(sets, name):
    others = dict.fromkeys(TERMS, 0.0)
    alone = new_training(SpectrumTranslator(**{**others, name: 1.0}, **SMALL), *sets)
    assert list(alone.step(*batch(sets))) == [TERMS[name]]
    weights = {part: 1.0 for part in TERMS if part != name}
    without = new_training(SpectrumTranslator(**{name: 0.0}, **weights, **SMALL), *sets)
    assert set(without.step(*batch(sets))) == set(TERMS.values()) - {TERMS[name]}
    if name in ("lambda_gan", "lambda_profile"):
        assert TERMS[name] not in without.discriminators


@pytest.mark.parametrize("name", TERMS)
def test_each_term_teaches_the_translation(sets, name):
    weights = {**dict.fromkeys(TERMS, 0.0), name: 1.0}
    training = new_training(SpectrumTranslator(**weights, **SMALL), *sets)
    # The network adds nothing at first, to which real images are held already.
    torch.nn.init.normal_(training.translation.network.head.weight, std=0.1)
    for _ in range(2):
        training.step(*batch(sets))
    gradient = training.translation.network.head.weight.grad
    assert gradient.abs().sum() > 0


@pytest.mark.slow
@pytest.mark.parametrize("name", ["patches", "profile"])
def test_discriminators_learn_to_tell(name):
    weights = {**dict.fromkeys(TERMS, 0.0), "lambda_profile": 3.0, "lambda_gan": 3.0}
    translator = SpectrumTranslator(
        init="identity", learning_rate=5e-3, **weights, **SMALL
    )
    generated, real = images_of(128), images_of(128, seed=1)
    # Blurred along rows.
    generated = 0.5 + 0.7 * (generated + np.roll(generated, 1, 2) - 1)
    training = new_training(translator, generated[:64], real[:64])
    # The translation stays where it is, the others go on.
    training.optimizers[0].param_groups.clear()
    for _ in range(30):
        training.n_steps = 1
        training.step(*batch((generated, real), 64))
    logs, _ = batch((generated[64:], real[64:]), 64)
    with torch.no_grad():
        verdicts = training.verdicts(training.translation.standardised(logs, logs))
    scores = verdicts[name].flatten(1).mean(1).split(64)
    assert (scores[1][:, None] > scores[0]).float().mean() > 0.85


@pytest.mark.slow
def test_the_same_seed_gives_the_same(sets, translator):
    state = torch.random.get_rng_state()
    again = clone(translator).fit(*sets)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert np.array_equal(again.transform(sets[0]), translator.transform(sets[0]))
    other = clone(translator).set_params(random_state=1)
    assert not np.array_equal(other.fit_transform(*sets), translator.transform(sets[0]))


@pytest.fixture(scope="module")
def many():
    """Sets of which some images can be held out."""
    return with_board(images_of(160), 0.02), images_of(140, seed=1)


@pytest.mark.slow
def test_what_a_fit_tells(many):
    translator = SpectrumTranslator(max_epochs=3, n_iter_no_change=3, **SMALL)
    translator.fit(*many)
    assert translator.n_iter_ == 3
    assert set(translator.loss_history_) == set(TERMS.values())
    assert all(len(values) == 3 for values in translator.loss_history_.values())
    assert translator.detector_auc_.shape == (4,)
    best = translator.detector_auc_.argmin()
    assert translator.best_iter_ == best
    assert (translator.generator_ is None) == (best == 0)


@pytest.mark.slow
def test_the_start_is_kept_where_training_does_harm(many):
    # Steps so large that the last epochs are far from the start.
    options = {"max_epochs": 3, "learning_rate": 0.5, "recalibrate": False, **SMALL}
    translator = SpectrumTranslator(**options).fit(*many)
    assert translator.detector_auc_[1:].min() > translator.detector_auc_[0]
    assert translator.generator_ is None
    assert np.array_equal(
        translator.transform(many[0]), SpectrumMatcher().fit_transform(*many)
    )


def test_images_that_are_held_out_are_not_matched():
    # 0.5 is chance also where the start has many gains to fit to few images.
    images = [images_of(200, (32, 32, 1), seed) for seed in range(2)]
    translator = SpectrumTranslator(max_epochs=1, **SMALL).fit(*images)
    assert translator.detector_auc_[0] < 0.62


def test_a_constant_channel_does_not_matter():
    images = [
        np.concatenate([part, np.full_like(part[..., :1], 0.3)], axis=3)
        for part in (with_board(images_of(32)), images_of(32, seed=1))
    ]
    translator = SpectrumTranslator(max_epochs=2, **SMALL).fit(*images)
    assert max(translator.loss_history_["profile"]) < 10
    assert np.allclose(translator.transform(images[0])[..., 3], 0.3)


def test_a_fit_that_failed_is_none(sets, translator):
    again = pickle.loads(pickle.dumps(translator))
    with pytest.raises(ValueError, match="depth=2"):
        again.fit(sets[0][:, :14], sets[1][:, :14])
    with pytest.raises(NotFittedError):
        again.transform(sets[0])


@pytest.mark.slow
def test_steps_lead_to_the_real_spectrum(sets):
    weights = {**dict.fromkeys(TERMS, 0.0), "lambda_profile": 1.0}
    translator = SpectrumTranslator(
        init="identity",
        recalibrate=False,
        early_stopping=False,
        learning_rate=1e-2,
        max_epochs=15,
        **weights,
        **SMALL,
    ).fit(*sets)
    corner = translator.log_gain(sets[0]).mean(axis=(0, 1))[8, 8]
    wanted = SpectrumMatcher().fit(*sets).log_gain().mean(axis=0)[8, 8]
    assert wanted < -1
    assert corner < -0.3


def test_the_start_is_for_generated_images_alone(sets):
    training = new_training(SpectrumTranslator(**SMALL), *sets)
    log_magnitudes, _ = batch(sets)
    gain, _ = training.translate(log_magnitudes)
    assert abs(gain[16:]).max() == 0
    assert torch.allclose(gain[:16], training.start.expand(16, -1, -1, -1), atol=1e-4)


def test_steps_get_the_learning_rate_of_the_plan(sets):
    training = new_training(SpectrumTranslator(max_epochs=5, **SMALL), *sets)
    training.n_steps = 9
    training.step(*batch(sets))
    rates = [o.param_groups[0]["lr"] for o in training.optimizers]
    assert rates == [2e-4 * falling(9, 10, 0.2)] * 2
    assert 0 < rates[0] < 1e-4


def test_it_pickles_without_what_only_trained(sets, translator):
    text = pickle.dumps(translator)
    assert len(text) < 400_000
    other = pickle.loads(text)
    assert np.array_equal(other.transform(sets[0]), translator.transform(sets[0]))


def test_it_stops_when_nothing_gets_better(many):
    # Nothing can be learned, so that no epoch is better by more than chance.
    weights = {**dict.fromkeys(TERMS, 0.0), "lambda_lowfreq": 1.0}
    translator = SpectrumTranslator(
        recalibrate=False, max_epochs=50, n_iter_no_change=2, **weights, **SMALL
    ).fit(*many)
    assert translator.n_iter_ < 10
    assert translator.n_iter_ == translator.best_iter_ + 2


def test_few_images_are_not_held_out(sets):
    translator = SpectrumTranslator(max_epochs=1, **SMALL).fit(sets[0][:6], sets[1][:5])
    assert translator.detector_auc_.size == 0
    assert translator.best_iter_ == 1


def test_what_is_not_finite_stops_the_training(sets):
    translator = SpectrumTranslator(
        learning_rate=1e30, max_epochs=4, early_stopping=False, **SMALL
    )
    with pytest.warns(ConvergenceWarning, match=r"in step \d+.*Lower learning_rate"):
        refined = translator.fit_transform(*sets)
    assert np.isfinite(refined).all()
    assert translator.n_iter_ < 4


@pytest.mark.parametrize("parameterization", ["residual", "absolute"])
def test_phases_and_mean_colours_stay(sets, parameterization):
    translator = SpectrumTranslator(
        max_epochs=2,
        parameterization=parameterization,
        data_range=(-np.inf, np.inf),
        early_stopping=False,
        learning_rate=1e-2,
        **SMALL,
    ).fit(*sets)
    refined = translator.transform(sets[0])
    before, after = (fft.rfft2(x, axes=(1, 2)) for x in (sets[0], refined))
    seen = abs(before) > 1e-3
    assert abs(np.angle(after * before.conj())[seen]).max() < 1e-8
    assert np.allclose(after[:, 0, 0], before[:, 0, 0])
    gains = translator.log_gain(sets[0])
    assert gains.shape == (64, 3, 16, 9)
    assert gains.std(axis=0).max() > 0.01
    with pytest.raises(ValueError, match="Pass X"):
        translator.log_gain()


def test_gains_are_bounded(sets):
    translator = SpectrumTranslator(
        max_epochs=3,
        recalibrate=False,
        early_stopping=False,
        max_log_gain=0.01,
        learning_rate=0.1,
        data_range=(-np.inf, np.inf),
        **SMALL,
    ).fit(*sets)
    added = translator._log_gains(fft.rfft2(sets[0].transpose(0, 3, 1, 2)))
    assert abs(added - translator.initial_log_gain_).max() <= 0.01 + 1e-6


@pytest.mark.parametrize("shape", [(16, 24, 1), (24, 8, 3)], ids=str)
def test_bytes_of_other_sizes(shape):
    generated, real = (
        np.rint(255 * np.clip(images_of(24, shape, seed), 0, 1)).astype(np.uint8)
        for seed in (0, 1)
    )
    refined = SpectrumTranslator(max_epochs=1, **SMALL).fit_transform(generated, real)
    assert refined.dtype == np.uint8
    assert refined.shape == generated.shape


def test_black_and_white_do_not_matter(sets):
    options = {"max_epochs": 1, "early_stopping": False, **SMALL}
    unit = SpectrumTranslator(data_range=(0, 1), **options).fit_transform(*sets)
    wide = SpectrumTranslator(data_range=(-3, 5), **options)
    refined = wide.fit_transform(*(8 * x - 3 for x in sets))
    assert np.allclose((refined + 3) / 8, unit, atol=2e-3)


def test_each_image_comes_once_an_epoch():
    images = np.arange(12).repeat(4).reshape(12, 2, 2, 1), np.zeros((5, 2, 2, 1))
    means = []
    for _, spectra in batches(images, 4, 3):
        assert len(spectra) == 8
        means += (spectra[:4, 0, 0, 0].real / 4).tolist()
    assert sorted(means) == list(range(12))
    assert means != sorted(means)


@pytest.mark.parametrize("side", [8, 64])
def test_the_judge_finds_what_differs(side):
    # More images than features, and fewer.
    stream = np.random.default_rng(0)
    made, real = (images_of(150, (side, side, 3), seed) for seed in range(2))
    soft = (made + np.roll(made, 1, 1)) / 2
    splits = [split_rows(part, stream) for part in (soft, real)]
    assert [len(held) for _, held in splits] == [30, 30]
    assert set(np.concatenate(splits[0])) == set(range(150))
    judge = Judge((soft, real), splits, 0.01)
    assert judge.auc(lambda part: part) > 0.95
    assert (
        judge.auc(lambda part: images_of(len(part), part.shape[1:], len(part))) < 0.75
    )


def test_it_tells_how_far_it_is(sets, capsys):
    translator = SpectrumTranslator(max_epochs=1, **SMALL)
    translator.set_callbacks(ProgressBar()).fit(*sets)
    assert "SpectrumTranslator" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "shape", "message"),
    [
        ({}, (12, 16, 1), r"12 x 16 pixels .* depth=3.*Pad or crop to 16 x 16"),
        ({}, (8, 16, 1), "at least 16"),
        ({"depth": 4}, (48, 36, 1), "crop to 48 x 32"),
        ({"max_epochs": 1.5}, (16, 16, 1), "max_epochs"),
        ({"lambda_gan": -1}, (16, 16, 1), "lambda_gan"),
        ({"n_patches": 1}, (16, 16, 1), "n_patches"),
        ({"betas": (0.5, 1.0)}, (16, 16, 1), "betas"),
        ({"betas": "ab"}, (16, 16, 1), "betas"),
        (dict.fromkeys(TERMS, 0), (16, 16, 1), "lambda_"),
        ({"device": "nowhere"}, (16, 16, 1), "device='nowhere'"),
    ],
    ids=str,
)
def test_what_cannot_be(options, shape, message):
    with pytest.raises(ValueError, match=message):
        SpectrumTranslator(**options).fit(images_of(20, shape), images_of(20, shape))


@parametrize_with_checks(
    [SpectrumTranslator(depth=0, base_channels=2, max_epochs=2, random_state=0)]
)
def test_scikit_learn_check(estimator, check):
    check(estimator)
