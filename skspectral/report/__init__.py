"""Report of a fitted model as one page of HTML, which opens from disk."""
# SPDX-License-Identifier: BSD-3-Clause

from skspectral.report.report import write_report

__all__ = ["write_report"]
