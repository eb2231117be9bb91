//! The page a directory is shown as, for people and for programs. It needs no script and nothing from elsewhere, so it
//! may be served with `default-src 'none'; style-src 'unsafe-inline'`.

use std::fmt;

use cacheroach_model::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, PercentEncode, utf8_percent_encode};
use serde::Serialize;

use super::date;

/// A directory, or as much of it as a page holds.
pub(crate) struct Page<'a> {
    /// With a slash at both ends: `/a/b/`.
    pub(crate) path: &'a str,
    /// As the reader knows the server.
    pub(crate) host: &'a str,
    /// In the order to be shown.
    pub(crate) entries: Vec<Row>,
    /// Where there is more: a relative reference.
    pub(crate) next: Option<String>,
}

/// A line of the page. Of a directory, only the name counts.
pub(crate) struct Row {
    /// Without slashes.
    pub(crate) name: String,
    /// Whether this is a directory.
    pub(crate) directory: bool,
    /// In bytes.
    pub(crate) size: u64,
    /// Since when, if that is known.
    pub(crate) modified: Option<Timestamp>,
    /// Of the file.
    pub(crate) version: i64,
    /// Of the content.
    pub(crate) hash: String,
    /// Of the content.
    pub(crate) content_type: String,
}

impl Page<'_> {
    /// For people.
    pub(crate) fn html(&self) -> String {
        Html(self).to_string()
    }

    /// For programs.
    pub(crate) fn json(&self) -> String {
        let entries = self.entries.iter().map(Row::json).collect();
        let page = PageJson { entries, next: self.next.as_deref(), path: self.path };
        serde_json::to_string(&page).expect("strings and numbers are plain JSON")
    }

    /// The names on the way from the top to here.
    fn segments(&self) -> Vec<&str> {
        self.path.split('/').filter(|segment| !segment.is_empty()).collect()
    }
}

/// Written as it is, and not by way of a tree: a page has a thousand entries.
#[derive(Serialize)]
struct PageJson<'a> {
    entries: Vec<RowJson<'a>>,
    next: Option<&'a str>,
    path: &'a str,
}

#[derive(Default, Serialize)]
struct RowJson<'a> {
    content_type: Option<&'a str>,
    hash: Option<&'a str>,
    modified: Option<String>,
    name: &'a str,
    size: Option<u64>,
    r#type: &'static str,
    version: Option<i64>,
}

impl Row {
    fn json(&self) -> RowJson<'_> {
        if self.directory {
            return RowJson { name: &self.name, r#type: "directory", ..RowJson::default() };
        }
        RowJson {
            content_type: Some(&self.content_type),
            hash: Some(&self.hash),
            modified: self.modified.map(|time| format!("{}Z", date::civil(time))),
            name: &self.name,
            size: Some(self.size),
            r#type: "file",
            version: Some(self.version),
        }
    }
}

/// The page, being written.
struct Html<'a>(&'a Page<'a>);

impl fmt::Display for Html<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Html(page) = self;
        let (host, segments) = (Text(page.host), page.segments());
        let title = segments.last().copied().unwrap_or(page.host);
        write!(
            f,
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n<title>{} \u{2013} {host}</title>\n\
             <style>{STYLE}</style>\n</head>\n<body>\n{ICONS}<header>\n",
            Text(page.path)
        )?;
        if let Some((_, above)) = segments.split_last() {
            let up = |levels: usize| "../".repeat(levels);
            write!(
                f,
                "<nav aria-label=\"Path\"><ol>\n<li><a href=\"{}\">{host}</a></li>\n",
                up(segments.len())
            )?;
            for (at, segment) in above.iter().enumerate() {
                let levels = up(segments.len() - 1 - at);
                writeln!(f, "<li><a href=\"{levels}\"><bdi>{}</bdi></a></li>", Text(segment))?;
            }
            f.write_str("</ol></nav>\n")?;
        }
        writeln!(f, "<h1><bdi>{}</bdi></h1>\n<p>{}</p>\n</header>\n<main>", Text(title), Count(page))?;
        table(f, page, !segments.is_empty())?;
        if let Some(next) = &page.next {
            let next = Text(next);
            writeln!(
                f,
                "<nav aria-label=\"Pages\"><a class=\"next\" rel=\"next\" href=\"{next}\">Next page</a></nav>"
            )?;
        }
        f.write_str("</main>\n</body>\n</html>\n")
    }
}

fn table(f: &mut fmt::Formatter<'_>, page: &Page<'_>, has_parent: bool) -> fmt::Result {
    if page.entries.is_empty() && !has_parent {
        return f.write_str("<p class=\"empty\">This directory is empty.</p>\n");
    }
    f.write_str(
        "<table>\n<thead><tr><th scope=\"col\">Name</th><th scope=\"col\">Size</th>\
         <th scope=\"col\">Modified (UTC)</th></tr></thead>\n<tbody>\n",
    )?;
    if has_parent {
        writeln!(
            f,
            "<tr class=\"up\"><th scope=\"row\"><a href=\"../\" aria-label=\"Parent directory\">{}../</a></th>\
             <td></td><td></td></tr>",
            Icon("up")
        )?;
    }
    for row in &page.entries {
        line(f, row)?;
    }
    f.write_str("</tbody>\n</table>\n")?;
    if page.entries.is_empty() {
        f.write_str("<p class=\"empty\">This directory is empty.</p>\n")
    } else {
        Ok(())
    }
}

fn line(f: &mut fmt::Formatter<'_>, row: &Row) -> fmt::Result {
    // With `./` in front, a name with a colon is no scheme.
    let (href, name) = (encoded(&row.name), Text(&row.name));
    if row.directory {
        let icon = Icon("dir");
        return writeln!(
            f,
            "<tr><th scope=\"row\"><a href=\"./{href}/\">{icon}<bdi>{name}</bdi>/</a></th><td></td><td></td></tr>"
        );
    }
    write!(f, "<tr><th scope=\"row\"><a href=\"./{href}\">{}<bdi>{name}</bdi></a></th>", Icon("file"))?;
    write!(f, "<td><span title=\"{}\">{}</span></td><td>", Bytes(row.size), Size(row.size))?;
    if let Some(time) = row.modified {
        let time = date::civil(time);
        let (date, hour, minute) = (time.date(), time.hour(), time.minute());
        let second = time.second();
        write!(
            f,
            "<time datetime=\"{date}T{hour:02}:{minute:02}:{second:02}Z\">{date} {hour:02}:{minute:02}</time>"
        )?;
    }
    f.write_str("</td></tr>\n")
}

/// A name as one segment of a reference.
fn encoded(name: &str) -> PercentEncode<'_> {
    const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');
    utf8_percent_encode(name, SEGMENT)
}

/// Text that stays text, in an attribute too.
pub(super) struct Text<'a>(pub(super) &'a str);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for piece in self.0.split_inclusive(['&', '<', '>', '"', '\'']) {
            let mut chars = piece.chars();
            let escaped = match chars.next_back() {
                Some('&') => "&amp;",
                Some('<') => "&lt;",
                Some('>') => "&gt;",
                Some('"') => "&quot;",
                Some('\'') => "&#39;",
                _ => {
                    f.write_str(piece)?;
                    continue;
                }
            };
            f.write_str(chars.as_str())?;
            f.write_str(escaped)?;
        }
        Ok(())
    }
}

/// One of [`ICONS`].
struct Icon(&'static str);

impl fmt::Display for Icon {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<svg aria-hidden=\"true\"><use href=\"#{}\"/></svg>", self.0)
    }
}

/// How much there is: `2 directories, 1 file`.
struct Count<'a>(&'a Page<'a>);

impl fmt::Display for Count<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let directories = self.0.entries.iter().filter(|row| row.directory).count();
        let files = self.0.entries.len() - directories;
        if directories > 0 {
            write!(f, "{directories} {}, ", if directories == 1 { "directory" } else { "directories" })?;
        }
        write!(f, "{files} {}", if files == 1 { "file" } else { "files" })?;
        if self.0.next.is_some() { f.write_str(" on this page") } else { Ok(()) }
    }
}

/// A size as people say it: `1.5 MiB`.
struct Size(u64);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
        if self.0 < 1024 {
            return write!(f, "{} B", self.0);
        }
        // Tenths of a unit, rounded; what would show as 1024 of a unit is 1 of the next.
        let tenths = |power: usize| (u128::from(self.0) * 10 + (1 << (10 * power - 1))) >> (10 * power);
        let power = (1..UNITS.len()).find(|&power| tenths(power) < 10_240).unwrap_or(UNITS.len());
        let (tenths, unit) = (tenths(power), UNITS[power - 1]);
        if tenths < 1000 {
            write!(f, "{}.{} {unit}", tenths / 10, tenths % 10)
        } else {
            write!(f, "{} {unit}", tenths / 10)
        }
    }
}

/// A size to the byte: `1,572,864 bytes`.
struct Bytes(u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        for (at, digit) in digits.chars().enumerate() {
            let comma = at > 0 && (digits.len() - at).is_multiple_of(3);
            write!(f, "{}{digit}", if comma { "," } else { "" })?;
        }
        f.write_str(if self.0 == 1 { " byte" } else { " bytes" })
    }
}

const ICONS: &str = concat!(
    "<svg class=\"icons\" aria-hidden=\"true\">",
    "<symbol id=\"dir\" viewBox=\"0 0 16 16\"><path d=\"M1.5 4.2c0-.9.6-1.5 1.5-1.5h3l1.6 1.8H13c.9 0 1.5.6 1.5 1.5v5.8c0 ",
    ".9-.6 1.5-1.5 1.5H3c-.9 0-1.5-.6-1.5-1.5z\"/></symbol>",
    "<symbol id=\"file\" viewBox=\"0 0 16 16\"><path d=\"M3.5 2.5c0-.6.4-1 1-1h4.7l3.3 3.3v8.7c0 .6-.4 1-1 1h-7c-.6 0-1-.4-1-1zM9",
    " 1.7v3.3h3.3\"/></symbol>",
    "<symbol id=\"up\" viewBox=\"0 0 16 16\"><path d=\"M8 13V3.5M3.8 7.5 8 3.3l4.2 4.2\"/></symbol>",
    "</svg>\n",
);

/// The second look of a row, below 40em, is a name over its date and size.
const STYLE: &str = "
:root{--text:#1c2024;--quiet:#60666d;--line:#e4e6e9;--hover:#f3f5f8;--link:#0b57b7;--back:#fff}
@media(prefers-color-scheme:dark){:root{--text:#e3e6ea;--quiet:#9aa2ac;--line:#2c3138;--hover:#1d2228;--link:#82b4ff;\
--back:#14171b}}
*{box-sizing:border-box}
html{color-scheme:light dark;-webkit-text-size-adjust:100%;text-size-adjust:100%}
body{margin:0 auto;padding:2.5rem 1.5rem 4rem;max-width:64rem;background:var(--back);color:var(--text);\
font:1rem/1.5 system-ui,sans-serif;overflow-wrap:anywhere}
a{color:var(--link);text-decoration:none}
a:hover{text-decoration:underline}
:focus-visible{outline:2px solid var(--link);outline-offset:2px;border-radius:3px}
.icons{display:none}
header{margin:0 .75rem 1.5rem}
header nav{font-size:.875rem}
ol{list-style:none;display:flex;flex-wrap:wrap;margin:0;padding:0}
li::after{content:\"/\";margin:0 .4em;color:var(--quiet)}
h1{margin:.15rem 0 0;font-size:1.6rem;line-height:1.25;font-weight:650}
header p{margin:.25rem 0 0;color:var(--quiet);font-size:.875rem}
table{width:100%;border-collapse:collapse}
th,td{padding:0 .75rem;text-align:left;font-weight:400;border-bottom:1px solid var(--line)}
thead th{padding-bottom:.4rem;color:var(--quiet);font-size:.8125rem;white-space:nowrap}
tbody th{width:100%}
tbody a{display:flex;align-items:flex-start;padding:.45rem 0}
tbody tr:hover{background:var(--hover)}
td{color:var(--quiet);font-size:.875rem;font-variant-numeric:tabular-nums;white-space:nowrap}
td:nth-child(2),thead th:nth-child(2){text-align:right}
tbody svg{flex:none;width:1rem;height:1rem;margin:.25rem .65rem 0 0;fill:none;stroke:var(--quiet);stroke-width:1.2;\
stroke-linejoin:round;stroke-linecap:round}
.empty{margin:2rem .75rem;color:var(--quiet)}
.next{display:inline-block;margin:1.5rem .75rem;padding:.45rem 1rem;border:1px solid var(--line);border-radius:6px}
.next:hover{background:var(--hover);text-decoration:none}
@media(max-width:40em){
body{padding:1.25rem .5rem 3rem}
h1{font-size:1.35rem}
thead{position:absolute;width:1px;height:1px;overflow:hidden;clip-path:inset(50%)}
tbody tr{display:grid;grid-template-columns:1fr auto;border-bottom:1px solid var(--line)}
th,td{border:0}
tbody th{grid-column:1/-1}
tbody a{padding:.6rem 0}
td{font-size:.8125rem}
td:nth-child(2){order:3}
td:nth-child(3){padding-left:2.4rem}
td:not(:empty){margin-top:-.5rem;padding-bottom:.55rem}
}
";

#[cfg(test)]
mod tests {
    use percent_encoding::percent_decode_str;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn parsed(page: &Page<'_>) -> Value {
        serde_json::from_str(&page.json()).unwrap()
    }

    fn file(name: &str, size: u64) -> Row {
        Row {
            name: name.into(),
            directory: false,
            size,
            modified: Some(Timestamp::from_micros(1_795_353_425_000_000)),
            version: 3,
            hash: "ab".repeat(32),
            content_type: "text/plain".into(),
        }
    }

    fn directory(name: &str) -> Row {
        Row { directory: true, modified: None, ..file(name, 0) }
    }

    fn page(path: &str, entries: Vec<Row>) -> Page<'_> {
        Page { path, host: "files.example.org", entries, next: None }
    }

    #[test]
    fn a_page_shows_names_sizes_and_dates() {
        let html = page("/a/b/", vec![directory("sub"), file("x.txt", 1_572_864)]).html();
        for part in [
            "<title>/a/b/ \u{2013} files.example.org</title>",
            "<a href=\"../../\">files.example.org</a>",
            "<a href=\"../\"><bdi>a</bdi></a>",
            "<h1><bdi>b</bdi></h1>",
            "1 directory, 1 file",
            "<a href=\"../\" aria-label=\"Parent directory\">",
            "<a href=\"./sub/\">",
            "<bdi>sub</bdi>/</a>",
            "<a href=\"./x.txt\">",
            "title=\"1,572,864 bytes\">1.5 MiB<",
            "<time datetime=\"2026-11-22T13:17:05Z\">2026-11-22 13:17</time>",
        ] {
            assert!(html.contains(part), "{part}\n{html}");
        }
    }

    #[test]
    fn an_empty_directory_says_so_and_the_top_has_no_parent() {
        let html = page("/", Vec::new()).html();
        assert!(html.contains("This directory is empty.") && !html.contains("../"), "{html}");
        assert!(html.contains("<h1><bdi>files.example.org</bdi></h1>"));
        let html = page("/a/", Vec::new()).html();
        assert!(html.contains("This directory is empty.") && html.contains("href=\"../\""), "{html}");
    }

    #[test]
    fn a_page_leads_to_the_next() {
        let next = Some("./?after=a&limit=\"1\"".to_owned());
        let page = Page { next, ..page("/", vec![file("a", 1)]) };
        assert!(page.html().contains("rel=\"next\" href=\"./?after=a&amp;limit=&quot;1&quot;\""));
        assert!(page.html().contains("1 file on this page"));
        assert_eq!(parsed(&page)["next"], "./?after=a&limit=\"1\"");
    }

    #[test]
    fn a72_names_are_text_and_links_whatever_is_in_them() {
        for (name, href) in [
            ("a:b", "./a%3Ab"),
            ("?", "./%3F"),
            ("#", "./%23"),
            ("100%", "./100%25"),
            ("\"><script>alert(1)</script>", "./%22%3E%3Cscript%3Ealert%281%29%3C%2Fscript%3E"),
            ("it's", "./it%27s"),
            ("a b+c&d", "./a%20b%2Bc%26d"),
            ("\u{202e}gpj.exe", "./%E2%80%AEgpj.exe"),
            ("\\", "./%5C"),
            ("javascript:alert(1)", "./javascript%3Aalert%281%29"),
        ] {
            let html = page("/<i>/", vec![file(name, 1), directory(name)]).html();
            assert!(html.contains(&format!("href=\"{href}\"")), "{html}");
            assert!(html.contains(&format!("href=\"{href}/\"")), "{html}");
            assert!(!html.contains("<script") && !html.contains("<i>"), "{html}");
        }
        let spoofed = Page { host: "<b>\"", ..page("/", Vec::new()) };
        assert!(spoofed.html().contains("&lt;b&gt;&quot;") && !spoofed.html().contains("<b>"));
    }

    #[test]
    fn a_page_needs_nothing_from_elsewhere() {
        let html = page("/a/", vec![file("x", 1)]).html();
        for part in ["<script", "http:", "https:", "url(", "@import", " style=", " src="] {
            assert!(!html.contains(part), "{part}");
        }
    }

    #[test]
    fn sizes_are_as_people_say_them() {
        for (size, shown) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1.0 KiB"),
            (1536, "1.5 KiB"),
            (102_300, "99.9 KiB"),
            (102_400, "100 KiB"),
            (1_048_524, "1023 KiB"),
            (1_048_575, "1.0 MiB"),
            (5 << 40, "5.0 TiB"),
            (u64::MAX, "16.0 EiB"),
        ] {
            assert_eq!(Size(size).to_string(), shown);
        }
        assert_eq!(Bytes(1).to_string(), "1 byte");
        assert_eq!(Bytes(1_000).to_string(), "1,000 bytes");
        assert_eq!(Bytes(u64::MAX).to_string(), "18,446,744,073,709,551,615 bytes");
    }

    #[test]
    fn programs_get_the_same_as_json() {
        let page = page("/a/", vec![directory("d"), file("f", 7)]);
        assert_eq!(
            parsed(&page),
            json!({
                "path": "/a/",
                "entries": [
                    {"name": "d", "type": "directory", "size": null, "modified": null, "version": null, "hash": null,
                     "content_type": null},
                    {"name": "f", "type": "file", "size": 7, "modified": "2026-11-22T13:17:05Z", "version": 3,
                     "hash": "ab".repeat(32), "content_type": "text/plain"},
                ],
                "next": null,
            })
        );
    }

    proptest! {
        #[test]
        fn a72_a_link_leads_to_its_name_and_no_name_leaves_its_place(name in "\\PC{1,30}") {
            let html = page("/", vec![file(&name, 1)]).html();
            let (_, rest) = html.split_once("<a href=\"./").unwrap();
            let (href, rest) = rest.split_once('"').unwrap();
            prop_assert_eq!(percent_decode_str(href).decode_utf8().unwrap(), name.as_str());
            let (_, rest) = rest.split_once("<bdi>").unwrap();
            let (text, _) = rest.split_once("</bdi>").unwrap();
            prop_assert!(!text.contains(['<', '>', '"', '\'']));
            let back = text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&#39;", "'");
            prop_assert_eq!(back.replace("&amp;", "&"), name);
        }
    }
}
