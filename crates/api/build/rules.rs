//! From the rules in the protos to Rust: a static table per rule, and for each message the code that walks it.

use std::{error::Error, fmt::Write as _};

use heck::{ToSnakeCase as _, ToUpperCamelCase as _};
use prost_reflect::{
    Cardinality, DescriptorPool, DynamicMessage, ExtensionDescriptor, FieldDescriptor, Kind,
    MessageDescriptor, MethodDescriptor, ReflectMessage as _, Value,
};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The source of `rules.rs`.
pub(crate) fn generate(pool: &DescriptorPool) -> Result<String> {
    let extension = |name: &str| {
        pool.get_extension_by_name(&format!("cacheroach.capabilities.{name}")).ok_or("missing extension")
    };
    let (messages, fields, methods) =
        (extension("msg_rule")?, extension("field_rule")?, extension("method_rule")?);
    let mut out = String::new();
    for message in pool.all_messages().filter(is_walked) {
        walk(&mut out, &message, &messages, &fields)?;
    }
    let mut names = Vec::new();
    for service in pool.services().filter(|s| s.package_name().starts_with("cacheroach.")) {
        writeln!(out, "/// The methods of `{}`.", service.full_name())?;
        writeln!(out, "pub mod {} {{", module_of(service.package_name()))?;
        for method in service.methods() {
            method_type(&mut out, &method, &methods)?;
            names.push(format!("{}/{}", service.full_name(), method.name()));
        }
        writeln!(out, "}}")?;
    }
    names.sort();
    writeln!(out, "/// The full names of all methods, sorted.\npub const METHODS: &[&str] = &{names:?};")?;
    Ok(out)
}

/// Messages of the contract. The rule language itself is never sent.
fn is_walked(message: &MessageDescriptor) -> bool {
    message.package_name().starts_with("cacheroach.")
        && !message.is_map_entry()
        && (message.package_name() != "cacheroach.capabilities" || message.name() == "Capabilities")
}

fn method_type(out: &mut String, method: &MethodDescriptor, extension: &ExtensionDescriptor) -> Result<()> {
    let rule = match option(&method.options(), extension) {
        Some(rule) => rule_source(&rule, None)?,
        None => "Rule::Super".into(),
    };
    let (service, name) = (method.parent_service().full_name().to_owned(), method.name());
    writeln!(out, "    /// `/{service}/{name}`.")?;
    writeln!(out, "    #[derive(Clone, Copy, Debug)]\n    pub struct {name};")?;
    writeln!(out, "    impl crate::rule::Method for {name} {{")?;
    writeln!(out, "        type Request = {};", type_of(&method.input()))?;
    writeln!(out, "        type Response = {};", type_of(&method.output()))?;
    writeln!(out, "        const NAME: &'static str = \"{service}/{name}\";")?;
    writeln!(out, "        const RULE: &'static crate::rule::Rule = {{ use crate::rule::*; &{rule} }};")?;
    writeln!(out, "    }}")?;
    Ok(())
}

fn walk(
    out: &mut String,
    message: &MessageDescriptor,
    message_rule: &ExtensionDescriptor,
    field_rule: &ExtensionDescriptor,
) -> Result<()> {
    writeln!(out, "impl crate::rule::Ruled for {} {{", type_of(message))?;

    writeln!(out, "    #[allow(unused_variables, reason = \"generated\")]")?;
    writeln!(out, "    fn field(&self, number: u32) -> crate::rule::Value<'_> {{\n        match number {{")?;
    for field in message.fields().filter(|f| !f.is_list() && !f.is_map() && f.containing_oneof().is_none()) {
        let name = field.name().to_snake_case();
        let value = match field.kind() {
            Kind::String => format!("crate::rule::Value::Text(&self.{name})"),
            Kind::Int64 => format!("crate::rule::Value::Number(self.{name})"),
            Kind::Message(of) if is_id(&of) => {
                format!("crate::rule::Value::id(self.{name}.as_ref().map(|id| &id.data[..]))")
            }
            _ => continue,
        };
        writeln!(out, "            {} => {value},", field.number())?;
    }
    writeln!(out, "            _ => crate::rule::Value::Absent,\n        }}\n    }}")?;

    if message.full_name() == "cacheroach.session.Session" {
        writeln!(out, "    fn as_session(&self) -> Option<&crate::session::Session> {{ Some(self) }}")?;
    }

    writeln!(out, "    #[allow(unused_variables, unused_mut, reason = \"generated\")]")?;
    writeln!(out, "    fn cut(&mut self, judge: &dyn crate::rule::Judge) -> bool {{")?;
    if let Some(rule) = option(&message.options(), message_rule) {
        let rule = rule_source(&rule, Some(message))?;
        writeln!(out, "        const RULE: &crate::rule::Rule = {{ use crate::rule::*; &{rule} }};")?;
        writeln!(out, "        if !judge.holds(RULE, self) {{ *self = Self::default(); return true; }}")?;
    }
    writeln!(out, "        let mut cut = false;")?;
    for field in message.fields() {
        if let Some(rule) = option(&field.options(), field_rule) {
            let rule = rule_source(&rule, Some(message))?;
            let (present, clear) = presence(&field)?;
            writeln!(out, "        {{ const RULE: &crate::rule::Rule = {{ use crate::rule::*; &{rule} }};")?;
            writeln!(out, "        if {present} && !judge.holds(RULE, self) {{ {clear}; cut = true; }} }}")?;
        }
    }
    for (bind, inner) in nested(message) {
        writeln!(out, "        {bind} {{ cut |= crate::rule::Ruled::cut({inner}, judge); }}")?;
    }
    writeln!(out, "        cut\n    }}")?;

    form(out, message)?;
    writeln!(out, "}}")?;
    Ok(())
}

/// What no message of any caller may carry: ids of a wrong length, times out of range.
fn form(out: &mut String, message: &MessageDescriptor) -> Result<()> {
    writeln!(out, "    #[allow(unused_variables, reason = \"generated\")]")?;
    writeln!(out, "    fn form(&self) -> Result<(), crate::rule::FormError> {{")?;
    if is_id(message) {
        writeln!(out, "        crate::rule::form::id(&self.data)?;")?;
    }
    for field in message.fields().filter(|f| f.containing_oneof().is_none()) {
        let name = field.name().to_snake_case();
        if let Kind::Message(of) = field.kind() {
            let check = match of.full_name() {
                "google.protobuf.Timestamp" => format!("crate::rule::form::timestamp(self.{name}.as_ref())"),
                "google.protobuf.Duration" => format!("crate::rule::form::duration(self.{name}.as_ref())"),
                _ => continue,
            };
            writeln!(out, "        {check}.map_err(|e| e.in_field(\"{}\"))?;", field.name())?;
        }
    }
    for (bind, inner, name) in nested_shared(message) {
        writeln!(
            out,
            "        {bind} {{ crate::rule::Ruled::form({inner}).map_err(|e| e.in_field(\"{name}\"))?; }}"
        )?;
    }
    writeln!(out, "        Ok(())\n    }}")?;
    Ok(())
}

/// For each field that holds messages of ours: the loop or `if let` that reaches them, mutably.
fn nested(message: &MessageDescriptor) -> Vec<(String, String)> {
    let bind = |(bind, inner, _): (String, String, String)| {
        (bind.replace("&self.", "&mut self.").replace(".values()", ".values_mut()"), inner)
    };
    nested_shared(message).into_iter().map(bind).collect()
}

fn nested_shared(message: &MessageDescriptor) -> Vec<(String, String, String)> {
    let mut found = Vec::new();
    for field in message.fields() {
        let kind = if field.is_map() {
            let Kind::Message(entry) = field.kind() else { continue };
            entry.map_entry_value_field().kind()
        } else {
            field.kind()
        };
        let Kind::Message(of) = kind else { continue };
        if !is_walked(&of) {
            continue;
        }
        let name = field.name().to_snake_case();
        let bind = if field.is_map() {
            format!("for inner in (&self.{name}).values()")
        } else if field.cardinality() == Cardinality::Repeated {
            format!("for inner in &self.{name}")
        } else if let Some(oneof) = field.containing_oneof() {
            let (member, variant) = (oneof.name().to_snake_case(), variant(&field));
            format!("if let Some({variant}(inner)) = &self.{member}")
        } else {
            format!("if let Some(inner) = &self.{name}")
        };
        found.push((bind, "inner".into(), field.name().into()));
    }
    found
}

/// The test whether a field is set, and the statement that clears it.
fn presence(field: &FieldDescriptor) -> Result<(String, String)> {
    let name = field.name().to_snake_case();
    if let Some(oneof) = field.containing_oneof() {
        let member = oneof.name().to_snake_case();
        return Ok((
            format!("matches!(self.{member}, Some({}(_)))", variant(field)),
            format!("self.{member} = None"),
        ));
    }
    Ok(match field.kind() {
        Kind::Message(_) => (format!("self.{name}.is_some()"), format!("self.{name} = None")),
        Kind::String | Kind::Bytes => (format!("!self.{name}.is_empty()"), format!("self.{name}.clear()")),
        Kind::Enum(_) => (format!("self.{name} != 0"), format!("self.{name} = 0")),
        other => return Err(format!("a rule on a field of kind {other:?}").into()),
    })
}

fn option(options: &DynamicMessage, extension: &ExtensionDescriptor) -> Option<DynamicMessage> {
    options.has_extension(extension).then(|| options.get_extension(extension).as_message().cloned())?
}

fn rule_source(rule: &DynamicMessage, of: Option<&MessageDescriptor>) -> Result<String> {
    let Some((field, value)) = chosen(rule) else { return Err("an empty rule".into()) };
    let message = || value.as_message().ok_or("not a message");
    Ok(match field.as_str() {
        "eq" => {
            let eq = message()?;
            format!("Rule::Eq({}, {})", reference(&part(eq, "a"))?, reference(&part(eq, "b"))?)
        }
        "not" => format!("Rule::Not(&{})", rule_source(message()?, of)?),
        "never" => "Rule::Never".into(),
        "and" => format!("Rule::And(&[{}])", rules(message()?, of)?),
        "or" => format!("Rule::Or(&[{}])", rules(message()?, of)?),
        "auth_status" => match value.as_enum_number() {
            Some(0) => "Rule::LoggedIn".into(),
            Some(1) => "Rule::Public".into(),
            _ => "Rule::Super".into(),
        },
        "may" => may(message()?, of)?,
        "direction" => match value.as_enum_number() {
            Some(1) => "Rule::Direction(Direction::Request)".into(),
            Some(2) => "Rule::Direction(Direction::Response)".into(),
            _ => "Rule::Never".into(),
        },
        "is_subset" => "Rule::IsSubset".into(),
        other => return Err(format!("unknown rule {other}").into()),
    })
}

fn rules(of: &DynamicMessage, message: Option<&MessageDescriptor>) -> Result<String> {
    let list =
        of.get_field_by_name("rule").map(|list| list.as_list().unwrap_or(&[]).to_vec()).unwrap_or_default();
    let parts: Result<Vec<_>> =
        list.iter().map(|rule| rule_source(rule.as_message().ok_or("not a rule")?, message)).collect();
    Ok(parts?.join(", "))
}

fn may(session: &DynamicMessage, of: Option<&MessageDescriptor>) -> Result<String> {
    let capabilities = part(session, "capabilities");
    let bits: u32 = capabilities
        .fields()
        .filter(|(_, value)| value.as_bool() == Some(true))
        .map(|(field, _)| 1 << (field.number() - 1))
        .sum();
    let scope = part(session, "scope");
    let scope = match chosen(&scope) {
        None => "Target::Anything".into(),
        Some((name, value)) => match (name.as_str(), value) {
            ("on_principal", Value::Message(principal)) => {
                format!("Target::Principal({})", reference(&principal)?)
            }
            ("on_location", Value::Message(location)) => {
                // Where a path is one of all of them (`/*`), a field of that name counts something else.
                let path = part(&location, "path");
                let version = of
                    .filter(|_| chosen(&path).is_some_and(|(kind, _)| kind == "field"))
                    .and_then(|message| message.get_field_by_name("version"))
                    .map_or("None".into(), |field| format!("Some({})", field.number()));
                let (tenant, path) = (reference(&part(&location, "tenant_id"))?, reference(&path)?);
                format!("Target::Location {{ tenant: {tenant}, path: {path}, version: {version} }}")
            }
            _ => "Target::Super".into(),
        },
    };
    Ok(format!("Rule::May {{ capabilities: {bits}, on: {scope} }}"))
}

fn reference(of: &DynamicMessage) -> Result<String> {
    let Some((name, value)) = chosen(of) else { return Ok("Reference::Absent".into()) };
    Ok(match (name.as_str(), value) {
        ("field", Value::I32(number)) => format!("Reference::Field({number})"),
        ("string_value", Value::String(text)) => format!("Reference::Text({text:?})"),
        ("context", Value::EnumNumber(number)) => {
            let context = [
                "Absent",
                "SessionPrincipal",
                "ScopeTenant",
                "ScopePrincipal",
                "UnauthenticatedPrincipal",
                "VhostTenant",
            ];
            format!("Reference::{}", context.get(usize::try_from(number)?).ok_or("unknown context")?)
        }
        other => return Err(format!("unknown reference {other:?}").into()),
    })
}

fn part(of: &DynamicMessage, name: &str) -> DynamicMessage {
    let value = of.get_field_by_name(name).expect("a field of the rule language");
    value.as_message().expect("a message of the rule language").clone()
}

/// The member of a oneof that is set.
fn chosen(of: &DynamicMessage) -> Option<(String, Value)> {
    let oneof = of.descriptor().oneofs().next()?;
    let field = oneof.fields().find(|field| of.has_field(field))?;
    let value = of.get_field(&field).into_owned();
    Some((field.name().to_owned(), value))
}

fn is_id(message: &MessageDescriptor) -> bool {
    message.name() == "ID" && message.package_name().starts_with("cacheroach.")
}

fn module_of(package: &str) -> String {
    let noun = package.trim_start_matches("cacheroach.");
    if noun == "content" { "contents".into() } else { format!("{noun}s") }
}

fn type_of(message: &MessageDescriptor) -> String {
    if message.full_name() == "google.protobuf.Empty" {
        return "()".into();
    }
    let parent = message.parent_message().map(|parent| format!("{}::", parent.name().to_snake_case()));
    let package = message.package_name().trim_start_matches("cacheroach.");
    format!("crate::{package}::{}{}", parent.unwrap_or_default(), message.name().to_upper_camel_case())
}

fn variant(field: &FieldDescriptor) -> String {
    let message = field.parent_message();
    let package = message.package_name().trim_start_matches("cacheroach.");
    let oneof = field.containing_oneof().expect("only called for members of a oneof");
    format!(
        "crate::{package}::{}::{}::{}",
        message.name().to_snake_case(),
        oneof.name().to_upper_camel_case(),
        field.name().to_upper_camel_case()
    )
}
