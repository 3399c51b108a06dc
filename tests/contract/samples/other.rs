//! A plugin of another program. It uses abi_stable as well, but another name for its root module.

use abi_stable::library::RootModule;
use abi_stable::prefix_type::PrefixTypeTrait;
use abi_stable::sabi_types::VersionStrings;
use abi_stable::{StableAbi, declare_root_module_statics, export_root_module, package_version_strings};

/// The root module of the other program's plugins.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = EditorPluginRef)))]
#[sabi(missing_field(panic))]
pub struct EditorPlugin {
    /// Any field.
    #[sabi(last_prefix_field)]
    pub colour: u32,
}

impl RootModule for EditorPluginRef {
    declare_root_module_statics! {EditorPluginRef}
    const BASE_NAME: &'static str = "editor";
    const NAME: &'static str = "editor";
    const VERSION_STRINGS: VersionStrings = package_version_strings!();
}

/// The function that the other program's loader calls.
#[export_root_module]
pub fn module() -> EditorPluginRef {
    EditorPlugin { colour: 0 }.leak_into_prefix()
}
