"""Learning a dictionary of atoms from a second moment.

The steps are the selection of waves, the refinement of the atoms' parameters with the
codes eliminated, and optionally learning from minibatches with the spectral loss. The
modules use the data only through `SecondMoment` and minibatches, and the atoms only
through `AtomModel`.
"""
# SPDX-License-Identifier: BSD-3-Clause
