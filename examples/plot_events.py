# SPDX-License-Identifier: BSD-3-Clause
"""
Heartbeats without labels
=========================

Find the beats of a heart, and a rhythm that fails, in a recording of which nobody has
marked a beat.

A convolutional dictionary learns short atoms that stand anywhere on a long recording.
Here the recording is made: an electrocardiogram with a slow wave after each beat, some
beats that come too early and look different, and noise.
"""

# %%
# The recording
# -------------
# Two minutes with 250 samples per second. Every twelfth beat is early and broad.
import matplotlib.pyplot as plt
import numpy as np

from skspectral.convolutional import ConvolutionalSpectralDictionary
from skspectral.plotting import EventDisplay

RATE = 250
rng = np.random.default_rng(0)
t = np.arange(-0.3, 0.5, 1 / RATE)


def bump(centre, width):
    return np.exp(-(((t - centre) / width) ** 2) / 2)


normal = bump(0, 0.012) - 0.25 * bump(0.03, 0.012) + 0.25 * bump(0.25, 0.05)
early = 0.9 * bump(0, 0.04) - 0.5 * bump(0.12, 0.06)
times, kinds, now = [], [], 1.0
while now < 118:
    is_early = len(times) % 12 == 11
    times.append(now - 0.25 * is_early)
    kinds.append(is_early)
    now += rng.normal(0.85, 0.03)
times, kinds = np.array(times), np.array(kinds)
x = 0.05 * rng.normal(size=120 * RATE)
for time, is_early in zip(times, kinds, strict=True):
    start = round((time - 0.3) * RATE)
    x[start : start + len(t)] += early if is_early else normal

# %%
# The fit
# -------
# Two atoms of 0.4 seconds. Nothing tells the estimator when a beat occurs, or that
# there are two kinds of beats.
est = ConvolutionalSpectralDictionary(2, n_times_atom=100, sampling_rate=RATE)
est.fit([x])
EventDisplay.from_estimator(est, x, start=5, duration=12)

# %%
# The events
# ----------
# ``find_events`` returns a table with the atom, the time and the amplitude of each
# event. The strong events of the first atom are the normal beats.
events = est.find_events([x])
for k in range(2):
    own = events[events["atom"] == k]
    print(f"atom {k}: {len(own)} events, {own['amplitude'].mean():.2f} on average")
print(f"true beats: {(~kinds).sum()} normal, {kinds.sum()} early")

# %%
# The rhythm
# ----------
# The time from each beat to the next one shows the early beats, and the pauses after
# them.
beats = np.sort(events["time"])
beats = beats[np.insert(np.diff(beats) > 0.2, 0, True)]
figure, panel = plt.subplots(figsize=(7, 2.5), layout="constrained")
panel.plot(beats[1:], np.diff(beats), ".-", linewidth=0.7)
panel.set(xlabel="time (s)", ylabel="time since the last beat (s)")
plt.show()
