//! Rows of a store that is as large as one likes, put straight into the tables: the same on each engine.

use cacheroach_model::{Hash, Path, Timestamp};

/// What time it is there.
pub(crate) const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

/// Kinds of ids, so that none meets another.
pub(crate) const TENANT: u32 = 1;
pub(crate) const GONE_TENANT: u32 = 2;
pub(crate) const PRINCIPAL: u32 = 3;
pub(crate) const SESSION: u32 = 4;
pub(crate) const LINK: u32 = 5;
pub(crate) const LOOSE_ROPE: u32 = 6;
pub(crate) const ROPE: u32 = 7;
pub(crate) const LONG_ROPE: u32 = 8;
pub(crate) const CHUNK: u32 = 9;
pub(crate) const LOOSE_CHUNK: u32 = 10;
pub(crate) const UPLOAD: u32 = 11;
pub(crate) const OUTCOME: u32 = 12;
/// For what a test adds.
pub(crate) const FRESH: u32 = 13;

/// The length of a chunk.
pub(crate) const LENGTH: u64 = 8;
/// Of ten files of the first fifth the one that is large.
pub(crate) const LARGE: u64 = 4;

/// A file with many versions.
pub(crate) const MANY: &str = "/many";

/// The id of the `index`-th of a kind.
pub(crate) fn id(kind: u32, index: u64) -> [u8; 16] {
    let mut id = [0; 16];
    id[..4].copy_from_slice(&kind.to_be_bytes());
    id[8..].copy_from_slice(&index.to_be_bytes());
    id
}

/// The hash of the `index`-th of a kind.
pub(crate) fn hash(kind: u32, index: u64) -> Hash {
    let mut hash = [0; 32];
    hash[..4].copy_from_slice(&kind.to_be_bytes());
    hash[24..].copy_from_slice(&index.to_be_bytes());
    Hash::new(hash)
}

/// Of `files`, the first half in directories of ten, the others in one.
pub(crate) fn path(index: u64, files: u64) -> Path {
    let text = match index < files / 2 {
        true => format!("/d{:07}/f{}", index / 10, index % 10),
        false => format!("/w/{index:07}"),
    };
    Path::parse_file(&text).unwrap()
}

/// What engines say differently.
pub(crate) trait Words {
    /// So many bytes from hexadecimal digits.
    fn bytes(&self, kind: u32, index: &str, digits: usize) -> String;
    /// With so many digits.
    fn padded(&self, number: &str, digits: usize) -> String;
    /// From 0 to before this one, into the table `numbers`.
    fn count_to(&self, end: u64) -> String;
    /// Whether calls are noted, so that they can be looked up.
    fn has_outcomes(&self) -> bool;
}

struct Filling<'a> {
    words: &'a dyn Words,
    files: u64,
    statements: Vec<String>,
}

impl Filling<'_> {
    fn id(&self, kind: u32, index: &str) -> String {
        self.words.bytes(kind, index, 32)
    }

    fn hash(&self, kind: u32, index: &str) -> String {
        self.words.bytes(kind, index, 64)
    }

    fn path(&self, index: &str) -> String {
        let (deep, wide) = (self.words.padded(&format!("({index}) / 10"), 7), self.words.padded(index, 7));
        let half = self.files / 2;
        format!(
            "CASE WHEN {index} < {half} THEN '/d' || {deep} || '/f' || (({index}) % 10) ELSE '/w/' || {wide} END"
        )
    }

    /// Some time within the last seconds before another one, in no order.
    fn before(&self, time: i64) -> String {
        format!("{time} - (i * 7919) % {}", self.files)
    }

    /// A row for each number from 0 on, up to a share of the number of files.
    fn rows(&mut self, share: u64, table: &str, columns: &str, values: &str) {
        let end = self.files / share;
        let statement =
            format!("INSERT INTO {table} ({columns}) SELECT {values} FROM numbers WHERE i < {end}");
        self.statements.push(statement);
    }
}

/// The statements that make `files` files, and as many or some part of it of everything else.
pub(crate) fn statements(words: &dyn Words, files: u64) -> Vec<String> {
    let mut filling = Filling { words, files, statements: Vec::new() };
    filling.statements.push("CREATE TABLE numbers (i INT8 NOT NULL PRIMARY KEY)".into());
    filling.statements.push(words.count_to(files));
    who(&mut filling);
    contents(&mut filling);
    heads_and_versions(&mut filling);
    what_is_over(&mut filling);
    filling.statements.push("DROP TABLE numbers".into());
    filling.statements
}

const DAY: i64 = 24 * 3600 * 1_000_000;

fn who(filling: &mut Filling<'_>) {
    let (tenant, gone) = (filling.id(TENANT, "0"), filling.id(GONE_TENANT, "0"));
    let now = NOW.micros();
    filling.statements.push(format!(
        "INSERT INTO tenants (tenant, label, version, region, keep_versions) VALUES ({tenant}, 'full', 1, 'local', 3)"
    ));
    filling.statements.push(format!("INSERT INTO gone_tenants (tenant, gone_at) VALUES ({gone}, {now})"));
    let principal = filling.id(PRINCIPAL, "i");
    let columns = "region, principal, label, version, email, email_domain";
    let values = format!(
        "'local', {principal}, 'a principal', 1, 'p' || i || '@d' || (i + 1) || '.example', 'd' || i || '.example'"
    );
    filling.rows(10, "principals", columns, &values);
    let columns = "principal, user_name, user_folded, hash, changed_at";
    filling.rows(10, "passwords", columns, &format!("{principal}, 'U' || i, 'u' || i, 'a hash', 0"));
    filling.rows(10, "vhosts", "host, tenant", &format!("'h' || i || '.example', {tenant}"));
    let (session, of) =
        (filling.id(SESSION, "i"), filling.id(PRINCIPAL, &format!("i % {}", filling.files / 10)));
    let (past, coming) = (filling.before(now - 2 * DAY), filling.before(now + DAY));
    let expiry = format!("CASE WHEN i % 2 = 0 THEN {past} ELSE {coming} END");
    let columns = "region, session, principal, capabilities, tenant, path, issued_at, expires_at, life, name";
    let values = format!("'local', {session}, {of}, 1, {tenant}, '/*', 0, {expiry}, {DAY}, 's' || i");
    filling.rows(1, "sessions", columns, &values);
    let (link, path) = (filling.id(LINK, "i"), filling.path("i"));
    let columns = "link, tenant, path, kind, principal, created_at, expires_at, max_uses, name, networks, content_types";
    let values = format!("{link}, {tenant}, {path}, 0, {of}, 0, {expiry}, 1000, '', '', ''");
    filling.rows(2, "links", columns, &values);
}

fn contents(filling: &mut Filling<'_>) {
    let (tenant, gone) = (filling.id(TENANT, "0"), filling.id(GONE_TENANT, "0"));
    let (rope, rope_hash, chunk) = (filling.id(ROPE, "i"), filling.hash(ROPE, "i"), filling.hash(CHUNK, "i"));
    let ropes = "tenant, rope, hash, size";
    filling.rows(1, "ropes", ropes, &format!("{tenant}, {rope}, {rope_hash}, {LENGTH}"));
    let pieces = "tenant, rope, at, chunk, length";
    filling.rows(1, "pieces", pieces, &format!("{tenant}, {rope}, 0, {chunk}, {LENGTH}"));
    let (long, long_hash) = (filling.id(LONG_ROPE, "0"), filling.hash(LONG_ROPE, "0"));
    let size = filling.files / 10 * LENGTH;
    filling
        .statements
        .push(format!("INSERT INTO ropes ({ropes}) VALUES ({tenant}, {long}, {long_hash}, {size})"));
    filling.rows(10, "pieces", pieces, &format!("{tenant}, {long}, i * {LENGTH}, {chunk}, {LENGTH}"));
    let chunks = "tenant, chunk, generation, state, length, place, data";
    let bytes = filling.id(CHUNK, "i");
    let values = format!(
        "{tenant}, {chunk}, i + 1, 1, {LENGTH}, CASE WHEN i % 2 = 0 THEN {bytes} END, CASE WHEN i % 2 = 1 THEN {bytes} END"
    );
    filling.rows(1, "chunks", chunks, &values);
    let columns = "tenant, chunk, generation, attempt, written_at, data";
    filling.rows(5, "chunk_data", columns, &format!("{tenant}, {chunk}, i + 1, i, 0, {bytes}"));
    let (loose, files) = (filling.hash(LOOSE_CHUNK, "i"), filling.files);
    filling.rows(
        5,
        "chunks",
        chunks,
        &format!("{tenant}, {loose}, {files} + i + 1, 1, {LENGTH}, {bytes}, NULL"),
    );
    filling.rows(
        10,
        "chunks",
        chunks,
        &format!("{gone}, {chunk}, {files} * 2 + i, 1, {LENGTH}, {bytes}, NULL"),
    );
}

fn heads_and_versions(filling: &mut Filling<'_>) {
    let (tenant, gone) = (filling.id(TENANT, "0"), filling.id(GONE_TENANT, "0"));
    let (now, fifth) = (NOW.micros(), filling.files / 5);
    let modified = filling.before(now - DAY);
    let (path, rope, hash) = (filling.path("i"), filling.id(ROPE, "i"), filling.hash(ROPE, "i"));
    let heads = "tenant, path, version, rope, hash, size, content_type, created_at, modified_at, metadata";
    // The first fifth has five versions each.
    let version = format!("CASE WHEN i < {fifth} THEN 5 ELSE 1 END");
    // Some whose chunks are rows are large, as far as their heads say: with these their first chunk comes.
    let size = format!("CASE WHEN i % 10 = {LARGE} AND i < {fifth} THEN 100000 ELSE {LENGTH} END");
    let rest = format!("{rope}, {hash}, {size}, '', 0, {modified}, ''");
    filling.rows(1, "files", heads, &format!("{tenant}, {path}, {version}, {rest}"));
    filling.rows(1, "versions", heads, &format!("{tenant}, {path}, {version}, {rest}"));
    let (path, rope, hash) =
        (filling.path("(i / 4)"), filling.id(ROPE, "(i / 4)"), filling.hash(ROPE, "(i / 4)"));
    let values = format!(
        "{tenant}, {path}, i % 4 + 1, {rope}, {hash}, {LENGTH}, '', 0, {now} - 2 * {DAY} + i % 4, ''"
    );
    let statement =
        format!("INSERT INTO versions ({heads}) SELECT {values} FROM numbers WHERE i < {}", fifth * 4);
    filling.statements.push(statement);
    let past = format!("{tenant}, '{MANY}', i + 1, {rest}");
    filling.rows(10, "versions", heads, &past);
    let last = format!("i + 1 = {}", filling.files / 10);
    filling.statements.push(format!("INSERT INTO files ({heads}) SELECT {past} FROM numbers WHERE {last}"));
    let deleted = filling.before(now - DAY);
    let columns = format!("{heads}, deleted_at");
    filling.rows(5, "versions", &columns, &format!("{tenant}, '/deleted/' || i, 1, {rest}, {deleted}"));
    filling.rows(5, "last_versions", "tenant, path, version", &format!("{tenant}, '/purged/' || i, 1"));
    filling.statements.push(format!(
        "INSERT INTO files ({heads}) SELECT {gone}, '/' || i, 1, {rest} FROM numbers WHERE i < 4"
    ));
}

fn what_is_over(filling: &mut Filling<'_>) {
    let (tenant, now) = (filling.id(TENANT, "0"), NOW.micros());
    let (path, due) = (filling.path("i"), filling.before(now));
    filling.rows(5, "overwritten", "tenant, path, due_at", &format!("{tenant}, {path}, {due}"));
    let (loose, rope, chunk) = (filling.id(LOOSE_ROPE, "i"), filling.id(ROPE, "i"), filling.hash(CHUNK, "i"));
    filling.rows(5, "loose_ropes", "tenant, rope", &format!("{tenant}, {loose}"));
    filling.rows(5, "loose_ropes", "tenant, rope", &format!("{tenant}, {rope}"));
    let pieces = "tenant, rope, at, chunk, length";
    filling.rows(5, "pieces", pieces, &format!("{tenant}, {loose}, 0, {chunk}, {LENGTH}"));
    let loose_chunk = filling.hash(LOOSE_CHUNK, "i");
    filling.rows(5, "candidates", "chunk, tenant", &format!("{chunk}, {tenant}"));
    filling.rows(5, "candidates", "chunk, tenant", &format!("{loose_chunk}, {tenant}"));
    let (place, at, files) = (filling.id(CHUNK, "i"), filling.before(now), filling.files);
    let columns = "generation, tenant, chunk, length, place, condemned_at";
    let values = format!("{files} * 3 + i, {tenant}, {chunk}, {LENGTH}, {place}, {at}");
    filling.rows(5, "condemned", columns, &values);
    // Finished, overdue, and under way.
    let (upload, past, coming) =
        (filling.id(UPLOAD, "i"), filling.before(now - DAY), filling.before(now + DAY));
    let columns = "region, upload, tenant, path, started_at, deadline, outcome";
    let deadline = format!("CASE WHEN i % 3 = 2 THEN {coming} ELSE {past} END");
    let outcome = "CASE WHEN i % 3 = 0 THEN 1 END";
    let values = format!("'local', {upload}, {tenant}, '/uploads/' || i, 0, {deadline}, {outcome}");
    filling.rows(5, "uploads", columns, &values);
    // Movers are at work.
    filling.rows(5, "moves", "generation, deadline", &format!("{files} * 4 + i, {coming}"));
    let columns = "upload, chunk, tenant, generation";
    for index in ["i", "(i + 1)"] {
        let chunk = filling.hash(CHUNK, index);
        filling.rows(5, "leases", columns, &format!("{upload}, {chunk}, {tenant}, {index} + 1"));
    }
    if filling.words.has_outcomes() {
        let (call, at) = (filling.id(OUTCOME, "i"), filling.before(now - 2 * DAY));
        filling.rows(5, "outcomes", "call, at", &format!("{call}, {at}"));
    }
}
