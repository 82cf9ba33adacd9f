//! `natureddit model verify-skew`: whether a server answers training rows as the model does by their stored features, or,
//! where its encoders are its own, by their photos and titles.

use std::fmt;
use std::path::{Path, PathBuf};

use natureddit_core::fs;
use natureddit_model::ModelVersions;
use natureddit_pipeline::components::infra_validator::skew::{
    SkewCheck, SkewReference, SkewReport, SkewServer, SkewedRow, verify_skew,
};
use serde::Serialize;
use url::Url;

use super::{ModelReference, bundle_of};
use crate::cli::error::{CliError, Exit, HintExt};
use crate::cli::features::FeatureFolders;
use crate::cli::serve::certificate_of;
use crate::cli::session::Session;
use crate::cli::words::{counted, printable};
use crate::config::Config;
use crate::wiring;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The model or one version of it [default: the version of the project's model that answers]
    #[arg(long, value_name = "[NAME/]VERSION|NAME")]
    model: Option<ModelReference>,
    /// A server that runs [default: one is started for it, and stopped]
    #[arg(long, value_name = "URL", value_parser = address)]
    url: Option<Url>,
    /// The certificate that it shows [default: that of `natureddit serve`]
    #[arg(long, value_name = "FILE.pem", requires = "url")]
    certificate: Option<PathBuf>,
    /// The most rows that are sent; they are spread evenly over the training posts
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    rows: u32,
}

fn address(text: &str) -> Result<Url, String> {
    let url: Url = text.parse().map_err(|error| format!("{error}; an address is like https://127.0.0.1:8080"))?;
    if matches!(url.scheme(), "http" | "https") && url.has_host() {
        return Ok(url);
    }
    Err("an address begins with https:// or http://".to_owned())
}

#[derive(Serialize)]
struct Verified {
    name: String,
    version: u64,
    /// The server that was asked; none where one was started for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<Url>,
    #[serde(flatten)]
    report: SkewReport,
}

impl fmt::Display for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, version, report, .. } = self;
        let SkewReport { reference, holds, rows, skipped, unanswered, other_labels, too_far, .. } = report;
        let verdict = if *holds { "no skew" } else { "skew" };
        writeln!(f, "{name} {version}: {verdict} on {}", counted(*rows as u64, "training row"))?;
        if *reference == SkewReference::Bundle {
            writeln!(f, "  compared with the model itself: its encoders are not those of the stored features")?;
        }
        if let Some(most) = report.difference_max {
            writeln!(f, "  largest difference of a probability  {most:.2e} (at most {:e})", report.tolerance)?;
        }
        for (what, count) in
            [("other label", other_labels), ("probability too far off", too_far), ("no prediction", unanswered)]
        {
            writeln!(f, "  {what:35}  {count}")?;
        }
        if *skipped > 0 {
            writeln!(f, "  {:35}  {skipped}", "not sent: photo gone, or not read")?;
        }
        let faulty =
            |row: &&SkewedRow| row.served.as_ref() != Some(&row.stored) || row.difference > Some(report.tolerance);
        for row in report.worst.iter().filter(faulty) {
            writeln!(f, "{}", WorstRow(row))?;
        }
        Ok(())
    }
}

struct WorstRow<'a>(&'a SkewedRow);

impl fmt::Display for WorstRow<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SkewedRow { id, stored, served, difference, fault, .. } = self.0;
        write!(f, "  {id}: {stored}")?;
        match (served, difference, fault) {
            (Some(served), Some(difference), _) => write!(f, ", served {served}, off by {difference:.2e}"),
            (_, _, fault) => write!(f, ", {}", printable(fault.as_deref().unwrap_or("no prediction"))),
        }
    }
}

pub(super) fn run(args: &Args, session: &Session) -> Result<Exit, CliError> {
    let config = session.config()?;
    let project = ModelReference::of_project();
    let model = args.model.as_ref().unwrap_or(&project);
    let versions = ModelVersions::read(&model.folder(&config))?;
    let (version, bundle) = bundle_of(&versions, model.name(&config), model.version)?;
    let training = wiring::training(&config, &session.output.progress())?;
    let folders = FeatureFolders::bring_up_to_date(&config, &training, session)?;
    let exam = wiring::server_exam(&config);
    let images_dir = config.project.data_dir.join("images");
    let check = SkewCheck {
        bundle: &bundle,
        version: model.version.filter(|_| args.url.is_some()),
        encoders: &training.encoders,
        images_dir: &images_dir,
        options: wiring::predictor_options(&config),
        runtime: &|| wiring::load_runtime(&config, &session.output.progress()),
        rows_max: args.rows as usize,
        config: &exam,
    };
    let progress = session.output.progress();
    let report = match &args.url {
        Some(url) => {
            let server = running(url, args.certificate.as_deref(), &config)?;
            verify_skew(folders.paths(), &server, &check, &progress)?
        }
        None => {
            let program = wiring::server_program(&config)?;
            let scratch = Scratch::new(&config)?;
            let server = SkewServer::Own { program: &program, scratch: &scratch.0 };
            verify_skew(folders.paths(), &server, &check, &progress)?
        }
    };
    let exit = if report.holds { Exit::Ok } else { Exit::Failed };
    let name = bundle.manifest.name.clone();
    session.output.result(&Verified { name, version, url: args.url.clone(), report })?;
    Ok(exit)
}

/// A server that runs, and the certificate to know it by.
fn running(url: &Url, certificate: Option<&Path>, config: &Config) -> Result<SkewServer<'static>, CliError> {
    let certificate =
        (url.scheme() == "https").then(|| certificate.map_or_else(|| certificate_of(config), Path::to_owned));
    if let Some(file) = &certificate {
        fs::metadata(file).hint("name the certificate of the server: --certificate FILE.pem")?;
    }
    Ok(SkewServer::Running { url: url.clone(), certificate })
}

/// A folder for what a server makes, removed when dropped.
struct Scratch(PathBuf);

impl Scratch {
    fn new(config: &Config) -> Result<Self, CliError> {
        // A name of this process, for another may do the same at the same time.
        let folder = config.project.pipeline_root.join(format!(".verify-skew-{}", std::process::id()));
        fs::create_dir_all(&folder)?;
        Ok(Self(folder))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            tracing::warn!("{error}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verified(difference: f64) -> Verified {
        let row = SkewedRow {
            id: "abc".parse().unwrap(),
            img_name: "abc.jpg".to_owned(),
            stored: "fauna".to_owned(),
            served: Some("fauna".to_owned()),
            difference: Some(difference),
            fault: None,
        };
        let report = SkewReport {
            reference: SkewReference::StoredFeatures,
            holds: difference <= 1e-4,
            rows: 1,
            skipped: 2,
            unanswered: 0,
            other_labels: 0,
            too_far: usize::from(difference > 1e-4),
            difference_max: Some(difference),
            tolerance: 1e-4,
            worst: vec![row],
        };
        Verified { name: "m".to_owned(), version: 3, url: None, report }
    }

    #[test]
    fn rows_are_named_only_where_they_differ() {
        let good = verified(2e-6).to_string();
        assert!(good.starts_with("m 3: no skew on 1 training row\n  largest") && !good.contains("abc"), "{good}");
        let bad = verified(0.25).to_string();
        assert!(bad.starts_with("m 3: skew on 1 training row\n"), "{bad}");
        assert!(bad.ends_with("  abc: fauna, served fauna, off by 2.50e-1\n"), "{bad}");
        let mut none = verified(0.0);
        none.report.difference_max = None;
        assert!(!none.to_string().contains("largest difference"), "{none}");
    }

    #[test]
    fn what_is_compared_with_is_told_where_it_is_not_the_stored_features() {
        let mut own = verified(0.0);
        own.report.reference = SkewReference::Bundle;
        let own = own.to_string();
        assert!(own.contains("\n  compared with the model itself: "), "{own}");
    }

    #[test]
    fn an_address_is_one_of_a_web_server() {
        assert!(address("https://127.0.0.1:8080").is_ok() && address("http://[::1]:80/").is_ok());
        for bad in ["127.0.0.1:8080", "localhost:8080", "file:///etc/passwd", ""] {
            assert!(address(bad).is_err(), "{bad}");
        }
    }
}
