//! What of S3 a remote needs, with one bucket: `bucket`.

use std::fmt::Write as _;

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, Method, Response, StatusCode};

use super::server::{Asked, Server, Store, status};

const PAGE_OBJECTS: usize = 1000;
const ETAG: HeaderValue = HeaderValue::from_static("\"etag\"");
const DATE: HeaderValue = HeaderValue::from_static("Wed, 21 Oct 2015 07:28:30 GMT");

pub(crate) async fn start() -> Server {
    Server::start(answer).await
}

fn answer(store: &mut Store, asked: &Asked) -> Response<Body> {
    let (bucket, key) = asked.path.split_once('/').unwrap_or((&asked.path, ""));
    if bucket != "bucket" {
        return status(404, "<Error><Code>NoSuchBucket</Code></Error>");
    }
    let query = |name: &str| asked.query.get(name);
    match (&asked.method, query("uploadId")) {
        (&Method::GET, _) if query("list-type").is_some() => list(store, asked),
        (&Method::GET | &Method::HEAD, _) => match store.objects.get(&asked.path) {
            Some(object) => match asked.range {
                None => described(Response::new(Body::from(object.clone()))),
                Some((first, last)) => part(object, first, last),
            },
            None => status(404, "<Error><Code>NoSuchKey</Code></Error>"),
        },
        (&Method::POST, None) if query("uploads").is_some() => {
            let id = format!("upload-{}", store.uploads.len());
            store.uploads.insert(id.clone(), Default::default());
            xml(format!("<InitiateMultipartUploadResult><UploadId>{id}</UploadId></InitiateMultipartUploadResult>"))
        }
        (&Method::PUT, Some(id)) => {
            let number = asked.query["partNumber"].parse().unwrap();
            store.uploads.get_mut(id).unwrap().insert(number, asked.body.clone());
            described(status(200, ""))
        }
        (&Method::POST, Some(id)) => {
            let parts = store.uploads.remove(id).unwrap();
            let object: Vec<u8> = parts.into_values().flatten().collect();
            store.objects.insert(asked.path.clone(), object.into());
            let tag = "<ETag>\"etag\"</ETag>";
            xml(format!("<CompleteMultipartUploadResult><Key>{key}</Key>{tag}</CompleteMultipartUploadResult>"))
        }
        (&Method::DELETE, Some(id)) => {
            store.uploads.remove(id);
            status(204, "")
        }
        (&Method::PUT, None) => {
            store.objects.insert(asked.path.clone(), asked.body.clone());
            described(status(200, ""))
        }
        (&Method::DELETE, None) => {
            store.objects.remove(&asked.path);
            status(204, "")
        }
        _ => status(405, ""),
    }
}

fn described(mut answer: Response<Body>) -> Response<Body> {
    answer.headers_mut().insert("etag", ETAG);
    answer.headers_mut().insert("last-modified", DATE);
    answer
}

fn part(object: &Bytes, first: usize, last: usize) -> Response<Body> {
    let mut answer = described(Response::new(Body::from(object.slice(first..=last))));
    *answer.status_mut() = StatusCode::PARTIAL_CONTENT;
    let range = format!("bytes {first}-{last}/{}", object.len());
    answer.headers_mut().insert("content-range", HeaderValue::from_str(&range).unwrap());
    answer
}

fn list(store: &Store, asked: &Asked) -> Response<Body> {
    let prefix = format!("bucket/{}", asked.query.get("prefix").map_or("", String::as_str));
    let after = asked.query.get("continuation-token");
    let is_meant = |key: &&String| key.starts_with(&prefix) && after.is_none_or(|after| *key > after);
    let page: Vec<_> = store.objects.keys().filter(is_meant).take(PAGE_OBJECTS + 1).collect();
    let mut body = "<ListBucketResult>".to_owned();
    for path in page.iter().take(PAGE_OBJECTS) {
        let (_, key) = path.split_once('/').unwrap();
        let (size, date) = (store.objects[*path].len(), "2026-11-23T10:21:27.000Z");
        let key = key.replace('&', "&amp;").replace('<', "&lt;");
        let _ = write!(body, "<Contents><Key>{key}</Key><LastModified>{date}</LastModified>");
        let _ = write!(body, "<ETag>\"etag\"</ETag><Size>{size}</Size></Contents>");
    }
    if page.len() > PAGE_OBJECTS {
        let _ = write!(body, "<NextContinuationToken>{}</NextContinuationToken>", page[PAGE_OBJECTS - 1]);
    }
    xml(body + "</ListBucketResult>")
}

fn xml(body: String) -> Response<Body> {
    let mut answer = Response::new(Body::from(body));
    answer.headers_mut().insert("content-type", HeaderValue::from_static("application/xml"));
    answer
}
