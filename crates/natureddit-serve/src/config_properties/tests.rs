//! Whole files.

use proptest::prelude::*;

use super::*;
use crate::settings::VersionSettings;
use crate::store::ModelChoice;

const FILE: &str = "/etc/ts/config.properties";

fn parse_with(text: &str, environment: &[(&str, &str)]) -> Result<ConfigProperties, PropertiesError> {
    let variable = |name: &str| {
        let found = environment.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    ConfigProperties::parse(text.as_bytes(), Path::new(FILE), &variable)
}

fn parse(text: &str) -> ConfigProperties {
    parse_with(text, &[]).unwrap()
}

fn refused(text: &str) -> String {
    parse_with(text, &[]).unwrap_err().to_string()
}

#[test]
fn what_would_break_a_line_is_told_as_it_is_written() {
    let notes = parse("a\\nb\\u001b=1").notes;
    assert_eq!(notes, [r"config.properties line 1: a\nb\u{1b} is no key of TorchServe"]);
}

#[test]
fn the_file_of_torchserves_own_image_is_read() {
    let found = parse(
        "inference_address=http://0.0.0.0:8080\nmanagement_address=http://0.0.0.0:8081\n\
         metrics_address=http://0.0.0.0:8082\nnumber_of_netty_threads=32\njob_queue_size=1000\n\
         model_store=/srv/model-server/model-store",
    );
    let expected = ConfigProperties {
        inference_address: Some(ListenAddress { address: "0.0.0.0:8080".parse().unwrap(), is_https: false }),
        management_address: Some(ListenAddress { address: "0.0.0.0:8081".parse().unwrap(), is_https: false }),
        metrics_address: Some(ListenAddress { address: "0.0.0.0:8082".parse().unwrap(), is_https: false }),
        queue_len_max: Some(1000),
        model_store: Some("/srv/model-server/model-store".into()),
        notes: vec![
            "config.properties line 4: number_of_netty_threads has no effect: there is no Java here".to_owned(),
        ],
        ..ConfigProperties::default()
    };
    assert_eq!(found, expected);
}

#[test]
fn every_key_that_is_followed_has_its_place() {
    let found = parse(
        "inference_address : https://127.0.0.1:8443\ncertificate_file = tls/c.pem\nprivate_key_file=/k.pem\n\
         model_store model-store\nload_models=a.mar, b=b.mar,c = sub/c\nbatch_size=4\nmax_batch_delay=50\n\
         response_timeout=10\ndefault_response_timeout=90\njob_queue_size=7\ndefault_workers_per_model=2\n\
         max_request_size=1000\ncors_allowed_origin=https://example.org\n\
         cors_allowed_methods=GET, POST\ncors_allowed_headers=X-A\ndisable_token_authorization=true\n\
         enable_model_api=false\nenable_metrics_api=True\nmetrics_mode=prometheus\n\
         allowed_urls=https://a.example/.*,https://b.example/\n",
    );
    let text = str::to_owned;
    let expected = ConfigProperties {
        inference_address: Some(ListenAddress { address: "127.0.0.1:8443".parse().unwrap(), is_https: true }),
        certificate: Some(CertificateFiles { certificate: "/etc/ts/tls/c.pem".into(), key: "/k.pem".into() }),
        model_store: Some("/etc/ts/model-store".into()),
        load_models: Some(LoadModels::These(vec![
            NamedModel::Stored(text("a.mar")),
            NamedModel::Path(text("b"), text("b.mar")),
            NamedModel::Path(text("c"), text("sub/c")),
        ])),
        batch_size: Some(4),
        batch_delay_max: Some(Duration::from_millis(50)),
        response_timeout: Some(Duration::from_secs(10)),
        queue_len_max: Some(7),
        workers_per_model: Some(2),
        request_bytes_max: Some(1000),
        cors_allowed_origin: Some(text("https://example.org")),
        cors_allowed_methods: vec![text("GET"), text("POST")],
        cors_allowed_headers: vec![text("X-A")],
        disable_token_authorization: Some(true),
        enable_model_api: Some(false),
        enable_metrics_api: Some(true),
        metrics_mode: Some(MetricsMode::Prometheus),
        allowed_urls: Some(AllowedUrls::new([text("https://a.example/.*"), text("https://b.example/")]).unwrap()),
        ..ConfigProperties::default()
    };
    assert_eq!(found, expected);
    assert_eq!(parse("default_response_timeout=90").response_timeout, Some(Duration::from_secs(90)));
}

/// A value for each key, so that none of the list is taken for an unknown one.
#[test]
fn no_known_key_is_called_unknown() {
    let value = |key: &str| match key {
        "cors_allowed_origin" => "*".to_owned(),
        key if key.ends_with("_address") => "http://127.0.0.1:1".to_owned(),
        "models" => "{}".to_owned(),
        "metrics_mode" => "log".to_owned(),
        key if key.starts_with("enable") || key.starts_with("disable") || key.starts_with("use") => "true".to_owned(),
        _ => "5".to_owned(),
    };
    let followed = keys::FOLLOWED.into_iter().chain(["enable_envvars_config", "use_env_allowed_urls"]);
    let text: String = followed.map(|key| format!("{key}={}\n", value(key))).collect();
    assert_eq!(parse(&text).notes, [""; 0]);
    for (key, why) in keys::WITHOUT_EFFECT {
        let notes = parse(&format!("{key}=5")).notes;
        assert_eq!(notes, [format!("config.properties line 1: {key} has no effect: {why}")]);
    }
}

#[test]
fn the_models_to_load_become_choices() {
    let choices =
        |value: &str| parse(&format!("load_models={value}")).load_models.unwrap().choices(Path::new("/store"));
    assert_eq!(choices("ALL"), Some(Vec::new()));
    for none in ["none", "standalone", "", " , "] {
        assert_eq!(choices(none), None, "{none:?}");
    }
    let path = |name: &str, path: &str| ModelChoice::Folder(name.to_owned(), path.into());
    assert_eq!(
        choices("naturedditTI,x.mar,b=dir/b.mar,c=/models/c,d=file:///models/d"),
        Some(vec![
            ModelChoice::Default("naturedditTI".to_owned()),
            ModelChoice::Default("x.mar".to_owned()),
            path("b", "/store/dir/b.mar"),
            path("c", "/models/c"),
            path("d", "/models/d"),
        ])
    );
    for bad in ["https://example.org/a.mar", "a=https://example.org/a.mar", "a=", "a.mar,b="] {
        assert!(refused(&format!("load_models={bad}")).contains("nothing is downloaded"), "{bad}");
    }
}

const MODELS: &str = r#"models={\
  "noop": {\
    "1.0": {\
        "defaultVersion": true,\
        "marName": "noop.mar",\
        "minWorkers": 1,\
        "maxWorkers": 2,\
        "batchSize": "4",\
        "maxBatchDelay": 100,\
        "responseTimeout": 120\
    },\
    "2": { "parallelType": "tp" }\
  }\
}"#;

#[test]
fn models_are_set_one_by_one() {
    let found = parse(MODELS);
    let first = VersionSettings {
        is_default: true,
        batch_size_max: Some(4),
        batch_delay_max: Some(Duration::from_millis(100)),
        response_timeout: Some(Duration::from_secs(120)),
        workers: Some(1),
    };
    assert_eq!(found.models["noop"], BTreeMap::from([(1, first), (2, VersionSettings::default())]));
    let no_effect = [
        "noop 1.0: marName has no effect: load_models names files",
        "noop 1.0: maxWorkers has no effect: workers are those of minWorkers until a model is scaled",
        "noop 2: parallelType has no effect here",
    ];
    assert_eq!(found.notes, no_effect.map(|note| format!("config.properties line 1: models: {note}")));
    assert_eq!(parse(&MODELS.replace("\"maxWorkers\": 2", "\"maxWorkers\": 1")).notes.len(), 2);
    for (change, why) in [
        (("\"4\"", "0"), "models: noop 1.0 batchSize is \"0\" and must be a whole number from 1 to 1024"),
        (("100", "-1"), "models: noop 1.0 maxBatchDelay is \"-1\" and must be"),
        (
            ("\"maxWorkers\": 2", "\"maxWorkers\": 0"),
            "models: noop 1.0 maxWorkers is \"0\" and must be at least minWorkers, 1",
        ),
        (
            ("\"parallelType\": \"tp\"", "\"defaultVersion\": true"),
            "models: noop 2 defaultVersion is \"true\" and must be that of one version alone",
        ),
        (("true", "3"), "models: noop 1.0 defaultVersion is \"3\" and must be true or false"),
        (("\"1.0\"", "\"1.5\""), "models: version of noop is \"1.5\" and must be a whole number"),
        (("\"noop\": {", "\"noop\": 7, \"x\": {"), "must be a JSON object by model and version"),
        (("\"noop\": {", "\"noop\": {,"), "must be a JSON object by model and version"),
    ] {
        let text = format!("# comment\n{}", MODELS.replace(change.0, change.1));
        let error = refused(&text);
        assert!(error.starts_with("config.properties line 2: models") && error.contains(why), "{error}");
    }
}

#[test]
fn an_allowed_address_is_an_expression_or_a_start_and_files_are_left_out() {
    let found = parse("allowed_urls=file:///models/.*,https://a.example/");
    assert_eq!(found.allowed_urls.unwrap().words(), ["https://a.example/"]);
    let note = "allowed_urls: file:///models/.* has no effect: files are taken from the model store";
    assert_eq!(found.notes, [format!("config.properties line 1: {note}")]);
    let both = parse("allowed_urls=file://.*|http(s)?://.*");
    assert_eq!(
        (both.allowed_urls.unwrap().words(), both.notes.len()),
        (&["file://.*|http(s)?://.*".to_owned()][..], 0)
    );
    let error = refused("allowed_urls=https://a.example/.*,(");
    assert!(
        error.starts_with("config.properties line 1: allowed_urls is ") && error.contains("\"(\" is neither"),
        "{error}"
    );
}

#[test]
fn what_is_unknown_is_noted_with_the_key_that_was_meant() {
    let found = parse("\nbatch_sise=4\ncolour=red\nbatch_size=1\nbatch_size=2\ncors_allowed_methods=GET\n");
    assert_eq!(found.batch_size, Some(2));
    assert_eq!(
        found.notes,
        [
            "config.properties line 4: batch_size is set again on line 5, which holds",
            "config.properties line 2: batch_sise is no key of TorchServe; batch_size is one",
            "config.properties line 3: colour is no key of TorchServe",
            "config.properties line 6: cors_allowed_methods has no effect without cors_allowed_origin",
        ]
    );
}

#[test]
fn what_cannot_be_followed_is_refused_with_its_line() {
    assert_eq!(
        refused("# x\nbatch_size=0"),
        "config.properties line 2: batch_size is \"0\" and must be a whole number from 1 to 1024"
    );
    assert_eq!(refused("a=1\nb=\\u12"), "config.properties line 2: a \\u escape has four hexadecimal digits");
    assert_eq!(
        refused("keystore=k.p12"),
        "config.properties line 1: keystore is a key store of Java, which is not read here"
    );
    assert_eq!(
        refused("certificate_file=c.pem"),
        "config.properties line 1: certificate_file is set without private_key_file"
    );
    assert_eq!(
        refused("private_key_file=k.pem"),
        "config.properties line 1: private_key_file is set without certificate_file"
    );
    assert_eq!(
        refused("cors_allowed_origin=https://example.org/"),
        "config.properties line 1: cors_allowed_origin is \"https://example.org/\" and must be \"*\" or scheme://host[:port], \
         spelled as browsers do: \"https://example.org\""
    );
    for bad in ["metrics_mode=x", "response_timeout=0", "max_batch_delay=60001", "job_queue_size=", "model_store="] {
        assert!(refused(bad).starts_with("config.properties line 1: "), "{bad}");
    }
}

#[test]
fn the_environment_is_asked_only_where_the_file_allows_it() {
    let environment = [("TS_BATCH_SIZE", "9"), ("TS_JOB_QUEUE_SIZE", "9"), ("TS_ALLOWED_URLS", "x"), ("STORE", "/s")];
    let of = |text: &str| parse_with(text, &environment).unwrap();
    assert_eq!(of("job_queue_size=5").queue_len_max, Some(5));
    assert_eq!(of("enable_envvars_config=false\njob_queue_size=5").queue_len_max, Some(5));
    let allowed = of("job_queue_size=5\nenable_envvars_config=true");
    assert_eq!((allowed.queue_len_max, allowed.batch_size, allowed.allowed_urls), (Some(9), None, None));
    let urls = of("enable_envvars_config=true\nuse_env_allowed_urls=true").allowed_urls;
    assert_eq!(urls.unwrap().words(), ["x"]);

    assert_eq!(of("model_store=$$STORE$$/models").model_store, Some("/s/models".into()));
    assert_eq!(of("cors_allowed_headers=a$$b").cors_allowed_headers, ["a$$b"]);
    let unset = parse_with("model_store=$$HOME_OF$$/models", &[]).unwrap_err().to_string();
    assert_eq!(unset, "config.properties line 1: model_store names the environment variable HOME_OF, which is not set");
    let secret = parse_with("batch_size=$$SECRET$$", &[("SECRET", "hunter2")]).unwrap_err().to_string();
    assert!(secret.contains("$$SECRET$$") && !secret.contains("hunter2"), "{secret}");
    let variable = parse_with("enable_envvars_config=true", &[("TS_JOB_QUEUE_SIZE", "0")]).unwrap_err().to_string();
    assert!(variable.starts_with("$TS_JOB_QUEUE_SIZE: job_queue_size is \"0\""), "{variable}");
}

#[test]
fn a_file_that_is_not_there_or_too_large_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("config.properties");
    let read = || ConfigProperties::read(&file, &|_| None);
    assert!(matches!(read(), Err(PropertiesError::File(error)) if error.is_not_found()));
    fs::write_atomic(&file, "a=1\n".repeat(300_000)).unwrap();
    assert!(matches!(read(), Err(PropertiesError::File(error)) if error.is_too_large()));
}

/// Each row of the table in the documentation is a key, and each key has its row.
#[test]
fn the_documentation_has_every_key() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/interop/torchserve-config.md");
    let page = fs::read_to_string(&page).unwrap();
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `")).filter_map(|line| line.split_once("` |"));
    let mut named: Vec<&str> = rows.flat_map(|(keys, _)| keys.split("`, `")).collect();
    let known = keys::FOLLOWED.into_iter().chain(keys::ABOUT_THE_FILE);
    let mut known: Vec<&str> = known.chain(keys::WITHOUT_EFFECT.map(|(key, _)| key)).collect();
    named.sort_unstable();
    known.sort_unstable();
    assert_eq!(named, known);
}

proptest! {
    #[test]
    fn whatever_a_file_holds_it_is_followed_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let _ = ConfigProperties::parse(&bytes, Path::new(FILE), &|_| None);
    }

    #[test]
    fn nor_does_any_value_of_a_known_key_panic(
        key in proptest::sample::select(keys::FOLLOWED.to_vec()),
        value in r#"[a-z0-9=:/.,$\\"{}\[\] u-]{0,40}"#,
        variable in any::<Option<String>>(),
    ) {
        let text = format!("enable_envvars_config=true\n{key}={value}\n");
        let _ = ConfigProperties::parse(text.as_bytes(), Path::new(FILE), &|_| variable.clone());
    }

    #[test]
    fn a_number_is_taken_exactly_within_its_range(number in 0_u64..3_000) {
        let found = parse_with(&format!("batch_size={number}"), &[]);
        prop_assert_eq!(found.ok().and_then(|found| found.batch_size), BATCH_SIZE.contains(&number).then_some(number as usize));
    }
}
