"""Kinds of atoms: functions that turn parameters into waves, one kind per file.

A new kind of atom derives from `AtomFamily`, or from `WaveFamily` if its atoms are
waves with an amplitude and an angle. An entry in ``FAMILIES`` gives it a name that the
estimator accepts as ``atoms="name"``; without a name, users pass an instance.
"""
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Callable

from skspectral.atoms.check import check_atom_family
from skspectral.atoms.chirp import Chirp
from skspectral.atoms.derivatives import (
    DenseDerivatives,
    Derivatives,
    ProductDerivatives,
)
from skspectral.atoms.family import AtomFamily, Description, Modulation
from skspectral.atoms.gabor import Gabor
from skspectral.atoms.modulated import BasisModulation
from skspectral.atoms.network import MLPModulation
from skspectral.atoms.plane_wave import PlaneWave
from skspectral.atoms.sinusoid import Sinusoid
from skspectral.atoms.wave_family import Slopes, WaveFamily
from skspectral.atoms.waves import Waves

FAMILIES: dict[str, Callable[[], AtomFamily]] = {
    "sinusoid": Sinusoid,
    "plane_wave": PlaneWave,
    "gabor": Gabor,
    "chirp": Chirp,
}
MODULATIONS: dict[str, Callable[[], Modulation]] = {
    "basis": BasisModulation,
    "mlp": MLPModulation,
}

__all__ = [
    "AtomFamily",
    "BasisModulation",
    "Chirp",
    "DenseDerivatives",
    "Derivatives",
    "Description",
    "Gabor",
    "MLPModulation",
    "Modulation",
    "PlaneWave",
    "ProductDerivatives",
    "Sinusoid",
    "Slopes",
    "WaveFamily",
    "Waves",
    "check_atom_family",
]
