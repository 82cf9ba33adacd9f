//! What is told where the demo's model was not pushed: why, and what to do.

use std::path::Path;

use anyhow::anyhow;
use natureddit_pipeline::components::evaluator::{Evaluation, Rule};
use natureddit_pipeline::components::infra_validator::InfraVerdict;

use super::corpus::test_share;
use super::{Args, CliError, HintExt};
use crate::cli::run::Ran;
use crate::config::Config;

/// An error that says it; the figures of the run are told beside it.
pub(super) fn not_pushed<T>(ran: &Ran, args: &Args, photos: Option<&Path>, config: &Config) -> Result<T, CliError> {
    if let Some(InfraVerdict { blessed: false, reasons }) = &ran.infra {
        return Err(anyhow!("the model was not pushed, for no server can serve it: {}", reasons.join("; ")))
            .hint("`natureddit run --force InfraValidator` in that folder asks it once more");
    }
    let Some(evaluation) = &ran.evaluation else {
        return Err(anyhow!("the model was not pushed, so there is nothing to serve").into());
    };
    let why = evaluation.unmet().collect::<Vec<_>>().join("; ");
    let refused = Err(anyhow!("the model is not good enough to be pushed, so there is nothing to serve: {why}"))
        .hint(advice(evaluation, args, photos, config));
    match &ran.evaluation_report {
        Some(report) => refused.hint(format!("what it got wrong is shown in {}", report.display())),
        None => refused,
    }
}

/// What gives a better model, or a better judgement of it.
fn advice(evaluation: &Evaluation, args: &Args, photos: Option<&Path>, config: &Config) -> String {
    let is_of_few = evaluation.refused_by.iter().any(|rule| matches!(rule, Rule::TestExamples | Rule::ClassExamples));
    let dir = args.dir.display();
    let Some(photos) = photos else {
        return "draw more: a larger --posts, and --labelled 1, into another folder with --dir".to_owned();
    };
    let photos = photos.display();
    if !is_of_few {
        return format!(
            "are the photos of {photos} in the folders of what they show? More of each class give a better model; what is asked \
             of one says [evaluator] in {dir}/natureddit.toml, and `natureddit run` there judges anew"
        );
    }
    let share = test_share(config);
    // Half more than are needed on average, for which posts are kept is by chance.
    let wanted = (1.5 * config.evaluator.class_examples_min as f64 / share / args.labelled.max(share)).ceil();
    let one_in = (1.0 / share).round();
    let label = if args.labelled < 1.0 { "label all of them (--labelled 1), or " } else { "" };
    format!(
        "one labelled post in {one_in} is kept to judge by: {label}add photos to the folders in {photos} until each has {wanted} or \
         more, and name another folder with --dir; a lower evaluator.class_examples_min or test_examples_min in \
         {dir}/natureddit.toml and `natureddit run` there judges by what there is"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::evaluation::tests::refused;
    use crate::config::Environment;

    fn told(rule: Rule, photos: Option<&str>, labelled: f64) -> String {
        let evaluation = refused(rule, "not met: for a test");
        let args = Args { photos: None, dir: "d".into(), posts: None, labelled, no_serve: true };
        let environment = Environment { cache_home: Some("/cache".into()), ..Environment::read() };
        let config = Config::defaults(Path::new("/project"), &environment).unwrap();
        advice(&evaluation, &args, photos.map(Path::new), &config)
    }

    #[test]
    fn the_advice_fits_the_rule_and_the_photos() {
        let few = told(Rule::ClassExamples, Some("p"), 1.0);
        assert!(few.starts_with(
            "one labelled post in 10 is kept to judge by: add photos to the folders in p until each has 75 or"
        ));
        assert!(!few.contains("--labelled"), "{few}");
        let half = told(Rule::TestExamples, Some("p"), 0.5);
        assert!(
            half.contains("label all of them (--labelled 1), or add photos") && half.contains(" has 150 or"),
            "{half}"
        );
        assert!(told(Rule::MajorityGain, Some("p"), 1.0).starts_with("are the photos of p in the folders"));
        assert!(told(Rule::MajorityGain, None, 1.0).starts_with("draw more: "));
    }
}
