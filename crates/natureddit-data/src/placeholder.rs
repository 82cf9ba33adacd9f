//! Pictures that sites show in place of a photo that is gone.

use url::Url;

/// imgur's "the image you are requesting does not exist": a PNG of 503 bytes, MD5 d835884373f4d6c8f24742ceabe74946.
const IMGUR_REMOVED_BYTES: usize = 503;

/// Its size in the header of the PNG: 161 x 81 pixels.
const IMGUR_REMOVED_SIZE: [u8; 8] = [0, 0, 0, 161, 0, 0, 0, 81];

/// Hosts, and the ends of the paths to which they lead when a photo is gone.
const PATHS: [(&str, &str); 4] = [
    ("imgur.com", "/removed.png"),
    ("yimg.com", "/photo_unavailable.png"),
    ("yimg.com", "/photo_unavailable_l.png"),
    ("staticflickr.com", "/photo_unavailable.png"),
];

/// Whether a file is such a picture, by where it came from in the end or by its content.
pub(crate) fn is_placeholder(final_url: &Url, bytes: &[u8]) -> bool {
    let host = final_url.host_str().unwrap_or_default();
    let is_below = |domain: &str| host == domain || host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'));
    let by_address = PATHS.iter().any(|(domain, end)| is_below(domain) && final_url.path().ends_with(end));
    by_address || (bytes.len() == IMGUR_REMOVED_BYTES && bytes.get(16..24) == Some(&IMGUR_REMOVED_SIZE))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trap_11_a_placeholder_is_known_by_its_address_or_its_content() {
        let url = |text: &str| Url::parse(text).unwrap();
        for gone in ["https://i.imgur.com/removed.png", "https://s.yimg.com/pw/images/en-us/photo_unavailable.png"] {
            assert!(is_placeholder(&url(gone), b""), "{gone}");
        }
        for other in
            ["https://i.imgur.com/removed1.png", "https://notimgur.com/removed.png", "https://a.example/removed.png"]
        {
            assert!(!is_placeholder(&url(other), b""), "{other}");
        }
        let mut png = vec![0; IMGUR_REMOVED_BYTES];
        png[16..24].copy_from_slice(&IMGUR_REMOVED_SIZE);
        assert!(is_placeholder(&url("https://i.imgur.com/abcde.jpg"), &png));
        assert!(!is_placeholder(&url("https://i.imgur.com/abcde.jpg"), &png[..502]));
        png[19] = 162;
        assert!(!is_placeholder(&url("https://i.imgur.com/abcde.jpg"), &png));
    }
}
