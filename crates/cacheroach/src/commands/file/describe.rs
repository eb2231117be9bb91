//! What is said of a file besides its content, on the command line.

use std::collections::HashMap;

use clap::Args;

/// Metadata and content type of what is uploaded.
#[derive(Args, Debug, Default)]
pub(super) struct Description {
    /// Metadata to keep with each file; may be repeated.
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    meta: Vec<(String, String)>,
    /// The content type [default: told by the name or the content].
    #[arg(long = "type", value_name = "TYPE")]
    content_type: Option<String>,
}

impl Description {
    pub(super) fn is_empty(&self) -> bool {
        self.meta.is_empty() && self.content_type.is_none()
    }

    pub(super) fn meta(&self) -> HashMap<String, String> {
        self.meta.iter().cloned().collect()
    }

    pub(super) fn content_type(&self) -> String {
        self.content_type.clone().unwrap_or_default()
    }
}

/// From `key=value`; the value may be empty and may hold further signs. Fit to be a parser of clap's.
pub(super) fn pair(text: &str) -> Result<(String, String), &'static str> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("not KEY=VALUE"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_is_cut_at_its_first_sign() {
        assert_eq!(pair("a=b=c"), Ok(("a".into(), "b=c".into())));
        assert_eq!(pair("a="), Ok(("a".into(), String::new())));
        assert!(pair("a").is_err());
        assert!(pair("=b").is_err());
    }
}
