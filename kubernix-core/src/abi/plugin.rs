//! The root module that a plugin exports, and the macro that defines it.

use super::guard::{guard, guard_or};
use super::{AbiResult, ComponentBox, HostLogRef, adapter, host_log};
use crate::Component;
use abi_stable::library::RootModule;
use abi_stable::sabi_types::VersionStrings;
use abi_stable::std_types::RStr;
use abi_stable::{StableAbi, declare_root_module_statics, package_version_strings};

/// The root module of a plugin. Grows at its end.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = PluginRef)))]
#[sabi(missing_field(panic))]
pub struct Plugin {
    /// The plugin's own version, `MAJOR.MINOR.PATCH`. The version of its contract is in the
    /// library's header.
    pub version: RStr<'static>,
    /// Its crate's metadata.
    pub about: About,
    /// Connects the plugin's log and panics to the host's log. Called once, before anything else.
    pub join: extern "C" fn(HostLogRef),
    /// Creates the component.
    #[sabi(last_prefix_field)]
    pub component: extern "C" fn() -> AbiResult<ComponentBox>,
}

/// The fields of a plugin's `Cargo.toml` that its manifest repeats. Missing fields are empty.
#[repr(C)]
#[derive(Debug, Clone, Copy, StableAbi)]
pub struct About {
    /// Its description, in one line.
    pub description: RStr<'static>,
    /// Its authors, separated by colons.
    pub authors: RStr<'static>,
    /// Its licence, an SPDX expression.
    pub license: RStr<'static>,
    /// The URL of its home page.
    pub homepage: RStr<'static>,
}

impl RootModule for PluginRef {
    declare_root_module_statics! {PluginRef}
    const BASE_NAME: &'static str = "kubernix_component";
    const NAME: &'static str = "kubernix_component";
    const VERSION_STRINGS: VersionStrings = package_version_strings!();
}

/// Parts of [`export_component!`](crate::export_component).
pub mod export {
    use super::*;

    /// `Plugin::join`.
    pub extern "C" fn join(host: HostLogRef) {
        guard_or("join", (), || host_log::join(host));
    }

    /// Creates a component inside a guard, since its constructor may panic as well.
    pub fn component<C: Component>(make: impl FnOnce() -> C) -> AbiResult<ComponentBox> {
        guard("component", || Ok(adapter::boxed(make())))
    }
}

/// Makes a `cdylib` crate a plugin: `kubernix_core::export_component!(my_component::MyComponent);`
///
/// Takes an expression whose type implements [`Component`](crate::Component). A binary may have the
/// exported symbol only once, so a crate that others link exports it behind a feature.
#[macro_export]
macro_rules! export_component {
    ($component:expr $(,)?) => {
        #[cfg(panic = "abort")]
        compile_error!("a plugin must be built with panic = \"unwind\": the host survives its panics");
        const _: () = {
            use $crate::abi::{AbiResult, About, ComponentBox, Plugin, PluginRef, export};
            use $crate::abi_stable::library::{
                __call_root_module_loader, CheckTypeLayout, LibHeader, RootModuleResult,
            };
            use $crate::abi_stable::prefix_type::PrefixTypeTrait as _;

            extern "C" fn component() -> AbiResult<ComponentBox> {
                export::component(|| $component)
            }

            fn module() -> PluginRef {
                let version = env!("CARGO_PKG_VERSION").into();
                let about = About {
                    description: env!("CARGO_PKG_DESCRIPTION").into(),
                    authors: env!("CARGO_PKG_AUTHORS").into(),
                    license: env!("CARGO_PKG_LICENSE").into(),
                    homepage: env!("CARGO_PKG_HOMEPAGE").into(),
                };
                Plugin { version, about, join: export::join, component }.leak_into_prefix()
            }

            extern "C" fn load() -> RootModuleResult {
                __call_root_module_loader(module)
            }

            // abi_stable looks up this name; its own macro would export one from every rlib.
            // SAFETY: nothing else in this library has this name, and the symbol is the header that
            // abi_stable expects.
            #[unsafe(export_name = "_1as_0lib_1header_0root_bmodule_bloader")]
            pub static HEADER: LibHeader = {
                // SAFETY: `load` creates a module of exactly this type.
                unsafe { LibHeader::from_constructor::<PluginRef>(load, CheckTypeLayout::Yes) }
            };
        };
    };
}

#[cfg(test)]
mod tests {
    use abi_stable::library::ROOT_MODULE_LOADER_NAME;

    #[test]
    fn the_exported_symbol_has_the_name_that_abi_stable_looks_up() {
        let line = include_str!("plugin.rs").lines().find(|line| line.contains("unsafe(export_name"));
        assert!(line.unwrap().contains(&format!("{ROOT_MODULE_LOADER_NAME:?}")), "{ROOT_MODULE_LOADER_NAME}");
    }
}
