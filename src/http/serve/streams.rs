//! The places for streams of changes: a number in all, and a number for each caller.

use std::{collections::HashMap, net::IpAddr, sync::Arc};

use parking_lot::Mutex;

use crate::{
    http::{
        guard::{caller::Caller, client::Client},
        wire::error::ApiError,
    },
    keys::KeyName,
};

/// A page in view holds two, and every one keeps a connection: enough for some thirty people who look at once.
const MOST: usize = 64;

/// Eight pages in view. One caller must not take all places.
const MOST_OF_ONE: usize = 16;

/// Those of one-time links are counted apart: the people who have such links must not take the operators' places.
const MOST_OF_LINKS: usize = 32;

/// A computer, a phone, and one that has just been closed.
const MOST_OF_ONE_LINK: usize = 3;

/// Whom a place is counted for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::http) enum Holder {
    /// A key of its own.
    Key(KeyName),
    /// The address of a caller that has none, or that has `API_KEY`, which many may share.
    Network(IpAddr),
    /// The sum of a link's token.
    OneTimeLink([u8; 32]),
}

impl Holder {
    /// Who makes this request.
    pub(in crate::http) fn of(caller: &Caller, client: Client) -> Self {
        let key = caller.key().cloned();
        key.map_or_else(|| Self::Network(client.network()), Self::Key)
    }
}

/// Places of one kind; cheap to clone.
#[derive(Clone, Debug)]
pub(in crate::http) struct StreamPlaces {
    most: usize,
    most_of_one: usize,
    taken: Arc<Mutex<HashMap<Holder, usize>>>,
}

impl StreamPlaces {
    /// For callers with a key that may read.
    pub(in crate::http) fn of_readers() -> Self {
        Self::new(MOST, MOST_OF_ONE)
    }

    /// For one-time links.
    pub(in crate::http) fn of_links() -> Self {
        Self::new(MOST_OF_LINKS, MOST_OF_ONE_LINK)
    }

    fn new(most: usize, most_of_one: usize) -> Self {
        Self {
            most,
            most_of_one,
            taken: Arc::default(),
        }
    }

    /// Takes one, if there is one for this holder.
    pub(in crate::http) fn take(&self, holder: Holder) -> Result<StreamPlace, ApiError> {
        let mut taken = self.taken.lock();
        let in_all: usize = taken.values().sum();
        let of_one = taken.entry(holder.clone()).or_default();
        if in_all >= self.most || *of_one >= self.most_of_one {
            taken.retain(|_, places| *places > 0);
            return Err(ApiError::TooManyStreams);
        }
        *of_one += 1;
        Ok(StreamPlace {
            places: self.clone(),
            holder,
        })
    }
}

/// Free again when it is dropped.
#[derive(Debug)]
pub(in crate::http) struct StreamPlace {
    places: StreamPlaces,
    holder: Holder,
}

impl Drop for StreamPlace {
    fn drop(&mut self) {
        let mut taken = self.places.taken.lock();
        if let Some(places) = taken.get_mut(&self.holder) {
            *places = places.saturating_sub(1);
        }
        taken.retain(|_, places| *places > 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(number: u8) -> Holder {
        Holder::Network([192, 0, 2, number].into())
    }

    #[test]
    fn nobody_takes_the_places_of_all_and_there_is_an_end_for_all_together() {
        let places = StreamPlaces::of_readers();
        let mut taken: Vec<StreamPlace> = Vec::new();
        let take = |holder| places.take(holder).map_err(|why| why.facts().code);
        for _ in 0..MOST_OF_ONE {
            taken.push(take(from(1)).unwrap());
        }
        assert_eq!(take(from(1)).unwrap_err(), "TOO_MANY_STREAMS");
        for number in 2.. {
            match take(from(number)) {
                Ok(place) => taken.push(place),
                Err(_) => break,
            }
        }
        assert_eq!(taken.len(), MOST);
        taken.pop();
        taken.push(take(from(250)).unwrap());
        assert_eq!(take(from(251)).unwrap_err(), "TOO_MANY_STREAMS");
        taken.clear();
        assert!(
            places.taken.lock().is_empty(),
            "nothing is kept of a holder that has left"
        );
    }
}
