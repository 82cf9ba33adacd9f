//! Components that nothing orders run side by side, and an order without data is kept.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use natureddit_core::{Clock, Progress, fs};
use natureddit_pipeline::runner::RunnerConfig;
use natureddit_pipeline::{
    ArtifactType, Component, ComponentSpec, ExecutionContext, ExecutionIo, Graph, Input, Node, Outcome, Port, RunEvent,
    RunOptions, RunReport, Runner,
};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Long enough for the slowest machine; only a broken runner waits for it.
const PATIENCE: Duration = Duration::from_secs(60);

const EXAMPLES: Port = Port::new("examples", ArtifactType::Examples);
const GEN: ComponentSpec = ComponentSpec { id: "Gen", version: 1, inputs: &[], outputs: &[EXAMPLES] };
const LEFT: ComponentSpec =
    ComponentSpec { id: "Left", version: 1, inputs: &[EXAMPLES], outputs: &[Port::new("left", ArtifactType::Model)] };
const RIGHT: ComponentSpec = ComponentSpec {
    id: "Right",
    version: 1,
    inputs: &[EXAMPLES],
    outputs: &[Port::new("right", ArtifactType::Schema)],
};
const JOIN: ComponentSpec = ComponentSpec {
    id: "Join",
    version: 1,
    inputs: &[Port::new("left", ArtifactType::Model), Port::new("right", ArtifactType::Schema)],
    outputs: &[Port::new("joined", ArtifactType::PushedModel)],
};

type Act = dyn Fn() -> anyhow::Result<()> + Send + Sync;

/// Does what the test says, and leaves a file in each output.
struct Acting {
    spec: &'static ComponentSpec,
    act: Arc<Act>,
}

impl Component for Acting {
    fn spec(&self) -> &'static ComponentSpec {
        self.spec
    }

    fn exec_properties(&self) -> Value {
        json!({})
    }

    fn execute(&self, io: &ExecutionIo, cx: &mut ExecutionContext) -> anyhow::Result<()> {
        cx.progress.start("acting", None);
        for port in self.spec.outputs {
            fs::write_atomic(&io.output(port.key).join("made"), self.spec.id)?;
        }
        let done = (self.act)();
        cx.progress.finish();
        done
    }
}

/// What the components do; those that are not named do nothing.
type Acts = BTreeMap<&'static str, Arc<Act>>;

fn act(act: impl Fn() -> anyhow::Result<()> + Send + Sync + 'static) -> Arc<Act> {
    Arc::new(act)
}

fn diamond(acts: &Acts, right_after_left: bool) -> Graph {
    let node = |spec: &'static ComponentSpec| {
        let act = acts.get(spec.id).cloned().unwrap_or_else(|| act(|| Ok(())));
        Node::new(Acting { spec, act })
    };
    let examples = || Input::channel("Gen", "examples");
    let right = node(&RIGHT).with("examples", examples());
    let nodes = vec![
        node(&GEN),
        node(&LEFT).with("examples", examples()),
        if right_after_left { right.after("Left") } else { right },
        node(&JOIN).with("left", Input::channel("Left", "left")).with("right", Input::channel("Right", "right")),
    ];
    Graph::new(nodes).unwrap()
}

fn runner(dir: &Path) -> Runner {
    let (project_dir, pipeline_root) = (dir.to_owned(), dir.join("pipeline"));
    let config = RunnerConfig { pipeline: "natureddit".into(), project_dir, pipeline_root };
    Runner::new(config, Clock::fixed(1_800_000_000), Progress::silent())
}

fn run(dir: &TempDir, graph: &Graph) -> RunReport {
    runner(dir.path()).run(graph, &RunOptions::default(), &mut |_| {}).unwrap()
}

fn told(receiver: &Mutex<Receiver<()>>) -> anyhow::Result<()> {
    Ok(receiver.lock().unwrap().recv_timeout(PATIENCE)?)
}

fn signal() -> (Sender<()>, Mutex<Receiver<()>>) {
    let (sender, receiver) = channel();
    (sender, Mutex::new(receiver))
}

#[test]
fn what_nothing_orders_runs_side_by_side_and_the_report_does_not_depend_on_who_is_first() {
    // Left begins first and ends last: it waits for Right, which waits for Left to have begun.
    let (left_began, see_left) = signal();
    let (right_ended, see_right) = signal();
    let left = act(move || {
        left_began.send(())?;
        told(&see_right)
    });
    let right = act(move || {
        told(&see_left)?;
        Ok(right_ended.send(())?)
    });
    let dir = tempfile::tempdir().unwrap();
    let report = run(&dir, &diamond(&BTreeMap::from([("Left", left), ("Right", right)]), false));
    assert_eq!(report.failure(), None);
    let ids: Vec<_> = report.components.iter().map(|c| (c.component, c.execution.unwrap().0)).collect();
    assert_eq!(ids, [("Gen", 1), ("Left", 2), ("Right", 3), ("Join", 4)]);
    let again = run(&dir, &diamond(&Acts::new(), false));
    assert!(again.components.iter().all(|component| matches!(component.outcome, Outcome::Cached { .. })), "{again}");
}

#[test]
fn a_failure_lets_the_others_end_and_nothing_new_begin() {
    let (right_began, see_right) = signal();
    let (left_fails, see_left) = signal();
    let left = act(move || {
        told(&see_right)?;
        left_fails.send(())?;
        anyhow::bail!("left out")
    });
    let right = act(move || {
        right_began.send(())?;
        told(&see_left)
    });
    let dir = tempfile::tempdir().unwrap();
    let report = run(&dir, &diamond(&BTreeMap::from([("Left", left), ("Right", right)]), false));
    insta::assert_snapshot!(report, @r"
    Gen: ran because it never ran before
    Left: failed: left out (ran because it never ran before)
    Right: ran because it never ran before
    Join: not reached
    ");
    let folder = |name: &str| fs::walk(&dir.path().join("pipeline").join(name)).unwrap().len();
    assert_eq!((folder("Left"), folder("Right")), (0, 1), "nothing half made is left, and what ended well is kept");
    let report = run(&dir, &diamond(&Acts::new(), false));
    insta::assert_snapshot!(report, @r"
    Gen: cached from execution 1
    Left: ran because its last run failed
    Right: cached from execution 3
    Join: ran because it never ran before
    ");
}

#[test]
fn no_more_run_at_once_than_may() {
    let dir = tempfile::tempdir().unwrap();
    let mut story = String::new();
    let mut watch = |event: RunEvent<'_>| match event {
        RunEvent::Started { component, .. } => story += &format!("{component} "),
        RunEvent::Finished(report) => story += &format!("({}) ", report.component),
    };
    let runner = runner(dir.path()).with_components_at_once(1);
    let report = runner.run(&diamond(&Acts::new(), false), &RunOptions::default(), &mut watch).unwrap();
    assert_eq!(report.failure(), None);
    assert_eq!(story, "Gen (Gen) Left (Left) Right (Right) Join (Join) ");
}

#[test]
fn an_order_without_data_is_kept_and_changes_no_cache_key() {
    let dir = tempfile::tempdir().unwrap();
    let fails = BTreeMap::from([("Left", act(|| anyhow::bail!("no")))]);
    insta::assert_snapshot!(run(&dir, &diamond(&fails, true)), @r"
    Gen: ran because it never ran before
    Left: failed: no (ran because it never ran before)
    Right: not reached
    Join: not reached
    ");
    // Who leaves Left out has not done without it: it may have failed for a good reason.
    let only = RunOptions { only: Some("Right".into()), ..RunOptions::default() };
    let error = runner(dir.path()).run(&diamond(&fails, true), &only, &mut |_| {}).unwrap_err();
    assert_eq!(error.to_string(), "Left comes before Right, and failed when it last ran");
    let report = runner(dir.path()).run(&diamond(&fails, false), &only, &mut |_| {}).unwrap();
    insta::assert_snapshot!(report, @r"
    Gen: not selected
    Left: not selected
    Right: ran because it never ran before
    Join: not selected
    ");
    let report = run(&dir, &diamond(&Acts::new(), true));
    assert!(matches!(report.component("Right").unwrap().outcome, Outcome::Cached { .. }), "{report}");
    let from = RunOptions { from: Some("Left".into()), ..RunOptions::default() };
    let report = runner(dir.path()).run(&diamond(&Acts::new(), true), &from, &mut |_| {}).unwrap();
    let selected: Vec<_> =
        report.components.iter().filter(|c| c.outcome != Outcome::NotSelected).map(|c| c.component).collect();
    assert_eq!(selected, ["Left", "Right", "Join"], "what comes after it follows it");
}

#[test]
fn a_plan_says_what_would_run_and_writes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let graph = diamond(&Acts::new(), false);
    let plan = |options: &RunOptions| runner(dir.path()).plan(&graph, options).unwrap().to_string();
    insta::assert_snapshot!(plan(&RunOptions::default()), @r"
    Gen: would run because it never ran before
    Left: would run if Gen makes something else
    Right: would run if Gen makes something else
    Join: would run if Left or Right makes something else
    ");
    assert!(!dir.path().join("pipeline").exists());
    assert_eq!(run(&dir, &graph).failure(), None);
    let before = fs::walk(dir.path()).unwrap();
    fs::remove_dir_all(&dir.path().join("pipeline/Left/left/2")).unwrap();
    let forced = RunOptions { force: ["Join".to_owned()].into(), ..RunOptions::default() };
    insta::assert_snapshot!(plan(&forced), @r"
    Gen: cached from execution 1
    Left: would run because output pipeline/Left/left/2 is missing
    Right: cached from execution 3
    Join: would run because it was forced
    ");
    assert_eq!(fs::walk(dir.path()).unwrap().len(), before.len() - 1);
}
