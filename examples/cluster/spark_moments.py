"""Moments of rows in Spark, and a fit to them.

    spark-submit examples/cluster/spark_moments.py

Spark sums the moments of its partitions as a tree, and only moments travel. The order
of the sum is Spark's, so that the last digits may differ between two runs.
"""

import numpy as np
import torch
from pyspark.sql import SparkSession

from skspectral import SpectralDictionaryLearning
from skspectral.moments import Moments


def spark_moments(blocks, n_features):
    """Return the moments of an RDD of blocks of rows."""
    return blocks.treeAggregate(
        Moments(n_features, torch.device("cpu")),
        lambda moments, block: moments.update(block),
        lambda one, two: one.merge(two),
    )


def main():
    """Fit to blocks that each task makes; in practice it would read a file."""
    spark = SparkSession.builder.master("local[2]").getOrCreate()

    def rows(seed):
        return np.random.default_rng(seed).normal(size=(1000, 64)).cumsum(axis=1)

    blocks = spark.sparkContext.parallelize(range(20), 4).map(rows)
    est = SpectralDictionaryLearning(8).fit_moments(spark_moments(blocks, 64))
    print(est.n_samples_seen_, est.explained_variance_ratio_.sum().round(2))
    spark.stop()


if __name__ == "__main__":
    main()
