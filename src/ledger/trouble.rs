//! Something that is tried repeatedly. It is worth a log line when it begins to fail and one when it works again, and none in
//! between.
//!
//! Pure: the time is passed in.

use std::time::Duration;

use tokio::time::Instant;

/// Whether the last try failed, and since when.
#[derive(Debug, Default)]
pub(super) struct Trouble {
    since: Option<Instant>,
}

/// What the last try has changed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum News<'a, E> {
    /// It fails now, and did not before.
    Begun(&'a E),
    /// It works again, after it had failed for this long.
    Over(Duration),
    /// It is as before.
    None,
}

impl Trouble {
    /// Whether the last try has failed.
    pub(super) const fn lasts(&self) -> bool {
        self.since.is_some()
    }

    /// It was tried once more.
    pub(super) fn after<'a, E>(&mut self, tried: &'a Result<(), E>, now: Instant) -> News<'a, E> {
        match (tried, self.since) {
            (Err(why), None) => {
                self.since = Some(now);
                News::Begun(why)
            }
            (Ok(()), Some(since)) => {
                self.since = None;
                News::Over(now.saturating_duration_since(since))
            }
            (Err(_), Some(_)) | (Ok(()), None) => News::None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_that_is_full_for_an_hour_is_told_of_twice() {
        let mut trouble = Trouble::default();
        let begin = Instant::now();
        let full = Err("full");
        let mut told = Vec::new();
        for quarter in 0..14_400 {
            let now = begin + Duration::from_millis(250) * quarter;
            if trouble.after(&full, now) != News::None {
                told.push(quarter);
            }
        }
        assert_eq!(told, [0]);
        let end = begin + Duration::from_secs(3600);
        let over = trouble.after(&Ok::<_, &str>(()), end);
        assert_eq!(over, News::Over(Duration::from_secs(3600)));
        assert_eq!(trouble.after(&Ok::<_, &str>(()), end), News::None);
        assert_eq!(trouble.after(&full, end), News::Begun(&"full"));
    }
}
