//! Errors tell what to do: as a page, as a problem document (RFC 9457), and over gRPC, in the same words.

use std::time::Duration;

use cacheroach_api::{file, tenant};
use cacheroach_model::Capabilities;
use percent_encoding::percent_decode_str;
use serde_json::Value;

use crate::site::{READ, Site, WRITE};
use crate::support::{Answer, on_everything, on_tenant};

const JSON: (&str, &str) = ("accept", "application/json");
const PAGE: (&str, &str) = ("accept", "text/html,application/xhtml+xml,*/*;q=0.8");

fn problem(answer: &Answer) -> Value {
    assert_eq!(answer.header("content-type"), "application/problem+json", "{answer:?}");
    let problem: Value = serde_json::from_str(answer.text()).unwrap();
    assert_eq!(problem["status"], answer.status.as_u16());
    assert!(problem["title"].is_string());
    problem
}

/// The kind and the sentence, after a look at the page: it says the same.
async fn told(site: &Site, token: &str, method: &str, target: &str) -> (u16, String, String) {
    let bearer = format!("Bearer {token}");
    let mut headers = vec![("host", "files.example")];
    if !token.is_empty() {
        headers.push(("authorization", &bearer));
    }
    let as_json = [&headers[..], &[JSON]].concat();
    let as_page = [&headers[..], &[PAGE]].concat();
    let (json, page) = (
        site.server.http(method, target, &as_json, "").await,
        site.server.http(method, target, &as_page, "").await,
    );
    let problem = problem(&json);
    let sentence = problem["detail"].as_str().unwrap().to_owned();
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    assert!(page.text().contains(&sentence), "{sentence}\n{}", page.text());
    for answer in [&json, &page] {
        assert_eq!(
            (answer.header("cache-control"), answer.header("x-content-type-options")),
            ("no-store", "nosniff")
        );
        assert!(token.is_empty() || !answer.text().contains(token));
    }
    (json.status.as_u16(), problem["type"].as_str().unwrap().to_owned(), sentence)
}

async fn site() -> Site {
    let site = Site::new().await;
    site.put("/dir/file", "x").await;
    site.server.vhost("files.example", site.tenant).await;
    site
}

fn hint(status: &tonic::Status) -> String {
    let value = status.metadata().get("cacheroach-hint").map_or("", |value| value.to_str().unwrap());
    percent_decode_str(value).decode_utf8().unwrap().into_owned()
}

async fn list(site: &Site, token: &str, path: &str) -> tonic::Status {
    let request =
        file::ListRequest { tenant: Some(site.tenant.into()), path: path.into(), ..Default::default() };
    site.server.files(token).list(request).await.unwrap_err()
}

#[tokio::test]
async fn each_problem_has_its_own_sentence_and_all_front_ends_say_it() {
    let site = site().await;
    let short = site
        .server
        .issue(&on_tenant(site.owner, READ, site.tenant, "/*").living(Duration::from_secs(60)))
        .await;
    site.server.advance(Duration::from_secs(61));
    let revoked = site.token_for(READ, "/*").await;
    site.log_out(&revoked).await;
    let writer = site.token_for(WRITE, "/dir/*").await;
    let mut sentences = Vec::new();
    for (token, kind, status) in [
        ("", "no-session", 401),
        (short.as_str(), "expired-token", 401),
        (revoked.as_str(), "session-over", 401),
        ("a.b.c", "invalid-token", 401),
        (writer.as_str(), "missing-capability", 403),
    ] {
        let (got, named, sentence) = told(&site, token, "GET", "/dir/file").await;
        assert_eq!((got, named), (status, format!("urn:cacheroach:problem:{kind}")));
        let refused = list(&site, token, "/dir/file").await;
        assert_eq!(hint(&refused), sentence, "{kind}");
        sentences.push(sentence);
    }
    assert!(sentences[4].contains("`read`") && sentences[4].contains("`/dir/file`"), "{}", sentences[4]);
    assert!(sentences[4].contains(&site.tenant.to_string()));
    let reader = site.token_for(READ, "/dir/*").await;
    let (_, _, sentence) = told(&site, &reader, "PUT", "/dir/file").await;
    assert!(sentence.contains("`write`"), "{sentence}");
    sentences.push(sentence);
    sentences.sort_unstable();
    sentences.dedup();
    assert_eq!(sentences.len(), 6, "{sentences:#?}");
}

#[tokio::test]
async fn a_host_without_a_tenant_says_so() {
    let site = site().await;
    let any = cacheroach_api::vhost::VHost {
        vhost: "*".into(),
        ..crate::support::vhost_of(cacheroach_model::TenantId::SCRATCHPAD)
    };
    let request = cacheroach_api::vhost::EnsureRequest { vhost: Some(any), delete: true };
    site.server.vhosts(&site.server.super_token()).ensure(request).await.unwrap();
    let answer = site.server.http("GET", "/x", &[("host", "unknown.example"), JSON], "").await;
    let problem = problem(&answer);
    assert_eq!(
        (answer.status.as_u16(), problem["type"].as_str()),
        (404, Some("urn:cacheroach:problem:wrong-host"))
    );
    assert!(problem["detail"].as_str().unwrap().contains("vhost create"));
    let plain = site.server.http("GET", "/x", &[("host", "unknown.example")], "").await;
    assert_eq!((plain.status.as_u16(), plain.text()), (404, ""), "as ever");
    // A host of another tenant looks the same to a session that may not know it.
    let other = site.server.tenant().await;
    let principal = site.server.principal().await;
    let theirs = site.server.issue(&on_tenant(principal, READ, other, "/*")).await;
    let bearer = format!("Bearer {theirs}");
    let there = site
        .server
        .http("GET", "/x", &[("host", "files.example"), ("authorization", &bearer), JSON], "")
        .await;
    assert_eq!(there.body, answer.body);
}

#[tokio::test]
async fn d14_what_is_not_ones_own_is_told_in_the_bytes_of_what_is_not_there() {
    let site = site().await;
    let elsewhere = site.token_for(READ, "/else/*").await;
    let everywhere = site.token_for(READ, "/*").await;
    for form in [("accept", "*/*"), JSON, PAGE] {
        for method in ["GET", "HEAD", "PUT", "DELETE"] {
            let there = site.ask_as(&elsewhere, method, "/dir/file", &[form], "x").await;
            let missing = site.ask_as(&elsewhere, method, "/dir/none", &[form], "x").await;
            assert_eq!((there.status.as_u16(), &there.body), (404, &missing.body), "{form:?} {method}");
            assert_eq!(there.undated(), missing.undated(), "{form:?} {method}");
        }
        let refused = site.ask_as(&elsewhere, "GET", "/dir/file", &[form], "").await;
        let none = site.ask_as(&everywhere, "GET", "/dir/none", &[form], "").await;
        assert_eq!((&refused.body, refused.undated()), (&none.body, none.undated()), "{form:?}");
        let anonymous = [("host", "files.example"), form];
        let there = site.server.http("GET", "/dir/file", &anonymous, "").await;
        let missing = site.server.http("GET", "/dir/none", &anonymous, "").await;
        assert_eq!((there.status.as_u16(), &there.body), (401, &missing.body), "{form:?}");
        assert_eq!(there.undated(), missing.undated(), "{form:?}");
        assert_eq!(there.header("www-authenticate"), "Bearer");
    }
    let plain = site.ask_as(&elsewhere, "GET", "/dir/file", &[], "").await;
    assert_eq!(
        (plain.text(), plain.header("content-type")),
        ("404 page not found\n", "text/plain; charset=utf-8")
    );
    // Over gRPC nothing is said but that nothing is reached, whatever is there.
    let (there, missing) =
        (list(&site, &elsewhere, "/dir/file").await, list(&site, &elsewhere, "/dir/none").await);
    assert_eq!(
        (there.code(), there.message(), hint(&there)),
        (missing.code(), missing.message(), hint(&missing))
    );
    assert!(!hint(&there).contains("/dir"), "{}", hint(&there));
}

#[tokio::test]
async fn the_texts_of_the_original_stay_and_old_clients_see_no_more() {
    let site = site().await;
    let refused = list(&site, &site.token_for(WRITE, "/*").await, "/").await;
    assert_eq!(refused.message(), "inappropriate fields in request");
    let request = tenant::EnsureRequest { tenant: Some(tenant::Tenant::default()), delete: false };
    let refused = site.server.tenants(&site.token).ensure(request.clone()).await.unwrap_err();
    assert_eq!(refused.message(), "insufficient scope");
    assert!(hint(&refused).contains("superusers"), "{}", hint(&refused));
    let refused = site.server.tenants("").ensure(request.clone()).await.unwrap_err();
    assert_eq!(refused.message(), "insufficient scope");
    let super_token = site.server.issue(&on_everything(site.owner)).await;
    let invalid = site.server.tenants(&super_token).ensure(request).await.unwrap_err();
    assert_eq!(hint(&invalid), "", "the field says it all");
}

#[tokio::test]
async fn a_hint_holds_any_path_in_plain_ascii() {
    let site = site().await;
    let writer = site.token_for(WRITE, "/*").await;
    let path = "/caf\u{e9} 100%/\u{202e}x";
    let refused = list(&site, &writer, path).await;
    assert!(refused.metadata().get("cacheroach-hint").unwrap().to_str().unwrap().is_ascii());
    assert!(hint(&refused).contains(path), "{}", hint(&refused));
    let longest = format!("/{}", "\u{e9}".repeat(511));
    assert!(hint(&list(&site, &writer, &longest).await).contains(&longest));
}

#[tokio::test]
async fn limits_and_methods_are_told_too() {
    let site = site().await;
    let long = format!("/{}", "a".repeat(1100));
    assert!(problem(&site.get_with(&long, &[JSON]).await)["detail"].as_str().unwrap().contains("1024"));
    let answer = site.ask("LOCK", "/dir/file", &[JSON], "").await;
    assert_eq!((answer.status.as_u16(), problem(&answer)["type"].as_str()), (405, Some("about:blank")));
    let answer = site.ask("LOCK", "/dir/file", &[], "").await;
    assert_eq!((answer.status.as_u16(), answer.text()), (405, ""), "as ever");
    let answer = site.get_with("/dir/%zz", &[JSON]).await;
    assert_eq!(answer.status, 400);
    assert!(problem(&answer)["detail"].as_str().unwrap().starts_with("path: "));
    let own = Capabilities::READ;
    assert_eq!(site.ask_as(&site.token_for(own, "/*").await, "HEAD", "/none", &[JSON], "").await.text(), "");
}
