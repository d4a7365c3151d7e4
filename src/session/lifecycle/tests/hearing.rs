//! What a page hears, and what the session makes of it.

use std::sync::{Arc, Mutex, MutexGuard};

use crate::whatsapp::{AdapterName, Hear, HeardBatch, Said};

/// What a page has heard.
#[derive(Clone, Debug, Default)]
pub(super) struct Ears(Arc<Mutex<Memory>>);

#[derive(Debug, Default)]
struct Memory {
    waiting: Vec<Said>,
    questions: Vec<Hear>,
}

impl Ears {
    fn lock(&self) -> MutexGuard<'_, Memory> {
        self.0.lock().unwrap()
    }

    /// Answers as the script of a page does.
    pub(super) fn hear(&self, ask: &Hear) -> HeardBatch {
        let memory = &mut *self.lock();
        if ask.confirmed.is_some() {
            memory.waiting.clear();
        }
        memory.questions.push(ask.clone());
        HeardBatch {
            document: "1".to_owned(),
            upto: 1,
            by: Some(AdapterName::Modules),
            lacks: Vec::new(),
            phone: None,
            lid: None,
            is_walking: false,
            trouble: None,
            said: memory.waiting.clone(),
            not_understood: 0,
        }
    }
}
