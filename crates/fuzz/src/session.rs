//! The JSON form of sessions: what is understood is written and understood again.

use cacheroach_api::rule::Ruled as _;
use cacheroach_api::{json, session as messages};

/// A session as JSON.
pub(crate) fn session(data: &[u8]) {
    let mut reader = serde_json::Deserializer::from_slice(data);
    let Ok(read) = json::object(&mut reader) else { return };
    let Ok(message) = messages::Session::try_from(read) else { return };
    let text = serde_json::to_string(&json::Session::from(&message)).expect("what was read can be written");
    let mut reader = serde_json::Deserializer::from_str(&text);
    let again = json::object(&mut reader).expect("what was written can be read");
    let again = messages::Session::try_from(again).expect("and is one session");
    assert_eq!(again, message);
    if message.form().is_ok()
        && let Ok(parsed) = message.parse()
    {
        let shown = messages::Session::from(&parsed);
        assert_eq!(shown.parse().expect("what was parsed"), parsed);
    }
}
