"""Measure time and memory, in child processes, and describe the machine."""
# SPDX-License-Identifier: BSD-3-Clause

import json
import os
import platform
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import sklearn
import torch

import skspectral


class PeakMemory:
    """Largest resident memory of this process inside a with statement, in bytes."""

    def __enter__(self):
        self._done = threading.Event()
        self.start = self.peak = self._resident()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def _watch(self):
        while not self._done.wait(0.002):
            self.peak = max(self.peak, self._resident())

    @staticmethod
    def _resident():
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def __exit__(self, *_):
        self._done.set()
        self._thread.join()

    @property
    def growth(self):
        """Number of bytes by which the peak exceeds the memory at the start."""
        return self.peak - self.start


def timed(function, *args):
    """Return the result of one call and its duration in seconds."""
    start = time.perf_counter()
    result = function(*args)
    return result, time.perf_counter() - start


def median_time(function, repeats=9, *, least=0.0, wait=lambda: None):
    """Return the median duration of a call in seconds, after one warm-up call.

    The call is repeated at least ``repeats`` times and for at least ``least`` seconds
    in total. Calls of a device return before the work is done; ``wait`` returns
    afterwards.
    """
    function()
    seconds = []
    while len(seconds) < repeats or sum(seconds) < least:
        wait()
        seconds.append(timed(lambda: (function(), wait()))[1])
    return float(np.median(seconds))


def run_apart(script, *args, root=None):
    """Run a script in a process of its own and return its standard output.

    If ``root`` is given, the script imports skspectral from the checkout in this
    folder.
    """
    environment = dict(os.environ)
    if root is not None:
        paths = [str(Path(root).absolute()), environment.get("PYTHONPATH")]
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    command = [sys.executable, script, *map(str, args)]
    done = subprocess.run(
        command, check=True, stdout=subprocess.PIPE, text=True, env=environment
    )
    return done.stdout


class BusyMachine:
    """A process that multiplies matrices on all cores, inside a with statement.

    With ``busy=False`` there is none.
    """

    # The number of threads is set here, because the environment may restrict it for the
    # measured processes. The loop ends with the process that started it.
    _WORK = (
        "import os, torch\n"
        "torch.set_num_threads(os.cpu_count())\n"
        "A = torch.rand(2000, 2000)\n"
        "parent = os.getppid()\n"
        "while os.getppid() == parent: A @ A"
    )

    def __init__(self, busy=True):
        self._busy, self._process = busy, None

    def __enter__(self):
        if self._busy:
            self._process = subprocess.Popen([sys.executable, "-c", self._WORK])
        return self

    def __exit__(self, *_):
        if self._process is not None:
            self._process.kill()
            self._process.wait()


def package_root():
    """Return the folder from which this process imported skspectral."""
    return Path(skspectral.__file__).parents[1]


def medians(rows):
    """Merge rows of repeated measurements into one.

    The result is the first row, with every float replaced by its median over the rows.
    """
    floats = [key for key, value in rows[0].items() if isinstance(value, float)]
    return rows[0] | {key: float(np.median([r[key] for r in rows])) for key in floats}


def ratios(rows, others, key):
    """Return the ratio of one figure for each pair of corresponding rows."""
    return [row[key] / other[key] for row, other in zip(rows, others, strict=True)]


def machine():
    """Return the processor, its threads and the versions of libraries."""
    names = [
        line.split(":")[1].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return {
        "processor": names[0] if names else platform.processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "numpy": np.__version__,
        "scikit-learn": sklearn.__version__,
        "torch": torch.__version__,
        "skspectral": skspectral.__version__,
    }


def write_report(report, path):
    """Write a report to a JSON file."""
    path.write_text(json.dumps(report, indent=1))
    print(f"written to {path}", file=sys.stderr)
