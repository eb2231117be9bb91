//! The pages to log in, and to hand a session on to the command line. They work without script.

use std::fmt;

use super::page::Text;

/// To whom a session is handed on: a program that listens on this computer.
pub(super) struct HandOver {
    pub(super) port: Option<u16>,
    /// By which it knows that the answer is to its own question.
    pub(super) secret: Option<String>,
}

/// The form to log in with.
pub(super) struct LoginPage<'a> {
    pub(super) host: &'a str,
    pub(super) user: &'a str,
    pub(super) problem: Option<&'a str>,
    pub(super) to: &'a HandOver,
}

/// Who is logged in, and how the command line becomes the same.
pub(super) struct ProvisionPage<'a> {
    pub(super) host: &'a str,
    pub(super) scheme: &'a str,
    pub(super) label: String,
    pub(super) id: String,
    pub(super) config: String,
    pub(super) to: &'a HandOver,
}

impl LoginPage<'_> {
    pub(super) fn html(&self) -> String {
        self.to_string()
    }
}

impl ProvisionPage<'_> {
    pub(super) fn html(&self) -> String {
        self.to_string()
    }
}

/// A field that nobody sees.
struct Hidden<'a>(&'a str, &'a str);

impl fmt::Display for Hidden<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "<input type=\"hidden\" name=\"{}\" value=\"{}\">", self.0, Text(self.1))
    }
}

fn head(f: &mut fmt::Formatter<'_>, title: &str, host: &str) -> fmt::Result {
    write!(
        f,
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{title} \u{2013} {host}</title>\n\
         <style>{STYLE}</style>\n</head>\n<body>\n<main>\n<p class=\"host\">{host}</p>\n",
        host = Text(host)
    )
}

const FOOT: &str = "</main>\n</body>\n</html>\n";

impl fmt::Display for LoginPage<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        head(f, "Log in", self.host)?;
        f.write_str("<h1>Log in</h1>\n")?;
        if let Some(problem) = self.problem {
            writeln!(f, "<p class=\"problem\" role=\"alert\">{}</p>", Text(&capitalized(problem)))?;
        } else if self.to.port.is_some() {
            f.write_str("<p>The command line on this computer asks to become you here. Log in first.</p>\n")?;
        }
        f.write_str("<form method=\"post\" action=\"/_/v0/login\">\n")?;
        write!(
            f,
            "<label for=\"user\">User name</label>\n\
             <input id=\"user\" name=\"user\" value=\"{}\" autocomplete=\"username\" autocapitalize=\"none\" \
             spellcheck=\"false\" maxlength=\"255\" required{}>\n\
             <label for=\"password\">Password</label>\n\
             <input id=\"password\" name=\"password\" type=\"password\" autocomplete=\"current-password\" \
             maxlength=\"1024\" required{}>\n",
            Text(self.user),
            if self.user.is_empty() { " autofocus" } else { "" },
            if self.user.is_empty() { "" } else { " autofocus" },
        )?;
        if let Some(port) = self.to.port {
            write!(f, "{}", Hidden("port", &port.to_string()))?;
        }
        if let Some(secret) = &self.to.secret {
            write!(f, "{}", Hidden("secret", secret))?;
        }
        f.write_str("<button>Log in</button>\n</form>\n")?;
        if self.problem.is_none() {
            // As the original says it, for programs that look for that.
            f.write_str(
                "<p class=\"quiet\">You are not logged in and no OIDC provider is set up here.</p>\n",
            )?;
        }
        f.write_str(FOOT)
    }
}

impl fmt::Display for ProvisionPage<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        head(f, "Logged in", self.host)?;
        writeln!(f, "<h1>Hello, <bdi>{}</bdi></h1>", Text(&self.label))?;
        if !self.id.is_empty() {
            writeln!(f, "<p class=\"quiet\"><code>{}</code></p>", Text(&self.id))?;
        }
        if let Some(port) = self.to.port {
            write!(
                f,
                "<section>\n<h2>The command line asks to be you</h2>\n\
                 <p>If you have just run <code>cacheroach auth login</code> on this computer, hand your session on to it. \
                 If you have not, don\u{2019}t: whatever listens on port {port} could then do what you can.</p>\n\
                 <form method=\"post\" action=\"http://localhost:{port}/\">\n{}",
                Hidden("config", &self.config)
            )?;
            if let Some(secret) = &self.to.secret {
                write!(f, "{}", Hidden("secret", secret))?;
            }
            f.write_str("<button>Log in the command line</button>\n</form>\n</section>\n")?;
        }
        let (scheme, host) = (self.scheme, Text(self.host));
        write!(
            f,
            "<section>\n<h2>Command line</h2>\n\
             <p>The program <code>cacheroach</code> is server and client in one: take it from whoever runs this server, or \
             build it from its sources. Then run</p>\n\
             <pre><code>cacheroach auth login {scheme}://{host}/</code></pre>\n\
             <p>or download <a href=\"config\">your configuration</a> and give it to any command by \
             <code>-c cacheroach.cfg</code>. It holds your session: keep it to yourself.</p>\n</section>\n\
             <form method=\"post\" action=\"/_/v0/logout\">\n<button class=\"second\">Log out</button>\n</form>\n"
        )?;
        f.write_str(FOOT)
    }
}

fn capitalized(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).chain(['.']).collect()).unwrap_or_default()
}

const STYLE: &str = "
:root{--text:#1c2024;--quiet:#60666d;--line:#d5d8dd;--link:#0b57b7;--on-link:#fff;--back:#f5f6f8;--card:#fff;\
--bad:#b3261e}
@media(prefers-color-scheme:dark){:root{--text:#e3e6ea;--quiet:#9aa2ac;--line:#353b44;--link:#82b4ff;\
--on-link:#0c1524;--back:#14171b;--card:#1b1f25;--bad:#ff9a91}}
*{box-sizing:border-box}
html{color-scheme:light dark;-webkit-text-size-adjust:100%;text-size-adjust:100%}
body{margin:0;padding:clamp(1rem,8vh,5rem) 1rem;background:var(--back);color:var(--text);\
font:1rem/1.5 system-ui,sans-serif;overflow-wrap:anywhere}
main{max-width:30rem;margin:0 auto;padding:2rem;background:var(--card);border:1px solid var(--line);border-radius:10px}
h1{margin:.1rem 0 1rem;font-size:1.6rem;line-height:1.25;font-weight:650}
h2{margin:0 0 .5rem;font-size:1.05rem;font-weight:650}
p{margin:0 0 1rem}
section{margin:1.5rem 0;padding-top:1.5rem;border-top:1px solid var(--line)}
.host,.quiet{color:var(--quiet);font-size:.875rem}
.host{margin:0}
.quiet{margin:1rem 0 0}
h1+.quiet{margin:-.75rem 0 0}
.problem{color:var(--bad);font-weight:600}
label{display:block;margin-bottom:.25rem;font-size:.875rem;font-weight:600}
input{width:100%;margin-bottom:1rem;padding:.55rem .7rem;font:inherit;color:inherit;background:var(--back);\
border:1px solid var(--line);border-radius:6px}
button{padding:.55rem 1.2rem;font:inherit;font-weight:600;color:var(--on-link);background:var(--link);border:0;\
border-radius:6px;cursor:pointer}
button.second{color:inherit;background:none;border:1px solid var(--line)}
a{color:var(--link)}
code{font:.875em ui-monospace,monospace}
pre{margin:0 0 1rem;padding:.7rem .9rem;background:var(--back);border-radius:6px;white-space:pre-wrap}
:focus-visible{outline:2px solid var(--link);outline-offset:2px}
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a72_text_of_others_stays_text() {
        let to = HandOver { port: Some(1), secret: Some("s".into()) };
        let evil = "\"><script>alert(1)</script>";
        let login = LoginPage { host: evil, user: evil, problem: Some(evil), to: &to }.html();
        let provision = ProvisionPage {
            host: evil,
            scheme: "http",
            label: evil.into(),
            id: evil.into(),
            config: evil.into(),
            to: &to,
        };
        for page in [login, provision.html()] {
            assert!(!page.contains("<script"), "{page}");
            assert!(page.contains("&quot;&gt;&lt;script") && !page.contains("\"&gt;&lt;script"), "{page}");
        }
    }
}
