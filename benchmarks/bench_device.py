"""The pass, the fit and the products on a device, with the data there.

Time of the pass over the data and its share of the device's matrix-product rate, time
of a fit, rows a second of transform and sample; float32.

    python benchmarks/bench_device.py --device cuda --data images.npz
    python benchmarks/bench_device.py --device cpu

Data as for bench_fit.py. Prints a table and writes JSON with the machine's description.
"""
# SPDX-License-Identifier: BSD-3-Clause

import argparse
import json
import os
import time
from pathlib import Path

# Before SciPy is imported: scikit-learn hands tensors on only with it.
os.environ["SCIPY_ARRAY_API"] = "1"

import numpy as np
import torch
from bench_fit import load, machine
from sklearn import config_context

from skspectral import SpectralDictionaryLearning
from skspectral.moments import Moments


def median_seconds(function, device, repeats=5):
    """Median time of a call, after one to warm up, with the device's work done."""

    def wait():
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    function()
    seconds = []
    for _ in range(repeats):
        wait()
        start = time.perf_counter()
        function()
        wait()
        seconds.append(time.perf_counter() - start)
    return float(np.median(seconds))


def measure(rows, shape, n_components, device):
    """Figures by name."""
    X = torch.as_tensor(rows, device=device)
    n, n_features = X.shape
    product = median_seconds(lambda: X.T @ X, device)
    flops = 2 * n * n_features**2
    passed = median_seconds(lambda: Moments(n_features, device).update(X), device)
    results = {
        "device": torch.cuda.get_device_name(device)
        if device.type == "cuda"
        else "cpu",
        "rows": n,
        "product_TFLOP_s": flops / product / 1e12,
        "pass_s": passed,
        # A Gram matrix is symmetric: half of these products need not be done.
        "pass_over_product": passed / product,
        "pass_share_of_rate": product / passed,
    }
    with config_context(array_api_dispatch=True):
        for name, modulation in (("static", None), ("modulated", "basis")):
            est = SpectralDictionaryLearning(
                n_components, signal_shape=shape, modulation=modulation, random_state=0
            )
            results[f"fit_{name}_s"] = median_seconds(lambda e=est: e.fit(X), device, 3)
            explained = float(est.explained_variance_ratio_.sum())
            results[f"explained_{name}"] = explained
        seconds = median_seconds(lambda: est.transform(X), device)
        results["transform_rows_per_s"] = n / seconds
        seconds = median_seconds(lambda: est.sample(n), device)
        results["sample_rows_per_s"] = n / seconds
    return results


def main():
    """Measure, print, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--data", type=Path, help=".npz with images train and test")
    parser.add_argument("--size", type=int, default=50_000)
    parser.add_argument("--n-components", type=int, default=128)
    parser.add_argument("--output", type=Path, default=Path("bench_device.json"))
    args = parser.parse_args()
    train, _, shape = load(args.data, args.size)
    results = measure(train, shape, args.n_components, torch.device(args.device))
    for name, value in results.items():
        print(f"{name:>22}  {value if isinstance(value, str) else f'{value:.4g}'}")
    args.output.write_text(json.dumps(results | {"machine": machine()}, indent=1))


if __name__ == "__main__":
    main()
