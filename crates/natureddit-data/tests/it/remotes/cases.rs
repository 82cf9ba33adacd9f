use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::StreamExt;
use natureddit_core::Secret;
use natureddit_core::fs;
use natureddit_data::dvc::hash::{HashKind, Md5, ObjectId};
use natureddit_data::dvc::remote::{Received, RemoteError};
use natureddit_net::NetError;

use super::kinds::{BASIC, Kind, PASSWORD, Place, TOKEN, access, object, open, told};
use super::server::Fault;
use super::web;

#[tokio::test]
async fn an_object_comes_back_as_it_was_put() {
    for place in Place::each().await {
        let big: Vec<u8> = (0..3_000_000_u32).map(|number| (number % 251) as u8).collect();
        let contents: [&[u8]; 3] = [b"", b"a,b\r\n1,2\r\n", &big];
        let kinds = [(HashKind::Md5, false), (HashKind::Md5, true), (HashKind::Md5Dos2Unix, false)];
        let mut all = BTreeSet::new();
        for content in contents {
            for (kind, is_dir) in kinds {
                let id = ObjectId { kind, md5: Md5::of(content), is_dir };
                assert_eq!(place.remote.existing(&[id].into()).await.unwrap(), [].into(), "{:?}", place.kind);
                place.remote.put(id, &place.file(content)).await.unwrap();
                assert_eq!(place.stored(id).as_deref(), Some(content), "{:?} {id}", place.kind);
                // Once more: one that is there is replaced.
                place.remote.put(id, &place.file(content)).await.unwrap();
                let Received { md5, bytes } = place.get(id).await.unwrap().unwrap();
                let is_text = kind == HashKind::Md5Dos2Unix && content.len() == 10;
                assert_eq!(md5, if is_text { Md5::of(b"a,b\n1,2\n") } else { Md5::of(content) });
                assert_eq!(bytes, content.len() as u64);
                assert_eq!(fs::read(&place.to()).unwrap(), content, "{:?}", place.kind);
                fs::remove_file(&place.to()).unwrap();
                all.insert(id);
            }
        }
        place.remote.sync().await.unwrap();
        assert_eq!(place.remote.existing(&all).await.unwrap(), all, "{:?}", place.kind);
    }
}

#[tokio::test]
async fn what_is_there_is_listed_and_removed_where_that_can_be() {
    for place in Place::each().await {
        let (a, b) = (place.plant(b"a"), place.plant(b"b"));
        if place.kind == Kind::Web {
            let errors = [place.remote.list().await.unwrap_err(), place.remote.remove(a).await.unwrap_err()];
            assert!(errors.iter().all(|error| matches!(error, RemoteError::Unsupported { .. })), "{errors:?}");
            assert!(place.stored(a).is_some());
            continue;
        }
        let old = ObjectId { kind: HashKind::Md5Dos2Unix, ..object(b"old") };
        place.remote.put(old, &place.file(b"old")).await.unwrap();
        let foreign = "files/md5/ab/.cdef.partial";
        match &place.server {
            Some(server) => drop(server.store().objects.insert(format!("bucket/pre/{foreign}"), "".into())),
            None => fs::write_unsynced(&place.folder.path().join("pre").join(foreign), "").unwrap(),
        }
        assert_eq!(place.remote.list().await.unwrap(), [a, b, old].into(), "{:?}", place.kind);
        place.remote.remove(a).await.unwrap();
        place.remote.remove(a).await.unwrap();
        assert_eq!(place.remote.list().await.unwrap(), [b, old].into(), "{:?}", place.kind);
    }
}

#[tokio::test]
async fn an_absent_object_is_no_error_and_no_file() {
    for place in Place::each().await {
        assert_eq!(place.get(object(b"absent")).await.unwrap(), None, "{:?}", place.kind);
        place.assert_no_download();
    }
}

#[tokio::test]
async fn an_object_over_the_limit_is_refused() {
    for place in Place::each().await {
        let id = place.plant(&[7; 100]);
        let error = place.remote.get(id, &place.to(), 99).await.unwrap_err();
        assert!(matches!(error, RemoteError::TooManyBytes { bytes_max: 99, .. }), "{error:?}");
        place.assert_no_download();
        assert!(place.remote.get(id, &place.to(), 100).await.unwrap().is_some());
    }
}

#[tokio::test]
async fn several_objects_come_as_each_of_them_alone_does() {
    for place in Place::each().await {
        let (long, longest) = (vec![7; 1_500_000], vec![8; 2_000_001]);
        let contents: [&[u8]; 6] = [b"a", b"", &[5; 70], &long, &longest, &[6; 64]];
        let ids = contents.map(|content| place.plant(content));
        let asked = ids.into_iter().chain([object(b"absent")]).enumerate();
        let wanted: Vec<_> = asked.map(|(at, id)| (id, place.to().with_file_name(format!("to{at}")))).collect();
        let got = place.remote.get_each(&wanted, 2_000_000).await;
        assert_eq!(got.len(), wanted.len());
        for (at, (got, (id, to))) in got.into_iter().zip(&wanted).enumerate() {
            match at {
                4 => assert!(matches!(got, Err(RemoteError::TooManyBytes { .. })), "{got:?}"),
                6 => assert_eq!(got.unwrap(), None),
                _ => {
                    let bytes = contents[at].len() as u64;
                    assert_eq!(got.unwrap(), Some(Received { md5: id.md5, bytes }), "{:?} {at}", place.kind);
                    assert_eq!(fs::read(to).unwrap(), contents[at]);
                    fs::remove_file(to).unwrap();
                }
            }
        }
        place.assert_no_download();
    }
}

#[tokio::test]
async fn a_body_that_is_cut_short_is_an_error_and_no_file() {
    for place in Place::servers().await {
        // Long enough that some of it was written.
        let id = place.plant(&vec![7; 5_000_000]);
        place.server().store().fault_for = Some(("GET", Fault::CutShort));
        place.get(id).await.unwrap_err();
        place.assert_no_download();
        place.server().store().fault_for = None;
        assert!(place.get(id).await.unwrap().is_some());
    }
}

#[tokio::test]
async fn what_breaks_once_is_done_again() {
    for fault in [Fault::Status(500), Fault::Reset, Fault::CutShort] {
        for place in Place::servers().await {
            let content = vec![9; 3_000_000];
            let fail = || place.server().store().faults.push_back(fault);
            if fault != Fault::CutShort {
                fail();
                place.put(&content).await.unwrap();
                fail();
                assert_eq!(place.remote.existing(&[object(&content)].into()).await.unwrap().len(), 1);
            }
            let id = place.plant(&content);
            fail();
            let received = place.get(id).await.unwrap().unwrap();
            assert_eq!((received.md5, received.bytes), (Md5::of(&content), 3_000_000), "{fault:?} {:?}", place.kind);
            assert_eq!(fs::read(&place.to()).unwrap(), content);
            assert!(place.server().store().faults.is_empty());
        }
    }
}

#[tokio::test]
async fn what_stays_broken_is_an_error_and_never_absent() {
    for fault in [Fault::Status(500), Fault::Reset, Fault::Status(400)] {
        for place in Place::servers().await {
            let id = place.plant(b"x");
            place.server().store().fault_for = Some(("", fault));
            let error = place.get(id).await.unwrap_err();
            assert!(!matches!(error, RemoteError::Access { .. }), "{error:?}");
            place.remote.existing(&[id].into()).await.unwrap_err();
            place.put(b"x").await.unwrap_err();
            place.assert_no_download();
        }
    }
}

#[tokio::test]
async fn who_is_not_known_is_told_so() {
    for place in Place::servers().await {
        let id = place.plant(b"x");
        place.server().store().wanted = Some(("authorization", "somebody else".into()));
        let errors = [
            place.get(id).await.unwrap_err(),
            place.remote.existing(&[id].into()).await.unwrap_err(),
            place.put(b"y").await.unwrap_err(),
        ];
        for error in errors {
            assert!(matches!(error, RemoteError::Access { status: 401 | 403, .. }), "{:?} {error:?}", place.kind);
        }
        place.assert_no_download();
        assert!(place.stored(object(b"y")).is_none());
    }
}

#[tokio::test]
async fn no_error_tells_a_secret() {
    for place in Place::servers().await {
        let id = place.plant(b"x");
        // The server says back what it was sent.
        place.server().store().fault_for = Some(("", Fault::Status(400)));
        let errors = [
            place.get(id).await.unwrap_err(),
            place.remote.existing(&[id].into()).await.unwrap_err(),
            place.put(b"y").await.unwrap_err(),
        ];
        let texts = errors.iter().map(told).chain([format!("{:?}", place.remote), place.remote.url().to_owned()]);
        for text in texts {
            for secret in [PASSWORD, TOKEN, BASIC] {
                assert!(!text.contains(secret), "{secret} in {text}");
            }
        }
    }
}

#[tokio::test]
async fn many_objects_are_looked_for_at_once() {
    for place in Place::each().await {
        let ids: BTreeSet<_> = (0..1_100).map(|number: u32| place.plant(&number.to_le_bytes())).collect();
        let absent: BTreeSet<_> = (2_000..2_100_u32).map(|number| object(&number.to_le_bytes())).collect();
        let asked = ids.union(&absent).copied().collect();
        assert_eq!(place.remote.existing(&asked).await.unwrap(), ids, "{:?}", place.kind);
        if place.kind == Kind::Bucket {
            // One folder, and then two pages.
            assert_eq!(place.server().take_log().len(), 3);
        }
        if place.kind != Kind::Web {
            assert_eq!(place.remote.list().await.unwrap(), ids, "{:?}", place.kind);
        }
        assert_eq!(place.remote.existing(&absent).await.unwrap(), [].into());
    }
}

#[tokio::test]
async fn few_objects_among_very_many_are_not_looked_for_in_a_list() {
    let place = Place::new(Kind::Bucket, "pre").await;
    let all: Vec<_> = (0..40_000_u32).map(|number| place.plant(&number.to_le_bytes())).collect();
    // One by one; then those of the first folder in a list and the others one by one; then folder by folder.
    for (count, requests_max) in [(32, 32), (33, 33), (5_000, 256)] {
        let asked: BTreeSet<_> = all.iter().copied().take(count).chain([object(b"absent")]).skip(1).collect();
        let mut found = asked.clone();
        found.remove(&object(b"absent"));
        assert_eq!(place.remote.existing(&asked).await.unwrap(), found);
        let requests = place.server().take_log().len();
        // One more where one was absent: whether the bucket is there.
        assert!(requests <= requests_max + 1, "{count}: {requests}");
    }
}

#[tokio::test]
async fn an_address_may_have_spaces_and_letters_of_any_alphabet() {
    for kind in [Kind::Folder, Kind::Web, Kind::Bucket] {
        let prefix = if kind == Kind::Web { "Daten%20%C3%BCber/a+b&c=d" } else { "Daten über/a+b&c=d 100%" };
        let place = Place::new(kind, prefix).await;
        let id = place.put(b"x").await.unwrap();
        assert_eq!(place.stored(id).as_deref(), Some(&b"x"[..]), "{kind:?}");
        assert_eq!(place.remote.existing(&[id].into()).await.unwrap(), [id].into());
        assert!(place.get(id).await.unwrap().is_some());
        if kind != Kind::Web {
            assert_eq!(place.remote.list().await.unwrap(), [id].into(), "{kind:?}");
        }
    }
}

#[tokio::test]
async fn an_upload_that_is_broken_off_leaves_no_object() {
    for place in Place::servers().await {
        let content = vec![5; 4_000_000];
        place.server().store().fault_for = Some(("", Fault::Stall));
        let stalled = Arc::clone(&place.server().store().stalled);
        tokio::select! {
            put = place.put(&content) => panic!("{put:?}"),
            () = stalled.notified() => (),
        }
        place.server().store().fault_for = None;
        assert_eq!(place.get(object(&content)).await.unwrap(), None);
    }
    let place = Place::new(Kind::Folder, "pre").await;
    let id = object(b"x");
    // A folder can be opened but not read.
    place.remote.put(id, place.folder.path()).await.unwrap_err();
    assert_eq!(fs::walk(&place.folder.path().join("pre")).unwrap(), [] as [std::path::PathBuf; 0]);
    assert!(place.remote.put(id, &place.folder.path().join("absent")).await.is_err());
    assert_eq!(place.get(id).await.unwrap(), None);
}

#[tokio::test]
async fn a_long_object_goes_up_in_parts() {
    let place = Place::new(Kind::Bucket, "pre").await;
    let content: Vec<u8> = (0..17_000_000_u32).map(|number| (number % 253) as u8).collect();
    let id = place.put(&content).await.unwrap();
    assert_eq!(place.stored(id), Some(content.clone()));
    let log = place.server().take_log();
    assert_eq!(log.iter().filter(|line| line.contains("partNumber")).count(), 3, "{log:?}");
    // One that breaks off leaves neither an object nor parts.
    place.server().store().objects.clear();
    place.server().store().fault_for = Some(("partNumber=2", Fault::Status(400)));
    place.put(&content).await.unwrap_err();
    assert!(place.server().store().objects.is_empty());
    assert!(place.server().store().uploads.is_empty());
}

#[tokio::test]
async fn a_bucket_that_is_not_there_is_no_empty_one() {
    let place = Place::new(Kind::Bucket, "pre").await;
    let endpoint = format!("http://{}", place.server().address);
    let keys = [("access_key_id", "key-1"), ("secret_access_key", PASSWORD)];
    let remote = open(&[&keys[..], &[("url", "s3://other"), ("endpointurl", &endpoint)]].concat(), &access()).unwrap();
    let many: BTreeSet<_> = (0..50_u8).map(|number| object(&[number])).collect();
    for ids in [[object(b"x")].into(), many] {
        let error = remote.existing(&ids).await.unwrap_err();
        assert!(matches!(error, RemoteError::S3 { .. }), "{error:?}");
    }
    assert!(remote.get(object(b"x"), &place.to(), 9).await.is_err());
    assert!(remote.list().await.is_err());
    assert!(remote.remove(object(b"x")).await.is_err());
}

#[tokio::test]
async fn a_web_server_is_asked_as_the_real_tool_asks() {
    let place = Place::new(Kind::Web, "user/repo.dvc/").await;
    let id = place.put(b"x").await.unwrap();
    place.remote.existing(&[id].into()).await.unwrap();
    let path = format!("user/repo.dvc/{}", id.path());
    assert_eq!(place.server().take_log(), [format!("POST {path}"), format!("GET {path}")]);
    let headers = place.server().store().upload_headers.clone();
    for (name, value) in
        [("transfer-encoding", "chunked"), ("content-type", "application/octet-stream"), ("authorization", BASIC)]
    {
        assert_eq!(headers[name], value);
    }
    assert!(!headers.contains_key("content-length"));
}

#[tokio::test]
async fn a_web_server_hears_of_who_asks_in_the_way_it_wants() {
    let server = web::start().await;
    let url = format!("http://{}/repo", server.address);
    let with_user = format!("http://user:{PASSWORD}@{}/repo", server.address);
    let mut with_token = access();
    with_token.token = Some(Secret::new(TOKEN.into()));
    let custom = [("url", &*url), ("auth", "custom"), ("custom_auth_header", "X-Token"), ("password", PASSWORD)];
    let put = [("url", &*url), ("auth", "Basic"), ("user", "user"), ("password", PASSWORD), ("method", "put")];
    for (remote, header, value) in [
        (open(&custom, &with_token), "x-token", PASSWORD),
        (open(&put, &with_token), "authorization", BASIC),
        (open(&[("url", &*with_user)], &with_token), "authorization", BASIC),
        (open(&[("url", &*url)], &with_token), "authorization", "Bearer session-token-3"),
    ] {
        server.store().wanted = Some((header, value.to_owned()));
        let remote = remote.unwrap();
        assert_eq!(remote.url(), url);
        assert_eq!(remote.existing(&[object(b"x")].into()).await.unwrap(), [].into());
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("x");
    fs::write_unsynced(&file, "x").unwrap();
    server.store().wanted = None;
    server.take_log();
    open(&put, &with_token).unwrap().put(object(b"x"), &file).await.unwrap();
    assert!(server.take_log()[0].starts_with("PUT repo/files/md5/"));
    // What cannot be a header.
    let bad = [("url", &*url), ("auth", "custom"), ("custom_auth_header", "X Token"), ("password", PASSWORD)];
    let error = open(&bad, &access()).unwrap().existing(&[object(b"x")].into()).await.unwrap_err();
    assert!(matches!(error, RemoteError::Net(NetError::BadHeader { .. })), "{error:?}");
    assert!(!told(&error).contains(PASSWORD));
}

#[tokio::test]
async fn a_bucket_is_asked_anonymously_only_where_that_is_said() {
    let place = Place::new(Kind::Bucket, "pre").await;
    let endpoint = format!("http://{}", place.server().address);
    let mut pairs = vec![("url", "s3://bucket/pre"), ("endpointurl", &*endpoint)];
    let error = open(&pairs, &access()).unwrap_err();
    assert!(matches!(error, RemoteError::Credentials { .. }), "{error:?}");
    pairs.push(("allow_anonymous_login", "true"));
    let remote = open(&pairs, &access()).unwrap();
    place.server().store().wanted = None;
    let id = place.plant(b"x");
    assert_eq!(remote.existing(&[id].into()).await.unwrap(), [id].into());
    place.server().store().wanted = Some(("authorization", String::new()));
    assert!(remote.existing(&[id].into()).await.is_err(), "nothing was signed");
}

#[cfg(unix)]
#[tokio::test]
async fn objects_in_a_folder_are_read_only_and_nothing_lies_beside_them() {
    use std::os::unix::fs::PermissionsExt;
    let place = Place::new(Kind::Folder, "pre").await;
    let ids: Vec<_> = (0..40_u8).map(|number| vec![number; 1000]).collect();
    let puts = futures_util::stream::iter(&ids).map(|content| place.put(content)).buffer_unordered(8);
    let ids: Vec<_> = puts.map(Result::unwrap).collect().await;
    place.remote.sync().await.unwrap();
    let files = fs::walk(&place.folder.path().join("pre")).unwrap();
    assert_eq!(files.len(), ids.len());
    for file in files {
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o444, "{file:?}");
    }
}
