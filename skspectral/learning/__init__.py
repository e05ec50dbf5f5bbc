"""From a second moment to a dictionary of atoms.

Selection of waves, refinement of their parameters with the codes eliminated, spectral
loss and alternation. This room sees the data through `SecondMoment` and minibatches,
and the atoms through `AtomModel`.
"""
# SPDX-License-Identifier: BSD-3-Clause
