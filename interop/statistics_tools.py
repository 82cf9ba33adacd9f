"""Our statistics, and a table made to be summarised. tfx_statistics.py and tfdv_statistics.py import this."""

import subprocess

from tensorflow_metadata.proto.v0 import statistics_pb2

# What a table may hold that is not plain: cells that are missing, numbers that are not finite, whole numbers beyond 64
# bits, Python's ways to write numbers, a column without a cell, one that shows its type late, long and foreign texts.
LONG = "x" * 2000
ODD_TABLE = "id,whole,number,infinite,late,huge,empty,text\n" + "".join(
    f"id{at},{whole},{number},{infinite},{late},{huge},,{text}\n"
    for at, (whole, number, infinite, late, huge, text) in enumerate(
        [
            ("1", "0.5", "inf", "1", "1", "fox"),
            ("-7", "", "-inf", "2", "99999999999999999999", "fox"),
            ("1_000", "1e3", "2", "3", "2", '"a, b"'),
            (" 12 ", "nan", "0", "4", "", "雪"),
            ("", ".25", "nan", "5", "3", LONG),
            ("0", "-0.0", "inf", "0.1", "4", ""),
        ]
        * 40
    )
)


def read_statistics(path):
    """The one dataset of a FeatureStats.pb."""
    datasets = statistics_pb2.DatasetFeatureStatisticsList.FromString(path.read_bytes()).datasets
    if len(datasets) != 1:
        raise ValueError(f"{path} holds {len(datasets)} datasets")
    return datasets[0]


def features(dataset):
    """The features by name."""
    return {feature.path.step[0]: feature for feature in dataset.features}


def summarise(project, table, out):
    """Our statistics of a table, as we write them."""
    command = [project.program, "dataset", "stats", "--table", table, "--out", out]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
    return read_statistics(out)
