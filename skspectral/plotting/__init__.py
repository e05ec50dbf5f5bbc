"""Plots of a fitted dictionary, its codes and its samples, as scikit-learn displays.

``XxxDisplay.from_estimator(est, ...)`` computes arrays, stores them as attributes and
calls ``plot``. The method ``plot`` draws into the given Axes or into a new figure.
Displays with several panels divide the area of the given Axes among the panels. No
figure is shown or saved.
"""
# SPDX-License-Identifier: BSD-3-Clause

from skspectral.plotting.atoms import AtomDisplay
from skspectral.plotting.codes import CodeDisplay
from skspectral.plotting.correlation import CorrelationDisplay
from skspectral.plotting.events import EventDisplay
from skspectral.plotting.latent import LatentDisplay
from skspectral.plotting.learning import LearningDisplay
from skspectral.plotting.modulations import ModulationDisplay
from skspectral.plotting.number import NumberDisplay
from skspectral.plotting.patterns import PatternDisplay
from skspectral.plotting.samples import SampleGridDisplay
from skspectral.plotting.spectra import SpectrumDisplay
from skspectral.plotting.windowed_codes import WindowedCodeDisplay

__all__ = [
    "AtomDisplay",
    "CodeDisplay",
    "CorrelationDisplay",
    "EventDisplay",
    "LatentDisplay",
    "LearningDisplay",
    "ModulationDisplay",
    "NumberDisplay",
    "PatternDisplay",
    "SampleGridDisplay",
    "SpectrumDisplay",
    "WindowedCodeDisplay",
]
