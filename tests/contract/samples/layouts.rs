//! Prints every layout of the contract as text for review, a line for each field. Compiled into the
//! tests, for the contract of this checkout, and into the sample host of each age. It must not
//! compare layouts: the loader does.

use kubernix_core::abi::PluginRef;
use kubernix_core::abi_stable::StableAbi;
use kubernix_core::abi_stable::type_layout::{TLData, TLField, TLFunction, TypeLayout};
use std::collections::{BTreeSet, HashSet};

/// The contract's package. Other types (strings, vectors) belong to the pinned abi_stable.
const OURS: &str = "kubernix-core";

/// All types of the contract that a plugin's root module refers to, by name.
pub fn dump() -> String {
    let mut types = BTreeSet::new();
    let mut seen = HashSet::new();
    let mut open = vec![<PluginRef as StableAbi>::LAYOUT];
    while let Some(layout) = open.pop() {
        if !seen.insert(layout.get_utypeid()) {
            continue;
        }
        open.extend(layout.shared_vars().type_layouts().iter().map(|layout| layout()));
        let fields = fields(layout);
        open.extend(fields.iter().map(TLField::layout));
        open.extend(layout.phantom_fields().iter().map(|field| field.layout()));
        if layout.package().as_str() == OURS {
            types.insert(format!("{}\n{}\n", title(layout), fields.iter().map(line).collect::<String>()));
        }
    }
    types.into_iter().collect()
}

fn fields(layout: &'static TypeLayout) -> Vec<TLField> {
    match layout.data() {
        TLData::PrefixType(prefix) => prefix.fields.iter().collect(),
        _ => layout.get_fields().map(|fields| fields.iter().collect()).unwrap_or_default(),
    }
}

fn title(layout: &TypeLayout) -> String {
    let (name, module, alignment) = (layout.full_type(), layout.mod_path(), layout.alignment());
    match layout.data() {
        TLData::PrefixType(prefix) => {
            format!("{name} in {module}: grows at its end, {} fields are required", prefix.first_suffix_field)
        }
        TLData::Enum(variants) => {
            format!("{name} in {module}: frozen enum, {} bytes, variants {}", layout.size(), variants.variant_names)
        }
        _ => format!("{name} in {module}: frozen, {} bytes, aligned to {alignment}", layout.size()),
    }
}

fn line(field: &TLField) -> String {
    let functions = field.function_range();
    if functions.is_empty() {
        return format!("    {}: {}\n", field.name(), name(field.layout()));
    }
    let functions: Vec<_> = functions.iter().map(|function| signature(&function)).collect();
    format!("    {}: {}\n", field.name(), functions.join(" / "))
}

fn signature(function: &TLFunction) -> String {
    let parameters: Vec<_> = function.param_type_layouts.iter().map(|layout| name(layout())).collect();
    let returns = function.return_type_layout().map_or_else(String::new, |layout| format!(" -> {}", name(layout())));
    format!("fn({}){returns}", parameters.join(", "))
}

fn pointee(list: &'static TypeLayout) -> Option<&'static TypeLayout> {
    let buffer = fields(list).first()?.layout();
    buffer.shared_vars().type_layouts().first().map(|layout| layout())
}

/// A type with its arguments: abi_stable leaves them out for its own types.
fn name(layout: &'static TypeLayout) -> String {
    let written = layout.full_type().to_string().replace("  ", " ").trim_end().to_owned();
    let arguments: Vec<_> = match layout.name() {
        "ROption" | "RResult" | "Tuple2" => fields(layout).iter().map(|field| name(field.layout())).collect(),
        // Its first field is a pointer to them.
        "RVec" => vec![pointee(layout).map_or_else(|| written.clone(), name)],
        _ => Vec::new(),
    };
    if arguments.is_empty() { written } else { format!("{}<{}>", layout.name(), arguments.join(", ")) }
}
