//! Asks a server for predictions over HTTPS, as hard as it is told to, for `cargo xtask bench serve` and `cargo xtask soak`.
//!
//! usage: `load closed URL CERTIFICATE PHOTOS CONNECTIONS SECONDS`      each connection sends a post as soon as the one before
//!                                                                 is answered
//!        `load count URL CERTIFICATE PHOTOS CONNECTIONS REQUESTS`      the same, until so many are answered
//!        `load open URL CERTIFICATE PHOTOS SEED SLOW_MS RATE:SECONDS...`  posts come by chance, so many a second, whether or
//!                                                                 not earlier ones are answered; one phase after the other
//!
//! URL is that of a model, `https://127.0.0.1:8080/predictions/NAME`; whoever shows CERTIFICATE (PEM) is trusted, and nobody
//! else. PHOTOS is a folder of JPEG files in folders; each is sent in turn with a title of its own. The report is a line of JSON.

mod connection;
mod load;
mod posts;
mod report;

use std::path::Path;
use std::time::Duration;

use connection::Target;
use load::{Phase, Until};
use posts::Posts;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> Outcome<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let report = match args.as_slice() {
        ["closed", url, certificate, photos, connections, seconds] => {
            let (target, posts) = prepare(url, certificate, photos)?;
            let until = Until::Time(Duration::from_secs_f64(seconds.parse()?));
            load::closed(&target, &posts, connections.parse()?, until)?
        }
        ["count", url, certificate, photos, connections, requests] => {
            let (target, posts) = prepare(url, certificate, photos)?;
            load::closed(&target, &posts, connections.parse()?, Until::Requests(requests.parse()?))?
        }
        ["open", url, certificate, photos, seed, slow_ms, phases @ ..] if !phases.is_empty() => {
            let (target, posts) = prepare(url, certificate, photos)?;
            let phases = phases.iter().map(|phase| phase.parse()).collect::<Outcome<Vec<Phase>>>()?;
            load::open(&target, &posts, seed.parse()?, slow_ms.parse()?, &phases)?
        }
        _ => return Err("give closed, count or open, and what the usage in main.rs names".into()),
    };
    println!("{report}");
    Ok(())
}

fn prepare(url: &str, certificate: &str, photos: &str) -> Outcome<(Target, Posts)> {
    let target = Target::new(url, Path::new(certificate))?;
    let posts = Posts::read(Path::new(photos), &target)?;
    Ok((target, posts))
}
