"""Time of the pass over the data, of fits and of products on a device.

The data are on the device and in float32. The script measures the pass over the data
that computes the moments, also as a fraction of the device's rate of matrix products;
the time of fits; and the rows per second of transform and sample.

    python benchmarks/bench_device.py --device cuda --data images.npz
    python benchmarks/bench_device.py --device cpu

The data are those of bench_fit.py. The script prints a table, and writes it with a
description of the machine as JSON.
"""
# SPDX-License-Identifier: BSD-3-Clause

import argparse
import os
from functools import partial
from pathlib import Path

# scikit-learn accepts tensors only if this is set before SciPy is imported.
os.environ["SCIPY_ARRAY_API"] = "1"

import torch
from _data import IMAGES_HELP, load_image_rows
from _measure import machine, median_time, write_report
from sklearn import config_context

from skspectral import SpectralDictionaryLearning
from skspectral.moments import Moments


def measure(rows, shape, n_components, device):
    """Return figures by name."""
    X = torch.as_tensor(rows, device=device)
    n, n_features = X.shape
    cuda = device.type == "cuda"
    wait = partial(torch.cuda.synchronize, device) if cuda else lambda: None
    seconds_of = partial(median_time, wait=wait)
    product = seconds_of(lambda: X.T @ X, 5)
    flops = 2 * n * n_features**2
    passed = seconds_of(lambda: Moments(n_features, device).update(X), 5)
    results = {
        "device": torch.cuda.get_device_name(device) if cuda else "cpu",
        "rows": n,
        "product_TFLOP_s": flops / product / 1e12,
        "pass_s": passed,
        # The Gram matrix is symmetric, so that the pass may take half of this time.
        "pass_over_product": passed / product,
        "pass_share_of_rate": product / passed,
    }
    with config_context(array_api_dispatch=True):
        for name, modulation in (("static", None), ("modulated", "basis")):
            est = SpectralDictionaryLearning(
                n_components,
                signal_shape=shape,
                atoms="sinusoid",
                modulation=modulation,
                random_state=0,
            )
            results[f"fit_{name}_s"] = seconds_of(partial(est.fit, X), 3)
            explained = float(est.explained_variance_ratio_.sum())
            results[f"explained_{name}"] = explained
        seconds = seconds_of(lambda: est.transform(X), 5)
        results["transform_rows_per_s"] = n / seconds
        seconds = seconds_of(lambda: est.sample(n), 5)
        results["sample_rows_per_s"] = n / seconds
    return results


def main():
    """Measure, print a table and write the report."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cuda", help="device of torch")
    parser.add_argument("--data", type=Path, help=IMAGES_HELP)
    parser.add_argument(
        "--size", type=int, default=50_000, help="number of training images"
    )
    parser.add_argument("--n-components", type=int, default=128, help="number of atoms")
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("bench_device.json"),
        help="JSON file of the report",
    )
    args = parser.parse_args()
    train, _, shape = load_image_rows(args.data, args.size)
    results = measure(train, shape, args.n_components, torch.device(args.device))
    for name, value in results.items():
        print(f"{name:>22}  {value if isinstance(value, str) else f'{value:.4g}'}")
    write_report(results | {"machine": machine()}, args.output)


if __name__ == "__main__":
    main()
