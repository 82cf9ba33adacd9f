use std::path::Path;

use proptest::prelude::*;
use toml::{Table, Value};

use super::*;

fn environment() -> Environment {
    Environment {
        cache_home: Some("/users/a/.cache".into()),
        data_home: Some("/users/a/data".into()),
        config_home: None,
        log_filter: None,
        log_format: None,
        reddit_client_id: None,
        reddit_client_secret: None,
        aws: None,
        aws_files: AwsProfiles::default(),
        metadata_url: None,
        metadata_password: None,
        dvc_token: None,
        torchserve_config: None,
        mlflow: MlflowEnvironment::default(),
        otlp_headers: None,
        of_children: Vec::new(),
    }
}

fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::parse(FILE_NAME.into(), text, Path::new("/project"), &environment())
}

fn error(text: &str) -> String {
    parse(text).unwrap_err().to_string()
}

/// Every key of the example with its table, in order; tables themselves are keys too.
fn keys(path: &str, table: &Table) -> Vec<(String, String, Value)> {
    let mut found = Vec::new();
    for (name, value) in table {
        found.push((path.to_owned(), name.clone(), value.clone()));
        if let Value::Table(below) = value {
            found.extend(keys(&document::join(path, name), below));
        }
    }
    found
}

fn all_keys() -> Vec<(String, String, Value)> {
    keys("", &example().unwrap())
}

/// A file that sets one key: two comment lines, so that the key is on line 4 (or 3 at the top), then the key.
fn file_with(table: &str, key: &str, value: &str) -> (String, usize) {
    if table.is_empty() {
        (format!("# one\n# two\n{key} = {value}\n"), 3)
    } else {
        (format!("# one\n# two\n[{table}]\n{key} = {value}\n"), 4)
    }
}

#[test]
fn the_example_the_commented_example_and_an_empty_file_are_the_same_settings() {
    let without_keys = |text| {
        let config = parse(text).unwrap();
        format!("{:?}", Config { keys_set: Vec::new(), ..config })
    };
    let defaults = format!("{:?}", Config::defaults(Path::new("/project"), &environment()).unwrap());
    assert_eq!(without_keys(EXAMPLE), defaults);
    assert_eq!(without_keys(&commented_example()), defaults);
    assert_eq!(parse(&commented_example()).unwrap().keys_set, Vec::<String>::new());
}

#[test]
fn every_key_of_the_example_has_a_comment_above_it() {
    let lines: Vec<&str> = EXAMPLE.lines().collect();
    let mut keys_seen = 0;
    for (above, line) in lines.iter().zip(&lines[1..]) {
        if line.contains(" = ") && !line.starts_with('#') {
            assert!(above.starts_with("# "), "no comment above {line}");
            keys_seen += 1;
        }
    }
    assert_eq!(keys_seen, all_keys().iter().filter(|(_, _, value)| !value.is_table()).count());
}

#[test]
fn the_users_file_lies_over_the_defaults() {
    let config = parse("collect.subreddits = [\"pics\"]\n[trainer]\nlearning_rate = 1\n").unwrap();
    assert_eq!(config.collect.subreddits, ["pics"]);
    assert!((config.trainer.learning_rate - 1.0).abs() < f64::EPSILON);
    assert_eq!(config.trainer.epochs_max, 200);
    assert_eq!(config.keys_set, ["collect.subreddits", "trainer.learning_rate"]);
    assert!(config.collect.user_agent.starts_with(concat!("natureddit/", env!("CARGO_PKG_VERSION"), " ")));
}

#[test]
fn a_subreddit_in_two_spellings_is_one() {
    let told = error("[collect]\nsubreddits = [\"flowers\", \"EarthPorn\", \"Flowers\"]\n");
    assert!(told.ends_with("must be names that differ by more than upper and lower case"), "{told}");
}

#[test]
fn paths_start_at_the_project_and_empty_ones_at_the_users_folders() {
    let config = parse("[project]\ndata_dir = \"/big/data\"\n").unwrap();
    assert_eq!(config.project.data_dir, Path::new("/big/data"));
    assert_eq!(config.project.models_dir, Path::new("/project/models"));
    assert_eq!(config.assets.cache_dir, Path::new("/users/a/.cache/natureddit"));
    assert_eq!((config.assets.folder, config.sandbox.photos), (None, None));
    assert_eq!(parse("sandbox.photos = \"p\"\n").unwrap().sandbox.photos, Some("/project/p".into()));
    assert_eq!(
        config.serve.tls,
        TlsConfig::SelfSigned { dir: "/users/a/data/natureddit/tls".into(), names: Vec::new() }
    );
}

#[test]
fn traces_go_to_the_usual_path_of_a_collector_with_headers_of_the_environment() {
    let traces = |text: &str, headers: &str| {
        let environment =
            Environment { otlp_headers: Some(natureddit_core::Secret::new(headers.into())), ..environment() };
        let config = Config::parse(FILE_NAME.into(), text, Path::new("/project"), &environment);
        config.map(|config| config.serve.traces)
    };
    assert!(traces("", "a=b").unwrap().is_none(), "the environment alone sends nothing");
    for (endpoint, meant) in [
        ("http://127.0.0.1:4318", "http://127.0.0.1:4318/v1/traces"),
        ("https://c.example/otlp/v1/traces", "https://c.example/otlp/v1/traces"),
    ] {
        let found = traces(&format!("[serve.traces]\nendpoint = \"{endpoint}\""), "x-key=hidden").unwrap().unwrap();
        assert_eq!((found.endpoint.as_str(), found.headers[0].1.expose()), (meant, "hidden"));
        assert!(!format!("{found:?}").contains("hidden"));
    }
    let refused = traces("[serve.traces]\nendpoint = \"http://a\"", "hidden").unwrap_err().to_string();
    assert!(refused.contains("OTEL_EXPORTER_OTLP_HEADERS in the environment must be") && !refused.contains("hidden"));
}

#[test]
fn without_a_home_folder_the_key_to_set_is_named() {
    let nobody = Environment { cache_home: None, data_home: None, ..environment() };
    let error = Config::defaults(Path::new("/project"), &nobody).unwrap_err();
    assert_eq!(error.hint().unwrap(), "set HOME, or assets.cache_dir in natureddit.toml");
}

#[test]
fn the_error_nearest_to_the_top_is_told() {
    let text = "[trainer]\nepochs = 1\n[collect]\npage_sise = 3\n";
    assert_eq!(error(text), "unknown key \"trainer.epochs\" in natureddit.toml line 2");
}

#[test]
fn what_is_not_toml_is_told_with_its_line() {
    let told = error("[collect]\nsource = \"pushshift\n");
    assert!(told.starts_with("natureddit.toml line 2: "), "{told}");
    let told = error("[sandbox]\nport = 99999999999999999999\n");
    assert!(told.starts_with("natureddit.toml line 2: "), "{told}");
}

#[test]
fn keys_that_must_agree_are_compared() {
    let cases = [
        ("[collect]\nsince = \"2021-02-01\"\nuntil = \"2021-01-01\"", "line 3: must be later than collect.since"),
        ("[collect]\nimage_bytes_min = 60_000_000", "line 2: must be from 0 to 50000000"),
        ("[net]\nbackoff = \"2m\"", "backoff_max = \"60s\" in natureddit.toml: must be a duration"),
        ("[collect]\nplaceholder_sha256 = [\"d8358843\"]", "line 2: must be SHA-256 hashes of files"),
        ("[net]\napi_requests_per_second = 0", "= 0.0 in natureddit.toml line 2: must be from 0.001 to 1000"),
        ("[serve.traces]\nendpoint = \"localhost:4318\"", "line 2: must be an address such as"),
        ("[serve.traces]\nendpoint = \"http://a:b@c/\"", "line 2: must be without a user or password: what"),
        ("[serve.traces]\nservice_name = \"\"", "line 2: must be a name of 1 to 255 bytes"),
        ("[serve.tls]\ncert_file = \"a.pem\"", "line 2: must be set together with serve.tls.key_file"),
        ("[serve]\ncompat = \"torchserve\"", "line 2: must be \"own\" or \"strict\""),
        ("[serve]\nallowed_urls = [\"(\"]", "line 2: must be an http or https address that ends in"),
        (
            "[serve.cors]\nallowed_origin = \"https://example.org/\"",
            "line 2: must be empty, \"*\" or scheme://host[:port], spelled as browsers do: \"https://example.org\"",
        ),
        ("[serve]\ninstances_max = 1_025", "line 2: must be from 1 to 1024"),
        ("[serve]\nbodies_bytes_max = 1_000", "line 2: must be from 25000000 to "),
        ("[trainer]\ntune = \"all\"", "line 2: must be \"head\", unless model.precision = \"fp32\""),
        ("[trainer]\nimage_dropout = 0.8", "line 2: must be so that it and trainer.text_dropout = 0.15"),
        ("[tuner]\nmethod = \"grid\"", "trials_max = 16 in natureddit.toml: must be at least 325, which is"),
        ("[tuner.search]\nlearning_rate = [0.1, 2]", "learning_rate = 2.0 in natureddit.toml line 2: must be from"),
        (
            "[tuner.search]\nimage_dropout = [0.3, 0.8]\ntext_dropout = [0.1, 0.2]",
            "image_dropout = 0.8 in natureddit.toml line 2: must be so that it and the largest text_dropout 0.2",
        ),
        (
            "[tuner.search]\nimage_dropout = []\ntext_dropout = [0.8]",
            "text_dropout = 0.8 in natureddit.toml line 3: must be so that it and the largest image_dropout",
        ),
        ("[project]\nclasses = [\"a\"]", "needs at least two classes"),
        ("[net.host_map]\n\"http://x\" = \"http://y\"", "line 2: must be set for a host name"),
        ("[net.host_map]\n\"i.redd.it\" = \"y\"", "line 2: must be an address"),
        ("[model]\nimage_encoder = \"lite\"", "\"efficientnet_lite2\"; or \"owner/name\" of"),
        ("[model]\ntext_encoder = \"efficientnet_lite0\"", "line 2: must be \"all-MiniLM-L6-v2\""),
        ("[model]\nimage_encoder = \"random:resnet-19\"", "line 2: must be \"random:resnet-18\" or"),
        ("[model]\ntext_encoder = \"a/b?pooling=max\"", "line 2: must be without the option"),
        ("[encoders.c]\nsise = 224", "unknown key \"encoders.c.sise\" in natureddit.toml line 2"),
        ("[encoders]\nc = 1", "encoders.c in natureddit.toml line 2 must be a table"),
        ("[encoders.c]\nsize = \"224\"", "encoders.c.size in natureddit.toml line 2 must be an integer"),
        (
            "[encoders.c]\nfile = \"c.onnx\"\nsize = 2000\n[model]\nimage_encoder = \"c\"",
            "encoders.c.size = 2000 in natureddit.toml line 3: must be from 1 to 1024",
        ),
        (
            "[encoders.c]\nfile = \"c.onnx\"\nsize = 8\nstd = [58.4, 57.1, 57.4]\n[model]\nimage_encoder = \"c\"",
            "line 4: must be three shares of 255",
        ),
        (
            "[encoders.c]\nfile = \"c.onnx\"\n[model]\ntext_encoder = \"c\"",
            "encoders.c.tokenizer = \"\" in natureddit.toml: must be a path",
        ),
        // Also of an encoder that nobody names.
        ("[encoders.c]\nsize = 224", "encoders.c.file = \"\" in natureddit.toml: must be a path"),
        ("[encoders.c]\nfile = \"c.onnx\"", "encoders.c.size = 0 in natureddit.toml: must be from 1 to 1024"),
        ("[encoders.c]\nfile = \"c.onnx\"\ntokenizer = \"t\"\ntokens_max = 4", "line 4: must be from 8 to 512"),
        (
            "[encoders.c]\nfile = \"c.onnx\"\nsize = 8\ntokens_max = 9\n[model]\nimage_encoder = \"c\"",
            "encoders.c.tokens_max = 9 in natureddit.toml line 4: must be left out, for this is an encoder of photos",
        ),
        (
            "[encoders.\"c.d\"]\nfile = \"c.onnx\"\ntokenizer = \"t\"\nmean = [0.5, 0.5, 0.5]",
            "encoders.c.d.mean = [0.5, 0.5, 0.5] in natureddit.toml line 4: must be left out, for this is an encoder of titles",
        ),
    ];
    cases.map(|(text, part)| (error(text), part)).iter().for_each(|(told, part)| {
        assert!(told.contains(part), "{told:?} lacks {part:?}");
    });
}

#[test]
fn an_encoder_has_a_name_a_place_or_a_table_of_its_own() {
    let model = parse("[model]\nimage_encoder = \"./resnet\"\ntext_encoder = \"prajjwal1/bert-tiny?pooling=cls\"")
        .unwrap()
        .model;
    match (model.image_encoder, model.text_encoder) {
        (ImageEncoderConfig::Spec(image), TextEncoderConfig::Spec(text)) => {
            assert_eq!(image.source, natureddit_model::EncoderSource::Folder("/project/./resnet".into()));
            assert_eq!(text.pooling, natureddit_model::TextPooling::Cls);
        }
        others => panic!("{others:?}"),
    }
    let text = "[encoders.clip]\nfile = \"clip.onnx\"\nsize = 224\nshort_side = 224\nfilter = \"bicubic\"\nmean = [0, 0.5, 1]\n\
                [encoders.words]\nfile = \"/w.onnx\"\ntokenizer = \"t.json\"\noutput = \"o\"\n\
                [model]\nimage_encoder = \"clip\"\ntext_encoder = \"words\"";
    let model = parse(text).unwrap().model;
    assert_eq!((model.tables.image.len(), model.tables.text.len()), (1, 1));
    let unnamed = parse(text.split("[model]").next().unwrap()).unwrap().model.tables;
    assert_eq!((unnamed.image[0].name.as_str(), unnamed.text[0].name.as_str()), ("clip", "words"));
    match (model.image_encoder, model.text_encoder) {
        (ImageEncoderConfig::Onnx(image), TextEncoderConfig::Onnx(text)) => {
            assert_eq!(
                (image.file.as_path(), image.output, image.features),
                (Path::new("/project/clip.onnx"), None, None)
            );
            assert_eq!((image.preprocess.size, image.preprocess.short_side), (224, Some(224)));
            assert_eq!(image.preprocess.mean.values(), [0.0, 127.5, 255.0]);
            assert_eq!((text.file.as_path(), text.ids.as_str(), text.kinds), (Path::new("/w.onnx"), "input_ids", None));
        }
        others => panic!("{others:?}"),
    }
}

#[test]
fn a_threshold_that_no_model_misses_asks_for_nothing() {
    let evaluator = parse("").unwrap().evaluator;
    let none = [evaluator.macro_f1_min, evaluator.accuracy_min, evaluator.recall_min, evaluator.ece_max];
    assert_eq!(none, [None; 4]);
    assert_eq!((evaluator.slice_macro_f1_min, evaluator.slice_accuracy_min), (None, None));
    let set = parse("[evaluator]\nmacro_f1_min = 0.8\nece_max = 0.1\nslice_accuracy_min = 0.5\n").unwrap().evaluator;
    assert_eq!((set.macro_f1_min, set.ece_max, set.slice_accuracy_min), (Some(0.8), Some(0.1), Some(0.5)));
}

#[test]
fn a_certificates_names_are_hosts() {
    for good in ["model.example", "192.168.1.2", "::1"] {
        assert!(parse(&format!("serve.tls.names = [{good:?}]")).is_ok(), "{good}");
    }
    for bad in ["", "https://model.example", "model.example:8080", "two words"] {
        let told = error(&format!("serve.tls.names = [{bad:?}]"));
        assert!(told.contains("must be host names and IP addresses"), "{told}");
    }
}

#[test]
fn every_number_has_a_range_that_is_told_with_key_value_and_line() {
    for (table, name, value) in all_keys() {
        let out = match value {
            Value::Integer(_) => "-1",
            Value::Float(_) => "-0.5",
            _ => continue,
        };
        let (text, line) = file_with(&table, &name, out);
        let told = error(&text);
        let start = format!("{table}.{name} = {out} in natureddit.toml line {line}: must be ");
        assert!(told.starts_with(&start), "{told:?} does not start with {start:?}");
        assert!(error(&text.replace(out, "nan")).contains("must be"), "{table}.{name} takes nan");
    }
}

#[test]
fn a_list_that_is_empty_by_default_takes_what_its_setting_holds() {
    let search = parse("[tuner.search]\nlabel_smoothing = [0, 0.1]\n").unwrap().tuner.search;
    assert_eq!(search.label_smoothing, [0.0, 0.1]);
    let told = error("[tuner.search]\nlabel_smoothing = [\"a\"]\n");
    assert!(told.contains("line 2 must be an array of numbers"), "{told}");
    let told = error("[tuner.search]\nlabel_smoothing = [2]\n");
    assert!(told.contains("label_smoothing = 2.0 in natureddit.toml line 2: must be from"), "{told}");
    assert!(parse("collect.placeholder_sha256 = []\n").is_ok());
    let told = error("[collect]\nplaceholder_sha256 = [1]\n");
    assert!(told.contains("line 2 must be an array of strings"), "{told}");
}

#[test]
fn every_key_refuses_every_other_type() {
    for (table, name, value) in all_keys() {
        for other in ["\"x\"", "1", "0.5", "true", "2021-01-01", "[\"x\"]", "[1]", "{ x = 1 }"] {
            let (text, line) = file_with(&table, &name, other);
            let is_of_numbers = value.as_array().and_then(|items| items.first()).is_some_and(|item| !item.is_str())
                || (table.as_str(), name.as_str()) == ("tuner.search", "label_smoothing");
            let list = if is_of_numbers { "[1]" } else { "[\"x\"]" };
            let fits = matches!(
                (&value, other),
                (Value::String(_), "\"x\"")
                    | (Value::Integer(_) | Value::Float(_), "1")
                    | (Value::Float(_), "0.5")
                    | (Value::Boolean(_), "true")
                    | (Value::Table(_), "{ x = 1 }")
            ) || (value.is_array() && other == list);
            if fits {
                continue;
            }
            let told = error(&text);
            let key = document::join(&table, &name);
            let start = format!("{key} in natureddit.toml line {line} must be ");
            assert!(told.starts_with(&start), "{text:?}: {told:?} does not start with {start:?}");
        }
    }
}

#[test]
fn every_text_that_means_something_refuses_another() {
    // Any text is a path, and a command may be called anything.
    const FREE: [&str; 5] = ["environment", "file", "folder", "photos", "python"];
    let free = |name: &str| name.ends_with("dir") || name.ends_with("_root") || FREE.contains(&name);
    for (table, name, value) in all_keys() {
        if value.is_str() && !free(&name) {
            let (text, line) = file_with(&table, &name, "\"\\u001b !\"");
            let told = error(&text);
            let start = format!("{table}.{name} = \"\\u{{1b}} !\" in natureddit.toml line {line}: must be ");
            assert!(told.starts_with(&start) || name.ends_with("_file"), "{told:?} does not start with {start:?}");
        }
    }
}

#[test]
fn a_table_that_stands_twice_comes_with_what_to_do() {
    let error = parse("[collect]\npage_size = 100\n[collect]\nsince = \"2022-05-01\"").unwrap_err();
    assert_eq!(error.to_string(), "natureddit.toml line 3: duplicate key");
    assert!(error.hint().unwrap().starts_with("a key or a [table] stands once"));
}

#[test]
fn a_wrong_type_comes_with_an_example() {
    let error = parse("[collect]\npage_size = \"100\"").unwrap_err();
    assert_eq!(error.to_string(), "collect.page_size in natureddit.toml line 2 must be an integer, not a string");
    assert_eq!(error.hint().unwrap(), "for example: page_size = 100");
}

proptest! {
    #[test]
    fn a_key_with_one_wrong_letter_is_told_with_the_right_one(
        key in prop::sample::select(all_keys()),
        at in any::<prop::sample::Index>(),
        letter in "[a-z_]",
    ) {
        let (table, name, value) = key;
        let at = at.index(name.len());
        let mut typo = name.clone();
        typo.replace_range(at..=at, &letter);
        let siblings: Vec<_> = all_keys().into_iter().filter(|(t, _, _)| *t == table).map(|(_, n, _)| n).collect();
        let differs_in_one = |sibling: &&String| {
            sibling.len() == typo.len() && sibling.bytes().zip(typo.bytes()).filter(|(a, b)| a != b).count() <= 1
        };
        // `image_bytes_man` is as near to `min` as to `max`.
        prop_assume!(siblings.iter().filter(differs_in_one).count() == 1 && !siblings.contains(&typo));

        let (text, line) = file_with(&table, &typo, &if value.is_table() { "{}".into() } else { value.to_string() });
        let error = parse(&text).unwrap_err();
        let typo = document::join(&table, &typo);
        prop_assert_eq!(error.to_string(), format!("unknown key \"{typo}\" in natureddit.toml line {line}"));
        let right = document::join(&table, &name);
        prop_assert_eq!(error.hint().unwrap(), format!("did you mean \"{right}\"?"));
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in "[\\[\\]a-z_.= \"0-9\\n#{}-]{0,80}") {
        let _ = parse(&text);
    }
}

#[test]
fn classes_that_differ_by_case_alone_are_refused() {
    let told = error("[project]\nclasses = [\"Fauna\", \"flora\", \"fauna\"]\n");
    assert!(told.contains("project.classes") && told.ends_with("\"fauna\" is given twice, but for its case"), "{told}");
}

#[test]
fn folders_that_would_mix_are_refused() {
    let clash = |text: &str| parse(&format!("[project]\n{text}\n")).err().map(|error| error.to_string());
    let told = clash("pipeline_root = \"data\"").unwrap();
    assert!(told.ends_with("must be another folder than project.pipeline_root"), "{told}");
    let told = clash("labels_dir = \"models/labels\"").unwrap();
    assert!(told.contains("project.labels_dir") && told.ends_with("outside of project.models_dir"), "{told}");
    let told = clash("models_dir = \"./pipeline/../pipeline/models\"").unwrap();
    assert!(told.ends_with("outside of project.pipeline_root"), "{told}");
    // What only a person writes into may hold others.
    assert_eq!(clash("data_dir = \".\"\nlabels_dir = \"./labels\""), None);
}
