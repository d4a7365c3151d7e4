//! One Chrome: its process, its profile folder and its CDP connection, opened and closed as one.
//!
//! ```text
//!  Browser ── open/close, what ties the parts together
//!    ├─ profile     the folder: private, locked, used by nobody else   ── leftovers, procfs
//!    ├─ process     started, watched, ended; the only file that starts programs ── output
//!    ├─ connection  CDP and the one page ── workers, user_agent
//!    ├─ flags       the command line, as data ── user_agent
//!    ├─ program     which Chrome is installed
//!    ├─ memory      what Chromes take of the machine ── procfs
//!    ├─ cpu         how long processors have worked for them ── procfs
//!    └─ trial       whether one works here at all
//!  Occupancy ── who uses which profile, seen from outside ── procfs
//!  ProfileSnapshots ── copies of a profile that nobody uses, and their way back
//!  HeldProfile, Export ── a profile on its way to another machine
//!  ForeignProfile ── a profile of another program, on its way into a folder of ours ── occupants
//! ```
//!
//! Knows nothing of sessions, HTTP or the site it shows, and never reads the environment. Invariants: no Chrome outlives its
//! [`Browser`] (nor the service, where `setpriv` exists; else [`sweep`] ends it at the next start); no two Chromes work
//! on one folder; a Chrome that is not ours is never touched.

mod chrome;
mod connection;
mod cpu;
mod error;
mod flags;
mod last_used;
mod leftovers;
mod memory;
mod occupants;
mod output;
mod process;
mod procfs;
mod profile;
mod program;
mod snapshot;
mod trial;
mod user_agent;
mod workers;

pub use chrome::{Browser, BrowserLost, LaunchOptions};
pub use cpu::chrome_cpu;
pub use error::BrowserError;
pub use flags::check_extra_arguments;
pub use last_used::has_been_used;
pub use leftovers::{Swept, sweep};
pub use memory::{ChromeMemory, Measure, chrome_memory, free_memory_mb};
pub use occupants::{Holder, Occupancy, Occupant, occupancy};
pub use process::{Closed, Exit};
pub use profile::{delete_profile, lock_of};
pub use program::{ChromeKind, ChromeProgram, ChromeVersion, ensure_there_is_one, find_chrome};
pub use snapshot::{
    Adopted, Export, ExportTo, ForeignError, ForeignProfile, HeldProfile, InvalidPassphrase,
    Manifest, Origin, Passphrase, ProfileSnapshots, SiteStorage, SnapshotError, SnapshotRoot,
    Taken, foreign_profiles, is_ours, restored_at,
};
pub use trial::{Drawn, Footprint, Visit};
