//! A server that takes no writes: while the last part of its store is copied elsewhere, or its data must stand still for
//! another reason. What is not known to change nothing is refused.

use cacheroach_api::method::{contents, diags, files, principals, tenants, tokens, vhosts};
use cacheroach_api::rule::Method;

use crate::{Error, Result, Service};

/// The methods that change nothing. Making a link that is counted or listed does, and so does using one that is counted:
/// those ask by themselves.
const READS: &[&str] = &[
    contents::Browse::NAME,
    contents::Open::NAME,
    contents::Versions::NAME,
    diags::Echo::NAME,
    files::List::NAME,
    files::ListLinks::NAME,
    files::ListVersions::NAME,
    files::Retrieve::NAME,
    files::Stat::NAME,
    principals::List::NAME,
    principals::Load::NAME,
    principals::Watch::NAME,
    tenants::Get::NAME,
    tenants::List::NAME,
    tenants::Where::NAME,
    tokens::Current::NAME,
    tokens::Find::NAME,
    tokens::Load::NAME,
    tokens::Validate::NAME,
    vhosts::List::NAME,
];

impl Service {
    /// Whether a method may be called at all just now.
    pub(crate) fn may_run<M: Method>(&self) -> Result<()> {
        if READS.contains(&M::NAME) { Ok(()) } else { self.may_change() }
    }

    /// Whether anything may be changed.
    pub(crate) fn may_change(&self) -> Result<()> {
        if self.settings.read_only { Err(Error::ReadOnly) } else { Ok(()) }
    }
}
