//! Tokens that are none, and calls without any.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cacheroach_api::method::METHODS;
use cacheroach_api::{file, session, tenant, token};
use cacheroach_model::{Capabilities, TenantId};
use serde_json::{Value, json};
use tonic::codegen::http::uri::PathAndQuery;
use tonic::metadata::MetadataValue;
use tonic::{Code, Request, Status};

use crate::support::{KEY, Server, jwt, jwt_by, on_everything, on_principal, on_tenant};
use crate::{code, refusal};

fn header() -> Value {
    json!({ "alg": "HS256", "typ": "JWT" })
}

/// Of a superuser, made by a holder of the key.
fn claims(server: &Server) -> Value {
    let now = server.now().seconds();
    json!({ "msg": { "s": { "s": true } }, "aud": ["cacheroach"], "exp": now + 60, "iat": now })
}

async fn current(server: &Server, token: &str) -> Result<session::Session, Status> {
    server.tokens(token).current(()).await.map(tonic::Response::into_inner)
}

#[track_caller]
fn assert_refused(answer: &Result<session::Session, Status>, what: &str) {
    let code = answer.as_ref().map_or_else(Status::code, |_| Code::Ok);
    assert_eq!(code, Code::Unauthenticated, "{what}");
}

#[tokio::test]
async fn a01_a_token_without_a_signature_algorithm_is_refused() {
    let server = Server::start().await;
    assert!(current(&server, &jwt(&header(), &claims(&server))).await.is_ok());
    for alg in ["none", "None", "NONE", "nOnE", "", "hs256", "Hs256", "HS256 "] {
        let token = jwt(&json!({ "alg": alg, "typ": "JWT" }), &claims(&server));
        assert_refused(&current(&server, &token).await, alg);
        let unsigned = &token[..=token.rfind('.').unwrap()];
        assert_refused(&current(&server, unsigned).await, alg);
    }
    for header in [json!({ "typ": "JWT" }), json!({ "alg": null }), json!({ "alg": ["HS256"] }), json!([])] {
        assert_refused(&current(&server, &jwt(&header, &claims(&server))).await, &header.to_string());
    }
}

#[tokio::test]
async fn a02_a_token_of_another_algorithm_is_refused_whatever_the_key() {
    let server = Server::start().await;
    for (alg, algorithm) in [("HS384", hmac::HMAC_SHA384), ("HS512", hmac::HMAC_SHA512)] {
        let header = json!({ "alg": alg, "typ": "JWT" });
        assert_refused(&current(&server, &jwt_by(algorithm, &KEY, &header, &claims(&server))).await, alg);
    }
    for alg in ["HS384", "HS512", "RS256", "ES256", "PS256", "EdDSA"] {
        let token = jwt(&json!({ "alg": alg, "typ": "JWT" }), &claims(&server));
        assert_refused(&current(&server, &token).await, alg);
    }
}

#[tokio::test]
async fn a03_a_token_whose_signature_was_touched_is_refused() {
    let server = Server::start().await;
    let token = jwt(&header(), &claims(&server));
    let (message, signature) = token.rsplit_once('.').unwrap();
    let bytes = URL_SAFE_NO_PAD.decode(signature).unwrap();
    for bit in 0..bytes.len() * 8 {
        let mut bytes = bytes.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let flipped = format!("{message}.{}", URL_SAFE_NO_PAD.encode(bytes));
        assert_refused(&current(&server, &flipped).await, &format!("bit {bit}"));
    }
    // The last character carries two bits that say nothing: any other spelling of them is another token.
    let (rest, last) = signature.split_at(signature.len() - 1);
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let at = alphabet.find(last).unwrap();
    for other in (at / 4 * 4..at / 4 * 4 + 4).filter(|other| *other != at) {
        let spelled = format!("{message}.{rest}{}", &alphabet[other..=other]);
        assert_refused(&current(&server, &spelled).await, "not canonical");
    }
    for broken in [
        format!("{message}."),
        format!("{message}.{rest}"),
        format!("{message}.{signature}="),
        format!("{message}.{signature}A"),
        format!("{message}.{signature}."),
        format!("{message}.{signature}.{signature}"),
        message.to_owned(),
        format!("{message}.{}", &signature[..20]),
        format!(".{message}.{signature}"),
        "..".into(),
        ".".into(),
        "x".into(),
    ] {
        assert_refused(&current(&server, &broken).await, &broken);
    }
}

#[tokio::test]
async fn a04_a_token_cannot_bring_its_own_key() {
    let server = Server::start().await;
    let crit = json!({ "alg": "HS256", "typ": "JWT", "crit": ["exp"] });
    assert_refused(&current(&server, &jwt(&crit, &claims(&server))).await, "crit");
    let theirs = [9; 32];
    for (name, value) in [
        ("kid", json!("../../../../dev/null")),
        ("kid", json!("' OR 1=1 --")),
        ("kid", json!("http://127.0.0.1:1/key")),
        ("jwk", json!({ "kty": "oct", "k": URL_SAFE_NO_PAD.encode(theirs) })),
        ("jku", json!("http://127.0.0.1:1/keys")),
        ("x5u", json!("http://127.0.0.1:1/certificate")),
    ] {
        let mut header = header();
        header[name] = value;
        let forged = jwt_by(hmac::HMAC_SHA256, &theirs, &header, &claims(&server));
        assert_refused(&current(&server, &forged).await, name);
        // Signed by us, it may be ignored or refused.
        let answer = current(&server, &jwt(&header, &claims(&server))).await;
        assert!(
            answer.as_ref().is_ok_and(|session| session.scope.is_some()) || {
                assert_refused(&answer, name);
                true
            }
        );
    }
    let mut long = header();
    long["kid"] = json!("x".repeat(8 * 1024));
    assert_refused(&current(&server, &jwt(&long, &claims(&server))).await, "a token has 8 KiB at most");
}

#[tokio::test]
async fn a05_a_token_before_or_after_its_time_is_refused() {
    let server = Server::start().await;
    let now = server.now().seconds();
    for (claim, time) in [("exp", now), ("exp", now - 6), ("nbf", now + 3600), ("iat", now + 3600)] {
        let mut claims = claims(&server);
        claims[claim] = json!(time);
        assert_refused(&current(&server, &jwt(&header(), &claims)).await, claim);
    }
    let token = jwt(&header(), &claims(&server));
    server.advance(std::time::Duration::from_secs(59));
    assert!(current(&server, &token).await.is_ok());
    server.advance(std::time::Duration::from_secs(1));
    let (code, text) = refusal(server.tokens(&token).current(()).await);
    assert_eq!(code, Code::Unauthenticated);
    assert!(text.starts_with("token is expired by "), "{text}");
}

#[tokio::test]
async fn a06_a_claim_of_the_wrong_type_is_not_an_absent_one() {
    let server = Server::start().await;
    let now = server.now().seconds();
    let wrong =
        [json!((now + 60).to_string()), json!(null), json!(-1), json!(1e30), json!([now + 60]), json!({})];
    for claim in ["exp", "nbf", "iat"] {
        for value in &wrong {
            // Not before a time long past is well-formed enough, if a clock can show it.
            let mut claims = claims(&server);
            claims[claim] = value.clone();
            assert_refused(&current(&server, &jwt(&header(), &claims)).await, &format!("{claim} {value}"));
        }
    }
    for value in [json!("cacheroach"), json!(null), json!(1), json!([1]), json!([]), json!({})] {
        let mut claims = claims(&server);
        claims["aud"] = value.clone();
        assert_refused(&current(&server, &jwt(&header(), &claims)).await, &format!("aud {value}"));
    }
    for claim in ["jti", "sub", "iss"] {
        for value in [json!(1), json!(null), json!("x"), json!(""), json!([])] {
            let mut claims = claims(&server);
            claims[claim] = value.clone();
            assert_refused(&current(&server, &jwt(&header(), &claims)).await, &format!("{claim} {value}"));
        }
    }
    for claim in ["exp", "iat", "aud", "msg"] {
        let mut claims = claims(&server);
        claims.as_object_mut().unwrap().remove(claim);
        assert_refused(&current(&server, &jwt(&header(), &claims)).await, &format!("no {claim}"));
    }
    for msg in [json!({ "super": true }), json!("x"), json!({ "s": { "s": true, "p": {} } }), json!([])] {
        let mut claims = claims(&server);
        claims["msg"] = msg.clone();
        assert_refused(&current(&server, &jwt(&header(), &claims)).await, &format!("msg {msg}"));
    }
    // A fraction of a second is how the original writes times.
    let mut fraction = claims(&server);
    fraction["exp"] = json!(60.25 + f64::from(u32::try_from(now).unwrap()));
    assert!(current(&server, &jwt(&header(), &fraction)).await.is_ok());
}

#[tokio::test]
async fn a07_a_token_for_somebody_else_is_refused() {
    let server = Server::start().await;
    let mut claims = claims(&server);
    claims["aud"] = json!(["other"]);
    let (code, text) = refusal(server.tokens(&jwt(&header(), &claims)).current(()).await);
    assert_eq!((code, text.as_str()), (Code::Unauthenticated, "'cacheroach' wasn't found in aud claim"));

    let other = jwt_by(hmac::HMAC_SHA256, &[8; 32], &header(), &self::claims(&server));
    let (code, text) = refusal(server.tokens(&other).current(()).await);
    assert_eq!((code, text.as_str()), (Code::Unauthenticated, "token signature is invalid"));

    let (code, text) = refusal(server.tokens("x").current(()).await);
    assert_eq!(code, Code::Unauthenticated);
    assert!(text.starts_with("token is malformed: "), "{text}");
}

#[tokio::test]
async fn a08_a_token_is_worth_nothing_after_invalidate() {
    let server = Server::start().await;
    let (tenant, principal) = (server.tenant().await, server.principal().await);
    let template = on_tenant(principal, Capabilities::READ, tenant, "/*");
    let token = server.issue(&template).await;
    let current_one = token::invalidate_request::Kind::Current(true);
    let request = token::InvalidateRequest { kind: Some(current_one) };
    server.tokens(&token).invalidate(request).await.unwrap();
    assert_refused(&current(&server, &token).await, "the one that logged out");

    let (kept, token) = server.issue_session(&template).await;
    let request = token::InvalidateRequest { kind: kept.id.map(token::invalidate_request::Kind::Id) };
    server.tokens(&server.super_token()).invalidate(request.clone()).await.unwrap();
    assert_refused(&current(&server, &token).await, "the one that was thrown out");
    server.tokens(&server.super_token()).invalidate(request).await.unwrap();
}

#[tokio::test]
async fn a09_a_deleted_principal_is_nobody_and_a_deleted_tenant_nowhere() {
    let server = Server::start().await;
    let (tenant, principal) = (server.tenant().await, server.principal().await);
    let token = server.issue(&on_tenant(principal, Capabilities::READ, tenant, "/*")).await;
    let root = server.issue(&on_everything(principal)).await;
    let request = tenant::EnsureRequest {
        tenant: Some(tenant::Tenant { id: Some(tenant.into()), version: 1, ..Default::default() }),
        delete: true,
    };
    server.tenants(&root).ensure(request).await.unwrap();
    assert_eq!(code(&server.tokens(&token).current(()).await), Code::NotFound);

    let deleted =
        cacheroach_api::principal::Principal { id: Some(principal.into()), version: 1, ..Default::default() };
    let request = cacheroach_api::principal::EnsureRequest { principal: Some(deleted), delete: true };
    server.principals(&server.super_token()).ensure(request).await.unwrap();
    assert_refused(&current(&server, &root).await, "the principal is gone");
}

#[tokio::test]
async fn a11_a_signature_for_one_purpose_is_worth_nothing_for_another() {
    let server = Server::start().await;
    let (tenant, principal) = (server.tenant().await, server.principal().await);
    server.put(tenant, "/a", "x").await;
    let session = server.issue(&on_tenant(principal, Capabilities::ALL, tenant, "/*")).await;
    let request =
        file::RetrievalRequest { tenant: Some(tenant.into()), path: "/a".into(), ..Default::default() };
    let link = server.files(&session).retrieve(request).await.unwrap().into_inner().get_uri;
    let link = link.split_once("access_token=").unwrap().1;
    // A41: nowhere but at its own address.
    assert_refused(&current(&server, link).await, "a signed URL's token as bearer");
    let list = file::ListRequest {
        tenant: Some(tenant.into()),
        path: "/".into(),
        cursor: None,
        ..Default::default()
    };
    assert_eq!(code(&server.files(link).list(list.clone()).await), Code::Unauthenticated);

    let begin = cacheroach_api::upload::BeginRequest {
        tenant: Some(tenant.into()),
        path: "/b".into(),
        committed: None,
        ..Default::default()
    };
    let state = server.uploads(&session).begin(begin).await.unwrap().into_inner().state.unwrap();
    let mut sealed = state.signature.clone();
    sealed.extend_from_slice(b"/a");
    let cursor = file::Cursor { after: URL_SAFE_NO_PAD.encode(sealed), as_of: state.deadline };
    let answer = server.files(&session).list(file::ListRequest { cursor: Some(cursor), ..list }).await;
    assert_eq!(code(&answer), Code::InvalidArgument);
    let (_, signature) = session.rsplit_once('.').unwrap();
    for signature in [
        URL_SAFE_NO_PAD.decode(signature).unwrap(),
        URL_SAFE_NO_PAD.decode(link.rsplit_once('.').unwrap().1).unwrap(),
    ] {
        let state = cacheroach_api::upload::TransferState { signature, ..state.clone() };
        let request = cacheroach_api::upload::CommitRequest { state: Some(state), ..Default::default() };
        let answer = refusal(server.uploads(&session).commit(request).await);
        assert_eq!(answer, (Code::InvalidArgument, "bad state signature".into()));
    }
    assert_eq!(server.list(tenant).await.len(), 1);
}

#[tokio::test]
async fn a12_the_first_key_signs_and_all_verify() {
    let server = Server::start_with_keys(&[[9; 32], KEY]).await;
    let principal = server.principal().await;
    // Made with the old key, which is the second.
    let token = server.issue(&on_everything(principal)).await;
    let (message, signature) = token.rsplit_once('.').unwrap();
    let by_new = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &[9; 32]), message.as_bytes());
    assert_eq!(signature, URL_SAFE_NO_PAD.encode(by_new));
    assert!(current(&server, &token).await.is_ok());

    let server = Server::start_with_keys(&[[9; 32]]).await;
    assert_refused(&current(&server, &server.super_token()).await, "the old key was taken away");
}

/// A call of any method with an empty message.
async fn call(server: &Server, method: &str, authorizations: &[&str]) -> Code {
    let mut request = Request::new(());
    for value in authorizations {
        request.metadata_mut().append("authorization", MetadataValue::try_from(*value).unwrap());
    }
    let mut client = tonic::client::Grpc::new(server.channel());
    client.ready().await.unwrap();
    let path: PathAndQuery = format!("/{method}").parse().unwrap();
    code(&client.unary::<(), (), _>(request, path, tonic_prost::ProstCodec::default()).await)
}

#[tokio::test]
async fn a13_nobody_is_not_somebody() {
    let server = Server::start().await;
    let good = format!("Bearer {}", server.super_token());
    let methods: Vec<_> = METHODS.iter().filter(|method| !method.contains(".Contents/")).collect();
    assert!(methods.len() >= 24, "those of the original and ours");
    for method in methods {
        for authorization in [
            &[][..],
            &[""],
            &["Bearer"],
            &["Bearer "],
            &["b"],
            &["Basic eDp5"],
            &["x"],
            &["Bearer x"],
            &[good.as_str(), good.as_str()],
            &[good.as_str(), ""],
            &["", good.as_str()],
        ] {
            let got = call(&server, method, authorization).await;
            assert_eq!(got, Code::Unauthenticated, "{method} with {authorization:?}");
        }
    }
    assert_eq!(call(&server, "cacheroach.token.Tokens/Current", &[&good]).await, Code::Ok);
    let spelled = good.replace("Bearer", "bEaReR");
    assert_eq!(call(&server, "cacheroach.token.Tokens/Current", &[&spelled]).await, Code::Ok);
}

#[tokio::test]
async fn a14_only_the_authorization_counts() {
    let server = Server::start().await;
    let mut request = Request::new(());
    let cookie = format!("authorization={}", server.super_token());
    request.metadata_mut().insert("cookie", cookie.parse().unwrap());
    request.metadata_mut().insert("access_token", server.super_token().parse().unwrap());
    assert_eq!(code(&server.tokens("").current(request).await), Code::Unauthenticated);
}

#[tokio::test]
async fn a15_a_token_that_does_not_verify_is_not_silently_nobody() {
    let server = Server::start().await;
    let jwt = server.super_token();
    let ask = || token::Token { jwt: jwt.clone() };
    server.tokens("").validate(ask()).await.unwrap();
    assert_eq!(code(&server.tokens("x").validate(ask()).await), Code::Unauthenticated);
    let mut over = claims(&server);
    over["exp"] = json!(server.now().seconds() - 1);
    let over = self::jwt(&header(), &over);
    assert_eq!(code(&server.tokens(&over).validate(ask()).await), Code::Unauthenticated);
    // What is public over HTTP takes a login here.
    let request = file::ListRequest {
        tenant: Some(TenantId::SCRATCHPAD.into()),
        path: "/".into(),
        cursor: None,
        ..Default::default()
    };
    assert_eq!(code(&server.files("").list(request).await), Code::Unauthenticated);
}

fn claims_of(token: &str) -> [Value; 2] {
    let mut segments = token.split('.').map(|segment| URL_SAFE_NO_PAD.decode(segment).unwrap());
    [(); 2].map(|()| serde_json::from_slice(&segments.next().unwrap()).unwrap())
}

/// Clients of the original read these.
#[tokio::test]
async fn a_token_is_laid_out_as_the_originals() {
    let server = Server::start().await;
    let (tenant, principal) = (server.tenant().await, server.principal().await);
    let now = server.now().seconds();
    let read = Capabilities::READ;
    let id = cacheroach_api::principal::Id::from(principal).data;
    let on_itself = json!({ "p": { "data": base64::engine::general_purpose::STANDARD.encode(id) } });
    let location = on_tenant(principal, read, tenant, "/a/*").of_version(3);
    for (template, msg) in [
        (on_everything(principal), json!({ "s": { "s": true } })),
        (location, json!({ "c": { "read": true }, "s": { "l": { "p": "/a/*", "v": "3" } } })),
        (
            on_principal(principal, Capabilities::ALL, principal).named("<self>"),
            json!({
                "c": { "read": true, "write": true, "delegate": true, "pii": true, "fetch": true },
                "s": on_itself,
                "name": "<self>",
            }),
        ),
    ] {
        let (kept, token) = server.issue_session(&template).await;
        let [header, claims] = claims_of(&token);
        assert_eq!(header, json!({ "alg": "HS256", "typ": "JWT" }));
        let is_location = msg["s"].get("l").is_some();
        let jti = kept.parse().unwrap().id.unwrap().to_string();
        let mut expected = json!({
            "msg": msg, "aud": ["cacheroach"], "exp": now + 86_400, "jti": jti, "iat": now,
            "sub": principal.to_string(),
        });
        if is_location {
            expected["iss"] = json!(tenant.to_string());
        }
        // A time may be written with a fraction.
        let mut found = claims.clone();
        for name in ["exp", "iat"] {
            #[expect(clippy::cast_possible_truncation, reason = "seconds of this century")]
            let whole = claims[name].as_f64().unwrap() as i64;
            found[name] = json!(whole);
        }
        assert_eq!(found, expected);
    }
}

#[tokio::test]
async fn a_token_that_the_original_made_with_the_same_key_works() {
    let server = Server::start().await;
    let (tenant, principal) = (server.tenant().await, server.principal().await);
    let (kept, _) = server.issue_session(&on_tenant(principal, Capabilities::READ, tenant, "/*")).await;
    let jti = kept.parse().unwrap().id.unwrap().to_string();
    for msg in [
        json!({ "c": { "read": true }, "s": { "l": { "p": "/*" } } }),
        json!({ "capabilities": { "read": true }, "scope": { "on_location": { "path": "/*", "version": 0 } } }),
    ] {
        let mut claims = claims(&server);
        claims["msg"] = msg;
        claims["jti"] = json!(jti);
        claims["iss"] = json!(tenant.to_string());
        claims["sub"] = json!(principal.to_string());
        assert_eq!(current(&server, &jwt(&header(), &claims)).await.unwrap().id, kept.id);
        // But not for another principal than the session's.
        claims["sub"] = json!(server.principal().await.to_string());
        assert_refused(&current(&server, &jwt(&header(), &claims)).await, "another's");
    }
}
