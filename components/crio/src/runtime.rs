//! The OCI runtime that CRI-O calls, and its wrapper. It must not know CRI-O's configuration.

use crate::layout::Layout;
use kubernix_core::{Binary, Context, Error, Result, facts, shell_quote};

/// The parameter that selects it.
pub(crate) const PARAMETER: &str = "runtime";

/// The OCI runtime that CRI-O calls: name and path.
pub(crate) fn runtime(ctx: &Context<'_>, layout: &Layout) -> Result<(String, String)> {
    let program = program(ctx)?;
    let name = program.rsplit('/').next().unwrap_or_default().to_owned();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if name.is_empty() || !name.chars().all(plain) {
        return Err(Error::invalid(format!("OCI runtime `{program}` has a file name that isn't letters, digits, -_.")));
    }
    Ok((name, if needs_wrapper(ctx) { layout.runtime_wrapper() } else { program }))
}

fn program(ctx: &Context<'_>) -> Result<String> {
    ctx.executable(Binary::from_parameter(PARAMETER))
}

/// Without CAP_SYS_RESOURCE no process can lower an oom_score_adj, and pods that need it
/// (Guaranteed ones, system-critical ones) would fail to start.
fn needs_wrapper(ctx: &Context<'_>) -> bool {
    !ctx.is(facts::LOWER_OOM_SCORE)
}

/// The script between CRI-O and the OCI runtime, if one is needed.
pub(crate) fn wrapper(ctx: &Context<'_>) -> Result<Option<String>> {
    if !needs_wrapper(ctx) {
        return Ok(None);
    }
    let (kubernix, program) = (shell_quote(&ctx.executable("kubernix")?), shell_quote(&program(ctx)?));
    Ok(Some(format!(
        "\
#!/bin/sh
# Raises negative oom_score_adj values in a bundle's config.json, which this host doesn't allow to set.
exec {kubernix} oci-runtime-shim {program} \"$@\"
"
    )))
}
