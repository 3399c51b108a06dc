//! What a shared library has to export to be a plugin, and the macro that does it.

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
    /// The plugin's own version, `MAJOR.MINOR.PATCH`. That of its contract is in the library's
    /// header.
    pub version: RStr<'static>,
    /// What its crate says of it.
    pub about: About,
    /// Joins the plugin's log and panics to the host's. Called once, before anything else.
    pub join: extern "C" fn(HostLogRef),
    /// Makes the component.
    #[sabi(last_prefix_field)]
    pub component: extern "C" fn() -> AbiResult<ComponentBox>,
}

/// The fields of a plugin's `Cargo.toml` that its manifest repeats. Empty where that has none.
#[repr(C)]
#[derive(Debug, Clone, Copy, StableAbi)]
pub struct About {
    /// What it is, in one line.
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

/// What [`export_component!`](crate::export_component) is made of.
pub mod export {
    use super::*;

    /// `Plugin::join`.
    pub extern "C" fn join(host: HostLogRef) {
        guard_or("join", (), || host_log::join(host));
    }

    /// Makes a component inside of a guard: its constructor may panic as well.
    pub fn component<C: Component>(make: impl FnOnce() -> C) -> AbiResult<ComponentBox> {
        guard("component", || Ok(adapter::boxed(make())))
    }
}

/// Makes a `cdylib` crate a plugin: `kubernix_core::export_component!(my_component::MyComponent);`
///
/// Takes an expression whose type implements [`Component`](crate::Component). The symbol that it
/// exports may be in a binary only once: a crate that others link exports it behind a feature.
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

            // The name under which abi_stable looks for it; its own macro would export one from
            // every rlib. SAFETY: nothing else of this library has this name, and the header is
            // what the name promises.
            #[unsafe(export_name = "_1as_0lib_1header_0root_bmodule_bloader")]
            pub static HEADER: LibHeader = {
                // SAFETY: `load` makes the module of just this type.
                unsafe { LibHeader::from_constructor::<PluginRef>(load, CheckTypeLayout::Yes) }
            };
        };
    };
}

#[cfg(test)]
mod tests {
    use abi_stable::library::ROOT_MODULE_LOADER_NAME;

    #[test]
    fn the_exported_name_is_the_one_that_is_looked_for() {
        let line = include_str!("plugin.rs").lines().find(|line| line.contains("unsafe(export_name"));
        assert!(line.unwrap().contains(&format!("{ROOT_MODULE_LOADER_NAME:?}")), "{ROOT_MODULE_LOADER_NAME}");
    }
}
