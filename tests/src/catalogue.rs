//! The components that can fill a slot, as the `kubernix` under test lists and plans them. A new
//! runtime or datastore needs no entry here.

use crate::command::{kubernix, run};
use serde_json::Value;
use std::sync::LazyLock;

/// A directory for clusters that doesn't exist: no cluster runs in it.
const ROOT: &str = "/nonexistent/clusters";

/// A component that fills `cri`.
#[derive(Debug, PartialEq, Eq)]
pub struct Runtime {
    /// The component.
    pub name: &'static str,
    /// The title of its instances, without the node.
    pub title: &'static str,
    /// Its name in CRI: the title in lower case.
    pub cri: &'static str,
    /// The version in the status of a node: `cri-o://1.36.3`.
    pub version: &'static str,
    /// The configuration file in its directory, the first file of its plan. `#` begins a comment in
    /// it.
    pub config: &'static str,
    /// Whether all nodes use one store of imported images: then its plan names the directory that
    /// nodes share.
    pub shares_images: bool,
}

/// A component that fills `datastore`.
#[derive(Debug, PartialEq, Eq)]
pub struct Datastore {
    /// The component, and the title of its instances.
    pub name: &'static str,
}

/// All runtimes, the default first.
pub static RUNTIMES: LazyLock<Vec<Runtime>> = LazyLock::new(|| {
    let tools = json(&["toolchain", "list"]);
    providers("cri").into_iter().map(|name| runtime(name, &tools)).collect()
});

/// All datastores, the default first.
pub static DATASTORES: LazyLock<Vec<Datastore>> =
    LazyLock::new(|| providers("datastore").into_iter().map(|name| Datastore { name }).collect());

/// The components that can fill a role, the default first.
fn providers(role: &str) -> Vec<&'static str> {
    let rows = json(&["component", "list"]);
    let rows = rows.as_array().expect("rows").iter().filter(|row| row["role"] == role);
    let names: Vec<_> = rows.map(|row| leaked(row["component"].as_str().expect("a name"))).collect();
    assert!(!names.is_empty(), "no component fills `{role}`");
    names
}

fn runtime(name: &'static str, tools: &Value) -> Runtime {
    let plan = json(&["plan", "--cri", name]);
    let instances = plan["instances"].as_array().expect("instances");
    let instance = instances.iter().find(|instance| instance["component"] == name).expect("an instance");
    let title =
        instance["instance"].as_str().and_then(|text| text.strip_suffix(" (node 0)")).expect("a node's instance");
    let cri = title.to_lowercase();
    let tool = tools.as_array().into_iter().flatten().find(|tool| tool["name"] == name);
    let version = tool.and_then(|tool| tool["version"].as_str()).expect("a tool of the component's name");
    let config = instance["plan"]["files"][0]["path"].as_str().and_then(|path| path.rsplit('/').next());
    Runtime {
        name,
        title: leaked(title),
        version: leaked(&format!("{cri}://{version}")),
        cri: leaked(&cri),
        config: leaked(config.expect("a file")),
        shares_images: instance["plan"].to_string().contains(&format!("/shared/{name}/")),
    }
}

/// Runs `kubernix` and returns its JSON output.
fn json(args: &[&str]) -> Value {
    run(kubernix().args(args).args(["--output", "json", "--root", ROOT])).ok().json()
}

/// A copy of the text that is never freed. Each text is read once in a process.
fn leaked(text: &str) -> &'static str {
    text.to_owned().leak()
}
