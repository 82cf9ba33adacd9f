"""What the real TFDV says of our examples, statistics and schema. check_tfdv.py imports this."""

import tensorflow_data_validation as tfdv

from tfx_examples import SPLITS, newest
from tfx_schema import EXPECTED, read_anomalies, read_schema, reasons


def check_validation(project, checks, broken):
    """Our data is valid against our schema; against a curated one that it breaks, TFDV finds what we found."""
    statistics = newest(project.folder, "StatisticsGen", "statistics")
    schema = read_schema(project.folder)
    for split in SPLITS:
        ours = tfdv.load_stats_binary(str(statistics / f"Split-{split}" / "FeatureStats.pb"))
        theirs = reasons(tfdv.validate_statistics(ours, schema))
        checks.equal(f"{split}: TFDV and we find the same in our own data", theirs, schema_reasons(project.folder, split))
        if split == "train":
            checks.equal("the training split is valid against its own schema", theirs, {})
        theirs = reasons(tfdv.validate_statistics(ours, read_schema(broken)))
        checks.true(f"{split}: TFDV finds what was broken: {theirs}", set(EXPECTED) <= set(theirs))
        checks.equal(f"{split}: TFDV and we find the same kinds", schema_reasons(broken, split), theirs)


def schema_reasons(folder, split):
    """Our reasons without those of comparisons, for which TFDV is given nothing to compare with."""
    found = reasons(read_anomalies(folder, split))
    kept = {name: [reason for reason in kinds if not reason.startswith("COMPARATOR_")] for name, kinds in found.items()}
    return {name: kinds for name, kinds in kept.items() if kinds}
