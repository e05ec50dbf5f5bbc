"""Draw the spectra of generated, refined and real images, and the gains."""
# SPDX-License-Identifier: BSD-3-Clause

import numpy as np
from matplotlib.figure import Figure

from skspectral.metrics import radial_power_spectrum
from skspectral.refinement._spectra import mirrored

DB = 20 / np.log(10)
N_SHOWN, N_GAINS = 6, 500


def mean_logs(images):
    """Return mean log-magnitudes in dB, with DC in the centre."""
    logs = np.zeros(images.shape[1:3])
    for part in np.array_split(images, max(1, len(images) // 500)):
        power = abs(np.fft.fft2(part.astype(float), axes=(1, 2))) ** 2
        floor = power[0, :, :, 0].size / 12
        logs += 0.5 * np.log(power + floor).mean(axis=3).sum(axis=0)
    return DB * np.fft.fftshift(logs / len(images))


def as_plane(log_gain, width):
    """Return the mean log-gain over images and channels in dB, on the whole plane."""
    half = DB * log_gain.reshape(-1, *log_gain.shape[-2:]).mean(axis=0)
    return np.fft.fftshift(mirrored(half[None], width)[0])


def picture(title, generated, real, refiners):
    """Draw one column for unchanged images and one per fitted refiner."""
    sets = {"as generated": generated}
    sets |= {name: refiner.transform(generated) for name, refiner in refiners.items()}
    figure = Figure(figsize=(2.6 * (len(sets) + 1), 7), layout="constrained")
    figure.suptitle(title)
    axes = figure.subplots(3, len(sets) + 1)
    sets["real"] = real
    target = mean_logs(real)
    for column, (name, images) in enumerate(sets.items()):
        sheet = np.concatenate(np.split(images[:N_SHOWN], N_SHOWN // 2), axis=2)
        axes[0, column].imshow(np.concatenate(sheet).squeeze())
        axes[0, column].set(title=name, xticks=[], yticks=[])
        if name != "real":
            difference = mean_logs(images) - target
            show_plane(figure, axes[1, column], difference, "minus real, dB")
        if name in refiners:
            gain = refiners[name].log_gain(generated[:N_GAINS])
            plane = as_plane(gain, images.shape[2])
            show_plane(figure, axes[2, column], plane, "mean gain, dB")
    for name, images in sets.items():
        spectrum = radial_power_spectrum(images, corners=True)
        axes[2, -1].semilogy(spectrum.frequencies[1:], spectrum.power[1:], label=name)
    axes[2, -1].set(xlabel="cycles per image", title="mean power")
    axes[2, -1].legend(fontsize="x-small")
    axes[2, 0].axis("off")
    axes[1, -1].axis("off")
    return figure


def show_plane(figure, ax, plane, title):
    """Draw values on the frequency plane, with colours centred at 0."""
    bound = max(1.0, np.quantile(abs(plane), 0.99))
    half = (plane.shape[0] // 2, plane.shape[1] // 2)
    extent = (-half[1] - 0.5, half[1] - 0.5, half[0] - 0.5, -half[0] - 0.5)
    shown = ax.imshow(plane, cmap="RdBu_r", vmin=-bound, vmax=bound, extent=extent)
    ax.set(title=title, xlabel="cycles per width", ylabel="cycles per height")
    figure.colorbar(shown, ax=ax, shrink=0.8)
