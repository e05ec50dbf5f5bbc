"""Environment of the tests, and in how many processes they run."""

import os

import pytest

# scikit-learn runs its array API checks only with this set before SciPy is imported.
os.environ["SCIPY_ARRAY_API"] = "1"
# The arrays of the tests are small: one thread computes them faster than several. The
# number has to be set before NumPy and torch are imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config):
    """Run files or folders that are named on the command line in this process.

    A process of its own would take some seconds to start. Otherwise, pytest-xdist
    chooses the number: one process for each core.
    """
    named = config.args_source is config.ArgsSource.ARGS
    return 0 if named else None
