//! Where requests to a host go instead: to a mirror, a proxy or the sandbox.

use std::collections::BTreeMap;

use url::Url;

/// Host names and the base addresses that stand in for them. Only these addresses may be loopback or private, for
/// the user wrote them down.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostMap(BTreeMap<String, Url>);

impl HostMap {
    /// A map of host names (as in a URL, any case) to base addresses.
    #[must_use]
    pub fn new(entries: impl IntoIterator<Item = (String, Url)>) -> Self {
        Self(entries.into_iter().map(|(host, base)| (host.to_ascii_lowercase(), base)).collect())
    }

    /// The address that stands in for `url`: its path and query below the base; `None` when its host is not mapped.
    #[must_use]
    pub fn target(&self, url: &Url) -> Option<Url> {
        let base = self.0.get(url.host_str()?)?;
        let mut target = base.clone();
        target.set_path(&format!("{}{}", base.path().trim_end_matches('/'), url.path()));
        target.set_query(url.query());
        Some(target)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    #[test]
    fn path_and_query_are_appended_to_the_base() {
        let map = HostMap::new([("I.redd.it".into(), url("http://127.0.0.1:9/media/i.redd.it"))]);
        let target = map.target(&url("https://i.redd.it/a%20b.jpg?s=1&amp=2")).unwrap();
        assert_eq!(target.as_str(), "http://127.0.0.1:9/media/i.redd.it/a%20b.jpg?s=1&amp=2");
        assert_eq!(map.target(&url("https://i.redd.it")).unwrap().path(), "/media/i.redd.it/");
        assert_eq!(map.target(&url("https://preview.redd.it/a.jpg")), None);
    }

    #[test]
    fn a_path_cannot_climb_out_of_the_base() {
        let map = HostMap::new([("a.example".into(), url("http://127.0.0.1:9/base/"))]);
        let target = map.target(&url("https://a.example/../../secret")).unwrap();
        assert_eq!(target.path(), "/base/secret");
    }
}
