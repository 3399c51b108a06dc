//! `image load`, `build-from`, `list` and `remove`: images for pods, without a registry.

use super::App;
use crate::output::{self, Table, size};
use crate::progress::Progress;
use anyhow::Result;
use kubernix_host::cluster::{LoadedImage, NodeImages};
use serde_json::json;
use std::path::{Path, PathBuf};

impl App {
    pub(super) fn image_load(&self, files: &[PathBuf]) -> Result<()> {
        let (_, cluster) = self.running()?;
        let progress = Progress::new(&self.flags);
        let loaded = cluster.load_images(files, &*progress);
        progress.finish();
        output::show(self.output(), &loaded?, |images| images.iter().map(loaded_line).collect::<String>())
    }

    pub(super) fn image_build_from(&self, program: &Path, name: &str, command: &[String]) -> Result<()> {
        let (_, cluster) = self.running()?;
        let progress = Progress::new(&self.flags);
        let loaded = cluster.build_image(program, name, command, &*progress);
        progress.finish();
        output::show(self.output(), &loaded?, loaded_line)
    }

    pub(super) fn image_remove(&self, names: &[String]) -> Result<()> {
        let (_, cluster) = self.running()?;
        let removed = cluster.remove_images(names)?;
        let rows: Vec<_> = removed.into_iter().map(|(name, nodes)| json!({ "name": name, "nodes": nodes })).collect();
        output::show(self.output(), &rows, |rows| {
            rows.iter().map(|row| format!("removed {}\n", row["name"].as_str().unwrap_or_default())).collect::<String>()
        })
    }

    pub(super) fn image_list(&self) -> Result<()> {
        let (_, cluster) = self.running()?;
        output::show(self.output(), &cluster.images()?, |nodes| list(nodes))
    }
}

fn loaded_line(image: &LoadedImage) -> String {
    match image.nodes.as_slice() {
        [] => format!("every node has {} already\n", image.name),
        nodes => format!("loaded {} on {}\n", image.name, nodes.join(", ")),
    }
}

/// A line for each name on each node.
fn list(nodes: &[NodeImages]) -> Table {
    let images = nodes.iter().flat_map(|node| node.images.iter().map(|image| (&node.node, image)));
    images.fold(Table::new(&["NAME", "ID", ">SIZE", "NODE"]), |table, (node, image)| {
        let short: String = image.id.trim_start_matches("sha256:").chars().take(12).collect();
        // Names with a digest are redundant beside a name with a tag.
        let (digests, tags): (Vec<&String>, Vec<&String>) = image.names.iter().partition(|name| name.contains('@'));
        let names = if tags.is_empty() { digests } else { tags };
        let unnamed = "<none>".to_owned();
        let names = if names.is_empty() { vec![&unnamed] } else { names };
        names
            .into_iter()
            .fold(table, |table, name| table.row([name.clone(), short.clone(), size(image.size), node.clone()]))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use kubernix_host::cri_client::Image;

    #[test]
    fn each_name_is_a_line_and_digests_are_shown_only_without_tags() {
        let image = |id: &str, names: &[&str]| Image {
            id: id.into(),
            names: names.iter().map(ToString::to_string).collect(),
            size: 2048,
        };
        let images = vec![
            image("sha256:0123456789abcdef", &["a/b:1", "a/b:2", "a/b@sha256:00"]),
            image("ffff", &["c@sha256:11"]),
            image("eeee", &[]),
        ];
        let text = list(&[NodeImages { node: "node-0".into(), images }]).to_string();
        let names: Vec<&str> = text.lines().skip(1).filter_map(|line| line.split_whitespace().next()).collect();
        assert_eq!(names, ["a/b:1", "a/b:2", "c@sha256:11", "<none>"]);
        assert!(text.contains("0123456789ab  2.0 KiB  node-0"), "{text}");
    }
}
