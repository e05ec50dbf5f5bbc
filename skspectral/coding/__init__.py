"""From samples to codes and back, for given atoms."""
# SPDX-License-Identifier: BSD-3-Clause
