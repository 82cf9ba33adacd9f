"""Our schema.pbtxt and SchemaDiff.pb in the real tensorflow-metadata."""

import json

from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2

from tfx_examples import SPLITS, newest, run_only, variant


def read_schema(folder):
    component = "ImportSchema" if (folder / "pipeline" / "ImportSchema").is_dir() else "SchemaGen"
    text = (newest(folder, component, "schema") / "schema.pbtxt").read_text(encoding="utf-8")
    return text_format.Parse(text, schema_pb2.Schema())


def read_anomalies(folder, split):
    path = newest(folder, "ExampleValidator", "anomalies") / f"Split-{split}" / "SchemaDiff.pb"
    return anomalies_pb2.Anomalies.FromString(path.read_bytes())


def reasons(anomalies):
    """Feature -> the names of its reasons."""
    name = anomalies_pb2.AnomalyInfo.Type.Name
    return {feature: sorted(name(reason.type) for reason in info.reason) for feature, info in anomalies.anomaly_info.items()}


def curated(schema):
    """A schema that our data breaks in many ways, and the features it breaks them in."""
    by_name = {feature.name: feature for feature in schema.feature}
    domain = next(domain for domain in schema.string_domain if domain.name == by_name["choice"].domain)
    del domain.value[0]
    by_name["width"].int_domain.max = 1
    by_name["height"].int_domain.min = 100_000
    by_name["title"].presence.min_count = 1_000_000
    by_name["author"].unique_constraints.max = 1
    # TFDV takes an end that is not set for 0.
    by_name["source"].unique_constraints.min = 1_000_000
    by_name["source"].unique_constraints.max = 2_000_000
    by_name["id"].shape.dim[0].size = 2
    by_name["group"].type = schema_pb2.INT
    schema.feature.remove(by_name["phash"])
    gone = schema.feature.add(name="gone", type=schema_pb2.INT)
    gone.presence.min_count = 1
    for feature in schema.feature:
        feature.ClearField("drift_comparator")
        feature.ClearField("skew_comparator")
    return schema


EXPECTED = {
    "choice": "ENUM_TYPE_UNEXPECTED_STRING_VALUES",
    "width": "INT_TYPE_BIG_INT",
    "height": "INT_TYPE_SMALL_INT",
    "title": "FEATURE_TYPE_LOW_NUMBER_PRESENT",
    "author": "FEATURE_TYPE_HIGH_UNIQUE",
    "source": "FEATURE_TYPE_LOW_UNIQUE",
    "id": "INVALID_FEATURE_SHAPE",
    "group": "UNEXPECTED_DATA_TYPE",
    "phash": "SCHEMA_NEW_COLUMN",
    "gone": "SCHEMA_MISSING_COLUMN",
}


def schema_of_examples(project, checks):
    """The inferred schema, and that anomalies are told against it."""
    schema = read_schema(project.folder)
    features = [feature.name for feature in schema.feature]
    checks.true("the schema has the columns of the examples", {"id", "title", "choice", "width"} <= set(features))
    choice = next(feature for feature in schema.feature if feature.name == "choice")
    checks.equal("the label is not there when the model is asked", list(choice.not_in_environment), ["SERVING"])
    for split in SPLITS:
        anomalies = read_anomalies(project.folder, split)
        checks.equal(f"{split}: the baseline is the schema", anomalies.baseline, schema)


def broken_project(project, scratch):
    """A copy of the project with a curated schema that its data breaks; gives its folder and that schema."""
    settings = {"schema": 'file = "schema.pbtxt"', "validator": 'columns = "warn"'}
    folder = variant(project, scratch, **settings)
    broken = curated(read_schema(project.folder))
    text = "# A comment stays.\n" + text_format.MessageToString(broken)
    (folder / "schema.pbtxt").write_text(text, encoding="utf-8")
    for component in ["ImportSchema", "ExampleValidator"]:
        run_only(project, folder, component)
    return folder, broken


def anomalies_of_a_curated_schema(project, checks, scratch):
    """Each way to break the schema is found, in each split."""
    folder, broken = broken_project(project, scratch)
    text = (folder / "schema.pbtxt").read_text(encoding="utf-8")
    imported = newest(folder, "ImportSchema", "schema") / "schema.pbtxt"
    checks.equal("a curated schema is taken over as it is", imported.read_text(encoding="utf-8"), text)
    for split in SPLITS:
        anomalies = read_anomalies(folder, split)
        checks.equal(f"{split}: the curated baseline", anomalies.baseline, broken)
        found = reasons(anomalies)
        for feature, reason in EXPECTED.items():
            checks.true(f"{split}: {reason} of {feature} in {found}", reason in found.get(feature, []))
    path = newest(folder, "ExampleValidator", "anomalies") / "validation.json"
    warnings = json.loads(path.read_text(encoding="utf-8"))["warnings"]
    checks.true("the warnings are told", len(warnings) >= len(EXPECTED))


def check_schema(project, checks, scratch):
    """The inferred schema, then a curated one that the data breaks."""
    schema_of_examples(project, checks)
    anomalies_of_a_curated_schema(project, checks, scratch)
