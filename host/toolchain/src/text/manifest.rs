//! Manifests of Kubernetes as plain values. Must not know any kind of object.

use serde_json::Value;

/// The objects of a manifest in YAML, in order; lists are taken apart.
///
/// # Errors
/// It isn't YAML, or a document isn't an object with `apiVersion`, `kind` and a name; the text says
/// where.
pub fn objects(yaml: &str) -> Result<Vec<Value>, String> {
    // Kubernetes reads YAML 1.1 here: a file mode of 0644 is octal.
    let options = serde_saphyr::options! { legacy_octal_numbers: true, with_snippet: false };
    let documents = serde_saphyr::from_multiple_with_options::<Value>(yaml, options);
    let mut objects = Vec::new();
    for (number, mut document) in (1..).zip(documents.map_err(|error| error.to_string())?) {
        let is_list = document["kind"].as_str().is_some_and(|kind| kind.ends_with("List"));
        let items = match document.get_mut("items") {
            Some(Value::Array(items)) if is_list => std::mem::take(items),
            _ => vec![document],
        };
        for item in items {
            if !item.is_object() {
                return Err(format!("document {number} is not a Kubernetes object"));
            }
            let has = |value: &Value| value.as_str().is_some_and(|text| !text.is_empty());
            if !(has(&item["apiVersion"]) && has(&item["kind"]) && has(&item["metadata"]["name"])) {
                return Err(format!("document {number} lacks one of apiVersion, kind and metadata.name"));
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
    fn lists_are_taken_apart_and_nothing_is_skipped() {
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
    fn what_is_no_object_is_named_by_its_number() {
        assert_eq!(objects("just text").unwrap_err(), "document 1 is not a Kubernetes object");
        let lacks = "document 2 lacks one of apiVersion, kind and metadata.name";
        assert_eq!(objects("apiVersion: v1\nkind: A\nmetadata: {name: a}\n---\nkind: B\n").unwrap_err(), lacks);
    }
}
