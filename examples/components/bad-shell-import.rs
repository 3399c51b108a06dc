//! Caught by `import-one-argument`: an image's name is code that a shell runs.

use kubernix_samples::*;

/// The sample.
pub struct Sample;

impl Component for Sample {
    says!(name, phase, provides, plan);

    fn binaries(&self) -> Vec<Binary> {
        vec!["sample".into(), "sh".into()]
    }

    fn import_image(&self, ctx: &Context<'_>, archive: &str, name: &str) -> Result<Option<Command>> {
        let code = format!("sample import {archive} {name}");
        Ok(Some(Command::new(ctx.executable("sh")?, ["-c", &code])))
    }
}

sample!(Sample);
