//! What reflection shows is the original's contract, name by name and number by number, and additions to it that its
//! clients don't notice. The tables in `contract.txt` are those of the compatibility reference.

use std::collections::{BTreeMap, BTreeSet};

use futures::stream;
use prost::Message as _;
use prost_types::field_descriptor_proto::{Label, Type};
use prost_types::method_options::IdempotencyLevel;
use prost_types::{
    DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto, MethodDescriptorProto,
};
use tonic::Code;
use tonic_reflection::pb::{v1, v1alpha};

use crate::support::Server;

/// Each served file, with what it imports.
const FILES: [(&str, &[&str]); 9] = [
    ("capabilities.proto", &["google/protobuf/descriptor.proto"]),
    ("diag.proto", &["google/protobuf/empty.proto"]),
    (
        "file.proto",
        &[
            "google/protobuf/duration.proto",
            "google/protobuf/empty.proto",
            "google/protobuf/timestamp.proto",
            "capabilities.proto",
            "principal.proto",
            "tenant.proto",
        ],
    ),
    (
        "principal.proto",
        &[
            "capabilities.proto",
            "google/protobuf/duration.proto",
            "google/protobuf/empty.proto",
            "google/protobuf/timestamp.proto",
        ],
    ),
    (
        "session.proto",
        &[
            "google/protobuf/descriptor.proto",
            "google/protobuf/timestamp.proto",
            "capabilities.proto",
            "principal.proto",
            "tenant.proto",
        ],
    ),
    (
        "tenant.proto",
        &["google/protobuf/duration.proto", "google/protobuf/empty.proto", "capabilities.proto"],
    ),
    (
        "token.proto",
        &[
            "google/protobuf/descriptor.proto",
            "google/protobuf/duration.proto",
            "google/protobuf/empty.proto",
            "capabilities.proto",
            "session.proto",
        ],
    ),
    ("upload.proto", &["google/protobuf/timestamp.proto", "capabilities.proto", "tenant.proto"]),
    ("vhost.proto", &["google/protobuf/empty.proto", "tenant.proto"]),
];

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

/// Three tables: messages, enumerations, methods.
fn expected() -> [BTreeSet<String>; 3] {
    let mut tables = include_str!("contract.txt").split("---\n");
    [(); 3].map(|()| tables.next().unwrap().lines().map(str::to_owned).collect())
}

macro_rules! reflection {
    ($name:ident, $version:ident) => {
        /// Asks without credentials: it is open to everybody.
        async fn $name(
            server: &Server,
            request: $version::server_reflection_request::MessageRequest,
        ) -> $version::server_reflection_response::MessageResponse {
            let mut client =
                $version::server_reflection_client::ServerReflectionClient::new(server.channel());
            let request =
                $version::ServerReflectionRequest { host: String::new(), message_request: Some(request) };
            let mut answers =
                client.server_reflection_info(stream::iter([request])).await.unwrap().into_inner();
            answers.message().await.unwrap().unwrap().message_response.unwrap()
        }
    };
}

reflection!(ask, v1);
reflection!(ask_alpha, v1alpha);

async fn file(server: &Server, name: &str) -> FileDescriptorProto {
    use v1::server_reflection_request::MessageRequest;
    use v1::server_reflection_response::MessageResponse;
    let answer = ask(server, MessageRequest::FileByFilename(name.into())).await;
    let MessageResponse::FileDescriptorResponse(found) = answer else { panic!("{name}: {answer:?}") };
    let files = found.file_descriptor_proto.iter();
    let mut files = files.map(|file| FileDescriptorProto::decode(&file[..]).unwrap());
    files.find(|file| file.name() == name).expect("the file that was asked for")
}

#[tokio::test]
async fn reflection_lists_the_services_and_no_others() {
    let server = Server::start().await;
    let known: BTreeSet<_> = SERVICES.into_iter().map(str::to_owned).collect();
    let extra = [
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
    ];
    let check = |listed: Vec<String>, own: &str| {
        let listed: BTreeSet<_> = listed.into_iter().collect();
        let (extras, rest): (BTreeSet<_>, BTreeSet<_>) =
            listed.into_iter().partition(|name| extra.contains(&name.as_str()));
        assert_eq!(rest, known);
        assert!(extras.contains(own) && extras.contains(extra[0]), "{extras:?}");
    };
    let all = v1::server_reflection_request::MessageRequest::ListServices(String::new());
    match ask(&server, all).await {
        v1::server_reflection_response::MessageResponse::ListServicesResponse(found) => {
            check(found.service.into_iter().map(|one| one.name).collect(), extra[1]);
        }
        other => panic!("{other:?}"),
    }
    let all = v1alpha::server_reflection_request::MessageRequest::ListServices(String::new());
    match ask_alpha(&server, all).await {
        v1alpha::server_reflection_response::MessageResponse::ListServicesResponse(found) => {
            check(found.service.into_iter().map(|one| one.name).collect(), extra[2]);
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_is_inside_is_not_shown() {
    let server = Server::start().await;
    use v1::server_reflection_request::MessageRequest;
    use v1::server_reflection_response::MessageResponse;
    for request in [
        MessageRequest::FileByFilename("content.proto".into()),
        MessageRequest::FileContainingSymbol("cacheroach.content.Contents".into()),
        MessageRequest::FileContainingSymbol("cacheroach.content.OpenRequest".into()),
        MessageRequest::FileByFilename("../Cargo.toml".into()),
        MessageRequest::FileByFilename("/etc/passwd".into()),
    ] {
        let mut client = v1::server_reflection_client::ServerReflectionClient::new(server.channel());
        let asked =
            v1::ServerReflectionRequest { host: String::new(), message_request: Some(request.clone()) };
        let answer = match client.server_reflection_info(stream::iter([asked])).await {
            Ok(answers) => answers.into_inner().message().await,
            Err(status) => Err(status),
        };
        // The protocol allows both ways to say so.
        let code = match answer {
            Ok(Some(found)) => match found.message_response.unwrap() {
                MessageResponse::ErrorResponse(error) => Code::from(error.error_code),
                other => panic!("{request:?}: {other:?}"),
            },
            Ok(None) => panic!("{request:?}: no answer"),
            Err(status) => status.code(),
        };
        assert_eq!(code, Code::NotFound, "{request:?}");
    }
}

#[tokio::test]
async fn the_contract_is_the_originals() {
    let server = Server::start().await;
    let (mut messages, mut enums, mut methods) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for (name, imports) in FILES {
        let file = file(&server, name).await;
        assert_eq!(file.syntax(), "proto3", "{name}");
        assert_eq!(file.package(), format!("cacheroach.{}", name.trim_end_matches(".proto")));
        assert_eq!(file.dependency, imports, "{name}");
        let package = short(file.package());
        for message in &file.message_type {
            describe(&package, message, &mut messages, &mut enums);
        }
        enums.extend(file.enum_type.iter().map(|one| describe_enum(&package, one)));
        for service in &file.service {
            let name = format!("{package}.{}", service.name());
            methods.extend(service.method.iter().map(|method| describe_method(&name, method)));
        }
        let extensions: Vec<_> = file.extension.iter().map(extension).collect();
        let expected: &[_] = if name == "capabilities.proto" {
            &[
                "msg_rule 55123 of google.protobuf.MessageOptions: capabilities.Rule",
                "field_rule 55123 of google.protobuf.FieldOptions: capabilities.Rule",
                "method_rule 55123 of google.protobuf.MethodOptions: capabilities.Rule",
            ]
        } else {
            &[]
        };
        assert_eq!(extensions, expected, "{name}");
    }
    let [expected_messages, expected_enums, expected_methods] = expected();
    holds(&fields(&messages), &fields(&expected_messages));
    holds(&enums, &expected_enums);
    holds(&methods, &expected_methods);
}

/// Each field as a line of its own, with the message it is in.
fn fields(messages: &BTreeSet<String>) -> BTreeSet<String> {
    let lines = messages.iter().flat_map(|message| {
        let (name, fields) = message.split_once(": ").unwrap();
        fields.split("; ").filter(|field| *field != "none").map(move |field| format!("{name}: {field}"))
    });
    lines.collect()
}

#[track_caller]
fn holds(found: &BTreeSet<String>, expected: &BTreeSet<String>) {
    let missing: Vec<_> = expected.difference(found).collect();
    assert!(missing.is_empty(), "missing or changed: {missing:#?}");
}

fn short(name: &str) -> String {
    name.trim_start_matches('.').trim_start_matches("cacheroach.").to_owned()
}

fn describe(
    outer: &str,
    message: &DescriptorProto,
    messages: &mut BTreeSet<String>,
    enums: &mut BTreeSet<String>,
) {
    let name = format!("{outer}.{}", message.name());
    assert!(message.reserved_range.is_empty() && message.reserved_name.is_empty(), "{name}");
    let is_map =
        |one: &&DescriptorProto| one.options.as_ref().is_some_and(prost_types::MessageOptions::map_entry);
    let maps: BTreeMap<_, _> = message
        .nested_type
        .iter()
        .filter(is_map)
        .map(|entry| {
            let [key, value] = [0, 1].map(|at| plain(&entry.field[at]));
            (format!("{name}.{}", entry.name()), format!("map<{key},{value}>"))
        })
        .collect();
    let mut fields: Vec<_> = message.field.iter().collect();
    fields.sort_by_key(|field| field.number());
    let fields: Vec<_> = fields.iter().map(|field| describe_field(message, field, &maps)).collect();
    let fields = if fields.is_empty() { "none".to_owned() } else { fields.join("; ") };
    messages.insert(format!("{name}: {fields}"));
    for nested in message.nested_type.iter().filter(|one| !is_map(one)) {
        describe(&name, nested, messages, enums);
    }
    enums.extend(message.enum_type.iter().map(|one| describe_enum(&name, one)));
}

fn describe_field(
    message: &DescriptorProto,
    field: &FieldDescriptorProto,
    maps: &BTreeMap<String, String>,
) -> String {
    // In a rule of retention, which the original has not, 0 says something else than nothing.
    let has_presence = field.proto3_optional();
    assert!(!has_presence || message.name() == "Retention", "no field of the original has explicit presence");
    let repeated = if field.label() == Label::Repeated { "repeated " } else { "" };
    let kind = match maps.get(&short(field.type_name())) {
        Some(map) => map.clone(),
        None => format!("{repeated}{}", plain(field)),
    };
    let mut text = format!("{} {} {kind}", field.number(), field.name());
    if field.json_name() != lower_camel(field.name()) {
        text += &format!(" json {}", field.json_name());
    }
    if let Some(at) = field.oneof_index {
        text += &format!(" in {}", message.oneof_decl[usize::try_from(at).unwrap()].name());
    }
    text
}

fn plain(field: &FieldDescriptorProto) -> String {
    match field.r#type() {
        Type::Message | Type::Enum => short(field.type_name()),
        scalar => scalar.as_str_name().trim_start_matches("TYPE_").to_lowercase(),
    }
}

/// The JSON name that a field has unless it is given another.
fn lower_camel(name: &str) -> String {
    let mut parts = name.split('_');
    let first = parts.next().unwrap().to_owned();
    parts.fold(first, |name, part| name + &part[..1].to_uppercase() + &part[1..])
}

fn describe_enum(outer: &str, of: &EnumDescriptorProto) -> String {
    let values: Vec<_> =
        of.value.iter().map(|value| format!("{} {}", value.number(), value.name())).collect();
    format!("{outer}.{}: {}", of.name(), values.join(", "))
}

fn describe_method(service: &str, method: &MethodDescriptorProto) -> String {
    let name = |of: &str| if of == ".google.protobuf.Empty" { "Empty".to_owned() } else { short(of) };
    let parts = |many: bool| if many { "(S) " } else { "" };
    let (said, heard) = (parts(method.client_streaming()), parts(method.server_streaming()));
    let level = method.options.as_ref().map(prost_types::MethodOptions::idempotency_level);
    let level = match level.unwrap_or(IdempotencyLevel::IdempotencyUnknown) {
        IdempotencyLevel::NoSideEffects => 'N',
        IdempotencyLevel::Idempotent => 'I',
        IdempotencyLevel::IdempotencyUnknown => '-',
    };
    let (request, response) = (name(method.input_type()), name(method.output_type()));
    format!("{service}/{}: {said}{request} -> {heard}{response} {level}", method.name())
}

fn extension(of: &FieldDescriptorProto) -> String {
    let extended = of.extendee().trim_start_matches('.');
    format!("{} {} of {extended}: {}", of.name(), of.number(), short(of.type_name()))
}
