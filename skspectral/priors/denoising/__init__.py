"""Denoisers of codes, their training, and draws with them: `DiffusionPrior`'s parts."""
# SPDX-License-Identifier: BSD-3-Clause
