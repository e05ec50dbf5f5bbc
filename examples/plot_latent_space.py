# SPDX-License-Identifier: BSD-3-Clause
"""
Map the codes of images to two dimensions
=========================================

See that similar images have similar codes, although the model has seen no label.

Any transformer with ``fit_transform`` can project the codes to two dimensions.
Principal components preserve large distances, and t-SNE preserves neighbours.
"""

# %%
import matplotlib.pyplot as plt
from sklearn.datasets import load_digits
from sklearn.manifold import TSNE
from sklearn.neighbors import KNeighborsClassifier

from skspectral import SpectralDictionaryLearning
from skspectral.plotting import LatentDisplay

X, y = load_digits(return_X_y=True)
X, y = X[:800], y[:800]
est = SpectralDictionaryLearning(20, signal_shape=(8, 8)).fit(X)

figure, axes = plt.subplots(1, 2, figsize=(11, 4.6), layout="constrained")
LatentDisplay.from_estimator(est, X, y, ax=axes[0])
near = TSNE(init="pca", random_state=0)
display = LatentDisplay.from_estimator(est, X, y, projection=near, ax=axes[1])

# %%
# How often neighbours have the same label
# ----------------------------------------
# A digit agrees with its neighbours if most of its six nearest digits, itself
# included, have its label. The
# fraction of digits that agree is computed with all twenty codes, and with the two
# dimensions of t-SNE.
for name, points in (("20 codes", est.transform(X)), ("t-SNE", display.points)):
    neighbours = KNeighborsClassifier(6).fit(points, y)
    score = neighbours.score(points, y)
    print(f"{name:9s} fraction of digits that agree with their neighbours: {score:.3f}")
plt.show()
