//! How often somebody may try: a bucket of tokens per key, filled again as time goes by. What is remembered is bounded.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use cacheroach_model::Timestamp;

/// More than so many buckets are not kept; a full one says nothing that an absent one does not.
const MOST_BUCKETS: usize = 16 * 1024;

/// How many tries at once, and how long until there is one more.
#[derive(Clone, Copy)]
struct Rate {
    burst: u32,
    every: Duration,
}

/// From one network for one user: what somebody needs who mistypes.
const PAIR: Rate = Rate { burst: 5, every: Duration::from_secs(12) };
/// For one user from everywhere. It fills faster than a single network can empty it, so that no stranger alone locks a
/// user out; many together do so only for as long as they go on.
const USER: Rate = Rate { burst: 20, every: Duration::from_secs(3) };
/// From one network for all users: offices share an address.
const NETWORK: Rate = Rate { burst: 50, every: Duration::from_secs(2) };

/// Where a try comes from: an address of version 4, or the network of one of version 6, since each customer has a whole
/// network (`/64`). Nowhere, for callers inside the process.
type Network = Option<IpAddr>;

#[derive(Clone, Eq, Hash, PartialEq)]
enum Key {
    Pair(Network, String),
    User(String),
    Network(Network),
}

impl Key {
    fn rate(&self) -> Rate {
        match self {
            Key::Pair(..) => PAIR,
            Key::User(_) => USER,
            Key::Network(_) => NETWORK,
        }
    }
}

/// When the bucket is going to be full. Each token taken puts that off.
#[derive(Clone, Copy)]
struct Bucket {
    full_at: Timestamp,
}

/// Counts tries.
#[derive(Default)]
pub(crate) struct Throttle {
    buckets: Mutex<HashMap<Key, Bucket>>,
}

/// A try that was let through.
pub(crate) struct Try([Key; 3]);

/// How long to wait.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct TooSoon(pub(crate) Duration);

impl Throttle {
    /// Lets a try through, unless there were too many. Users are counted without regard to case.
    pub(crate) fn take(&self, user: &str, from: Option<IpAddr>, now: Timestamp) -> Result<Try, TooSoon> {
        let (network, user) = (from.map(network), user.to_lowercase());
        let keys = [Key::Pair(network, user.clone()), Key::User(user), Key::Network(network)];
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let wait = keys.iter().map(|key| wait(buckets.get(key), key.rate(), now)).max().unwrap_or_default();
        if !wait.is_zero() {
            return Err(TooSoon(wait));
        }
        make_room(&mut buckets, now);
        for key in &keys {
            let bucket = buckets.entry(key.clone()).or_insert(Bucket { full_at: now });
            bucket.full_at = bucket.full_at.max(now).after(key.rate().every);
        }
        Ok(Try(keys))
    }

    /// A try that succeeded does not count.
    pub(crate) fn give_back(&self, Try(keys): &Try) {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        for key in keys {
            if let Some(bucket) = buckets.get_mut(key) {
                let back = i64::try_from(key.rate().every.as_micros()).unwrap_or(i64::MAX);
                bucket.full_at = Timestamp::from_micros(bucket.full_at.micros().saturating_sub(back));
            }
        }
    }
}

/// How long until the bucket has a token.
fn wait(bucket: Option<&Bucket>, rate: Rate, now: Timestamp) -> Duration {
    let until_full = bucket.map_or(Duration::ZERO, |bucket| bucket.full_at.since(now));
    until_full.saturating_sub(rate.every * (rate.burst - 1))
}

/// Forgets full buckets, and if that is not enough those that are the nearest to it.
fn make_room(buckets: &mut HashMap<Key, Bucket>, now: Timestamp) {
    if buckets.len() + 3 <= MOST_BUCKETS {
        return;
    }
    buckets.retain(|_, bucket| bucket.full_at > now);
    if buckets.len() > MOST_BUCKETS / 4 * 3 {
        let mut ends: Vec<_> = buckets.values().map(|bucket| bucket.full_at).collect();
        let quarter = ends.len() / 4;
        let (_, end, _) = ends.select_nth_unstable(quarter);
        let end = *end;
        buckets.retain(|_, bucket| bucket.full_at > end);
    }
}

fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

    fn address(text: &str) -> Option<IpAddr> {
        Some(text.parse().unwrap())
    }

    /// How many tries are let through.
    fn tries(throttle: &Throttle, user: &str, from: &str, now: Timestamp) -> usize {
        (0..1000).take_while(|_| throttle.take(user, address(from), now).is_ok()).count()
    }

    #[test]
    fn who_mistypes_often_waits_and_then_tries_again() {
        let throttle = Throttle::default();
        assert_eq!(tries(&throttle, "alice", "192.0.2.1", NOW), 5);
        let wait = throttle.take("Alice", address("192.0.2.1"), NOW).err().unwrap();
        assert_eq!(wait, TooSoon(PAIR.every));
        assert_eq!(tries(&throttle, "alice", "192.0.2.1", NOW.after(wait.0)), 1);
        assert_eq!(tries(&throttle, "alice", "192.0.2.1", NOW.after(Duration::from_secs(3600))), 5);
    }

    #[test]
    fn a_stranger_does_not_lock_a_user_out() {
        let throttle = Throttle::default();
        let mut now = NOW;
        for _ in 0..100 {
            tries(&throttle, "alice", "192.0.2.1", now);
            assert!(tries(&throttle, "alice", "198.51.100.7", now.after(PAIR.every / 2)) > 0);
            now = now.after(PAIR.every);
        }
    }

    #[test]
    fn one_user_from_everywhere_and_one_network_for_all_users_are_bounded() {
        let throttle = Throttle::default();
        let from_all: usize =
            (0..200).map(|at| tries(&throttle, "alice", &format!("192.0.2.{at}"), NOW)).sum();
        assert_eq!(from_all, 20);
        let for_all: usize =
            (0..200).map(|at| tries(&throttle, &format!("u{at}"), "198.51.100.1", NOW)).sum();
        assert_eq!(for_all, 50);
    }

    #[test]
    fn a_network_of_version_6_is_one_and_a_mapped_address_is_of_version_4() {
        let throttle = Throttle::default();
        assert_eq!(tries(&throttle, "alice", "2001:db8::1", NOW), 5);
        assert_eq!(tries(&throttle, "alice", "2001:db8::ffff:1", NOW), 0);
        assert_eq!(tries(&throttle, "alice", "2001:db8:0:1::1", NOW), 5);
        assert_eq!(tries(&throttle, "alice", "192.0.2.1", NOW), 5);
        assert_eq!(tries(&throttle, "alice", "::ffff:192.0.2.1", NOW), 0);
    }

    #[test]
    fn a_success_does_not_count() {
        let throttle = Throttle::default();
        for _ in 0..1000 {
            let success = throttle.take("alice", address("192.0.2.1"), NOW).ok().unwrap();
            throttle.give_back(&success);
        }
        assert_eq!(tries(&throttle, "alice", "192.0.2.1", NOW), 5);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let throttle = Throttle::default();
        assert_eq!(tries(&throttle, "alice", "192.0.2.1", NOW), 5);
        for at in 0..100_000_u32 {
            let from = Some(IpAddr::from((0x2001_0db8_u128 << 96 | u128::from(at) << 64).to_be_bytes()));
            assert!(throttle.take(&format!("u{at}"), from, NOW).is_ok());
        }
        assert!(throttle.buckets.lock().unwrap().len() <= MOST_BUCKETS);
        assert_eq!(
            tries(&throttle, "alice", "192.0.2.1", NOW),
            0,
            "whoever tried most is remembered longest"
        );
    }
}
