//! A client that has never seen our code: it learns the contract from the server's reflection, and speaks it with
//! messages made at run time.

#![cfg(test)]

mod program;

use std::collections::BTreeSet;

use prost_reflect::prost::Message as _;
use prost_reflect::prost_types::FileDescriptorProto;
use prost_reflect::{
    DescriptorPool, DynamicMessage, MessageDescriptor, MethodDescriptor, ReflectMessage as _,
    SerializeOptions, Value,
};
use serde_json::json;
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

use program::{Home, Server, answer, http, site};

/// Messages whose types are known at run time only.
struct Dynamic(MessageDescriptor);

impl Codec for Dynamic {
    type Encode = DynamicMessage;
    type Decode = DynamicMessage;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Dynamic(self.0.clone())
    }

    fn decoder(&mut self) -> Self {
        Dynamic(self.0.clone())
    }
}

impl Encoder for Dynamic {
    type Item = DynamicMessage;
    type Error = Status;

    fn encode(&mut self, item: DynamicMessage, to: &mut EncodeBuf<'_>) -> Result<(), Status> {
        item.encode(to).map_err(|error| Status::internal(error.to_string()))
    }
}

impl Decoder for Dynamic {
    type Item = DynamicMessage;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<DynamicMessage>, Status> {
        let message = DynamicMessage::decode(self.0.clone(), from);
        message.map(Some).map_err(|error| Status::internal(error.to_string()))
    }
}

/// What the two versions of the reflection protocol have in common is all but their package.
macro_rules! reflection {
    ($version:ident) => {
        mod $version {
            use std::collections::BTreeMap;

            use tonic::transport::Channel;
            use tonic_reflection::pb::$version::ServerReflectionRequest;
            use tonic_reflection::pb::$version::server_reflection_client::ServerReflectionClient;
            use tonic_reflection::pb::$version::server_reflection_request::MessageRequest;
            use tonic_reflection::pb::$version::server_reflection_response::MessageResponse;

            use super::*;

            async fn ask(channel: &Channel, question: MessageRequest) -> MessageResponse {
                let request =
                    ServerReflectionRequest { host: String::new(), message_request: Some(question) };
                let mut client = ServerReflectionClient::new(channel.clone());
                let answers = client.server_reflection_info(tokio_stream(request)).await.unwrap();
                answers.into_inner().message().await.unwrap().unwrap().message_response.unwrap()
            }

            pub(super) async fn services(channel: &Channel) -> BTreeSet<String> {
                match ask(channel, MessageRequest::ListServices(String::new())).await {
                    MessageResponse::ListServicesResponse(list) => {
                        list.service.into_iter().map(|service| service.name).collect()
                    }
                    other => panic!("{other:?}"),
                }
            }

            /// The files that define these symbols, and all files that they import.
            pub(super) async fn descriptors(channel: &Channel, symbols: &BTreeSet<String>) -> DescriptorPool {
                let mut files = BTreeMap::new();
                let mut wanted: Vec<_> =
                    symbols.iter().map(|name| MessageRequest::FileContainingSymbol(name.clone())).collect();
                while let Some(question) = wanted.pop() {
                    let found = match ask(channel, question).await {
                        MessageResponse::FileDescriptorResponse(found) => found.file_descriptor_proto,
                        other => panic!("{other:?}"),
                    };
                    for bytes in found {
                        let file = FileDescriptorProto::decode(&bytes[..]).unwrap();
                        if files.insert(file.name().to_owned(), bytes).is_none() {
                            let missing = file.dependency.into_iter();
                            wanted.extend(missing.map(MessageRequest::FileByFilename));
                        }
                    }
                }
                let mut set = Vec::new();
                for bytes in files.values() {
                    // Field 1 of a FileDescriptorSet, as it came: options that are extensions stay in it.
                    set.push(10);
                    prost_reflect::prost::encoding::encode_varint(bytes.len() as u64, &mut set);
                    set.extend_from_slice(bytes);
                }
                DescriptorPool::decode(&set[..]).unwrap()
            }
        }
    };
}

reflection!(v1);
reflection!(v1alpha);

fn tokio_stream<T: Send + 'static>(one: T) -> impl futures::Stream<Item = T> + Send + 'static {
    futures::stream::iter([one])
}

/// Somebody with a token.
struct Stranger {
    channel: Channel,
    pool: DescriptorPool,
    token: String,
}

impl Stranger {
    async fn meet(server: &Server, home: &Home) -> Self {
        let channel = Channel::from_shared(server.url.clone()).unwrap().connect().await.unwrap();
        let pool = v1::descriptors(&channel, &SERVICES.map(String::from).into()).await;
        Stranger { channel, pool, token: home.token(program::CONFIG) }
    }

    fn method(&self, service: &str, method: &str) -> MethodDescriptor {
        let service = self.pool.get_service_by_name(service).unwrap();
        service.methods().find(|found| found.name() == method).unwrap()
    }

    fn message(&self, name: &str, json: &serde_json::Value) -> DynamicMessage {
        DynamicMessage::deserialize(self.pool.get_message_by_name(name).unwrap(), json).unwrap()
    }

    async fn call(
        &self,
        service: &str,
        method: &str,
        json: &serde_json::Value,
    ) -> Result<DynamicMessage, Status> {
        let method = self.method(service, method);
        let mut request = Request::new(self.message(method.input().full_name(), json));
        let bearer = format!("Bearer {}", self.token).parse().unwrap();
        request.metadata_mut().insert("authorization", bearer);
        let path: PathAndQuery = format!("/{service}/{}", method.name()).parse().unwrap();
        let mut client = Grpc::new(self.channel.clone());
        client.ready().await.unwrap();
        Ok(client.unary(request, path, Dynamic(method.output())).await?.into_inner())
    }
}

/// The services that are the server's own.
fn contract(services: BTreeSet<String>) -> BTreeSet<String> {
    services.into_iter().filter(|name| name.starts_with("cacheroach.")).collect()
}

fn shown(message: &DynamicMessage) -> serde_json::Value {
    message.serialize_with_options(serde_json::value::Serializer, &SerializeOptions::new()).unwrap()
}

const SERVICES: [&str; 8] = [
    "cacheroach.diag.Diags",
    "cacheroach.file.Files",
    "cacheroach.principal.Principals",
    "cacheroach.store.Stores",
    "cacheroach.tenant.Tenants",
    "cacheroach.token.Tokens",
    "cacheroach.upload.Uploads",
    "cacheroach.vhost.VHosts",
];

const SCRATCHPAD: &str = "CgoKCgoKCgoKCgoKCgoKCg==";

#[tokio::test]
async fn both_reflections_list_the_eight_services_and_nothing_internal() {
    let (server, _home) = tokio::task::spawn_blocking(site).await.unwrap();
    let channel = Channel::from_shared(server.url.clone()).unwrap().connect().await.unwrap();
    let (new, old) = (v1::services(&channel).await, v1alpha::services(&channel).await);
    assert_eq!(new, old);
    let contract = contract(new.clone());
    assert_eq!(contract, SERVICES.map(String::from).into(), "of {new:?}");
    // The service list has what it is asked by, too.
    assert!(new.iter().any(|name| name.starts_with("grpc.reflection.")), "{new:?}");
}

#[tokio::test]
async fn both_reflections_describe_the_contract() {
    let (server, _home) = tokio::task::spawn_blocking(site).await.unwrap();
    let channel = Channel::from_shared(server.url.clone()).unwrap().connect().await.unwrap();
    let contract = SERVICES.map(String::from).into();
    for pool in [v1::descriptors(&channel, &contract).await, v1alpha::descriptors(&channel, &contract).await]
    {
        let session = pool.get_message_by_name("cacheroach.session.Session").unwrap();
        let names: Vec<_> =
            session.fields().map(|field| (field.number(), field.json_name().to_owned())).collect();
        let expected = [(1, "ID"), (2, "c"), (3, "p"), (4, "s"), (5, "x"), (6, "note"), (7, "name")];
        assert_eq!(names, expected.map(|(number, name)| (number, name.to_owned())));
        for file in pool.files().filter(|file| file.package_name().starts_with("cacheroach.")) {
            assert!(!file.name().contains('/'), "{}", file.name());
        }
        // The rules are in the descriptors, as an extension with the number that clients know.
        let rule = pool.get_extension_by_name("cacheroach.capabilities.method_rule").unwrap();
        assert_eq!(rule.number(), 55_123);
        let tokens = pool.get_service_by_name("cacheroach.token.Tokens").unwrap();
        assert!(tokens.methods().all(|method| method.options().has_extension(&rule)));
    }
}

/// What a generic client does first, in order to show a menu.
#[tokio::test]
async fn whatever_is_listed_is_described() {
    let (server, _home) = tokio::task::spawn_blocking(site).await.unwrap();
    let channel = Channel::from_shared(server.url.clone()).unwrap().connect().await.unwrap();
    let services = v1::services(&channel).await;
    let pool = v1::descriptors(&channel, &services).await;
    for name in &services {
        assert!(pool.get_service_by_name(name).is_some(), "{name}");
    }
}

#[tokio::test]
async fn a_session_has_the_json_that_the_contract_gives_it() {
    let (server, home) = tokio::task::spawn_blocking(site).await.unwrap();
    let stranger = Stranger::meet(&server, &home).await;
    let session = stranger.call("cacheroach.token.Tokens", "Current", &json!({})).await.unwrap();
    let session = shown(&session);
    let kept = home.config(program::CONFIG)["Session"].clone();
    for key in ["ID", "c", "p", "s", "name"] {
        assert_eq!(session.get(key), kept.get(key), "what the server says is what the client keeps: {key}");
    }
    assert_eq!(session.get("note"), None, "the note is not in a token");
    assert_eq!(session["s"], json!({ "s": true }));
    assert_eq!(session["ID"]["d"].as_str().unwrap().len(), 24);
    assert_eq!(session["p"]["data"].as_str().unwrap().len(), 24);
    assert!(session["x"].as_str().unwrap().ends_with('Z'));

    let template = json!({ "template": {
        "c": { "read": true, "delegate": true },
        "p": session["p"],
        "s": { "l": { "t": { "data": SCRATCHPAD }, "p": "/a/*", "v": "0" } },
        "x": session["x"],
        "name": "a stranger's",
    }});
    let issued = stranger.call("cacheroach.token.Tokens", "Issue", &template).await.unwrap();
    let issued = shown(&issued);
    assert_eq!(issued["issued"]["c"], json!({ "read": true, "delegate": true }));
    assert_eq!(issued["issued"]["s"], json!({ "l": { "t": { "data": SCRATCHPAD }, "p": "/a/*" } }));
    assert_eq!(issued["issued"]["name"], "a stranger's");
    let jwt = issued["token"]["jwt"].as_str().unwrap();
    assert_eq!(jwt.split('.').count(), 3);
    let validated =
        stranger.call("cacheroach.token.Tokens", "Validate", &json!({ "jwt": jwt })).await.unwrap();
    assert_eq!(shown(&validated)["ID"], issued["issued"]["ID"]);
}

/// The JSON of protobuf has times with 0, 3, 6 or 9 digits behind the point.
#[tokio::test]
async fn the_client_writes_times_as_protobuf_does() {
    let (server, home) = tokio::task::spawn_blocking(site).await.unwrap();
    let stranger = Stranger::meet(&server, &home).await;
    for time in ["2099-01-01T00:00:00Z", "2099-01-01T00:00:00.120Z", "2099-01-01T00:00:00.475220Z"] {
        let template = json!({ "template": { "c": { "read": true }, "s": { "s": true }, "x": time } });
        let issued = shown(&stranger.call("cacheroach.token.Tokens", "Issue", &template).await.unwrap());
        assert_eq!(issued["issued"]["x"], time);
        let (url, token) = (server.url.as_str(), issued["token"]["jwt"].as_str().unwrap());
        home.call(&["-c", "it.cfg", "auth", "set", url, "--token-file", "-"]).input(token).ok();
        assert_eq!(home.config("it.cfg")["Session"]["x"], time);
    }
}

#[tokio::test]
async fn a_file_goes_in_by_messages_and_out_by_http() {
    let (server, home) = tokio::task::spawn_blocking(site).await.unwrap();
    let stranger = Stranger::meet(&server, &home).await;
    let tenant = json!({ "data": SCRATCHPAD });
    let files = "cacheroach.file.Files";

    let begin = json!({ "tenant": tenant, "path": "/by/a stranger.txt", "contents": "SGVsbG8=" });
    let begun = stranger.call("cacheroach.upload.Uploads", "Begin", &begin).await.unwrap();
    assert_eq!(shown(&begun), json!({ "committed": true }));

    let listed = stranger.call(files, "List", &json!({ "tenant": tenant, "path": "/by/" })).await.unwrap();
    let listed = shown(&listed);
    let entries = listed["files"].as_array().unwrap();
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0]["path"], "/by/a stranger.txt");
    assert_eq!((&entries[0]["version"], &entries[0]["size"]), (&json!("1"), &json!("5")));
    assert_eq!(listed.get("cursor"), None, "a page that is not full has no cursor");

    let question = json!({ "tenant": tenant, "path": "/by/a stranger.txt", "validFor": "60s" });
    let link = stranger.call(files, "Retrieve", &question).await.unwrap();
    let uri = link.get_field_by_name("get_uri").unwrap().into_owned();
    let Value::String(uri) = uri else { panic!("{uri:?}") };
    assert!(uri.starts_with("/_/v0/retrieve/"), "{uri}");
    let got = answer(http().get(format!("{}{uri}", server.url))).await;
    assert_eq!((got.status, got.text().as_str()), (200, "Hello"));
    assert!(shown(&link)["expiresAt"].is_string());
    assert_eq!(link.descriptor().full_name(), "cacheroach.file.RetrievalResponse");

    let delete = json!({ "tenant": tenant, "path": "/by/a stranger.txt" });
    stranger.call(files, "Delete", &delete).await.unwrap();
    let gone = stranger.call(files, "Retrieve", &question).await.unwrap_err();
    assert_eq!(gone.code(), Code::NotFound);
    let got = answer(http().get(format!("{}{uri}", server.url))).await;
    assert_eq!(got.status, 404);
}

#[tokio::test]
async fn an_upload_goes_in_pieces_that_may_be_repeated() {
    let (server, home) = tokio::task::spawn_blocking(site).await.unwrap();
    let stranger = Stranger::meet(&server, &home).await;
    let uploads = "cacheroach.upload.Uploads";
    let begin = json!({ "tenant": { "data": SCRATCHPAD }, "path": "/pieces" });
    let begun = shown(&stranger.call(uploads, "Begin", &begin).await.unwrap());
    assert_eq!(begun["maxChunkSize"], 2 << 20);
    let first = json!({ "state": begun["state"], "data": "YWI=" });
    let state = shown(&stranger.call(uploads, "Transfer", &first).await.unwrap());
    let again = shown(&stranger.call(uploads, "Transfer", &first).await.unwrap());
    assert_eq!(state, again, "the same state with the same bytes has the same answer");
    let second = json!({ "state": state["state"], "data": "Yw==" });
    let state = shown(&stranger.call(uploads, "Transfer", &second).await.unwrap());
    assert_eq!(state["state"]["offset"], "3");
    for _ in 0..2 {
        stranger.call(uploads, "Commit", &json!({ "state": state["state"] })).await.unwrap();
    }
    let got = answer(http().get(format!("{}/pieces", server.url))).await;
    assert_eq!((got.status, got.text().as_str()), (200, "abc"));

    let mut forged = state["state"].clone();
    forged["offset"] = json!("2");
    let refused =
        stranger.call(uploads, "Transfer", &json!({ "state": forged, "data": "eA==" })).await.unwrap_err();
    assert_eq!((refused.code(), refused.message()), (Code::InvalidArgument, "bad state signature"));
}
