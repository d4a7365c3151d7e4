//! What the binary can be told to do, besides its settings.
//!
//! Each subcommand has a file of its own under this one, which says what it needs; `serve` is what it does without any.
//! Only this module and `main` talk to a terminal.

mod key;

use clap::Subcommand;
pub use key::KeyCommand;

/// What to do.
#[derive(Clone, Debug, Default, Subcommand)]
pub enum Command {
    /// Run the service. This is what happens without a subcommand.
    #[default]
    Serve,
    /// Make, show and revoke keys, each with its own rights.
    #[command(subcommand)]
    Key(KeyCommand),
}
