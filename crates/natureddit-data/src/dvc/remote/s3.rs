//! A remote on S3, or what speaks like it. Nothing else names `object_store`.

mod transport;

use std::collections::BTreeSet;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{self, BoxFuture};
use futures_util::{FutureExt, StreamExt, TryStreamExt, stream};
use natureddit_core::Secret;
use natureddit_core::fs::{self, FsError};
use natureddit_net::BodySink;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path as Key;
use object_store::{BackoffConfig, MultipartUpload, ObjectStore, ObjectStoreExt, RetryConfig};
use tokio::sync::OnceCell;

use super::incoming::Incoming;
use super::{Access, AwsAccess, JOBS, Received, Remote, RemoteConfig, RemoteError, S3Place, aws, folder_of};
use crate::dvc::hash::{HashKind, ObjectId};
use crate::images::on_a_thread;

/// Longer objects go up in parts of this size: whole, as many as are under way at a time would fill the memory.
const PART_BYTES: u64 = 8 << 20;

/// Parts an object may have on S3.
const PARTS_MAX: u64 = 10_000;

/// So many objects are asked for one by one; of more, the folders they would lie in are listed where that is less to ask.
const LOOKUPS_MAX: usize = 32;

/// Objects a page of a list has.
const PAGE_OBJECTS: usize = 1000;

/// A list is read whole, page after page, up to so many; a longer one folder by folder, many at a time.
const PAGES_MAX: usize = 16;

/// The longest an attempt is repeated: what is signed is not valid much longer.
const RETRY_MAX: Duration = Duration::from_secs(180);

/// See the module.
#[derive(Debug)]
pub(super) struct S3 {
    store: AmazonS3,
    prefix: String,
    shown: String,
    secrets: Vec<Secret>,
    jobs: usize,
    /// That the bucket is there: asked for one object, a server does not tell an absent bucket from an absent object.
    bucket: OnceCell<()>,
}

impl S3 {
    pub(super) fn new(config: &RemoteConfig, place: &S3Place, access: &Access) -> Result<Self, RemoteError> {
        let separator = if place.prefix.is_empty() { "" } else { "/" };
        let shown = format!("s3://{}{separator}{}", place.bucket, place.prefix);
        let failed = |option: &str, why: String| RemoteError::Option {
            remote: config.name.clone(),
            option: option.to_owned(),
            why,
        };
        Key::parse(&place.prefix).map_err(|e| failed("url", e.to_string()))?;
        let (aws, region) = aws::access(place, access.aws.as_ref(), &access.aws_files)?;
        let region = region.as_deref().unwrap_or("us-east-1");
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(&place.bucket)
            .with_region(region)
            .with_retry(retry(access))
            // One object at a time is removed, and not every server knows how to remove many.
            .with_disable_bulk_delete(true)
            .with_http_connector(transport::Connector::new(config, access)?);
        builder = match (&place.endpoint_url, place.use_ssl) {
            (Some(url), _) => builder.with_endpoint(url.as_str().trim_end_matches('/')),
            (None, false) => builder.with_endpoint(format!("http://s3.{region}.amazonaws.com")),
            // A name with a dot is not in the server's certificate.
            (None, true) => builder.with_virtual_hosted_style_request(!place.bucket.contains('.')),
        };
        builder = match &aws {
            _ if place.allow_anonymous_login => builder.with_skip_signature(true),
            Some(aws) => signed(builder, aws),
            None => return Err(RemoteError::Credentials { remote: config.name.clone(), url: shown }),
        };
        let store = builder.build().map_err(|e| failed("url", e.to_string()))?;
        let secrets = aws.iter().flat_map(|aws| [Some(&aws.secret_access_key), aws.session_token.as_ref()]);
        Ok(Self {
            store,
            prefix: place.prefix.clone(),
            shown,
            secrets: secrets.flatten().cloned().collect(),
            jobs: config.jobs.map_or(JOBS, std::num::NonZero::get),
            bucket: OnceCell::new(),
        })
    }

    /// Below the prefix.
    fn key(&self, path: &str) -> Result<Key, RemoteError> {
        let separator = if self.prefix.is_empty() { "" } else { "/" };
        Key::parse(format!("{}{separator}{path}", self.prefix))
            .map_err(|e| RemoteError::S3 { url: self.shown.clone(), reason: e.to_string() })
    }

    fn error(&self, error: &object_store::Error) -> RemoteError {
        let url = || self.shown.clone();
        match error {
            object_store::Error::Unauthenticated { .. } => RemoteError::Access { url: url(), status: 401 },
            object_store::Error::PermissionDenied { .. } => RemoteError::Access { url: url(), status: 403 },
            // Servers repeat what they were sent.
            other => RemoteError::S3 { url: url(), reason: without(&self.secrets, other.to_string()) },
        }
    }

    async fn upload(&self, id: ObjectId, from: &Path) -> Result<(), RemoteError> {
        let key = self.key(&id.path())?;
        let mut file = Parts::open(from).await?;
        let first = file.next().await?;
        if file.is_at_end() {
            return self.store.put(&key, first.into()).await.map(drop).map_err(|e| self.error(&e));
        }
        let mut upload = self.store.put_multipart(&key).await.map_err(|e| self.error(&e))?;
        let sent = self.upload_parts(&mut *upload, first, file).await;
        if sent.is_err() {
            // The server would keep the parts, and charge for them.
            let _ = upload.abort().await;
        }
        sent
    }

    async fn upload_parts(
        &self,
        upload: &mut dyn MultipartUpload,
        first: Bytes,
        mut file: Parts,
    ) -> Result<(), RemoteError> {
        let mut part = first;
        while !part.is_empty() {
            upload.put_part(part.into()).await.map_err(|e| self.error(&e))?;
            part = file.next().await?;
        }
        upload.complete().await.map(drop).map_err(|e| self.error(&e))
    }

    async fn download(&self, id: ObjectId, to: &Path, bytes_max: u64) -> Result<Option<Received>, RemoteError> {
        let mut incoming = Incoming::new(id, &self.shown, to, bytes_max);
        let object = match self.store.get(&self.key(&id.path())?).await {
            Ok(object) => object,
            Err(error @ object_store::Error::NotFound { .. }) if !is_about_bucket(&error) => return Ok(None),
            Err(error) => return Err(self.error(&error)),
        };
        let bytes_expected = object.meta.size;
        if bytes_expected > bytes_max {
            return Err(incoming.too_many_bytes());
        }
        let mut body = object.into_stream();
        while let Some(part) = body.try_next().await.map_err(|e| self.error(&e))? {
            incoming.take(part).await?;
        }
        match incoming.bytes() {
            bytes if bytes == bytes_expected => incoming.finish().await.map(Some),
            bytes => Err(RemoteError::CutShort { url: self.shown.clone(), id, bytes, bytes_expected }),
        }
    }

    /// The objects in a folder, and below it.
    async fn objects_below(&self, folder: &str) -> Result<BTreeSet<ObjectId>, RemoteError> {
        let prefix = if folder.is_empty() { Key::parse(&self.prefix).ok() } else { Some(self.key(folder)?) };
        let mut found = self.store.list(prefix.as_ref().filter(|prefix| !prefix.is_root()));
        let mut objects = BTreeSet::new();
        while let Some(object) = found.try_next().await.map_err(|e| self.error(&e))? {
            let key: &str = object.location.as_ref();
            let path = key.strip_prefix(&self.prefix).map(|path| path.trim_start_matches('/'));
            objects.extend(path.and_then(ObjectId::from_path));
        }
        Ok(objects)
    }

    async fn all_below(&self, folders: BTreeSet<String>) -> Result<BTreeSet<ObjectId>, RemoteError> {
        let list = async |folder: String| self.objects_below(&folder).await;
        let lists = stream::iter(folders).map(list).buffer_unordered(self.jobs);
        lists
            .try_fold(BTreeSet::new(), |mut all, some| {
                future::ready(Ok({
                    all.extend(some);
                    all
                }))
            })
            .await
    }

    async fn has(&self, id: ObjectId) -> Result<bool, RemoteError> {
        match self.store.head(&self.key(&id.path())?).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => {
                self.bucket.get_or_try_init(|| self.require_bucket(id)).await?;
                Ok(false)
            }
            Err(error) => Err(self.error(&error)),
        }
    }

    async fn require_bucket(&self, id: ObjectId) -> Result<(), RemoteError> {
        // Nothing lies below an object, so that this list is empty.
        self.objects_below(&id.path()).await.map(drop)
    }

    async fn look_up(&self, ids: &BTreeSet<ObjectId>) -> Result<BTreeSet<ObjectId>, RemoteError> {
        let look = async |id: ObjectId| Ok(self.has(id).await?.then_some(id));
        let looked = stream::iter(ids.iter().copied()).map(look).buffer_unordered(self.jobs);
        looked.try_filter_map(|found| future::ready(Ok(found))).try_collect().await
    }

    /// Those of one layout. How much there is in all, one of the 256 folders tells: hashes are spread evenly.
    async fn existing_of(&self, kind: HashKind, ids: &BTreeSet<ObjectId>) -> Result<BTreeSet<ObjectId>, RemoteError> {
        if ids.len() <= LOOKUPS_MAX {
            return self.look_up(ids).await;
        }
        let mut folders: BTreeSet<_> = ids.iter().map(|id| folder_of(*id)).collect();
        let first = folders.pop_first().unwrap_or_default();
        let mut there = self.objects_below(&first).await?;
        let pages_of_folder = there.len() / PAGE_OBJECTS + 1;
        let (pages_of_all, pages_of_folders) = (there.len() * 256 / PAGE_OBJECTS + 1, pages_of_folder * folders.len());
        // In the layout of DVC 2, below the folder of all is also what lies in the other layout.
        if kind == HashKind::Md5 && pages_of_all <= PAGES_MAX.min(pages_of_folders) {
            there.extend(self.objects_below("files/md5").await?);
        } else if ids.len() <= pages_of_folders {
            let rest = ids.iter().copied().filter(|id| folder_of(*id) != first).collect();
            there.extend(self.look_up(&rest).await?);
        } else {
            there.extend(self.all_below(folders).await?);
        }
        Ok(ids.intersection(&there).copied().collect())
    }

    async fn existing_ids(&self, ids: &BTreeSet<ObjectId>) -> Result<BTreeSet<ObjectId>, RemoteError> {
        let mut existing = BTreeSet::new();
        for kind in [HashKind::Md5, HashKind::Md5Dos2Unix] {
            let ids: BTreeSet<_> = ids.iter().copied().filter(|id| id.kind == kind).collect();
            existing.extend(self.existing_of(kind, &ids).await?);
        }
        Ok(existing)
    }

    async fn delete(&self, id: ObjectId) -> Result<(), RemoteError> {
        match self.store.delete(&self.key(&id.path())?).await {
            Err(error) if !matches!(error, object_store::Error::NotFound { .. }) || is_about_bucket(&error) => {
                Err(self.error(&error))
            }
            _ => Ok(()),
        }
    }
}

fn retry(access: &Access) -> RetryConfig {
    let policy = access.client.retry;
    RetryConfig {
        backoff: BackoffConfig { init_backoff: policy.backoff, max_backoff: policy.backoff_max, base: 2.0 },
        max_retries: policy.retries_max as usize,
        retry_timeout: RETRY_MAX,
    }
}

fn signed(builder: AmazonS3Builder, aws: &AwsAccess) -> AmazonS3Builder {
    let builder = builder.with_access_key_id(&aws.access_key_id).with_secret_access_key(aws.secret_access_key.expose());
    match &aws.session_token {
        Some(token) => builder.with_token(token.expose()),
        None => builder,
    }
}

/// Whether an object was not found because the bucket was not.
fn is_about_bucket(error: &object_store::Error) -> bool {
    error.to_string().contains("NoSuchBucket")
}

fn without(secrets: &[Secret], text: String) -> String {
    let secrets = secrets.iter().map(Secret::expose).filter(|secret| !secret.is_empty());
    secrets.fold(text, |text, secret| text.replace(secret, "***"))
}

/// A file, read in parts away from the threads on which others wait.
struct Parts {
    file: Option<std::fs::File>,
    path: std::path::PathBuf,
    part_bytes: u64,
    bytes_left: u64,
}

impl Parts {
    async fn open(path: &Path) -> Result<Self, FsError> {
        let path = path.to_owned();
        on_a_thread(move || {
            let file = fs::open(&path)?;
            let bytes = file.metadata().map_err(|e| FsError::new("read", &path, e))?.len();
            let part_bytes = PART_BYTES.max(bytes.div_ceil(PARTS_MAX));
            Ok(Self { file: Some(file), path, part_bytes, bytes_left: bytes })
        })
        .await
    }

    fn is_at_end(&self) -> bool {
        self.bytes_left == 0
    }

    /// Empty at the end.
    async fn next(&mut self) -> Result<Bytes, FsError> {
        let wanted = self.part_bytes.min(self.bytes_left);
        let Some(file) = self.file.take().filter(|_| wanted > 0) else { return Ok(Bytes::new()) };
        let read = move || {
            let mut part = Vec::with_capacity(usize::try_from(wanted).unwrap_or_default());
            let read = (&file).take(wanted).read_to_end(&mut part);
            (file, read.map(|_| part))
        };
        let (file, part) = on_a_thread(read).await;
        let part = part.map_err(|e| FsError::new("read", &self.path, e))?;
        if (part.len() as u64) < wanted {
            let error = std::io::Error::new(std::io::ErrorKind::UnexpectedEof, "it became shorter");
            return Err(FsError::new("read", &self.path, error));
        }
        self.file = Some(file);
        self.bytes_left -= wanted;
        Ok(part.into())
    }
}

impl Remote for S3 {
    fn url(&self) -> &str {
        &self.shown
    }

    fn lists(&self) -> bool {
        true
    }

    fn existing<'a>(&'a self, ids: &'a BTreeSet<ObjectId>) -> BoxFuture<'a, Result<BTreeSet<ObjectId>, RemoteError>> {
        self.existing_ids(ids).boxed()
    }

    fn put<'a>(&'a self, id: ObjectId, from: &'a Path) -> BoxFuture<'a, Result<(), RemoteError>> {
        self.upload(id, from).boxed()
    }

    fn get<'a>(
        &'a self,
        id: ObjectId,
        to: &'a Path,
        bytes_max: u64,
    ) -> BoxFuture<'a, Result<Option<Received>, RemoteError>> {
        self.download(id, to, bytes_max).boxed()
    }

    fn list(&self) -> BoxFuture<'_, Result<BTreeSet<ObjectId>, RemoteError>> {
        self.objects_below("").boxed()
    }

    fn remove(&self, id: ObjectId) -> BoxFuture<'_, Result<(), RemoteError>> {
        self.delete(id).boxed()
    }
}
