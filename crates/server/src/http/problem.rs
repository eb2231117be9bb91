//! Errors as they are shown: plain text as the original has it, a page for people whose browser asks for one, a problem
//! document (RFC 9457) for programs that ask for JSON. All say the same.
//!
//! What a caller may not know of is told in the same bytes as what is not there, in each of these forms.

use ::http::{HeaderMap, Response, StatusCode, header};
use cacheroach_service::{Error, Hint};
use serde_json::json;

use super::answer::{OWN_PAGE, set};
use super::page::Text;
use crate::body::{self, Body};

/// What is said where there is nothing to be seen, whether or not there is something.
const NOTHING: &str =
    "nothing is here that this session may see: check the address, or use a session that may read it";

/// How a client wants to be told.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Form {
    /// A line of text, or nothing but the status.
    Plain,
    /// For people.
    Page,
    /// For programs.
    Json,
}

/// What went wrong and what to do about it. It travels beside an answer until the form of that is known.
#[derive(Clone, Debug)]
pub(super) struct Problem {
    kind: Option<&'static str>,
    title: String,
    detail: String,
}

impl Form {
    /// As RFC 9110, 12.5.1 has it; of equal wishes the first. Whoever names neither form gets the original's.
    pub(super) fn of(headers: &HeaderMap) -> Self {
        let accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let mut best = (0.0, Form::Plain);
        for range in accepted.flat_map(|value| value.split(',')) {
            let mut parts = range.split(';').map(str::trim);
            let form = match parts.next().unwrap_or_default() {
                "application/json" | "application/problem+json" => Form::Json,
                "text/html" | "application/xhtml+xml" => Form::Page,
                "text/plain" => Form::Plain,
                _ => continue,
            };
            let weight = parts.find_map(|part| part.strip_prefix("q=")).map_or(Ok(1.0), str::parse::<f32>);
            if weight.as_ref().is_ok_and(|weight| *weight > best.0) {
                best = (weight.unwrap_or_default(), form);
            }
        }
        best.1
    }
}

impl Problem {
    /// A sentence of its own for a status.
    pub(super) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Problem { kind: None, title: title(status), detail: detail.into() }
    }

    /// What an error comes to under a status.
    pub(super) fn of(error: &Error, status: StatusCode) -> Self {
        match error.hint() {
            Some(Hint { kind, title, sentence })
                if status != StatusCode::NOT_FOUND || kind == "wrong-host" =>
            {
                Problem { kind: Some(kind), title: title.into(), detail: sentence }
            }
            _ => Problem::new(
                status,
                match error {
                    _ if status == StatusCode::NOT_FOUND => NOTHING.to_owned(),
                    Error::Internal(_) | Error::Damaged => {
                        "the server failed to do this: its log tells its operator why".into()
                    }
                    Error::Busy => "the server has too much to do: try again in a second".into(),
                    error => error.to_string(),
                },
            ),
        }
    }
}

fn title(status: StatusCode) -> String {
    status.canonical_reason().unwrap_or("Error").into()
}

/// Gives an answer that tells of a problem the form that was asked for.
pub(super) fn shown(mut response: Response<Body>, form: Form) -> Response<Body> {
    let Some(problem) = response.extensions_mut().remove::<Problem>() else { return response };
    let status = response.status();
    let (content_type, content) = match form {
        Form::Plain => return response,
        Form::Page => ("text/html; charset=utf-8", page(status, &problem)),
        Form::Json => ("application/problem+json", json(status, &problem)),
    };
    *response.body_mut() = body::whole(content);
    set(&mut response, header::CONTENT_TYPE, content_type);
    set(&mut response, header::CONTENT_SECURITY_POLICY, OWN_PAGE);
    response
}

fn json(status: StatusCode, problem: &Problem) -> String {
    let kind = problem.kind.map_or("about:blank".into(), |kind| format!("urn:cacheroach:problem:{kind}"));
    let (title, detail) = (&problem.title, &problem.detail);
    json!({ "type": kind, "title": title, "status": status.as_u16(), "detail": detail }).to_string() + "\n"
}

fn page(status: StatusCode, problem: &Problem) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{title}</title>\n\
         <style>html{{color-scheme:light dark}}body{{margin:0 auto;padding:2.5rem 1.5rem;max-width:40rem;\
         font:1rem/1.5 system-ui,sans-serif;overflow-wrap:anywhere}}h1{{font-size:1.6rem}}</style>\n\
         </head>\n<body>\n<main>\n<h1>{title}</h1>\n<p>{detail}</p>\n<p><small>{code}</small></p>\n</main>\n\
         </body>\n</html>\n",
        title = Text(&problem.title),
        detail = Text(&problem.detail),
        code = status.as_u16(),
    )
}

#[cfg(test)]
mod tests {
    use ::http::HeaderValue;

    use super::*;

    #[test]
    fn whoever_asks_for_neither_page_nor_json_gets_text() {
        for (accept, form) in [
            (None, Form::Plain),
            (Some("*/*"), Form::Plain),
            (Some("text/plain, text/html;q=0.9"), Form::Plain),
            (Some("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"), Form::Page),
            (Some("application/json"), Form::Json),
            (Some("application/problem+json"), Form::Json),
            (Some("application/json, text/html"), Form::Json),
            (Some("text/html, application/json"), Form::Page),
            (Some("text/html;q=0.1, application/json; q=0.2"), Form::Json),
            (Some("application/json;q=0"), Form::Plain),
            (Some("application/json;q=x"), Form::Plain),
            (Some("image/png,;,\u{e9}"), Form::Plain),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(accept) = accept {
                headers.insert(header::ACCEPT, HeaderValue::from_bytes(accept.as_bytes()).unwrap());
            }
            assert_eq!(Form::of(&headers), form, "{accept:?}");
        }
    }

    #[test]
    fn a72_what_a_problem_quotes_is_text() {
        let problem = Problem::new(StatusCode::FORBIDDEN, "on `/<script>\"`");
        assert!(page(StatusCode::FORBIDDEN, &problem).contains("on `/&lt;script&gt;&quot;`"));
        let document: serde_json::Value =
            serde_json::from_str(&json(StatusCode::FORBIDDEN, &problem)).unwrap();
        assert_eq!(document["detail"], "on `/<script>\"`");
        assert_eq!(document["type"], "about:blank");
    }
}
