//! The packages of `scripts/package` as an administrator handles them: installed, upgraded, removed, purged.
//!
//! Each happens in a root file system of its own: this machine's, copied on write, so that dpkg, its database, Chrome and the
//! rest are real, and nothing stays. It is a root in every sense (`pivot_root`, not `chroot`), since Chrome's sandbox cannot
//! be made in a changed root. Needs root, or `sudo` that asks nothing; a test that cannot have it fails and says so.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
};

use serde_json::Value;
use tempfile::TempDir;

use crate::{
    docs::assert_links_lead_somewhere,
    support::{PROGRAM, terminal::Printed},
};

const HOME: &str = "/var/lib/session-manager";
const SETTINGS: &str = "/etc/session-manager/session-manager.env";

/// Makes the root and waits until its standard input is closed: then it ends, and all its mounts with it.
const MAKE_ROOT: &str = r#"
set -e
work=$1 packages=$2
mount -t tmpfs tmpfs "$work"
mkdir "$work/upper" "$work/work" "$work/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$work/upper,workdir=$work/work" "$work/root"
cd "$work/root"
mkdir packages old-root
cp "$packages"/*.deb packages/
for folder in dev proc sys; do mount --rbind "/$folder" "$folder"; done
# Nothing of this machine that runs is seen: its systemd must not be told of a service.
for folder in run tmp; do mount -t tmpfs -o mode=1777 tmpfs "$folder"; done
pivot_root . old-root
umount -l old-root
echo $$
exec cat
"#;

/// A root file system of its own.
struct Root {
    holder: Child,
    /// Closed when this is dropped.
    lifetime: Option<ChildStdin>,
    pid: String,
    _work: TempDir,
}

impl Root {
    fn new(packages: &Path) -> Self {
        let work = TempDir::new().unwrap();
        let mut make = as_root("unshare");
        make.args(["--mount", "--propagation", "private"])
            .args(["sh", "-c", MAKE_ROOT, "sh"])
            .args([work.path(), packages])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut holder = make.spawn().unwrap();
        let lifetime = holder.stdin.take();
        let mut pid = String::new();
        let mut said = BufReader::new(holder.stdout.take().unwrap());
        said.read_line(&mut pid).unwrap();
        assert!(
            !pid.is_empty(),
            "NOT TESTED: this machine does not allow a separate root file system (it says why above)"
        );
        Self {
            holder,
            lifetime,
            pid: pid.trim().to_owned(),
            _work: work,
        }
    }

    /// Runs a line of shell in it, as root.
    fn run(&self, line: &str) -> Printed {
        let mut command = as_root("nsenter");
        command
            .args(["--target", &self.pid, "--mount", "--"])
            .args(["env", "-i"])
            .args(["PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8"])
            .args(["DEBIAN_FRONTEND=noninteractive", "sh", "-c"])
            .arg(format!("cd / && {line}"));
        printed(command)
    }

    /// What a line of shell prints, which must succeed.
    fn get(&self, line: &str) -> String {
        let printed = self.run(line);
        assert_eq!(printed.code, 0, "{line}: {printed:?}");
        printed.out.trim().to_owned()
    }

    /// Whether there is such a file, or a link to nowhere.
    fn has(&self, path: &str) -> bool {
        self.run(&format!("test -e '{path}' -o -L '{path}'")).code == 0
    }

    /// A command of the packaged program, as docs/deploy says it is run.
    fn command(&self, arguments: &str) -> Printed {
        let line = format!("cd && exec session-manager {arguments}");
        self.run(&format!(
            "exec runuser -u session-manager -- sh -c 'HOME={HOME} && {line}'"
        ))
    }

    /// What the doctor says of each thing that it looks at.
    fn doctor(&self) -> Vec<(String, String)> {
        let report = self.command("doctor --json");
        assert_eq!(report.code, 0, "{report:?}");
        let report: Value = serde_json::from_str(&report.out).unwrap();
        let checks = report["checks"].as_array().unwrap();
        let word = |check: &Value, field: &str| check[field].as_str().unwrap_or("").to_owned();
        let said = |check: &Value| {
            let words = ["verdict", "found", "remedy"].map(|field| word(check, field));
            (word(check, "name"), words.join(": "))
        };
        checks.iter().map(said).collect()
    }
}

impl Drop for Root {
    fn drop(&mut self) {
        self.lifetime.take();
        self.holder.wait().unwrap();
    }
}

fn as_root(program: &str) -> Command {
    let words: &[&str] = if rustix::process::geteuid().is_root() {
        &[program]
    } else {
        &["sudo", "-n", program]
    };
    let mut command = command(words[0]);
    command.args(&words[1..]);
    command
}

fn command(program: impl AsRef<std::ffi::OsStr>) -> Command {
    #[expect(
        clippy::disallowed_methods,
        reason = "the test plays the administrator who makes and installs packages"
    )]
    Command::new(program)
}

fn printed(mut command: Command) -> Printed {
    let output = command.output().unwrap();
    Printed {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Packs the program under test; gives the .deb and the .tar.zst.
fn pack(version: &str, folder: &Path) -> [PathBuf; 2] {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut package = command(repository.join("scripts/package"));
    package.args(["--binary", PROGRAM, "--version", version, "--out"]);
    let made = printed({
        package.arg(folder);
        package
    });
    assert_eq!(made.code, 0, "{made:?}");
    let made: Vec<_> = made.out.lines().map(PathBuf::from).collect();
    made.try_into().unwrap()
}

#[test]
fn a_package_is_installed_upgraded_removed_and_purged_and_the_accounts_stay_until_they_are_named() {
    let packages = TempDir::new().unwrap();
    let [first, _] = pack("1.0", packages.path());
    let [second, _] = pack("1.1", packages.path());
    let [first, second] = [first, second].map(|path| {
        let name = path.file_name().unwrap().to_str().unwrap();
        format!("/packages/{name}")
    });
    let root = Root::new(packages.path());
    assert!(
        !root.has(HOME) && !root.has("/usr/bin/session-manager"),
        "NOT TESTED: session-manager is installed on this machine"
    );

    // Its dependencies are looked at: the Chrome of this machine is one of them.
    root.get(&format!("dpkg -i {first}"));
    let of = |path: &str| root.get(&format!("stat -c '%U:%G %a' {path}"));
    assert_eq!(of(HOME), "session-manager:session-manager 700");
    assert_eq!(of(SETTINGS), "root:session-manager 640");
    assert_eq!(root.get(&format!("readlink {HOME}/.env")), SETTINGS);
    let wanted = "/etc/systemd/system/multi-user.target.wants/session-manager.service";
    assert!(root.has(wanted), "it starts with the machine");
    let unit = "/usr/lib/systemd/system/session-manager.service";
    assert_eq!(root.get(&format!("systemd-analyze verify {unit} 2>&1")), "");
    assert_eq!(root.get("dpkg --verify session-manager"), "");
    assert!(root.has("/usr/share/doc/session-manager/docs/deploy/README.md"));

    // What an administrator sets is what the packaged program does, and a page that cannot be reached is a warning.
    let lines = "\\nPORT=0\\nWHATSAPP_URL=http://127.0.0.1:9/\\n";
    root.get(&format!("printf '{lines}' >> {SETTINGS}"));
    let said = root.doctor();
    assert!(said.iter().all(|(name, _)| name != "env-file"), "{said:#?}");
    for (name, says) in [
        ("settings", "ok: ".to_owned()),
        ("tokens", "ok: ".to_owned()),
        ("data", "ok: ".to_owned()),
        ("whatsapp", "http://127.0.0.1:9/".to_owned()),
        ("start", "ok: ".to_owned()),
        ("wa-js", format!("npm install @wppconnect/wa-js in {HOME}")),
    ] {
        let found = said
            .iter()
            .any(|(of, text)| of == name && text.contains(&says));
        assert!(found, "{name} does not say {says}: {said:#?}");
    }

    let accounts = [
        format!("{HOME}/tokens/51/link"),
        format!("{HOME}/data/keys.json"),
    ];
    let write = accounts
        .each_ref()
        .map(|path| format!("install -D -o session-manager -m 600 /etc/hostname {path}"));
    root.get(&write.join(" && "));
    let are_there = || accounts.iter().all(|path| root.has(path));

    root.get(&format!("dpkg -i {second}"));
    let version = root.get("dpkg-query -W -f '${Version}' session-manager");
    assert_eq!(version, "1.1");
    assert!(root.get(&format!("cat {SETTINGS}")).contains("PORT=0"));
    assert_eq!(of(SETTINGS), "root:session-manager 640");
    assert!(are_there() && root.has(wanted));

    root.get("dpkg -r session-manager");
    assert!(!root.has("/usr/bin/session-manager") && !root.has(unit));
    assert!(are_there() && root.has(SETTINGS));

    let purged = root.run("dpkg -P session-manager");
    assert_eq!(purged.code, 0, "{purged:?}");
    assert!(
        purged.err.contains(&format!("kept in {HOME}")),
        "{purged:?}"
    );
    assert!(are_there());
    for gone in [SETTINGS, wanted, &format!("{HOME}/.env")] {
        assert!(!root.has(gone), "{gone} is still there");
    }
    // The files keep their owner.
    assert_eq!(of(&accounts[0]), "session-manager:root 600");

    // Installed again it finds them, and they go when they are named.
    root.get(&format!("dpkg -i {second}"));
    assert!(are_there() && of(SETTINGS) == "root:session-manager 640");
    root.get("SESSION_MANAGER_PURGE=accounts dpkg -P session-manager");
    assert!(!root.has(HOME));
    assert_ne!(root.run("id session-manager").code, 0);
}

#[test]
fn the_same_program_and_commit_are_the_same_bytes_again_and_the_archive_runs_where_it_is_unpacked()
{
    let folders = [TempDir::new().unwrap(), TempDir::new().unwrap()];
    let [first, second] = folders
        .each_ref()
        .map(|folder| pack("1.0~rc1", folder.path()));
    for (first, second) in first.iter().zip(&second) {
        assert_eq!(first.file_name(), second.file_name());
        let is_same = fs::read(first).unwrap() == fs::read(second).unwrap();
        assert!(is_same, "{} differs when made again", first.display());
    }

    let [package, archive] = &first;
    let folder = folders[0].path();
    let mut unpack = command("dpkg-deb");
    unpack.arg("-x").args([package, &folder.join("package")]);
    assert_eq!(printed(unpack).code, 0);
    assert_links_lead_somewhere(&folder.join("package/usr/share/doc/session-manager"));
    let mut tar = command("tar");
    tar.args(["--zstd", "--extract", "--file"]).arg(archive);
    tar.current_dir(folder);
    let unpacked = printed(tar);
    assert_eq!(unpacked.code, 0, "{unpacked:?}");
    let name = archive.file_name().unwrap().to_str().unwrap();
    let tree = folder.join(name.strip_suffix(".tar.zst").unwrap());
    let mut asked = command(tree.join("session-manager"));
    asked.arg("--version").env_clear();
    assert_eq!(printed(asked).code, 0);
    assert_links_lead_somewhere(&tree);
    for file in ["docs/deploy/session-manager.service", "package-lock.json"] {
        assert!(tree.join(file).is_file(), "{file} is not in the archive");
    }
}
