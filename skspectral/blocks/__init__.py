"""Rows of X that come in blocks: from dask, from files, or from a function.

`recognition.row_blocks` recognises them. A `RowBlocks` offers two operations, a sum
over all blocks and a function of each row. With these, the estimator gathers moments
(`MomentsPass`), and encodes, scores or denoises rows that no single memory holds.
"""
# SPDX-License-Identifier: BSD-3-Clause
