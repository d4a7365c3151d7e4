//! The media that clients send: which message has one, and its bytes, from the seed of the client and the number of the message alone.
//! So a seed sends the same files again, however often a request had to be repeated meanwhile.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use data_encoding::HEXLOWER;
use rand::{Rng as _, RngExt as _, SeedableRng as _, rngs::StdRng};
use sha2::{Digest as _, Sha256};

use super::arrivals::Medium;

/// One message in so many is a medium.
const ONE_IN: u32 = 3;

/// Sizes in bytes. Their logarithms are spread evenly: as many are between 10 and 100 kB as between 100 kB and 1 MB.
const SIZES: [f64; 2] = [10e3, 5e6];

/// The most bytes of one that stands in the body of its send. Larger ones are brought before it.
const MOST_INLINE: usize = 100_000;

/// A picture of one pixel. What follows its end is no part of what is seen of it.
const PNG: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

/// A file that a client sends.
#[derive(Clone, Debug)]
pub(super) struct Attachment {
    pub(super) mimetype: &'static str,
    pub(super) bytes: Vec<u8>,
    /// How it is found at the recipient's phone.
    pub(super) medium: Medium,
}

impl Attachment {
    /// That of the message with this number, if it has one.
    pub(super) fn of(seed: u64, number: u64) -> Option<Self> {
        // Neighbours in both have streams of their own: the seeds of clients are neighbours.
        let mut random = StdRng::seed_from_u64(seed.rotate_left(32) ^ number);
        if !random.random_ratio(1, ONE_IN) {
            return None;
        }
        let (kind, mimetype, head) = if random.random_bool(0.5) {
            ("image", "image/png", BASE64_STANDARD.decode(PNG).unwrap())
        } else {
            ("document", "application/pdf", b"%PDF-1.7\n".to_vec())
        };
        let [least, most] = SIZES.map(f64::ln);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a size of some millions"
        )]
        let size = random.random_range(least..most).exp() as usize;
        let mut bytes = head;
        let from = bytes.len();
        bytes.resize(size, 0);
        random.fill_bytes(&mut bytes[from..]);
        let medium = Medium {
            kind: kind.to_owned(),
            bytes: u64::try_from(size).unwrap(),
            sha256: HEXLOWER.encode(&Sha256::digest(&bytes)),
        };
        Some(Self {
            mimetype,
            bytes,
            medium,
        })
    }

    /// Whether it goes in the body of its send, and not by `POST /media`.
    pub(super) fn is_inline(&self) -> bool {
        self.bytes.len() <= MOST_INLINE
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_seed_has_its_files_a_third_of_the_messages_of_all_sizes() {
        // Benches have this module, and no tests in it.
        use super::{Attachment, Medium};

        let of = |seed: u64, numbers: u64| -> Vec<Medium> {
            let files = (0..numbers).filter_map(|number| Attachment::of(seed, number));
            files.map(|file| file.medium).collect()
        };
        let one = of(7, 90);
        let again = of(7, 15);
        assert_eq!(again, one[..again.len()]);
        assert_ne!(of(8, 15), again);
        assert!((20..=40).contains(&one.len()), "{}", one.len());
        let share = |is_meant: fn(&Medium) -> bool| {
            one.iter().filter(|medium| is_meant(medium)).count() * 100 / one.len()
        };
        assert!((30..70).contains(&share(|medium| medium.kind == "image")));
        // 37 % each by the logarithm, and the rest above.
        assert!((20..55).contains(&share(|medium| medium.bytes < 100_000)));
        assert!((10..45).contains(&share(|medium| 1_000_000 < medium.bytes)));
        assert!(
            one.iter()
                .all(|medium| (10_000..=5_000_000).contains(&medium.bytes))
        );
    }
}
