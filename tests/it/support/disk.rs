//! Disks that fail: a file system of its own for a service's ledger, seen by that service alone.
//!
//! Needs user namespaces (`unshare -rm`), as any Linux has unless they are turned off. A test that cannot have one fails
//! and says so: nothing is passed over in silence.

use std::{
    ffi::OsString,
    fs,
    io::{BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};

/// Enough for the ledger of a test, and soon full.
const SIZE: &str = "2m";

/// A file system that is mounted where the ledger is to be, before the service begins.
#[derive(Debug)]
pub(crate) struct Disk {
    options: String,
    folder: PathBuf,
    pid: u32,
}

/// A file system that answers nothing, until this is dropped.
#[derive(Debug)]
pub(crate) struct Hang(Child);

impl Drop for Hang {
    fn drop(&mut self) {
        // One that has ended already needs neither.
        let _ended = self.0.kill();
        let _reaped = self.0.wait();
    }
}

impl Disk {
    /// One that can be filled.
    pub(crate) fn small() -> Self {
        Self::mounted(format!("size={SIZE},mode=700"))
    }

    /// One that cannot be written.
    pub(crate) fn read_only() -> Self {
        Self::mounted(format!("ro,size={SIZE},mode=700"))
    }

    fn mounted(options: String) -> Self {
        let tried = command("unshare").args(["-rm", "true"]).output();
        let can = tried.as_ref().is_ok_and(|tried| tried.status.success());
        assert!(
            can,
            "NOT TESTED: this machine does not allow a separate mount (unshare -rm: {tried:?})"
        );
        Self {
            options,
            folder: PathBuf::new(),
            pid: 0,
        }
    }

    /// The command line that runs `program` with the file system on `folder`.
    pub(crate) fn wrap(&mut self, folder: &Path, program: &[OsString]) -> Vec<OsString> {
        fs::create_dir_all(folder).unwrap();
        folder.clone_into(&mut self.folder);
        let mount = r#"mount -t tmpfs -o "$1" tmpfs "$2" && shift 2 && exec "$@""#;
        let mut words: Vec<OsString> = ["unshare", "-rm", "sh", "-c", mount, "sh"]
            .map(OsString::from)
            .to_vec();
        words.extend([self.options.clone().into(), folder.into()]);
        words.extend_from_slice(program);
        words
    }

    /// The service that has it; each program before it has made way for the next.
    pub(super) const fn belongs_to(&mut self, pid: u32) {
        self.pid = pid;
    }

    /// Where the test sees it.
    fn filler(&self) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.pid));
        let folder = self.folder.strip_prefix("/").unwrap();
        root.join(folder).join("filler")
    }

    /// Takes all that is free.
    pub(crate) fn fill(&self) {
        let mut options = fs::OpenOptions::new();
        let mut file = options
            .create(true)
            .append(true)
            .open(self.filler())
            .unwrap();
        // Down to the last byte.
        for block in [4096, 64, 1] {
            while file.write_all(&vec![0; block]).is_ok() {}
        }
    }

    /// Gives it back.
    pub(crate) fn empty(&self) {
        fs::remove_file(self.filler()).unwrap();
    }

    /// Puts a file system over `folder`, for the service alone, that answers nothing, as a network mount does whose server is gone.
    /// It does so until what this gives is dropped.
    pub(crate) fn hang(&self, folder: &Path) -> Hang {
        // A FUSE mount without a server. `cat` holds it open.
        let mount = "exec 3<>/dev/fuse && mount -i -t fuse -o fd=3,rootmode=40000,user_id=0,group_id=0 hangs \"$1\" && echo mounted && exec cat";
        let mut holder = self
            .in_its_namespace()
            .args(["sh", "-c", mount, "sh"])
            .arg(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = String::new();
        let output = holder.stdout.as_mut().unwrap();
        BufReader::new(output).read_line(&mut said).unwrap();
        assert_eq!(said, "mounted\n", "NOT TESTED: this machine has no FUSE");
        Hang(holder)
    }

    /// Ends a [`hang`](Self::hang) and takes its file system away: what is underneath is there again.
    pub(crate) fn thaw(&self, hang: Hang, folder: &Path) {
        drop(hang);
        let unmounted = self.in_its_namespace().arg("umount").arg(folder).output();
        let unmounted = unmounted.unwrap();
        assert!(unmounted.status.success(), "{unmounted:?}");
    }

    /// Runs what is added to it where the service is.
    fn in_its_namespace(&self) -> Command {
        let mut nsenter = command("nsenter");
        nsenter.args(["-t", &self.pid.to_string(), "-U", "-m"]);
        nsenter.arg("--preserve-credentials");
        nsenter
    }

    /// Mounts it again, writable.
    pub(crate) fn make_writable(&self) {
        let mut remount = self.in_its_namespace();
        remount
            .args(["mount", "-o", "remount,rw"])
            .arg(&self.folder);
        let remounted = remount.output().unwrap();
        assert!(remounted.status.success(), "{remounted:?}");
    }
}

/// Lets a running process write no file beyond `size`; `None`: as large as it may.
pub(crate) fn limit_files(pid: u32, size: Option<u64>) {
    let Rlimit { maximum, .. } = getrlimit(Resource::Fsize);
    let current = size.or(maximum);
    let pid = Pid::from_raw(i32::try_from(pid).unwrap());
    prlimit(pid, Resource::Fsize, Rlimit { current, maximum }).unwrap();
}

fn command(program: &str) -> Command {
    #[expect(
        clippy::disallowed_methods,
        reason = "a test mounts a file system as an operator would"
    )]
    Command::new(program)
}
