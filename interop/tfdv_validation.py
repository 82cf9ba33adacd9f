"""What TFDV says of our statistics against our schema, and against one that they break."""

import tensorflow_data_validation as tfdv
from tfx_examples import SPLITS, newest
from tfx_schema import EXPECTED, broken_project, read_anomalies, read_schema, reasons


def check_validation(project, checks, scratch):
    """Our data is valid against our schema; against a curated one that it breaks, TFDV finds what we found."""
    statistics = newest(project.folder, "StatisticsGen", "statistics")
    schema = read_schema(project.folder)
    folder, broken = broken_project(project, scratch)
    for split in SPLITS:
        ours = tfdv.load_stats_binary(str(statistics / f"Split-{split}" / "FeatureStats.pb"))
        theirs = tfdv.validate_statistics(ours, schema)
        compare(checks, f"{split}: in our own data", read_anomalies(project.folder, split), theirs)
        if split == "train":
            checks.equal("the training split is valid against its own schema", reasons(theirs), {})
        theirs = tfdv.validate_statistics(ours, broken)
        checks.true(f"{split}: TFDV finds what was broken", set(EXPECTED) <= set(theirs.anomaly_info))
        compare(checks, f"{split}: in a curated schema", read_anomalies(folder, split), theirs)


def compare(checks, what, ours, theirs):
    """The same kinds in the same words; but not those of comparisons, for which TFDV is given nothing to compare with."""
    checks.equal(what, told(ours), told(theirs))


def told(anomalies):
    return {
        (feature, reason.type, reason.short_description, reason.description)
        for feature, info in anomalies.anomaly_info.items()
        for reason in info.reason
        if "distance" not in reason.short_description and "divergence" not in reason.short_description
    }

