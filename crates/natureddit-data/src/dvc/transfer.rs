//! `push`, `fetch` and `pull`: between the cache and remotes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::{StreamExt, stream};
use natureddit_core::fs;
use serde::Serialize;
use tokio::task::block_in_place;

use super::checkout::CheckedOut;
use super::error::{DvcError, first_names};
use super::hash::ObjectId;
use super::remote::{self, JOBS, Received, Remote, RemoteConfig};
use super::repo::{DvcRepo, Tracked, is_meant};
use super::tree::Tree;

/// What went to or came from remotes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Transferred {
    /// The addresses of the remotes.
    pub remotes: Vec<String>,
    /// Objects that were sent or received.
    pub objects: usize,
    /// Their length.
    pub bytes: u64,
}

/// What a pull did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Pulled {
    /// What came into the cache.
    pub fetched: Transferred,
    /// What came into the work tree.
    pub checked_out: CheckedOut,
}

/// How the cache differs from a remote.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CloudStatus {
    /// The address of the remote.
    pub remote: String,
    /// What the remote lacks: it would be pushed.
    pub new: Vec<String>,
    /// What the cache lacks: it would be fetched.
    pub deleted: Vec<String>,
    /// What both lack.
    pub missing: Vec<String>,
}

/// The outs that go to one remote, and their lists.
struct Share {
    remote: Box<dyn Remote>,
    jobs: usize,
    outs: Vec<Tracked>,
    /// What was named, which may lie in an out.
    targets: Vec<PathBuf>,
}

/// So many objects of a remote that is near are received in one go.
const TOGETHER: usize = 8;

/// Objects by name, and what each belongs to.
type Wanted = BTreeMap<ObjectId, String>;

impl DvcRepo {
    /// Sends what the targets point to; everything if there are none. Files go before the lists that name them, so that a
    /// list is never where its files are not.
    ///
    /// # Errors
    /// [`DvcError`]; what was sent stays sent.
    pub async fn push(&self, targets: &[PathBuf], remote: Option<&str>) -> Result<Transferred, DvcError> {
        let mut done = Transferred::default();
        let mut missing = Vec::new();
        let is_own = |tracked: &Tracked| tracked.out().is_pushed && !tracked.pointer.is_import;
        for share in self.shares(targets, remote, is_own)? {
            let trees = block_in_place(|| self.trees(&share.outs))?;
            let (files, lists) = self.to_push(&share, &trees, &mut missing).await?;
            let to_send: Vec<ObjectId> = files.keys().chain(lists.keys()).copied().collect();
            block_in_place(|| self.cache.verify_each(&to_send))?;
            done.remotes.push(share.remote.url().to_owned());
            self.options.progress.start("pushing", Some((files.len() + lists.len()) as u64));
            let sent = async {
                for objects in [&files, &lists] {
                    self.send(&share, objects, &mut done).await?;
                    if self.options.fsync {
                        share.remote.sync().await?;
                    }
                }
                Ok::<(), DvcError>(())
            };
            let sent = sent.await;
            self.options.progress.finish();
            sent?;
        }
        self.cache.write_state();
        if missing.is_empty() {
            return Ok(done);
        }
        let (count, names) = first_names(missing);
        Err(DvcError::Missing { count, remote: " nor in the remote".into(), names })
    }

    /// What the remote lacks: files, and lists whose files are all at hand or there.
    async fn to_push(
        &self,
        share: &Share,
        trees: &BTreeMap<ObjectId, Option<Arc<Tree>>>,
        missing: &mut Vec<String>,
    ) -> Result<(Wanted, Wanted), DvcError> {
        let tops: Wanted = self.tops(&share.outs);
        let there = share.remote.existing(&tops.keys().copied().collect()).await?;
        let (mut files, mut lists) = (Wanted::new(), Wanted::new());
        let is_settled = |id: &ObjectId| there.contains(id) && !(id.is_dir && share.remote.lists());
        for (&id, name) in tops.iter().filter(|(id, _)| !is_settled(id)) {
            match trees.get(&id) {
                Some(Some(tree)) => {
                    let files_there = share.remote.existing(&tree.objects(id.kind).collect()).await?;
                    let mut absent = 0;
                    let absent_files: Wanted = files_of(id, name, tree, |id| !files_there.contains(&id)).collect();
                    for (id, name) in absent_files {
                        if self.cache.has(id)? {
                            files.insert(id, name);
                        } else {
                            absent += 1;
                            missing.push(format!("{id} of {name}"));
                        }
                    }
                    if absent == 0 && !there.contains(&id) {
                        lists.insert(id, name.clone());
                    }
                }
                // Of a list that is only there, its files are taken for granted.
                Some(None) if there.contains(&id) => {}
                None if self.cache.has(id)? => _ = files.insert(id, name.clone()),
                _ => missing.push(format!("{id} of {name}")),
            }
        }
        Ok((files, lists))
    }

    async fn send(&self, share: &Share, objects: &Wanted, done: &mut Transferred) -> Result<(), DvcError> {
        let mut sending = stream::iter(spread(objects).into_iter().map(|(id, _)| async move {
            let path = self.cache.path(id);
            let bytes = fs::metadata(&path)?.len();
            share.remote.put(id, &path).await?;
            Ok::<u64, DvcError>(bytes)
        }))
        .buffer_unordered(share.jobs);
        while let Some(sent) = sending.next().await {
            done.bytes += sent?;
            done.objects += 1;
            self.options.progress.advance(1);
        }
        Ok(())
    }

    /// Receives what the targets point to and the cache lacks; everything if there are none.
    ///
    /// # Errors
    /// [`DvcError`]; what was received stays.
    pub async fn fetch(&self, targets: &[PathBuf], remote: Option<&str>) -> Result<Transferred, DvcError> {
        self.fetch_shares(&self.shares(targets, remote, |_| true)?).await
    }

    async fn fetch_shares(&self, shares: &[Share]) -> Result<Transferred, DvcError> {
        let mut done = Transferred::default();
        for share in shares {
            let trees = block_in_place(|| self.trees(&share.outs))?;
            let (mut wanted, mut lists) = (Wanted::new(), Wanted::new());
            for (id, name) in self.tops(&share.outs) {
                if !self.cache.has(id)? {
                    if id.is_dir { &mut lists } else { &mut wanted }.insert(id, name);
                }
            }
            done.remotes.push(share.remote.url().to_owned());
            let new_lists = self.receive_lists(share, &lists, &mut done).await?;
            let known = trees.iter().filter_map(|(id, tree)| tree.as_deref().map(|tree| (*id, tree)));
            let fresh = new_lists.iter().map(|(id, (_, tree))| (*id, tree));
            for (id, tree) in known.chain(fresh) {
                let name = share.outs.iter().find(|tracked| tracked.out().content.as_ref().is_some_and(|c| c.id == id));
                let name = name.map_or_else(String::new, |tracked| self.shown(&tracked.out().path));
                let out = self.root.join(&name);
                let absent = block_in_place(|| self.absent(id, &name, tree))?.into_iter();
                wanted.extend(absent.filter(|(_, name)| is_meant(&share.targets, &out, &self.root.join(name))));
            }
            self.receive(share, &wanted, &mut done).await?;
            block_in_place(|| self.adopt_lists(&new_lists))?;
        }
        block_in_place(|| self.cache.write_state());
        Ok(done)
    }

    /// [`DvcRepo::fetch`] and [`DvcRepo::checkout`].
    ///
    /// # Errors
    /// As theirs.
    pub async fn pull(&self, targets: &[PathBuf], remote: Option<&str>, force: bool) -> Result<Pulled, DvcError> {
        let shares = self.shares(targets, remote, |_| true)?;
        if block_in_place(|| self.is_pulled(&shares))? {
            self.cache.write_state();
            self.end_checkout(shares.iter().flat_map(|share| &share.outs).map(|tracked| tracked.out().path.as_path()))?;
            let remotes = shares.iter().map(|share| share.remote.url().to_owned()).collect();
            return Ok(Pulled { fetched: Transferred { remotes, ..Transferred::default() }, ..Pulled::default() });
        }
        let fetched = self.fetch_shares(&shares).await?;
        let checked_out = block_in_place(|| self.checkout(targets, force))?;
        Ok(Pulled { fetched, checked_out })
    }

    /// Whether cache and work tree have everything already, which are looked at side by side: of most pulls it is so.
    fn is_pulled(&self, shares: &[Share]) -> Result<bool, DvcError> {
        let outs: Vec<Tracked> = shares.iter().flat_map(|share| share.outs.iter().cloned()).collect();
        let (mut ids, mut is_whole): (Vec<ObjectId>, _) = (self.tops(&outs).into_keys().collect(), true);
        for (id, tree) in self.trees(&outs)? {
            is_whole &= tree.is_some();
            ids.extend(tree.iter().flat_map(|tree| tree.objects(id.kind)));
        }
        if !is_whole {
            return Ok(false);
        }
        let (has, in_place) = rayon::join(|| self.cache.has_each(&ids), || self.are_in_place(&outs));
        Ok(in_place? && has?.into_iter().all(|has| has))
    }

    /// Receives lists beside their places, where nothing points to them yet.
    async fn receive_lists(
        &self,
        share: &Share,
        lists: &Wanted,
        done: &mut Transferred,
    ) -> Result<BTreeMap<ObjectId, (PathBuf, Tree)>, DvcError> {
        let mut trees = BTreeMap::new();
        for (&id, name) in lists {
            let partial = self.receive_one(share, id, name, done).await?;
            let bytes = fs::read(&partial)?;
            let tree = Tree::parse(&bytes).map_err(|source| DvcError::Tree { id, source })?;
            trees.insert(id, (partial, tree));
        }
        Ok(trees)
    }

    async fn receive(&self, share: &Share, wanted: &Wanted, done: &mut Transferred) -> Result<(), DvcError> {
        self.options.progress.start("fetching", Some(wanted.len() as u64));
        let wanted = spread(wanted);
        // Side by side they are hashed faster; from servers each comes when it comes.
        let (together, jobs) =
            if share.remote.is_near() { (TOGETHER, share.jobs.div_ceil(2)) } else { (1, share.jobs) };
        let groups = stream::iter(wanted.chunks(together).map(|group| self.receive_group(share, group)));
        let mut receiving = groups.buffer_unordered(jobs).flat_map(stream::iter);
        // The others are received all the same: what came is not asked for again.
        let (mut missing, mut failure) = (Vec::new(), None);
        while let Some(received) = receiving.next().await {
            self.options.progress.advance(1);
            match received {
                Ok(one) => {
                    done.objects += one.objects;
                    done.bytes += one.bytes;
                }
                Err(DvcError::Missing { names, .. }) => missing.push(names),
                Err(error @ DvcError::Corrupt { .. }) => failure = failure.or(Some(error)),
                Err(error) => {
                    failure = Some(error);
                    break;
                }
            }
        }
        drop(receiving);
        self.options.progress.finish();
        block_in_place(|| self.barrier())?;
        match failure {
            Some(error) => Err(error),
            None if missing.is_empty() => Ok(()),
            None => {
                let (count, names) = first_names(missing);
                Err(DvcError::Missing { count, remote: format!(" nor in {}", share.remote.url()), names })
            }
        }
    }

    /// Receives objects and takes them into the cache, each for itself.
    async fn receive_group(&self, share: &Share, group: &[(ObjectId, &str)]) -> Vec<Result<Transferred, DvcError>> {
        let partials = group.iter().map(|(id, _)| Ok((*id, self.cache.partial(*id)?)));
        let wanted: Vec<(ObjectId, PathBuf)> = match partials.collect::<Result<_, DvcError>>() {
            Ok(wanted) => wanted,
            Err(error) => return vec![Err(error)],
        };
        let received = share.remote.get_each(&wanted, self.options.object_bytes_max).await;
        let adopted = wanted.iter().zip(group).zip(received).map(|(((id, partial), (_, name)), received)| {
            let mut one = Transferred::default();
            self.check_received(share, *id, name, partial, received?, &mut one)?;
            self.cache.adopt_received(*id, partial)?;
            Ok(one)
        });
        adopted.collect()
    }

    /// Receives an object into a new file of the cache's file system and compares its hash.
    async fn receive_one(
        &self,
        share: &Share,
        id: ObjectId,
        name: &str,
        done: &mut Transferred,
    ) -> Result<PathBuf, DvcError> {
        let partial = self.cache.partial(id)?;
        let received = share.remote.get(id, &partial, self.options.object_bytes_max).await?;
        self.check_received(share, id, name, &partial, received, done)?;
        Ok(partial)
    }

    fn check_received(
        &self,
        share: &Share,
        id: ObjectId,
        name: &str,
        partial: &Path,
        received: Option<Received>,
        done: &mut Transferred,
    ) -> Result<(), DvcError> {
        let Some(received) = received else {
            let names = format!("{id} of {name}");
            return Err(DvcError::Missing { count: 1, remote: format!(" nor in {}", share.remote.url()), names });
        };
        if received.md5 != id.md5 {
            return Err(self.cache.put_aside(id, partial, received.md5, share.remote.url())?);
        }
        done.objects += 1;
        done.bytes += received.bytes;
        Ok(())
    }

    /// Now that their files are there.
    fn adopt_lists(&self, lists: &BTreeMap<ObjectId, (PathBuf, Tree)>) -> Result<(), DvcError> {
        for (&id, (partial, _)) in lists {
            self.cache.adopt_received(id, partial)?;
        }
        self.barrier()
    }

    /// How the cache differs from the remotes in what the targets point to.
    ///
    /// # Errors
    /// [`DvcError`].
    pub async fn cloud_status(&self, targets: &[PathBuf], remote: Option<&str>) -> Result<Vec<CloudStatus>, DvcError> {
        let mut statuses = Vec::new();
        for share in self.shares(targets, remote, |_| true)? {
            let mut wanted = self.tops(&share.outs);
            for (id, tree) in block_in_place(|| self.trees(&share.outs))? {
                let name = wanted.get(&id).cloned().unwrap_or_default();
                wanted.extend(tree.iter().flat_map(|tree| files_of(id, &name, tree, |_| true)));
            }
            let there = share.remote.existing(&wanted.keys().copied().collect()).await?;
            let mut status = CloudStatus { remote: share.remote.url().to_owned(), ..CloudStatus::default() };
            for (id, name) in wanted {
                match (self.cache.has(id)?, there.contains(&id)) {
                    (true, true) => {}
                    (true, false) => status.new.push(name),
                    (false, true) => status.deleted.push(name),
                    (false, false) => status.missing.push(name),
                }
            }
            statuses.push(status);
        }
        Ok(statuses)
    }

    /// The objects that outs name themselves.
    fn tops(&self, outs: &[Tracked]) -> Wanted {
        let content = |tracked: &Tracked| {
            let out = tracked.out();
            out.content.as_ref().map(|content| (content.id, self.shown(&out.path)))
        };
        outs.iter().filter_map(content).collect()
    }

    /// The objects of a list's files that the cache lacks.
    fn absent(&self, id: ObjectId, name: &str, tree: &Tree) -> Result<Wanted, DvcError> {
        let ids: Vec<ObjectId> = tree.objects(id.kind).collect();
        let has = self.cache.has_each(&ids)?;
        let absent: BTreeSet<ObjectId> = ids.into_iter().zip(has).filter(|(_, has)| !has).map(|(id, _)| id).collect();
        Ok(files_of(id, name, tree, |id| absent.contains(&id)).collect())
    }

    /// The targets by the remote that each goes to.
    fn shares(
        &self,
        targets: &[PathBuf],
        remote: Option<&str>,
        is_meant: impl Fn(&Tracked) -> bool,
    ) -> Result<Vec<Share>, DvcError> {
        let mut by_remote: BTreeMap<String, Vec<Tracked>> = BTreeMap::new();
        let default = remote.or(self.config.default_remote());
        for tracked in self.tracked(targets)? {
            if !tracked.out().is_cached || tracked.out().content.is_none() || !is_meant(&tracked) {
                continue;
            }
            let name = tracked.out().remote.as_deref().or(default).ok_or(DvcError::NoRemote)?.to_owned();
            by_remote.entry(name).or_default().push(tracked);
        }
        let mut shares = Vec::new();
        for (name, outs) in by_remote {
            let (remote, jobs) = self.remote(&name)?;
            shares.push(Share { remote, jobs, outs, targets: targets.to_vec() });
        }
        Ok(shares)
    }

    /// A remote by its name, and how many objects may be under way.
    pub(super) fn remote(&self, name: &str) -> Result<(Box<dyn Remote>, usize), DvcError> {
        let options = self.config.remote(name).ok_or_else(|| DvcError::UnknownRemote { name: name.to_owned() })?;
        let config = RemoteConfig::from_options(name, options)?;
        let jobs = match (self.options.jobs, config.jobs) {
            (0, Some(jobs)) => jobs.get(),
            (0, None) => JOBS,
            (jobs, _) => jobs,
        };
        Ok((remote::from_config(&config, &self.options.access)?, jobs.max(1)))
    }
}

/// Objects in an order in which neighbours do not lie in one folder: whoever makes files in one waits for others that do.
fn spread(objects: &Wanted) -> Vec<(ObjectId, &str)> {
    let mut objects: Vec<(ObjectId, &str)> = objects.iter().map(|(id, name)| (*id, name.as_str())).collect();
    objects.sort_by_key(|(id, _)| id.md5.bytes()[15]);
    objects
}

/// Those of the objects of a list's files that are meant, and where each belongs below the folder `name`.
fn files_of<'a>(
    id: ObjectId,
    name: &'a str,
    tree: &'a Tree,
    is_meant: impl Fn(ObjectId) -> bool + 'a,
) -> impl Iterator<Item = (ObjectId, String)> + 'a {
    let files = tree.files.iter().map(move |(file, &md5)| (ObjectId { md5, is_dir: false, ..id }, file));
    files.filter(move |(id, _)| is_meant(*id)).map(move |(id, file)| (id, format!("{name}/{file}")))
}
