"""Effect of the matchers on spectra."""

import numpy as np
import pytest
from scipy import fft, stats
from sklearn.base import clone

from skspectral.metrics import (
    mean_spectrum_distance,
    psnr,
    radial_power_spectrum,
)
from skspectral.metrics._rings import ring_frequencies
from skspectral.refinement import (
    CrossSpectrumMatcher,
    RadialSpectrumMatcher,
    SpectrumMatcher,
    SpectrumQuantileMatcher,
)
from skspectral.refinement._gains import LogGain, log_mean_gain, shrunk
from skspectral.refinement._spectra import (
    images_of,
    log_magnitude,
    log_magnitude_statistic,
    mirrored,
    power_statistic,
    rounding_floor,
    spectra_of,
)

UNLIMITED = (-np.inf, np.inf)
GAINS = [
    RadialSpectrumMatcher(),
    SpectrumMatcher(),
    SpectrumMatcher(statistic="power", shrinkage=None),
    SpectrumQuantileMatcher(),
    SpectrumQuantileMatcher(affine=True),
]
MATCHERS = [*GAINS, CrossSpectrumMatcher(min_frequency=0)]
SHAPES = [(16, 12, 3), (15, 10), (9, 7, 3), (2, 2), (1, 8)]


def fields(n, shape=(16, 16, 3), seed=0, slope=1.0):
    """Gaussian fields about 0.5 whose amplitude falls with frequency."""
    rng = np.random.default_rng(seed)
    shape = (*shape, 1)[:3]
    spectra = spectra_of(rng.normal(size=(n, *shape)))
    fall = np.maximum(ring_frequencies(shape, "longer"), 1) ** -slope
    contrast = rng.uniform(0.5, 1.5, size=(n, 1, 1, 1))
    return 0.5 + 0.1 * contrast * images_of(spectra * fall, shape)


def filtered(images, gain):
    return images_of(spectra_of(images) * gain, images.shape[1:])


def as_bytes(images):
    return np.clip(np.rint(255 * images), 0, 255).astype(np.uint8)


def checkerboard(side):
    return (-1.0) ** np.indices((side, side)).sum(axis=0)[..., None]


def set_range(matcher, data_range=UNLIMITED):
    return type(matcher)(**{**matcher.get_params(), "data_range": data_range})


@pytest.mark.parametrize("matcher", MATCHERS, ids=repr)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_nothing_to_match_is_the_identity(matcher, shape):
    images = fields(12, shape).reshape(12, *shape)
    matcher = set_range(matcher)
    assert np.allclose(matcher.fit_transform(images, images), images, atol=1e-9)
    single = images.astype(np.float32)
    assert np.allclose(matcher.fit_transform(single, single), single, atol=1e-6)
    pixels = as_bytes(images)
    matcher = set_range(matcher, None)
    assert (matcher.fit_transform(pixels, pixels) == pixels).all()


@pytest.mark.parametrize("matcher", GAINS, ids=repr)
@pytest.mark.parametrize("shape", [(16, 12, 3), (9, 7, 1)], ids=str)
def test_phases_and_mean_colours_stay(matcher, shape):
    generated, real = fields(40, shape), fields(30, shape, seed=1, slope=0.3)
    refined = set_range(matcher).fit_transform(generated, real)
    before, after = spectra_of(generated), spectra_of(refined)
    product = after * before.conj()
    seen = abs(before) > 1e-3
    assert (abs(np.angle(product[seen])) < 1e-9).all()
    assert np.allclose(after[..., 0, 0], before[..., 0, 0], rtol=1e-12)
    assert abs(np.log(abs(after / before)[..., 1:])).max() > 0.1


@pytest.mark.parametrize("matcher", MATCHERS, ids=repr)
@pytest.mark.parametrize("shape", [(8, 6, 3), (9, 7, 3)], ids=str)
def test_images_are_real_without_taking_a_part(matcher, shape):
    generated, real = fields(40, shape), fields(30, shape, seed=1, slope=0.3)
    matcher = set_range(matcher).fit(generated, real)
    spectra = spectra_of(generated)
    spectra = spectra + matcher._change(spectra)
    for image, half in zip(matcher.transform(generated), spectra, strict=True):
        plane = mirrored(half.real, shape[1]) + 1j * mirrored(half.imag, shape[1])
        plane[..., half.shape[-1] :] = plane[..., half.shape[-1] :].conj()
        whole = np.moveaxis(fft.ifft2(plane), 0, -1)
        assert abs(whole.imag).max() < 1e-10
        assert np.allclose(whole.real, image, atol=1e-12)


@pytest.mark.parametrize("width", [5, 6])
def test_mirrored_half_planes_are_planes(width):
    images = fields(1, (4, width, 3))
    half = abs(spectra_of(images))[0]
    assert np.allclose(
        mirrored(half, width), abs(fft.fft2(images[0], axes=(0, 1)).transpose(2, 0, 1))
    )


def known_filter(shape):
    """An even gain, with a spike."""
    gain = 1 / (1 + 0.1 * ring_frequencies(shape, "longer"))
    gain[0, -1] = 3.0
    return gain


def test_a_known_filter_is_undone():
    real = fields(50)
    gain = known_filter(real.shape[1:])
    generated = filtered(real, gain)
    exact = log_mean_gain(*(log_magnitude_statistic(x, 0.0) for x in (generated, real)))
    found = exact.value + np.log(gain)
    found[:, 0, 0] = 0.0
    assert abs(found).max() < 1e-6
    matcher = SpectrumMatcher(shrinkage=None, data_range=UNLIMITED)
    error = abs(matcher.fit(generated, real).log_gain() - exact.value)
    loud = abs(spectra_of(generated)).min(axis=0) > 10 * matcher.log_floor_
    assert loud.sum() > 30
    assert error[loud].max() < 0.005


@pytest.mark.parametrize("statistic", ["log", "power"])
def test_a_filter_from_other_images_is_within_its_error(statistic):
    real, others = fields(300), fields(200, seed=1)
    gain = known_filter(real.shape[1:])
    matcher = SpectrumMatcher(
        statistic=statistic, shrinkage=None, data_range=UNLIMITED
    ).fit(filtered(others, gain), real)
    error = matcher.log_gain() + np.log(gain)
    error[:, 0, 0] = 0.0
    if statistic == "log":
        variance = log_magnitude_statistic(real, matcher.log_floor_).variance
    else:
        power = power_statistic(real)
        variance = power.variance / (4 * power.mean**2)
    bound = np.sqrt(variance * (1 / 300 + 1 / 200))
    assert (abs(error) <= 4.5 * bound + 0.01).all()
    assert 0.7 < np.sqrt(np.mean((error / bound)[:, 1:] ** 2)) < 1.3


@pytest.mark.parametrize("matcher", MATCHERS, ids=repr)
def test_order_of_images_does_not_matter(matcher):
    generated, real = fields(30), fields(20, seed=1, slope=0.5)
    matcher = set_range(matcher)
    refined = matcher.fit_transform(generated, real)
    again = matcher.fit(generated[::-1], real[::-1]).transform(generated)
    assert np.allclose(again, refined, atol=1e-9)


@pytest.mark.parametrize("statistic", ["log", "power"])
def test_repeated_images_do_not_matter(statistic):
    generated, real = fields(30), fields(20, seed=1, slope=0.5)
    matcher = SpectrumMatcher(statistic=statistic, shrinkage=None)
    gain = matcher.fit(generated, real).log_gain()
    assert np.allclose(
        matcher.fit(generated, np.tile(real, (2, 1, 1, 1))).log_gain(), gain
    )


@pytest.mark.parametrize(
    "matcher", [*GAINS[:3], CrossSpectrumMatcher(reg=0, min_frequency=0)], ids=repr
)
def test_what_is_matched_needs_no_further_change(matcher):
    generated, real = fields(60), fields(50, seed=1, slope=0.5)
    matcher = set_range(matcher)
    first = abs(matcher.fit(generated, real).log_gain(generated)).max()
    refined = matcher.transform(generated)
    second = abs(matcher.fit(refined, real).log_gain(refined)).max()
    assert first > 1
    shrinks = matcher.get_params().get("shrinkage") is not None
    assert second < (0.3 if shrinks else 0.02)


@pytest.mark.parametrize(
    ("matcher", "works"),
    [*((m, True) for m in MATCHERS), (RadialSpectrumMatcher(corners=False), False)],
    ids=repr,
)
def test_a_checkerboard_of_others_is_removed(matcher, works):
    board, floor = checkerboard(32), rounding_floor((32, 32), 1.0)
    images = fields(400, (32, 32, 3))
    generated = fields(400, (32, 32, 3), seed=1) + 0.03 * board
    refined = matcher.fit(generated[:200], images[:200]).transform(generated[200:])

    def level(part):
        sums = abs((part * board).sum(axis=(1, 2)))
        return np.log(np.maximum(sums, floor)).mean()

    real = level(images[200:])
    assert level(generated[200:]) > real + 2
    assert (abs(level(refined) - real) < 0.8) == works


def test_corners_are_what_the_radial_matcher_may_leave():
    generated, real = fields(20), fields(20, seed=1, slope=0.5)
    gain = RadialSpectrumMatcher(corners=False).fit(generated, real).log_gain_
    corner = np.rint(ring_frequencies((16, 16), "longer")) > 8
    assert (gain[:, corner] == 0).all()
    assert (
        RadialSpectrumMatcher().fit(generated, real).log_gain_[:, corner] != 0
    ).all()


def test_the_radial_matcher_gives_the_radial_spectrum():
    generated, real = fields(20), fields(30, seed=1, slope=0.5)
    matcher = RadialSpectrumMatcher(data_range=UNLIMITED)
    refined = matcher.fit_transform(generated, real)
    spectra = [
        radial_power_spectrum(x, channels="separate", corners=True).power
        for x in (generated, refined, real)
    ]
    assert np.allclose(spectra[1], spectra[2], rtol=0.01)
    gain = np.log(spectra[2] / spectra[0]) / 2
    assert np.allclose(matcher.ring_log_gain_[:, 1:], gain, atol=0.01)


def test_power_is_matched():
    generated, real = fields(20), fields(30, seed=1, slope=0.5)
    refined = set_range(GAINS[2]).fit_transform(generated, real)
    ratio = power_statistic(refined).mean / power_statistic(real).mean
    ratio[:, 0, 0] = 1.0
    assert np.allclose(ratio, 1, rtol=0.02)


def test_the_cost_of_a_filter_is_known_beforehand():
    # Parseval: the error is the sum of |Z|^2 (h - 1)^2 over the plane.
    generated, real = fields(20, (8, 6, 1)), fields(20, (8, 6, 1), seed=1, slope=0.5)
    matcher = SpectrumMatcher(data_range=UNLIMITED).fit(generated, real)
    change = np.expm1(mirrored(matcher.log_gain(), 6))[0]
    plane = fft.fft2(generated[..., 0])
    error = (abs(plane) ** 2 * change**2).mean(axis=(1, 2)) / 48
    ratio = psnr(generated, matcher.transform(generated), data_range=1.0)
    assert np.isclose(ratio, np.mean(-10 * np.log10(error)))


def test_shrinkage_goes_from_bins_to_rings():
    generated, real = fields(20), fields(20, seed=1, slope=0.5)
    rings = np.rint(ring_frequencies((16, 16), "longer")).astype(int)

    def spread(shrinkage, n_rounds=1):
        matcher = SpectrumMatcher(shrinkage=shrinkage, n_rounds=n_rounds)
        gain = matcher.fit(generated, real).log_gain_
        return [gain[:, rings == ring].std(axis=1).max() for ring in range(1, 12)]

    assert max(spread(1.0, n_rounds=3)) < 1e-12
    assert np.allclose(spread(0.5), 0.5 * np.array(spread(0.0)))
    assert spread(None) == spread(0.0)


def test_shrinkage_by_empirical_bayes_drops_errors_and_keeps_spikes():
    shape = (32, 32, 1)
    rng = np.random.default_rng(0)
    truth = np.broadcast_to(
        -0.05 * ring_frequencies(shape, "longer"), (1, 32, 17)
    ).copy()
    truth[0, 9, 11] = 1.5
    errors = mirrored(rng.normal(size=truth.shape), 32)
    even = (errors + np.roll(errors[:, ::-1, ::-1], 1, axis=(1, 2))) / np.sqrt(2)
    value = truth + 0.1 * even[..., :17]
    value[..., 0, 0] = 0.0
    found = shrunk(LogGain(value, np.full(value.shape, 0.01)), shape, "auto")
    assert np.square(found - truth).mean() < 0.4 * np.square(value - truth).mean()
    assert abs(found - value)[0, 9, 11] < 0.1


@pytest.mark.parametrize("affine", [False, True])
def test_distributions_are_matched(affine):
    generated, real = fields(800, (8, 8, 1)), fields(800, (8, 8, 1), seed=1, slope=0.5)
    real = 0.5 + (real - 0.5) * np.random.default_rng(2).choice(
        [0.5, 2], (800, 1, 1, 1)
    )
    matchers = SpectrumMatcher(), SpectrumQuantileMatcher(affine=affine)
    floor = rounding_floor((8, 8), 1.0)

    def farthest(matcher):
        refined = (
            set_range(matcher)
            .fit(generated[:400], real[:400])
            .transform(generated[400:])
        )
        sets = (log_magnitude(spectra_of(x), floor) for x in (refined, real[400:]))
        bins = (x.reshape(400, -1)[:, 1:].T for x in sets)
        return max(stats.ks_2samp(*pair).statistic for pair in zip(*bins, strict=True))

    assert farthest(matchers[0]) > 0.18
    assert farthest(matchers[1]) < (0.18 if affine else 0.16)


def test_quantile_maps_increase_and_go_on_beyond_the_ends():
    generated, real = fields(50, (4, 4, 1)), fields(50, (4, 4, 1), seed=1, slope=0.5)
    matcher = SpectrumQuantileMatcher(n_quantiles=99, data_range=UNLIMITED)
    matcher.fit(generated, real)
    assert matcher.n_quantiles_ == 50
    scales = np.geomspace(0.01, 100, 300)[:, None, None, None]
    waves = scales * fields(1, (4, 4, 1), seed=2)
    logs = log_magnitude(spectra_of(waves), matcher.log_floor_)
    gains = matcher.log_gain(waves)
    assert (np.diff(logs + gains, axis=0) >= -1e-6).all()
    assert np.allclose(gains[-1], gains[-2])


def test_channels_get_power_and_coherence():
    rng = np.random.default_rng(0)
    generated, real = rng.normal(size=(2, 60, 8, 8, 3)) @ rng.normal(
        size=(2, 1, 1, 3, 3)
    )
    matcher = CrossSpectrumMatcher(reg=0, min_frequency=0, data_range=UNLIMITED)
    refined = matcher.fit_transform(generated, real)

    def cross(images):
        z = spectra_of(images)
        found = np.einsum("nchw,ndhw->hwcd", z, z.conj()) / len(z)
        found[0, 0] = 0.0
        return found

    assert np.allclose(cross(refined), cross(real), atol=1e-3 * abs(cross(real)).max())
    assert np.allclose(matcher.maps_, matcher.maps_.conj().swapaxes(-1, -2))
    assert (np.linalg.eigvalsh(matcher.maps_) > 0).all()


def test_colours_of_low_frequencies_stay():
    generated, real = fields(60), fields(50, seed=1, slope=0.5)
    matcher = CrossSpectrumMatcher(data_range=UNLIMITED).fit(generated, real)
    gain = abs(matcher.log_gain(generated)).max(axis=(0, 1))
    low = ring_frequencies((16, 16), "longer") < 4
    assert (gain[low] < 1e-9).all()
    assert (gain[~low] > 0.01).all()


def test_one_channel_makes_cross_spectra_powers():
    generated, real = fields(60, (8, 8)), fields(50, (8, 8), seed=1, slope=0.5)
    cross = CrossSpectrumMatcher(min_frequency=0, data_range=UNLIMITED)
    refined = cross.fit_transform(generated, real)
    assert np.allclose(
        refined, set_range(GAINS[2]).fit_transform(generated, real), atol=1e-4
    )


def test_others_get_to_the_floor_of_the_distance():
    # Fit to more images than are tested. The errors of the gains would otherwise add
    # log(2) to the distance.
    real, generated = as_bytes(fields(1000)), as_bytes(fields(1000, seed=1, slope=1.3))
    matcher = SpectrumMatcher().fit(generated[:800], real[:800])
    before = mean_spectrum_distance(real[800:], generated[800:]).distance
    distance, floor = mean_spectrum_distance(
        real[800:], matcher.transform(generated[800:])
    )
    assert before > floor + 2
    assert distance < floor + 0.4
    assert np.isclose(matcher.score(generated[800:], real[800:]), -distance)


def in_bytes(*sets):
    """Return the distance computed in bytes, as in the published code."""

    def mean_spectrum(images):
        spectra = np.log1p(abs(spectra_of(images / 255)))
        low, high = (
            f(axis=(1, 2, 3), keepdims=True) for f in (spectra.min, spectra.max)
        )
        mean = ((spectra - low) / (high - low)).mean(axis=0)
        return mirrored(255 * mean, images.shape[2]).astype(np.uint8)

    one, other = map(mean_spectrum, sets)
    wide = abs(one.astype(int) - other).max() >= 16
    return np.log1p(np.sum((one - other) ** 2, dtype=float)), wide


def test_distances_in_bytes_wrap_around():
    real, others = as_bytes(fields(300)), as_bytes(fields(300, seed=1, slope=1.1))
    far = as_bytes(fields(300, seed=1) + 0.1 * checkerboard(16))
    value, wide = in_bytes(real, others)
    assert not wide
    assert abs(value - mean_spectrum_distance(real, others).distance) < 0.2
    value, wide = in_bytes(real, far)
    assert wide
    assert value < mean_spectrum_distance(real, far).distance - 0.2


def blunted():
    """Sets for which clipping and rounding disturb the match."""
    images = fields(300, slope=0.3), fields(300, seed=1, slope=0.6)
    return [
        as_bytes(0.5 + contrast * (part - 0.5))
        for contrast, part in zip((0.2, 2.0), images, strict=True)
    ]


@pytest.mark.parametrize(
    "matcher",
    [SpectrumMatcher(shrinkage=None), SpectrumQuantileMatcher(affine=True)],
    ids=repr,
)
def test_rounds_repair_what_clipping_and_rounding_did(matcher):
    generated, real = blunted()
    wanted = log_magnitude_statistic(real, 5.0).mean

    def error(n_rounds):
        changed = clone(matcher).set_params(n_rounds=n_rounds)
        refined = changed.fit_transform(generated, real)
        found = log_magnitude_statistic(refined, 5.0).mean - wanted
        return np.sqrt(np.mean(found[:, 1:] ** 2))

    assert error(3) < 0.6 * error(1)


def test_rounds_match_power():
    generated, real = blunted()

    def error(n_rounds):
        matcher = SpectrumMatcher(statistic="power", shrinkage=None, n_rounds=n_rounds)
        refined = matcher.fit_transform(generated, real)
        powers = [power_statistic(part).mean[:, 1:] for part in (refined, real)]
        return np.abs(np.log(powers[0] / powers[1])).mean()

    assert error(3) < 0.6 * error(1)
