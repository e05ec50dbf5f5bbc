"""Signals whose rows were observed at their own, uneven times."""
# SPDX-License-Identifier: BSD-3-Clause

from skspectral.uneven.dictionary import UnevenSpectralDictionary
from skspectral.uneven.periodogram import periodogram

__all__ = ["UnevenSpectralDictionary", "periodogram"]
