"""Convolutional dictionaries: atoms and events of known signals, heartbeats, bearings.

The first table learns atoms of signals whose atoms and events are known, those of
alphacsc's simulator if it is installed. "cosine" is the smallest, over the true atoms,
of the largest cosine with a learned atom over all shifts. The second table shows how
long alphacsc takes on the same recording to reach the objective of our result, with the
same weight of the absolute values. The third one finds heartbeats, and the fourth one
impacts of faulty bearings, without labels.

    python benchmarks/bench_convolutional.py --ecg ecg.npz --bearings bearing.npz
    python benchmarks/bench_convolutional.py --samples 4000 --skip-alphacsc

The file of heartbeats holds "signal" (n_times, 2), "sampling_rate",
"annotation_sample" and "annotation_symbol"; that of bearings "X" (n, 2, n_times),
"fault", "rpm" and "sampling_rate". The script prints Markdown tables.
"""
# SPDX-License-Identifier: BSD-3-Clause

import argparse
import warnings
from pathlib import Path

import numpy as np
from _measure import timed
from _tables import markdown
from sklearn.exceptions import ConvergenceWarning

from skspectral import BasisModulation
from skspectral.convolutional import ConvolutionalSpectralDictionary

# Frequencies of faults over that of the shaft, for the bearing SKF 6205.
FAULTS = {"OR": 3.5848, "IR": 5.4152}
# A heartbeat is found if an event lies within this time of its annotation, in seconds.
TOLERANCE = 0.075


def overlapping(n_atoms, length, n_times, noise, seed=0):
    """Return a recording of Gabor atoms, the atoms, and the starts of their events."""
    rng = np.random.default_rng(seed)
    t = np.arange(length) - (length - 1) / 2
    signal, atoms, starts = noise * rng.normal(size=n_times), [], []
    for k, frequency in enumerate(np.linspace(0.06, 0.3, n_atoms)):
        wave = np.exp(-((t / (length / (6 + k))) ** 2) / 2)
        wave *= np.sin(2 * np.pi * frequency * t + rng.uniform(0, 2 * np.pi))
        wave /= np.linalg.norm(wave)
        # Events of one atom are half an atom apart, and overlap with those of others.
        slots = rng.choice(2 * n_times // length - 2, n_times // (4 * length), False)
        for start in slots * length // 2:
            signal[start : start + length] += rng.uniform(0.5, 1.5) * wave
        atoms.append(wave)
        starts.append(np.sort(slots * length // 2))
    return signal[None], np.array(atoms), starts


def likeness(found, atom):
    """Return the largest cosine of two atoms over all shifts, and the shift."""
    products = np.correlate(found, atom, "full")
    return np.abs(products).max(), np.abs(products).argmax() - (len(atom) - 1)


def f1_score(found, true, tolerance):
    """Return the F1 score of sorted times, which are matched one to one."""
    used, hits = np.zeros(len(found), bool), 0
    for time in true:
        first = np.searchsorted(found, time - tolerance)
        last = np.searchsorted(found, time + tolerance, side="right")
        free = [i for i in range(first, last) if not used[i]]
        if free:
            used[min(free, key=lambda i: abs(found[i] - time))] = True
            hits += 1
    return 2 * hits / (len(found) + len(true))


def compare_known(name, X, shapes, starts, kind="auto", weak=None, **options):
    """Return a row of the table of known signals.

    Events at the starts ``weak``, one array per atom, need not be found.
    """
    est = ConvolutionalSpectralDictionary(
        len(shapes), n_times_atom=shapes.shape[1], atoms=kind, **options
    )
    _, time = timed(est.fit, X)
    events, cosines, scores = est.find_events(X), [], []
    for k, (atom, true) in enumerate(zip(shapes, starts, strict=True)):
        pairs = [likeness(found, atom) for found in est.components_]
        best = int(np.argmax([cosine for cosine, _ in pairs]))
        cosines.append(pairs[best][0])
        own = events[events["atom"] == best]
        places = own["recording"] * X.shape[1] + own["start"] + pairs[best][1]
        if weak is not None and len(weak[k]):
            apart = np.abs(places[:, None] - weak[k]).min(1)
            needed = np.abs(places[:, None] - true).min(1)
            places = places[(apart > 3) | (needed <= 3)]
        scores.append(f1_score(np.sort(places), true, 3))
    return {
        "signals": name,
        "atoms": {"auto": "modulated sinusoids"}.get(kind, kind),
        "cosine": f"{min(cosines):.4f}",
        "F1": f"{np.mean(scores):.3f}",
        "time": f"{time:.1f} s",
    }


def known_signals(n_times):
    """Yield the rows of the first table."""
    for n_atoms, noise in ((3, 0.03), (5, 0.03), (3, 0.1)):
        X, atoms, starts = overlapping(n_atoms, 64, n_times, noise)
        for kind in ("gabor", "auto"):
            name = f"{n_atoms} Gabor atoms, noise {noise:g}"
            yield compare_known(name, X, atoms, starts, kind)
    try:
        from alphacsc.simulate import simulate_data
    except ImportError:
        return
    for seed in range(3):
        X, atoms, codes = simulate_data(50, 512, 64, 3, random_state=seed)
        X = X + 0.01 * np.random.default_rng(seed).normal(size=X.shape)
        # The amplitudes are uniform between 0 and 1. Those below 0.2 need not be found.
        starts, weak = [], []
        for row in codes:
            recording, start = row.nonzero()
            place, is_weak = recording * 512 + start, row[recording, start] < 0.2
            starts.append(np.sort(place[~is_weak]))
            weak.append(np.sort(place[is_weak]))
        for order in (4, 8):
            modulation = BasisModulation(order=order)
            yield compare_known(
                f"alphacsc's, seed {seed}, order={order}",
                X,
                atoms,
                starts,
                weak=weak,
                reg=0.05,
                modulation=modulation,
            )


class Norms(np.ndarray):
    """A column whose entries are numbers, and not arrays of length 1."""

    def __array_ufunc__(self, ufunc, method, *inputs, **options):
        inputs = [np.asarray(part) for part in inputs]
        return getattr(ufunc, method)(*inputs, **options)

    def __getitem__(self, index):
        found = np.asarray(self)[index]
        return float(found[0]) if np.shape(found) == (1,) else found


def compare_alphacsc(name, x, n_atoms, length, **options):
    """Yield rows of the second table."""
    from alphacsc.learn_d_z_multi import learn_d_z_multi
    from alphacsc.utils import coordinate_descent

    original = coordinate_descent._init_beta

    def init_beta(Xi, z_hat, D, constants, reg, norm_Dk, tol, positive):
        """Call alphacsc with norms that newer versions of numpy accept."""
        norms = norm_Dk.view(Norms)
        return original(Xi, z_hat, D, constants, reg, norms, tol, positive)

    coordinate_descent._init_beta = init_beta
    est = ConvolutionalSpectralDictionary(n_atoms, n_times_atom=length, **options)
    _, ours = timed(est.fit, x)
    # alphacsc divides recordings by their standard deviation.
    unit = (x - est.mean_[:, None]).std()
    target = est.losses_[-1] * x.shape[1] / unit**2
    yield {"recording": name, "method": "ours", "time": f"{ours:.1f} s", "ratio": "1"}
    scaled = (x - est.mean_[:, None])[None] / unit
    for start in ("chunk", "random"):
        # The first call compiles.
        for n_iter in (1, 60):
            objective, times, *_ = learn_d_z_multi(
                scaled,
                n_atoms,
                length,
                n_iter=n_iter,
                reg=est.alpha_ / unit,
                lmbd_max="fixed",
                solver_z="lgcd",
                solver_z_kwargs={"tol": 1e-3, "max_iter": 10**6},
                D_init=start,
                stopping_pobj=target,
                verbose=0,
                random_state=0,
            )
        reached = np.array(objective) <= target
        time = np.cumsum(times)[reached.argmax() if reached.any() else -1]
        yield {
            "recording": name,
            "method": f"alphacsc, D_init={start!r}",
            "time": f"{time:.1f} s",
            "ratio": f"{time / ours:.1f}",
            "objective / ours": f"{min(objective) / target:.4f}",
        }


def heartbeats(path):
    """Yield the rows of the table of heartbeats."""
    with np.load(path) as data:
        signal = data["signal"].T.astype(float) / 200
        rate = float(data["sampling_rate"])
        is_beat = np.isin(data["annotation_symbol"], list("NAV"))
        beats = data["annotation_sample"][is_beat] / rate
    for n_leads in (1, 2):
        for kind in ("auto", "gabor"):
            X = signal[None, :n_leads] if n_leads > 1 else signal[:1]
            est = ConvolutionalSpectralDictionary(
                n_times_atom=round(0.2 * rate), sampling_rate=rate, atoms=kind
            )
            _, time = timed(est.fit, X)
            events, more = timed(est.find_events, X)
            yield {
                "leads": n_leads,
                "atoms": kind,
                "beats": len(beats),
                "events": len(events),
                "F1": f"{f1_score(events['time'], beats, TOLERANCE):.4f}",
                "fit": f"{time:.1f} s",
                "events found in": f"{more:.1f} s",
            }


def bearings(path):
    """Yield the rows of the table of bearings."""
    with np.load(path) as data:
        X, faults, speeds = data["X"], data["fault"], data["rpm"]
        rate = float(data["sampling_rate"])
    for x, fault, speed in zip(X, faults, speeds, strict=True):
        if fault not in FAULTS:
            continue
        est = ConvolutionalSpectralDictionary(
            n_times_atom=64, sampling_rate=rate, atoms="gabor"
        )
        _, time = timed(est.fit, x[:1].astype(float))
        events = est.find_events(x[:1].astype(float))
        expected = FAULTS[fault] * speed / 60
        frequencies = np.arange(50, 250, 0.05)
        angles = 2 * np.pi * np.outer(frequencies, events["time"])
        power = np.abs(np.exp(-1j * angles) @ events["amplitude"])
        # The strongest rate, or half of it if that is nearly as strong.
        strongest = frequencies[power.argmax()]
        half = np.abs(frequencies - strongest / 2).argmin()
        if power[half] > 0.5 * power.max() and strongest / 2 >= 50:
            strongest = frequencies[half]
        yield {
            "fault": f"{fault}, {speed:g} rpm",
            "expected": f"{expected:.1f} Hz",
            "spectrum of the events": f"{strongest:.1f} Hz",
            "ratio": f"{strongest / expected:.3f}",
            "median rate": f"{1 / np.median(np.diff(events['time'])):.1f} Hz",
            "time": f"{time:.1f} s",
        }


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--samples", type=int, default=40_000)
    parser.add_argument("--ecg", type=Path)
    parser.add_argument("--bearings", type=Path)
    parser.add_argument("--skip-alphacsc", action="store_true")
    options = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    print(markdown(list(known_signals(options.samples))), flush=True)
    if not options.skip_alphacsc:
        X, _, _ = overlapping(3, 64, options.samples, 0.03)
        rows = list(compare_alphacsc("3 Gabor atoms", X, 3, 64, atoms="gabor"))
        if options.ecg:
            with np.load(options.ecg) as data:
                x = data["signal"][: 4 * options.samples, :1].T.astype(float) / 200
            rows += compare_alphacsc("heartbeats", x, 2, 72)
        columns = ["recording", "method", "time", "ratio", "objective / ours"]
        print(markdown(rows, [(name, name) for name in columns]), flush=True)
    if options.ecg:
        print(markdown(list(heartbeats(options.ecg))), flush=True)
    if options.bearings:
        print(markdown(list(bearings(options.bearings))))


if __name__ == "__main__":
    main()
