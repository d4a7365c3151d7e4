//! The command `session-manager`.

fn main() {}
