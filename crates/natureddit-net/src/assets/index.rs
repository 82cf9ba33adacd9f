//! Where a wheel lies: the page of its package on the index that this machine's pip uses (PEP 503, PEP 691).

use std::sync::Arc;

use natureddit_core::ContentHash;
use serde::Deserialize;
use tokio::sync::OnceCell;
use url::Url;

use super::error::SourceError;
use super::pip;
use super::wheel::Wheel;
use crate::Client;

/// The longest page of a package that is read: some have thousands of files.
const PAGE_BYTES_MAX: u64 = 32 << 20;

const ACCEPT: &str = "application/vnd.pypi.simple.v1+json, application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.1";

/// A file as an index lists it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) file_name: String,
    pub(super) url: Url,
    pub(super) sha256: Option<ContentHash>,
    pub(super) bytes: Option<u64>,
}

/// The index that this machine's pip uses.
#[derive(Clone, Debug)]
pub(super) struct Index {
    client: Client,
    python: String,
    /// pip takes its time to answer, and is asked once.
    url: Arc<OnceCell<String>>,
}

impl Index {
    pub(super) fn new(client: Client, python: String) -> Self {
        Self { client, python, url: Arc::default() }
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// Finds the wheel without downloading it: pip itself would have to read a wheel to tell where it is.
    pub(super) async fn locate(&self, wheel: &Wheel) -> Result<Listed, SourceError> {
        let url = self.url.get_or_try_init(|| pip::index_url(&self.python)).await?;
        let page = page_of(url, wheel.package)?;
        let request = self.client.get(page.as_str()).accept(ACCEPT).bytes_max(PAGE_BYTES_MAX);
        let answer = request.send().await?.require_success()?;
        let is_json = answer.content_type.as_deref().is_some_and(|kind| kind.contains("json"));
        let listed = match is_json {
            true => read_json(&answer.body, &answer.final_url)?,
            false => read_html(&answer.body, &answer.final_url),
        };
        listed.into_iter().find(|listed| is_wanted(&listed.file_name, wheel)).ok_or(SourceError::NotOnIndex)
    }
}

/// The address of a package's page.
fn page_of(index: &str, package: &str) -> Result<Url, SourceError> {
    let not_directly = |why| SourceError::Index { why };
    let mut page = Url::parse(index).map_err(|_| not_directly("pip names no address"))?;
    if !matches!(page.scheme(), "http" | "https") {
        return Err(not_directly("it is no http or https address"));
    }
    // pip shows stars in their place.
    if !page.username().is_empty() || page.password().is_some() {
        return Err(not_directly("it asks for credentials, which only pip knows"));
    }
    page.set_path(&format!("{}/{}/", page.path().trim_end_matches('/'), normalised(package)));
    Ok(page)
}

/// A package's name as indexes spell it.
fn normalised(name: &str) -> String {
    let parts = name.split(['-', '_', '.']).filter(|part| !part.is_empty());
    parts.map(str::to_ascii_lowercase).collect::<Vec<_>>().join("-")
}

/// Whether a file name is that of the wheel: `{package}-{version}(-{build})?-{python}-{abi}-{platform}.whl`.
fn is_wanted(file_name: &str, wheel: &Wheel) -> bool {
    let Some(stem) = file_name.strip_suffix(".whl") else { return false };
    let parts: Vec<&str> = stem.split('-').collect();
    let ([package, version, python, abi, platform] | [package, version, _, python, abi, platform]) = parts[..] else {
        return false;
    };
    let has = |tags: &str, wanted: &str| tags.split('.').any(|tag| tag == wanted);
    let fits = match wheel.tag {
        None => has(python, "py3") && has(abi, "none") && has(platform, "any"),
        Some(tag) => {
            let interpreter = format!("{}{}", tag.implementation, tag.python.replace('.', ""));
            has(python, &interpreter) && has(abi, &interpreter) && has(platform, tag.platform)
        }
    };
    fits && normalised(package) == normalised(wheel.package) && version == wheel.version
}

#[derive(Deserialize)]
struct Page {
    files: Vec<File>,
}

#[derive(Deserialize)]
struct File {
    filename: String,
    url: String,
    #[serde(default)]
    hashes: Hashes,
    size: Option<u64>,
}

#[derive(Default, Deserialize)]
struct Hashes {
    sha256: Option<String>,
}

fn read_json(body: &[u8], base: &Url) -> Result<Vec<Listed>, SourceError> {
    let page: Page = serde_json::from_slice(body).map_err(|_| SourceError::Index { why: "its answer is no list" })?;
    let listed = page.files.into_iter().filter_map(|File { filename, url, hashes, size }| {
        let sha256 = hashes.sha256.and_then(|digits| digits.parse().ok());
        Some(Listed { file_name: filename, url: base.join(&url).ok()?, sha256, bytes: size })
    });
    Ok(listed.collect())
}

/// The links of a page; the SHA-256 is in the fragment, the file's name at the end of the path.
fn read_html(body: &[u8], base: &Url) -> Vec<Listed> {
    let text = String::from_utf8_lossy(body);
    let links = text.split("href=").skip(1).filter_map(|rest| {
        let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\''))?;
        let (href, _) = rest[1..].split_once(quote)?;
        let mut url = base.join(&href.replace("&amp;", "&")).ok()?;
        let sha256 = url.fragment().and_then(|fragment| fragment.strip_prefix("sha256=")?.parse().ok());
        url.set_fragment(None);
        let file_name = url.path_segments()?.next_back()?.replace("%2B", "+").replace("%2b", "+");
        Some(Listed { file_name, url, sha256, bytes: None })
    });
    links.collect()
}

#[cfg(test)]
mod tests {
    use natureddit_core::{AssetSource, WheelTag};

    use super::*;

    fn wheel(tag: Option<WheelTag>) -> Wheel {
        Wheel::of(&AssetSource::Wheel { package: "some-weights", version: "1.2.3", tag, member: "x" }).unwrap()
    }

    #[test]
    fn a_wheel_is_known_by_its_name_version_and_tags() {
        let any = wheel(None);
        for name in ["some_weights-1.2.3-py3-none-any.whl", "Some.Weights-1.2.3-1-py2.py3-none-any.whl"] {
            assert!(is_wanted(name, &any), "{name}");
        }
        for name in [
            "some_weights-1.2.3.tar.gz",
            "some_weights-1.2.30-py3-none-any.whl",
            "some_weights_more-1.2.3-py3-none-any.whl",
            "some_weights-1.2.3-cp311-cp311-win32.whl",
            "some_weights-1.2.3-py3-none-any.whl.metadata",
            ".whl",
        ] {
            assert!(!is_wanted(name, &any), "{name}");
        }
        let tag = WheelTag { python: "3.11", implementation: "cp", platform: "manylinux_2_28_x86_64" };
        let tagged = wheel(Some(tag));
        assert!(is_wanted("some_weights-1.2.3-cp311-cp311-manylinux2014_x86_64.manylinux_2_28_x86_64.whl", &tagged));
        for name in [
            "some_weights-1.2.3-cp311-cp311-manylinux_2_28_aarch64.whl",
            "some_weights-1.2.3-cp312-cp312-manylinux_2_28_x86_64.whl",
            "some_weights-1.2.3-cp313-cp313t-manylinux_2_28_x86_64.whl",
            "some_weights-1.2.3-py3-none-any.whl",
        ] {
            assert!(!is_wanted(name, &tagged), "{name}");
        }
    }

    #[test]
    fn a_page_is_asked_for_under_the_normalised_name() {
        assert_eq!(page_of("https://a.example/simple", "Some_.Weights").unwrap().path(), "/simple/some-weights/");
        for odd in ["https://user:****@a.example/simple", "https://****@a.example/simple", "file:///wheels", "wheels"] {
            assert!(matches!(page_of(odd, "x"), Err(SourceError::Index { .. })), "{odd}");
        }
    }

    #[test]
    fn both_kinds_of_pages_say_the_same() {
        let base = Url::parse("https://a.example/simple/some-weights/").unwrap();
        let digits = "a49ad1d21a1183093a224001dc5b429bd2801b575947b6a5579eff4b74be3cc8";
        let html = format!(
            "<!DOCTYPE html><a href='../../files/other.whl'>other</a>\n\
             <a data-yanked=\"no\" href=\"https://b.example/f/x-1%2Bcpu-py3-none-any.whl?a=1&amp;b=2#sha256={digits}\">x</a>"
        );
        let json = format!(
            r#"{{"files": [{{"filename": "other.whl", "url": "../../files/other.whl"}},
                {{"filename": "x-1+cpu-py3-none-any.whl", "hashes": {{"sha256": "{digits}"}},
                  "url": "https://b.example/f/x-1%2Bcpu-py3-none-any.whl?a=1&b=2"}}]}}"#
        );
        let listed = read_html(html.as_bytes(), &base);
        assert_eq!(listed, read_json(json.as_bytes(), &base).unwrap());
        assert_eq!(listed[0].url.as_str(), "https://a.example/files/other.whl");
        assert_eq!(listed[1].sha256.unwrap().to_string(), digits);
        assert_eq!(listed[1].file_name, "x-1+cpu-py3-none-any.whl");
        assert!(read_json(b"<html>", &base).is_err());
    }
}
