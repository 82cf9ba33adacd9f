//! What is answered to good and to bad requests.

use natureddit_serve::LoadedModel;
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::multipart::{Form, Part};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::json;

use crate::fixture::{Fixture, base64, error, jpeg, named, post_form, steady, told};

fn two_versions() -> Vec<LoadedModel> {
    vec![steady(2, [0.25, 0.5, 0.25]), steady(1, [0.75, 0.25, 0.0])]
}

#[tokio::test]
async fn the_label_is_answered_as_plain_text_without_a_newline() {
    let fixture = Fixture::start(two_versions()).await;
    for method in [Method::POST, Method::PUT] {
        let request = fixture.client.request(method, fixture.url("/predictions/nature")).multipart(post_form());
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["content-type"], "text/plain; charset=utf-8");
        assert_eq!(response.text().await.unwrap(), "flora");
    }
}

#[tokio::test]
async fn the_highest_version_answers_unless_another_is_asked() {
    let fixture = Fixture::start(two_versions()).await;
    for (path, label) in [("nature", "flora"), ("nature/2", "flora"), ("nature/1", "fauna")] {
        let response = fixture.post(&format!("/predictions/{path}")).multipart(post_form()).send().await.unwrap();
        assert_eq!(response.text().await.unwrap(), label, "{path}");
    }
}

#[tokio::test]
async fn json_is_answered_to_who_accepts_it() {
    let fixture = Fixture::start(two_versions()).await;
    let request = fixture.post("/predictions/nature").header(ACCEPT, "application/json").multipart(post_form());
    let response = request.send().await.unwrap();
    let id = response.headers()["x-request-id"].to_str().unwrap().to_owned();
    assert_eq!(response.headers()["content-type"], "application/json");
    assert_eq!(response.headers()["x-natureddit-prediction"], format!("nature/2/{id}"));
    let body: serde_json::Value = response.json().await.unwrap();
    let expected = json!({
        "label": "flora",
        "probabilities": {"fauna": 0.25, "flora": 0.5, "landscape": 0.25},
        "model": "nature",
        "version": "2",
        "prediction_id": id,
    });
    assert_eq!(body, expected);
}

#[tokio::test]
async fn a_title_or_a_photo_alone_is_enough_and_other_fields_are_ignored() {
    let fixture = Fixture::start(two_versions()).await;
    let photo = || Part::bytes(jpeg());
    let forms = [
        Form::new().text("text", "a meadow"),
        Form::new().part("image", photo()),
        Form::new().part("text", Part::bytes(&b"a title sent as a file"[..]).file_name("title.txt")),
        Form::new().text("flair", "OC").part("image", photo()).text("image2", "no image"),
    ];
    for form in forms {
        let response = fixture.post("/predictions/nature").multipart(form).send().await.unwrap();
        assert_eq!(response.text().await.unwrap(), "flora");
    }
    let raw = fixture.post("/predictions/nature").header(CONTENT_TYPE, "image/jpeg").body(jpeg());
    assert_eq!(raw.send().await.unwrap().text().await.unwrap(), "flora");
}

#[tokio::test]
async fn what_is_not_there_is_said_in_torchserves_words() {
    let fixture = Fixture::start(two_versions()).await;
    let no_resource = "Requested resource is not found, please refer to API document.";
    let no_method = "Requested method is not allowed, please refer to API document.";
    let no_version = "Model version: 9.9 does not exist for model: nature";
    let cases = [
        (Method::POST, "/predictions/nope", 404, "ModelNotFoundException", "Model not found: nope"),
        (Method::POST, "/predictions/nature/9.9", 404, "ModelVersionNotFoundException", no_version),
        (Method::POST, "/predictions/..%2Fnature", 404, "ModelNotFoundException", "Model not found: ../nature"),
        (Method::POST, "/predictions/%FF", 404, "ResourceNotFoundException", no_resource),
        (Method::POST, "/predictions/", 404, "ResourceNotFoundException", no_resource),
        (Method::POST, "/predictions", 404, "ResourceNotFoundException", no_resource),
        (Method::GET, "/foo", 404, "ResourceNotFoundException", no_resource),
        (Method::GET, "/predictions/nature", 405, "MethodNotAllowedException", no_method),
        (Method::POST, "/ping", 405, "MethodNotAllowedException", no_method),
    ];
    for (method, path, status, kind, message) in cases {
        let response = fixture.client.request(method, fixture.url(path)).multipart(post_form()).send().await.unwrap();
        let found = error(response).await;
        assert_eq!((found.0.as_u16(), found.1.as_str(), found.2.as_str()), (status, kind, message), "{path}");
    }
}

#[tokio::test]
async fn a_wrong_path_is_answered_although_the_body_is_long() {
    let fixture = Fixture::start_with(two_versions(), |config| config.limits.body_bytes_max = 1 << 20).await;
    let http1 = fixture.trusting().http1_only().build().unwrap();
    for client in [&fixture.client, &http1] {
        for (path, status) in [("/prediction/nature", 404), ("/predictions", 404), ("/ping", 405)] {
            let body = vec![b'x'; 1 << 20];
            let response = client.post(fixture.url(path)).body(body).send().await.unwrap();
            assert_eq!(error(response).await.0.as_u16(), status, "{path}");
        }
    }
}

#[tokio::test]
async fn a_photo_without_a_type_is_a_photo() {
    let fixture = Fixture::start(two_versions()).await;
    for kind in [None, Some("application/octet-stream")] {
        let request = fixture.post("/predictions/nature").body(jpeg());
        let request = kind.into_iter().fold(request, |request, kind| request.header("content-type", kind));
        assert_eq!(request.send().await.unwrap().status(), 200, "{kind:?}");
    }
}

#[tokio::test]
async fn a_post_comes_as_a_form_or_as_json_or_as_a_title_alone() {
    let fixture = Fixture::start(vec![told(1)]).await;
    let image = base64(&jpeg());
    let in_a_form = |value: &str| value.replace('+', "%2B");
    let binary: String = jpeg().iter().map(|byte| format!("%{byte:02X}")).collect();
    let form = "application/x-www-form-urlencoded";
    let json = |value: serde_json::Value| ("application/json; charset=utf-8", value.to_string());
    let both = [
        (form, format!("text=a+red%20fox&image={}", in_a_form(&image))),
        // `curl -d "image=$(base64 fox.jpg)"` encodes nothing.
        (form, format!("image={image}&text=a+red+fox")),
        (form, format!("image={binary}&text=a+red+fox")),
        json(json!({"text": "a red fox", "image": image})),
        json(json!({"text": "a red fox", "image": {"b64": image}})),
        json(json!({"text": "a red fox", "image": format!("data:image/jpeg;base64,{image}")})),
        json(json!({"body": {"text": "a red fox", "image": image}})),
    ];
    let title = [("text/plain", "a red fox".to_owned()), (form, "text=a red fox".to_owned())];
    let photo = [json(json!({"data": image})), (form, format!("data={}", in_a_form(&image)))];
    for (label, bodies) in [("landscape", &both[..]), ("fauna", &title), ("flora", &photo)] {
        for (content_type, body) in bodies {
            for method in [Method::POST, Method::PUT] {
                let request = fixture.client.request(method, fixture.url("/predictions/nature"));
                let request = request.header(CONTENT_TYPE, *content_type).body(body.clone());
                assert_eq!(request.send().await.unwrap().text().await.unwrap(), label, "{content_type} {body}");
            }
        }
    }
    let multipart = Form::new().part("data", Part::bytes(jpeg()));
    let response = fixture.post("/predictions/nature").multipart(multipart).send().await.unwrap();
    assert_eq!(response.text().await.unwrap(), "flora");
}

#[tokio::test]
async fn a_version_is_a_whole_number_also_as_torchserve_writes_it() {
    let fixture = Fixture::start(two_versions()).await;
    for (version, label) in [("1.0", "fauna"), ("2.0", "flora"), ("1", "fauna")] {
        let response = fixture.post(&format!("/predictions/nature/{version}")).multipart(post_form()).send();
        assert_eq!(response.await.unwrap().text().await.unwrap(), label, "{version}");
    }
}

#[tokio::test]
async fn an_invocation_asks_the_only_model_or_the_one_that_is_named() {
    let fixture = Fixture::start(two_versions()).await;
    for method in [Method::POST, Method::PUT] {
        let request = fixture.client.request(method, fixture.url("/invocations")).multipart(post_form());
        assert_eq!(request.send().await.unwrap().text().await.unwrap(), "flora");
    }
    let (status, kind, _) = error(fixture.post("/invocations?model_name=nope").send().await.unwrap()).await;
    assert_eq!((status.as_u16(), kind.as_str()), (404, "ModelNotFoundException"));

    let several = Fixture::start(vec![steady(1, [0.0, 1.0, 0.0]), named("other", [1.0, 0.0, 0.0])]).await;
    let named = several.post("/invocations?model_name=other").multipart(post_form()).send().await.unwrap();
    assert_eq!(named.text().await.unwrap(), "fauna");
    let (status, kind, message) =
        error(several.post("/invocations").multipart(post_form()).send().await.unwrap()).await;
    assert_eq!((status.as_u16(), kind.as_str()), (400, "BadRequestException"));
    assert_eq!(message, "Parameter model_name is required: several models are served here (nature, other)");
}

#[tokio::test]
async fn bad_input_is_answered_with_what_is_wrong() {
    let fixture = Fixture::start(two_versions()).await;
    let request = || fixture.post("/predictions/nature");
    let raw = |content_type: &str, body: &'static str| request().header(CONTENT_TYPE, content_type).body(body);
    let many = (0..20).fold(Form::new(), |form, i| form.text(format!("field{i}"), "x"));
    let broken_off = "--zz\r\nContent-Disposition: form-data; name=\"image\"\r\n\r\nhalf of";
    let refused: Vec<(RequestBuilder, u16, &str)> = vec![
        (request(), 400, "neither text nor image"),
        (request().multipart(Form::new()), 400, "neither text nor image"),
        (request().multipart(Form::new().text("title", "x")), 400, "neither text nor image"),
        (request().multipart(Form::new().text("image", "<html>no photo</html>")), 400, "image: "),
        (request().multipart(Form::new().text("image", "")), 400, "image: "),
        (request().multipart(Form::new().part("text", Part::bytes(&b"\xff\xfe"[..]))), 400, "text is not UTF-8"),
        (request().multipart(Form::new().text("text", "a").text("text", "b")), 400, "\"text\" is given twice"),
        (request().multipart(many), 400, "more than 16 parts"),
        (raw("multipart/form-data; boundary=zz", "garbage"), 400, "malformed multipart body: "),
        (raw("multipart/form-data; boundary=zz", broken_off), 400, "malformed multipart body: "),
        (raw("multipart/form-data", "garbage"), 400, "malformed multipart body: "),
        (raw("image/png", "garbage"), 400, "image: "),
        (raw("application/json", "{}"), 400, "neither text nor image"),
        (raw("application/json", r#"{"text": 5}"#), 400, "expected text as a string"),
        (raw("application/json", r#"{"image": "?"}"#), 400, "image is not base64: "),
        (raw("application/x-www-form-urlencoded", "image=?"), 400, "image is not base64: "),
        (raw("application/x-www-form-urlencoded", "image=AAAA"), 400, "image: "),
        (raw("text/plain", ""), 400, "neither text nor image"),
        (raw("application/xml", "<text/>"), 415, "content type \"application/xml\""),
    ];
    for (request, expected, reason) in refused {
        let (status, kind, message) = error(request.send().await.unwrap()).await;
        assert_eq!(status.as_u16(), expected, "{message}");
        let expected_kind = if expected == 400 { "BadRequestException" } else { "UnsupportedMediaTypeException" };
        assert_eq!(kind, expected_kind);
        assert!(message.contains(reason), "{message:?} lacks {reason:?}");
    }
    assert_eq!(fixture.ping().await.status(), StatusCode::OK);
}
