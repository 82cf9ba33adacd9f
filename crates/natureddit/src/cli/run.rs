//! `natureddit run`: the pipeline.

mod drawing;
mod lanes;
mod live;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;

use natureddit_core::ClassNames;
use natureddit_model::ModelVersions;
use natureddit_pipeline::components::evaluator::{EVALUATION_FILE, Evaluation, REPORT_FILE};
use natureddit_pipeline::components::example_gen::{EXAMPLES_FILE, ExampleCounts};
use natureddit_pipeline::components::example_validator::{Findings, VALIDATION_FILE};
use natureddit_pipeline::components::infra_validator::{InfraVerdict, read_infra_blessing};
use natureddit_pipeline::components::pusher::{PUSHED_FILE, Pushed};
use natureddit_pipeline::components::read_json;
use natureddit_pipeline::components::trainer::STOPPED_DETAIL;
use natureddit_pipeline::components::transform::{SKIPPED_FILE, SkippedPhotos};
use natureddit_pipeline::training_graph::training_graph;
use natureddit_pipeline::{ComponentReport, Outcome, RunError, RunEvent, RunOptions, RunPlan, RunReport, Runner};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::error::{CliError, Exit, HintExt};
use super::evaluation::EvaluationTable;
use super::forget::finish_pending;
use super::session::Session;
use super::signals::TrainingStop;
use super::tracking::{RunTracker, Tracked};
use super::words::{counted, is_or_are, printable};
use crate::config::Config;
use crate::wiring;
use drawing::Drawing;
use live::Live;

const EXAMPLES: &str = "\
Examples:
  natureddit run                        run what is stale, and say why
  natureddit run --plan                 only say what would run, and why
  natureddit run --force Trainer        train again although nothing changed
  natureddit run --from Evaluator       only the Evaluator and what follows it
  natureddit run --json                 the report for a program, events on the standard error";

/// The component that Ctrl-C ends early.
const TRAINER: &str = "Trainer";

/// Run the pipeline: examples, features, training, evaluation, push
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// Run only this component, on the others' latest outputs
    #[arg(long, value_name = "COMPONENT", conflicts_with = "from")]
    only: Option<String>,
    /// Run only this component and those that follow it
    #[arg(long, value_name = "COMPONENT")]
    from: Option<String>,
    /// Run this component even if nothing changed; may be given more than once
    #[arg(long, value_name = "COMPONENT")]
    force: Vec<String>,
    /// Read every cached output and the pushed model again instead of trusting size and time
    #[arg(long)]
    verify: bool,
    /// Say what would run and why, and run nothing
    #[arg(long, visible_alias = "dry-run")]
    plan: bool,
}

/// What a run did and what came of it.
#[derive(Serialize)]
pub(super) struct Ran {
    /// The runner's report.
    #[serde(flatten)]
    pub(super) report: RunReport,
    /// Photos without features, by reason: the Transform's, now or when its output was cached.
    pub(super) photos_skipped: BTreeMap<String, usize>,
    /// What the ExampleValidator warns of, and labels that are none of the classes, now or when its output was cached.
    pub(super) warnings: Vec<String>,
    /// What the Evaluator found, now or when its output was cached.
    pub(super) evaluation: Option<Evaluation>,
    /// The page that shows it.
    pub(super) evaluation_report: Option<PathBuf>,
    /// Whether a real server answers with the model, now or when that was cached; `None` where it is not asked.
    pub(super) infra: Option<InfraVerdict>,
    /// Where the model was pushed, now or then.
    pub(super) pushed: Option<Pushed>,
    /// What came of tracking the run.
    pub(super) tracking: Option<Tracked>,
    /// The version that answers where none is asked for: another than the pushed one where somebody chose it.
    pub(super) default_version: Option<u64>,
}

impl fmt::Display for Ran {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Drawing::of_report(&self.report))?;
        for (reason, count) in &self.photos_skipped {
            writeln!(f, "  skipped {}: {reason}", counted(*count as u64, "photo"))?;
        }
        for warning in &self.warnings {
            writeln!(f, "  warning: {}", printable(warning))?;
        }
        if self.report.component(TRAINER).is_some_and(|trainer| trainer.details.contains_key(STOPPED_DETAIL)) {
            writeln!(f, "training was stopped: the model is the best until then, and `natureddit run` trains on")?;
        }
        if let Some(evaluation) = &self.evaluation {
            let (champion_version, report) = (self.champion_version(), self.evaluation_report.as_deref());
            writeln!(f, "\n{}", EvaluationTable { evaluation, champion_version, report })?;
        }
        if let Some(InfraVerdict { blessed: false, reasons }) = &self.infra {
            writeln!(f, "no server can serve it")?;
            reasons.iter().try_for_each(|reason| writeln!(f, "  {}", printable(reason)))?;
            writeln!(f, "hint: `natureddit run --force InfraValidator` asks a server once more")?;
        }
        match &self.pushed {
            Some(Pushed { name, version }) => {
                write!(f, "pushed: {name} version {version}")?;
                match self.default_version {
                    Some(default) if default != *version => write!(f, "; version {default} answers, as it was chosen"),
                    _ => Ok(()),
                }
            }
            None if self.selected("Pusher") => write!(f, "pushed: nothing"),
            None => Ok(()),
        }
    }
}

impl Ran {
    /// The version of the model that was pushed before: the folder it lies in.
    fn champion_version(&self) -> Option<&str> {
        let champion = self.report.component("Evaluator")?.inputs.get("champion")?;
        champion.rsplit('/').next()
    }

    fn selected(&self, component: &str) -> bool {
        self.report.component(component).is_some_and(|report| report.outcome != Outcome::NotSelected)
    }
}

/// What a run would do.
#[derive(Serialize)]
#[serde(transparent)]
struct Planned(RunPlan);

impl fmt::Display for Planned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Drawing::of_plan(&self.0).fmt(f)
    }
}

pub(super) fn run(args: &Args, session: &Session) -> Result<Exit, CliError> {
    let options = RunOptions {
        only: args.only.clone(),
        from: args.from.clone(),
        force: args.force.iter().cloned().collect::<BTreeSet<_>>(),
        verify: args.verify,
    };
    let config = session.config()?;
    if args.plan {
        let graph = training_graph(&wiring::training(&config, &session.output.progress())?)?;
        let plan = wiring::pipeline_runner(&config, &session.clock, session.output.progress_of_tasks())
            .plan(&graph, &options)
            .map_err(told)?;
        session.output.result(&Planned(plan))?;
        return Ok(Exit::Ok);
    }
    let ran = run_pipeline(&config, &options, session)?;
    session.output.result(&ran)?;
    Ok(Exit::Ok)
}

/// Runs the pipeline of a project.
pub(super) fn run_pipeline(config: &Config, options: &RunOptions, session: &Session) -> Result<Ran, CliError> {
    finish_pending(config, session)?;
    let training_stop = TrainingStop::listen()?;
    let mut training = wiring::training(config, &session.output.progress())?;
    training.stop_training = Some(training_stop.flag());
    let graph = training_graph(&training)?;
    let runner = wiring::pipeline_runner(config, &session.clock, session.output.progress_of_tasks());
    let runner = wiring::with_revision(runner, config);
    let tracking = wiring::tracking(config)?;
    let mut tracker = RunTracker::new(tracking.as_ref(), config, &training, session);
    let live = session.output.bars().map(|bars| Live::begin(&graph, bars));
    let mut watch = |event: RunEvent<'_>| {
        follow(&event, &training_stop, session);
        tracker.watch(&event);
        match &live {
            Some(live) => live.show(&event),
            None => note(&event, session),
        }
        session.output.event(&event_line(&event));
    };
    let report = runner.run(&graph, options, &mut watch).map_err(told)?;
    drop(live);
    let tracking = tracker.finish(&report, &runner);
    let report = if report.failure().is_some() { failed(report, session)? } else { report };
    let skipped: Option<SkippedPhotos> =
        read_output(&runner, &report, "Transform", "transformed_examples", SKIPPED_FILE)?;
    let mut photos_skipped = BTreeMap::new();
    for reason in skipped.unwrap_or_default().into_values() {
        *photos_skipped.entry(reason).or_default() += 1;
    }
    let findings: Option<Findings> = read_output(&runner, &report, "ExampleValidator", "anomalies", VALIDATION_FILE)?;
    let counts: Option<ExampleCounts> = read_output(&runner, &report, "ExampleGen", "examples", EXAMPLES_FILE)?;
    let left_out = counts.map(|counts| labels_left_out(&counts, &config.project.classes)).unwrap_or_default();
    let warnings = left_out.into_iter().chain(findings.unwrap_or_default().warnings).collect();
    let evaluation = read_output(&runner, &report, "Evaluator", "evaluation", EVALUATION_FILE)?;
    let folder = report.component("Evaluator").and_then(|evaluator| evaluator.outputs.get("evaluation"));
    let evaluation_report = folder.map(|output| runner.path(&output.uri).join(REPORT_FILE));
    let infra = report.component("InfraValidator").and_then(|component| component.outputs.get("blessing"));
    let infra = infra.map(|output| read_infra_blessing(&runner.path(&output.uri))).transpose()?.flatten();
    let pushed = read_output(&runner, &report, "Pusher", "pushed_model", PUSHED_FILE)?;
    let versions = ModelVersions::read(&config.project.models_dir.join(&config.model.name))?;
    let default_version = versions.default_version().map(|(version, _)| version);
    Ok(Ran {
        report,
        photos_skipped,
        warnings,
        evaluation,
        evaluation_report,
        infra,
        pushed,
        default_version,
        tracking,
    })
}

/// What is said of labels that no example has.
fn labels_left_out(counts: &ExampleCounts, classes: &ClassNames) -> Vec<String> {
    let (strange, lost) = (counts.labels_of_other_classes as u64, counts.labels_without_post as u64);
    let labels = |count| format!("{} {}", counted(count, "label"), is_or_are(count));
    let mut told = Vec::new();
    if strange > 0 {
        told.push(format!("{} none of {classes}: what has them is left out", labels(strange)));
    }
    if lost > 0 {
        told.push(format!("{} of posts or photos that the dataset does not have", labels(lost)));
    }
    told
}

/// Draws how far a run came that failed, and makes its failure the error.
fn failed(report: RunReport, session: &Session) -> Result<RunReport, CliError> {
    session.output.lines(&Drawing::of_report(&report).to_string());
    let is_failed = |component: &&ComponentReport| matches!(component.outcome, Outcome::Failed { .. });
    let left = report.components.iter().find(is_failed).and_then(|component| component.outputs.values().next());
    let left = left.map(|output| format!("all that was found lies in {}", output.uri));
    let failed =
        report.succeeded().hint("what was finished before stays; mend it and `natureddit run` goes on from there");
    left.into_iter().fold(failed, HintExt::hint)
}

/// Has Ctrl-C end a training early, and no other component.
fn follow(event: &RunEvent<'_>, training_stop: &TrainingStop, session: &Session) {
    match event {
        RunEvent::Started { component: TRAINER, .. } => {
            let note = session.output.notes();
            training_stop.begin(move || {
                note("training ends now and the best so far is kept; Ctrl-C again ends the program");
            });
        }
        RunEvent::Finished(report) if report.component == TRAINER => training_stop.end(),
        RunEvent::Started { .. } | RunEvent::Finished(_) => {}
    }
}

/// Tells where nothing is drawn in place that a component begins.
fn note(event: &RunEvent<'_>, session: &Session) {
    if let RunEvent::Started { component, reason } = event {
        session.output.note(&format!("{component}: {reason}"));
    }
}

/// An event for a program.
fn event_line(event: &RunEvent<'_>) -> serde_json::Value {
    match event {
        RunEvent::Started { component, reason } => {
            json!({"event": "component_started", "component": component, "reason": reason})
        }
        RunEvent::Finished(report) => {
            // A report is a map, so that it has its fields beside the event's name.
            let mut line = serde_json::to_value(report).unwrap_or_default();
            if let Some(fields) = line.as_object_mut() {
                fields.insert("event".to_owned(), "component_finished".into());
            }
            line
        }
    }
}

/// Why there was no run; options that make no sense are a mistake of the command line.
fn told(error: RunError) -> CliError {
    if error.is_usage() { CliError::usage_because(error) } else { error.into() }
}

/// A JSON file of an output of the run; `None` where the component was not selected or left no such file.
fn read_output<T: DeserializeOwned>(
    runner: &Runner,
    report: &RunReport,
    component: &str,
    output: &str,
    file: &str,
) -> anyhow::Result<Option<T>> {
    let Some(output) = report.component(component).and_then(|component| component.outputs.get(output)) else {
        return Ok(None);
    };
    let path = runner.path(&output.uri).join(file);
    read_json(&path)
}

#[cfg(test)]
mod tests {
    use natureddit_core::Progress;
    use natureddit_pipeline::setting_names::setting_name;
    use serde_json::Value;

    use super::*;
    use crate::config::{EXAMPLE, Environment, Location};

    /// The paths of all values that are no objects.
    fn leaves(path: &str, value: &Value, found: &mut Vec<String>) {
        match value {
            Value::Object(fields) => fields.iter().for_each(|(key, value)| {
                let below = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                leaves(&below, value, found);
            }),
            _ => found.push(path.to_owned()),
        }
    }

    /// Whether the example has such a key.
    fn is_set(example: &toml::Value, setting: &str) -> bool {
        setting.split('.').try_fold(example, |table, key| table.get(key)).is_some()
    }

    #[test]
    fn a_reason_names_the_setting_that_decides_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("natureddit.toml");
        let settings = "[trainer]\nhead = \"mlp\"\ntune = \"all\"\n[tuner]\nenabled = true\n[bulk_inferrer]\nenabled = true\n\
                        [examples]\nsplit_by = \"time\"\n[model]\nprecision = \"fp32\"\n";
        let example: toml::Value = toml::from_str(EXAMPLE).unwrap();
        let mut unnamed = BTreeSet::new();
        for settings in ["", settings] {
            natureddit_core::fs::write_atomic(&file, settings).unwrap();
            let config = Config::read(&Location::of_file(&file), &Environment::read()).unwrap();
            let graph = training_graph(&wiring::training(&config, &Progress::silent()).unwrap()).unwrap();
            for (component, properties) in graph.exec_properties() {
                let mut paths = Vec::new();
                leaves("", &properties, &mut paths);
                for path in paths {
                    let Some(setting) = setting_name(component, &path) else {
                        unnamed.insert(format!("{component} {path}"));
                        continue;
                    };
                    for one in setting.split(" or ") {
                        assert!(is_set(&example, one), "{component} {path}: there is no setting {one}");
                    }
                }
            }
        }
        let constant = ["InfraValidator server.version", "SchemaGen infer.identities", "SchemaGen infer.labels"];
        let unnamed: Vec<&str> = unnamed.iter().map(String::as_str).collect();
        assert_eq!(unnamed, [&constant[..], &["SchemaGen infer.not_compared"]].concat());
    }
}
