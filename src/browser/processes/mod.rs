//! Chrome's processes: started, watched, stopped for a moment and ended, and those that others have left or use.
//!
//! Only [`process`] starts programs.

mod environment;
pub(super) mod freezer;
pub(super) mod leftovers;
pub(super) mod occupants;
pub(super) mod output;
pub(super) mod pipe;
pub(super) mod process;
