"""Rows with gaps: pairwise moments, and the steps of the EM algorithm."""
# SPDX-License-Identifier: BSD-3-Clause
