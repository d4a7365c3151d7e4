//! The snapshots of one profile: named by their time, the newest first, never half written.
//!
//! ```text
//!  DATA_DIR/snapshots/51/<time>.manifest   which files there are, and which blocks each has (listing)
//!                        <time>.pack       the blocks that no snapshot before had (pack)
//!                        <time>.snapshot   a whole one in one file, of an earlier version (archive)
//! ```
//!
//! Blocks its thread; its callers are off the runtime. First the pack is put, then the manifest, and then what is too much goes,
//! manifests before packs: so a manifest that is there has all its packs, whatever is killed meanwhile, and a pack that none needs
//! is found and removed by the next snapshot. What cannot be opened for want of its key is never removed.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    fs::{self, DirBuilder, File},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _},
    path::{Path, PathBuf},
};

use jiff::{SignedDuration, Timestamp, civil::DateTime, tz::TimeZone};
use tokio_util::sync::CancellationToken;

use super::{
    Kind, Manifest, SnapshotError,
    archive::{self, Verified},
    contents::{Stamp, is_mapped},
    listing::{Filed, Listing, Placed},
    objects::{Objects, Writing},
    pack::{self, NewPack},
    staging::Look,
    unpack::ENTRIES_MAX,
    vault::Vault,
};
use crate::{
    browser::profile::exchange::{FILE_NAME, file_name},
    files::{FOLDER_MODE, make_folder, private_file},
};

/// What a disk must have left after a snapshot was written or unpacked: profiles and the ledger need it more.
const SPACE_RESERVE: u64 = 64 * 1024 * 1024;

/// With less than this left of a disk, or less than its hundredth part, Chrome lets no page store anything more, and may
/// even take away what one has stored (`MustRemainAvailableBytes`, `MustRemainAvailableRatio`).
const CHROME_RESERVE: u64 = 1024 * 1024 * 1024;

/// Blocks of a pack that is older are written again, so that no snapshot depends for ever on what a disk has kept since one day
/// long ago. Less often would be worth it for a store that is paid by what it is given.
const PACK_MAX_AGE: SignedDuration = SignedDuration::from_hours(7 * 24);

/// The same of a pack of which the last snapshot needs less than one part in so many: else a few blocks keep it all.
const PACK_MIN_USE: u64 = 2;

/// One whole snapshot in one file, as earlier versions wrote them.
const ARCHIVE: &str = ".snapshot";
const MANIFEST: &str = ".manifest";
const PACK: &str = ".pack";

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Store {
    pub(super) objects: Objects,
    pub(super) vault: Vault,
    /// How many snapshots are kept.
    pub(super) keep: usize,
}

/// What the last snapshot has, so that it need not be read and written again.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// What it is a copy of.
    manifest: Option<Manifest>,
    looked_at: i64,
    packs: Vec<String>,
    blocks: Vec<Placed>,
    files: HashMap<PathBuf, (Stamp, Vec<usize>)>,
    by_name: HashMap<blake3::Hash, usize>,
    /// Files of a page's storage that there were, also such as are to be written again.
    storage: HashMap<PathBuf, Stamp>,
}

impl Known {
    /// The blocks of a file that is as it was then: all of them may be used.
    pub(super) fn blocks_of(&self, path: &Path, stamp: &Stamp) -> Option<&[usize]> {
        let (known, blocks) = self.files.get(path)?;
        let is_as_it_was =
            known == stamp && stamp.is_settled_at(self.looked_at) && !is_mapped(path);
        is_as_it_was.then_some(blocks)
    }

    /// What the last snapshot is a copy of.
    pub(super) const fn manifest(&self) -> Option<&Manifest> {
        self.manifest.as_ref()
    }

    /// Whether the storage of pages is what it was then: nothing was sent or received since.
    pub(super) fn has_the_storage_of(&self, look: &Look) -> bool {
        let files = look.contents.files.iter();
        let mut storage = files.filter(|(path, _)| is_storage(path));
        let mut count = 0;
        let is_as_it_was = storage.all(|(path, stamp)| {
            count += 1;
            self.storage.get(path) == Some(stamp) && stamp.is_settled_at(self.looked_at)
        });
        // A profile without any has its storage in a place that is not known here.
        is_as_it_was && count == self.storage.len() && count > 0
    }

    /// How many bytes of these files are to be read.
    pub(super) fn bytes_missing(&self, look: &Look) -> u64 {
        let files = look.contents.files.iter();
        files
            .filter(|(path, stamp)| self.blocks_of(path, stamp).is_none())
            .map(|(_, stamp)| stamp.size)
            .sum()
    }
}

/// Where pages keep what they store, and with it the link.
const STORAGE: [&str; 3] = [
    "Default/IndexedDB",
    "Default/Local Storage",
    // Of an isolated part of a page, or of one with several buckets.
    "Default/WebStorage",
];

/// Whether a file of a profile belongs to what pages store.
fn is_storage(path: &Path) -> bool {
    STORAGE.iter().any(|place| path.starts_with(place))
}

/// A snapshot that has been found whole.
#[derive(Debug)]
pub(super) enum Whole {
    Archive(Box<Verified>),
    Blocks(Box<Blocks>),
}

impl Whole {
    pub(super) const fn manifest(&self) -> &Manifest {
        match self {
            Self::Archive(verified) => &verified.manifest,
            Self::Blocks(blocks) => &blocks.listing.manifest,
        }
    }

    /// Unpacks into a folder that is not there yet, and has it all on disk when it returns. Of what was written when it fails the
    /// caller disposes.
    pub(super) fn unpack(
        self,
        folder: &Path,
        give_up: &CancellationToken,
    ) -> Result<Manifest, SnapshotError> {
        match self {
            Self::Archive(verified) => verified.unpack(folder, give_up),
            Self::Blocks(blocks) => blocks.unpack(folder, give_up),
        }
    }
}

/// A snapshot in blocks, with its packs open: they stay, whatever is removed.
#[derive(Debug)]
pub(super) struct Blocks {
    path: PathBuf,
    listing: Listing,
    packs: Vec<File>,
    vault: Vault,
}

impl Blocks {
    fn block(&self, placed: &Placed) -> Result<Vec<u8>, SnapshotError> {
        let read = pack::read(
            &self.packs[placed.pack],
            (placed.at, placed.stored),
            &placed.name,
            &self.vault,
        );
        let block = read.map_err(|source| SnapshotError::io("reading", &self.path, source))?;
        block
            .filter(|block| u64::try_from(block.len()) == Ok(placed.size))
            .ok_or_else(|| SnapshotError::Damaged {
                path: self.path.clone(),
            })
    }

    fn unpack(self, folder: &Path, give_up: &CancellationToken) -> Result<Manifest, SnapshotError> {
        let failed = |source| SnapshotError::io("unpacking a snapshot into", folder, source);
        make_folder(folder).map_err(failed)?;
        for below in &self.listing.folders {
            // Not those above it: they came before, and were counted.
            let mut made = DirBuilder::new();
            made.mode(FOLDER_MODE)
                .create(folder.join(below))
                .map_err(failed)?;
        }
        for file in &self.listing.files {
            let mut out = private_file(&folder.join(&file.path)).map_err(failed)?;
            for at in &file.blocks {
                if give_up.is_cancelled() {
                    return Err(SnapshotError::GivenUp);
                }
                let block = self.block(&self.listing.blocks[*at])?;
                out.write_all(&block).map_err(failed)?;
            }
        }
        // One call for a thousand files.
        let synced = File::open(folder).and_then(|folder| Ok(rustix::fs::syncfs(folder)?));
        synced.map_err(failed)?;
        Ok(self.listing.manifest)
    }
}

/// A snapshot that was added.
#[derive(Debug)]
pub(super) struct Added {
    pub(super) manifest: Manifest,
    /// How much of it no snapshot had before, as it is stored.
    pub(super) new_bytes: u64,
}

impl Store {
    /// Every snapshot, the newest first.
    pub(super) fn all(&self) -> Result<Vec<String>, SnapshotError> {
        let read = || {
            let mut all = self.objects.list(ARCHIVE)?;
            all.append(&mut self.objects.list(MANIFEST)?);
            // Neither ending may decide.
            all.sort_by(|a, b| stem(a).cmp(stem(b)));
            all.reverse();
            Ok(all)
        };
        read().map_err(|source| SnapshotError::io("reading", &self.objects.folder, source))
    }

    /// What a snapshot is a copy of, by the beginning of it, where that is enough.
    pub(super) fn manifest(&self, name: &str) -> Result<Manifest, SnapshotError> {
        let path = self.objects.path(name);
        if name.ends_with(ARCHIVE) {
            return archive::manifest(&path);
        }
        Ok(Listing::read(&path, &self.vault)?.0.manifest)
    }

    /// What the last snapshot in blocks has. One that cannot be read has nothing.
    pub(super) fn known(&self) -> Result<Known, SnapshotError> {
        for name in self.all()? {
            if !name.ends_with(MANIFEST) {
                continue;
            }
            match Listing::read(&self.objects.path(&name), &self.vault) {
                Ok((listing, vault)) => return self.usable_of(&name, listing, &vault),
                Err(why) => tracing::warn!(error = %why, "passed a snapshot over: {why}"),
            }
        }
        Ok(Known::default())
    }

    /// What of this listing, which this vault opens, the next one may use: nothing of one that was written with another key.
    fn usable_of(
        &self,
        name: &str,
        listing: Listing,
        vault: &Vault,
    ) -> Result<Known, SnapshotError> {
        // As the next one will be named: after a clock that went ahead and was set back, all names lie in the future.
        let now = Timestamp::now();
        let now = time_of(name).map_or(now, |last| last.max(now));
        let has_our_key = vault.fingerprint() == self.vault.fingerprint();
        let mut used = vec![0_u64; listing.packs.len()];
        let mut ends = vec![0_u64; listing.packs.len()];
        for block in &listing.blocks {
            used[block.pack] += block.stored;
            ends[block.pack] = ends[block.pack].max(block.at.saturating_add(block.stored));
        }
        let mut is_usable = Vec::new();
        for (at, pack) in listing.packs.iter().enumerate() {
            let size = self.objects.size(pack);
            let size = size
                .map_err(|source| SnapshotError::io("reading", &self.objects.path(pack), source))?;
            let is_whole = size.is_some_and(|size| ends[at] <= size);
            let is_needed = size.is_some_and(|size| {
                size <= used[at]
                    .saturating_mul(PACK_MIN_USE)
                    .saturating_add(pack::HEAD)
            });
            is_usable.push(has_our_key && is_whole && is_needed && is_young(pack, now));
        }
        let may_be_used = |at: &usize| is_usable[listing.blocks[*at].pack];
        let mut storage = HashMap::new();
        let mut files = HashMap::new();
        for Filed {
            path,
            stamp,
            blocks,
        } in listing.files
        {
            if is_storage(&path) {
                storage.insert(path.clone(), stamp);
            }
            if blocks.iter().all(may_be_used) {
                files.insert(path, (stamp, blocks));
            }
        }
        let blocks = listing.blocks.iter().enumerate();
        let by_name = blocks
            .filter(|(at, _)| may_be_used(at))
            .map(|(at, block)| (block.name, at))
            .collect();
        Ok(Known {
            manifest: Some(listing.manifest),
            looked_at: listing.looked_at,
            packs: listing.packs,
            blocks: listing.blocks,
            files,
            by_name,
            storage,
        })
    }

    /// Adds a snapshot to the others, and removes those that are too many. `content` is where a file can be read that is not known.
    pub(super) fn add(
        &self,
        manifest: Manifest,
        look: &Look,
        known: &Known,
        content: impl Fn(&Path) -> Option<PathBuf>,
        writing: &Writing,
        give_up: &CancellationToken,
    ) -> Result<Added, SnapshotError> {
        let failed = |source| {
            if give_up.is_cancelled() {
                return SnapshotError::GivenUp;
            }
            SnapshotError::io("writing to", &self.objects.folder, source)
        };
        if look.contents.folders.len() + look.contents.files.len() > ENTRIES_MAX {
            // Nothing would unpack it, and it would make others go.
            let too_many = io::Error::other("the profile has too many files for a snapshot");
            return Err(failed(too_many));
        }
        let time = self.next_time(manifest.taken_at)?;
        let pack = format!("{time}{PACK}");
        let mut draft = Draft::new(known, pack);
        for (path, stamp) in &look.contents.files {
            let blocks = if let Some(blocks) = known.blocks_of(path, stamp) {
                blocks.iter().map(|at| draft.place_of(*at)).collect()
            } else {
                let from = content(path).ok_or_else(|| failed(io::ErrorKind::NotFound.into()))?;
                let read = |source| SnapshotError::io("reading", &from, source);
                let mut file = File::open(&from).map_err(read)?;
                let (mut blocks, mut size) = (Vec::new(), 0);
                loop {
                    if give_up.is_cancelled() {
                        return Err(SnapshotError::GivenUp);
                    }
                    let block = pack::next_block(&mut file).map_err(read)?;
                    if block.is_empty() {
                        break;
                    }
                    size += u64::try_from(block.len()).unwrap_or(u64::MAX);
                    blocks.push(draft.add(&block, self, writing).map_err(failed)?);
                }
                if size != stamp.size {
                    return Err(read(io::Error::other("it changed while it was read")));
                }
                blocks
            };
            draft.listing.files.push(Filed {
                path: path.clone(),
                stamp: *stamp,
                blocks,
            });
        }
        let (mut listing, new, new_bytes) = draft.finish();
        if let Some((pack, name)) = new {
            pack.put(&self.objects, &name).map_err(failed)?;
        }
        listing.looked_at = look.at;
        listing.folders.clone_from(&look.contents.folders);
        listing.manifest = manifest;
        let object = self.objects.begin(writing).map_err(failed)?;
        listing.write(object.file(), &self.vault).map_err(failed)?;
        if give_up.is_cancelled() {
            return Err(SnapshotError::GivenUp);
        }
        // From here on this one can take the profile's place, and others may go.
        let name = format!("{time}{MANIFEST}");
        self.objects.put(object, &name).map_err(failed)?;
        self.prune(writing)?;
        Ok(Added {
            manifest: listing.manifest,
            new_bytes,
        })
    }

    /// A name that sorts after all others, also when the clock was set back meanwhile: else the new one would be the first to go.
    fn next_time(&self, now: Timestamp) -> Result<String, SnapshotError> {
        let last = self.all()?.into_iter().next();
        let last = last.and_then(|name| time_of(&name));
        let after = last.map(|last| last.saturating_add(SignedDuration::from_millis(1)));
        let after = after.and_then(Result::ok);
        Ok(file_name(after.map_or(now, |after| after.max(now))))
    }

    /// Removes the snapshots that are too many, and the packs that none needs. The last of a Chrome that was closed stays with the
    /// others: one of a running Chrome may have what that one had already spoiled.
    fn prune(&self, writing: &Writing) -> Result<(), SnapshotError> {
        let mut gone = Vec::new();
        let (mut kept, mut link, mut has_closed) = (0, None, false);
        for name in self.all()? {
            let manifest = match self.manifest(&name) {
                Ok(manifest) => Some(manifest),
                // Such a one may be opened again by the key that it was written with.
                Err(
                    SnapshotError::OtherKey { .. }
                    | SnapshotError::OtherFormat { .. }
                    | SnapshotError::Io { .. },
                ) => continue,
                Err(_) => None,
            };
            let its_link = manifest.as_ref().map(|manifest| manifest.linked_at);
            let is_closed = manifest.is_some_and(|manifest| manifest.kind == Kind::Closed);
            link = link.or(its_link);
            let is_last_closed = is_closed && !has_closed && link == its_link;
            has_closed |= is_last_closed;
            if kept < self.keep || is_last_closed {
                kept += 1;
            } else {
                gone.push(name);
            }
        }
        self.remove(&gone, writing)
    }

    /// Removes these snapshots, and then the packs that no other one needs.
    fn remove(&self, gone: &[String], writing: &Writing) -> Result<(), SnapshotError> {
        let failed = |source| SnapshotError::io("deleting in", &self.objects.folder, source);
        let gone = gone.iter().map(String::as_str);
        self.objects.delete(gone, writing).map_err(failed)?;
        let mut needed = HashSet::new();
        for name in self.objects.list(MANIFEST).map_err(failed)? {
            match Listing::packs_of(&self.objects.path(&name)) {
                Ok(packs) => needed.extend(packs),
                Err(SnapshotError::Damaged { .. } | SnapshotError::NotASnapshot { .. }) => {}
                Err(why) => {
                    // What it needs cannot be known.
                    tracing::warn!(error = %why, "no packs of snapshots are removed: {why}");
                    return Ok(());
                }
            }
        }
        let packs = self.objects.list(PACK).map_err(failed)?;
        let waste: BTreeSet<_> = packs
            .iter()
            .filter(|pack| !needed.contains(*pack))
            .map(String::as_str)
            .collect();
        self.objects.delete(waste, writing).map_err(failed)
    }

    /// The newest one that `fits` and is whole. One that cannot be opened for want of its key may be newer than any that can: then
    /// none is.
    pub(super) fn newest_whole(
        &self,
        fits: impl Fn(&Manifest) -> bool,
        give_up: &CancellationToken,
    ) -> Result<Option<Whole>, SnapshotError> {
        for name in self.all()? {
            match self.verify(&name, &fits, give_up) {
                Ok(None) => {}
                Ok(whole) => return Ok(whole),
                Err(why @ (SnapshotError::OtherKey { .. } | SnapshotError::GivenUp)) => {
                    return Err(why);
                }
                Err(why) => {
                    tracing::warn!(error = %why, "passed a snapshot over: {why}");
                }
            }
        }
        Ok(None)
    }

    /// Reads all of a snapshot that `fits`.
    fn verify(
        &self,
        name: &str,
        fits: &impl Fn(&Manifest) -> bool,
        give_up: &CancellationToken,
    ) -> Result<Option<Whole>, SnapshotError> {
        let path = self.objects.path(name);
        if name.ends_with(ARCHIVE) {
            let verified = archive::verify(&path)?;
            let fits = fits(&verified.manifest);
            return Ok(fits.then(|| Whole::Archive(Box::new(verified))));
        }
        let (listing, vault) = Listing::read(&path, &self.vault)?;
        if !fits(&listing.manifest) {
            return Ok(None);
        }
        let open = |pack: &String| {
            let failed = |source| SnapshotError::io("opening", &self.objects.path(pack), source);
            self.objects.open(pack).map_err(failed)
        };
        let blocks = Blocks {
            packs: listing.packs.iter().map(open).collect::<Result<_, _>>()?,
            path,
            listing,
            vault,
        };
        for placed in &blocks.listing.blocks {
            if give_up.is_cancelled() {
                return Err(SnapshotError::GivenUp);
            }
            blocks.block(placed)?;
        }
        Ok(Some(Whole::Blocks(Box::new(blocks))))
    }

    /// The right to change the store; `None` where there is none. One that is being written is given up by now, or waited for.
    fn lock_if_there(&self) -> Result<Option<Writing>, SnapshotError> {
        let is_there = self.objects.is_there();
        if !is_there.map_err(|source| SnapshotError::io("reading", &self.objects.folder, source))? {
            return Ok(None);
        }
        self.objects.lock(&CancellationToken::new()).map(Some)
    }

    /// Removes them all.
    pub(super) fn delete(&self) -> Result<(), SnapshotError> {
        // Held until they are gone: else a snapshot that is just given up could put something there. What cannot be locked is
        // deleted all the same.
        let writing = self.lock_if_there().ok().flatten();
        let deleted = self.objects.delete_all();
        drop(writing);
        deleted.map_err(|source| SnapshotError::io("deleting", &self.objects.folder, source))
    }

    /// Removes those that `are` of no more use.
    pub(super) fn forget(&self, are: impl Fn(&Manifest) -> bool) -> Result<(), SnapshotError> {
        let Some(writing) = self.lock_if_there()? else {
            return Ok(());
        };
        let all = self.all()?.into_iter();
        let gone: Vec<_> = all
            .filter(|name| self.manifest(name).is_ok_and(|manifest| are(&manifest)))
            .collect();
        if gone.is_empty() {
            return Ok(());
        }
        self.remove(&gone, &writing)
    }
}

/// A snapshot that is being put together.
struct Draft<'a> {
    known: &'a Known,
    listing: Listing,
    /// Where the blocks of the last snapshot are in this one.
    places: HashMap<usize, usize>,
    by_name: HashMap<blake3::Hash, usize>,
    new: Option<NewPack>,
    new_name: String,
    /// Which of the packs the last snapshot's are, and the new one.
    packs: HashMap<String, usize>,
}

impl<'a> Draft<'a> {
    fn new(known: &'a Known, new_name: String) -> Self {
        Self {
            known,
            listing: Listing::empty(),
            places: HashMap::new(),
            by_name: HashMap::new(),
            new: None,
            new_name,
            packs: HashMap::new(),
        }
    }

    /// Where a block of the last snapshot is in this one.
    fn place_of(&mut self, known_at: usize) -> usize {
        if let Some(at) = self.places.get(&known_at) {
            return *at;
        }
        let mut placed = self.known.blocks[known_at].clone();
        placed.pack = self.pack(self.known.packs[placed.pack].clone());
        let at = self.push(placed);
        self.places.insert(known_at, at);
        at
    }

    /// The same of a block that was read.
    fn add(&mut self, block: &[u8], store: &Store, writing: &Writing) -> io::Result<usize> {
        let name = store.vault.name(block);
        if let Some(at) = self.by_name.get(&name) {
            return Ok(*at);
        }
        if let Some(known_at) = self.known.by_name.get(&name) {
            return Ok(self.place_of(*known_at));
        }
        let pack = match &mut self.new {
            Some(pack) => pack,
            new @ None => new.insert(NewPack::begin(&store.objects, writing)?),
        };
        let (at, stored) = pack.add(&name, block, &store.vault)?;
        let placed = Placed {
            name,
            pack: self.pack(self.new_name.clone()),
            at,
            stored,
            size: block.len().try_into().unwrap_or(u64::MAX),
        };
        Ok(self.push(placed))
    }

    fn push(&mut self, placed: Placed) -> usize {
        let at = self.listing.blocks.len();
        self.by_name.insert(placed.name, at);
        self.listing.blocks.push(placed);
        at
    }

    fn pack(&mut self, name: String) -> usize {
        let packs = &mut self.listing.packs;
        *self.packs.entry(name).or_insert_with_key(|name| {
            packs.push(name.clone());
            packs.len() - 1
        })
    }

    /// The listing, the new pack with its name, if any block is new, and how large that is.
    fn finish(self) -> (Listing, Option<(NewPack, String)>, u64) {
        let bytes = self.new.as_ref().map_or(0, NewPack::bytes);
        let new = self.new.map(|pack| (pack, self.new_name));
        (self.listing, new, bytes)
    }
}

/// The name of an object without its ending.
fn stem(name: &str) -> &str {
    // The milliseconds of its time have a dot before them.
    name.rsplit_once('.').map_or(name, |(stem, _)| stem)
}

/// When an object was written, by its name.
fn time_of(name: &str) -> Option<Timestamp> {
    let written = DateTime::strptime(FILE_NAME, stem(name)).ok()?;
    Some(written.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

/// Whether a pack was written not so long ago, by its name. One that is ahead of the clock, as after that was set back, is written
/// once again.
fn is_young(pack: &str, now: Timestamp) -> bool {
    let written = time_of(pack);
    written.is_some_and(|written| now.duration_since(written).abs() < PACK_MAX_AGE)
}

/// A disk, in bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Disk {
    pub(super) free: u64,
    pub(super) total: u64,
}

impl Disk {
    /// The one that `folder` is on.
    pub(super) fn of(folder: &Path) -> io::Result<Self> {
        let disk = rustix::fs::statvfs(folder)?;
        Ok(Self {
            free: disk.f_bavail.saturating_mul(disk.f_frsize),
            total: disk.f_blocks.saturating_mul(disk.f_frsize),
        })
    }

    /// What must be free of it for pages to store anything.
    fn reserve_of_chrome(self) -> u64 {
        (self.total / 100).clamp(SPACE_RESERVE, CHROME_RESERVE)
    }

    fn ensure(self, folder: &Path, needed: u64) -> Result<(), SnapshotError> {
        if self.free < needed {
            return Err(SnapshotError::NoSpace {
                path: folder.to_owned(),
                needed,
                free: self.free,
            });
        }
        Ok(())
    }
}

/// Refuses when a disk would be left with next to nothing.
pub(super) fn ensure_space(folder: &Path, bytes: u64) -> Result<(), SnapshotError> {
    let disk =
        Disk::of(folder).map_err(|source| SnapshotError::io("looking at", folder, source))?;
    disk.ensure(folder, bytes.saturating_add(SPACE_RESERVE))
}

/// Refuses when either disk would be left with next to nothing after so many bytes were written to both folders, which may be on the
/// same one.
pub(super) fn ensure_space_in_both(
    one: &Path,
    other: &Path,
    bytes: u64,
) -> Result<(), SnapshotError> {
    let disk_of = |folder: &Path| {
        let folder_there = fs::metadata(folder);
        let folder_there =
            folder_there.map_err(|source| SnapshotError::io("looking at", folder, source));
        Ok::<_, SnapshotError>(folder_there?.dev())
    };
    if disk_of(one)? == disk_of(other)? {
        return ensure_space(one, bytes.saturating_mul(2));
    }
    ensure_space(one, bytes)?;
    ensure_space(other, bytes)
}

/// Refuses when a page cannot store anything for want of space: then no other profile works any better than this one.
pub(super) fn ensure_a_page_can_store(
    folder: &Path,
    look_at: fn(&Path) -> io::Result<Disk>,
) -> Result<(), SnapshotError> {
    let disk = look_at(folder).map_err(|source| SnapshotError::io("looking at", folder, source))?;
    disk.ensure(folder, disk.reserve_of_chrome())
}

#[cfg(test)]
mod tests;
