"""The short examples run, and draw something."""

import runpy
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
# The pages that draw with pyplot; the other examples write files and are run by
# test_scripts.
NAMES = sorted(
    path.stem
    for path in EXAMPLES.glob("plot_*.py")
    if "import matplotlib.pyplot" in path.read_text(encoding="utf-8")
)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_example(name, monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    import matplotlib.pyplot as plt

    with mpl.rc_context():
        plt.switch_backend("agg")
        plt.close("all")
        try:
            runpy.run_path(str(EXAMPLES / f"{name}.py"), run_name="__main__")
            figures = [plt.figure(number) for number in plt.get_fignums()]
            assert figures
            for figure in figures:
                figure.canvas.draw()
                pixels = np.asarray(figure.canvas.buffer_rgba())[..., :3]
                assert pixels.std() > 10
        finally:
            plt.close("all")
