//! One Chrome: its process, its profile folder and its CDP connection, opened and closed as one.
//!
//! ```text
//!  Browser ── open/close, what ties the parts together
//!    ├─ profile     the folder: private, locked, used by nobody else   ── leftovers, procfs
//!    ├─ process     started, watched, ended; the only file that starts programs ── output, environment
//!    ├─ connection  CDP and the one page ── relay, pipe, workers, user_agent
//!    ├─ flags       the command line, as data ── user_agent
//!    ├─ program     which Chrome is installed
//!    ├─ memory      what Chromes take of the machine ── procfs
//!    ├─ cpu         how long processors have worked for them ── procfs
//!    ├─ limits      what the system refuses it
//!    └─ trial       whether one works here at all
//!  Occupancy ── who uses which profile, seen from outside ── procfs
//!  ProfileSnapshots ── copies of a profile that nobody uses, and their way back
//!  HeldProfile, Export ── a profile on its way to another machine
//!  ForeignProfile ── a profile of another program, on its way into a folder of ours ── occupants
//! ```
//!
//! Knows nothing of sessions, HTTP or the site it shows, and reads no settings from the environment. Invariants: no Chrome
//! outlives its [`Browser`], nor the service: its pipe closes, and `setpriv` has the system kill it. (One that hangs
//! where there is no `setpriv` is ended by [`sweep`] at the next start.) No two Chromes work on one folder. A Chrome
//! that is not ours is never touched. Nobody but the service can drive one: it has a pipe and no port.

mod chrome;
mod connection;
mod cpu;
mod environment;
mod error;
mod flags;
mod last_used;
mod leftovers;
mod limits;
mod memory;
mod occupants;
mod output;
mod pipe;
mod process;
mod procfs;
mod profile;
mod program;
mod relay;
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
pub use limits::{Advice, ProcessRoom, address_space_limit};
pub use memory::{ChromeMemory, Measure, chrome_memory, free_memory_mb};
pub use occupants::{Holder, Occupancy, Occupant, occupancy};
pub use process::{Closed, Exit};
pub use profile::{Aside, delete_profile, delete_profile_unless, lock_of};
pub use program::{ChromeKind, ChromeProgram, ChromeVersion, ensure_there_is_one, find_chrome};
pub use snapshot::{
    Adopted, Export, ExportTo, ForeignError, ForeignProfile, HeldProfile, InvalidPassphrase,
    Manifest, Origin, Passphrase, ProfileSnapshots, SiteStorage, SnapshotError, SnapshotRoot,
    Taken, foreign_profiles, restored_at,
};
pub use trial::{Drawn, Footprint, Visit};
