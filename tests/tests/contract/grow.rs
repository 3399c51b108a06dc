//! Derives later ages from the contract's source: with allowed and with forbidden changes.
//!
//! It finds items by their first words and appends to them, so that it keeps working when the
//! contract grows.

use crate::ages::Files;

/// Allowed additions of a minor version: file, item and code. `@` is the number of the step.
#[rustfmt::skip]
const APPENDED: &[(&str, &str, &str)] = &[
    ("src/abi/objects.rs", "pub trait AbiContext", r#"fn extra_@(&self) -> RString { RString::new() }"#),
    ("src/abi/objects.rs", "pub trait AbiPlanner", r#"fn extra_@(&mut self, _text: RStr<'_>) -> AbiResult<()> { AbiResult::ROk(()) }"#),
    ("src/abi/objects.rs", "pub trait AbiComponent", r#"fn extra_@(&self) -> AbiResult<RString> { AbiResult::ROk("default".into()) }"#),
    ("src/abi/host_side.rs", "impl AbiContext for", r#"fn extra_@(&self) -> RString { guard_or("extra_@", RString::new(), || self.0.extra_@()) }"#),
    ("src/abi/host_side.rs", "impl AbiPlanner for", r#"fn extra_@(&mut self, text: RStr<'_>) -> AbiResult<()> { guard_result("extra_@", || self.0.extra_@(text)) }"#),
    ("src/abi/recorder.rs", "impl AbiPlanner for Plan", r#"fn extra_@(&mut self, text: RStr<'_>) -> AbiResult<()> { self.images.push(format!("extra_@={text}")); answer(Ok(())) }"#),
    ("src/abi/adapter.rs", "impl<C: Component> AbiComponent for", r#"fn extra_@(&self) -> AbiResult<RString> { guard("extra_@", || Ok(self.0.extra_@().into())) }"#),
    ("src/abi/handle.rs", "impl Handle", r#"pub fn extra_@(&self) -> Result<String> { Ok(self.0.extra_@().into_result()?.into()) }"#),
    ("src/component.rs", "pub trait Component", r#"fn extra_@(&self) -> String { "plain default".into() }"#),
    ("src/context.rs", "impl<'a> Context<'a>", r#"pub fn extra_@(&self) -> String { self.inner.extra_@().into() }"#),
    ("src/planner.rs", "impl<'a> Planner<'a>", r#"pub fn extra_@(&mut self, text: &str) -> Result<()> { Ok(self.inner.extra_@(text.into()).into_result()?) }"#),
    ("src/abi/plugin.rs", "pub struct Plugin", r#"#[sabi(missing_field(option))] pub extra_@: u32,"#),
    ("src/abi/host_log.rs", "pub struct HostLog", r#"#[sabi(missing_field(option))] pub extra_@: extern "C" fn() -> u32,"#),
];

/// Lets the sample plugin read the additions of its host's log.
const HOST_LOG: &str = r#"
extern "C" fn host_extra_@() -> u32 { @ }
pub fn extra_@_of_host() -> Option<u32> { HOST.get()?.extra_@().map(|extra| extra()) }
"#;

/// Makes the additions of a minor version: a method for each object, a field for each table.
pub fn append(files: &mut Files, step: usize) {
    let numbered = |code: &str| code.replace('@', &step.to_string());
    for (file, item, code) in APPENDED {
        edit(files, file, item, "\n}", &format!("\n    {}", numbered(code)));
    }
    edit(files, "src/abi/plugin.rs", "                Plugin { version", " }", &numbered(", extra_@: @"));
    edit(files, "src/abi/host_log.rs", "const HOST_LOG", " });", &numbered(", extra_@: host_extra_@"));
    source(files, "src/abi/host_log.rs").push_str(&numbered(HOST_LOG));
    source(files, "src/abi.rs").push_str(&numbered("pub use host_log::extra_@_of_host;\n"));
}

/// Changes a frozen struct. Only another major version may do so.
pub fn break_promise(files: &mut Files) {
    let log = "src/abi/host_log.rs";
    edit(files, log, "pub struct LogRecord", "\n}", "\n    pub thread: RStr<'a>,");
    edit(files, log, "        host.log()(&LogRecord {", "\n        });", "\n            thread: \"\".into(),");
}

/// Gives the package another version.
pub fn version(files: &mut Files, version: &str) {
    let manifest = source(files, "Cargo.toml");
    // The first one belongs to the package; its dependencies come later.
    let start = manifest.find("\nversion = \"").expect("a version") + 1;
    let end = start + manifest[start..].find('\n').expect("more lines");
    manifest.replace_range(start..end, &format!("version = \"{version}\""));
}

/// Inserts code before the end of the item with this beginning.
fn edit(files: &mut Files, file: &str, item: &str, end: &str, code: &str) {
    let text = source(files, file);
    let start = text.find(&format!("\n{item}")).map(|at| at + 1);
    let at = start.and_then(|start| text[start..].find(end).map(|length| start + length));
    let at = at.unwrap_or_else(|| {
        panic!("{file} of the contract has no `{item}` that ends with {end:?}: update tests/tests/contract/grow.rs")
    });
    text.insert_str(at, code);
}

fn source<'a>(files: &'a mut Files, file: &str) -> &'a mut String {
    let gone = || panic!("the contract has no {file}: update tests/tests/contract/grow.rs");
    files.get_mut(file).unwrap_or_else(gone)
}
