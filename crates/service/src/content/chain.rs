//! Groups of one content that are worked on beside each other: each learns of the one before it what it needs.

use tokio::sync::oneshot;

use crate::{Error, Result};

/// How many groups of one content are on their way at once: one is hashed while the one before it is written.
pub(crate) const AT_ONCE: usize = 2;

/// What a group learns of the one before it: how it will leave things, and later how it has left them.
pub(crate) struct Before<P, R> {
    planned: oneshot::Receiver<P>,
    reached: oneshot::Receiver<R>,
}

/// What a group tells the next one. One that fails tells nothing more, and those behind it fail with it.
pub(crate) struct After<P, R> {
    planned: Option<oneshot::Sender<P>>,
    reached: oneshot::Sender<R>,
}

/// Between a group and the next one.
pub(crate) fn link<P, R>() -> (After<P, R>, Before<P, R>) {
    let ((plan, planned), (reach, reached)) = (oneshot::channel(), oneshot::channel());
    (After { planned: Some(plan), reached: reach }, Before { planned, reached })
}

impl<P, R> Before<P, R> {
    /// Before the first group.
    pub(crate) fn known(planned: P, reached: R) -> Self {
        let (mut after, before) = link();
        after.plan(planned);
        after.reach(reached);
        before
    }

    /// What the group before plans, as soon as it knows.
    pub(crate) async fn planned(&mut self) -> Result<P> {
        (&mut self.planned).await.map_err(broken_off)
    }

    /// What it has done, once it is done.
    pub(crate) async fn reached(self) -> Result<R> {
        self.reached.await.map_err(broken_off)
    }
}

impl<P, R> After<P, R> {
    /// Tells what is planned.
    pub(crate) fn plan(&mut self, planned: P) {
        // If nobody comes after, nobody listens.
        let _ = self.planned.take().map(|next| next.send(planned));
    }

    /// Tells what is done.
    pub(crate) fn reach(self, reached: R) {
        let _ = self.reached.send(reached);
    }
}

/// Heard by nobody: what went wrong before is told.
fn broken_off(_: oneshot::error::RecvError) -> Error {
    Error::State("the content has ended".into())
}
