"""Parts of `DiffusionPrior`: denoisers of codes, their training, and their draws."""
# SPDX-License-Identifier: BSD-3-Clause
