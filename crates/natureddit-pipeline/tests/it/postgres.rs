//! A PostgreSQL server for the tests of a run, where its programs are installed.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use natureddit_core::fs;
use natureddit_pipeline::MetadataLocation;
use natureddit_pipeline::metadata::PostgresAddress;
use tempfile::TempDir;
use url::Url;

/// Says that a test did nothing.
pub(crate) fn skip() {
    eprintln!("skipped: no PostgreSQL (initdb, pg_ctl, psql) is installed, or nobody but root could run it");
}

/// A database on a server of its own, which ends with it.
pub(crate) struct Database {
    dir: TempDir,
    programs: PathBuf,
    user: Option<(u32, u32)>,
    port: u16,
}

impl Database {
    /// `None` where PostgreSQL is not installed, or refuses to run because only root is there.
    pub(crate) fn new() -> Option<Self> {
        let programs = programs()?;
        let user = user()?;
        let dir = tempfile::tempdir().unwrap();
        if let Some((uid, gid)) = user {
            std::os::unix::fs::chown(dir.path(), Some(uid), Some(gid)).unwrap();
        }
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let database = Self { dir, programs, user, port };
        let data = database.data();
        let data = data.to_str().unwrap();
        let initdb = ["--pgdata", data, "--auth", "trust", "--username", "ml", "--no-sync"];
        if !database.succeeds("initdb", &initdb) {
            // The other user may not be let into the folder of temporary files.
            return None;
        }
        let folder = database.dir.path().display();
        let options = format!("-p {port} -k {folder} -c listen_addresses=127.0.0.1 -c fsync=off");
        let log = database.dir.path().join("log");
        database.run("pg_ctl", &["--pgdata", data, "--options", &options, "--log", log.to_str()?, "-w", "start"]);
        database.run("createdb", &["--host", "127.0.0.1", "--port", &port.to_string(), "--username", "ml", "mlmd"]);
        Some(database)
    }

    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.programs.join(program));
        command.current_dir(self.dir.path()).env("LC_ALL", "C").stdin(Stdio::null());
        if let Some((uid, gid)) = self.user {
            command.uid(uid).gid(gid);
        }
        command
    }

    fn succeeds(&self, program: &str, arguments: &[&str]) -> bool {
        // The server outlives pg_ctl, and must not hold a pipe that is read to its end.
        let mut command = self.command(program);
        command.args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap().success()
    }

    fn run(&self, program: &str, arguments: &[&str]) {
        assert!(self.succeeds(program, arguments), "{program} {arguments:?}");
    }

    pub(crate) fn location(&self) -> MetadataLocation {
        let url = format!("postgresql://ml@127.0.0.1:{}/mlmd", self.port);
        MetadataLocation::Server(Box::new(PostgresAddress::new(Url::parse(&url).unwrap(), None).unwrap()))
    }

    /// What one query says, as text.
    pub(crate) fn query(&self, sql: &str) -> String {
        let port = self.port.to_string();
        let arguments = ["--host", "127.0.0.1", "--port", &port, "--username", "ml", "--tuples-only", "--no-align"];
        let output = self.command("psql").args(arguments).args(["--command", sql, "mlmd"]).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let data = self.data();
        let arguments = ["--pgdata", data.to_str().unwrap_or_default(), "-m", "immediate", "-w", "stop"];
        // A server that has ended already is stopped as well.
        let _ = self.command("pg_ctl").args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
}

/// The folder of PostgreSQL's programs, which Debian keeps out of PATH.
fn programs() -> Option<PathBuf> {
    let versions = fs::optional(fs::read_dir(Path::new("/usr/lib/postgresql"))).ok()?.unwrap_or_default();
    let mut folders: Vec<_> = versions.into_iter().map(|version| version.join("bin")).collect();
    folders.extend(["/usr/local/pgsql/bin", "/usr/local/bin", "/usr/bin"].map(PathBuf::from));
    folders
        .into_iter()
        .find(|folder| ["initdb", "pg_ctl", "psql", "createdb"].iter().all(|name| folder.join(name).exists()))
}

/// Whom the server is run as: `Some(None)` for whoever runs the test, and for root somebody else, if there is one.
fn user() -> Option<Option<(u32, u32)>> {
    use std::os::unix::fs::MetadataExt;
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // A file that was just made belongs to whoever made it.
    let probe = std::env::temp_dir().join(format!(
        "natureddit-{}-{}",
        std::process::id(),
        NEXT.fetch_add(1, Ordering::Relaxed)
    ));
    fs::write_atomic(&probe, "").ok()?;
    let is_root = fs::metadata(&probe).ok()?.uid() == 0;
    let _ = fs::remove_file(&probe);
    if !is_root {
        return Some(None);
    }
    let passwd = fs::read_to_string(Path::new("/etc/passwd")).ok()?;
    let entry = |name: &str| {
        let line = passwd.lines().find(|line| line.starts_with(&format!("{name}:")))?;
        let mut fields = line.split(':').skip(2);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    entry("postgres").or_else(|| entry("nobody")).map(Some)
}
