"""The benchmark of matchers runs, on little data."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

SCRIPT = Path(__file__).parents[2] / "benchmarks/bench_refinement.py"


@pytest.mark.parametrize("generated", [False, True])
def test_bench_refinement(tmp_path, generated):
    options = ["--size", "40", "--fit-size", "60"]
    if generated:
        noise = np.random.default_rng(0).integers(0, 256, (140, 32, 32, 3))
        np.savez(tmp_path / "noise.npz", images=noise.astype(np.uint8))
        options += ["--generated", "noise.npz"]
    else:
        options += ["--minutes", "0.02", "--translator", "--pictures", "pictures"]
    done = subprocess.run(
        [sys.executable, "-W", "error", str(SCRIPT), *options],
        cwd=tmp_path,
        check=True,
        text=True,
        stdout=subprocess.PIPE,
    )
    name = "noise" if generated else "autoencoder"
    results = json.loads((tmp_path / "bench_refinement.json").read_text())["results"]
    rows = {row["method"]: row for row in results if row["images"] == name}
    assert "| mean log |" in done.stdout
    assert rows["none"]["AUC frozen"] > 0.95
    assert rows["none"]["distance"] > rows["mean log"]["distance"]
    assert rows["mean log"]["fit s"] > 0
    assert np.isfinite(rows["mean log"]["PSNR"])
    if not generated:
        assert rows["translator"]["epochs"] > 0
        picture = np.asarray(Image.open(tmp_path / "pictures/autoencoder.png"))
        assert np.ptp(picture) == 255
