//! HTTP, in process and over real sockets: file by topic.

#![allow(clippy::unwrap_used, reason = "this is a test")]

#[path = "../support/mod.rs"]
mod support;

mod reopened;
mod site;
mod versions;
mod wire;

mod browser;
mod clocks;
mod conditions;
mod config;
mod cors;
mod credentials;
mod directories;
mod drop_forms;
mod drops;
mod files;
mod floods;
mod hosts;
mod link_bounds;
mod link_lists;
mod links;
mod login;
mod problems;
mod ranges;
mod static_sites;
mod transport;
mod writes;
