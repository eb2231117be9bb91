//! Contents that are sent in streams, through connections that break.

#![cfg(test)]

mod program;

use std::fs;

use cacheroach_testing::noise;
use program::site;
use program::way::Way;

const MIB: usize = 1024 * 1024;

#[test]
fn an_upload_whose_connection_is_cut_goes_on_where_it_was() {
    let (server, home) = site();
    let way = Way::lay(&server, &home);
    let content = noise(70 * MIB + 1_000, 1);
    home.write("x", &content);
    // In the first stream, in a later one, and in the last.
    for (path, cut) in [("/a/x", 300_000), ("/b/x", 20 * MIB), ("/c/x", 69 * MIB)] {
        // Another content each, so that all of it must be sent.
        let mut content = content.clone();
        content.iter_mut().for_each(|byte| *byte ^= path.as_bytes()[1]);
        home.write("x", &content);
        way.cut_after(cut as u64);
        let sent = way.count(|| drop(home.ok(&["file", "put", &path[..3], "x"])));
        assert!(way.is_cut(), "{path}");
        // What was on its way is sent again, not what was told to be safe.
        let most = content.len() + 20 * MIB;
        assert!(sent >= content.len() as u64 && sent < most as u64, "{path}: {sent}");
        home.ok(&["file", "get", "-o", "got", path]);
        assert!(fs::read(home.at("got")).unwrap() == content, "{path}");
    }
}
