//! This program as a server that another part of it starts and asks.

use std::ffi::OsString;
use std::sync::Arc;

use anyhow::Context;
use natureddit_pipeline::components::infra_validator::{Candidate, InfraValidatorConfig, ServerProgram};

use crate::config::Config;

/// How a server is asked with a candidate before it is pushed; `None` where it is not.
pub(super) fn infra_validator(config: &Config) -> anyhow::Result<Option<(InfraValidatorConfig, ServerProgram)>> {
    if !config.infra_validator.enabled {
        return Ok(None);
    }
    Ok(Some((server_exam(config), server_program(config)?)))
}

/// How long a server may take, and how much it is asked.
pub(crate) fn server_exam(config: &Config) -> InfraValidatorConfig {
    let how = &config.infra_validator;
    InfraValidatorConfig {
        start_timeout: how.start_timeout,
        stop_timeout: how.stop_timeout,
        response_timeout: how.response_timeout,
        test_posts_max: how.test_posts_max,
    }
}

/// How this program is started as a server with one model.
pub(crate) fn server_program(config: &Config) -> anyhow::Result<ServerProgram> {
    let settings = config.file.clone().map(|file| ["--config".into(), file.into_os_string()]);
    let arguments = move |candidate: &Candidate<'_>| {
        let mut model = OsString::from(format!("{}=", candidate.name));
        model.push(candidate.bundle);
        let serve = ["serve", "--json", "--until-stdin-closes", "--address", "127.0.0.1:0"];
        let mut arguments: Vec<OsString> = serve.map(OsString::from).into();
        // It is asked by who started it, and managed by nobody.
        arguments.extend(["--management-address", "off", "--metrics-address", "off", "--models"].map(OsString::from));
        arguments.extend([model, "--self-signed".into(), candidate.scratch.as_os_str().to_owned()]);
        arguments.extend(settings.clone().into_iter().flatten());
        arguments
    };
    Ok(ServerProgram {
        program: std::env::current_exe().context("could not find the program that is running")?,
        arguments: Arc::new(arguments),
        environment: config.infra_validator.environment.clone(),
        settings: server_settings(config),
    })
}

/// What decides whether a server answers, besides the model. No timeout: a machine that is slow today is none tomorrow.
fn server_settings(config: &Config) -> serde_json::Value {
    let (serve, model) = (&config.serve, &config.model);
    serde_json::json!({
        "version": env!("CARGO_PKG_VERSION"),
        "body_bytes_max": serve.body_bytes_max,
        "bodies_bytes_max": serve.bodies_bytes_max,
        "image_bytes_max": model.image_bytes_max,
        "image_pixels_max": model.image_pixels_max,
        "title_bytes_max": model.title_bytes_max,
    })
}
