use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use cacheroach_model::{LinkId, Location, Networks, Path, Pattern, Version};
use serde_json::{Value, json};

use super::*;
use crate::DropLink;

const NOW: Timestamp = Timestamp::from_micros(1_700_000_000_000_000);

fn keys() -> Keys {
    Keys::parse(&[STANDARD.encode([7; 32])]).unwrap()
}

fn location_session() -> Session {
    Session {
        id: Some(SessionId::random([1; 16])),
        principal: Some(PrincipalId::random([2; 16])),
        capabilities: Capabilities::READ | Capabilities::WRITE,
        scope: Some(Scope::Location(Location {
            tenant: TenantId::SCRATCHPAD,
            pattern: Pattern::parse("/a/*").unwrap(),
            version: None,
        })),
        expires_at: Some(NOW.after(std::time::Duration::from_millis(3_600_500))),
        name: "n".into(),
        note: String::new(),
    }
}

/// Signs anything at all with our key, as someone would who found it.
fn forge(header: &Value, claims: &Value) -> String {
    let text = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(header.to_string()),
        URL_SAFE_NO_PAD.encode(claims.to_string())
    );
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, &[7; 32]);
    let signature = aws_lc_rs::hmac::sign(&key, text.as_bytes());
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn header() -> Value {
    json!({"alg": "HS256", "typ": "JWT"})
}

fn good() -> Value {
    json!({"msg": {"s": {"s": true}}, "aud": ["cacheroach"], "exp": 1_700_000_060.5, "iat": 1_700_000_000})
}

fn check(token: &str) -> Result<Presented, TokenError> {
    verify(&keys(), token, NOW)
}

#[test]
fn a_token_says_what_was_signed() {
    let session = location_session();
    let token = sign(&keys(), &session, NOW);
    let Ok(Presented::Session(read)) = check(&token) else { panic!("{:?}", check(&token)) };
    assert_eq!(read, session);
}

#[test]
fn claims_are_laid_out_as_the_originals() {
    let token = sign(&keys(), &location_session(), NOW);
    let segments: Vec<_> = token.split('.').map(|part| URL_SAFE_NO_PAD.decode(part).unwrap()).collect();
    let text = |at: usize| String::from_utf8(segments[at].clone()).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&text(0)).unwrap(), header());
    assert_eq!(
        text(1),
        "{\"msg\":{\"c\":{\"read\":true,\"write\":true},\"s\":{\"l\":{\"p\":\"/a/*\"}},\"name\":\"n\"},\
         \"aud\":[\"cacheroach\"],\"exp\":1700003600.5,\"jti\":\"01010101-0101-4101-8101-010101010101\",\
         \"iat\":1700000000.0,\"iss\":\"0a0a0a0a-0a0a-0a0a-0a0a-0a0a0a0a0a0a\",\
         \"sub\":\"02020202-0202-4202-8202-020202020202\"}"
    );
}

#[test]
fn a_key_holder_mints_super_tokens() {
    let Ok(Presented::Session(session)) = check(&forge(&header(), &good())) else { panic!() };
    assert!(session.is_super() && session.id.is_none() && session.principal.is_none());
}

#[test]
fn a01_a02_only_the_one_algorithm_is_taken() {
    for alg in [
        json!("none"),
        json!("None"),
        json!("NONE"),
        json!(""),
        json!("hs256"),
        json!("HS384"),
        json!("HS512"),
        json!("RS256"),
        json!("ES256"),
        json!(null),
        json!(1),
    ] {
        assert!(check(&forge(&json!({"alg": alg, "typ": "JWT"}), &good())).is_err(), "{alg}");
    }
    assert!(check(&forge(&json!({"typ": "JWT"}), &good())).is_err());
    let unsigned = forge(&json!({"alg": "none"}), &good());
    assert!(check(&unsigned[..=unsigned.rfind('.').unwrap()]).is_err());
}

#[test]
fn a03_no_other_spelling_of_the_signature_is_taken() {
    let token = forge(&header(), &good());
    assert!(check(&token).is_ok());
    let (text, signature) = token.rsplit_once('.').unwrap();
    let bytes = URL_SAFE_NO_PAD.decode(signature).unwrap();
    for bit in 0..bytes.len() * 8 {
        let mut bytes = bytes.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(check(&format!("{text}.{}", URL_SAFE_NO_PAD.encode(bytes))).is_err(), "bit {bit}");
    }
    // 32 bytes leave two bits of the last digit unused: setting one decodes to the same bytes where that is allowed.
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let last = alphabet.iter().position(|c| *c == *signature.as_bytes().last().unwrap()).unwrap();
    let twin = char::from(alphabet[last ^ 1]);
    for other in [
        format!("{text}.{}{twin}", &signature[..signature.len() - 1]),
        format!("{text}.{signature}="),
        format!("{text}.{}", &signature[1..]),
        format!("{text}."),
        text.to_owned(),
        format!("{token}.x"),
        format!(".{token}"),
        String::new(),
        "..".into(),
    ] {
        assert!(check(&other).is_err(), "{other}");
    }
}

#[test]
fn a04_headers_that_would_change_the_meaning_are_refused_and_others_ignored() {
    assert!(check(&forge(&json!({"alg": "HS256", "crit": ["exp"]}), &good())).is_err());
    let harmless =
        json!({"alg": "HS256", "typ": "JWT", "kid": "../../etc/passwd", "jku": "http://127.0.0.1/"});
    assert!(check(&forge(&harmless, &good())).is_ok());
    assert!(check(&forge(&json!({"alg": "HS256", "kid": "x".repeat(1 << 20)}), &good())).is_err());
}

#[test]
fn a05_a_token_has_its_time() {
    let mut claims = good();
    claims["exp"] = json!(1_700_000_000);
    assert!(matches!(check(&forge(&header(), &claims)), Err(TokenError::Expired(_))));
    for claim in ["nbf", "iat"] {
        let mut claims = good();
        claims[claim] = json!(1_700_000_006);
        assert!(matches!(check(&forge(&header(), &claims)), Err(TokenError::NotYet(_))), "{claim}");
    }
}

#[test]
fn a06_a_claim_of_a_wrong_type_is_no_claim() {
    let wrong =
        [json!("1700000060"), json!(null), json!(-1), json!(1e300), json!([1]), json!({}), json!(true)];
    for claim in ["exp", "nbf", "iat"] {
        for value in &wrong {
            let mut claims = good();
            claims[claim] = value.clone();
            // A time before which nothing is valid may well be long ago, but not before 1970.
            assert!(check(&forge(&header(), &claims)).is_err(), "{claim} {value}");
        }
    }
    for value in [json!("cacheroach"), json!(null), json!(1), json!([1]), json!({}), json!([])] {
        let mut claims = good();
        claims["aud"] = value.clone();
        assert!(check(&forge(&header(), &claims)).is_err(), "aud {value}");
    }
    for claim in ["exp", "iat", "aud", "msg"] {
        let mut claims = good();
        claims.as_object_mut().unwrap().remove(claim);
        assert!(check(&forge(&header(), &claims)).is_err(), "no {claim}");
    }
    for (claim, value) in
        [("jti", json!("x")), ("jti", json!("")), ("sub", json!(5)), ("iss", json!(null)), ("msg", json!([]))]
    {
        let mut claims = good();
        claims[claim] = value;
        assert!(check(&forge(&header(), &claims)).is_err(), "{claim}");
    }
}

#[test]
fn a07_another_audience_and_another_deployment_are_refused() {
    let mut claims = good();
    claims["aud"] = json!(["other"]);
    assert_eq!(check(&forge(&header(), &claims)).unwrap_err(), TokenError::Audience);
    let other = Keys::parse(&[STANDARD.encode([8; 32])]).unwrap();
    assert_eq!(check(&sign(&other, &location_session(), NOW)).unwrap_err(), TokenError::Signature);
}

#[test]
fn a12_a_rotated_key_still_verifies_until_it_is_removed() {
    let (old, new) = (STANDARD.encode([7; 32]), STANDARD.encode([9; 32]));
    let token = sign(&keys(), &location_session(), NOW);
    assert!(verify(&Keys::parse(&[&new, &old]).unwrap(), &token, NOW).is_ok());
    assert!(verify(&Keys::parse(&[&new]).unwrap(), &token, NOW).is_err());
}

#[test]
fn a_link_is_not_a_session_and_says_what_was_signed() {
    let link = Link {
        id: LinkId::random([3; 16]),
        tenant: TenantId::SCRATCHPAD,
        path: Path::parse("/up/big.bin").unwrap(),
        version: Some(Version(1)),
        principal: Some(PrincipalId::random([2; 16])),
        session: Some(SessionId::random([1; 16])),
        issued_at: NOW,
        expires_at: None,
        download_name: Some("a \"b\".bin".into()),
        networks: Networks::parse(&["10.0.0.0/8", "2001:db8::/32"]).unwrap(),
        counted: true,
    };
    let token = link.sign(&keys());
    assert!(matches!(check(&token), Ok(Presented::Link(read)) if read == link));
}

/// As they were signed before links had ids: each has one all the same, by which it can be taken back.
#[test]
fn a_link_without_an_id_has_that_of_what_was_signed() {
    let claims = |path: &str| {
        let iat = NOW.seconds();
        json!({ "t": "0a0a0a0a-0a0a-0a0a-0a0a-0a0a0a0a0a0a", "p": path, "iat": iat })
    };
    let id = |path: &str| {
        let token = encode(&claims(path), keys().link_signer());
        let Ok(Presented::Link(link)) = check(&token) else { panic!() };
        assert_eq!((link.download_name, link.networks, link.counted), (None, Networks::default(), false));
        link.id
    };
    assert_eq!(id("/a"), id("/a"));
    assert_ne!(id("/a"), id("/b"));
}

#[test]
fn a11_a_drop_link_is_good_for_nothing_else_and_nothing_else_is_a_drop_link() {
    let drop = DropLink {
        id: LinkId::random([3; 16]),
        tenant: TenantId::SCRATCHPAD,
        dir: Path::parse("/in").unwrap(),
        principal: Some(PrincipalId::random([2; 16])),
        session: None,
        issued_at: NOW,
        expires_at: None,
    };
    let token = drop.sign(&keys());
    assert_eq!(DropLink::verify(&keys(), &token, NOW), Ok(drop));
    assert_eq!(check(&token).unwrap_err(), TokenError::Signature);
    let claims = json!({ "t": "0a0a0a0a-0a0a-0a0a-0a0a-0a0a0a0a0a0a", "p": "/in", "iat": NOW.seconds() });
    let link = encode(&claims, keys().link_signer());
    for other in [link, sign(&keys(), &location_session(), NOW)] {
        assert_eq!(DropLink::verify(&keys(), &other, NOW), Err(TokenError::Signature));
    }
}

/// Vector of the original: a signed URL is a session token without an id, for reading one path.
#[test]
fn a_link_of_the_original_is_known_for_one() {
    let claims = json!({
        "msg": {"c": {"read": true}, "s": {"l": {"p": "/up/big.bin", "v": "1"}}},
        "aud": ["cacheroach"],
        "iat": 1_700_000_000,
        "iss": "0a0a0a0a-0a0a-0a0a-0a0a-0a0a0a0a0a0a",
        "sub": "02020202-0202-4202-8202-020202020202",
    });
    let Ok(Presented::Link(link)) = check(&forge(&header(), &claims)) else { panic!() };
    assert_eq!((link.path.as_str(), link.version, link.expires_at), ("/up/big.bin", Some(Version(1)), None));
}
