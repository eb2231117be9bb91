//! Media types: by a file's name, by its first bytes, and whether what a client declares is one at all.

use std::cmp::Ordering;

/// How much of a content is looked at.
const HEAD: usize = 512;

const BINARY: &str = "application/octet-stream";
const TEXT: &str = "text/plain; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";
const XML: &str = "text/xml; charset=utf-8";

/// The type that a file's name tells by its extension, whatever its case. The same on every host.
pub(crate) fn by_name(name: &str) -> Option<&'static str> {
    let (_, extension) = name.rsplit('/').next()?.rsplit_once('.')?;
    let at = BY_EXTENSION.binary_search_by(|(known, _)| ignoring_case(known, extension)).ok()?;
    Some(BY_EXTENSION[at].1)
}

fn ignoring_case(known: &str, given: &str) -> Ordering {
    known.bytes().cmp(given.bytes().map(|byte| byte.to_ascii_lowercase()))
}

/// The type that the first bytes of a content tell, much as the WHATWG's MIME Sniffing has it.
pub(crate) fn sniff(head: &[u8]) -> &'static str {
    let head = &head[..head.len().min(HEAD)];
    let marked = head.trim_ascii_start();
    if HTML_TAGS.iter().any(|tag| begins_with_tag(marked, tag)) {
        return HTML;
    }
    if marked.starts_with(b"<?xml") {
        return XML;
    }
    if let Some((.., kind)) = MAGIC.iter().find(|(at, magic, _)| has(head, *at, magic)) {
        return kind;
    }
    let container = match head {
        [b'R', b'I', b'F', b'F', _, _, _, _, form @ ..] => riff(form),
        [b'F', b'O', b'R', b'M', _, _, _, _, b'A', b'I', b'F', b'F', ..] => Some("audio/aiff"),
        [_, _, _, _, b'f', b't', b'y', b'p', brand @ ..] => Some(iso(brand)),
        [0x1a, 0x45, 0xdf, 0xa3, rest @ ..] => Some(matroska(rest)),
        _ => None,
    };
    container.unwrap_or(if head.iter().copied().any(is_binary) { BINARY } else { TEXT })
}

/// Whether a declared type may be sent back as it is: type, subtype and parameters as in RFC 9110, 8.3.1, in at most 255
/// bytes of visible ASCII and spaces.
pub(crate) fn is_valid(content_type: &str) -> bool {
    let (essence, parameters) = content_type.split_at(content_type.find(';').unwrap_or(content_type.len()));
    let essence = essence.trim_end_matches(' ').split_once('/');
    content_type.len() <= 255
        && essence.is_some_and(|(kind, subtype)| is_token(kind) && is_token(subtype))
        && are_parameters(parameters)
}

/// `; name=value; name="quoted"`, any of it missing.
fn are_parameters(text: &str) -> bool {
    let mut rest = text.trim_matches(' ');
    while !rest.is_empty() {
        let Some(tail) = rest.strip_prefix(';') else { return false };
        let tail = tail.trim_start_matches(' ');
        if tail.is_empty() || tail.starts_with(';') {
            rest = tail;
            continue;
        }
        let Some((name, value)) = tail.split_once('=') else { return false };
        let length = match value.strip_prefix('"') {
            Some(quoted) => quoted_length(quoted).map(|length| length + 1),
            None => value.find([';', ' ']).or(Some(value.len())).filter(|&end| is_token(&value[..end])),
        };
        let Some(length) = length.filter(|_| is_token(name)) else { return false };
        rest = value[length..].trim_start_matches(' ');
    }
    true
}

/// Of what follows a quote, up to and with the one that closes it.
fn quoted_length(text: &str) -> Option<usize> {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if !(b' '..=b'~').contains(&byte) => return None,
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Some(at + 1),
            _ => {}
        }
    }
    None
}

fn is_token(word: &str) -> bool {
    !word.is_empty()
        && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// Whether no text has such a byte: a control character other than white space and escape.
fn is_binary(byte: u8) -> bool {
    matches!(byte, 0..=8 | 0x0b | 0x0e..=0x1a | 0x1c..=0x1f)
}

fn has(head: &[u8], at: usize, magic: &[u8]) -> bool {
    head.get(at..).is_some_and(|head| head.starts_with(magic))
}

/// A tag counts only if something ends its name.
fn begins_with_tag(head: &[u8], tag: &str) -> bool {
    head.get(..tag.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(tag.as_bytes()))
        && matches!(head.get(tag.len()), Some(b' ' | b'>'))
}

fn riff(form: &[u8]) -> Option<&'static str> {
    match form.get(..4)? {
        b"WAVE" => Some("audio/wav"),
        b"AVI " => Some("video/x-msvideo"),
        b"WEBP" => Some("image/webp"),
        _ => None,
    }
}

/// What the major brand of an ISO base media file says.
fn iso(brand: &[u8]) -> &'static str {
    match brand.get(..4).unwrap_or_default() {
        b"avif" | b"avis" => "image/avif",
        b"heic" | b"heix" | b"mif1" => "image/heic",
        b"qt  " => "video/quicktime",
        b"M4A " | b"M4B " => "audio/mp4",
        b"3gp4" | b"3gp5" | b"3gp6" => "video/3gpp",
        _ => "video/mp4",
    }
}

/// WebM names itself near the beginning; other Matroska does not.
fn matroska(rest: &[u8]) -> &'static str {
    let near = &rest[..rest.len().min(64)];
    if near.windows(4).any(|window| window == b"webm") { "video/webm" } else { "video/x-matroska" }
}

const HTML_TAGS: [&str; 17] = [
    "<!DOCTYPE HTML",
    "<HTML",
    "<HEAD",
    "<SCRIPT",
    "<IFRAME",
    "<H1",
    "<DIV",
    "<FONT",
    "<TABLE",
    "<A",
    "<STYLE",
    "<TITLE",
    "<B",
    "<BODY",
    "<BR",
    "<P",
    "<!--",
];

/// What a content begins with, or has at some place.
const MAGIC: &[(usize, &[u8], &str)] = &[
    (0, b"%PDF-", "application/pdf"),
    (0, b"%!PS-Adobe-", "application/postscript"),
    (0, b"\xef\xbb\xbf", TEXT),
    (0, b"\xfe\xff", "text/plain; charset=utf-16be"),
    (0, b"\xff\xfe", "text/plain; charset=utf-16le"),
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"GIF87a", "image/gif"),
    (0, b"GIF89a", "image/gif"),
    (0, b"\0\0\x01\0", "image/x-icon"),
    (0, b"\0\0\x02\0", "image/x-icon"),
    (0, b"BM", "image/bmp"),
    (0, b"II*\0", "image/tiff"),
    (0, b"MM\0*", "image/tiff"),
    (0, b"\xff\x0a", "image/jxl"),
    (0, b"\0\0\0\x0cJXL \r\n\x87\n", "image/jxl"),
    (0, b"ID3", "audio/mpeg"),
    (0, b"\xff\xfb", "audio/mpeg"),
    (0, b"\xff\xf3", "audio/mpeg"),
    (0, b"\xff\xf2", "audio/mpeg"),
    (0, b"\xff\xf1", "audio/aac"),
    (0, b"\xff\xf9", "audio/aac"),
    (0, b"OggS\0", "application/ogg"),
    (0, b"fLaC", "audio/flac"),
    (0, b"MThd\0\0\0\x06", "audio/midi"),
    (0, b"\0\0\x01\xba", "video/mpeg"),
    (0, b"\0\0\x01\xb3", "video/mpeg"),
    (0, b"FLV\x01", "video/x-flv"),
    (0, b"\x1f\x8b\x08", "application/gzip"),
    (0, b"PK\x03\x04", "application/zip"),
    (0, b"PK\x05\x06", "application/zip"),
    (0, b"BZh", "application/x-bzip2"),
    (0, b"\xfd7zXZ\0", "application/x-xz"),
    (0, b"\x28\xb5\x2f\xfd", "application/zstd"),
    (0, b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
    (0, b"Rar!\x1a\x07", "application/vnd.rar"),
    (257, b"ustar", "application/x-tar"),
    (0, b"\0asm", "application/wasm"),
    (0, b"\0\x01\0\0", "font/ttf"),
    (0, b"OTTO", "font/otf"),
    (0, b"ttcf", "font/collection"),
    (0, b"wOFF", "font/woff"),
    (0, b"wOF2", "font/woff2"),
    (0, b"SQLite format 3\0", "application/vnd.sqlite3"),
    (0, b"\x7fELF", "application/x-executable"),
    (0, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "application/x-cfb"),
];

/// Sorted. What people write code or notes in is shown as text, not handed out as a download.
const BY_EXTENSION: &[(&str, &str)] = &[
    ("3g2", "video/3gpp2"),
    ("3gp", "video/3gpp"),
    ("3mf", "model/3mf"),
    ("7z", "application/x-7z-compressed"),
    ("aac", "audio/aac"),
    ("adoc", TEXT),
    ("ai", "application/postscript"),
    ("aif", "audio/aiff"),
    ("aiff", "audio/aiff"),
    ("apk", "application/vnd.android.package-archive"),
    ("apng", "image/apng"),
    ("arrow", "application/vnd.apache.arrow.file"),
    ("asc", TEXT),
    ("asm", TEXT),
    ("atom", "application/atom+xml"),
    ("avi", "video/x-msvideo"),
    ("avif", "image/avif"),
    ("awk", TEXT),
    ("bash", TEXT),
    ("bat", TEXT),
    ("bib", TEXT),
    ("bin", BINARY),
    ("bmp", "image/bmp"),
    ("bz2", "application/x-bzip2"),
    ("c", TEXT),
    ("cbor", "application/cbor"),
    ("cc", TEXT),
    ("cer", "application/pkix-cert"),
    ("cfg", TEXT),
    ("cjs", "text/javascript; charset=utf-8"),
    ("class", "application/java-vm"),
    ("clj", TEXT),
    ("cljs", TEXT),
    ("cmake", TEXT),
    ("conf", TEXT),
    ("cpp", TEXT),
    ("crt", "application/x-pem-file"),
    ("crx", "application/x-chrome-extension"),
    ("cs", TEXT),
    ("css", "text/css; charset=utf-8"),
    ("csv", "text/csv; charset=utf-8"),
    ("cur", "image/x-icon"),
    ("cxx", TEXT),
    ("d", TEXT),
    ("dart", TEXT),
    ("deb", "application/vnd.debian.binary-package"),
    ("der", "application/pkix-cert"),
    ("diff", TEXT),
    ("dll", "application/vnd.microsoft.portable-executable"),
    ("dmg", "application/x-apple-diskimage"),
    ("dng", "image/x-adobe-dng"),
    ("doc", "application/msword"),
    ("dockerfile", TEXT),
    ("docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    ("dot", "application/msword"),
    ("dotx", "application/vnd.openxmlformats-officedocument.wordprocessingml.template"),
    ("dtd", XML),
    ("dxf", "image/vnd.dxf"),
    ("dylib", BINARY),
    ("el", TEXT),
    ("eml", "message/rfc822"),
    ("env", TEXT),
    ("eot", "application/vnd.ms-fontobject"),
    ("eps", "application/postscript"),
    ("epub", "application/epub+zip"),
    ("erl", TEXT),
    ("ex", TEXT),
    ("exe", "application/vnd.microsoft.portable-executable"),
    ("exs", TEXT),
    ("f90", TEXT),
    ("feather", "application/vnd.apache.arrow.file"),
    ("fish", TEXT),
    ("flac", "audio/flac"),
    ("flv", "video/x-flv"),
    ("geojson", "application/geo+json"),
    ("gif", "image/gif"),
    ("gitignore", TEXT),
    ("glb", "model/gltf-binary"),
    ("gltf", "model/gltf+json"),
    ("go", TEXT),
    ("gpg", "application/pgp-encrypted"),
    ("gpx", "application/gpx+xml"),
    ("gql", TEXT),
    ("gradle", TEXT),
    ("graphql", TEXT),
    ("gz", "application/gzip"),
    ("h", TEXT),
    ("h5", "application/x-hdf5"),
    ("hdf5", "application/x-hdf5"),
    ("heic", "image/heic"),
    ("heif", "image/heif"),
    ("hh", TEXT),
    ("hpp", TEXT),
    ("hs", TEXT),
    ("htm", HTML),
    ("html", HTML),
    ("hxx", TEXT),
    ("ico", "image/x-icon"),
    ("ics", "text/calendar; charset=utf-8"),
    ("ini", TEXT),
    ("ipynb", "application/x-ipynb+json"),
    ("iso", "application/x-iso9660-image"),
    ("jar", "application/java-archive"),
    ("java", TEXT),
    ("jfif", "image/jpeg"),
    ("jl", TEXT),
    ("jp2", "image/jp2"),
    ("jpe", "image/jpeg"),
    ("jpeg", "image/jpeg"),
    ("jpg", "image/jpeg"),
    ("js", "text/javascript; charset=utf-8"),
    ("json", "application/json"),
    ("jsonl", "application/x-ndjson"),
    ("jsonld", "application/ld+json"),
    ("jsx", TEXT),
    ("jxl", "image/jxl"),
    ("kml", "application/vnd.google-earth.kml+xml"),
    ("kmz", "application/vnd.google-earth.kmz"),
    ("kt", TEXT),
    ("kts", TEXT),
    ("less", TEXT),
    ("lisp", TEXT),
    ("lock", TEXT),
    ("log", TEXT),
    ("lua", TEXT),
    ("lz", "application/x-lzip"),
    ("lz4", "application/x-lz4"),
    ("m", TEXT),
    ("m2ts", "video/mp2t"),
    ("m3u", "audio/mpegurl"),
    ("m3u8", "application/vnd.apple.mpegurl"),
    ("m4a", "audio/mp4"),
    ("m4b", "audio/mp4"),
    ("m4v", "video/mp4"),
    ("map", "application/json"),
    ("markdown", "text/markdown; charset=utf-8"),
    ("mbox", "application/mbox"),
    ("md", "text/markdown; charset=utf-8"),
    ("md5", TEXT),
    ("mht", "message/rfc822"),
    ("mhtml", "message/rfc822"),
    ("mid", "audio/midi"),
    ("midi", "audio/midi"),
    ("mjs", "text/javascript; charset=utf-8"),
    ("mk", TEXT),
    ("mkd", "text/markdown; charset=utf-8"),
    ("mkv", "video/x-matroska"),
    ("ml", TEXT),
    ("mli", TEXT),
    ("mm", TEXT),
    ("mov", "video/quicktime"),
    ("mp3", "audio/mpeg"),
    ("mp4", "video/mp4"),
    ("mpd", "application/dash+xml"),
    ("mpeg", "video/mpeg"),
    ("mpg", "video/mpeg"),
    ("msg", "application/vnd.ms-outlook"),
    ("msi", "application/x-msi"),
    ("mts", "video/mp2t"),
    ("ndjson", "application/x-ndjson"),
    ("nim", TEXT),
    ("nix", TEXT),
    ("obj", "model/obj"),
    ("odg", "application/vnd.oasis.opendocument.graphics"),
    ("odp", "application/vnd.oasis.opendocument.presentation"),
    ("ods", "application/vnd.oasis.opendocument.spreadsheet"),
    ("odt", "application/vnd.oasis.opendocument.text"),
    ("oga", "audio/ogg"),
    ("ogg", "audio/ogg"),
    ("ogv", "video/ogg"),
    ("ogx", "application/ogg"),
    ("opus", "audio/opus"),
    ("org", TEXT),
    ("otf", "font/otf"),
    ("p12", "application/x-pkcs12"),
    ("parquet", "application/vnd.apache.parquet"),
    ("pas", TEXT),
    ("patch", TEXT),
    ("pdf", "application/pdf"),
    ("pem", "application/x-pem-file"),
    ("pfx", "application/x-pkcs12"),
    ("pgp", "application/pgp-encrypted"),
    ("php", TEXT),
    ("pl", TEXT),
    ("pm", TEXT),
    ("png", "image/png"),
    ("ppm", "image/x-portable-pixmap"),
    ("pps", "application/vnd.ms-powerpoint"),
    ("ppsx", "application/vnd.openxmlformats-officedocument.presentationml.slideshow"),
    ("ppt", "application/vnd.ms-powerpoint"),
    ("pptx", "application/vnd.openxmlformats-officedocument.presentationml.presentation"),
    ("properties", TEXT),
    ("proto", TEXT),
    ("ps", "application/postscript"),
    ("ps1", TEXT),
    ("psd", "image/vnd.adobe.photoshop"),
    ("py", TEXT),
    ("pyi", TEXT),
    ("qt", "video/quicktime"),
    ("r", TEXT),
    ("rar", "application/vnd.rar"),
    ("rb", TEXT),
    ("rpm", "application/x-rpm"),
    ("rs", TEXT),
    ("rss", "application/rss+xml"),
    ("rst", TEXT),
    ("rtf", "application/rtf"),
    ("s", TEXT),
    ("sass", TEXT),
    ("scala", TEXT),
    ("scss", TEXT),
    ("sed", TEXT),
    ("sh", TEXT),
    ("sha256", TEXT),
    ("shtml", HTML),
    ("sig", "application/pgp-signature"),
    ("so", BINARY),
    ("spx", "audio/ogg"),
    ("sql", TEXT),
    ("sqlite", "application/vnd.sqlite3"),
    ("sqlite3", "application/vnd.sqlite3"),
    ("srt", "application/x-subrip"),
    ("step", "model/step"),
    ("stl", "model/stl"),
    ("stp", "model/step"),
    ("sum", TEXT),
    ("svelte", TEXT),
    ("svg", "image/svg+xml"),
    ("swift", TEXT),
    ("tar", "application/x-tar"),
    ("tbz2", "application/x-bzip2"),
    ("tex", TEXT),
    ("text", TEXT),
    ("tf", TEXT),
    ("tgz", "application/gzip"),
    ("tif", "image/tiff"),
    ("tiff", "image/tiff"),
    ("toml", "application/toml"),
    ("torrent", "application/x-bittorrent"),
    ("ts", TEXT),
    ("tsv", "text/tab-separated-values; charset=utf-8"),
    ("tsx", TEXT),
    ("ttc", "font/collection"),
    ("ttf", "font/ttf"),
    ("txt", TEXT),
    ("txz", "application/x-xz"),
    ("usdz", "model/vnd.usdz+zip"),
    ("vcf", "text/vcard; charset=utf-8"),
    ("vim", TEXT),
    ("vtt", "text/vtt; charset=utf-8"),
    ("vue", TEXT),
    ("war", "application/java-archive"),
    ("wasm", "application/wasm"),
    ("wav", "audio/wav"),
    ("weba", "audio/webm"),
    ("webm", "video/webm"),
    ("webmanifest", "application/manifest+json"),
    ("webp", "image/webp"),
    ("wma", "audio/x-ms-wma"),
    ("wmv", "video/x-ms-wmv"),
    ("woff", "font/woff"),
    ("woff2", "font/woff2"),
    ("xht", "application/xhtml+xml"),
    ("xhtml", "application/xhtml+xml"),
    ("xls", "application/vnd.ms-excel"),
    ("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    ("xml", XML),
    ("xpi", "application/x-xpinstall"),
    ("xsd", XML),
    ("xsl", XML),
    ("xslt", XML),
    ("xz", "application/x-xz"),
    ("yaml", "application/yaml"),
    ("yml", "application/yaml"),
    ("zig", TEXT),
    ("zip", "application/zip"),
    ("zsh", TEXT),
    ("zst", "application/zstd"),
];

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_table_is_sorted_and_has_valid_types() {
        assert!(BY_EXTENSION.windows(2).all(|pair| pair[0].0 < pair[1].0));
        for (extension, kind) in BY_EXTENSION {
            assert!(is_valid(kind), "{kind}");
            assert_eq!(*extension, extension.to_ascii_lowercase());
            assert_eq!(!kind.starts_with("text/"), !kind.ends_with("; charset=utf-8"), "{kind}");
        }
        assert!(MAGIC.iter().all(|(_, magic, kind)| is_valid(kind) && !magic.is_empty()));
    }

    #[test]
    fn a_name_tells_by_its_last_extension_in_any_case() {
        for (name, kind) in [
            ("index.html", Some(HTML)),
            ("A.JS", Some("text/javascript; charset=utf-8")),
            ("/a.b/c.TaR.gZ", Some("application/gzip")),
            (".json", Some("application/json")),
            ("photo.JPEG", Some("image/jpeg")),
            ("photo.jpeg2", None),
            ("jpeg", None),
            ("a.", None),
            ("a.html/b", None),
            ("a.html ", None),
            ("", None),
            ("a.\u{212a}ey", None),
        ] {
            assert_eq!(by_name(name), kind, "{name}");
        }
    }

    #[test]
    fn the_usual_names_are_known() {
        for extension in "html htm css js mjs json xml png jpg jpeg gif svg webp avif ico bmp tiff pdf wasm txt md csv mp3 \
            mp4 webm ogg wav flac mov mkv woff woff2 ttf otf eot zip gz tgz tar bz2 xz zst 7z rar jar doc docx xls xlsx ppt \
            pptx odt ods odp epub rtf yaml yml toml rs go py c h cpp java sh ts tsx map webmanifest"
            .split_whitespace()
        {
            assert!(by_name(&format!("x.{extension}")).is_some(), "{extension}");
        }
    }

    #[test]
    fn content_tells_by_its_first_bytes() {
        let mut tar = vec![0; 512];
        tar[257..262].copy_from_slice(b"ustar");
        let cases: &[(&[u8], &str)] = &[
            (b"", TEXT),
            (b"hello\n\x1b[1m", TEXT),
            ("gr\u{fc}n".as_bytes(), TEXT),
            (b"hello\0", BINARY),
            (b" \r\n<!doctype html>", HTML),
            (b"<html lang=en>", HTML),
            (b"<Html>", HTML),
            (b"<htmlx>", TEXT),
            (b"<html", TEXT),
            (b"\t<?xml version=\"1.0\"?>", XML),
            (b"%PDF-1.7", "application/pdf"),
            (b"\x89PNG\r\n\x1a\n...", "image/png"),
            (b"RIFF....WEBPVP8", "image/webp"),
            (b"RIFF....WAVE", "audio/wav"),
            (b"RIFF....AVI ", "video/x-msvideo"),
            (b"RIFF....W", TEXT),
            (b"\0\0\0\x1cftypavif", "image/avif"),
            (b"\0\0\0\x1cftypisom", "video/mp4"),
            (b"\x1a\x45\xdf\xa3\x9f\x42\x82\x84webm", "video/webm"),
            (b"\x1a\x45\xdf\xa3", "video/x-matroska"),
            (b"\x1f\x8b\x08", "application/gzip"),
            (b"PK\x03\x04", "application/zip"),
            (b"\0asm\x01", "application/wasm"),
            (b"wOF2", "font/woff2"),
            (b"\xef\xbb\xbfa", TEXT),
            (b"\xff\xfea\0", "text/plain; charset=utf-16le"),
            (&tar, "application/x-tar"),
        ];
        for (head, kind) in cases {
            assert_eq!(sniff(head), *kind, "{:?}", String::from_utf8_lossy(head));
        }
        let late = [[b'a'; HEAD].as_slice(), b"\0"].concat();
        assert_eq!(sniff(&late), TEXT);
    }

    #[test]
    fn a72_a_declared_type_has_the_form_of_one() {
        for valid in [
            "text/plain",
            "text/html; charset=utf-8",
            "text/html ;charset=\"utf-8\"",
            "application/vnd.a+b;a=1 ; b=\"x; \\\" y\";",
            "a/b;;",
        ] {
            assert!(is_valid(valid), "{valid}");
        }
        for invalid in [
            "",
            "text",
            "text/",
            "/plain",
            "text/plain/x",
            " text/plain",
            "text /plain",
            "text/plain x",
            "text/plain; charset",
            "text/plain; =a",
            "text/plain; a=",
            "text/plain; a =b",
            "text/plain; a=b c=d",
            "text/plain; a=\"b",
            "text/plain; a=\"b\\\"",
            "text/plain\r\nX: y",
            "text/plain; a=\"b\r\nX: y\"",
            "text/plain\0",
            "text/pl\u{e4}in",
            "text/plain; a=\"\u{e4}\"",
            "text/plain, text/html",
        ] {
            assert!(!is_valid(invalid), "{invalid:?}");
        }
        assert!(is_valid(&format!("a/{}", "b".repeat(253))));
        assert!(!is_valid(&format!("a/{}", "b".repeat(254))));
    }

    proptest! {
        #[test]
        fn a72_a_valid_type_is_a_valid_header(text in "[a-z]{1,5}/[a-z]{1,5}[ -~]{0,20}|\\PC{0,30}") {
            if is_valid(&text) {
                prop_assert!(text.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
                prop_assert!(http::HeaderValue::from_str(&text).is_ok());
            }
        }

        #[test]
        fn anything_may_be_sniffed(head in prop::collection::vec(any::<u8>(), 0..600), name in "\\PC{0,20}") {
            let _ = (sniff(&head), by_name(&name));
        }
    }
}
