//! The JSON Schema of `kubernix.toml`, for editors. It is generated from the table of settings and
//! a catalogue of components.

use super::catalogue::{ANY_VERSION, BINARY};
use super::document::{COMPONENTS, MIRRORS, NODE, REGISTRY, SLOTS};
use super::{Catalogue, DefaultValue, Entry, Id, NONE, Setting};
use kubernix_core::{Parameter, ParameterKind};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;

/// The JSON Schema (draft 2020-12) of a configuration file. Unknown components and roles are
/// allowed, because another machine may have more plugins.
pub fn schema(catalogue: &Catalogue) -> Value {
    let settings = Id::ALL.iter().map(|id| (id.setting().key().to_owned(), single(id.setting())));
    let mut properties: Map<String, Value> = settings.collect();
    let urls = json!({ "type": "array", "items": { "type": "string", "format": "uri" }, "minItems": 1 });
    properties.insert(
        REGISTRY.into(),
        json!({
            "type": "object",
            "description": "Registries of images.",
            "properties": { MIRRORS: {
                "type": "object",
                "description": "Registry -> its mirrors, which are tried first, in this order.",
                "additionalProperties": { "anyOf": [urls, { "type": "string" }] },
            } },
            "additionalProperties": false,
        }),
    );
    properties.insert(SLOTS.into(), reference(SLOTS));
    properties.insert(COMPONENTS.into(), reference(COMPONENTS));
    properties.insert(
        NODE.into(),
        json!({
            "type": "object",
            "description": "Slots and parameters of single nodes, by the node's name.",
            "additionalProperties": {
                "type": "object",
                "properties": { SLOTS: reference(SLOTS), COMPONENTS: reference(COMPONENTS) },
                "additionalProperties": false,
            },
        }),
    );
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "kubernix.toml",
        "description": "The settings of a KuberNix cluster.",
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
        "$defs": { SLOTS: slots(catalogue), COMPONENTS: components(catalogue), "parameter": parameter_value() },
    })
}

fn reference(definition: &str) -> Value {
    json!({ "$ref": format!("#/$defs/{definition}") })
}

/// A single setting.
fn single(setting: &Setting) -> Value {
    let mut schema = setting.form().schema();
    schema["description"] = setting.about().into();
    schema["examples"] = setting.form().json(setting.example()).into_iter().collect();
    if let DefaultValue::Value(text) = setting.default_value()
        && let Some(default) = setting.form().json(text)
    {
        schema["default"] = default;
    }
    schema
}

fn slots(catalogue: &Catalogue) -> Value {
    let roles: BTreeSet<&str> = catalogue.roles().collect();
    let slot = |role: &&str| {
        let fillers: Vec<&str> = catalogue.fillers(role).into_iter().chain([NONE]).collect();
        // The words are for completion. Any other name may be that of a plugin.
        let names = json!({ "anyOf": [{ "enum": fillers }, { "type": "string" }] });
        ((*role).to_owned(), names)
    };
    json!({
        "type": "object",
        "description": "Role -> the component that fills it; `none` leaves it empty.",
        "properties": roles.iter().map(slot).collect::<Map<_, _>>(),
        "additionalProperties": { "type": "string" },
    })
}

fn components(catalogue: &Catalogue) -> Value {
    let known = catalogue.components.iter().map(|entry| (entry.name.clone(), component(entry, catalogue)));
    let names: BTreeSet<&str> = catalogue.components.iter().map(|entry| entry.name.as_str()).collect();
    let binaries: BTreeSet<&str> = catalogue.binaries().filter(|name| !names.contains(name)).collect();
    let binaries = binaries.into_iter().map(|name| (name.to_owned(), of_binary(name)));
    json!({
        "type": "object",
        "description": "Component or binary -> its parameters.",
        "properties": known.chain(binaries).collect::<Map<_, _>>(),
        "additionalProperties": { "type": "object", "additionalProperties": reference("parameter") },
    })
}

fn component(entry: &Entry, catalogue: &Catalogue) -> Value {
    let mut properties = Map::new();
    if catalogue.binary_of(&entry.name).is_some() {
        properties.extend(binary_parameters());
    }
    for parameter in &entry.parameters {
        let mut schema = parameter_values(parameter);
        schema["description"] = parameter.help.as_str().into();
        schema["default"] = parameter.default.as_str().into();
        properties.insert(parameter.name.clone(), schema);
    }
    json!({ "type": "object", "properties": properties, "additionalProperties": false })
}

fn of_binary(name: &str) -> Value {
    let properties: Map<_, _> = binary_parameters().into_iter().collect();
    let description = format!("The binary `{name}`.");
    json!({ "type": "object", "description": description, "properties": properties, "additionalProperties": false })
}

fn binary_parameters() -> [(String, Value); 2] {
    let path = json!({ "type": "string", "minLength": 1, "description": "The path of the binary to run." });
    let any = json!({ "type": ["boolean", "string"], "description": "Whether the binary may be of any version." });
    [(BINARY.into(), path), (ANY_VERSION.into(), any)]
}

/// The value of a parameter. Components get it as text.
fn parameter_value() -> Value {
    json!({ "type": ["string", "number", "boolean"] })
}

/// The valid values of a parameter. Each may be written as text. The empty text is valid if it is
/// the default.
fn parameter_values(parameter: &Parameter) -> Value {
    let mut schema = match &parameter.kind {
        ParameterKind::Number(min, max) => json!({ "type": ["string", "integer"], "minimum": min, "maximum": max }),
        ParameterKind::Path => {
            json!({ "type": "string", "pattern": if parameter.default.is_empty() { "^(/|$)" } else { "^/" } })
        }
        ParameterKind::Flag => json!({ "enum": [true, false, "true", "false"] }),
        ParameterKind::Choice(words) => json!({ "enum": words }),
        _ => parameter_value(),
    };
    if let (true, Some(values)) = (parameter.default.is_empty(), schema.get_mut("enum").and_then(Value::as_array_mut)) {
        values.push("".into());
    }
    schema
}

#[cfg(test)]
mod tests {
    use super::*;

    fn catalogue() -> Catalogue {
        let entry = Entry {
            name: "crio".into(),
            provides: vec!["cri".into()],
            parameters: vec![
                Parameter::new("log-level", "info", "How much is logged").choice(&["debug", "info"]),
                Parameter::new("qps", "", "Requests a second").number(1..=9),
            ],
            binaries: vec!["crio".into()],
        };
        Catalogue { components: vec![entry], tools: vec!["busybox".into()] }
    }

    #[test]
    fn every_setting_has_a_type_a_description_and_a_default() {
        let schema = schema(&catalogue());
        for setting in Id::ALL.iter().map(|id| id.setting()) {
            let property = &schema["properties"][setting.key()];
            assert_eq!(property["description"], setting.about().as_str(), "{}", setting.key());
            assert!(property["type"].is_string() || property["anyOf"].is_array(), "{property}");
        }
        let properties = &schema["properties"];
        assert_eq!(properties["port"]["maximum"], 65535);
        assert_eq!(properties["boot-timeout"]["default"], 120);
        assert_eq!(properties["install"]["default"], true);
        assert_eq!(properties["control-planes"]["enum"], json!([1, 3, 5, 7]));
        assert_eq!(properties["uplink"]["enum"], json!(["auto", "always", "none"]));
        assert_eq!(schema["additionalProperties"], false);
    }

    #[test]
    fn every_reference_has_a_definition() {
        let schema = schema(&catalogue());
        let text = schema.to_string();
        for name in text.split("\"#/$defs/").skip(1).filter_map(|rest| rest.split('"').next()) {
            assert!(schema["$defs"][name].is_object(), "{name}");
        }
    }

    #[test]
    fn slots_and_parameters_come_from_the_catalogue() {
        let definitions = &schema(&catalogue())["$defs"];
        assert_eq!(definitions["slots"]["properties"]["cri"]["anyOf"][0]["enum"], json!(["crio", "none"]));
        let crio = &definitions["components"]["properties"]["crio"]["properties"];
        assert_eq!((&crio["log-level"]["default"], &crio["binary"]["type"]), (&json!("info"), &json!("string")));
        assert!(definitions["components"]["properties"]["busybox"]["properties"]["any-version"].is_object());
    }
}
