//! What can be asked of the management API and what it answers, as an OpenAPI 3.0 document: `OPTIONS /` and
//! `GET /api-description`, as TorchServe has it.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Map, Value, json};

use super::Shared;
use crate::reply;

/// The document.
pub(super) async fn of_management(State(management): Shared) -> Response {
    reply::json(StatusCode::OK, &document(management.keys.is_some()))
}

/// Of a server whose clients must show a key, or need not.
fn document(needs_key: bool) -> Value {
    let mut paths = paths();
    let mut components = json!({"schemas": schemas()});
    if needs_key {
        for operation in paths.values_mut().filter_map(Value::as_object_mut).flat_map(Map::values_mut) {
            operation["security"] = json!([{"key": []}]);
            operation["responses"]["401"] = answer("No key was shown, or another", "Error");
        }
        components["securitySchemes"] = json!({"key": {"type": "http", "scheme": "bearer"}});
    }
    json!({
        "openapi": "3.0.3",
        "info": {
            "title": "NatuReddit management API",
            "description": "Registers and scales models. Paths, parameters and errors are those of TorchServe.",
            "version": env!("CARGO_PKG_VERSION"),
        },
        "paths": paths,
        "components": components,
    })
}

fn paths() -> Map<String, Value> {
    let described =
        || json!({"200": {"description": "An OpenAPI document", "content": content(&json!({"type": "object"}))}});
    let mut paths = Map::new();
    let mut add = |path: &str, operations: Value| drop(paths.insert(path.to_owned(), operations));
    add("/", json!({"options": operation("describe_management", "The description of this API", &[], described())}));
    add("/api-description", get("api_description", "The description of this API", &[], described()));
    let limit = query("limit", "Models in a page", json!({"type": "integer", "minimum": 0}));
    let page = query("next_page_token", "Where the page begins", json!({"type": "integer", "minimum": 0}));
    let listed = responses(&[("200", "Names", "Listing"), BAD_PARAMETER]);
    let mut models = get("list_models", "The models", &[limit, page], listed);
    models["post"] = register();
    add("/models", models);
    let (model, version) = (path("model", "The name of a model"), path("version", "A whole number; 3.0 is 3"));
    for (suffix, tail, parameters) in
        [("", "", vec![model.clone()]), ("_version", "/{version}", vec![model.clone(), version.clone()])]
    {
        add(&format!("/models/{{model}}{tail}"), of_model(suffix, &parameters));
    }
    let of_version = [model, version];
    let is_default = responses(&[("200", "It is", "Status"), NOT_FOUND]);
    let set_default = operation("set_default", "Makes a version the default", &of_version, is_default);
    add("/models/{model}/{version}/set-default", json!({"put": set_default}));
    let percent = |name, about| query(name, about, json!({"type": "number", "minimum": 0, "maximum": 100}));
    let mut shares = of_version.to_vec();
    shares.push(percent("canary", "Of a hundred requests that name no version this one answers so many"));
    shares.push(percent("shadow", "Of a hundred it is asked so many as well, after the answer"));
    let shared = responses(&[("200", "The shares of all versions", "Traffic"), BAD_PARAMETER, NOT_FOUND]);
    let traffic = operation("set_traffic", "Gives a version a share of the requests", &shares, shared);
    add("/models/{model}/{version}/traffic", json!({"put": traffic}));
    let kind = query("type", "Which", json!({"type": "string", "enum": ["inference", "management"]}));
    let renewed = responses(&[("200", "The key file has it", "Status"), BAD_PARAMETER, NOT_FOUND]);
    add("/token", get("renew_key", "Makes a new key, for who shows the API key", &[required(kind)], renewed));
    paths
}

/// An answer: its status, what it means and its schema.
type Meaning = (&'static str, &'static str, &'static str);

const ACCEPTED: Meaning = ("202", "It goes on while the client does something else", "Status");
const BAD_PARAMETER: Meaning = ("400", "A parameter cannot be read or met; the message says why", "Error");
const NOT_FOUND: Meaning = ("404", "There is no such model or version", "Error");
const NO_MODEL_API: Meaning = ("405", "Models are neither registered nor unregistered here", "Error");

fn register() -> Value {
    let at_least = |minimum: u32| json!({"type": "integer", "minimum": minimum});
    let text = || json!({"type": "string"});
    let parameters = [
        required(query(
            "url",
            "NAME, NAME/VERSION or NAME.mar in the model store, or an address that is allowed",
            text(),
        )),
        query("model_name", "Another name than its own", text()),
        query("batch_size", "Requests in a batch", at_least(1)),
        query("max_batch_delay", "How long a request waits for others, in ms", at_least(0)),
        query("response_timeout", "The longest an answer may take, in seconds", at_least(1)),
        query("initial_workers", "Its workers", at_least(0)),
        query(
            "synchronous",
            "Whether the client waits for the end; it does unless this says no",
            json!({"type": "boolean"}),
        ),
    ];
    let conflict = ("409", "That version, or a file of that name, is there", "Error");
    let answers = [("200", "It is", "Status"), ACCEPTED, BAD_PARAMETER, NOT_FOUND, NO_MODEL_API, conflict];
    operation("register_model", "Registers a model", &parameters, responses(&answers))
}

/// What can be done with a model, or with one of its versions.
fn of_model(suffix: &str, parameters: &[Value]) -> Value {
    let with = |more: &[Value]| [parameters, more].concat();
    let id = |name: &str| format!("{name}{suffix}");
    let customized = query("customized", "With classes and shares of the traffic", json!({"type": "boolean"}));
    let described = responses(&[("200", "Each version that is asked for", "Descriptions"), BAD_PARAMETER, NOT_FOUND]);
    let mut operations = get(&id("describe_model"), "Describes a model", &with(&[customized]), described);
    let workers = || json!({"type": "integer", "minimum": 0});
    let mut scaling = vec![
        query("min_worker", "How many it shall have", workers()),
        query("max_worker", "No less than min_worker", workers()),
        query("synchronous", "Whether the client waits for the end", json!({"type": "boolean"})),
    ];
    if suffix.is_empty() {
        scaling.push(query("model_version", "The version, where it is not the default", json!({"type": "string"})));
    }
    let scaled = responses(&[("200", "It has them", "Status"), ACCEPTED, BAD_PARAMETER, NOT_FOUND]);
    operations["put"] = operation(&id("scale_model"), "Gives a model workers", &with(&scaling), scaled);
    let is_default = ("403", "It is the default beside others", "Error");
    let gone = responses(&[("200", "It is gone", "Status"), is_default, NOT_FOUND, NO_MODEL_API]);
    operations["delete"] = operation(&id("unregister_model"), "Unregisters a model", parameters, gone);
    operations
}

fn operation(id: &str, summary: &str, parameters: &[Value], mut responses: Value) -> Value {
    responses["500"] = answer("The server has a fault", "Error");
    json!({"operationId": id, "summary": summary, "parameters": parameters, "responses": responses})
}

/// A `GET`, and the `HEAD` that goes with it.
fn get(id: &str, summary: &str, parameters: &[Value], responses: Value) -> Value {
    let mut head = operation(&format!("{id}_head"), summary, parameters, responses.clone());
    for response in head["responses"].as_object_mut().into_iter().flat_map(Map::values_mut) {
        *response = json!({"description": response["description"]});
    }
    json!({"get": operation(id, summary, parameters, responses), "head": head})
}

fn responses(meanings: &[Meaning]) -> Value {
    meanings.iter().map(|(status, about, schema)| ((*status).to_owned(), answer(about, schema))).collect()
}

fn answer(description: &str, schema: &str) -> Value {
    json!({"description": description, "content": content(&json!({"$ref": format!("#/components/schemas/{schema}")}))})
}

fn content(schema: &Value) -> Value {
    json!({"application/json": {"schema": schema}})
}

fn path(name: &str, description: &str) -> Value {
    let schema = json!({"type": "string"});
    json!({"name": name, "in": "path", "required": true, "description": description, "schema": schema})
}

fn query(name: &str, description: &str, schema: Value) -> Value {
    json!({"name": name, "in": "query", "required": false, "description": description, "schema": schema})
}

fn required(mut parameter: Value) -> Value {
    parameter["required"] = json!(true);
    parameter
}

fn schemas() -> Value {
    let (text, integer) = (|| json!({"type": "string"}), || json!({"type": "integer"}));
    let listed = object(&json!({"modelName": text(), "modelUrl": text()}));
    let share = object(&json!({"version": integer(), "percent": {"type": "number"}}));
    let description = json!({
        "type": "object",
        "required": ["modelName", "modelVersion", "modelUrl", "minWorkers", "maxWorkers", "batchSize", "maxBatchDelay",
                     "responseTimeout", "loadedAtStartup", "workers", "jobQueueStatus"],
        "properties": {
            "modelName": text(), "modelVersion": text(), "modelUrl": text(),
            "minWorkers": integer(), "maxWorkers": integer(), "batchSize": integer(), "maxBatchDelay": integer(),
            "responseTimeout": integer(), "loadedAtStartup": {"type": "boolean"},
            "workers": {"type": "array", "items": object(&json!({"id": text(), "startTime": text(), "status": text()}))},
            "jobQueueStatus": object(&json!({"remainingCapacity": integer(), "pendingRequests": integer()})),
            "metadata": {"type": "object", "description": "Only with `customized`"},
        },
    });
    json!({
        "Error": object(&json!({"code": integer(), "type": text(), "message": text()})),
        "Status": object(&json!({"status": text()})),
        "Listing": {
            "type": "object",
            "required": ["models"],
            "properties": {"nextPageToken": text(), "models": {"type": "array", "items": listed}},
        },
        "Descriptions": {"type": "array", "items": description},
        "Traffic": {"type": "object", "properties": {"canary": share, "shadow": share}, "additionalProperties": false},
    })
}

/// An object that always has all of these.
fn object(properties: &Value) -> Value {
    let names: Vec<&String> = properties.as_object().map(|properties| properties.keys().collect()).unwrap_or_default();
    json!({"type": "object", "required": names, "properties": properties})
}
