"""Windows that are cut from signals, and windows of synthetic tones."""

import tracemalloc

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from matplotlib import cbook

from skspectral.datasets import cut_windows, load_eeg, make_tones


@given(
    sizes=st.lists(st.integers(0, 30), min_size=1, max_size=4),
    length=st.integers(1, 12),
    hop=st.none() | st.integers(1, 15),
)
def test_windows_are_those_of_a_loop(sizes, length, hop):
    signals = [100.0 * i + np.arange(size) for i, size in enumerate(sizes)]
    expected = [
        signal[start : start + length]
        for signal in signals
        for start in range(0, len(signal) - length + 1, hop or length)
    ]
    if expected:
        np.testing.assert_array_equal(cut_windows(signals, length, hop), expected)
    else:
        with pytest.raises(ValueError, match=f"the longest of {len(sizes)} has"):
            cut_windows(signals, length, hop)


def test_one_signal_a_list_and_a_matrix():
    matrix = np.arange(24.0).reshape(2, 12)
    of_rows = cut_windows(matrix, 4)
    assert of_rows.shape == (6, 4)
    np.testing.assert_array_equal(cut_windows(list(matrix), 4), of_rows)
    np.testing.assert_array_equal(cut_windows(matrix[0], 4), of_rows[:3])
    np.testing.assert_array_equal(cut_windows(matrix[0].tolist(), 4), of_rows[:3])


def test_windows_are_a_copy_in_a_floating_dtype():
    signal = np.arange(10, dtype=np.float32)
    windows = cut_windows(signal, 3, 1)
    assert windows.dtype == np.float32
    windows[:] = -1
    np.testing.assert_array_equal(signal, np.arange(10))
    assert cut_windows(signal.astype(np.int16), 3).dtype == np.float64
    assert cut_windows([signal, signal.astype(np.float64)], 3).dtype == np.float64
    # A signal without a window also counts for the dtype of the windows.
    assert cut_windows([signal, np.zeros(1)], 3).dtype == np.float64


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (([1.0, 2.0], 0), "length=0 must be at least 1"),
        (([1.0, 2.0], 1, -2), "hop=-2 must be at least 1"),
        (([1.0, 2.0], 3), "length=3 is longer than every signal: .* has 2 samples"),
        (([], 3), "length=3 is longer than every signal"),
        (([np.zeros(4), np.zeros((4, 2))], 3), r"signals\[1\] has the shape \(4, 2\)"),
        (([[1, 2, 3], 4], 3), r"signals\[1\] has the shape \(\)"),
        ((np.zeros((2, 3, 4)), 3), r"shape \(2, 3, 4\) must be one-dimensional"),
        ((np.zeros((0, 5)), 3), "the longest of 0 has 0 samples"),
        (([1, 10**400, 2], 3), "signals must be an array of real numbers"),
        ((np.zeros(()), 3), r"shape \(\) must be one-dimensional"),
        ((None, 3), r"shape \(\) must be one-dimensional"),
        (("abc", 3), "signals has the dtype <U1"),
        (([1, "b", 3], 3), "signals has the dtype <U"),
        (([1, [2], 3], 3), "signals must be an array of real numbers"),
        ((np.zeros(4, complex), 3), "signals has the dtype complex"),
        (([np.zeros(4), np.zeros(4, complex)], 3), r"signals\[1\] has .* complex"),
        ((np.ma.array(np.zeros(4, complex), mask=True), 3), "dtype complex"),
        (([1.0, 2.0], 1.5), "length=1.5 must be an integer"),
        (([1.0, 2.0], 1, "2"), "hop='2' must be an integer"),
    ],
)
def test_bad_cuts(args, message):
    with pytest.raises(ValueError, match=message):
        cut_windows(*args)


DTYPES = ("bool", "uint8", "int16", "int64", "float16", "float32", "float64")
LAYOUTS = {
    "plain": np.ascontiguousarray,
    "reversed": lambda array: array[::-1].copy()[::-1],
    "every third": lambda array: np.repeat(array, 3)[::3],
    "big-endian": lambda array: array.astype(array.dtype.newbyteorder(">")),
    "objects": lambda array: array.astype(object),
    "list": lambda array: array.tolist(),
}


@st.composite
def lists_of_signals(draw):
    """Draw signals of one dtype, range and layout, some masked, and their floats."""
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    dtype = np.dtype(draw(st.sampled_from(DTYPES)))
    high = draw(st.sampled_from([1, 100, 30_000]))
    layout = draw(st.sampled_from(sorted(LAYOUTS)))
    masked = draw(st.booleans()) and layout not in ("list", "objects")
    signals, floats = [], []
    for size in draw(st.lists(st.integers(1, 20), min_size=1, max_size=4)):
        if dtype.kind in "iu":
            high = min(high, np.iinfo(dtype).max)
        values = rng.uniform(0, high, size).astype(dtype)
        mask = (rng.random(size) < 0.3) & masked
        signal = LAYOUTS[layout](values)
        signals.append(np.ma.array(signal, mask=mask) if masked else signal)
        floats.append(np.where(mask, np.nan, values.astype(np.float64)))
    return signals, floats, dtype, layout


@given(
    made=lists_of_signals(),
    length=st.integers(1, 6),
    hop=st.none() | st.integers(1, 8),
    single=st.booleans(),
)
def test_windows_have_the_numbers_of_the_signals(made, length, hop, single):
    signals, floats, dtype, layout = made
    if single:
        signals, floats = signals[0], floats[:1]
    expected = [
        values[start : start + length]
        for values in floats
        for start in range(0, len(values) - length + 1, hop or length)
    ]
    if not expected:
        with pytest.raises(ValueError, match="is longer than every signal"):
            cut_windows(signals, length, hop)
        return
    windows = cut_windows(signals, length, hop)
    np.testing.assert_array_equal(windows, expected)
    keeps = dtype.kind == "f" and layout not in ("list", "objects")
    assert windows.dtype == (dtype if keeps else np.float64)
    assert windows.dtype.isnative
    windows[:] = -1
    for signal, values in zip([signals] if single else signals, floats, strict=True):
        kept = np.ma.filled(np.ma.asarray(signal).astype(float), np.nan)
        np.testing.assert_array_equal(kept, values)


def test_what_is_marked_as_missing_is_nan():
    values = np.array([[1, 2, -9999, 4], [5, -9999, 7, 8]])
    masked = np.ma.masked_equal(values, -9999)
    objects = values.astype(object)
    objects[values == -9999] = pd.NA
    table = pd.DataFrame(objects)
    ways = {
        "masked": masked,
        "rows": list(masked),
        "scalars": [list(row) for row in masked],
        "objects": objects,
        "lists": objects.tolist(),
        "table": table,
        "nullable": table.astype("Int64"),
        "columns": [pd.Series(row, dtype="Int64") for row in objects.tolist()],
    }
    expected = np.where(values == -9999, np.nan, values)
    for way, signals in ways.items():
        windows = cut_windows(signals, 4)
        np.testing.assert_array_equal(windows, expected, err_msg=way)
        assert windows.dtype == np.float64, way
    for signal in (masked[0], list(masked[0]), table.astype("Int64").iloc[0]):
        np.testing.assert_array_equal(cut_windows(signal, 4), expected[:1])
    small = np.ma.masked_equal(values.astype(np.float32), -9999)
    assert cut_windows(small, 4).dtype == np.float32


def test_arrays_of_other_libraries():
    matrix = np.arange(24.0).reshape(2, 12)
    expected = cut_windows(matrix, 4)
    ragged = np.empty(2, dtype=object)
    ragged[:] = [matrix[0, :8], matrix[1]]
    for signals in (torch.from_numpy(matrix), pd.DataFrame(matrix), iter(matrix)):
        np.testing.assert_array_equal(cut_windows(signals, 4), expected)
    np.testing.assert_array_equal(cut_windows(ragged, 4), np.delete(expected, 2, 0))


@pytest.mark.parametrize("n_channels", [1, 2, 8])
def test_channels_as_columns_are_refused(n_channels):
    """Sounds that SciPy reads run along axis 0, not along axis 1."""
    sound = np.zeros((100, n_channels))
    for signals in (sound, list(sound), sound.tolist(), np.ma.array(sound, mask=True)):
        with pytest.raises(ValueError, match=r"run along axis 1.* pass signals\.T"):
            cut_windows(signals, 9)
    assert cut_windows(sound.T, 9).shape == (11 * n_channels, 9)
    # Neither axis is long enough, so that transposing is no advice.
    with pytest.raises(ValueError, match=r"has 8 samples\. Pass a shorter length"):
        cut_windows(np.zeros((100, 8)), 101)


def peak_of(function, *args):
    """Return the result of a call, and the peak of its allocated memory in bytes."""
    tracemalloc.start()
    try:
        result = function(*args)
        return result, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("shape", [(2_000_000,), (2, 1_000_000), (20_000, 100)])
@pytest.mark.parametrize("dtype", [np.float32, np.int16])
def test_cutting_takes_the_memory_of_the_windows(shape, dtype):
    windows, peak = peak_of(cut_windows, np.zeros(shape, dtype), 100)
    assert peak < 1.05 * windows.nbytes


def test_refusing_takes_no_memory():
    sound = np.zeros((1_000_000, 2), np.float32)

    def refused(signals):
        with pytest.raises(ValueError, match="axis"):
            cut_windows(signals, 512)

    for signals in (sound, np.ma.array(sound, mask=np.ones(sound.shape, bool))):
        assert peak_of(refused, signals)[1] < sound.nbytes / 20


@pytest.mark.parametrize("rate", [8000.0, 44100.0])
def test_tones_are_harmonics_of_their_pitch(rate):
    X, y = make_tones(20, 4096, sampling_rate=rate, noise=0, random_state=0)
    assert X.shape == (20, 4096)
    frequencies = np.fft.rfftfreq(4096, 1 / rate)
    for row, pitch in zip(X, y, strict=True):
        power = np.abs(np.fft.rfft(row * np.hanning(4096))) ** 2
        order = np.maximum(1, np.round(frequencies / pitch))
        # A Hann window spreads a line over two bins to each side.
        near = np.abs(frequencies - order * pitch) < 3 * rate / 4096
        assert power[near].sum() > 0.99 * power.sum()


def test_tones_decay_and_differ_in_loudness_and_phase():
    X, y = make_tones(300, 2000, noise=0, pitches=[200.0], random_state=0)
    assert set(y) == {200.0}
    early, late = ((part**2).mean(1) for part in np.split(X, 2, axis=1))
    assert (late < early).all()
    assert early.max() > 10 * early.min()
    assert np.abs(X).max() < 1
    # Phases are random: the mean over the tones is far below a single tone.
    assert X.mean(0).std() < 0.2 * X.std()


def test_noise_of_tones():
    options = {"n_samples": 50, "length": 400, "random_state": 3}
    clean, _ = make_tones(noise=0, **options)
    noisy, _ = make_tones(noise=0.1, **options)
    assert (noisy - clean).std() == pytest.approx(0.1, rel=0.05)


def test_tones_are_repeatable():
    first, again, other = (make_tones(5, 64, random_state=s)[0] for s in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize(
    "pitches", [[0.0, 100.0], [100.0, 500.0], [-1.0], [100.0, np.nan], []]
)
def test_pitches_that_cannot_be_sampled(pitches):
    with pytest.raises(ValueError, match="below 500 Hz, half of sampling_rate=1000"):
        make_tones(5, 64, sampling_rate=1000, pitches=pitches)


def test_numbers_of_tones_that_are_no_counts():
    for name in ("n_samples", "length"):
        with pytest.raises(ValueError, match=f"{name}=0 must be at least 1"):
            make_tones(**{name: 0})


def test_pitches_that_are_missing():
    pitches = np.ma.masked_greater([110.0, 220.0, 3000.0], 2000)
    with pytest.raises(ValueError, match="pitches has 1 of 3 entries that are masked"):
        make_tones(5, 64, pitches=pitches)


def test_eeg():
    windows, rate = load_eeg(200)
    assert rate == 80
    assert windows.shape == (16, 200)
    assert windows.dtype == np.float64
    channels = windows.reshape(4, 800)
    # In a wrong byte order or layout the data would be neither standardised nor smooth.
    np.testing.assert_allclose(channels.mean(1), 0, atol=1e-3)
    np.testing.assert_allclose(channels.std(1), 1, atol=1e-2)
    assert (np.diff(channels).std(1) < 0.7).all()
    overlapping, _ = load_eeg(200, hop=100)
    np.testing.assert_array_equal(overlapping[1], channels[0, 100:300])


def test_eeg_is_not_there(tmp_path, monkeypatch):
    missing = tmp_path / "eeg.dat"
    monkeypatch.setattr(cbook, "get_sample_data", lambda *_, **__: missing)
    with pytest.raises(FileNotFoundError, match="without its sample data"):
        load_eeg()


class OnlyArray:
    """Object that NumPy can convert, but that has no other attribute of an array."""

    def __init__(self, values):
        self.values = values

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self.values, dtype)


def test_what_tells_nothing_but_its_values():
    signals = [np.arange(6.0), np.arange(4.0)]
    np.testing.assert_array_equal(
        cut_windows(OnlyArray(signals[0]), 3), cut_windows(signals[0], 3)
    )
    np.testing.assert_array_equal(
        cut_windows([OnlyArray(each) for each in signals], 3), cut_windows(signals, 3)
    )


@pytest.mark.parametrize(
    ("name", "bad"),
    [
        ("noise", np.nan),
        ("noise", -1.0),
        ("noise", "loud"),
        ("sampling_rate", 0),
        ("sampling_rate", np.nan),
        ("sampling_rate", "fast"),
        ("pitches", ["low", "high"]),
        ("pitches", 440.0),
        ("pitches", np.ma.masked_array([220.0, 440.0], [False, True])),
    ],
)
def test_bad_tones_are_refused_by_name(name, bad):
    with pytest.raises((ValueError, TypeError), match=rf"\b{name}\b"):
        make_tones(3, 16, **{name: bad})
