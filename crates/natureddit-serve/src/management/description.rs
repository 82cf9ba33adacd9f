//! What is told of a model, with TorchServe's keys. Those that mean nothing here have the values it gives by default.

use serde::Serialize;

use crate::loaded::LoadedModel;
use crate::registry::{Traffic, Versions};
use crate::request::RequestLimits;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Description {
    model_name: String,
    model_version: String,
    model_url: String,
    runtime: &'static str,
    min_workers: usize,
    max_workers: usize,
    batch_size: usize,
    max_batch_delay: u128,
    response_timeout: u64,
    startup_timeout: u64,
    max_retry_timeout_in_sec: u64,
    client_timeout_in_mills: u64,
    parallel_type: &'static str,
    parallel_level: u64,
    device_type: &'static str,
    continuous_batching: bool,
    use_job_ticket: bool,
    use_venv: bool,
    stateful: bool,
    #[serde(rename = "sequenceMaxIdleMSec")]
    sequence_max_idle: u64,
    #[serde(rename = "sequenceTimeoutMSec")]
    sequence_timeout: u64,
    max_num_sequence: u64,
    max_sequence_job_queue_size: u64,
    loaded_at_startup: bool,
    workers: Vec<WorkerDescription>,
    job_queue_status: Queue,
    /// What TorchServe leaves to handlers; only where it is asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<Metadata>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct WorkerDescription {
    id: String,
    start_time: String,
    status: &'static str,
    memory_usage: u64,
    pid: u32,
    gpu: bool,
    gpu_usage: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Queue {
    remaining_capacity: usize,
    pending_requests: usize,
}

#[derive(Serialize)]
struct Metadata {
    classes: Vec<String>,
    default: bool,
    traffic: Traffic,
}

/// Describes a version.
pub(super) fn of(model: &LoadedModel, versions: &Versions, limits: &RequestLimits, customized: bool) -> Description {
    let queue_len_max = model.batch().queue_len_max * model.workers();
    let pending_requests = model.under_way();
    let worker = |number: usize| WorkerDescription {
        id: (9_000 + number).to_string(),
        start_time: format!("{:.3}", model.origin().loaded_at),
        status: if model.healthy() { "READY" } else { "UNHEALTHY" },
        memory_usage: 0,
        pid: std::process::id(),
        gpu: false,
        gpu_usage: "N/A",
    };
    Description {
        model_name: model.name().to_owned(),
        model_version: model.version().to_string(),
        model_url: model.origin().url.clone(),
        runtime: "onnxruntime",
        min_workers: model.workers(),
        max_workers: model.workers(),
        batch_size: model.batch().batch_size_max,
        max_batch_delay: model.batch().batch_delay_max.as_millis(),
        response_timeout: model.response_timeout().unwrap_or(limits.response_timeout).as_secs(),
        startup_timeout: 120,
        max_retry_timeout_in_sec: 300,
        client_timeout_in_mills: 0,
        parallel_type: "",
        parallel_level: 0,
        device_type: "cpu",
        continuous_batching: false,
        use_job_ticket: false,
        use_venv: false,
        stateful: false,
        sequence_max_idle: 0,
        sequence_timeout: 0,
        max_num_sequence: 0,
        max_sequence_job_queue_size: 0,
        loaded_at_startup: model.origin().at_startup,
        workers: (0..model.workers()).map(worker).collect(),
        job_queue_status: Queue {
            remaining_capacity: queue_len_max.saturating_sub(pending_requests),
            pending_requests,
        },
        metadata: customized.then(|| Metadata {
            classes: model.classes.names().map(str::to_owned).collect(),
            default: versions.default == model.version(),
            traffic: versions.traffic,
        }),
    }
}
