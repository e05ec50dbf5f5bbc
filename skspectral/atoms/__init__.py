"""Kinds of atoms: how parameters become waves, one file a kind.

A new kind derives from `AtomFamily`, or from `WaveFamily` if it is a wave with an
amplitude and an angle, and is registered in ``FAMILIES`` if it is to have a name.
"""
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Callable

from skspectral.atoms.check import check_atom_family
from skspectral.atoms.chirp import Chirp
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
    "Description",
    "Gabor",
    "MLPModulation",
    "Modulation",
    "PlaneWave",
    "Sinusoid",
    "Slopes",
    "WaveFamily",
    "Waves",
    "check_atom_family",
]
