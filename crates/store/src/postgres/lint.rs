//! What CockroachDB 21.1 lacks, so that no statement relies on it. A table of words, not a parser: what it finds is a
//! reason to look.

/// Words as they stand in a statement that is in capitals, with single spaces between words and marks, and why they can't
/// stay. All that is missing or different there belongs here; what works in both but needs more (`ON CONFLICT` on a
/// partial index names its predicate) or is not there in PostgreSQL (`DELETE … LIMIT`) is found when it is prepared on
/// that one.
///
/// `FOR SHARE` and `FOR KEY SHARE` are not among them: 21.1 reads both, and locks nothing. What they hold here for the rest
/// of a transaction, its isolation holds there.
const LACKING: &[(&str, &str)] = &[
    // Locks.
    (" SKIP LOCKED ", "22.2 and later"),
    (" NOWAIT ", "not tried there"),
    (" PG_ADVISORY_", "absent"),
    (" PG_TRY_ADVISORY_", "answers true and locks nothing"),
    (" LOCK TABLE ", "absent"),
    (" ISOLATION LEVEL ", "SERIALIZABLE is all there is"),
    // What runs in the database.
    (" LISTEN ", "no notifications"),
    (" UNLISTEN ", "no notifications"),
    (" NOTIFY ", "no notifications"),
    (" PG_NOTIFY (", "no notifications"),
    (" FUNCTION ", "absent"),
    (" PROCEDURE ", "absent"),
    (" TRIGGER ", "absent"),
    (" DO $", "absent"),
    (" CREATE RULE ", "absent"),
    // Numbers that count.
    (" AS IDENTITY ", "identity columns are absent"),
    (" SERIAL ", "numbers there are not 1, 2, 3"),
    (" BIGSERIAL ", "numbers there are not 1, 2, 3"),
    (" SMALLSERIAL ", "numbers there are not 1, 2, 3"),
    // Statements and clauses.
    (" COLLATE ", "an error there: text has the order of bytes"),
    (" ON CONFLICT DO ", "name the columns of the constraint"),
    (" ON CONFLICT ON CONSTRAINT ", "name the columns of the constraint"),
    (" MERGE INTO ", "absent"),
    (" TABLESAMPLE ", "absent"),
    (" USING ", "22.2 and later in DELETE; a join says ON"),
    (" DEFERRABLE ", "absent"),
    (" SET STORAGE ", "absent"),
    (" PARTITION BY RANGE ", "another syntax there, and a licence"),
    (" PARTITION BY LIST ", "another syntax there, and a licence"),
    (" PARTITION BY HASH ", "another syntax there, and a licence"),
    (" PARTITION OF ", "another syntax there, and a licence"),
    (" SELECT * ", "after a schema change an old plan answers 0A000"),
    (" RETURNING * ", "after a schema change an old plan answers 0A000"),
    (".*", "after a schema change an old plan answers 0A000"),
    // Names.
    (" XMAX ", "absent"),
    (" XMIN ", "absent"),
    (" CTID ", "absent"),
    (" STARTS_WITH (", "absent"),
    (" PG_SIZE_PRETTY (", "absent"),
    (" DIGEST (", "pgcrypto is absent"),
    (" SHA256 (", "another type there"),
];

/// Which constructs of a statement CockroachDB lacks, and why.
#[must_use]
pub fn lacking(statement: &str) -> Vec<&'static str> {
    let text = normalised(statement);
    let mut found: Vec<&str> =
        LACKING.iter().filter(|(words, _)| text.contains(words)).map(|(_, why)| *why).collect();
    if writes_a_table_twice(&text) {
        found.push("each table may be written at most once in a statement");
    }
    if super::casts::is_mixed(&text) {
        found.push("a value that is cast in one place only may become text there");
    }
    found
}

/// In capitals, without comments and literals, with single spaces between words and marks and one at each end.
fn normalised(statement: &str) -> String {
    let lines = statement.lines().map(|line| line.split("--").next().unwrap_or_default());
    let mut text = String::new();
    for (index, part) in lines.collect::<Vec<_>>().join(" ").split('\'').enumerate() {
        // What is between two quotes is data.
        text.push_str(if index % 2 == 0 { part } else { "''" });
    }
    let apart = ['(', ')', ',', ';']
        .iter()
        .fold(text.to_uppercase(), |text, mark| text.replace(*mark, &format!(" {mark} ")));
    format!(" {} ", apart.split_whitespace().collect::<Vec<_>>().join(" "))
}

fn writes_a_table_twice(text: &str) -> bool {
    let words: Vec<&str> = text.split_whitespace().collect();
    let mut written: Vec<&str> = Vec::new();
    for (at, word) in words.iter().enumerate() {
        let before = at.checked_sub(1).map_or("", |at| words[at]);
        let next = words.get(at + 1).copied().unwrap_or_default();
        let table = match *word {
            "INTO" if before == "INSERT" => next,
            "FROM" if before == "DELETE" => next,
            // Not that of ON CONFLICT … DO UPDATE or of FOR UPDATE.
            "UPDATE" if !["DO", "FOR", "KEY"].contains(&before) => next,
            _ => continue,
        };
        if written.contains(&table) {
            return true;
        }
        written.push(table);
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule_fires() {
        for (words, why) in LACKING {
            let statement = format!("SELECT 1 f{} x", words.to_lowercase());
            assert!(lacking(&statement).contains(why), "{words}");
        }
        let twice = "WITH a AS (INSERT INTO files (x) VALUES (1) RETURNING x) UPDATE files SET x = 2";
        assert_eq!(lacking(twice).len(), 1);
    }

    #[test]
    fn what_is_data_or_a_comment_is_no_construct() {
        for fine in [
            "SELECT ' COLLATE ' FROM files -- SKIP LOCKED",
            "INSERT INTO files (x) VALUES (1) ON CONFLICT (x) DO UPDATE SET x = 2",
            "SELECT x FROM files WHERE y = 1 FOR UPDATE",
            "WITH a AS (DELETE FROM files RETURNING x) INSERT INTO versions (x) SELECT x FROM a",
            "SELECT count(*) FROM files",
            "SELECT x FROM files WHERE y = 1 FOR SHARE OF files",
            "SELECT created_at, digested, xmax_of FROM files",
        ] {
            assert_eq!(lacking(fine), Vec::<&str>::new(), "{fine}");
        }
    }
}
