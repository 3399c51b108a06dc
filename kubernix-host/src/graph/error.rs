//! Errors of planning.

use crate::settings::nearest;
use kubernix_core::{Role, Scope};

/// Why a set of components can't be planned.
#[derive(Debug, thiserror::Error)]
pub enum GraphError {
    /// A component requires a role whose slot is empty.
    #[error("role `{role}` is empty, but `{by}` requires it: fill it with `--set {role}=COMPONENT`{}, or leave `{by}` out as well", there_is(.candidates))]
    Empty {
        /// The empty role.
        role: Role,
        /// The component that requires it.
        by: String,
        /// Components that could fill it.
        candidates: Vec<String>,
    },
    /// The chosen component doesn't exist.
    #[error("role `{role}` is set to `{component}`, but there is no component of this name{}", there_is(.candidates))]
    Unknown {
        /// The role.
        role: String,
        /// The name given.
        component: String,
        /// Components that could fill it.
        candidates: Vec<String>,
    },
    /// The chosen component doesn't provide the role.
    #[error("component `{component}` doesn't provide role `{role}`{}", there_is(.candidates))]
    Unfit {
        /// The role.
        role: String,
        /// The name given.
        component: String,
        /// Components that could fill it.
        candidates: Vec<String>,
    },
    /// A role is set to `none`, but the component that provides it is set to fill another role.
    #[error(
        "role `{role}` is set to `none`, but `{component}` provides it and is set to fill `{other}`: \
         set `{other}` to `none` or to another component, or leave `{role}` out"
    )]
    Conflict {
        /// The role that is set to `none`.
        role: String,
        /// The component that provides it.
        component: String,
        /// The role that it is set to fill.
        other: String,
    },
    /// Several components could fill a role, and none of them is the default.
    #[error("role `{role}` can be filled by {}: choose one with `--set {role}=COMPONENT`", .candidates.join(", "))]
    Ambiguous {
        /// The role.
        role: String,
        /// The components.
        candidates: Vec<String>,
    },
    /// No addon has this name.
    #[error("there is no addon `{name}`{}", nearest(.name, .candidates.iter().map(String::as_str)))]
    NoAddon {
        /// The name given.
        name: String,
        /// All addons.
        candidates: Vec<String>,
    },
    /// Two components have the same name.
    #[error("two components are named `{0}`")]
    Duplicate(String),
    /// A component has a scope of a later version of the contract.
    #[error(
        "component `{component}` has the scope {scope}, which this version of KuberNix doesn't know: upgrade KuberNix"
    )]
    Scope {
        /// The component.
        component: String,
        /// Its scope.
        scope: Scope,
    },
    /// Components wait for each other.
    #[error("these instances wait for each other: {}", .0.join(" -> "))]
    Cycle(Vec<String>),
    /// The component returned an error or an invalid plan.
    #[error("{instance} can't be planned")]
    Component {
        /// The instance.
        instance: String,
        /// The cause.
        #[source]
        source: kubernix_core::Error,
    },
}

fn there_is(names: &[String]) -> String {
    if names.is_empty() { String::new() } else { format!(" (there is: {})", names.join(", ")) }
}
