//! What hosts, their incarnations and their claims are called.

use std::{fmt, str::FromStr, sync::Arc};

/// The longest label of a host name (RFC 1123), which is what `HOST_ID` is by default.
const MAX_HOST_ID: usize = 63;

/// Names one host: `HOST_ID`. It stays the same over restarts and reboots.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HostId(Arc<str>);

/// Says why a text names no host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a host's id is 1 to 63 letters, digits, '.', '-' or '_'")]
pub struct InvalidHostId;

impl HostId {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for HostId {
    type Err = InvalidHostId;

    fn from_str(raw: &str) -> Result<Self, Self::Err> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
        if raw.is_empty() || MAX_HOST_ID < raw.len() || !raw.bytes().all(allowed) {
            return Err(InvalidHostId);
        }
        Ok(Self(raw.into()))
    }
}

impl fmt::Display for HostId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One life of a host's service, from its registration until its lease expires or its row is gone. It is drawn at random, since a
/// number that is counted up could be given twice when a failover of the engine loses commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Incarnation(u128);

/// One host's right to one session, from the commit that gave it until the one that takes it away. Each write of an owner names its
/// claim, so it is the fence. It is drawn at random for the same reason as an [`Incarnation`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Claim(u128);

/// One run of a machine's kernel: `/proc/sys/kernel/random/boot_id`. A machine that was cloned while it was off gets another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BootId(u128);

/// Says why a text is no boot id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a boot id is 32 hexadecimal digits, as a UUID has them")]
pub struct InvalidBootId;

/// The timeline of PostgreSQL's write-ahead log. A standby that becomes the primary begins the next one.
///
/// Two standbys that a person promotes from the same timeline, without one knowing of the other, get the same number.
/// [`lease::Holder`](super::lease::Holder) sees that by its count of beats, a host that starts does not. Patroni does not do it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timeline(pub u32);

impl Timeline {
    /// Of an engine that has never failed over nor been restored.
    pub const FIRST: Self = Self(1);
}

impl Incarnation {
    /// Of a random number, which the caller draws.
    pub const fn from_random(bits: u128) -> Self {
        Self(bits)
    }

    /// As PostgreSQL's type `uuid` has it, from its first byte.
    pub const fn bits(self) -> u128 {
        self.0
    }
}

impl Claim {
    /// Of a random number, which the caller draws.
    pub const fn from_random(bits: u128) -> Self {
        Self(bits)
    }

    /// As PostgreSQL's type `uuid` has it, from its first byte.
    pub const fn bits(self) -> u128 {
        self.0
    }
}

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_uuid(self.0, f)
    }
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_uuid(self.0, f)
    }
}

impl fmt::Display for BootId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_uuid(self.0, f)
    }
}

impl FromStr for BootId {
    type Err = InvalidBootId;

    fn from_str(raw: &str) -> Result<Self, Self::Err> {
        let digits: String = raw.trim().chars().filter(|c| *c != '-').collect();
        if digits.len() != 32 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(InvalidBootId);
        }
        u128::from_str_radix(&digits, 16)
            .map(Self)
            .map_err(|_| InvalidBootId)
    }
}

/// As PostgreSQL's type `uuid` is written.
fn write_uuid(bits: u128, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let hex = format!("{bits:032x}");
    let [time, middle, version, variant] = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20]];
    write!(f, "{time}-{middle}-{version}-{variant}-{}", &hex[20..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_named_as_machines_are() {
        for good in ["h1", "wa-3.example.net", "HOST_2", &"x".repeat(63)] {
            assert_eq!(good.parse::<HostId>().unwrap().as_str(), good);
        }
        for bad in ["", "a b", "h/1", "höst", &"x".repeat(64)] {
            assert_eq!(bad.parse::<HostId>(), Err(InvalidHostId), "{bad}");
        }
    }

    #[test]
    fn a_boot_id_is_read_as_the_kernel_writes_it() {
        let written = "0f3c9a52-7d6e-4b21-9c04-1a2b3c4d5e6f";
        let id: BootId = format!("{written}\n").parse().unwrap();
        assert_eq!(id.to_string(), written);
        for bad in ["", "0f3c9a52", "+f3c9a52-7d6e-4b21-9c04-1a2b3c4d5e6f"] {
            assert_eq!(bad.parse::<BootId>(), Err(InvalidBootId), "{bad}");
        }
    }
}
