"""Recordings with noise and gaps: SignalRestorer beside methods of signal processing.

The first table removes noise from speech. The noise is white, pink or brown, the
vibration of a bearing, or made of the quietest stretches of recordings. All methods get
a separate stretch of two seconds of the noise. The next ones fill gaps and repair
clicks in speech, and the last one removes white noise from vibration. All figures are
means over test recordings. "SI-SDR" is the scale-invariant ratio of signal and
distortion, "LSD" the log-spectral distance, and "SNR" the ratio of signal and error
within the gaps.

    python benchmarks/bench_recordings.py --speech fsdd_8khz.npz --bearings bearing.npz
    python benchmarks/bench_recordings.py --recordings 2 --windows 2000 --snr 5

The file of speech holds "signal", "offsets" of the recordings and "take": takes 0 to 4
are for tests. That of bearings holds "X" (n, 2, n_times) and "sampling_rate". Without
them, the recordings are synthetic notes. The script prints Markdown tables.
"""
# SPDX-License-Identifier: BSD-3-Clause

import argparse
import sys
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
from _measure import timed
from _tables import markdown
from scipy.linalg import convolution_matrix, solve_toeplitz
from scipy.signal import istft, medfilt, stft, wiener

from skspectral.datasets import make_tones
from skspectral.metrics import log_spectral_distance
from skspectral.restoration import SignalRestorer, find_clicks

# Number of samples of noise that all methods learn the noise from.
STRETCH = 16_000
# Length and hop of the short-time transform of the rivals, in samples.
FRAME, STEP = 256, 64
# Order of the autoregressive model, samples on both sides of a gap, and iterations.
ORDER, CONTEXT, ITERATIONS = 96, 512, 3


def load_speech(path):
    """Return recordings for learning and for tests, and their sampling rate."""
    if path is None:
        notes, _ = make_tones(120, 4000, random_state=0)
        notes *= np.hanning(4000)
        return list(notes[:80]), list(notes[80:]), 8000
    with np.load(path) as data:
        signal, offsets, take = data["signal"] / 32768, data["offsets"], data["take"]
    parts = [signal[a:b] for a, b in pairwise(offsets)]
    is_test = take.astype(int) <= 4
    train, test = (
        [part for part, chosen in zip(parts, mask, strict=True) if chosen]
        for mask in (~is_test, is_test)
    )
    order = np.random.default_rng(0).permutation(len(test))
    return train, [test[i] for i in order], 8000


def load_vibration(path):
    """Return stretches of vibration for learning and for tests, each of a second."""
    if path is None:
        notes, _ = make_tones(30, 12_000, sampling_rate=12_000, random_state=1)
        return list(notes[:20]), list(notes[20:])
    with np.load(path) as data:
        X = data["X"][:, 0].astype(float)
    # Every second recording is for tests: other loads of the same faults.
    train, test = X[::2].reshape(-1, 12_000), X[1::2].reshape(-1, 12_000)
    return list(train), list(test[np.random.default_rng(0).permutation(len(test))])


def by_spectrum(exponent, n, stream):
    """Return noise whose power falls as the frequency to the power ``exponent``."""
    frequency = np.fft.rfftfreq(n)
    frequency[0] = frequency[1]
    spectrum = np.fft.rfft(stream.normal(size=n)) * frequency ** (-exponent / 2)
    return np.fft.irfft(spectrum, n)


def from_silences(recordings, n, stream, length=512):
    """Return overlapping pieces of the quietest stretches of recordings."""
    pieces = []
    for x in recordings:
        starts = range(0, len(x) - length, length // 2)
        if len(starts):
            start = min(starts, key=lambda i: (x[i : i + length] ** 2).sum())
            piece = x[start : start + length] - x[start : start + length].mean()
            if piece.std() > 0:
                pieces.append(piece / piece.std())
    total, window = (
        np.zeros(n + length),
        np.sin(np.pi * (np.arange(length) + 0.5) / length),
    )
    for start in range(0, n, length // 2):
        piece = pieces[stream.integers(len(pieces))]
        total[start : start + length] += window * piece
    return total[:n]


def noises(train, vibration):
    """Return functions of (n, stream) that make noise, by name."""
    # Ten stretches of a second come from one recording.
    longer = np.reshape(vibration, (-1, 10 * len(vibration[0])))

    def of_bearing(n, stream):
        row = longer[stream.integers(len(longer))]
        start = stream.integers(len(row) - n)
        return row[start : start + n]

    return {
        "white": lambda n, stream: stream.normal(size=n),
        "pink": partial(by_spectrum, 1),
        "brown": partial(by_spectrum, 2),
        "vibration": of_bearing,
        "silences": partial(from_silences, train),
    }


def si_sdr(x, estimate):
    """Return the scale-invariant ratio of signal and distortion in dB."""
    x, estimate = x - x.mean(), estimate - estimate.mean()
    target = (x @ estimate) / (x @ x) * x
    return 10 * np.log10((target**2).sum() / ((target - estimate) ** 2).sum())


def distance(x, estimate):
    """Return the log-spectral distance in dB."""
    return log_spectral_distance(x[None], estimate[None], n_fft=256, dynamic_range=60)


def transform(y):
    return stft(y, nperseg=FRAME, noverlap=FRAME - STEP)[2]


def inverse(spectra, n):
    return istft(spectra, nperseg=FRAME, noverlap=FRAME - STEP)[1][:n]


def noise_power(silence):
    return (np.abs(transform(silence)) ** 2)[:, 4:-4].mean(1)


def spectral_subtraction(y, silence):
    """Subtract the power of the noise, more of it in noisier frames.

    M. Berouti, R. Schwartz, J. Makhoul (1979). Enhancement of speech corrupted by
    acoustic noise. ICASSP.
    """
    Y, noise = transform(y), noise_power(silence)[:, None]
    power = np.abs(Y) ** 2
    snr = 10 * np.log10(power.sum(0) / noise.sum())
    factor = np.clip(4 - 3 / 20 * snr, 1, 5)
    left = np.maximum(power - factor * noise, 0.01 * noise)
    return inverse(Y * np.sqrt(np.minimum(left / power, 1)), len(y))


def decision_directed(y, silence):
    """Wiener filter whose signal-to-noise ratio is smoothed over time.

    Y. Ephraim, D. Malah (1984). Speech enhancement using a minimum mean-square error
    short-time spectral amplitude estimator. IEEE Trans. ASSP 32, 1109-1121.
    """
    Y, noise = transform(y), noise_power(silence)
    gains, before = np.empty(Y.shape), None
    for i, power in enumerate(np.abs(Y.T) ** 2):
        now = np.maximum(power / noise - 1, 0)
        ratio = now if before is None else 0.98 * before / noise + 0.02 * now
        ratio = np.maximum(ratio, 10**-2.5)
        gains[:, i] = ratio / (1 + ratio)
        before = gains[:, i] ** 2 * power
    return inverse(gains * Y, len(y))


def local_wiener(y, silence):
    """Wiener filter of SciPy, by local means and variances of samples."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.nan_to_num(wiener(y, 5, silence.var()))


def wavelets(y, silence):
    """Wavelet shrinkage of scikit-image, which needs PyWavelets."""
    from skimage.restoration import denoise_wavelet

    return denoise_wavelet(
        y, sigma=silence.std(), wavelet="sym8", method="BayesShrink", mode="soft"
    )


def rivals():
    """Return functions of (recording, silence), by name."""
    found = {
        "spectral subtraction": spectral_subtraction,
        "decision-directed Wiener": decision_directed,
        "scipy.signal.wiener": local_wiener,
    }
    try:
        import pywt  # noqa: F401
        import skimage  # noqa: F401
    except ImportError:
        print("wavelets need scikit-image and PyWavelets", file=sys.stderr)
        return found
    return found | {"wavelet shrinkage": wavelets}


def ours(restorer):
    return {
        "SignalRestorer": lambda y, z: restorer.fit_noise(z).denoise(y),
        "SignalRestorer, white": lambda y, z: restorer.denoise(y, float(z.std())),
    }


def compare(name, recordings, make, snr, methods):
    """Yield a row per method, and one for the noisy recordings."""
    figures = {label: [] for label in ("noisy", *methods)}
    for number, x in enumerate(recordings):
        stream = np.random.default_rng(number)
        noise = make(len(x) + STRETCH, stream)
        noise = noise * (x.std() / noise[: len(x)].std() * 10 ** (-snr / 20))
        y, silence = x + noise[: len(x)], noise[len(x) :]
        figures["noisy"].append((si_sdr(x, y), distance(x, y), 0.0))
        for label, method in methods.items():
            estimate, time = timed(method, y, silence)
            figures[label].append((si_sdr(x, estimate), distance(x, estimate), time))
    for label, values in figures.items():
        ratio, spectral, time = np.mean(values, axis=0)
        yield {
            "noise": name,
            "SNR": f"{snr:g} dB",
            "method": label,
            "SI-SDR": f"{ratio:.2f} dB",
            "LSD": f"{spectral:.2f} dB",
            "seconds": f"{time:.3f}",
        }


def interpolated(x, gap):
    filled = x.copy()
    filled[gap] = np.interp(np.flatnonzero(gap), np.flatnonzero(~gap), x[~gap])
    return filled


def autoregressive(x, gap):
    """Fill a gap and fit an autoregressive model in turn.

    A. J. E. M. Janssen, R. N. J. Veldhuis, L. B. Vries (1986). Adaptive interpolation
    of discrete-time signals that can be modeled as autoregressive processes. IEEE
    Trans. ASSP 34, 317-330.
    """
    places = np.flatnonzero(gap)
    rows = slice(max(0, places[0] - CONTEXT), places[-1] + 1 + CONTEXT)
    part, missing = x[rows].copy(), gap[rows]
    part[missing] = 0.0
    for _ in range(ITERATIONS):
        lags = np.correlate(part, part, "full")[len(part) - 1 :][: ORDER + 1]
        lags[0] *= 1 + 1e-9
        filter_ = np.concatenate([[1.0], -solve_toeplitz(lags[:-1], lags[1:])])
        predict = convolution_matrix(filter_, len(part), "valid")
        known = predict[:, ~missing] @ part[~missing]
        part[missing] = -np.linalg.lstsq(predict[:, missing], known, rcond=None)[0]
    filled = x.copy()
    filled[rows] = part
    return filled


def gaps(recordings, rate, restorer):
    """Yield the rows of the table of gaps."""
    methods = {
        "linear interpolation": interpolated,
        "autoregressive": autoregressive,
        "SignalRestorer": restorer.inpaint,
    }
    for milliseconds in (5, 10, 20):
        length = round(milliseconds * rate / 1000)
        figures = {label: [] for label in methods}
        for number, x in enumerate(recordings):
            stream = np.random.default_rng(number)
            # A gap in a part that is as loud as the mean of the recording.
            starts = np.arange(CONTEXT // 2, len(x) - length - CONTEXT // 2)
            energy = np.convolve(x**2, np.ones(length), "valid")[starts]
            start = stream.choice(starts[energy >= length * (x**2).mean()])
            gap = np.zeros(len(x), bool)
            gap[start : start + length] = True
            for label, method in methods.items():
                filled, time = timed(method, np.where(gap, 0.0, x), gap)
                error = ((filled - x)[gap] ** 2).sum()
                ratio = 10 * np.log10((x[gap] ** 2).sum() / error)
                figures[label].append((ratio, time))
        for label, values in figures.items():
            ratio, time = np.mean(values, axis=0)
            yield {
                "gap": f"{milliseconds} ms",
                "method": label,
                "SNR": f"{ratio:.2f} dB",
                "seconds": f"{time:.3f}",
            }


def hampel(y, half=3, threshold=3.0):
    """Replace samples that are far from the median around them by this median.

    The distance is measured in median absolute deviations (the filter of Hampel).
    """
    near = np.lib.stride_tricks.sliding_window_view(
        np.pad(y, half, mode="edge"), 2 * half + 1
    )
    middle = np.median(near, axis=1)
    deviation = np.median(np.abs(near - middle[:, None]), axis=1) / 0.6745
    return np.where(np.abs(y - middle) > threshold * deviation, middle, y)


def with_clicks(x, loudness, stream):
    """Return a recording with a click of 1 to 5 samples per 50 ms, and its places."""
    y, places = x.copy(), np.zeros(len(x), bool)
    for start in stream.choice(len(x) - 5, max(1, len(x) // 400), replace=False):
        length = stream.integers(1, 6)
        rows = slice(start, start + length)
        y[rows] += loudness * np.abs(x).max() * stream.normal(size=length)
        places[rows] = True
    return y, places


def clicks(recordings, restorer):
    """Yield the rows of the table of clicks."""
    methods = {
        "nothing": lambda y, places: y,
        "median of 5": lambda y, places: medfilt(y, 5),
        "Hampel filter": lambda y, places: hampel(y),
        "find_clicks, linear": lambda y, places: interpolated(y, find_clicks(y)),
        "find_clicks, inpaint": lambda y, places: restorer.inpaint(y, find_clicks(y)),
        "true places, inpaint": restorer.inpaint,
    }
    for loudness in (0.3, 1.0):
        figures = {label: [] for label in methods}
        for number, x in enumerate(recordings):
            y, places = with_clicks(x, loudness, np.random.default_rng(number))
            for label, method in methods.items():
                repaired, time = timed(method, y, places)
                figures[label].append((si_sdr(x, repaired), time))
        for label, values in figures.items():
            ratio, time = np.mean(values, axis=0)
            yield {
                "deviation of clicks, of the peak": loudness,
                "method": label,
                "SI-SDR": f"{ratio:.2f} dB",
                "seconds": f"{time:.3f}",
            }


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--speech", type=Path)
    parser.add_argument("--bearings", type=Path)
    parser.add_argument("--recordings", type=int, default=40)
    parser.add_argument("--snr", type=float, nargs="+", default=[0.0, 5.0, 10.0])
    parser.add_argument("--noises", nargs="+")
    parser.add_argument("--window-length", type=int, default=256)
    parser.add_argument("--windows", type=int, default=40_000)
    parser.add_argument("--spectra", type=int, default=128)
    options = parser.parse_args()
    train, test, rate = load_speech(options.speech)
    test = test[: options.recordings]
    vibration, other_vibration = load_vibration(options.bearings)
    settings = {
        "window_length": options.window_length,
        "n_windows": options.windows,
        "n_spectra": options.spectra,
        "random_state": 0,
    }
    restorer, time = timed(SignalRestorer(**settings).fit, train)
    print(f"Fit of speech: {time:.1f} s, {len(train)} recordings.\n")
    kinds = noises(train, vibration)
    rows = [
        row
        for name in options.noises or kinds
        for snr in options.snr
        for row in compare(name, test, kinds[name], snr, rivals() | ours(restorer))
    ]
    print(markdown(rows), "\n", flush=True)
    print(markdown(list(gaps(test, rate, restorer))), "\n", flush=True)
    print(markdown(list(clicks(test, restorer))), "\n", flush=True)
    restorer, time = timed(SignalRestorer(**settings).fit, vibration)
    print(f"Fit of vibration: {time:.1f} s.\n")
    rows = [
        row
        for snr in options.snr
        for row in compare(
            "white",
            other_vibration[: options.recordings],
            white_noise,
            snr,
            rivals() | ours(restorer),
        )
    ]
    print(markdown(rows))


def white_noise(n, stream):
    return stream.normal(size=n)


if __name__ == "__main__":
    main()
