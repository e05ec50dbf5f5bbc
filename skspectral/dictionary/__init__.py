"""Describing and learning atoms."""
# SPDX-License-Identifier: BSD-3-Clause
