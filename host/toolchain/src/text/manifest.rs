//! Kubernetes manifests as plain values. Must not know any kind of object.

use serde_json::Value;

/// Why a text isn't a manifest.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// It isn't YAML. The parser's message has the line.
    #[error(transparent)]
    Yaml(Box<serde_saphyr::Error>),
    /// A document is a list, a string or a number.
    #[error("document {0} is not a Kubernetes object")]
    NotAnObject(usize),
    /// A document lacks a field that every object has.
    #[error("document {0} lacks one of apiVersion, kind and metadata.name")]
    Incomplete(usize),
}

/// The objects of a manifest in YAML, in order. A `List` is replaced by its items.
///
/// # Errors
/// It isn't YAML, or a document isn't an object with `apiVersion`, `kind` and a name.
pub fn objects(yaml: &str) -> Result<Vec<Value>, ManifestError> {
    // Kubernetes reads YAML 1.1 here: a file mode of 0644 is octal.
    let options = serde_saphyr::options! { legacy_octal_numbers: true, with_snippet: false };
    let documents = serde_saphyr::from_multiple_with_options::<Value>(yaml, options);
    let documents = documents.map_err(|error| ManifestError::Yaml(Box::new(error)))?;
    let mut objects = Vec::new();
    for (number, mut document) in (1..).zip(documents) {
        let is_list = document["kind"].as_str().is_some_and(|kind| kind.ends_with("List"));
        let items = match document.get_mut("items") {
            Some(Value::Array(items)) if is_list => std::mem::take(items),
            _ => vec![document],
        };
        for item in items {
            if !item.is_object() {
                return Err(ManifestError::NotAnObject(number));
            }
            let required = [&item["apiVersion"], &item["kind"], &item["metadata"]["name"]];
            if !required.into_iter().all(|value| value.as_str().is_some_and(|text| !text.is_empty())) {
                return Err(ManifestError::Incomplete(number));
            }
            objects.push(item);
        }
    }
    Ok(objects)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_replaced_by_their_items_and_empty_documents_are_skipped() {
        let yaml = "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Namespace, metadata: {name: b}}\n---\n# none\n---\n\
                    apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\nmode: 0644\n";
        let found = objects(yaml).unwrap();
        assert_eq!(
            found.iter().map(|one| one["kind"].as_str().unwrap()).collect::<Vec<_>>(),
            ["Namespace", "ConfigMap"]
        );
        assert_eq!(found[1]["mode"], 420);
    }

    #[test]
    fn a_document_that_is_not_an_object_is_named_by_its_number() {
        let error = |yaml: &str| objects(yaml).unwrap_err().to_string();
        assert_eq!(error("just text"), "document 1 is not a Kubernetes object");
        let incomplete = "document 2 lacks one of apiVersion, kind and metadata.name";
        assert_eq!(error("apiVersion: v1\nkind: A\nmetadata: {name: a}\n---\nkind: B\n"), incomplete);
    }
}
