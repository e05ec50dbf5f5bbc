"""The network that translates spectra: its parts, losses and training."""
# SPDX-License-Identifier: BSD-3-Clause
