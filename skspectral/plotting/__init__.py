"""Pictures of what was learned: displays as scikit-learn has them.

``XxxDisplay.from_estimator(est, ...)`` computes arrays, which are attributes, and calls
``plot``, which draws them into the Axes given or into a new figure. Displays of several
panels divide the place of the Axes given among them. Nothing is shown or saved.
"""
# SPDX-License-Identifier: BSD-3-Clause

from skspectral.plotting.atoms import AtomDisplay
from skspectral.plotting.codes import CodeDisplay
from skspectral.plotting.correlation import CorrelationDisplay
from skspectral.plotting.latent import LatentDisplay
from skspectral.plotting.learning import LearningDisplay
from skspectral.plotting.modulations import ModulationDisplay
from skspectral.plotting.samples import SampleGridDisplay
from skspectral.plotting.spectra import SpectrumDisplay
from skspectral.plotting.windowed_codes import WindowedCodeDisplay

__all__ = [
    "AtomDisplay",
    "CodeDisplay",
    "CorrelationDisplay",
    "LatentDisplay",
    "LearningDisplay",
    "ModulationDisplay",
    "SampleGridDisplay",
    "SpectrumDisplay",
    "WindowedCodeDisplay",
]
