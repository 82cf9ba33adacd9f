"""The real `ml-metadata` client reads the store of a pipeline: types, properties and contexts as TFX has them, and the way
from a pushed model up to the dataset. It writes an execution of its own beside ours, after which natureddit still finds
everything in its cache. Where PostgreSQL is installed, the same with a shared store, whose tables are those that
ml-metadata makes."""

import json
import os
import pathlib
import shutil
import subprocess
import tempfile

from ml_metadata import metadata_store
from ml_metadata.proto import metadata_store_pb2

import postgres
from project import MODEL, Checks, Project

TRAINER = "tfx.components.trainer.component.Trainer"
PARENTS = {
    "Examples": metadata_store_pb2.ArtifactType.DATASET,
    "Model": metadata_store_pb2.ArtifactType.MODEL,
    "PushedModel": metadata_store_pb2.ArtifactType.MODEL,
}


def main():
    project = Project(__doc__)
    checks = Checks()
    with tempfile.TemporaryDirectory() as scratch:
        copy = pathlib.Path(scratch) / "project"
        shutil.copytree(project.folder, copy, symlinks=True)
        # What the client sees is a whole run, whatever the project went through before.
        run(project, copy)
        sqlite = sqlite_store(copy / "pipeline" / "metadata.db")
        check_store(checks, "SQLite", sqlite, copy)
        put_beside(checks, sqlite)
        del sqlite
        check_runs_after(checks, "SQLite", project, copy)
        if postgres.is_here():
            with postgres.Server(pathlib.Path(scratch)) as server:
                check_postgres(checks, project, copy, server)
        else:
            print("no PostgreSQL on this machine: the shared store is not checked")
    checks.end()


def run(project, folder, **environment):
    """Runs the pipeline; its report."""
    command = [project.program.resolve(), "--project", folder, "--json", "--quiet", "run"]
    done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"natureddit run failed: {done.stderr}")
    return json.loads(done.stdout)


def sqlite_store(path):
    config = metadata_store_pb2.ConnectionConfig()
    config.sqlite.filename_uri = str(path)
    config.sqlite.connection_mode = metadata_store_pb2.SqliteMetadataSourceConfig.READWRITE
    return metadata_store.MetadataStore(config)


def check_store(checks, what, store, folder):
    """Types, contexts, and the walk from the pushed model."""
    types = {found.name: found for found in store.get_artifact_types()}
    for name in ["Dataset", "Labels", "Examples", "Model", "ModelEvaluation", "ModelBlessing", "PushedModel"]:
        checks.true(f"{what}: no artifact type {name}", name in types)
    properties = dict(types["Examples"].properties)
    (integer, text) = (metadata_store_pb2.INT, metadata_store_pb2.STRING)
    expected = {"span": integer, "version": integer, "split_names": text}
    checks.equal(f"{what}: properties of Examples", properties, expected)
    for name, parent in PARENTS.items():
        checks.equal(f"{what}: the type above {name}", types[name].base_type, parent)
    checks.true(f"{what}: no execution type {TRAINER}", TRAINER in {t.name for t in store.get_execution_types()})

    [pipeline] = store.get_contexts_by_type("pipeline")
    nodes = {context.name for context in store.get_contexts_by_type("node")}
    checks.true(f"{what}: no node {pipeline.name}.Trainer among {nodes}", f"{pipeline.name}.Trainer" in nodes)
    runs = store.get_contexts_by_type("pipeline_run")
    checks.true(f"{what}: no pipeline run", len(runs) > 0)
    states = {execution.last_known_state for execution in store.get_executions_by_context(runs[-1].id)}
    wanted = {metadata_store_pb2.Execution.COMPLETE, metadata_store_pb2.Execution.CACHED}
    checks.true(f"{what}: states {states}", states <= wanted and states)
    check_walk(checks, what, store, folder)
    check_graph(checks, what, store)


def newest(store, type_name):
    found = store.get_artifacts_by_type(type_name)
    return max(found, key=lambda artifact: artifact.id)


def check_walk(checks, what, store, folder):
    """From the pushed model along the events, as a reader of TFX's stores walks."""
    pushed = newest(store, "PushedModel")
    checks.equal(f"{what}: state of the push", pushed.state, metadata_store_pb2.Artifact.LIVE)
    checks.true(f"{what}: the push has no folder", (folder / pushed.uri).is_dir())
    version = pushed.custom_properties["pushed_version"].string_value
    checks.true(f"{what}: version {version} is not in the store", (folder / "models" / MODEL / version).is_dir())

    reached, waiting = {}, [pushed.id]
    while waiting:
        artifact = waiting.pop()
        if artifact in reached:
            continue
        [reached[artifact]] = store.get_artifacts_by_id([artifact])
        makers = [
            event.execution_id
            for event in store.get_events_by_artifact_ids([artifact])
            if event.type == metadata_store_pb2.Event.OUTPUT
        ]
        for event in store.get_events_by_execution_ids(makers) if makers else []:
            if event.type == metadata_store_pb2.Event.INPUT:
                checks.true(f"{what}: an event without a key", bool(event.path.steps[0].key))
                waiting.append(event.artifact_id)
    names = {artifact.type for artifact in reached.values()}
    for name in ["Model", "Examples", "Dataset", "Labels", "ModelBlessing"]:
        checks.true(f"{what}: {name} is not above the push", name in names)

    examples = next(artifact for artifact in reached.values() if artifact.type == "Examples")
    splits = json.loads(examples.properties["split_names"].string_value)
    checks.equal(f"{what}: splits", splits, ["train", "eval", "test"])
    for split in splits:
        checks.true(f"{what}: no folder of {split}", (folder / examples.uri / f"Split-{split}").is_dir())
    checks.true(f"{what}: the layout of TFX", examples.custom_properties["tfx_version"].string_value >= "0.29")


def check_graph(checks, what, store):
    """The client's own walk."""
    pushed = newest(store, "PushedModel")
    options = metadata_store_pb2.LineageSubgraphQueryOptions()
    options.starting_artifacts.filter_query = f"id = {pushed.id}"
    options.direction = metadata_store_pb2.LineageSubgraphQueryOptions.Direction.UPSTREAM
    options.max_num_hops = 20
    graph = store.get_lineage_subgraph(options)
    artifacts = store.get_artifacts_by_id([artifact.id for artifact in graph.artifacts])
    names = {artifact.type for artifact in artifacts}
    checks.true(f"{what}: get_lineage_subgraph finds {names}", {"PushedModel", "Model", "Examples", "Dataset"} <= names)


def put_beside(checks, store):
    """An execution of somebody else, with a type of ours and one of its own."""
    model = newest(store, "Model")
    kind = metadata_store_pb2.ExecutionType(name="somebody.Else")
    execution = metadata_store_pb2.Execution(type_id=store.put_execution_type(kind))
    execution.last_known_state = metadata_store_pb2.Execution.COMPLETE
    output = metadata_store_pb2.Artifact(type_id=model.type_id, uri="/somewhere/else")
    output.state = metadata_store_pb2.Artifact.LIVE
    read = metadata_store_pb2.Event(artifact_id=model.id, type=metadata_store_pb2.Event.INPUT)
    read.path.steps.add().key = "model"
    made = metadata_store_pb2.Event(type=metadata_store_pb2.Event.OUTPUT)
    made.path.steps.add().key = "model"
    contexts = store.get_contexts_by_type("pipeline")
    put, _, _ = store.put_execution(execution, [(model, read), (output, made)], contexts)
    checks.true("the client's own execution has an id", put > 0)


def check_runs_after(checks, what, project, folder, **environment):
    """All is cached: what others wrote changes nothing for us."""
    report = run(project, folder, **environment)
    outcomes = {component["component"]: component["outcome"] for component in report["components"]}
    checks.equal(f"{what}: outcomes after another client", set(outcomes.values()), {"cached"})


def check_postgres(checks, project, folder, server):
    server.create("theirs")
    server.create("ours")
    config = metadata_store_pb2.ConnectionConfig()
    metadata_store.MetadataStore(server.client_config(config, "theirs"))
    address = {"NATUREDDIT_METADATA_URL": server.url("ours")}
    run(project, folder, **address)
    checks.equal("PostgreSQL: pg_dump of both schemas", server.schema("ours"), server.schema("theirs"))
    config = metadata_store_pb2.ConnectionConfig()
    store = metadata_store.MetadataStore(server.client_config(config, "ours"))
    check_store(checks, "PostgreSQL", store, folder)
    put_beside(checks, store)
    check_runs_after(checks, "PostgreSQL", project, folder, **address)
    # A store that ml-metadata made is one of ours as well.
    address = {"NATUREDDIT_METADATA_URL": server.url("theirs")}
    run(project, folder, **address)
    check_runs_after(checks, "PostgreSQL of theirs", project, folder, **address)


if __name__ == "__main__":
    main()
