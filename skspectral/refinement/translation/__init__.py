"""The network of `SpectrumTranslator`: its parts, losses and training."""
# SPDX-License-Identifier: BSD-3-Clause
