"""The statistics of splits and tables, computed again by Python from what they were computed from. check_tfx.py imports this."""

import collections
import csv
import math
import statistics as python
import struct

from tensorflow_metadata.proto.v0 import statistics_pb2

from statistics_tools import ODD_TABLE, features, read_statistics, summarise
from tfx_examples import NUMBERS, SPLITS, TFRECORD, Example, newest, records, rows

INT, FLOAT, STRING = (getattr(statistics_pb2.FeatureNameStatistics, name) for name in ["INT", "FLOAT", "STRING"])
STANDARD, QUANTILES = (getattr(statistics_pb2.Histogram, name) for name in ["STANDARD", "QUANTILES"])
TOP_VALUES, RANKS, BUCKETS = 20, 1000, 10


def check_statistics(project, checks, scratch):
    """The statistics of splits, of the table of posts, and of cells that are not plain."""
    for split in SPLITS:
        check_split(project, checks, split)
    check_table(project, checks, project.posts_csv, scratch)
    odd = scratch / "odd.csv"
    odd.write_text(ODD_TABLE, encoding="utf-8")
    check_table(project, checks, odd, scratch)


def check_split(project, checks, split):
    """A split's FeatureStats.pb, against its examples."""
    path = newest(project.folder, "ExampleGen", "examples") / f"Split-{split}" / TFRECORD
    examples = [rows(Example.FromString(record)) for record in records(path)]
    path = newest(project.folder, "StatisticsGen", "statistics") / f"Split-{split}" / "FeatureStats.pb"
    dataset = read_statistics(path)
    checks.equal(f"{split}: examples", dataset.num_examples, len(examples))
    checks.true(f"{split}: there are examples", len(examples) > 0)
    found = features(dataset)
    for name in examples[0]:
        cells = [row[name] for row in examples]
        if name in NUMBERS:
            check_numbers(checks, f"{split}: {name}", found[name], INT, cells)
        else:
            check_texts(checks, f"{split}: {name}", found[name], [(cell or "").encode() for cell in cells])
    derived = {name for name, feature in found.items() if feature.HasField("validation_derived_source")}
    checks.equal(f"{split}: derived features", derived, {"title_length", "brightness"})
    checks.equal(f"{split}: features", set(found), set(examples[0]) | derived)
    lengths = [len(row["title"]) if row["title"] else None for row in examples]
    check_numbers(checks, f"{split}: title_length", found["title_length"], INT, lengths)
    brightness = found["brightness"].num_stats
    photos = sum(row["sha256"] is not None for row in examples)
    checks.equal(f"{split}: photos with a brightness", brightness.common_stats.num_non_missing, photos)
    checks.true(f"{split}: brightness from 0 to 255", 0 <= brightness.min <= brightness.max <= 255)
    checks.true(f"{split}: photos are not all as bright", photos < 2 or brightness.min < brightness.max)


def check_table(project, checks, table, scratch):
    found = features(summarise(project, table, scratch / "FeatureStats.pb"))
    with open(table, encoding="utf-8", newline="") as file:
        table_rows = list(csv.DictReader(file, strict=True))
    checks.equal(f"{table.name}: columns", list(found), list(table_rows[0]))
    for name, feature in found.items():
        cells = [row[name] for row in table_rows]
        kind = kind_of(cells)
        what = f"{table.name}: {name}"
        if kind == STRING:
            check_texts(checks, what, feature, [cell.encode() for cell in cells])
        elif kind == INT:
            check_numbers(checks, what, feature, INT, [int(cell) if cell else None for cell in cells])
        else:
            check_numbers(checks, what, feature, FLOAT, [single(float(cell)) if cell else None for cell in cells])


def kind_of(cells):
    """The type of a column, by what Python takes its cells for."""
    kinds = {kind_of_cell(cell) for cell in cells if cell}
    return max(kinds, default=STRING)


def kind_of_cell(cell):
    try:
        return INT if -(2**63) <= int(cell) < 2**63 else STRING
    except ValueError:
        pass
    try:
        float(cell)
    except ValueError:
        return STRING
    return FLOAT


def single(value):
    """The number with 32 bits, which is how TFX keeps it."""
    try:
        return struct.unpack("f", struct.pack("f", value))[0]
    except OverflowError:
        return math.copysign(math.inf, value)


def check_common(checks, what, common, cells):
    present = sum(cell is not None for cell in cells)
    checks.equal(f"{what}: present", common.num_non_missing, present)
    checks.equal(f"{what}: missing", common.num_missing, len(cells) - present)
    checks.equal(f"{what}: all values", common.tot_num_values, present)
    one = 1 if present else 0
    numbers = (common.min_num_values, common.max_num_values, common.avg_num_values)
    checks.equal(f"{what}: values of an example", numbers, (one, one, one))
    counts = [bucket.sample_count for bucket in common.num_values_histogram.buckets]
    checks.equal(f"{what}: values of examples", counts, [present / BUCKETS] * BUCKETS if present else [])


def check_texts(checks, what, feature, cells):
    """`cells` are bytes; an empty one is missing."""
    checks.equal(f"{what}: type", (feature.type, feature.WhichOneof("stats")), (STRING, "string_stats"))
    stats = feature.string_stats
    values = [cell for cell in cells if cell]
    check_common(checks, what, stats.common_stats, [cell or None for cell in cells])
    counts = sorted(collections.Counter(values).items(), key=lambda item: (item[1], item[0]), reverse=True)
    checks.equal(f"{what}: unique", stats.unique, len(counts))
    expected = [(shown(value), count) for value, count in counts]
    top = [(value.value, value.frequency) for value in stats.top_values]
    checks.equal(f"{what}: top values", [(shown(v.encode()), n) for v, n in top], expected[:TOP_VALUES])
    ranks = [(shown(bucket.label.encode()), bucket.sample_count) for bucket in stats.rank_histogram.buckets]
    checks.equal(f"{what}: ranks", ranks, expected[:RANKS])
    length = sum(map(len, values)) / len(values) if values else 0
    checks.true(f"{what}: mean length {stats.avg_length}, not {length}", is_near(stats.avg_length, length, 1e-6))


def shown(value):
    """A value as it is compared: of a long one, its start."""
    return value[:900] if len(value) >= 900 else value


def check_numbers(checks, what, feature, kind, cells):
    """`cells` are numbers or None."""
    checks.equal(f"{what}: type", (feature.type, feature.WhichOneof("stats")), (kind, "num_stats"))
    stats = feature.num_stats
    check_common(checks, what, stats.common_stats, cells)
    present = [cell for cell in cells if cell is not None]
    values = sorted(value for value in present if not math.isnan(value))
    histograms = {histogram.type: histogram for histogram in stats.histograms}
    if not values:
        return
    checks.equal(f"{what}: histograms", sorted(histograms), [STANDARD, QUANTILES])
    for histogram in stats.histograms:
        checks.equal(f"{what}: not a number", histogram.num_nan, len(present) - len(values))
    checks.equal(f"{what}: zeros", stats.num_zeros, sum(value == 0 for value in values))
    checks.equal(f"{what}: ends", (stats.min, stats.max), (values[0], values[-1]))
    check_moments(checks, what, stats, values)
    full = histograms[QUANTILES].buckets
    edges = [bucket.low_value for bucket in full] + [full[-1].high_value]
    expected = [values[max(math.ceil(at * len(values) / BUCKETS), 1) - 1] for at in range(BUCKETS + 1)]
    checks.equal(f"{what}: quantiles", edges, expected)
    checks.equal(f"{what}: median", stats.median, values[math.ceil(len(values) / 2) - 1])
    checks.true(f"{what}: quantiles hold all", is_near(sum(b.sample_count for b in full), len(values), 1e-12))
    check_standard(checks, what, histograms[STANDARD].buckets, values)


def check_moments(checks, what, stats, values):
    if all(map(math.isfinite, values)):
        mean, deviation = python.fmean(values), python.pstdev(map(float, values))
        checks.true(f"{what}: mean {stats.mean}, not {mean}", is_near(stats.mean, mean, 1e-9))
        checks.true(f"{what}: deviation {stats.std_dev}, not {deviation}", is_near(stats.std_dev, deviation, 1e-9))
    else:
        checks.equal(f"{what}: the mean is no number", math.isfinite(stats.mean), False)
        checks.true(f"{what}: the deviation is none", math.isnan(stats.std_dev))


def check_standard(checks, what, buckets, values):
    """Buckets of equal width; those of infinite numbers stand at the ends."""
    finite = [value for value in values if math.isfinite(value)]
    inner = [bucket for bucket in buckets if math.isfinite(bucket.low_value)]
    checks.equal(f"{what}: buckets", len(inner), BUCKETS if finite[0] < finite[-1] else 1)
    infinite = sum(bucket.sample_count for bucket in buckets) - sum(bucket.sample_count for bucket in inner)
    checks.equal(f"{what}: infinite numbers", infinite, len(values) - len(finite))
    for at, bucket in enumerate(inner):
        is_last = at + 1 == len(inner)
        low, high = bucket.low_value, bucket.high_value
        count = sum(low <= value < high or (is_last and value == high) for value in finite)
        checks.equal(f"{what}: values from {low} to {high}", bucket.sample_count, count)
    width = (finite[-1] - finite[0]) / len(inner)
    even = all(is_near(bucket.high_value - bucket.low_value, width, 1e-6) for bucket in inner)
    checks.true(f"{what}: buckets are equally wide", even)


def is_near(a, b, relative):
    return math.isclose(a, b, rel_tol=relative, abs_tol=relative)
