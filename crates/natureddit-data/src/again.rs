//! Answers that came whole by their status and are not what was asked for: a web page, nothing, half a file. Hosts send
//! them when they are not well, so they are asked for again a few times before they are believed.

use natureddit_net::Client;

/// Answers for one request, the first among them.
const ANSWERS_MAX: u32 = 3;

/// How often one request has been answered with what cannot be used.
#[derive(Debug)]
pub(crate) struct Again<'a> {
    client: &'a Client,
    url: &'a str,
    answers: u32,
}

impl<'a> Again<'a> {
    pub(crate) fn new(client: &'a Client, url: &'a str) -> Self {
        Self { client, url, answers: 0 }
    }

    /// Whether to ask again after an answer with this problem; waits before it says so, as after a failed request.
    pub(crate) async fn asks(&mut self, problem: &str) -> bool {
        self.answers += 1;
        let again = self.answers < ANSWERS_MAX && self.client.back_off(self.url, self.answers - 1).await;
        if again {
            tracing::info!(problem, "an answer that cannot be used is asked for again");
        }
        again
    }
}
