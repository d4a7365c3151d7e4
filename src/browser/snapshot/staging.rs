//! A profile as it is at one moment, beside the profile: only those files that have changed since the last snapshot.
//!
//! Twice: first while Chrome writes, so that nearly all is there, and then while it is stopped, what has changed since. So the time
//! for which it is stopped depends on what was written within seconds, and not on how large the profile is.

use std::{
    collections::HashMap,
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use super::{
    contents::{self, Contents, Stamp, is_mapped},
    store::Known,
};
use crate::files::{found, make_folder, private_file, remove_folder};

/// A copy looks after each of these pieces whether it is given up: a disk writes one within some 50 ms.
const PIECE: u64 = 8 * 1024 * 1024;

/// What a look at a profile has found.
#[derive(Debug)]
pub(super) struct Look {
    pub(super) contents: Contents,
    /// When it began, in the terms of [`Stamp`].
    pub(super) at: i64,
}

impl Look {
    pub(super) fn at(profile: &Path) -> io::Result<Self> {
        let at = contents::now();
        Ok(Self {
            contents: Contents::of(profile)?,
            at,
        })
    }
}

/// See the module. What is in it goes when this is dropped.
#[derive(Debug)]
pub(super) struct Staging {
    folder: PathBuf,
    copies: HashMap<PathBuf, Copied>,
    /// How many there have been: each gets a name of its own.
    count: usize,
}

#[derive(Debug)]
struct Copied {
    stamp: Stamp,
    looked_at: i64,
    to: PathBuf,
}

/// What a profile does while it is copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Profile {
    /// A Chrome writes to it: a file that goes, or grows, is copied again later.
    IsWritten,
    /// Nothing does.
    StandsStill,
}

impl Staging {
    /// Begins in an empty folder. What a killed service has left there goes.
    pub(super) fn begin(folder: PathBuf) -> io::Result<Self> {
        remove_folder(&folder)?;
        make_folder(&folder)?;
        Ok(Self {
            folder,
            copies: HashMap::new(),
            count: 0,
        })
    }

    /// Copies what neither a snapshot nor an earlier round has. Gives up between two pieces when `goes_on` says so.
    pub(super) fn copy(
        &mut self,
        profile: &Path,
        look: &Look,
        known: &Known,
        state: Profile,
        goes_on: &dyn Fn() -> bool,
    ) -> io::Result<()> {
        for (path, stamp) in &look.contents.files {
            if !goes_on() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            if known.blocks_of(path, stamp).is_some() || self.has(path, stamp) {
                continue;
            }
            self.copies.remove(path);
            self.count += 1;
            let to = self.folder.join(self.count.to_string());
            let copied = found(copy(&profile.join(path), &to, goes_on))?;
            match (copied, state) {
                (Some(bytes), _) if bytes == stamp.size => {
                    let copied = Copied {
                        stamp: *stamp,
                        looked_at: look.at,
                        to,
                    };
                    self.copies.insert(path.clone(), copied);
                }
                (_, Profile::IsWritten) => {}
                (_, Profile::StandsStill) => {
                    return Err(io::Error::other(
                        "a file changed although Chrome was stopped",
                    ));
                }
            }
        }
        Ok(())
    }

    fn has(&self, path: &Path, stamp: &Stamp) -> bool {
        self.copies.get(path).is_some_and(|copied| {
            copied.stamp == *stamp && stamp.is_settled_at(copied.looked_at) && !is_mapped(path)
        })
    }

    /// The copy of a file, if there is one.
    pub(super) fn path_of(&self, path: &Path) -> Option<PathBuf> {
        Some(self.copies.get(path)?.to.clone())
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // The next one removes it too, as does the next holder of the profile; until then it only takes up room.
        remove_folder(&self.folder).ok();
    }
}

/// Copies one file in pieces. The standard library has the kernel do it, which shares the blocks of both files where the disk can.
fn copy(from: &Path, to: &Path, goes_on: &dyn Fn() -> bool) -> io::Result<u64> {
    let from = File::open(from)?;
    let mut to = private_file(to)?;
    let mut bytes = 0;
    loop {
        let copied = io::copy(&mut (&from).take(PIECE), &mut to)?;
        bytes += copied;
        if copied < PIECE {
            return Ok(bytes);
        }
        if !goes_on() {
            return Err(io::ErrorKind::TimedOut.into());
        }
    }
}
