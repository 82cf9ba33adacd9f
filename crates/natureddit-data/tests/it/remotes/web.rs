//! A web server that takes objects as DagsHub does. HEAD it does not know, and lists neither.

use axum::body::Body;
use axum::http::{Method, Response};

use super::server::{Asked, Server, Store, status};

pub(crate) async fn start() -> Server {
    Server::start(answer).await
}

fn answer(store: &mut Store, asked: &Asked) -> Response<Body> {
    match asked.method {
        Method::GET => match store.objects.get(&asked.path) {
            Some(object) => Response::new(Body::from(object.clone())),
            None => status(404, "no such object"),
        },
        Method::POST | Method::PUT => {
            store.objects.insert(asked.path.clone(), asked.body.clone());
            status(201, "")
        }
        _ => status(405, ""),
    }
}
