"""One page of HTML that shows what a model has learned; it opens from disk."""
# SPDX-License-Identifier: BSD-3-Clause

from skspectral.report.report import write_report

__all__ = ["write_report"]
