//! One Chrome: its process, its profile folder and its CDP connection, opened and closed as one.
//!
//! The rooms, each of which uses only those after it:
//!
//! - `chrome`: one running Chrome ([`Browser`]), which Chrome is installed, its command line, the connection and its one page.
//! - `snapshot`: copies of a profile that no Chrome writes to, their way back, and profiles on their way from and to other machines
//!   ([`HeldProfile`], [`Export`]) and programs ([`ForeignProfile`]).
//! - `profile`: the folder: private, locked, exchanged for another one, and its note ([`ProfileNote`]).
//! - `processes`: started, watched and ended; which of them use which profile ([`Occupancy`]).
//! - `measure`: memory, processor time, and what the system refuses.
//!
//! Below them: what `/proc` says, the version of a Chrome, errors.
//!
//! Knows nothing of sessions, HTTP or the site it shows, and reads no settings from the environment. Invariants: no Chrome
//! outlives its [`Browser`], nor the service: its pipe closes, and `setpriv` has the system kill it. (One that hangs
//! where there is no `setpriv` is ended by [`sweep`] at the next start.) No two Chromes work on one folder. A Chrome
//! that the service did not start is never touched. Only the service can drive one: it has a pipe and no port.

mod chrome;
mod error;
mod measure;
mod processes;
mod procfs;
mod profile;
mod snapshot;
mod version;

pub use chrome::{
    browser::{Browser, BrowserLost, LaunchOptions},
    flags::check_extra_arguments,
    program::{ChromeKind, ChromeProgram, ensure_there_is_one, find_chrome},
    trial::{Drawn, Footprint, Visit},
};
pub use error::{Advice, BrowserError, Exit};
pub use measure::{
    cpu::chrome_cpu,
    limits::{ProcessRoom, address_space_limit},
    memory::{ChromeMemory, Measure, chrome_memory, free_memory_mb},
};
pub use processes::{
    freezer::Freezer,
    occupants::{Holder, Occupancy, Occupant, occupancy},
    process::Closed,
};
pub use profile::{
    Aside, Beginning, Gap, Link, ProfileNote, Rescue, Swept, delete_profile, delete_profile_unless,
    lock_of, sweep,
};
pub use snapshot::{
    Adopted, Export, ExportTo, ForeignError, ForeignProfile, HeldProfile, InvalidPassphrase,
    InvalidSnapshotKey, Kind, Manifest, Origin, Passphrase, ProfileSnapshots, SiteStorage,
    SnapshotError, SnapshotKey, SnapshotRoot, Taken, Taking, foreign_profiles,
};
pub use version::ChromeVersion;
