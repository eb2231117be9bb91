//! What the server sees of a call.

use tonic::Request;

use crate::support::Server;

/// S22, A69: names, no secrets.
#[tokio::test]
async fn a69_echo_shows_what_came_but_no_secrets() {
    let server = Server::start().await;
    let token = server.super_token();
    let mut request = Request::new(());
    request.metadata_mut().insert("x-mine", "hello".parse().unwrap());
    request.metadata_mut().insert("cookie", "authorization=secret-cookie".parse().unwrap());
    let answer = server.diags(&token).echo(request).await.unwrap().into_inner();
    assert_eq!(answer.hostname, "here");
    assert_eq!(answer.rpc_meta["x-mine"].value, ["hello"]);
    let text = format!("{answer:?}");
    assert!(!text.contains(&token) && !text.contains("secret-cookie"), "{text}");
    assert!(answer.environment.contains_key("PATH"));
    let path = std::env::var("PATH").unwrap();
    assert!(!text.contains(&path));
    assert!(answer.environment.values().all(|value| value.value.is_empty()));
}
