"""TFDV loads our statistics, and its own ones of the same tables agree with them. check_tfdv.py imports this."""

import bisect
import csv
import math
import pathlib
import subprocess
import sys

import tensorflow_data_validation as tfdv
from tensorflow_metadata.proto.v0 import statistics_pb2

from statistics_tools import LONG, ODD_TABLE, features, summarise
from tfx_examples import SPLITS, newest

# TFDV's quantiles are a sketch of this error; ours are exact up to 65,535 numbers.
QUANTILE_ERROR = 0.01
ROWS = 20_000
MAKE_TABLE = pathlib.Path(__file__).parent.parent / "bench" / "make_table.py"


def check_statistics(project, checks, scratch):
    """TFDV takes our files for statistics, and finds the same in the same tables."""
    check_splits(project, checks)
    check_tables(project, checks, scratch)


def check_splits(project, checks):
    """Our files are what TFDV takes for statistics: it infers a schema of them, and finds nothing wrong by it."""
    folder = newest(project.folder, "StatisticsGen", "statistics")
    for split in SPLITS:
        statistics = tfdv.load_stats_binary(str(folder / f"Split-{split}" / "FeatureStats.pb"))
        schema = tfdv.infer_schema(statistics)
        names = {feature.path.step[0] for feature in statistics.datasets[0].features}
        checks.equal(f"{split}: features of the schema", {feature.name for feature in schema.feature}, names)
        anomalies = tfdv.validate_statistics(statistics, schema)
        checks.equal(f"{split}: anomalies", dict(anomalies.anomaly_info), {})
        # A schema that knows one class less must be told from one that fits.
        domain = next(domain for domain in schema.string_domain if domain.name == "choice")
        gone = domain.value.pop()
        anomalies = tfdv.validate_statistics(statistics, schema)
        checks.equal(f"{split}: anomalies without the class {gone}", list(anomalies.anomaly_info), ["choice"])


def check_tables(project, checks, scratch):
    """The table of posts, one with odd cells, and a large one."""
    posts, odd, large = (scratch / name for name in ["posts.csv", "odd.csv", "large.csv"])
    write_in_lines(project.posts(), posts)
    # Of a longer text natureddit keeps the start alone.
    odd.write_text(ODD_TABLE.replace(LONG, LONG[:1000]), encoding="utf-8")
    subprocess.run([sys.executable, MAKE_TABLE, large, str(ROWS)], check=True)
    for table in [posts, odd, large]:
        ours = summarise(project, table, scratch / "FeatureStats.pb")
        options = tfdv.StatsOptions(use_sketch_based_topk_uniques=False)
        theirs = tfdv.generate_statistics_from_csv(str(table), stats_options=options).datasets[0]
        check_dataset(checks, table, ours, theirs)
        check_schemas(checks, table.name, ours, theirs)


def write_in_lines(rows, path):
    """The table for TFDV, which takes each line of a CSV file for a row, also one within a quoted title."""
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0].keys(), lineterminator="\n")
        writer.writeheader()
        writer.writerows({name: " ".join(cell.splitlines()) for name, cell in row.items()} for row in rows)


def check_dataset(checks, table, ours, theirs):
    checks.equal(f"{table.name}: examples", ours.num_examples, theirs.num_examples)
    ours, theirs = features(ours), features(theirs)
    checks.equal(f"{table.name}: features", set(ours), set(theirs))
    with open(table, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, strict=True))
    for name in set(ours) & set(theirs):
        our, their, what = ours[name], theirs[name], f"{table.name}: {name}"
        kinds = (their.type, their.WhichOneof("stats"))
        checks.equal(f"{what}: type", (our.type, our.WhichOneof("stats")), kinds)
        if our.HasField("string_stats"):
            check_texts(checks, what, our.string_stats, their.string_stats)
        else:
            values = sorted(value for row in rows if row[name] and not math.isnan(value := float(row[name])))
            check_numbers(checks, what, our.num_stats, their.num_stats, values)


def check_texts(checks, what, ours, theirs):
    checks.equal(what, str(ours), str(theirs))


def check_numbers(checks, what, ours, theirs, values):
    checks.equal(f"{what}: counts", str(ours.common_stats), str(theirs.common_stats))
    for name in ["num_zeros", "min", "max"]:
        checks.equal(f"{what}: {name}", getattr(ours, name), getattr(theirs, name))
    if values and math.isfinite(values[0]) and math.isfinite(values[-1]):
        for name in ["mean", "std_dev"]:
            our, their = getattr(ours, name), getattr(theirs, name)
            near = math.isclose(our, their, rel_tol=1e-9, abs_tol=1e-9)
            checks.true(f"{what}: {name} {our}, theirs {their}", near)
    elif values:
        checks.equal(f"{what}: mean", math.isfinite(ours.mean), math.isfinite(theirs.mean))
    checks.equal(f"{what}: histograms", kinds(ours), kinds(theirs))
    for our, their in zip(ours.histograms, theirs.histograms):
        checks.equal(f"{what}: not a number", our.num_nan, their.num_nan)
        if our.type == statistics_pb2.Histogram.QUANTILES:
            checks.equal(f"{what}: quantiles", len(our.buckets), len(their.buckets))
            for at, (one, other) in enumerate(zip(our.buckets, their.buckets)):
                check_ranks(checks, f"{what}: quantile {at + 1}", one.high_value, other.high_value, values)
        else:
            check_standard(checks, what, our.buckets, their.buckets, len(values))


def kinds(stats):
    return [histogram.type for histogram in stats.histograms]


def check_ranks(checks, what, ours, theirs, values):
    """Their quantile is within its error of ours: between both lie no more numbers than that."""
    if ours == theirs:
        return checks.equal(what, ours, theirs)
    low, high = sorted([ours, theirs])
    # The numbers of the table have 64 bits, those of the statistics 32.
    between = bisect.bisect_left(values, high - abs(high) * 1e-6) - bisect.bisect_right(values, low + abs(low) * 1e-6)
    checks.true(f"{what}: {ours}, theirs {theirs}", between <= QUANTILE_ERROR * len(values) + 1)


def check_standard(checks, what, ours, theirs, count):
    """The same intervals; their counts are spread evenly within a thousand quantiles, ours are counted."""
    ends = [[bucket.high_value for bucket in buckets] for buckets in (ours, theirs)]
    near = len(ours) == len(theirs) and all(
        a == b or math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-9) for a, b in zip(*ends)
    )
    checks.true(f"{what}: intervals {ends[0]}, theirs {ends[1]}", near)
    for our, their in zip(ours, theirs):
        off = abs(our.sample_count - their.sample_count)
        bound = 2 * QUANTILE_ERROR * count + 2
        checks.true(f"{what}: {our.sample_count} up to {our.high_value}, theirs {their.sample_count}", off <= bound)


def check_schemas(checks, what, ours, theirs):
    """The schema that TFDV infers of our statistics is the one it infers of its own, and it holds for both."""
    lists = [statistics_pb2.DatasetFeatureStatisticsList(datasets=[dataset]) for dataset in (ours, theirs)]
    our_schema, their_schema = map(tfdv.infer_schema, lists)
    checks.equal(f"{what}: schema", str(our_schema), str(their_schema))
    for statistics in lists:
        anomalies = tfdv.validate_statistics(statistics, their_schema)
        checks.equal(f"{what}: anomalies", dict(anomalies.anomaly_info), {})
