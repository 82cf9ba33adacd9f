//! Asks a server for predictions over HTTPS, as hard as it is told to, for `cargo xtask bench serve` and `cargo xtask soak`.
//!
//! usage: `load closed URL CERTIFICATE PHOTOS CONNECTIONS SECONDS`      each connection sends a post as soon as the one before
//!                                                                 is answered
//!        `load count URL CERTIFICATE PHOTOS CONNECTIONS REQUESTS`      the same, until so many are answered
//!        `load open URL CERTIFICATE PHOTOS SEED SLOW_MS RATE:SECONDS...`  posts come by chance, so many a second, whether or
//!                                                                 not earlier ones are answered; one phase after the other
//!        `load work BUNDLE PHOTOS COUNT`                              no server: what the model itself needs for each post
//!        `load faults PROCESS URL CERTIFICATE SEED SECONDS`           good requests among broken ones; PROCESS is the number of
//!                                                                 the server's, whose memory, files and threads are told
//!
//! URL is that of a model, `https://127.0.0.1:8080/predictions/NAME`, or several with commas between, whose connections take
//! turns; whoever shows CERTIFICATE (PEM) is trusted, and nobody else. PHOTOS is a folder of JPEG files in folders; each is sent in turn with a title of its own. The report is a line of JSON.

mod connection;
mod faults;
mod load;
mod posts;
mod report;
mod work;

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
            let (targets, posts) = prepare(url, certificate, photos)?;
            let until = Until::Time(Duration::from_secs_f64(seconds.parse()?));
            load::closed(&targets, &posts, connections.parse()?, until)?
        }
        ["count", url, certificate, photos, connections, requests] => {
            let (targets, posts) = prepare(url, certificate, photos)?;
            load::closed(&targets, &posts, connections.parse()?, Until::Requests(requests.parse()?))?
        }
        ["open", url, certificate, photos, seed, slow_ms, phases @ ..] if !phases.is_empty() => {
            let (targets, posts) = prepare(url, certificate, photos)?;
            let phases = phases.iter().map(|phase| phase.parse()).collect::<Outcome<Vec<Phase>>>()?;
            load::open(&targets, &posts, seed.parse()?, slow_ms.parse()?, &phases)?
        }
        ["work", bundle, photos, count] => work::measure(Path::new(bundle), Path::new(photos), count.parse()?)?,
        ["faults", process, url, certificate, seed, seconds] => {
            let target = Target::new(url, Path::new(certificate))?;
            let lasts = Duration::from_secs_f64(seconds.parse()?);
            faults::run(process.parse()?, &target, seed.parse()?, lasts)?
        }
        _ => return Err("give closed, count, open, work or faults, and what the usage in main.rs names".into()),
    };
    println!("{report}");
    Ok(())
}

fn prepare(urls: &str, certificate: &str, photos: &str) -> Outcome<(Vec<Target>, Posts)> {
    let target = |url| Target::new(url, Path::new(certificate));
    let targets = urls.split(',').map(target).collect::<Outcome<Vec<_>>>()?;
    let posts = Posts::read(Path::new(photos), &targets[0])?;
    Ok((targets, posts))
}
