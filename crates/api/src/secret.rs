//! Messages that hold passwords, as they show themselves: without them.

use std::fmt;

use crate::{principal, token};

impl fmt::Debug for principal::SetPasswordRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SetPasswordRequest").field("principal", &self.principal).finish_non_exhaustive()
    }
}

impl fmt::Debug for token::LoginRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoginRequest").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p13_a_password_is_not_shown() {
        let password = || "correct horse".to_owned();
        let set = principal::SetPasswordRequest {
            password: password(),
            old_password: password(),
            ..Default::default()
        };
        let login = token::LoginRequest { user: "alice".into(), password: password(), valid_for: None };
        for shown in [format!("{set:?}"), format!("{login:?}")] {
            assert!(!shown.contains("horse") && !shown.contains("alice"), "{shown}");
        }
    }
}
