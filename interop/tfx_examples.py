"""Our Examples artifact as Python reads it without TensorFlow: gzip, CRC-32C, and tf.train.Example built from its published
field numbers."""

import csv
import gzip
import hashlib
import re
import shutil
import struct
import subprocess

import pyarrow.parquet
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

SPLITS = ["train", "eval", "test"]
TFRECORD = "data_tfrecord-00000-of-00001.gz"
PARQUET = "data_parquet-00000-of-00001.parquet"
COLUMNS = 16
NUMBERS = {"created_utc", "over_18", "width", "height"}


def example_class():
    """tf.train.Example."""
    field = descriptor_pb2.FieldDescriptorProto
    file = descriptor_pb2.FileDescriptorProto(name="natureddit_example.proto", package="check", syntax="proto3")

    def message(name, *fields):
        added = file.message_type.add(name=name)
        for number, (field_name, kind, label, type_name) in enumerate(fields, 1):
            added.field.add(name=field_name, number=number, type=kind, label=label, type_name=type_name)
        return added

    for name, kind in [("BytesList", field.TYPE_BYTES), ("FloatList", field.TYPE_FLOAT), ("Int64List", field.TYPE_INT64)]:
        message(name, ("value", kind, field.LABEL_REPEATED, None))
    one, many, inner = field.LABEL_OPTIONAL, field.LABEL_REPEATED, field.TYPE_MESSAGE
    kinds = [("bytes_list", ".check.BytesList"), ("float_list", ".check.FloatList"), ("int64_list", ".check.Int64List")]
    feature = message("Feature", *[(name, inner, one, kind) for name, kind in kinds])
    feature.oneof_decl.add(name="kind")
    for member in feature.field:
        member.oneof_index = 0
    features = message("Features", ("feature", inner, many, ".check.Features.FeatureEntry"))
    entry = features.nested_type.add(name="FeatureEntry")
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, type=field.TYPE_STRING, label=one)
    entry.field.add(name="value", number=2, type=inner, label=one, type_name=".check.Feature")
    message("Example", ("features", inner, one, ".check.Features"))
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("check.Example"))


Example = example_class()


def crc32c_table():
    table = []
    for byte in range(256):
        for _ in range(8):
            byte = (byte >> 1) ^ (0x82F63B78 if byte & 1 else 0)
        table.append(byte)
    return table


TABLE = crc32c_table()


def masked_crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = TABLE[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    crc ^= 0xFFFFFFFF
    return (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def records(path):
    """The records of a gzip TFRecord; an assertion fails where a checksum is wrong or the file is cut."""
    data = gzip.decompress(path.read_bytes())
    at = 0
    while at < len(data):
        (length, crc) = struct.unpack_from("<QI", data, at)
        assert crc == masked_crc32c(data[at : at + 8]), f"{path}: the checksum of a length at {at}"
        record = data[at + 12 : at + 12 + length]
        assert len(record) == length, f"{path}: cut at {at}"
        (crc,) = struct.unpack_from("<I", data, at + 12 + length)
        assert crc == masked_crc32c(record), f"{path}: the checksum of a record at {at}"
        yield record
        at += 16 + length


def newest(project, component, output):
    """The newest output folder of a component."""
    folders = [path for path in (project / "pipeline" / component / output).iterdir() if path.name.isdigit()]
    return max(folders, key=lambda path: int(path.name))


def rows(example):
    """Column -> its only value, None where the cell is missing."""
    found = {}
    for name, feature in example.features.feature.items():
        kind = feature.WhichOneof("kind")
        values = getattr(feature, kind).value
        found[name] = None if not values else values[0] if kind == "int64_list" else values[0].decode()
    return found


def variant(project, scratch, **settings):
    """A copy of the project without its pipeline, with other settings: table -> lines of TOML."""
    folder = scratch / "-".join(["project", *settings])
    shutil.copytree(project.folder, folder, symlinks=True, ignore=shutil.ignore_patterns("models", ".dvc", ".git"))
    file = folder / "natureddit.toml"
    text = file.read_text(encoding="utf-8")
    for table, lines in settings.items():
        keys = [line.split("=")[0].strip() for line in lines.splitlines()]
        header = re.compile(rf"^\[{table}\]$", re.MULTILINE)
        if not header.search(text):
            text += f"\n[{table}]\n"
        start = header.search(text).end()
        end = re.compile(r"^\[", re.MULTILINE).search(text, start)
        body = text[start : end.start() if end else len(text)]
        for key in keys:
            body = re.sub(rf"^{key} *=.*$", "", body, flags=re.MULTILINE)
        text = text[:start] + "\n" + lines + body + (text[end.start() :] if end else "")
    file.write_text(text, encoding="utf-8")
    return folder


def run_only(project, folder, component):
    """Runs one component of a project's copy."""
    command = [project.program, "run", "--only", component, "--json"]
    done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr.decode()


def split_of(data):
    """TFX's bucket at 8:1:1."""
    bucket = int(hashlib.sha256(data).hexdigest(), 16) % 10
    return "train" if bucket < 8 else "eval" if bucket < 9 else "test"


def check_examples(project, checks, scratch):
    """The examples of the project as it is, and split in TFX's own way."""
    examples_of_splits(project, checks)
    splits_of_tfx(project, checks, scratch)


def examples_of_splits(project, checks):
    """Every split of the project as it is."""
    examples = newest(project.folder, "ExampleGen", "examples")
    posts = {post["id"] for post in project.posts()}
    seen, missing = set(), 0
    for split in SPLITS:
        path = examples / f"Split-{split}" / TFRECORD
        checks.equal(f"{split}: no time in the gzip header", path.read_bytes()[4:8], bytes(4))
        for record in records(path):
            example = Example.FromString(record)
            checks.equal(f"{split}: the bytes of Python", example.SerializeToString(deterministic=True), record)
            row = rows(example)
            missing += sum(value is None for value in row.values())
            if row["source"] == "post":
                seen.add(row["id"])
            checks.equal(f"{row['id']}: columns", len(row), COLUMNS)
            for name, value in row.items():
                checks.true(f"{row['id']}: {name}", value is None or isinstance(value, int if name in NUMBERS else str))
    checks.true("every example is a post", seen and seen <= posts)
    print(f"{len(seen)} posts, {missing} missing cells")


def splits_of_tfx(project, checks, scratch):
    """Split as TFX does, also where cells are missing, and written as Parquet as well."""
    folder = variant(project, scratch, examples='split_by = "example"\nparquet = true')
    without_flairs(folder / "data" / "posts.csv")
    run_only(project, folder, "ExampleGen")
    examples = newest(folder, "ExampleGen", "examples")
    counted, missing = {}, 0
    for split in SPLITS:
        found = []
        for record in records(examples / f"Split-{split}" / TFRECORD):
            bytes_of_python = Example.FromString(record).SerializeToString(deterministic=True)
            checks.equal("the split of the deterministic bytes", split_of(bytes_of_python), split)
            found.append(rows(Example.FromString(record)))
        counted[split] = len(found)
        missing += sum(value is None for row in found for value in row.values())
        check_parquet(checks, examples / f"Split-{split}" / PARQUET, found)
    checks.true(f"each split has examples: {counted}", all(counted.values()))
    checks.true(f"cells are missing: {missing}", missing > 10)


def without_flairs(path):
    """Takes the flair of every other post, so that its cell is missing."""
    with open(path, encoding="utf-8", newline="") as file:
        posts = list(csv.DictReader(file, strict=True))
    for post in posts[::2]:
        post["flair"] = ""
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(posts[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(posts)


def check_parquet(checks, path, found):
    table = pyarrow.parquet.read_table(path)
    checks.equal(f"{path.parent.name}: the rows of Parquet", table.to_pylist(), [sorted_like(row, table) for row in found])
    for name in table.column_names:
        checks.equal(f"{name} in Parquet", str(table.schema.field(name).type), "int64" if name in NUMBERS else "string")


def sorted_like(row, table):
    return {name: row[name] for name in table.column_names}

