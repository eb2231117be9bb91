//! The page of a drop link: a form that works without script, and what became of what was sent with it.

use std::fmt;

use cacheroach_service::Inlet;

use super::date;
use super::page::Text;

/// The form, and what happened before.
pub(super) struct DropPage<'a> {
    /// The link; none if it can take nothing (more) at all.
    pub(super) inlet: Option<&'a Inlet>,
    /// The names of the files that came with the request.
    pub(super) taken: &'a [String],
    /// Why not all of them did.
    pub(super) problem: Option<String>,
}

const STYLE: &str = "\
:root{color-scheme:light dark}\
body{font:1rem/1.5 system-ui,sans-serif;max-width:36rem;margin:0 auto;padding:1.5rem}\
h1{font-size:1.4rem;overflow-wrap:anywhere}\
form{display:grid;gap:1rem;margin:1.5rem 0}\
label{display:grid;gap:.5rem;font-weight:600}\
input[type=file]{font:inherit;font-weight:400;padding:1.5rem 1rem;border:1px dashed;border-radius:.5rem;max-width:100%;\
box-sizing:border-box;width:100%}\
button{font:inherit;padding:.6rem 1.2rem;justify-self:start}\
.done,.problem{border-inline-start:.3rem solid;padding:.1rem 1rem;overflow-wrap:anywhere}\
.done{border-color:#1a7f37}.problem{border-color:#cf222e}\
ul{padding-inline-start:1.2rem}";

impl fmt::Display for DropPage<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let label = self.inlet.map(Inlet::label).filter(|label| !label.is_empty());
        let title = Text(label.unwrap_or("Send files"));
        write!(
            f,
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n<title>{title}</title>\n<style>{STYLE}</style>\n\
             </head>\n<body>\n<main>\n<h1>{title}</h1>\n"
        )?;
        if !self.taken.is_empty() {
            f.write_str("<div class=\"done\" role=\"status\">\n<p>Received, thank you:</p>\n<ul>\n")?;
            for name in self.taken {
                writeln!(f, "<li><bdi>{}</bdi></li>", Text(name))?;
            }
            f.write_str("</ul>\n</div>\n")?;
        }
        if let Some(problem) = &self.problem {
            writeln!(
                f,
                "<p class=\"problem\" role=\"alert\">Not everything was taken: {}.</p>",
                Text(problem)
            )?;
        }
        match self.inlet {
            Some(inlet) if inlet.left() > 0 => form(f, inlet)?,
            Some(_) => f.write_str("<p>This link has taken as many files as it may.</p>\n")?,
            None => {}
        }
        f.write_str("</main>\n</body>\n</html>\n")
    }
}

/// It goes back to the address of the page, which has the token in it.
fn form(f: &mut fmt::Formatter<'_>, inlet: &Inlet) -> fmt::Result {
    let types = inlet.content_types().join(",");
    let accept = if types.is_empty() { String::new() } else { format!(" accept=\"{}\"", Text(&types)) };
    let multiple = if inlet.left() > 1 { " multiple" } else { "" };
    write!(
        f,
        "<form method=\"post\" enctype=\"multipart/form-data\">\n<label>Choose files\n\
         <input type=\"file\" name=\"file\" required{multiple}{accept}></label>\n\
         <button>Send</button>\n</form>\n<ul>\n<li>At most {} for each file.</li>\n",
        Size(inlet.max_size())
    )?;
    match inlet.left() {
        1 => f.write_str("<li>One more file can be sent.</li>\n")?,
        left => writeln!(f, "<li>{left} more files can be sent.</li>")?,
    }
    if !types.is_empty() {
        writeln!(f, "<li>Only these types: {}.</li>", Text(&inlet.content_types().join(", ")))?;
    }
    if let Some(end) = inlet.expires_at() {
        writeln!(f, "<li>Until {} UTC.</li>", date::civil(end).to_string().replace('T', " "))?;
    }
    f.write_str("<li>What is there already is not replaced.</li>\n</ul>\n")
}

/// Bytes for people.
struct Size(u64);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [("GiB", 1_u64 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
        match units.iter().find(|(_, size)| self.0 >= *size && self.0.is_multiple_of(*size)) {
            Some((unit, size)) => write!(f, "{} {unit}", self.0 / size),
            None => write!(f, "{} bytes", self.0),
        }
    }
}
