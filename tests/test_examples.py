"""The examples of inference and their benchmark run, on little data."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from skspectral.datasets import make_tones

ROOT = Path(__file__).parents[1]


def run(script, *args, folder):
    """What the script prints, warnings being errors."""
    return subprocess.run(
        [sys.executable, "-W", "error", str(ROOT / script), *map(str, args)],
        cwd=folder,
        check=True,
        text=True,
        stdout=subprocess.PIPE,
    ).stdout


def figures(out, start):
    """Numbers of the line that starts so."""
    line = next(line for line in out.splitlines() if line.strip().startswith(start))
    words = line.strip().removeprefix(start).split()
    return [float(word) for word in words if word.replace(".", "").isdigit()]


def check_picture(path, n_rows, n_columns):
    """Each part of the picture has content of its own."""
    with Image.open(path) as picture:
        pixels = np.asarray(picture.convert("RGB"))
    assert min(pixels.shape[:2]) > 400
    for row in np.array_split(pixels, n_rows, axis=0):
        for part in np.array_split(row, n_columns, axis=1):
            assert part.std() > 10


@pytest.mark.slow
def test_denoise(tmp_path):
    out = run(
        "examples/plot_denoise.py",
        *("--n-patches", 2000, "--n-components", 48, "--crop", 64),
        folder=tmp_path,
    )
    noisy, wavelets, pca, gaussian, mixture = (
        figures(out.split("SSIM\n")[1], name)
        for name in ("noisy", "wavelets", "PCA", "Gaussian", "mixture, full")
    )
    # Noise of standard deviation 0.1 is at 20 dB.
    np.testing.assert_allclose(noisy[:2], 20, atol=0.2)
    assert noisy[0] < pca[0] < gaussian[0]
    # Of the photographs; wavelets have no column of patches.
    for photo in (0, 2):
        assert wavelets[photo] < mixture[1 + photo]
        assert pca[1 + photo] < mixture[1 + photo]
    check_picture(tmp_path / "denoised.png", 4, 4)


@pytest.mark.slow
def test_fill_gaps(tmp_path):
    out = run("examples/plot_fill_gaps.py", folder=tmp_path)
    parts = out.split("Notes")
    for part in parts:
        ours, line, mean = (
            figures(part, f"error of {name}")[0]
            for name in ("ours", "straight line", "mean of the windows")
        )
        assert ours < min(line, mean)
        assert 90 < figures(part, "truth within our 95 % band")[0] < 99
    check_picture(tmp_path / "filled_gaps.png", 3, 2)


@pytest.mark.slow
def test_inpaint(tmp_path):
    out = run(
        "examples/plot_inpaint.py",
        *("--n-patches", 1000, "--n-components", 64),
        folder=tmp_path,
    )
    mean, neighbours, ours = (
        np.array(figures(out, name)[:4])
        for name in ("mean filling", "5 nearest neighbours", "ours")
    )
    assert (ours < neighbours).all()
    assert (neighbours < mean).all()
    check_picture(tmp_path / "inpainted.png", 4, 8)


@pytest.mark.slow
def test_digits_by_class(tmp_path):
    out = run(
        "examples/plot_digits_by_class.py",
        *("--n-components", 16, "--n-gaussians", 1, 3, 30),
        folder=tmp_path,
    )
    assert "lowest BIC: 3 Gaussians" in out
    assert figures(out, "a Gaussian for each")[0] > 0.95
    check_picture(tmp_path / "digits_by_class.png", 2, 2)


@pytest.mark.slow
def test_anomalies(tmp_path):
    out = run("examples/plot_anomalies.py", "--n-notes", 60, folder=tmp_path)
    mean, worst, notes = figures(out, "ours")
    assert mean > 0.98
    assert worst > 0.95
    assert notes > figures(out, "isolation forest")[2]
    assert "GridSearchCV by likelihood chooses" in out
    assert "area in cross-validation 0.9" in out
    check_picture(tmp_path / "anomalies.png", 2, 3)


@pytest.mark.slow
def test_bench_inference(tmp_path):
    rng = np.random.default_rng(0)
    steps = rng.normal(size=(140, 10, 10, 3)).cumsum(1).cumsum(2)
    images = np.clip(128 + 8 * steps, 0, 255).astype(np.uint8)
    np.savez(tmp_path / "images.npz", train=images[:100], test=images[100:])
    notes, _ = make_tones(140, 96, sampling_rate=2000, random_state=0)
    train, test = np.split(notes.astype(np.float32), [100])
    np.savez(
        tmp_path / "notes.npz",
        windows_train=train,
        windows_test=test,
        sampling_rate=2000.0,
    )
    out = run(
        "benchmarks/bench_inference.py",
        *("--images", "images.npz", "--signals", "notes.npz", "--n-low-rank", 3),
        *("--impute-train", 60, "--n-impute", 5, "--timeout", 1),
        folder=tmp_path,
    )
    assert "| missing | method | RMSE |" in out
    report = json.loads((tmp_path / "bench_inference.json").read_text())
    assert report["machine"]["torch"]
    for kind in ("images", "signals"):
        results = report["results"][kind]
        rows = {row["method"]: row for row in results["denoise"]}
        assert rows["PCA"]["db_over_PCA"] == 0
        assert rows["wavelets"]["time_over_wavelets"] == 1
        assert all(row["db"] >= rows["noisy"]["db"] for row in rows.values())
        assert ("ssim" in rows["noisy"]) == (kind == "images")
        for row in results["impute"]:
            assert row["rmse"] > 0
            assert (row["rmse_over_mean"] == 1) == (row["method"] == "mean filling")
        # With so little time, IterativeImputer may not come to an end.
        names = {row["method"] for row in results["impute_crops"]}
        assert "IterativeImputer" in names
