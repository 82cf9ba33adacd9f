//! Which photo of a post the dataset takes, and why some posts have none.

use url::{Host, Url};

use crate::submission::{GalleryItem, GalleryItemState, Media, Submission};

/// Which pictures of a gallery are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GalleryMode {
    /// The first still picture.
    First,
    /// Every still picture.
    All,
}

/// A photo of a post and where it can be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PhotoAddress {
    /// What tells it from the post's other photos: the id of a gallery's picture, else empty.
    pub(crate) media_id: String,
    /// Or the reason why it cannot be had.
    pub(crate) url: Result<String, SkipReason>,
}

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

/// The photos of a post, at least one: of a gallery its first or all, of a crosspost the original's. Where the post is
/// not wanted or has no photo, that is the reason of its only one.
pub(crate) fn photos(submission: &Submission, include_over_18: bool, mode: GalleryMode) -> Vec<PhotoAddress> {
    match wanted(submission, include_over_18) {
        Ok(Media::Gallery(items)) => gallery_photos(items, mode),
        Ok(media) => vec![PhotoAddress { media_id: String::new(), url: media_photo(media) }],
        Err(reason) => vec![PhotoAddress { media_id: String::new(), url: Err(reason) }],
    }
}

/// Where a photo can be had, the best first: behind a signed preview of Reddit's lies the original under the same name,
/// which may be gone while the preview is still there.
pub(crate) fn addresses(url: &str) -> Vec<String> {
    let original = Url::parse(url).ok().filter(|url| url.host_str() == Some("preview.redd.it")).and_then(|url| {
        let name = url.path().trim_start_matches('/');
        // Newer previews have the title in front: `a-rose-v0-abc.jpg`.
        let name = name.rsplit_once("-v0-").map_or(name, |(_, name)| name);
        (!name.is_empty() && !name.contains('/')).then(|| format!("https://i.redd.it/{name}"))
    });
    original.into_iter().chain([url.to_owned()]).collect()
}

/// What a post holds, if the post is wanted.
fn wanted(submission: &Submission, include_over_18: bool) -> Result<&Media, SkipReason> {
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
    Ok(&submission.media)
}

fn media_photo(media: &Media) -> Result<String, SkipReason> {
    match media {
        Media::Unreadable => Err(SkipReason::Unreadable),
        Media::Text => Err(SkipReason::SelfPost),
        Media::Video => Err(SkipReason::Video),
        Media::RemovedParent => Err(SkipReason::Removed),
        Media::PendingGallery => Err(SkipReason::GalleryPending),
        Media::Gallery(_) => Err(SkipReason::GalleryEmpty),
        Media::Link(address) => link_photo(address),
    }
}

/// The first still picture or all of them. One that is not processed yet may become the first, and which one is taken
/// must not depend on when the gallery was asked for.
fn gallery_photos(items: &[GalleryItem], mode: GalleryMode) -> Vec<PhotoAddress> {
    let photo = |item: &GalleryItem| {
        let url = match &item.state {
            GalleryItemState::Photo(address) => Ok(address.clone()),
            GalleryItemState::Pending => Err(SkipReason::GalleryPending),
            GalleryItemState::Unusable => return None,
        };
        Some(PhotoAddress { media_id: item.media_id.clone(), url })
    };
    let count = if mode == GalleryMode::All { items.len() } else { 1 };
    let photos: Vec<_> = items.iter().filter_map(photo).take(count).collect();
    if photos.is_empty() {
        return vec![PhotoAddress { media_id: String::new(), url: Err(SkipReason::GalleryEmpty) }];
    }
    photos
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
    fn behind_a_preview_lies_the_original() {
        let preview = "https://preview.redd.it/abc.jpg?width=1&s=2";
        assert_eq!(addresses(preview), ["https://i.redd.it/abc.jpg", preview]);
        let named = "https://preview.redd.it/a-rose-v0-abc.png?auto=webp&s=2";
        assert_eq!(addresses(named), ["https://i.redd.it/abc.png", named]);
        for other in [
            "https://external-preview.redd.it/abc.jpg?s=2",
            "https://i.redd.it/abc.jpg",
            "https://preview.redd.it/a/b.jpg",
        ] {
            assert_eq!(addresses(other), [other]);
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

    /// A gallery of pictures `m0`, `m1` and so on: `p` still ones, `w` that wait, `u` that cannot be used.
    fn gallery(states: &str, mode: GalleryMode) -> Vec<(String, Result<String, SkipReason>)> {
        let item = |(position, state)| {
            let media_id = format!("m{position}");
            let state = match state {
                'p' => GalleryItemState::Photo(format!("https://{media_id}")),
                'w' => GalleryItemState::Pending,
                _ => GalleryItemState::Unusable,
            };
            GalleryItem { media_id, state }
        };
        let items: Vec<_> = states.chars().enumerate().map(item).collect();
        gallery_photos(&items, mode).into_iter().map(|photo| (photo.media_id, photo.url)).collect()
    }

    #[test]
    fn a_gallery_gives_its_first_still_picture_or_all() {
        use SkipReason::{GalleryEmpty, GalleryPending};
        let photo = |id: &str| (id.to_owned(), Ok(format!("https://{id}")));
        let none = |id: &str, reason| (id.to_owned(), Err(reason));
        assert_eq!(gallery("upwp", GalleryMode::First), [photo("m1")]);
        assert_eq!(gallery("uwp", GalleryMode::First), [none("m1", GalleryPending)]);
        assert_eq!(gallery("upwp", GalleryMode::All), [photo("m1"), none("m2", GalleryPending), photo("m3")]);
        for mode in [GalleryMode::First, GalleryMode::All] {
            assert_eq!(gallery("uw", mode), [none("m1", GalleryPending)]);
            assert_eq!(gallery("u", mode), [none("", GalleryEmpty)]);
            assert_eq!(gallery("", mode), [none("", GalleryEmpty)]);
        }
    }
}
