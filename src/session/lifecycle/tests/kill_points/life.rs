//! A service that dies after a number of steps: each poll of one of its tasks is a step.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

/// Counts the steps of a service until its death.
#[derive(Debug)]
pub(super) struct Life {
    steps_left: AtomicUsize,
    pub(super) over: CancellationToken,
}

impl Life {
    pub(super) fn of(steps: usize) -> Arc<Self> {
        Arc::new(Self {
            steps_left: AtomicUsize::new(steps),
            over: CancellationToken::new(),
        })
    }

    pub(super) fn spawn(self: &Arc<Self>, task: impl Future<Output = ()> + Send + 'static) -> Task {
        AbortOnDropHandle::new(tokio::spawn(Mortal {
            task: Box::pin(task),
            life: Arc::clone(self),
        }))
    }
}

pub(super) type Task = AbortOnDropHandle<()>;

/// A task that does nothing any more once its life is over.
struct Mortal {
    task: Pin<Box<dyn Future<Output = ()> + Send>>,
    life: Arc<Life>,
}

impl Future for Mortal {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let one_less = |left: usize| left.checked_sub(1);
        let steps = &self.life.steps_left;
        let is_alive = steps.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less);
        if is_alive.is_err() {
            self.life.over.cancel();
            return Poll::Pending;
        }
        self.task.as_mut().poll(context)
    }
}
