//! Which photo of a post the dataset takes, and why some posts have none.

use url::{Host, Url};

use crate::submission::{GalleryItem, Media, Submission};

/// Why a post is not in the dataset, judged before anything is fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum SkipReason {
    /// Deleted or removed, or a crosspost of such a post.
    Removed,
    /// An advertisement.
    Promoted,
    /// From a quarantined subreddit.
    Quarantined,
    /// Marked as not safe for work.
    Over18,
    /// Text only.
    SelfPost,
    /// A video.
    Video,
    /// A GIF or a page that plays one.
    Animated,
    /// A page with several pictures on another site.
    Album,
    /// A gallery of which Reddit has not processed the first picture yet.
    GalleryPending,
    /// A gallery without a still picture.
    GalleryEmpty,
    /// A link to something that is not a picture by its address.
    NotAPhoto,
    /// A record with a field of a wrong type.
    Unreadable,
}

impl SkipReason {
    /// A stable name, for counting: `self_post`.
    #[must_use]
    pub(crate) fn code(self) -> &'static str {
        match self {
            Self::Removed => "removed",
            Self::Promoted => "promoted",
            Self::Quarantined => "quarantined",
            Self::Over18 => "over_18",
            Self::SelfPost => "self_post",
            Self::Video => "video",
            Self::Animated => "animated",
            Self::Album => "album",
            Self::GalleryPending => "gallery_pending",
            Self::GalleryEmpty => "gallery_empty",
            Self::NotAPhoto => "not_a_photo",
            Self::Unreadable => "unreadable",
        }
    }
}

/// The address of the photo of a post: of a gallery its first, of a crosspost the original's.
///
/// # Errors
/// [`SkipReason`] when the post is not wanted or has no photo.
pub(crate) fn photo_url(submission: &Submission, include_over_18: bool) -> Result<String, SkipReason> {
    if submission.is_removed {
        return Err(SkipReason::Removed);
    }
    if submission.is_promoted {
        return Err(SkipReason::Promoted);
    }
    if submission.is_quarantined {
        return Err(SkipReason::Quarantined);
    }
    if submission.post.over_18 && !include_over_18 {
        return Err(SkipReason::Over18);
    }
    match &submission.media {
        Media::Unreadable => Err(SkipReason::Unreadable),
        Media::Text => Err(SkipReason::SelfPost),
        Media::Video => Err(SkipReason::Video),
        Media::RemovedParent => Err(SkipReason::Removed),
        Media::PendingGallery => Err(SkipReason::GalleryPending),
        Media::Gallery(items) => gallery_photo(items),
        Media::Link(address) => link_photo(address),
    }
}

/// The first still picture. One that is not processed yet may become it, and which one is taken must not depend on when
/// the gallery was asked for.
fn gallery_photo(items: &[GalleryItem]) -> Result<String, SkipReason> {
    match items.iter().find(|item| !matches!(item, GalleryItem::Unusable)) {
        Some(GalleryItem::Photo(address)) => Ok(address.clone()),
        Some(_) => Err(SkipReason::GalleryPending),
        None => Err(SkipReason::GalleryEmpty),
    }
}

fn link_photo(address: &str) -> Result<String, SkipReason> {
    let url = Url::parse(address).map_err(|_| SkipReason::NotAPhoto)?;
    let Some(Host::Domain(host)) = url.host() else { return Err(SkipReason::NotAPhoto) };
    let path = url.path().to_ascii_lowercase();
    let has_extension = |list: &[&str]| list.iter().any(|extension| path.ends_with(extension));
    if has_extension(&[".jpg", ".jpeg", ".png", ".webp"]) {
        return Ok(address.to_owned());
    }
    if has_extension(&[".gif", ".gifv"]) {
        return Err(SkipReason::Animated);
    }
    if has_extension(&[".mp4", ".webm", ".mov"]) || host == "v.redd.it" {
        return Err(SkipReason::Video);
    }
    if host == "i.redd.it" {
        return Ok(address.to_owned());
    }
    if host == "imgur.com" || host.ends_with(".imgur.com") {
        return imgur_photo(&url);
    }
    Err(SkipReason::NotAPhoto)
}

/// The picture behind an imgur page: `imgur.com/ID` shows `i.imgur.com/ID.jpg`, whatever its format.
fn imgur_photo(page: &Url) -> Result<String, SkipReason> {
    let mut segments = page.path_segments().ok_or(SkipReason::NotAPhoto)?.filter(|segment| !segment.is_empty());
    match (segments.next(), segments.next()) {
        (Some("a" | "gallery"), Some(_)) => Err(SkipReason::Album),
        (Some(ids), None) if ids.contains(',') => Err(SkipReason::Album),
        (Some(id), None) if (5..=10).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric()) => {
            Ok(format!("https://i.imgur.com/{id}.jpg"))
        }
        _ => Err(SkipReason::NotAPhoto),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_photo_is_known_by_the_extension_of_its_path() {
        for direct in [
            "https://i.redd.it/a.jpg",
            "http://i.imgur.com/a.JPG",
            "https://pbs.twimg.example/a.PnG?name=large&s=1.gif",
            "https://a.example/b/c.webp#x",
            "https://i.redd.it/8kj09uc8pq851",
            "https://a.example/photo.jpeg?x=/y.mp4",
        ] {
            assert_eq!(link_photo(direct).as_deref(), Ok(direct));
        }
    }

    #[test]
    fn an_imgur_page_leads_to_its_picture() {
        for page in ["http://imgur.com/emdm4AM", "https://m.imgur.com/emdm4AM?1", "https://i.imgur.com/emdm4AM/"] {
            assert_eq!(link_photo(page).as_deref(), Ok("https://i.imgur.com/emdm4AM.jpg"));
        }
        for album in ["https://imgur.com/a/abcde", "http://imgur.com/gallery/abcde/new", "http://imgur.com/abcde,fghij"]
        {
            assert_eq!(link_photo(album), Err(SkipReason::Album), "{album}");
        }
        for other in ["https://imgur.com/", "https://imgur.com/r/pics/abcde", "https://notimgur.com/abcde"] {
            assert_eq!(link_photo(other), Err(SkipReason::NotAPhoto), "{other}");
        }
    }

    #[test]
    fn what_is_no_photo_has_a_reason() {
        for (address, reason) in [
            ("https://i.imgur.com/abcde.gifv", SkipReason::Animated),
            ("https://i.redd.it/abcde.GIF", SkipReason::Animated),
            ("https://v.redd.it/abcde", SkipReason::Video),
            ("https://a.example/abcde.mp4?x=.jpg", SkipReason::Video),
            ("https://www.flickr.com/photos/a/1", SkipReason::NotAPhoto),
            ("https://a.example/?file=a.jpg", SkipReason::NotAPhoto),
            ("http://127.0.0.1/a.jpg", SkipReason::NotAPhoto),
            ("/r/flowers/a.jpg", SkipReason::NotAPhoto),
            ("", SkipReason::NotAPhoto),
        ] {
            assert_eq!(link_photo(address), Err(reason), "{address}");
        }
    }

    #[test]
    fn a_gallery_gives_its_first_still_picture() {
        use GalleryItem::{Pending, Photo, Unusable};
        let photo = |name: &str| Photo(name.to_owned());
        assert_eq!(gallery_photo(&[Unusable, photo("b"), Pending, photo("a")]).as_deref(), Ok("b"));
        assert_eq!(gallery_photo(&[Unusable, Pending, photo("b")]), Err(SkipReason::GalleryPending));
        assert_eq!(gallery_photo(&[Unusable, Pending]), Err(SkipReason::GalleryPending));
        assert_eq!(gallery_photo(&[Unusable]), Err(SkipReason::GalleryEmpty));
        assert_eq!(gallery_photo(&[]), Err(SkipReason::GalleryEmpty));
    }
}
