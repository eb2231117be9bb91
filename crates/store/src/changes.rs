//! What may have changed under those who remember: sessions, principals, links, virtual hosts and tenants, on whichever server.
//!
//! Nobody may rely on being told: a message between servers can be lost. Who remembers something looks again after
//! [`FRESH`] at the latest, and the earlier look that a message causes only makes that quicker.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cacheroach_model::{LinkId, PrincipalId, SessionId, TenantId};
use tokio::sync::broadcast;

/// For how long something may be remembered without a look at the store: four seconds, so that looking does not make more
/// than five of it.
pub const FRESH: Duration = Duration::from_secs(4);

/// How many changes a listener may be behind before it is told [`Change::Everything`] instead.
const BACKLOG: usize = 1024;

/// What may have changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Change {
    /// A session was ended, renewed or deleted; on this server also if it was added.
    Session(SessionId),
    /// A principal was changed or deleted, and its sessions with it.
    Principal(PrincipalId),
    /// A link was taken back.
    Link(LinkId),
    /// Hosts were mapped, or let go.
    Vhosts,
    /// A tenant was made, changed or deleted.
    Tenant(TenantId),
    /// Any of it: nobody knows, since messages were lost.
    Everything,
}

/// Keeps whoever remembers something informed.
pub trait Changes {
    /// Where the engine tells what was changed, by this process before the change is answered, and by others.
    fn changes(&self) -> &News;
}

/// Passes changes on to all who listen, and counts them for those who would rather ask.
#[derive(Debug)]
pub struct News {
    listeners: broadcast::Sender<Change>,
    authority: AtomicU64,
    vhosts: AtomicU64,
}

impl Default for News {
    fn default() -> Self {
        let (listeners, _) = broadcast::channel(BACKLOG);
        News { listeners, authority: AtomicU64::new(0), vhosts: AtomicU64::new(0) }
    }
}

impl News {
    /// Tells everybody. Once this answers, the counts are up to date.
    pub fn tell(&self, change: Change) {
        if change != Change::Vhosts {
            self.authority.fetch_add(1, Ordering::SeqCst);
        }
        if matches!(change, Change::Vhosts | Change::Everything) {
            self.vhosts.fetch_add(1, Ordering::SeqCst);
        }
        // An error is that nobody listens.
        let _ = self.listeners.send(change);
    }

    /// Hears what is told from now on.
    #[must_use]
    pub fn listen(&self) -> Listener {
        Listener(self.listeners.subscribe())
    }

    /// Counts what may take authority from somebody. What was read after an earlier count may be out of date.
    #[must_use]
    pub fn authority(&self) -> u64 {
        self.authority.load(Ordering::SeqCst)
    }

    /// Counts what may change which tenant a host shows, and how.
    #[must_use]
    pub fn vhosts(&self) -> u64 {
        self.vhosts.load(Ordering::SeqCst)
    }
}

/// Hears of changes.
#[derive(Debug)]
pub struct Listener(broadcast::Receiver<Change>);

impl Listener {
    /// The next change; [`Change::Everything`] for those that were missed. Waits for ever once there are none to come.
    pub async fn next(&mut self) -> Change {
        match self.0.recv().await {
            Ok(change) => change,
            Err(broadcast::error::RecvError::Lagged(_)) => Change::Everything,
            Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
        }
    }
}

impl Change {
    /// As servers tell each other. It holds no secret: ids prove nothing.
    pub(crate) fn message(self) -> String {
        match self {
            Change::Session(id) => format!("session {id}"),
            Change::Principal(id) => format!("principal {id}"),
            Change::Link(id) => format!("link {id}"),
            Change::Vhosts => "vhosts".to_owned(),
            Change::Tenant(id) => format!("tenant {id}"),
            Change::Everything => "everything".to_owned(),
        }
    }

    /// From such a message. What a newer server may say that this one does not understand is everything.
    pub(crate) fn parse(message: &str) -> Self {
        let understood = match message.split_once(' ') {
            Some(("session", id)) => id.parse().ok().map(Change::Session),
            Some(("principal", id)) => id.parse().ok().map(Change::Principal),
            Some(("link", id)) => id.parse().ok().map(Change::Link),
            Some(("tenant", id)) => id.parse().ok().map(Change::Tenant),
            None if message == "vhosts" => Some(Change::Vhosts),
            _ => None,
        };
        understood.unwrap_or(Change::Everything)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_understood_as_it_was_said() {
        let changes = [
            Change::Session(SessionId::new([1; 16])),
            Change::Principal(PrincipalId::new([2; 16])),
            Change::Link(LinkId::new([4; 16])),
            Change::Vhosts,
            Change::Tenant(TenantId::new([3; 16])),
            Change::Everything,
        ];
        for change in changes {
            assert_eq!(Change::parse(&change.message()), change);
        }
    }

    #[test]
    fn f26_what_is_not_understood_is_everything() {
        for message in ["", "session", "session x", "tenant ", "moon 1", "vhosts ", "\0", &"x".repeat(8000)] {
            assert_eq!(Change::parse(message), Change::Everything, "{message:.20}");
        }
    }

    #[tokio::test]
    async fn f26_who_is_too_far_behind_is_told_everything() {
        let news = News::default();
        let mut listener = news.listen();
        for _ in 0..=BACKLOG {
            news.tell(Change::Vhosts);
        }
        assert_eq!(listener.next().await, Change::Everything);
        assert_eq!(listener.next().await, Change::Vhosts);
    }

    #[test]
    fn counts_tell_what_may_be_out_of_date() {
        let news = News::default();
        news.tell(Change::Session(SessionId::new([1; 16])));
        assert_eq!((news.authority(), news.vhosts()), (1, 0));
        news.tell(Change::Vhosts);
        assert_eq!((news.authority(), news.vhosts()), (1, 1));
        news.tell(Change::Everything);
        assert_eq!((news.authority(), news.vhosts()), (2, 2));
    }
}
