"""Compute codes of samples, and samples from codes, for given atoms."""
# SPDX-License-Identifier: BSD-3-Clause
